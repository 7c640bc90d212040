//! How a polynomial in the Chebyshev basis is evaluated on ciphertexts: depth, products, and the noise that they add.
//!
//! This is arithmetic only: the evaluator of `heron-ckks` splits the same way, and a test of `heron-runtime` compares the
//! counts. `T_k = 2 T_i T_j - T_(i-j)` with `k = i + j` and `i` the largest power of two below `k`; a polynomial is
//! `quotient · T_giant + remainder`, again and again, down to sums of at most `leaf` terms.
//!
//! # Source
//! K. Han, D. Ki (ePrint 2019/688) section 5 for the split; J.-P. Bossuat et al. (ePrint 2020/1203) section 5 for its depth.

use std::collections::{BTreeMap, BTreeSet};

/// How many levels a polynomial of a degree takes on an operand in `[-1, 1]`: `ceil(log2(degree + 1))`.
pub fn polynomial_depth(degree: u32) -> u32 {
    u32::BITS - degree.leading_zeros()
}

/// The value of `Σ c_k T_k(x)`, by Clenshaw's recurrence.
///
/// # Shapes
/// `coefficients`: `c_0, c_1, …`; none is the zero polynomial.
pub fn chebyshev_value(coefficients: &[f64], x: f64) -> f64 {
    let (mut after, mut next) = (0.0, 0.0);
    for &c in coefficients.iter().skip(1).rev() {
        (after, next) = (next, 2.0 * x * next - after + c);
    }
    x * next - after + coefficients.first().copied().unwrap_or(0.0)
}

/// The derivative of `Σ c_k T_k` at `x`: `Σ k c_k U_(k-1)(x)`.
pub fn chebyshev_derivative(coefficients: &[f64], x: f64) -> f64 {
    let (mut before, mut current, mut sum) = (0.0, 1.0, 0.0);
    for (k, &c) in coefficients.iter().enumerate().skip(1) {
        sum += k as f64 * c * current;
        (before, current) = (current, 2.0 * x * current - before);
    }
    sum
}

/// A polynomial as a tree of products.
#[derive(Clone, Debug, PartialEq)]
pub struct ChebyshevSplit {
    root: Part,
    basis: BTreeSet<usize>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    /// `Σ c_k T_k`.
    Leaf(Vec<f64>),
    /// `quotient · T_giant + remainder`.
    Product {
        giant: usize,
        quotient: Box<Part>,
        remainder: Box<Part>,
    },
}

/// Variances that single operations add, in message units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperationNoise {
    /// A relinearized product, at the square of the scale.
    pub product: f64,
    /// A rescale, or a drop of levels.
    pub rescale: f64,
    /// A coefficient, relative to what it multiplies.
    pub coefficient: f64,
}

impl ChebyshevSplit {
    /// The split with the fewest products of ciphertexts; the smallest leaves among equals.
    ///
    /// # Shapes
    /// `coefficients`: `c_0 … c_d` with `d >= 1`.
    pub fn cheapest(coefficients: &[f64]) -> Self {
        let depth = polynomial_depth(coefficients.len().saturating_sub(1).max(1) as u32);
        let candidates = (1..=depth).map(|log_leaf| Self::new(coefficients.to_vec(), depth - 1, 1 << log_leaf));
        candidates
            .min_by_key(Self::n_products)
            .expect("the depth is at least one")
    }

    fn new(coefficients: Vec<f64>, slack: u32, leaf: usize) -> Self {
        let root = Part::new(coefficients, slack, leaf);
        let mut basis = BTreeSet::new();
        root.visit(&mut |k| need(k, &mut basis));
        Self { root, basis }
    }

    /// Products of two ciphertexts.
    pub fn n_products(&self) -> usize {
        self.root.n_products() + self.basis.range(2..).count()
    }

    /// Divisions by the scale: one a product, and one for the result.
    pub fn n_rescales(&self) -> usize {
        self.n_products() + 1
    }

