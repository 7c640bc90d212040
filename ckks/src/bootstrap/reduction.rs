//! The modular reduction: from `x = t / q_0 + I` in the slots to `t`, by a cosine, double angles and a correction.

use heron_params::bootstrap::{Correction, EvalMod};

use crate::ciphertext::Ciphertext;
use crate::error::EvalError;
use crate::evaluator::Evaluator;
use crate::polynomial::Polynomial;

/// The polynomials and constants of one modular reduction.
pub(super) struct Reduction {
    cosine: Polynomial,
    /// What each double angle subtracts.
    offsets: Vec<f64>,
    correction: Option<Polynomial>,
    /// What turns `x / B` into `(x - 1/4) / B`, both amplified.
    phase: f64,
}

impl Reduction {
    pub(super) fn new(eval_mod: &EvalMod) -> Result<Self, EvalError> {
        let factors = eval_mod.factors(eval_mod.gain());
        let cosine: Vec<f64> = eval_mod.coefficients().iter().map(|c| c * factors[0]).collect();
        Ok(Self {
            cosine: Polynomial::chebyshev(&cosine, (-1.0, 1.0))?.amplified(eval_mod.amplification)?,
            offsets: factors[1..].to_vec(),
            correction: correction(eval_mod)?,
            phase: -0.25 / eval_mod.half_width() * eval_mod.amplification,
        })
    }

    /// Takes `x / B`, amplified, to the message.
    pub(super) fn apply(&self, eval: &Evaluator, x: &Ciphertext) -> Result<Ciphertext, EvalError> {
        let cosine = eval.polynomial(&eval.add_const(x, self.phase)?, &self.cosine)?;
        let sine = self.offsets.iter().try_fold(cosine, |y, offset| {
            let mut next = eval.square_rescale(&y)?;
            eval.add_const_assign(&mut next, -offset)?;
            Ok::<_, EvalError>(next)
        })?;
        match &self.correction {
            Some(polynomial) => eval.polynomial(&sine, polynomial),
            None => Ok(sine),
        }
    }
}

/// `y + y³ / (6 gain²)`, where `y` is the gain times a sine.
fn correction(eval_mod: &EvalMod) -> Result<Option<Polynomial>, EvalError> {
    match eval_mod.correction {
        Correction::None => Ok(None),
        Correction::Arcsine => {
            let cubic = 1.0 / (6.0 * eval_mod.gain() * eval_mod.gain());
            let coefficients = [0.0, 1.0 + 0.75 * cubic, 0.0, 0.25 * cubic];
            Polynomial::chebyshev(&coefficients, (-1.0, 1.0)).map(Some)
        }
    }
}
