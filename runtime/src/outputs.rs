//! What a client does with decrypted values: check them against the plan's bound, round them, apply the network's tail.

use heron_plan::{ClientTail, OutputSpec};

use crate::samples::RangePolicy;
use crate::sessions::SessionError;

/// Whether outputs keep the noise that they were decrypted with.
///
/// The low bits of a CKKS decryption depend on the secret key: outputs that others see must not carry them (IND-CPA-D;
/// B. Li, D. Micciancio, ePrint 2020/1533).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Round to a multiple of a power of two that is at least twice the plan's stated error: for outputs that others see.
    ToStatedError,
    /// Keep everything: for the owner of the key only.
    Keep,
}

/// Decrypted outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    /// Shape of one sample.
    pub shape: Vec<usize>,
    /// The elements of each sample, row-major.
    pub values: Vec<Vec<f64>>,
}

impl Outputs {
    /// The shape with its leading axis of samples.
    pub fn batch_shape(&self) -> Vec<usize> {
        [&[self.values.len()], self.shape.as_slice()].concat()
    }

    /// All elements, row-major.
    pub fn flat(&self) -> Vec<f64> {
        self.values.concat()
    }
}

/// Checks decrypted values, and rounds them.
///
/// # Errors
/// [`SessionError::OutputBound`] for the first sample with a value beyond bound and error together.
pub fn check_outputs(
    spec: &OutputSpec,
    mut values: Vec<Vec<f64>>,
    policy: RangePolicy,
    rounding: Rounding,
) -> Result<Outputs, SessionError> {
    let largest = spec.bound + spec.error;
    // Written so that NaN is refused too.
    let outside = |sample: &Vec<f64>| !sample.iter().all(|y| y.abs() <= largest);
    if let (RangePolicy::Refuse, Some(sample)) = (policy, values.iter().position(outside)) {
        return Err(SessionError::OutputBound {
            output: spec.name.clone(),
            sample,
            bound: spec.bound,
        });
    }
    match rounding {
        Rounding::Keep => {}
        Rounding::ToStatedError => {
            let step = rounding_step(spec.error);
            values
                .iter_mut()
                .flatten()
                .for_each(|y| *y = (*y / step).round() * step);
        }
    }
    Ok(Outputs {
        shape: spec.shape.clone(),
        values,
    })
}

/// The smallest power of two that is at least twice the error.
pub fn rounding_step(error: f64) -> f64 {
    let exponent = (2.0 * error.max(f64::MIN_POSITIVE))
        .log2()
        .ceil()
        .clamp(-1000.0, 1000.0);
    2f64.powi(exponent as i32)
}

/// What the end of the network gives for one sample.
#[derive(Clone, Debug, PartialEq)]
pub enum TailValue {
    /// One number per element.
    Values(Vec<f64>),
    /// The index of an element.
    Index(usize),
}

/// Applies the nodes at the end of the network that belong on the client to one sample. Nothing comes after an index.
pub fn apply_tail(tail: &[ClientTail], values: &[f64]) -> TailValue {
    let mut values = values.to_vec();
    for step in tail {
        match step {
            ClientTail::Softmax => values = softmax(&values),
            ClientTail::ArgMax => return TailValue::Index(arg_max(&values)),
        }
    }
    TailValue::Values(values)
}

/// `exp(x_i) / Σ exp(x_j)`, without overflow.
pub fn softmax(values: &[f64]) -> Vec<f64> {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = values.iter().map(|x| (x - largest).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

/// The index of the largest element, the first of equal ones; 0 for no elements.
pub fn arg_max(values: &[f64]) -> usize {
    let better = |best: usize, i: usize| if values[i] > values[best] { i } else { best };
    (0..values.len()).reduce(better).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use heron_plan::VectorLayout;

    use super::*;

    fn spec() -> OutputSpec {
        OutputSpec {
            name: "logits".to_owned(),
            shape: vec![2],
            layout: VectorLayout::vector(2, 2),
            bound: 10.0,
            error: 0.01,
            tail: vec![],
            class_names: vec![],
        }
    }

    #[test]
    fn refuses_outputs_beyond_the_bound_and_not_a_number() {
        for bad in [10.02, -11.0, f64::NAN, f64::INFINITY] {
            let values = vec![vec![1.0, 2.0], vec![bad, 0.0]];
            let refused = check_outputs(&spec(), values.clone(), RangePolicy::Refuse, Rounding::Keep);
            assert!(
                matches!(refused, Err(SessionError::OutputBound { sample: 1, .. })),
                "{bad}"
            );
            assert!(check_outputs(&spec(), values, RangePolicy::AllowOutOfRange, Rounding::Keep).is_ok());
        }
        let edge = check_outputs(&spec(), vec![vec![10.005, -10.0]], RangePolicy::Refuse, Rounding::Keep);
        assert_eq!(edge.expect("within the error of the bound").values, [[10.005, -10.0]]);
    }

    #[test]
    fn rounding_hides_what_is_below_the_stated_error() {
        let round = |y| {
            let outputs = check_outputs(
                &spec(),
                vec![vec![y, 0.0]],
                RangePolicy::Refuse,
                Rounding::ToStatedError,
            );
            outputs.expect("within bounds").values[0][0]
        };
        assert_eq!(rounding_step(0.01), 1.0 / 32.0);
        assert_eq!(round(1.001), 1.0);
        assert_eq!(round(1.001), round(1.001 + 0.009));
        assert_eq!(round(-3.3), -3.3125);
        assert_eq!(rounding_step(0.25), 0.5);
        assert!(rounding_step(0.0) > 0.0);
    }

    #[test]
    fn the_tail_is_applied_in_order() {
        let TailValue::Values(shares) = apply_tail(&[ClientTail::Softmax], &[1000.0, 1000.0]) else {
            panic!("softmax gives values")
        };
        assert_eq!(shares, [0.5, 0.5]);
        assert_eq!(
            apply_tail(&[ClientTail::Softmax, ClientTail::ArgMax], &[0.0, 3.0, 3.0]),
            TailValue::Index(1)
        );
        assert_eq!(apply_tail(&[], &[4.0]), TailValue::Values(vec![4.0]));
    }
}