    /// Variance that the evaluation itself adds at operand `x`: the noise of every product and coefficient, carried to the
    /// result to first order. The operand's own noise comes on top, times the squared derivative.
    ///
    /// Sources are taken as independent, which they are but for what several terms share.
    pub fn added_variance(&self, x: f64, noise: OperationNoise) -> f64 {
        let mut terms = BTreeMap::from([(0, (1.0, 0.0)), (1, (x, 0.0))]);
        for &k in self.basis.range(2..) {
            let (i, j) = factors(k);
            let ((t_i, v_i), (t_j, v_j), (t_lower, v_lower)) = (terms[&i], terms[&j], terms[&(i - j)]);
            let carried = if i == j {
                16.0 * t_i * t_i * v_i
            } else {
                // The deeper factor stays, the other one drops to its level.
                4.0 * (t_j * t_j * v_i + t_i * t_i * (v_j + noise.rescale))
            };
            let variance = carried + v_lower + 4.0 * noise.product + noise.rescale;
            terms.insert(k, (2.0 * t_i * t_j - t_lower, variance));
        }
        self.root.value_and_variance(&terms, noise).1 + noise.rescale
    }
}

impl Part {
    /// Splits until leaves have degrees below `leaf` and terms that are ready `slack` levels below the operand.
    fn new(mut coefficients: Vec<f64>, slack: u32, leaf: usize) -> Self {
        while coefficients.len() > 1 && coefficients.last() == Some(&0.0) {
            coefficients.pop();
        }
        let degree = coefficients.len() - 1;
        let ready = |(k, &c): (usize, &f64)| k == 0 || c == 0.0 || k.next_power_of_two().trailing_zeros() <= slack;
        if degree < leaf && coefficients.iter().enumerate().all(ready) {
            return Self::Leaf(coefficients);
        }
        let giant = (degree + 1).next_power_of_two() / 2;
        let upper = coefficients.split_off(giant);
        for (i, c) in upper.iter().enumerate().skip(1) {
            coefficients[giant - i] -= c;
        }
        let doubled = |(i, c): (usize, f64)| if i == 0 { c } else { 2.0 * c };
        let quotient = upper.into_iter().enumerate().map(doubled).collect();
        Self::Product {
            giant,
            quotient: Box::new(Self::new(quotient, slack.saturating_sub(1), leaf)),
            remainder: Box::new(Self::new(coefficients, slack, leaf)),
        }
    }

    fn is_constant(&self) -> bool {
        matches!(self, Self::Leaf(coefficients) if coefficients.len() == 1)
    }

    fn visit(&self, needed: &mut dyn FnMut(usize)) {
        match self {
            Self::Leaf(coefficients) => {
                let terms = coefficients.iter().enumerate().skip(1).filter(|(_, c)| **c != 0.0);
                terms.for_each(|(k, _)| needed(k));
            }
            Self::Product {
                giant,
                quotient,
                remainder,
            } => {
                needed(*giant);
                quotient.visit(needed);
                remainder.visit(needed);
            }
        }
    }

    fn n_products(&self) -> usize {
        match self {
            Self::Leaf(_) => 0,
            Self::Product {
                quotient, remainder, ..
            } => usize::from(!quotient.is_constant()) + quotient.n_products() + remainder.n_products(),
        }
    }

    fn value_and_variance(&self, terms: &BTreeMap<usize, (f64, f64)>, noise: OperationNoise) -> (f64, f64) {
        match self {
            Self::Leaf(coefficients) => {
                let used = coefficients.iter().enumerate().filter(|(_, c)| **c != 0.0);
                used.fold((0.0, 0.0), |(value, variance), (k, c)| {
                    let (t, v) = terms[&k];
                    (value + c * t, variance + c * c * v + noise.coefficient * t * t)
                })
            }
            Self::Product {
                giant,
                quotient,
                remainder,
            } => {
                let (rest, rest_variance) = remainder.value_and_variance(terms, noise);
                let (q, mut q_variance) = quotient.value_and_variance(terms, noise);
                let (t, t_variance) = terms[giant];
                let mut product = noise.coefficient * t * t;
                if !quotient.is_constant() {
                    q_variance += noise.rescale;
                    product = noise.product;
                }
                let carried = t * t * q_variance + q * q * t_variance;
                (q * t + rest, carried + rest_variance + product)
            }
        }
    }
}

