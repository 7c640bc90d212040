//! Activation functions of one value, from `libm`.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use crate::nn::{Activation, Gelu};

impl Activation {
    /// The function's values; a loop of its own for the most frequent function.
    pub(super) fn apply_all(self, x: &[f64]) -> Vec<f64> {
        match self {
            Self::Relu => x.iter().map(|&x| clip(x, 0.0, f64::INFINITY)).collect(),
            _ => x.iter().map(|&x| self.apply(x)).collect(),
        }
    }

    /// The function's value. A NaN gives NaN.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Relu => clip(x, 0.0, f64::INFINITY),
            Self::LeakyRelu { alpha } => {
                if x < 0.0 {
                    alpha * x
                } else {
                    x
                }
            }
            Self::Elu { alpha } => {
                if x < 0.0 {
                    alpha * libm::expm1(x)
                } else {
                    x
                }
            }
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => libm::tanh(x),
            Self::Erf => libm::erf(x),
            Self::Gelu(form) => gelu(form, x),
            Self::Silu => x * sigmoid(x),
            // ln(1 + exp(x)) without overflow: exp is only taken of what is not positive.
            Self::Softplus => clip(x, 0.0, f64::INFINITY) + libm::log1p(libm::exp(-libm::fabs(x))),
            Self::Selu { alpha, gamma } => gamma * Self::Elu { alpha }.apply(x),
            Self::Mish => x * libm::tanh(Self::Softplus.apply(x)),
            Self::HardSigmoid { slope, offset } => clip(slope * x + offset, 0.0, 1.0),
            Self::HardSwish => x * clip(x / 6.0 + 0.5, 0.0, 1.0),
            Self::Exp => libm::exp(x),
            Self::Reciprocal => 1.0 / x,
            Self::Sqrt => libm::sqrt(x),
            Self::ReciprocalSqrt => 1.0 / libm::sqrt(x),
            Self::Log => libm::log(x),
            Self::Abs => libm::fabs(x),
            Self::Sign if x > 0.0 => 1.0,
            Self::Sign if x < 0.0 => -1.0,
            // Zero and what is not a number stay as they are.
            Self::Sign => x,
            Self::Clip { min, max } => clip(x, min, max),
        }
    }
}

/// `f64::max` and `f64::min` would turn a NaN into a limit. `max` wins if it is below `min`, as ONNX has it.
fn clip(x: f64, min: f64, max: f64) -> f64 {
    let raised = if x < min { min } else { x };
    if raised > max { max } else { raised }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

fn gelu(form: Gelu, x: f64) -> f64 {
    match form {
        Gelu::Erf => 0.5 * x * (1.0 + libm::erf(x * FRAC_1_SQRT_2)),
        Gelu::Tanh => 0.5 * x * (1.0 + libm::tanh(libm::sqrt(2.0 / PI) * (x + 0.044_715 * x * x * x))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(function: Activation, cases: &[(f64, f64)]) {
        for &(x, expected) in cases {
            let found = function.apply(x);
            assert!(
                (found - expected).abs() < 1e-12,
                "{function:?}({x}) = {found}, not {expected}"
            );
        }
    }

    #[test]
    fn piecewise_functions_have_their_pieces() {
        check(Activation::Relu, &[(-2.0, 0.0), (3.0, 3.0)]);
        check(Activation::LeakyRelu { alpha: 0.1 }, &[(-2.0, -0.2), (3.0, 3.0)]);
        check(
            Activation::Elu { alpha: 2.0 },
            &[(-1.0, 2.0 * (1.0f64 / 1.0f64.exp() - 1.0)), (3.0, 3.0)],
        );
        check(
            Activation::Clip { min: -1.0, max: 6.0 },
            &[(-2.0, -1.0), (3.0, 3.0), (7.0, 6.0)],
        );
    }

    #[test]
    fn smooth_functions_have_published_values() {
        check(
            Activation::Sigmoid,
            &[(0.0, 0.5), (1.0, 0.731_058_578_630_004_9), (-800.0, 0.0)],
        );
        check(Activation::Tanh, &[(0.5, 0.462_117_157_260_009_8)]);
        check(Activation::Erf, &[(0.5, 0.520_499_877_813_046_5)]);
        check(Activation::Silu, &[(1.0, 0.731_058_578_630_004_9)]);
        check(
            Activation::Softplus,
            &[(0.0, std::f64::consts::LN_2), (800.0, 800.0), (-800.0, 0.0)],
        );
        check(
            Activation::Gelu(Gelu::Erf),
            &[(1.0, 0.841_344_746_068_542_9), (-1.0, -0.158_655_253_931_457_05)],
        );
        check(Activation::Gelu(Gelu::Tanh), &[(1.0, 0.841_191_990_608_306_9)]);
    }

    #[test]
    fn other_functions_have_their_values() {
        let selu = Activation::Selu {
            alpha: 1.6733,
            gamma: 1.0507,
        };
        check(
            selu,
            &[(2.0, 2.1014), (-1.0, -1.0507 * 1.6733 * (1.0 - (-1.0f64).exp()))],
        );
        check(Activation::Mish, &[(1.0, 0.865_098_388_267_310_3), (-60.0, 0.0)]);
        let hard = Activation::HardSigmoid {
            slope: 0.2,
            offset: 0.5,
        };
        check(hard, &[(-3.0, 0.0), (1.0, 0.7), (9.0, 1.0)]);
        check(Activation::HardSwish, &[(-4.0, 0.0), (3.0, 3.0), (0.6, 0.36)]);
        check(Activation::Exp, &[(1.0, std::f64::consts::E)]);
        check(Activation::Reciprocal, &[(-4.0, -0.25)]);
        check(Activation::Sqrt, &[(2.25, 1.5)]);
        check(Activation::ReciprocalSqrt, &[(0.25, 2.0)]);
        check(Activation::Log, &[(1.0, 0.0), (std::f64::consts::E, 1.0)]);
        check(Activation::Abs, &[(-2.5, 2.5)]);
        check(Activation::Sign, &[(-2.5, -1.0), (0.0, 0.0), (7.0, 1.0)]);
    }

    #[test]
    fn not_a_number_stays_so() {
        let functions = [
            Activation::Relu,
            Activation::LeakyRelu { alpha: 0.1 },
            Activation::Elu { alpha: 1.0 },
            Activation::Sigmoid,
            Activation::Tanh,
            Activation::Erf,
            Activation::Gelu(Gelu::Erf),
            Activation::Gelu(Gelu::Tanh),
            Activation::Silu,
            Activation::Softplus,
            Activation::Clip { min: 0.0, max: 6.0 },
            Activation::Selu { alpha: 1.0, gamma: 1.0 },
            Activation::Mish,
            Activation::HardSigmoid {
                slope: 0.2,
                offset: 0.5,
            },
            Activation::HardSwish,
            Activation::Exp,
            Activation::Reciprocal,
            Activation::Sqrt,
            Activation::ReciprocalSqrt,
            Activation::Log,
            Activation::Abs,
            Activation::Sign,
        ];
        assert!(functions.iter().all(|function| function.apply(f64::NAN).is_nan()));
    }
}
