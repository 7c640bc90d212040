//! Evaluation of polynomials in the Chebyshev basis: few products, the least depth, exact scales.
//!
//! A leaf `Σ c_k T_k` takes every `T_k` at the level at which it is ready: the ratio of the scales goes into the constants, so
//! that nothing is rescaled or dropped for it. Factors of products give up primes without a division, for which the same constants
//! make up. All products that are added at one level are relinearized and divided together.

use std::collections::BTreeMap;

use heron_params::{Level, ScalePower};

use crate::ciphertext::Ciphertext;
use crate::constant::Constant;
use crate::encoder::available_bits;
use crate::error::EvalError;
use crate::evaluator::{Evaluator, Finish};
use crate::parallel::for_each_limb_pair;
use crate::polynomial::{DICKSON, FIRST_GIANT, Polynomial, Split, basis_factors};
use crate::product_sum::ProductSum;

/// The computed `T_k`.
type Basis = BTreeMap<usize, Power>;

/// `factor · T_k`, at `Δ`.
struct Power {
    ciphertext: Ciphertext,
    factor: f64,
}

impl Power {
    /// The same power at a lower level, or at its own: what it decrypts to stays, and is read at the scale of that level.
    fn at(&self, eval: &Evaluator, level: Level) -> Self {
        let (from, params) = (&self.ciphertext, eval.ctx.params());
        if from.level == level {
            return Self {
                ciphertext: from.clone(),
                factor: self.factor,
            };
        }
        Self {
            ciphertext: Ciphertext {
                level,
                power: from.power,
                c0: eval.truncated(&from.c0, level),
                c1: eval.truncated(&from.c1, level),
            },
            factor: self.factor * params.scale(from.level) / params.scale(level),
        }
    }
}

impl Evaluator {
    /// Evaluates a polynomial in every slot.
    ///
    /// # Levels
    /// From `Δ` to `Δ`, [`Polynomial::depth`] levels down.
    ///
    /// # Cost
    /// Products of ciphertexts: 2 for degree 3, about `2 sqrt(d)` for degree `d`, fewer for even and odd polynomials; one key
    /// switch each, but for those that are added to others.
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
        self.split_value(&split, &basis, Level(a.level.0 - depth + 1), 1.0)
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
        let level = basis[&i].ciphertext.level.min(basis[&j].ciphertext.level);
        let (mut left, right) = (basis[&i].at(self, level), basis[&j].at(self, level));
        if left.factor * right.factor < DICKSON {
            left.ciphertext = self.add(&left.ciphertext, &left.ciphertext)?;
            left.factor *= 2.0;
        }
        let factor = left.factor * right.factor / 2.0;
        let mut sum = ProductSum::product(self, &left.ciphertext, &right.ciphertext);
        match basis.get(&(i - j)) {
            Some(lower) => self.add_multiple(&mut sum.lower, &lower.ciphertext, &[-factor / lower.factor])?,
            None => self.add_const_assign(&mut sum.lower, -factor)?,
        }
        let ciphertext = sum.finish(self, Finish::Rescale)?;
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

    /// A node of a split times a constant: computed at a level, and rescaled.
    fn split_value(&self, split: &Split, basis: &Basis, level: Level, constant: f64) -> Result<Ciphertext, EvalError> {
        let mut sum = ProductSum::zero(self, level);
        self.add_split(&mut sum, split, basis, constant)?;
        sum.finish(self, Finish::Rescale)
    }

    /// Adds a node of a split times a constant.
    fn add_split(&self, sum: &mut ProductSum, split: &Split, basis: &Basis, constant: f64) -> Result<(), EvalError> {
        let level = sum.lower.level;
        let times = |coefficient: &[f64], by: f64| coefficient.iter().map(|c| c * by).collect::<Vec<f64>>();
        match split {
            Split::Leaf(coefficients) => {
                for (k, coefficient) in coefficients.iter().enumerate().skip(1) {
                    if coefficient.iter().any(|&c| c != 0.0) {
                        let (power, by) = (&basis[&k], constant / basis[&k].factor);
                        self.add_multiple(&mut sum.lower, &power.ciphertext, &times(coefficient, by))?;
                    }
                }
                self.add_coefficient(&mut sum.lower, &times(&coefficients[0], constant))
            }
            Split::Product {
                giant,
                quotient,
                remainder,
            } => {
                self.add_split(sum, remainder, basis, constant)?;
                if let Some(factor) = quotient.constant() {
                    let (power, by) = (&basis[giant], constant / basis[giant].factor);
                    return self.add_multiple(&mut sum.lower, &power.ciphertext, &times(factor, by));
                }
                let power = basis[giant].at(self, level);
                let quotient = self.split_value(quotient, basis, Level(level.0 + 1), constant / power.factor)?;
                sum.add_product(self, &quotient, &power.ciphertext);
                Ok(())
            }
        }
    }

    /// Adds the constant term of a leaf.
    fn add_coefficient(&self, sum: &mut Ciphertext, coefficient: &[f64]) -> Result<(), EvalError> {
        match coefficient {
            [value] => self.add_const_assign(sum, *value),
            values => {
                let encoded = self.encoder.encode(values, sum.level, sum.power)?;
                self.add_limbs(&mut sum.c0, &encoded.poly);
                Ok(())
            }
        }
    }

    /// `sum += coefficient · term`, for a sum at `Δ²` and a term at `Δ` of the same or a higher level.
    fn add_multiple(&self, sum: &mut Ciphertext, term: &Ciphertext, coefficient: &[f64]) -> Result<(), EvalError> {
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
        Ok(())
    }
}
