//! How much of a network's answers its integers keep, finer than by counting the samples whose answer changes.
//!
//! On a few hundred calibration samples most candidates change no answer. So margins and errors are taken apart: a sample's
//! *margin* is by how much its answer leads, its *error* by how much the integers change that lead. A change is expected
//! where the error of one sample meets the margin of another: `n²` pairs instead of `n`.

use std::cmp::Ordering;

use heron_plan::tfhe::IntegerProgram;

use crate::calibrate::{Samples, is_held_back};
use crate::compile::CompileInput;
use crate::evaluate;
use crate::gate::threshold;
use crate::graph::Graph;
use crate::nn::Op;

/// How many samples candidates are compared on.
const SCORE_SAMPLES: usize = 400;

/// What candidates are compared with.
pub(super) struct Reference {
    pub(super) samples: Vec<Vec<f64>>,
    outputs: Vec<Vec<f64>>,
    threshold: f64,
}

/// How good a candidate is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Score {
    /// Expected fraction of samples whose answer changes.
    pub(super) changed: f64,
    /// Sum of squared differences of outputs.
    squares: f64,
}

impl Score {
    /// The better one first: fewer changes, then closer outputs.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let changes = self.changed.total_cmp(&other.changed);
        changes.then(self.squares.total_cmp(&other.squares))
    }
}

impl Reference {
    /// The first samples; the held-back ones measure the accuracy afterwards and are left out.
    pub(super) fn of(input: CompileInput<'_>, graph: &Graph<Op>) -> Self {
        let fitted = |samples: &Samples| -> Vec<usize> {
            let indices = (0..samples.len()).filter(|index| !is_held_back(*index));
            indices.take(SCORE_SAMPLES).collect()
        };
        let indices = fitted(input.calibration);
        let samples: Vec<Vec<f64>> = indices.iter().map(|&i| input.calibration.get(i).to_vec()).collect();
        let outputs: Vec<Vec<f64>> = samples.iter().map(|sample| evaluate(graph, sample)).collect();
        Self {
            threshold: threshold(&outputs),
            outputs,
            samples,
        }
    }

    /// The score of a program.
    pub(super) fn score(&self, program: &IntegerProgram) -> Score {
        let found: Vec<Vec<f64>> = self.samples.iter().map(|sample| program.output_of(sample)).collect();
        let differences = self.outputs.iter().flatten().zip(found.iter().flatten());
        let leads = self.outputs.iter().zip(&found).map(|(clear, found)| {
            let answer = self.answer(clear);
            let margin = self.lead(clear, answer);
            (margin, self.lead(found, answer) - margin)
        });
        Score {
            changed: expected_changes(&leads.collect::<Vec<_>>()),
            squares: differences.map(|(a, b)| (a - b) * (a - b)).sum(),
        }
    }

    fn answer(&self, outputs: &[f64]) -> usize {
        if let [single] = outputs {
            return usize::from(*single > self.threshold);
        }
        (0..outputs.len()).fold(0, |best, i| if outputs[i] > outputs[best] { i } else { best })
    }

    /// By how much an answer leads the next one; negative where another leads.
    fn lead(&self, outputs: &[f64], answer: usize) -> f64 {
        if let [single] = outputs {
            let above = single - self.threshold;
            return if answer == 1 { above } else { -above };
        }
        let others = outputs.iter().enumerate().filter(|(class, _)| *class != answer);
        let next = others.map(|(_, y)| *y).fold(f64::NEG_INFINITY, f64::max);
        outputs[answer] - next
    }
}

/// Fraction of pairs of a margin and an error, of whichever samples, whose sum is below zero.
fn expected_changes(leads: &[(f64, f64)]) -> f64 {
    let mut margins: Vec<f64> = leads.iter().map(|lead| lead.0).collect();
    margins.sort_by(f64::total_cmp);
    let changed = leads
        .iter()
        .map(|(_, error)| margins.partition_point(|margin| *margin < -error));
    let pairs = (leads.len() * leads.len()).max(1);
    changed.sum::<usize>() as f64 / pairs as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_changes_nothing_and_errors_meet_every_margin() {
        assert_eq!(expected_changes(&[(1.0, 0.0), (3.0, 0.0)]), 0.0);
        // The error -2 overturns the margin 1 of the other sample, though not its own.
        assert_eq!(expected_changes(&[(1.0, 0.0), (3.0, -2.0)]), 0.25);
        assert_eq!(expected_changes(&[]), 0.0);
    }
}
