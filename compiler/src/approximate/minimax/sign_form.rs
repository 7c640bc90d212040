//! Activations that are made of a sign: `x (a + b sign(x))`, with a composite for the sign.
//!
//! ```text
//! %2 = relu(%1)   →   %2 = affine(%1, 1/B)         folded into the layer before
//!                     %3 = polynomial(%2)          the composite's components,
//!                     %4 = polynomial(%3)          the last one times b
//!                     %5 = affine(%4, 1, a)        a sum, which takes no level
//!                     %6 = mul(%2, %5)
//!                     %7 = affine(%6, B)           folded into the layer after
//! ```

use std::sync::OnceLock;

use heron_params::chebyshev_value;

use crate::approximate::ApproximateOptions;
use crate::approximate::chebyshev::largest_error;
use crate::approximate::entries::{LayerSamples, mean};
use crate::approximate::fit_layer::{Form, LayerFit};
use crate::approximate::minimax::{Composite, CompositeError, MAX_ALPHA};
use crate::approximate::replacement::Replacement;
use crate::calibrate::{Interval, is_held_back};
use crate::nn::Activation;

/// An activation `x (offset + factor · p(x / bound))`, or without the product by `x`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SignForm {
    /// The sign's components on `[-1, 1]`, first applied first.
    pub(crate) components: Vec<Vec<f64>>,
    /// Largest operand.
    pub(crate) bound: f64,
    pub(crate) offset: f64,
    pub(crate) factor: f64,
    /// Whether the sum is multiplied by the operand.
    pub(crate) by_operand: bool,
}

impl SignForm {
    /// The form of a function, or `None` if it has no sign in it.
    fn of(function: Activation, composite: &Composite, bound: f64) -> Option<Self> {
        let (offset, factor, by_operand) = match function {
            Activation::Relu => (0.5, 0.5, true),
            Activation::LeakyRelu { alpha } => ((1.0 + alpha) / 2.0, (1.0 - alpha) / 2.0, true),
            Activation::Abs => (0.0, 1.0, true),
            Activation::Sign => (0.0, 1.0, false),
            Activation::Elu { .. }
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
            | Activation::Reciprocal
            | Activation::Sqrt
            | Activation::ReciprocalSqrt
            | Activation::Log
            | Activation::Clip { .. } => return None,
        };
        Some(Self {
            components: composite.components.clone(),
            bound,
            offset,
            factor,
            by_operand,
        })
    }

    /// Its value in clear.
    pub(crate) fn value(&self, x: f64) -> f64 {
        let sign = self
            .components
            .iter()
            .fold(x / self.bound, |u, c| chebyshev_value(c, u));
        let sum = self.offset + self.factor * sign;
        if self.by_operand { x * sum } else { sum }
    }

    /// Levels that it takes, its affine parts folded into the neighbours.
    pub(crate) fn depth(&self) -> u32 {
        let components = self.components.iter();
        let depth: u32 = components
            .map(|c| heron_params::polynomial_depth(c.len() as u32 - 1))
            .sum();
        depth + u32::from(self.by_operand)
    }
}

/// The composite of an accuracy. It is the same every time: computed once.
///
/// # Errors
/// Those of [`Composite::rectifier`].
pub fn rectifier_composite(alpha: u32) -> Result<&'static Composite, CompositeError> {
    static KNOWN: [OnceLock<Result<Composite, CompositeError>>; MAX_ALPHA as usize + 1] =
        [const { OnceLock::new() }; MAX_ALPHA as usize + 1];
    let known = KNOWN.get(alpha as usize).ok_or(CompositeError::Accuracy(alpha))?;
    known
        .get_or_init(|| Composite::rectifier(alpha))
        .as_ref()
        .map_err(|error| *error)
}

/// Fits a layer by a composite on the interval of all its samples.
///
/// # Errors
/// Why the function has none.
pub(crate) fn fit_composite(
    function: Activation,
    layer: LayerSamples<'_>,
    options: &ApproximateOptions,
    alpha: u32,
) -> Result<LayerFit, String> {
    let composite = rectifier_composite(alpha).map_err(|error| error.to_string())?;
    let seen = Interval::of(layer.operands.iter().flatten().copied()).magnitude();
    let bound = if seen > 0.0 { options.margin * seen } else { 1.0 };
    let form = SignForm::of(function, composite, bound).ok_or("only functions made of a sign have a composite")?;
    let interval = Interval {
        min: -bound,
        max: bound,
    };
    let fitted = layer.operands.iter().zip(layer.targets).enumerate();
    let fitted = fitted.filter(|&(sample, _)| !is_held_back(sample));
    let pairs = fitted.flat_map(|(_, (operands, targets))| operands.iter().zip(targets));
    let square = |x: f64| x * x;
    Ok(LayerFit {
        form: Form::Composite,
        rule: format!(
            "composite minimax of degrees {:?}, accuracy 2^-{alpha}",
            composite.degrees()
        ),
        reason: format!("{} levels for the sign, one for the product", composite.depth()),
        interval,
        coefficients: Vec::new(),
        mse: mean(pairs.map(|(&x, &target)| square(target - form.value(x)))),
        max_error: largest_error(|x| function.apply(x), |x| form.value(x), interval),
        exceedance: 0.0,
        replacement: Replacement::Composite(form),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_made_of_a_sign_are_within_the_accuracy() {
        let composite = rectifier_composite(8).expect("it is offered");
        for function in [Activation::Relu, Activation::LeakyRelu { alpha: 0.1 }, Activation::Abs] {
            let form = SignForm::of(function, composite, 5.0).expect("it has a sign");
            for i in -500..=500 {
                let x = f64::from(i) / 100.0;
                let error = (form.value(x) - function.apply(x)).abs();
                // A magnitude is twice a rectifier.
                assert!(error <= 2.0 * 5.0 * libm::exp2(-8.0), "{function:?} at {x}: {error}");
            }
            assert_eq!(form.depth(), composite.depth() + 1);
        }
        assert_eq!(SignForm::of(Activation::Tanh, composite, 1.0), None);
    }
}