/// `(i, j)` with `T_k` from `T_i T_j`.
fn factors(k: usize) -> (usize, usize) {
    let i = k.next_power_of_two() / 2;
    (i, k - i)
}

/// Adds `T_k` and what it is computed from.
fn need(k: usize, needed: &mut BTreeSet<usize>) {
    if k == 0 || !needed.insert(k) || k == 1 {
        return;
    }
    let (i, j) = factors(k);
    [i, j, i - j].into_iter().for_each(|k| need(k, needed));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coefficients(degree: usize) -> Vec<f64> {
        (0..=degree).map(|k| libm::sin(k as f64 * 1.7) + 0.1).collect()
    }

    fn t(k: usize, x: f64) -> f64 {
        libm::cos(k as f64 * libm::acos(x))
    }

    #[test]
    fn clenshaw_is_the_sum_of_cosines() {
        for degree in 0..40 {
            let c = coefficients(degree);
            for x in [-1.0, -0.3, 0.0, 0.77, 1.0] {
                let want: f64 = c.iter().enumerate().map(|(k, c)| c * t(k, x)).sum();
                assert!((chebyshev_value(&c, x) - want).abs() < 1e-12, "degree {degree} at {x}");
            }
        }
        assert_eq!(chebyshev_value(&[], 0.5), 0.0);
    }

    #[test]
    fn the_derivative_is_the_slope() {
        let (c, step) = (coefficients(15), 1e-6);
        for x in [-0.9, -0.2, 0.4, 0.95] {
            let slope = (chebyshev_value(&c, x + step) - chebyshev_value(&c, x - step)) / (2.0 * step);
            // The central difference errs by the third derivative times the squared step.
            assert!((chebyshev_derivative(&c, x) - slope).abs() < 1e-5, "{x}");
        }
    }

    #[test]
    fn a_split_is_the_polynomial() {
        for degree in 1..70 {
            let c = coefficients(degree);
            let split = ChebyshevSplit::cheapest(&c);
            for x in [-0.8, 0.1, 0.6] {
                let terms: BTreeMap<usize, (f64, f64)> = (0..=degree).map(|k| (k, (t(k, x), 0.0))).collect();
                let silent = OperationNoise {
                    product: 0.0,
                    rescale: 0.0,
                    coefficient: 0.0,
                };
                let (value, variance) = split.root.value_and_variance(&terms, silent);
                assert!((value - chebyshev_value(&c, x)).abs() < 1e-9, "degree {degree} at {x}");
                assert_eq!(variance, 0.0);
            }
        }
    }

    #[test]
    fn depths_and_products_are_the_known_ones() {
        assert_eq!(
            [1, 2, 3, 4, 7, 8, 15, 16, 31].map(polynomial_depth),
            [1, 2, 2, 3, 3, 4, 4, 5, 5]
        );
        let products = |degree: usize| ChebyshevSplit::cheapest(&coefficients(degree)).n_products();
        assert_eq!([1, 2, 3, 7, 8].map(products), [0, 1, 2, 5, 5]);
    }

    #[test]
    fn noise_grows_with_every_doubling() {
        let noise = OperationNoise {
            product: 1e-12,
            rescale: 1e-12,
            coefficient: 0.0,
        };
        let single = |degree: usize| {
            let mut c = vec![0.0; degree + 1];
            c[degree] = 1.0;
            ChebyshevSplit::cheapest(&c).added_variance(1.0, noise)
        };
        assert!(
            single(2) < single(4) && single(4) < single(8),
            "{} {} {}",
            single(2),
            single(4),
            single(8)
        );
        assert!(single(1) < 1e-11);
    }
}
