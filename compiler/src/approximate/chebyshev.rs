//! Chebyshev expansions of a function on an interval: interpolation, truncated series, Jackson's damping.
//!
//! All of them give `c_0 … c_d` of `Σ c_k T_k(t)` with `t = (x - center) / radius`.
//!
//! # Source
//! L. N. Trefethen, *Approximation Theory and Approximation Practice*, sections 3 to 8. The damping factors are those of
//! the kernel polynomial method: A. Weisse and others, Rev. Mod. Phys. 78 (2006), equation 71.

use std::f64::consts::PI;

use crate::calibrate::Interval;

/// Nodes of the quadrature that stands for a series' integrals. A kink errs by the square of their distance.
const SERIES_NODES: usize = 16_384;

/// Points of an interval on which a largest error is looked for.
const ERROR_POINTS: usize = 2001;

/// The middle of an interval and half its length, which is positive.
pub(crate) fn center_and_radius(interval: Interval) -> (f64, f64) {
    let radius = (interval.max - interval.min) / 2.0;
    let radius = if radius > 0.0 { radius } else { 1.0 };
    (f64::midpoint(interval.min, interval.max), radius)
}

/// The value at `x` of an expansion on an interval.
pub(crate) fn value_on(coefficients: &[f64], interval: Interval, x: f64) -> f64 {
    let (center, radius) = center_and_radius(interval);
    clenshaw(coefficients.iter().copied(), (x - center) / radius)
}

/// The polynomial of a degree that agrees with a function in the Chebyshev points of the first kind.
pub(crate) fn interpolate(function: impl Fn(f64) -> f64, interval: Interval, degree: usize) -> Vec<f64> {
    project(function, interval, degree, degree + 1)
}

/// The Chebyshev series of a function, cut off after a degree.
pub(crate) fn series(function: impl Fn(f64) -> f64, interval: Interval, degree: usize) -> Vec<f64> {
    project(function, interval, degree, SERIES_NODES.max(4 * (degree + 1)))
}

/// `c_k = 2/n Σ_j f(x_j) cos(k θ_j)` with `θ_j = (j + 1/2) π / n`; half of that for `c_0`.
fn project(function: impl Fn(f64) -> f64, interval: Interval, degree: usize, nodes: usize) -> Vec<f64> {
    let (center, radius) = center_and_radius(interval);
    let mut sums = vec![0.0; degree + 1];
    for node in 0..nodes {
        let t = libm::cos((node as f64 + 0.5) * PI / nodes as f64);
        let y = function(center + radius * t);
        for_each_basis(t, degree, |k, basis| sums[k] += y * basis);
    }
    let factor = |k: usize| if k == 0 { 1.0 } else { 2.0 } / nodes as f64;
    sums.iter().enumerate().map(|(k, sum)| factor(k) * sum).collect()
}

/// `T_0(t) … T_degree(t)`, one after the other.
pub(crate) fn for_each_basis(t: f64, degree: usize, mut visit: impl FnMut(usize, f64)) {
    let (mut previous, mut current) = (t, 1.0);
    for k in 0..=degree {
        visit(k, current);
        (previous, current) = (current, 2.0 * t * current - previous);
    }
}

/// Multiplies the coefficients by Jackson's factors: no ringing at a kink, for a smaller slope.
pub(crate) fn damp(coefficients: &mut [f64]) {
    let n = coefficients.len() as f64;
    let step = PI / (n + 1.0);
    for (k, coefficient) in coefficients.iter_mut().enumerate() {
        let k = k as f64;
        let factor = (n - k + 1.0) * libm::cos(k * step) + libm::sin(k * step) / libm::tan(step);
        *coefficient *= factor / (n + 1.0);
    }
}

/// Evenly spaced points of an interval, its ends among them.
pub(crate) fn points_of(interval: Interval, count: usize) -> impl Iterator<Item = f64> {
    let (center, radius) = center_and_radius(interval);
    let last = (count - 1) as f64;
    (0..count).map(move |i| center + radius * (2.0 * i as f64 / last - 1.0))
}

/// The largest difference of two functions on an interval.
pub(crate) fn largest_error(function: impl Fn(f64) -> f64, polynomial: impl Fn(f64) -> f64, interval: Interval) -> f64 {
    let error = |x: f64| (function(x) - polynomial(x)).abs();
    points_of(interval, ERROR_POINTS).map(error).fold(0.0, f64::max)
}

