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
use crate::polynomial::{DICKSON, FIRST_GIANT, Polynomial, Split, basis_factors};

/// The computed `T_k`.
type Basis = BTreeMap<usize, Power>;

/// `factor · T_k`, at `Δ`.
struct Power {
    ciphertext: Ciphertext,
    factor: f64,
}

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
        let operand = Power {
            ciphertext: mapped,
            factor: polynomial.amplification(),
        };
        let basis = self.chebyshev_basis(operand, &split)?;
        let result = self.split_sum(&split, &basis, Level(a.level.0 - depth + 1), 1.0)?;
        self.rescale(&result)
    }

    /// Computes the `T_k` that a split needs.
    fn chebyshev_basis(&self, operand: Power, split: &Split) -> Result<Basis, EvalError> {
        let amplified = operand.factor > DICKSON;
        let mut basis = Basis::from([(1, operand)]);
        // Ascending, so that the factors are there.
        for &k in split.basis().range(2..) {
            let power = self.next_power(k, &basis)?;
            let is_large = amplified && k >= FIRST_GIANT && power.factor > DICKSON * DICKSON;
            basis.insert(k, if is_large { self.normalized(&power)? } else { power });
        }
        Ok(basis)
    }

    /// `T_k = 2 T_i T_j - T_(i-j)`, multiplied by the product of the operands' factors instead of 2 unless they are too small.
    fn next_power(&self, k: usize, basis: &Basis) -> Result<Power, EvalError> {
        let (i, j) = basis_factors(k);
        let (left, right) = (&basis[&i], &basis[&j]);
        let level = left.ciphertext.level.min(right.ciphertext.level);
        let first = self.drop_level(&left.ciphertext, level)?;
        let mut product = if i == j {
            self.square(&first)
        } else {
            self.mul(&first, &self.drop_level(&right.ciphertext, level)?)
        }?;
        let mut factor = left.factor * right.factor / 2.0;
        if factor < 1.0 {
            product = self.add(&product, &product)?;
            factor *= 2.0;
        }
        let difference = match basis.get(&(i - j)) {
            Some(lower) => self.add_multiple(product, &lower.ciphertext, &[-factor / lower.factor])?,
            None => self.add_const(&product, -factor)?,
        };
        let ciphertext = self.rescale(&difference)?;
        Ok(Power { ciphertext, factor })
    }

    /// The same power, brought back to the size `2 T_k` by a product with an integer; its factor is known exactly.
    fn normalized(&self, power: &Power) -> Result<Power, EvalError> {
        let scale = self.ctx.params().scale(power.ciphertext.level);
        let integer = (DICKSON / power.factor * scale).round_ties_even();
        let shrunk = self.mul_const(&power.ciphertext, integer / scale)?;
        Ok(Power {
            ciphertext: self.rescale(&shrunk)?,
            factor: power.factor * integer / scale,
        })
    }

    /// A node of a split times a constant, at a level, at `Δ²`.
    fn split_sum(&self, split: &Split, basis: &Basis, level: Level, constant: f64) -> Result<Ciphertext, EvalError> {
        let times = |coefficient: &[f64], by: f64| coefficient.iter().map(|c| c * by).collect::<Vec<f64>>();
        match split {
            Split::Leaf(coefficients) => {
                let mut sum = self.zero(level);
                for (k, coefficient) in coefficients.iter().enumerate().skip(1) {
                    if coefficient.iter().any(|&c| c != 0.0) {
                        let power = &basis[&k];
                        sum =
                            self.add_multiple(sum, &power.ciphertext, &times(coefficient, constant / power.factor))?;
                    }
                }
                self.add_coefficient(&sum, &times(&coefficients[0], constant))
            }
            Split::Product {
                giant,
                quotient,
                remainder,
            } => {
                let rest = self.split_sum(remainder, basis, level, constant)?;
                let power = &basis[giant];
                let constant = constant / power.factor;
                if let Some(factor) = quotient.constant() {
                    return self.add_multiple(rest, &power.ciphertext, &times(factor, constant));
                }
                let quotient = self.split_sum(quotient, basis, Level(level.0 + 1), constant)?;
                let product = self.mul(&self.rescale(&quotient)?, &self.drop_level(&power.ciphertext, level)?)?;
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
