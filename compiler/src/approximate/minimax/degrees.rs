//! Which degrees a composite sign needs: the fewest levels, and for each number of levels the fewest products.
//!
//! # Source
//! E. Lee, J.-W. Lee, J.-S. No, Y.-S. Kim, *Minimax approximation of sign function by composite polynomial for homomorphic
//! comparison*, algorithms ComputeMinDep and ComputeMinMultDegs; arXiv 2105.10879 for rectifiers.

use std::collections::BTreeMap;

use heron_params::polynomial_depth;

use crate::approximate::minimax::real::Real;
use crate::approximate::minimax::remez::{Fit, RemezError, Target, remez};

/// The highest degree of one component.
pub const MAX_COMPONENT_DEGREE: u32 = 31;

/// The best odd polynomial of a degree for the constant one on `[low, high]`, hence for the sign on both sides of zero.
///
/// The fit is in `x²`: multiply by `x`.
///
/// # Errors
/// [`RemezError`].
pub(crate) fn best_odd<R: Real>(
    degree: u32,
    (low, high): (f64, f64),
    start: Option<&[f64]>,
) -> Result<Fit<R>, RemezError> {
    let target = |x: &R| Target {
        variable: x.times(x),
        value: R::from_f64(1.0).over(x),
        weight: x.clone(),
    };
    remez(&target, &[(low, high)], (degree as usize - 1) / 2, start)
}

/// What products an odd polynomial of a degree costs.
pub type ProductCost = fn(u32) -> u32;

/// Products of our evaluator, by odd degree.
pub fn our_products(degree: u32) -> u32 {
    use heron_plan::{ConstId, Parity, SlotPolynomial};
    let poly = SlotPolynomial {
        coefficients: ConstId(0),
        degree,
        parity: Parity::Odd,
        layout: None,
    };
    poly.counts().ciphertext_products as u32
}

/// Degrees of a composite, first component first, and what they cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Degrees {
    /// Degree of every component.
    pub components: Vec<u32>,
    /// Levels of all components.
    pub depth: u32,
    /// Products of all components.
    pub products: u32,
}

/// How far from the sign an operand may be so that so many products and levels bring it within `2^(1 - alpha)`.
///
/// `reach[m][n]` is the largest `t` such that `[1 - t, 1 + t]` is mapped into `[1 - 2^(1-alpha), 1 + 2^(1-alpha)]` by a
/// composite of at most `m` products and `n` levels, and the degree of its first component.
#[derive(Clone, Debug)]
pub struct DegreeTable {
    reach: Vec<Vec<(f64, Option<u32>)>>,
    cost: ProductCost,
}

impl DegreeTable {
    /// The table of an accuracy for up to `max_products` and `max_depth`.
    ///
    /// # Errors
    /// [`RemezError::Unsettled`], which no accuracy up to 2^-20 has shown.
    ///
    /// # Cost
    /// Some thousand minimax fits in f64: about a second for an accuracy of 2^-14.
    pub fn new(alpha: u32, max_products: u32, max_depth: u32, cost: ProductCost) -> Result<Self, RemezError> {
        let goal = libm::exp2(1.0 - f64::from(alpha));
        let mut inverse = InverseError::default();
        let mut reach = vec![vec![(goal, None); max_depth as usize + 1]; max_products as usize + 1];
        for m in 2..=max_products {
            for n in 2..=max_depth {
                let mut best: (f64, Option<u32>) = (goal, None);
                for degree in (3..=MAX_COMPONENT_DEGREE).step_by(2) {
                    let (products, depth) = (cost(degree), polynomial_depth(degree));
                    if products > m || depth > n {
                        continue;
                    }
                    let (after, _) = reach[(m - products) as usize][(n - depth) as usize];
                    let before = inverse.of(degree, after)?;
                    if before > best.0 {
                        best = (before, Some(degree));
                    }
                }
                reach[m as usize][n as usize] = best;
            }
        }
        Ok(Self { reach, cost })
    }

    /// The degrees with the fewest levels that map `[epsilon, 1]` where it should go, and then, level by level, those with
    /// fewer products: the trade-off. Each has fewer products than the one before.
    pub fn trade_off(&self, epsilon: f64) -> Vec<Degrees> {
        let wanted = (1.0 - epsilon) / (1.0 + epsilon);
        let max_depth = self.reach[0].len() - 1;
        let mut found: Vec<Degrees> = Vec::new();
        for depth in 0..=max_depth {
            let products = self.reach.iter().position(|row| row[depth].0 >= wanted);
            let Some(products) = products else { continue };
            if found.last().is_none_or(|last| (products as u32) < last.products) {
                found.push(self.degrees(products, depth));
            }
        }
        found
    }

    fn degrees(&self, mut products: usize, mut depth: usize) -> Degrees {
        let mut components = Vec::new();
        while let (_, Some(degree)) = self.reach[products][depth] {
            components.push(degree);
            products -= (self.cost)(degree) as usize;
            depth -= polynomial_depth(degree) as usize;
        }
        Degrees {
            depth: components.iter().map(|&degree| polynomial_depth(degree)).sum(),
            products: components.iter().map(|&degree| (self.cost)(degree)).sum(),
            components,
        }
    }
}

/// For which `t` the best odd polynomial has a given error on `[1 - t, 1 + t]`; every answer is kept.
#[derive(Default)]
struct InverseError {
    known: BTreeMap<(u32, u64), f64>,
}

impl InverseError {
    fn of(&mut self, degree: u32, error: f64) -> Result<f64, RemezError> {
        if let Some(&known) = self.known.get(&(degree, error.to_bits())) {
            return Ok(known);
        }
        let found = inverse_error(degree, error)?;
        self.known.insert((degree, error.to_bits()), found);
        Ok(found)
    }
}

/// Solves for `u = log2 of (1 - t) / (1 + t)`, in which the logarithm of the error is nearly linear, by bisection that
/// tries the chord first.
fn inverse_error(degree: u32, error: f64) -> Result<f64, RemezError> {
    const SETTLED: f64 = 1e-10;
    // log(error / (1 - error)) as a function of u falls, and is zero far from both ends.
    let logit = |e: f64| libm::log(e / (1.0 - e));
    let excess =
        |u: f64| best_odd::<f64>(degree, (libm::exp2(u), 1.0), None).map(|fit| logit(fit.error) - logit(error));
    let (mut low, mut high) = (-40.0f64, -1e-3f64);
    let (mut at_low, mut at_high) = (logit(1.0 - 1e-12), logit(1e-12));
    let mut side = 0;
    while high - low > SETTLED {
        let chord = low + (high - low) * at_low / (at_low - at_high);
        let middle = if chord > low && chord < high {
            chord
        } else {
            (low + high) / 2.0
        };
        let value = excess(middle)?;
        if value.abs() < SETTLED {
            (low, high) = (middle, middle);
        } else if value > 0.0 {
            (low, at_low) = (middle, value);
            // The end that stays twice counts half: the Illinois rule.
            at_high = if side == 1 { at_high / 2.0 } else { at_high };
            side = 1;
        } else {
            (high, at_high) = (middle, value);
            at_low = if side == -1 { at_low / 2.0 } else { at_low };
            side = -1;
        }
    }
    let ratio = libm::exp2((low + high) / 2.0);
    Ok((1.0 - ratio) / (1.0 + ratio))
}

#[cfg(test)]
mod tests;
