//! Polynomials in the Chebyshev basis, and how one is split so that it can be evaluated in the least depth.

use std::collections::BTreeSet;

use crate::error::EvalError;

/// A polynomial `Σ c_k T_k(u)` with `u = (2 x - a - b) / (b - a)` on an interval `[a, b]`, whose coefficients are the same for
/// all slots or differ from slot to slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Polynomial {
    /// `c_0, c_1, …`: each one value, or one value per slot.
    coefficients: Vec<Vec<f64>>,
    interval: (f64, f64),
    amplification: f64,
}

/// From this degree on an amplified basis is brought back to its usual size: leaves have lower degrees, and what multiplies a
/// quotient must be small, since it multiplies the quotient's noise.
pub(crate) const FIRST_GIANT: usize = 8;
/// The usual size of a basis that doubles by itself: `2 T_k`.
pub(crate) const DICKSON: f64 = 2.0;

impl Polynomial {
    /// A polynomial with the same coefficients `c_0, c_1, …` for all slots.
    ///
    /// # Errors
    /// [`EvalError::MalformedPolynomial`]: degree 0, numbers that are not finite, an empty interval.
    pub fn chebyshev(coefficients: &[f64], interval: (f64, f64)) -> Result<Self, EvalError> {
        Self::new(coefficients.iter().map(|&c| vec![c]).collect(), interval)
    }

    /// A polynomial with coefficients for every slot: `coefficients[k][slot]`; slots without a value get zero.
    ///
    /// # Errors
    /// [`EvalError::MalformedPolynomial`]: degree 0, numbers that are not finite, coefficients of unequal length, an empty
    /// interval.
    pub fn chebyshev_per_slot(coefficients: Vec<Vec<f64>>, interval: (f64, f64)) -> Result<Self, EvalError> {
        Self::new(coefficients, interval)
    }

    fn new(mut coefficients: Vec<Vec<f64>>, interval: (f64, f64)) -> Result<Self, EvalError> {
        while coefficients.last().is_some_and(|last| is_zero(last)) {
            coefficients.pop();
        }
        let malformed = |reason| Err(EvalError::MalformedPolynomial(reason));
        if coefficients.len() < 2 {
            return malformed("its degree is below 1");
        }
        let width = coefficients[0].len();
        if width == 0 || coefficients.iter().any(|c| c.len() != width) {
            return malformed("coefficients have no values, or unequal numbers of them");
        }
        let (a, b) = interval;
        if coefficients.iter().flatten().chain([&a, &b]).any(|x| !x.is_finite()) || a >= b {
            return malformed("a coefficient is not finite or the interval is empty");
        }
        Ok(Self {
            coefficients,
            interval,
            amplification: 1.0,
        })
    }

    /// Expects the operand times a factor: `factor · x`, on the interval `[-1, 1]` of `x`.
    ///
    /// The noise of the operand, and that of its first powers, counts for less by the factor and more: `T_k` is then computed
    /// as `2 (factor / 2)^k T_k`. Factor 2 is free; a larger one costs one more level.
    ///
    /// # Errors
    /// [`EvalError::MalformedPolynomial`]: a factor that is not in `[2, 16]`, or another interval.
    pub fn amplified(mut self, factor: f64) -> Result<Self, EvalError> {
        if !(DICKSON..=16.0).contains(&factor) || self.affine_map().is_some() {
            return Err(EvalError::MalformedPolynomial("its operand cannot be amplified"));
        }
        self.amplification = factor;
        Ok(self)
    }

    /// What the operand is multiplied by.
    pub(crate) fn amplification(&self) -> f64 {
        self.amplification
    }

    /// Whether large powers take one more level.
    fn delay(&self) -> Delay {
        if self.amplification > DICKSON {
            Delay::Giants
        } else {
            Delay::None
        }
    }

    /// The degree.
    pub fn degree(&self) -> usize {
        self.coefficients.len() - 1
    }

    /// How many levels an evaluation takes: `ceil(log2(degree + 1))`, one more where the interval is not `[-1, 1]`, for
    /// the map onto it, and one more where the operand is amplified by more than 2.
    pub fn depth(&self) -> u32 {
        self.inner_depth() + u32::from(self.affine_map().is_some())
    }

    /// The depth for an operand in `[-1, 1]`.
    pub(crate) fn inner_depth(&self) -> u32 {
        let delay = match self.delay() {
            Delay::None => 0,
            Delay::Giants => 1,
        };
        usize::BITS - self.degree().leading_zeros() + delay
    }

    /// The map `x -> factor · x + offset` onto `[-1, 1]`, unless it is the identity.
    pub(crate) fn affine_map(&self) -> Option<(f64, f64)> {
        let (a, b) = self.interval;
        (self.interval != (-1.0, 1.0)).then(|| (2.0 / (b - a), -(a + b) / (b - a)))
    }

    /// How many products of ciphertexts an evaluation takes.
    pub fn n_products(&self) -> usize {
        self.split().n_products()
    }

