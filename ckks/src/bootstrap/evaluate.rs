//! The bootstrap as a whole: both orders, real and complex vectors, full and sparse slots.

use std::sync::Arc;

use heron_params::bootstrap::{BootstrapParams, Factor, TransformOrder};

use super::automorphism::{conjugate, imaginary_unit, times_i};
use super::factor_matrix::Direction;
use super::keys::BootstrapKeys;
use super::raise::{lift, raise};
use super::reduction::Reduction;
use super::transform::{ComplexTransform, Half};
use crate::ciphertext::Ciphertext;
use crate::context::Context;
use crate::error::EvalError;
use crate::evaluation_keys::EvaluationKeys;
use crate::evaluator::Evaluator;
use crate::poly::Poly;

/// Evaluates one bootstrap variant; knows no secret.
pub struct Bootstrapper {
    params: BootstrapParams,
    keys: Arc<BootstrapKeys>,
    eval: Evaluator,
    to_slots: Vec<ComplexTransform>,
    to_coeffs: Vec<ComplexTransform>,
    unpack: Option<ComplexTransform>,
    reduction: Reduction,
    unit: Poly,
}

impl Bootstrapper {
    /// Prepares a variant for its ring; `cache_bytes` bounds the encoded diagonals that are kept from the first run on. The evaluation
    /// keys may be more than the variant needs.
    ///
    /// # Errors
    /// [`EvalError::OtherParameters`] if the ring is another one; [`EvalError::MissingRotationKey`],
    /// [`EvalError::MissingRelinearizeKey`].
    pub fn new(
        ctx: &Arc<Context>,
        params: BootstrapParams,
        evaluation: Arc<EvaluationKeys>,
        keys: Arc<BootstrapKeys>,
        cache_bytes: u64,
    ) -> Result<Self, EvalError> {
        if ctx.params() != params.chain() {
            return Err(EvalError::OtherParameters);
        }
        evaluation.check_covers(&params.key_spec().evaluation)?;
        Ok(Self {
            eval: Evaluator::with_cache(ctx.clone(), evaluation, cache_bytes),
            to_slots: to_slots(&params),
            to_coeffs: to_coeffs(&params),
            unpack: params
                .packs_parts()
                .then(|| ComplexTransform::unpack(u64::from(u32::MAX), params.log_slots())),
            reduction: Reduction::new(params.eval_mod())?,
            unit: imaginary_unit(ctx),
            params,
            keys,
        })
    }

    /// The variant.
    pub fn params(&self) -> &BootstrapParams {
        &self.params
    }

    /// The evaluator with the variant's keys.
    pub fn evaluator(&self) -> &Evaluator {
        &self.eval
    }

    /// Gives a ciphertext new levels. Slots repeat with the variant's period and are at most 1 in absolute value, as are both
    /// parts of complex ones; of real vectors the imaginary part is lost.
    ///
    /// # Levels
    /// From [`BootstrapParams::input_level`] or above, at `Δ`, to [`BootstrapParams::output_level`], at `Δ`.
    ///
    /// # Errors
    /// [`EvalError::NoSuchLevel`] for an operand that is too low, [`EvalError::WrongScale`] for one at `Δ²`.
    pub fn bootstrap(&self, a: &Ciphertext) -> Result<Ciphertext, EvalError> {
        self.eval.check_single(a)?;
        let operand = self.eval.drop_level(a, self.params.input_level())?;
        match self.params.order() {
            TransformOrder::SlotsToCoeffsFirst => {
                let coefficients = self.transform(&operand, &self.to_coeffs)?;
                self.refresh(&coefficients)
            }
            TransformOrder::CoeffsToSlotsFirst => {
                let slots = self.refresh(&operand)?;
                self.transform(&slots, &self.to_coeffs)
            }
        }
    }

