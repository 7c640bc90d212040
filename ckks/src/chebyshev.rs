//! Evaluation of polynomials in the Chebyshev basis: few products, the least depth, exact scales.
//!
//! A leaf `Σ c_k T_k` takes every `T_k` at the level at which it is ready: the ratio of the scales goes into the constants, so
//! that nothing is rescaled or dropped for it.

use std::collections::BTreeMap;

use heron_params::{Level, ScalePower};

use crate::ciphertext::Ciphertext;
use crate::constant::Constant;
use crate::encoder::available_bits;
use crate::error::EvalError;
use crate::evaluator::Evaluator;
use crate::parallel::for_each_limb_pair;
use crate::polynomial::{Polynomial, Split, basis_factors};

/// The computed `T_k`, at `Δ`.
type Basis = BTreeMap<usize, Ciphertext>;

impl Evaluator {
    /// Evaluates a polynomial in every slot.
    ///
    /// # Levels
    /// From `Δ` to `Δ`, [`Polynomial::depth`] levels down.
    ///
    /// # Cost
    /// Products of ciphertexts: 2 for degree 3, about `2 sqrt(d)` for degree `d`, fewer for even and odd polynomials.
    ///
    /// # Errors
    /// As the operations it is made of; [`EvalError::NoSuchLevel`] if there are not enough levels.
    ///
    /// # Source
    /// K. Han, D. Ki (ePrint 2019/688) section 5 for the baby-step giant-step split in this basis; J.-P. Bossuat et al.
    /// (ePrint 2020/1203) section 5 for the depth of the leading quotients. Constants that correct scales are ours.
    pub fn polynomial(&self, a: &Ciphertext, polynomial: &Polynomial) -> Result<Ciphertext, EvalError> {
        self.check_single(a)?;
        let depth = polynomial.depth();
        if depth > a.level.0 {
            return Err(EvalError::NoSuchLevel {
                from: a.level,
                to: Level(0),
            });
        }
        let mapped = match polynomial.affine_map() {
            Some((factor, offset)) => self.add_const(&self.rescale(&self.mul_const(a, factor)?)?, offset)?,
            None => a.clone(),
        };
        let split = polynomial.split();
        let basis = self.chebyshev_basis(mapped, &split)?;
        let result = self.split_sum(&split, &basis, Level(a.level.0 - depth + 1))?;
        self.rescale(&result)
    }

    /// Computes the `T_k` that a split needs.
    fn chebyshev_basis(&self, operand: Ciphertext, split: &Split) -> Result<Basis, EvalError> {
        let mut basis = Basis::from([(1, operand)]);
        // Ascending, so that the factors are there.
        for k in split.basis().range(2..) {
            let (i, j) = basis_factors(*k);
            let level = basis[&i].level.min(basis[&j].level);
            let left = self.drop_level(&basis[&i], level)?;
            let product = if i == j {
                self.square(&left)
            } else {
                self.mul(&left, &self.drop_level(&basis[&j], level)?)
            }?;
            let doubled = self.add(&product, &product)?;
            let difference = match basis.get(&(i - j)) {
                Some(lower) => self.add_multiple(doubled, lower, &[-1.0])?,
                None => self.add_const(&doubled, -1.0)?,
            };
            basis.insert(*k, self.rescale(&difference)?);
        }
        Ok(basis)
    }

    /// A node of a split at a level, at `Δ²`.
    fn split_sum(&self, split: &Split, basis: &Basis, level: Level) -> Result<Ciphertext, EvalError> {
        match split {
            Split::Leaf(coefficients) => {
                let mut sum = self.zero(level);
                for (k, coefficient) in coefficients.iter().enumerate().skip(1) {
                    if coefficient.iter().any(|&c| c != 0.0) {
                        sum = self.add_multiple(sum, &basis[&k], coefficient)?;
                    }
                }
                self.add_coefficient(&sum, &coefficients[0])
            }
            Split::Product {
                giant,
                quotient,
                remainder,
            } => {
                let rest = self.split_sum(remainder, basis, level)?;
                if let Some(factor) = quotient.constant() {
                    return self.add_multiple(rest, &basis[giant], factor);
                }
                let quotient = self.rescale(&self.split_sum(quotient, basis, Level(level.0 + 1))?)?;
                let product = self.mul(&quotient, &self.drop_level(&basis[giant], level)?)?;
                self.add(&product, &rest)
            }
        }
    }

    /// Zero, at `Δ²`.
    fn zero(&self, level: Level) -> Ciphertext {
        let mut zero = Ciphertext {
            level,
            power: ScalePower::Two,
            c0: self.blank(level),
            c1: self.blank(level),
        };
        for_each_limb_pair(&mut zero.c0, &mut zero.c1, |_, c0, c1| {
            c0.fill(0);
            c1.fill(0);
        });
        zero
    }

    /// Adds the constant term of a leaf.
    fn add_coefficient(&self, sum: &Ciphertext, coefficient: &[f64]) -> Result<Ciphertext, EvalError> {
        match coefficient {
            [value] => self.add_const(sum, *value),
            values => self.add_plain(sum, values),
        }
    }

    /// `sum + coefficient · term`, for a sum at `Δ²` and a term at `Δ` of the same or a higher level.
    fn add_multiple(
        &self,
        mut sum: Ciphertext,
        term: &Ciphertext,
        coefficient: &[f64],
    ) -> Result<Ciphertext, EvalError> {
        let (ctx, level) = (&self.ctx, sum.level);
        let params = ctx.params();
        let scale = params.scale_of(level, ScalePower::Two) / params.scale(term.level);
        match coefficient {
            [value] => {
                let factor = Constant::integer(value * scale);
                for_each_limb_pair(&mut sum.c0, &mut sum.c1, |i, c0, c1| {
                    let residue = factor.residue(ctx.prime(i));
                    ctx.prime(i).mul_scalar_add_assign(c0, term.c0.limb(i), residue);
                    ctx.prime(i).mul_scalar_add_assign(c1, term.c1.limb(i), residue);
                });
            }
            values => {
                let integers = ctx.codec.integers(values, scale, level, available_bits(ctx, level)?)?;
                for_each_limb_pair(&mut sum.c0, &mut sum.c1, |i, c0, c1| {
                    let mut factor = ctx.pool.take(ctx.n());
                    integers.reduce(ctx.prime(i), &mut factor);
                    ctx.prime(i).mul_add_assign(c0, term.c0.limb(i), &factor);
                    ctx.prime(i).mul_add_assign(c1, term.c1.limb(i), &factor);
                });
            }
        }
        Ok(sum)
    }
}