    /// The split with the fewest products of ciphertexts; for an amplified operand, which no plan predicts, that with the fewest
    /// key switches.
    pub(crate) fn split(&self) -> Split {
        let depth = self.inner_depth();
        let split = |log_leaf: u32| Split::new(self.coefficients.clone(), depth - 1, 1usize << log_leaf, self.delay());
        let candidates = match self.delay() {
            Delay::None => 1..=depth,
            // What multiplies a quotient multiplies its noise: large powers stay in leaves.
            Delay::Giants => FIRST_GIANT.trailing_zeros()..=FIRST_GIANT.trailing_zeros(),
        };
        let weight = |split: &Split| {
            if self.amplification > 1.0 {
                split.n_key_switches()
            } else {
                split.n_products()
            }
        };
        // The first of equals: smaller leaves need fewer powers at once.
        candidates.map(split).min_by_key(weight).expect("depth is at least 1")
    }
}

/// Which powers take a level more than their degree says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delay {
    None,
    /// Those from [`FIRST_GIANT`] on.
    Giants,
}

impl Delay {
    fn of(self, k: usize) -> u32 {
        match self {
            Self::None => 0,
            Self::Giants => u32::from(k >= FIRST_GIANT),
        }
    }
}

fn is_zero(coefficient: &[f64]) -> bool {
    coefficient.iter().all(|&x| x == 0.0)
}

/// How deep `T_k` is below the operand.
pub(crate) fn basis_depth(k: usize) -> u32 {
    k.next_power_of_two().trailing_zeros()
}

/// How `T_k` is computed: `T_k = 2 T_i T_j - T_{i-j}` for `k = i + j`, `i` the largest power of two below `k`.
pub(crate) fn basis_factors(k: usize) -> (usize, usize) {
    let i = k.next_power_of_two() / 2;
    (i, k - i)
}

/// A polynomial as a tree of products; every node is computed `slack` levels below the operand, before its rescale.
pub(crate) enum Split {
    /// `Σ c_k T_k`.
    Leaf(Vec<Vec<f64>>),
    /// `quotient · T_giant + remainder`.
    Product {
        giant: usize,
        /// Computed one level above this node, and rescaled.
        quotient: Box<Split>,
        remainder: Box<Split>,
    },
}

impl Split {
    /// Splits until leaves have degrees below `leaf` and powers that are ready `slack` levels below the operand. Only the
    /// leading quotients lack slack; splitting them down to degree 1 is what keeps the depth at its least.
    fn new(mut coefficients: Vec<Vec<f64>>, slack: u32, leaf: usize, delay: Delay) -> Self {
        while coefficients.len() > 1 && coefficients.last().is_some_and(|last| is_zero(last)) {
            coefficients.pop();
        }
        let degree = coefficients.len() - 1;
        let giant = (degree + 1).next_power_of_two() / 2;
        let ready = |(k, c): (usize, &Vec<f64>)| k == 0 || is_zero(c) || basis_depth(k) + delay.of(k) <= slack;
        if degree < leaf && coefficients.iter().enumerate().all(ready) {
            return Self::Leaf(coefficients);
        }
        let upper = coefficients.split_off(giant);
        let mut remainder = coefficients;
        for (i, c) in upper.iter().enumerate().skip(1) {
            remainder[giant - i].iter_mut().zip(c).for_each(|(r, c)| *r -= c);
        }
        let doubled = |(i, c): (usize, Vec<f64>)| if i == 0 { c } else { c.iter().map(|c| 2.0 * c).collect() };
        let quotient = upper.into_iter().enumerate().map(doubled).collect();
        Self::Product {
            giant,
            quotient: Box::new(Self::new(quotient, slack - 1, leaf, delay)),
            remainder: Box::new(Self::new(remainder, slack, leaf, delay)),
        }
    }

    /// The `T_k` that are needed, those included that others are computed from.
    pub(crate) fn basis(&self) -> BTreeSet<usize> {
        let mut needed = BTreeSet::new();
        self.visit(&mut |k| need(k, &mut needed));
        needed
    }

