//! Guarded least squares: polynomials fitted to a function where its operand really goes, kept in check elsewhere.
//!
//! The measure is `(1 - λ) · distribution + λ · guard on an interval`, the interval what calibration saw times a margin; a
//! guard is uniform, or falls where nothing was seen. The distribution makes the fit good where it is used; the guard keeps it from exploding in between
//! and beyond. The basis is `T_0 … T_d` of `t = (x - center) / radius`; since `2 T_i T_j = T_{i+j} + T_{|i-j|}`, the normal
//! equations need `2 d + 1` moments of the measure and no more. All sums are taken in a fixed order.
//!
//! # Source
//! Least squares under a mixture of the empirical measure and a uniform one; compare scaled distribution-aware
//! approximation, arXiv 2310.10349, which widens the distribution instead.

use crate::approximate::chebyshev::{center_and_radius, for_each_basis, points_of};
use crate::approximate::guard::Guard;
use crate::calibrate::Interval;

/// At least this many points stand for the uniform measure.
const GUARD_POINTS: usize = 801;

/// Added to the diagonal of the normal equations: keeps them solvable where all samples are equal.
const RIDGE: f64 = 1e-12;

/// What to fit under.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measure {
    /// The guard's weight and density.
    pub(crate) guard: Guard,
    /// The guard's interval.
    pub(crate) interval: Interval,
    /// Where samples were seen: outside, the guard may fall.
    pub(crate) seen: Interval,
}

/// A point of a distribution: where, what the polynomial should give there, and how much that matters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) target: f64,
    pub(crate) weight: f64,
}

/// Fits a polynomial of the given degree: its coefficients in the Chebyshev basis of the measure's interval.
///
/// `distribution` has weights that sum to one; `function` is what the polynomial should give elsewhere.
///
/// # Cost
/// A few operations a point and degree, and the cube of the degree.
pub(crate) fn fit(
    function: impl Fn(f64) -> f64,
    distribution: impl Iterator<Item = Point>,
    degree: usize,
    Measure { guard, interval, seen }: Measure,
) -> Vec<f64> {
    let (center, radius) = center_and_radius(interval);
    let mut equations = NormalEquations::new(degree);
    for Point { x, target, weight } in distribution {
        equations.add((x - center) / radius, target, (1.0 - guard.weight) * weight);
    }
    let n_points = guard_points(degree);
    let density = |x: f64| guard.density(x, seen, interval);
    let total: f64 = points_of(interval, n_points).map(density).sum();
    for x in points_of(interval, n_points) {
        equations.add((x - center) / radius, function(x), guard.weight * density(x) / total);
    }
    equations.solve()
}

/// Evenly spaced points determine a polynomial well up to about twice the root of their number.
fn guard_points(degree: usize) -> usize {
    GUARD_POINTS.max(degree * degree + 1)
}

/// `Σ w T_k` and `Σ w y T_k` for the Chebyshev polynomials `T_k`.
struct NormalEquations {
    /// `[2 degree + 1]`.
    moments: Vec<f64>,
    /// `[degree + 1]`.
    right: Vec<f64>,
}

impl NormalEquations {
    fn new(degree: usize) -> Self {
        Self {
            moments: vec![0.0; 2 * degree + 1],
            right: vec![0.0; degree + 1],
        }
    }

    fn add(&mut self, t: f64, target: f64, weight: f64) {
        let (n, degree) = (self.right.len(), self.moments.len() - 1);
        for_each_basis(t, degree, |k, basis| {
            self.moments[k] += weight * basis;
            if k < n {
                self.right[k] += weight * target * basis;
            }
        });
    }

