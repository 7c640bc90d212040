//! Where a function can be approximated.

use crate::calibrate::Interval;
use crate::nn::Activation;

/// The operands that a function is smooth and finite on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    /// All numbers.
    Everywhere,
    /// Numbers that are not negative.
    NotNegative,
    /// Positive numbers.
    Positive,
    /// Positive numbers or negative ones, but not both.
    OneSign,
}

impl Domain {
    /// The domain of a function.
    pub(crate) fn of(function: Activation) -> Self {
        match function {
            Activation::Relu
            | Activation::LeakyRelu { .. }
            | Activation::Elu { .. }
            | Activation::Sigmoid
            | Activation::Tanh
            | Activation::Erf
            | Activation::Gelu(_)
            | Activation::Silu
            | Activation::Softplus
            | Activation::Selu { .. }
            | Activation::Mish
            | Activation::HardSigmoid { .. }
            | Activation::HardSwish
            | Activation::Exp
            | Activation::Abs
            | Activation::Sign
            | Activation::Clip { .. } => Self::Everywhere,
            Activation::Sqrt => Self::NotNegative,
            Activation::ReciprocalSqrt | Activation::Log => Self::Positive,
            Activation::Reciprocal => Self::OneSign,
        }
    }

    /// Whether a function has a polynomial on an interval; why not, otherwise.
    pub(crate) fn defect(self, seen: Interval) -> Option<&'static str> {
        match self {
            Self::Everywhere => None,
            Self::NotNegative => (seen.min < 0.0).then_some("its operand is negative on some calibration samples"),
            Self::Positive => (seen.min <= 0.0).then_some("its operand is not positive on all calibration samples"),
            Self::OneSign => (seen.min <= 0.0 && seen.max >= 0.0)
                .then_some("its operand has no fixed sign on the calibration samples"),
        }
    }

    /// An interval that does not contain zero, with a margin that does not either: a factor at both ends.
    pub(crate) fn widen_ratio(seen: Interval, margin: f64) -> Interval {
        let margin = margin.max(1.001);
        if seen.min > 0.0 {
            Interval {
                min: seen.min / margin,
                max: seen.max * margin,
            }
        } else {
            Interval {
                min: seen.min * margin,
                max: seen.max / margin,
            }
        }
    }
}