    /// From a polynomial at level 0 to its coefficients in the slots, reduced modulo `q_0`.
    fn refresh(&self, a: &Ciphertext) -> Result<Ciphertext, EvalError> {
        let slots = self.raised_slots(a)?;
        let conjugated = conjugate(&self.eval, &slots, &self.keys.conjugation);
        let real = self.eval.add(&slots, &conjugated)?;
        let reduced = self.reduction.apply(&self.eval, &real)?;
        if let Some(unpack) = &self.unpack {
            return self.eval.linear_rescale(&reduced, unpack);
        }
        if self.params.n_reductions() == 1 {
            return Ok(reduced);
        }
        let imaginary = self.imaginary_part(&slots, &conjugated)?;
        let reduced_imaginary = self.reduction.apply(&self.eval, &imaginary)?;
        let turned = times_i(self.eval.context(), reduced_imaginary, &self.unit);
        self.eval.add(&reduced, &turned)
    }

    /// From a polynomial at level 0 to its raised coefficients in the slots.
    fn raised_slots(&self, a: &Ciphertext) -> Result<Ciphertext, EvalError> {
        let (keys, top) = (&self.keys.raise, self.params.top_level());
        match self.to_slots.split_first() {
            Some((first, others)) if self.params.raises_into_factor() => {
                let lifted = lift(&self.eval, keys, a);
                let applied = self.eval.linear_lifted((&lifted, &keys.from_sparse), top, first)?;
                self.transform(&self.traced(applied)?, others)
            }
            _ => {
                let raised = raise(&self.eval, keys, a, top)?;
                self.transform(&self.traced(raised)?, &self.to_slots)
            }
        }
    }

    /// The sum of the rotations that keeps the coefficients that the slots use.
    fn traced(&self, a: Ciphertext) -> Result<Ciphertext, EvalError> {
        let mut rotations = self.params.trace_rotations().into_iter();
        rotations.try_fold(a, |sum, by| self.eval.add(&sum, &self.eval.rotate(&sum, by)?))
    }

    /// `(slots - conjugated) / i`.
    fn imaginary_part(&self, slots: &Ciphertext, conjugated: &Ciphertext) -> Result<Ciphertext, EvalError> {
        let difference = self.eval.sub(conjugated, slots)?;
        Ok(times_i(self.eval.context(), difference, &self.unit))
    }

    fn transform(&self, a: &Ciphertext, factors: &[ComplexTransform]) -> Result<Ciphertext, EvalError> {
        factors
            .iter()
            .try_fold(a.clone(), |a, factor| self.eval.linear_rescale(&a, factor))
    }
}

/// The factors from a raised polynomial to half of `x / B`, amplified, in the slots.
fn to_slots(params: &BootstrapParams) -> Vec<ComplexTransform> {
    let chain = params.chain();
    let repeats = libm::exp2(f64::from(chain.log_n - 1 - params.log_slots()));
    let eval_mod = params.eval_mod();
    let constant = eval_mod.amplification * chain.scale(params.top_level())
        / (chain.q[0] as f64 * 2.0 * eval_mod.half_width() * repeats);
    let factors = params.coeffs_to_slots();
    transforms(params, factors, Direction::CoeffsToSlots, constant, 0)
}

/// The factors from slots to coefficients.
fn to_coeffs(params: &BootstrapParams) -> Vec<ComplexTransform> {
    let factors = params.slots_to_coeffs();
    transforms(params, factors, Direction::SlotsToCoeffs, params.lowering_factor(), 16)
}

/// Spreads a constant over all factors, so that none loses more precision than the others.
fn transforms(
    params: &BootstrapParams,
    factors: &[Factor],
    direction: Direction,
    constant: f64,
    first_id: u64,
) -> Vec<ComplexTransform> {
    let share = libm::pow(constant, 1.0 / factors.len() as f64);
    let half = |index: usize| match direction {
        Direction::CoeffsToSlots if params.packs_parts() && index + 1 == factors.len() => Half::TimesMinusI,
        Direction::CoeffsToSlots | Direction::SlotsToCoeffs => Half::Same,
    };
    let factors = factors.iter().enumerate();
    factors
        .map(|(i, factor)| {
            ComplexTransform::factor(
                first_id + i as u64,
                factor,
                direction,
                params.log_slots(),
                share,
                half(i),
            )
        })
        .collect()
}
