//! What there is to say about an activation that became a polynomial.

use serde::{Deserialize, Serialize};

use crate::approximate::Form;
use crate::approximate::form;
use crate::approximate::ranges::Reach;
use crate::calibrate::Interval;
use crate::nn::{self, Granularity};

/// The range of one coefficient over a layer's polynomials.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoefficientRange {
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
}

/// How one activation became a polynomial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActivationReport {
    /// Name of the ONNX node.
    pub node: String,
    /// The function.
    pub function: String,
    /// How its coefficients were found.
    pub rule: String,
    /// What one polynomial covers.
    pub granularity: String,
    /// How many polynomials there are.
    pub polynomials: usize,
    /// The widest interval that a polynomial was fitted on.
    pub interval: Interval,
    /// Coefficients from the constant term up: their ranges over the polynomials.
    pub coefficients: Vec<CoefficientRange>,
    /// Mean squared error against the exact network's activations on the samples fitted.
    pub mse: f64,
    /// Largest error against the function on the intervals.
    pub max_error: f64,
    /// Fraction of held-back operands outside their interval.
    pub exceedance: f64,
    /// How far the polynomial network takes the operand.
    #[serde(default)]
    pub reach: Reach,
    /// How the polynomial is evaluated.
    pub form: Form,
    /// Levels that it takes; a line is merged into its neighbours and takes none.
    #[serde(default)]
    pub depth: u32,
    /// Why so.
    pub reason: String,
}

impl ActivationReport {
    /// The polynomial in a few words, as a note beside the line that computes it.
    pub fn note(&self) -> String {
        let single = |form: &str| format!("{} {form}", self.node);
        let many = if self.polynomials == 1 {
            ""
        } else {
            ", one polynomial a channel"
        };
        match (self.form, self.coefficients.as_slice()) {
            (Form::Folded, [c0, c1, c2]) if self.polynomials == 1 => {
                let folded = form::fold([c0.min, c1.min, c2.min]);
                let sign = if folded.sign < 0.0 { "-" } else { "" };
                single(&format!(
                    "as {sign}({:.3}x{:+.3})²{:+.3}, folded into its neighbours",
                    folded.g, folded.d, folded.k
                ))
            }
            (Form::Folded, _) => single(&format!("as one square, folded into its neighbours{many}")),
            (Form::Linear, _) => single("as a line, merged into its neighbours"),
            (Form::TwoLevel, _) => single(&format!("as x(c2 x + c1) + c0{many}")),
            (Form::Composite, _) => single("by a composite sign"),
            (Form::Products, _) => single("by products of powers"),
            (Form::Chebyshev, coefficients) => {
                let degree = coefficients.len().saturating_sub(1);
                single(&format!("as Chebyshev polynomials of degree {degree}{many}"))
            }
        }
    }
}

pub(crate) fn function_name(function: nn::Activation) -> String {
    match function {
        nn::Activation::Relu => "relu".to_owned(),
        nn::Activation::LeakyRelu { alpha } => format!("leaky relu, slope {alpha}"),
        nn::Activation::Elu { alpha } => format!("elu, alpha {alpha}"),
        nn::Activation::Sigmoid => "sigmoid".to_owned(),
        nn::Activation::Erf => "error function".to_owned(),
        nn::Activation::Tanh => "tanh".to_owned(),
        nn::Activation::Gelu(nn::Gelu::Erf) => "gelu".to_owned(),
        nn::Activation::Gelu(nn::Gelu::Tanh) => "gelu (tanh form)".to_owned(),
        nn::Activation::Silu => "silu".to_owned(),
        nn::Activation::Softplus => "softplus".to_owned(),
        nn::Activation::Selu { alpha, gamma } => format!("selu, alpha {alpha}, gamma {gamma}"),
        nn::Activation::Mish => "mish".to_owned(),
        nn::Activation::HardSigmoid { slope, offset } => format!("hard sigmoid, slope {slope}, offset {offset}"),
        nn::Activation::HardSwish => "hard swish".to_owned(),
        nn::Activation::Exp => "exponential".to_owned(),
        nn::Activation::Reciprocal => "reciprocal".to_owned(),
        nn::Activation::Sqrt => "square root".to_owned(),
        nn::Activation::ReciprocalSqrt => "reciprocal square root".to_owned(),
        nn::Activation::Log => "logarithm".to_owned(),
        nn::Activation::Abs => "magnitude".to_owned(),
        nn::Activation::Sign => "sign".to_owned(),
        nn::Activation::Clip { min, max } => format!("clip to [{min}, {max}]"),
    }
}

/// How a granularity is called in options and reports.
pub fn granularity_name(granularity: Granularity) -> &'static str {
    match granularity {
        Granularity::Tensor => "tensor",
        Granularity::Channel => "channel",
        Granularity::Element => "element",
    }
}
