//! Sums of products of ciphertexts that are relinearized and divided once.
//!
//! A product has three components; the third is switched back to two. Sums are taken before that, at `Δ²`, so that a sum of many
//! products and multiples costs one key switch and one division.

use heron_params::{Level, ScalePower};

use crate::ciphertext::Ciphertext;
use crate::error::EvalError;
use crate::evaluator::{Evaluator, Finish};
use crate::key_switch::Decomposition;
use crate::parallel::{for_each_limb_pair, for_each_limb_triple};
use crate::poly::Poly;

/// A sum at `Δ²`, its products not relinearized.
pub(crate) struct ProductSum {
    /// The components that a ciphertext has.
    pub(crate) lower: Ciphertext,
    /// The third, if there is a product.
    top: Option<Poly>,
}

impl ProductSum {
    /// Zero at a level.
    pub(crate) fn zero(eval: &Evaluator, level: Level) -> Self {
        let mut lower = eval.blank_ciphertext(level, ScalePower::Two);
        for_each_limb_pair(&mut lower.c0, &mut lower.c1, |_, c0, c1| {
            c0.fill(0);
            c1.fill(0);
        });
        Self { lower, top: None }
    }

    /// The product of two ciphertexts of one level, at `Δ`.
    pub(crate) fn product(eval: &Evaluator, a: &Ciphertext, b: &Ciphertext) -> Self {
        let level = a.level;
        let mut lower = eval.blank_ciphertext(level, ScalePower::Two);
        let mut top = eval.blank(level);
        for_each_limb_triple([&mut lower.c0, &mut lower.c1, &mut top], |i, out| {
            let prime = eval.ctx.prime(i);
            prime.tensor([a.c0.limb(i), a.c1.limb(i)], [b.c0.limb(i), b.c1.limb(i)], out);
        });
        Self { lower, top: Some(top) }
    }

    /// Adds the product of two ciphertexts of the sum's level, at `Δ`.
    pub(crate) fn add_product(&mut self, eval: &Evaluator, a: &Ciphertext, b: &Ciphertext) {
        let product = Self::product(eval, a, b);
        self.top = match (self.top.take(), product.top) {
            (Some(mut sum), Some(top)) => {
                eval.add_limbs(&mut sum, &top);
                Some(sum)
            }
            (sum, top) => sum.or(top),
        };
        eval.add_limbs(&mut self.lower.c0, &product.lower.c0);
        eval.add_limbs(&mut self.lower.c1, &product.lower.c1);
    }

    /// The sum as a ciphertext, divided as asked.
    ///
    /// # Errors
    /// [`EvalError::MissingRelinearizeKey`] for a sum with products; [`EvalError::NoSuchLevel`].
    pub(crate) fn finish(self, eval: &Evaluator, finish: Finish) -> Result<Ciphertext, EvalError> {
        let Self { lower, top } = self;
        let level = lower.level;
        let Some(top) = top else {
            return match finish {
                Finish::Keep => Ok(lower),
                Finish::Rescale => eval.rescale(&lower),
            };
        };
        let (result_level, power) = eval.finished_state(level, finish)?;
        let key = eval.keys.relinearize_key(level)?;
        let switched = Decomposition::new(&eval.ctx, level, &top).switch(key, [Some(&lower.c0), Some(&lower.c1)]);
        let (c0, c1) = eval.finish(level, &switched, finish);
        Ok(Ciphertext {
            level: result_level,
            power,
            c0,
            c1,
        })
    }
}