    /// Solves by Cholesky decomposition of the lower triangle.
    fn solve(self) -> Vec<f64> {
        let n = self.right.len();
        let product = |i: usize, j: usize| 0.5 * (self.moments[i + j] + self.moments[i - j]);
        let mut a: Vec<Vec<f64>> = (0..n).map(|i| (0..=i).map(|j| product(i, j)).collect()).collect();
        for j in 0..n {
            let squares: f64 = a[j][..j].iter().map(|x| x * x).sum();
            a[j][j] = (a[j][j] + RIDGE - squares).max(RIDGE).sqrt();
            for i in j + 1..n {
                let dot: f64 = (0..j).map(|k| a[i][k] * a[j][k]).sum();
                a[i][j] = (a[i][j] - dot) / a[j][j];
            }
        }
        let mut x = self.right;
        for i in 0..n {
            let dot: f64 = (0..i).map(|k| a[i][k] * x[k]).sum();
            x[i] = (x[i] - dot) / a[i][i];
        }
        for i in (0..n).rev() {
            let dot: f64 = (i + 1..n).map(|k| a[k][i] * x[k]).sum();
            x[i] = (x[i] - dot) / a[i][i];
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::approximate::chebyshev::{to_power_basis, value_on};
    use crate::nn::Activation;

    fn samples(function: impl Fn(f64) -> f64, at: &[f64]) -> Vec<Point> {
        let weight = 1.0 / at.len() as f64;
        at.iter()
            .map(|&x| Point {
                x,
                target: function(x),
                weight,
            })
            .collect()
    }

    #[test]
    fn the_guard_alone_is_the_uniform_fit() {
        let interval = Interval { min: -1.0, max: 1.0 };
        let relu = |x| Activation::Relu.apply(x);
        let found = fit(
            relu,
            samples(relu, &[0.3]).into_iter(),
            2,
            Measure {
                guard: Guard::even(1.0, 1.0),
                interval,
                seen: interval,
            },
        );
        let found = to_power_basis(&found, interval);
        // 801 points are not quite the uniform measure.
        for (found, expected) in found.iter().zip([3.0 / 32.0, 0.5, 15.0 / 32.0]) {
            assert!((found - expected).abs() < 2e-3, "{found} is not {expected}");
        }
    }

    #[test]
    fn equal_samples_are_fitted() {
        let interval = Interval { min: -2.5, max: 2.5 };
        let relu = |x| Activation::Relu.apply(x);
        let measure = Measure {
            guard: Guard::even(1.0, 1e-2),
            interval,
            seen: interval,
        };
        let found = fit(relu, samples(relu, &[2.0; 16]).into_iter(), 2, measure);
        assert!((value_on(&found, interval, 2.0) - 2.0).abs() < 0.05, "{found:?}");
    }

    #[test]
    fn a_falling_guard_holds_what_no_sample_does_and_costs_less_than_an_even_one() {
        let seen = Interval { min: -1.0, max: 1.0 };
        let interval = Interval { min: -2.5, max: 2.5 };
        let relu = |x| Activation::Relu.apply(x);
        let at: Vec<f64> = (0..=400).map(|i| f64::from(i) / 200.0 - 1.0).collect();
        let fitted = |guard| {
            let measure = Measure { guard, interval, seen };
            fit(relu, samples(relu, &at).into_iter(), 15, measure)
        };
        let largest = |c: &[f64], reach: f64| {
            let errors = (-100..=100).map(|i| f64::from(i) * reach / 100.0);
            errors
                .map(|x| (value_on(c, interval, x) - relu(x)).abs())
                .fold(0.0, f64::max)
        };
        let (none, falling, even) = (
            fitted(Guard::even(2.5, 0.0)),
            fitted(Guard::ABOVE_TWO),
            fitted(Guard::even(2.5, 1e-3)),
        );
        // Nothing holds the first: it is off by hundreds of times the interval's length, the second by about that length.
        assert!(largest(&none, 2.5) > 1e3, "{}", largest(&none, 2.5));
        assert!(largest(&falling, 2.5) < 5.0, "{}", largest(&falling, 2.5));
        let rms = |c: &[f64]| {
            let errors = at.iter().map(|&x| (value_on(c, interval, x) - relu(x)).powi(2));
            (errors.sum::<f64>() / at.len() as f64).sqrt()
        };
        assert!(rms(&falling) < rms(&even), "{} and {}", rms(&falling), rms(&even));
    }

    proptest! {
        #[test]
        fn a_polynomial_is_found_again(
            c in prop::collection::vec(-3.0..3.0f64, 1..9), at in prop::collection::vec(-5.0..5.0f64, 10..40),
        ) {
            let interval = Interval { min: -6.0, max: 6.0 };
            let polynomial = |x| value_on(&c, interval, x);
            let points = samples(polynomial, &at).into_iter();
            let found = fit(polynomial, points, c.len() - 1, Measure { guard: Guard::even(1.0, 1e-2), interval, seen: interval });
            for (found, expected) in found.iter().zip(&c) {
                // The ridge moves a coefficient by 1e-12 over the smallest eigenvalue, at least 1e-2 / 20 here.
                prop_assert!((found - expected).abs() < 1e-7, "{found} is not {expected}");
            }
        }
    }
}