    fn visit(&self, needed: &mut dyn FnMut(usize)) {
        match self {
            Self::Leaf(coefficients) => {
                let terms = coefficients.iter().enumerate().skip(1).filter(|(_, c)| !is_zero(c));
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

    /// The value, if the node is a constant: a product with it is no product of ciphertexts.
    pub(crate) fn constant(&self) -> Option<&[f64]> {
        match self {
            Self::Leaf(coefficients) if coefficients.len() == 1 => Some(&coefficients[0]),
            Self::Leaf(_) | Self::Product { .. } => None,
        }
    }

    fn n_products(&self) -> usize {
        self.n_splits() + self.basis().range(2..).count()
    }

    /// One for every power, and one for every sum with products: those that are added are switched together.
    fn n_key_switches(&self) -> usize {
        self.basis().range(2..).count() + self.n_sums(false)
    }

    /// Sums with products, where the sum that this node is added to has products already or not.
    fn n_sums(&self, counted: bool) -> usize {
        match self {
            Self::Leaf(_) => 0,
            Self::Product {
                quotient, remainder, ..
            } if quotient.constant().is_none() => {
                usize::from(!counted) + quotient.n_sums(false) + remainder.n_sums(true)
            }
            Self::Product { remainder, .. } => remainder.n_sums(counted),
        }
    }

    fn n_splits(&self) -> usize {
        match self {
            Self::Leaf(_) => 0,
            Self::Product {
                quotient, remainder, ..
            } => usize::from(quotient.constant().is_none()) + quotient.n_splits() + remainder.n_splits(),
        }
    }
}

/// Adds `T_k` and what it is computed from.
fn need(k: usize, needed: &mut BTreeSet<usize>) {
    if k == 0 || !needed.insert(k) || k == 1 {
        return;
    }
    let (i, j) = basis_factors(k);
    [i, j, i - j].into_iter().for_each(|k| need(k, needed));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(k: usize, x: f64) -> f64 {
        (k as f64 * x.acos()).cos()
    }

    fn evaluate(split: &Split, x: f64) -> f64 {
        match split {
            Split::Leaf(coefficients) => coefficients.iter().enumerate().map(|(k, c)| c[0] * t(k, x)).sum(),
            Split::Product {
                giant,
                quotient,
                remainder,
            } => evaluate(quotient, x) * t(*giant, x) + evaluate(remainder, x),
        }
    }

    /// Checks that every node is ready where it is needed.
    fn check_depth(split: &Split, slack: u32) {
        match split {
            Split::Leaf(coefficients) => {
                let used = coefficients.iter().enumerate().filter(|(k, c)| *k > 0 && !is_zero(c));
                used.for_each(|(k, _)| assert!(basis_depth(k) <= slack, "T_{k} with slack {slack}"));
            }
            Split::Product {
                giant,
                quotient,
                remainder,
            } => {
                assert!(basis_depth(*giant) <= slack);
                check_depth(quotient, slack - 1);
                check_depth(remainder, slack);
            }
        }
    }

    #[test]
    fn splits_are_the_polynomial_in_the_least_depth() {
        for degree in 1..70usize {
            let coefficients: Vec<f64> = (0..=degree).map(|k| (k as f64 * 1.7).sin()).collect();
            let polynomial = Polynomial::chebyshev(&coefficients, (-1.0, 1.0)).expect("well formed");
            assert_eq!(polynomial.depth(), ((degree + 1) as f64).log2().ceil() as u32);
            let split = polynomial.split();
            check_depth(&split, polynomial.depth() - 1);
            for x in [-0.9, -0.3, 0.1, 0.77] {
                let want: f64 = coefficients.iter().enumerate().map(|(k, c)| c * t(k, x)).sum();
                assert!((evaluate(&split, x) - want).abs() < 1e-9, "degree {degree}");
            }
        }
    }

    #[test]
    fn products_are_few_and_fewer_for_one_parity() {
        let products = |degree: usize, keep: fn(usize) -> bool| {
            let coefficients: Vec<f64> = (0..=degree).map(|k| if keep(k) { 1.0 } else { 0.0 }).collect();
            Polynomial::chebyshev(&coefficients, (-1.0, 1.0))
                .expect("well formed")
                .split()
                .n_products()
        };
        let (all, odd, even) = (|_| true, |k| k % 2 == 1, |k| k % 2 == 0);
        assert_eq!([products(3, all), products(7, all), products(8, all)], [2, 4, 5]);
        for degree in 1..70 {
            assert!(products(degree, odd) <= products(degree, all));
            assert!(products(degree + 1, even) <= products(degree + 1, all));
            let limit = 2.0 * ((degree + 1) as f64).sqrt() + 3.0;
            assert!(
                products(degree, all) as f64 <= limit,
                "{} products for degree {degree}",
                products(degree, all)
            );
        }
    }

    #[test]
    fn products_that_are_added_share_a_key_switch() {
        let coefficients: Vec<f64> = (0..=24).map(|k| f64::from(1 - k % 2)).collect();
        let polynomial = Polynomial::chebyshev(&coefficients, (-1.0, 1.0)).expect("well formed");
        let split = polynomial.amplified(DICKSON).expect("an amplification").split();
        // T_2, T_4, T_6, T_8, T_16; then q · T_16 + q' · T_8 + r.
        assert_eq!((split.n_products(), split.n_key_switches()), (7, 6));
    }

    #[test]
    fn malformed_polynomials_are_refused() {
        let refused = |c: &[f64], interval| Polynomial::chebyshev(c, interval).is_err();
        assert!(refused(&[], (-1.0, 1.0)) && refused(&[1.0], (-1.0, 1.0)) && refused(&[1.0, 0.0], (-1.0, 1.0)));
        assert!(refused(&[1.0, f64::NAN], (-1.0, 1.0)) && refused(&[1.0, 1.0], (1.0, 1.0)));
        assert!(Polynomial::chebyshev_per_slot(vec![vec![1.0], vec![1.0, 2.0]], (-1.0, 1.0)).is_err());
        assert!(Polynomial::chebyshev_per_slot(vec![vec![], vec![]], (-1.0, 1.0)).is_err());
    }
}