/// `Σ c_k T_k(t)` by Clenshaw's recurrence; `coefficients` from `c_0` up.
pub(crate) fn clenshaw(coefficients: impl DoubleEndedIterator<Item = f64>, t: f64) -> f64 {
    let (mut b1, mut b2) = (0.0, 0.0);
    let mut reversed = coefficients.rev().peekable();
    while let Some(c) = reversed.next() {
        if reversed.peek().is_none() {
            return t * b1 - b2 + c;
        }
        (b1, b2) = (2.0 * t * b1 - b2 + c, b1);
    }
    0.0
}

/// From coefficients of `T_k((x - center) / radius)` to coefficients of `x^k`.
///
/// For low degrees only: the power basis loses about 1.3 bits a degree, more where the center is far out.
pub(crate) fn to_power_basis(chebyshev: &[f64], interval: Interval) -> Vec<f64> {
    let (center, radius) = center_and_radius(interval);
    let n = chebyshev.len();
    let (mut previous, mut current) = (vec![0.0; n], vec![0.0; n]);
    current[0] = 1.0;
    let mut sum = vec![0.0; n];
    for (k, &coefficient) in chebyshev.iter().enumerate() {
        for (power, basis) in current.iter().enumerate() {
            sum[power] += coefficient * basis;
        }
        // T_1 = t T_0, then T_{k+1} = 2 t T_k - T_{k-1}.
        let factor = if k == 0 { 1.0 } else { 2.0 };
        let next: Vec<f64> = (0..n)
            .map(|power| factor * if power == 0 { 0.0 } else { current[power - 1] } - previous[power])
            .collect();
        previous = std::mem::replace(&mut current, next);
    }
    let mut scale = 1.0;
    for coefficient in &mut sum {
        *coefficient *= scale;
        scale /= radius;
    }
    shift(&mut sum, center);
    sum
}

/// From coefficients of `(x - center)^k` to coefficients of `x^k`, by repeated synthetic division.
fn shift(coefficients: &mut [f64], center: f64) {
    if center == 0.0 {
        return;
    }
    let n = coefficients.len();
    for first in 0..n {
        for k in (first..n - 1).rev() {
            coefficients[k] -= center * coefficients[k + 1];
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nn::{Activation, Gelu};

    const UNIT: Interval = Interval { min: -1.0, max: 1.0 };

    #[track_caller]
    fn check_near(found: &[f64], expected: &[f64], tolerance: f64) {
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() <= tolerance, "{found:?} is not {expected:?}");
        }
    }

    #[test]
    fn the_series_of_relu_is_the_published_one() {
        let found = series(|x| Activation::Relu.apply(x), UNIT, 2);
        check_near(&found, &[1.0 / PI, 0.5, 2.0 / (3.0 * PI)], 1e-6);
    }

    #[test]
    fn damping_takes_off_what_the_kernel_says() {
        let mut found = series(|x| Activation::Relu.apply(x), UNIT, 2);
        damp(&mut found);
        check_near(&to_power_basis(&found, UNIT), &[0.265_26, 0.353_55, 0.106_10], 1e-5);
    }

    #[test]
    fn interpolation_errs_as_published() {
        // Largest errors on [-8, 8] at degrees 3, 7, 15, 31; two digits are published.
        let cases: [(Activation, [f64; 4]); 4] = [
            (Activation::Gelu(Gelu::Erf), [1.08, 0.393, 0.045, 9.2e-5]),
            (Activation::Silu, [0.918, 0.187, 8.7e-3, 1.9e-5]),
            (Activation::Sigmoid, [0.116, 0.030, 1.4e-3, 3.0e-6]),
            (Activation::Tanh, [0.405, 0.216, 0.056, 2.5e-3]),
        ];
        let interval = Interval { min: -8.0, max: 8.0 };
        for (function, expected) in cases {
            for (degree, expected) in [3, 7, 15, 31].into_iter().zip(expected) {
                let polynomial = interpolate(|x| function.apply(x), interval, degree);
                let error = largest_error(|x| function.apply(x), |x| value_on(&polynomial, interval, x), interval);
                assert!((error / expected - 1.0).abs() < 0.04, "{function:?} {degree}: {error}");
            }
        }
    }

    proptest! {
        #[test]
        fn both_bases_have_the_same_values(
            c in prop::collection::vec(-2.0..2.0f64, 1..6), center in -3.0..3.0f64, radius in 0.5..4.0f64, t in -1.0..1.0f64,
        ) {
            let interval = Interval { min: center - radius, max: center + radius };
            let powers = to_power_basis(&c, interval);
            let x = center + radius * t;
            let horner = powers.iter().rev().fold(0.0, |sum, c| sum * x + c);
            // The powers of a point up to seven radii away cancel: (1 + 2 · 7)^5 roundings of 2^-53.
            prop_assert!((horner - value_on(&c, interval, x)).abs() < 1e-9);
        }
    }
}
