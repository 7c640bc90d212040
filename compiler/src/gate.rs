//! The gates inside `compile`: the same network before and after each change of form, and its answers before and after
//! approximation.

use serde::{Deserialize, Serialize};

use crate::error::CompileError;

/// How far our evaluation in f64 may be from the oracle's in f32, relative to the largest output: a thousand roundings of
/// 2^-24 that all add up.
pub const F32_TOLERANCE: f64 = 1e-4;
/// How far two evaluations in f64 may be apart, relative to the largest output: sums in another order, and up to four bits
/// of cancellation a folded layer.
pub const F64_TOLERANCE: f64 = 1e-9;
/// The least top-1 agreement of the polynomial with the clear network.
pub const MIN_AGREEMENT: f64 = 0.95;

/// Two evaluations of one network, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What lies between the two.
    pub stage: String,
    /// How many samples were compared.
    pub samples: usize,
    /// Largest difference of an output, relative to the largest output.
    pub difference: f64,
    /// Largest difference that roundings explain.
    pub tolerance: f64,
}

/// Compares outputs of two forms of one network.
///
/// # Errors
/// [`CompileError::SemanticGate`] where they differ by more than the tolerance, or in length.
pub fn compare(
    stage: &str,
    before: &[Vec<f64>],
    after: &[Vec<f64>],
    tolerance: f64,
) -> Result<Comparison, CompileError> {
    let largest = before.iter().flatten().fold(0.0f64, |largest, x| largest.max(x.abs()));
    let size = if largest > 0.0 { largest } else { 1.0 };
    let mut difference = 0.0f64;
    let mut comparable = before.len() == after.len();
    for (before, after) in before.iter().zip(after) {
        comparable &= before.len() == after.len();
        for (b, a) in before.iter().zip(after) {
            // A NaN compares as false everywhere: it must not pass for a small difference.
            comparable &= (b - a).is_finite();
            difference = difference.max((b - a).abs() / size);
        }
    }
    let comparison = Comparison {
        stage: stage.to_owned(),
        samples: before.len(),
        difference,
        tolerance,
    };
    if comparable && difference <= tolerance {
        return Ok(comparison);
    }
    Err(CompileError::SemanticGate(comparison))
}

/// Accuracy of the polynomial network on samples that were not fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// How many samples were held back.
    pub samples: usize,
    /// On how many of them polynomial and clear network give the same answer.
    pub agreeing: usize,
    /// Fraction of them that the clear network gets right; absent without labels.
    pub clear: Option<f64>,
    /// Fraction of them that the polynomial network gets right; absent without labels.
    pub polynomial: Option<f64>,
    /// Largest difference of an output, relative to the largest clear output.
    pub difference: f64,
}

impl Accuracy {
    /// Compares answers: the largest output, or for a single output the side of the threshold.
    ///
    /// # Shapes
    /// `clear`, `polynomial`, `labels`: equally many.
    pub fn of(clear: &[Vec<f64>], polynomial: &[Vec<f64>], labels: Option<&[i64]>) -> Self {
        let threshold = threshold(clear);
        let answers = |outputs: &[Vec<f64>]| outputs.iter().map(|y| answer(y, threshold)).collect::<Vec<i64>>();
        let (clear_answers, polynomial_answers) = (answers(clear), answers(polynomial));
        let right = |answers: &[i64]| {
            let labels = labels.filter(|labels| !labels.is_empty())?;
            let right = answers
                .iter()
                .zip(labels)
                .filter(|(answer, label)| answer == label)
                .count();
            Some(right as f64 / labels.len() as f64)
        };
        let largest = clear
            .iter()
            .flatten()
            .fold(f64::MIN_POSITIVE, |largest, x| largest.max(x.abs()));
        let differences = clear
            .iter()
            .flatten()
            .zip(polynomial.iter().flatten())
            .map(|(c, p)| (c - p).abs());
        Self {
            samples: clear.len(),
            agreeing: clear_answers
                .iter()
                .zip(&polynomial_answers)
                .filter(|(c, p)| c == p)
                .count(),
            clear: right(&clear_answers),
            polynomial: right(&polynomial_answers),
            difference: differences.fold(0.0, f64::max) / largest,
        }
    }

    /// Fraction of samples on which both networks agree.
    pub fn agreement(&self) -> f64 {
        if self.samples == 0 {
            1.0
        } else {
            self.agreeing as f64 / self.samples as f64
        }
    }
}

/// What separates the two answers of a single output: one half for probabilities, zero for anything else.
pub(crate) fn threshold(outputs: &[Vec<f64>]) -> f64 {
    let probabilities = outputs.iter().flatten().all(|y| (0.0..=1.0).contains(y));
    if probabilities { 0.5 } else { 0.0 }
}

/// The first of the largest outputs, or the side of the threshold.
fn answer(outputs: &[f64], threshold: f64) -> i64 {
    match outputs {
        [single] => i64::from(*single > threshold),
        _ => {
            let mut best = 0;
            for (class, y) in outputs.iter().enumerate() {
                if *y > outputs[best] {
                    best = class;
                }
            }
            best as i64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_relative_to_the_largest_output() {
        let before = [vec![100.0, 1.0]];
        let comparison = compare("stage", &before, &[vec![100.0, 1.001]], 1e-4).expect("a hundred-thousandth");
        assert!((comparison.difference - 1e-5).abs() < 1e-9);
        assert!(compare("stage", &before, &[vec![100.0, 1.1]], 1e-4).is_err());
    }

    #[test]
    fn what_is_no_number_does_not_pass() {
        assert!(compare("stage", &[vec![1.0]], &[vec![f64::NAN]], 1.0).is_err());
        assert!(compare("stage", &[vec![1.0]], &[vec![1.0, 2.0]], 1.0).is_err());
    }

    #[test]
    fn agreement_counts_equal_answers() {
        let clear = [vec![1.0, 2.0], vec![3.0, 1.0]];
        let polynomial = [vec![1.5, 2.0], vec![0.0, 1.0]];
        let accuracy = Accuracy::of(&clear, &polynomial, Some(&[1, 1]));
        assert_eq!(
            (accuracy.agreeing, accuracy.clear, accuracy.polynomial),
            (1, Some(0.5), Some(1.0))
        );
        assert_eq!(accuracy.agreement(), 0.5);
    }

    #[test]
    fn a_single_output_has_two_answers() {
        let logits = Accuracy::of(&[vec![-1.0], vec![2.0]], &[vec![-0.1], vec![-0.1]], None);
        assert_eq!(logits.agreeing, 1);
        let probabilities = Accuracy::of(&[vec![0.2], vec![0.9]], &[vec![0.4], vec![0.6]], None);
        assert_eq!(probabilities.agreeing, 2);
    }
}
