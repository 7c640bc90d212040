//! The polynomial of a degree with the least largest error on one interval, by Remez' exchange in f64.
//!
//! Each round solves for the polynomial whose error alternates between `+E` and `-E` on `degree + 2` points, then moves the
//! points to the extrema of that error, until the largest is no larger than `E`.
//!
//! # Source
//! E. Y. Remez, 1934; L. N. Trefethen, *Approximation Theory and Approximation Practice*, section 10.

use std::f64::consts::PI;

use crate::approximate::chebyshev::{center_and_radius, clenshaw, for_each_basis, interpolate};
use crate::calibrate::Interval;

/// Rounds at most; a dozen are enough for smooth functions.
const ROUNDS: usize = 60;
/// Grid points for each unit of the degree, Chebyshev-distributed.
const GRID_PER_DEGREE: usize = 200;
/// The error may exceed the levelled one by this fraction.
const LEVELLED: f64 = 1e-7;

/// Finds the minimax polynomial: `c_0 … c_d` in the Chebyshev basis of the interval, and its largest error.
///
/// Where the exchange does not settle, as for errors near the rounding of f64, the better of the last polynomial and the
/// interpolating one is returned.
pub(crate) fn minimax(function: impl Fn(f64) -> f64, interval: Interval, degree: usize) -> (Vec<f64>, f64) {
    let (center, radius) = center_and_radius(interval);
    let size = GRID_PER_DEGREE * (degree + 2) + 1;
    let grid: Vec<f64> = (0..size)
        .map(|i| -libm::cos(i as f64 * PI / (size - 1) as f64))
        .collect();
    let values: Vec<f64> = grid.iter().map(|t| function(center + radius * t)).collect();
    let error_of = |coefficients: &[f64]| -> Vec<f64> {
        let errors = grid.iter().zip(&values);
        errors
            .map(|(&t, y)| y - clenshaw(coefficients.iter().copied(), t))
            .collect()
    };
    let largest = |errors: &[f64]| errors.iter().fold(0.0f64, |largest, e| largest.max(e.abs()));
    let mut best = interpolate(&function, interval, degree);
    let mut best_error = largest(&error_of(&best));
    let mut reference: Vec<usize> = (0..degree + 2).map(|i| i * (size - 1) / (degree + 1)).collect();
    for _ in 0..ROUNDS {
        let Some((coefficients, level)) = levelled(&grid, &values, &reference, degree) else {
            break;
        };
        let errors = error_of(&coefficients);
        let reached = largest(&errors);
        if reached < best_error {
            (best, best_error) = (coefficients, reached);
        }
        if reached <= level.abs() * (1.0 + LEVELLED) {
            break;
        }
        let Some(moved) = alternating_extrema(&errors, degree + 2) else {
            break;
        };
        if moved == reference {
            break;
        }
        reference = moved;
    }
    (best, best_error)
}

/// The polynomial whose error is `+E, -E, …` on the reference, and `E`.
fn levelled(grid: &[f64], values: &[f64], reference: &[usize], degree: usize) -> Option<(Vec<f64>, f64)> {
    let n = degree + 2;
    let row = |(i, &at): (usize, &usize)| {
        let mut row = vec![0.0; n + 1];
        for_each_basis(grid[at], degree, |k, basis| row[k] = basis);
        row[n - 1] = if i % 2 == 0 { 1.0 } else { -1.0 };
        row[n] = values[at];
        row
    };
    let rows: Vec<Vec<f64>> = reference.iter().enumerate().map(row).collect();
    let mut solution = solve(rows)?;
    let level = solution.pop()?;
    Some((solution, level))
}

/// Gaussian elimination with row pivots of an augmented system; `None` where it is singular.
fn solve(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let n = rows.len();
    for column in 0..n {
        let pivot = (column..n).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))?;
        if rows[pivot][column].abs() < 1e-14 {
            return None;
        }
        rows.swap(column, pivot);
        let (above, below) = rows.split_at_mut(column + 1);
        let source = &above[column];
        for row in below {
            let factor = row[column] / source[column];
            for (entry, s) in row[column..].iter_mut().zip(&source[column..]) {
                *entry -= factor * s;
            }
        }
    }
    let mut solution = vec![0.0; n];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| rows[i][k] * solution[k]).sum();
        solution[i] = (rows[i][n] - known) / rows[i][i];
    }
    Some(solution)
}

/// `count` grid points at which the error is extreme and alternates in sign, the largest among them.
fn alternating_extrema(errors: &[f64], count: usize) -> Option<Vec<usize>> {
    let mut extrema: Vec<usize> = Vec::new();
    for (at, error) in errors.iter().enumerate() {
        match extrema.last_mut() {
            Some(last) if errors[*last].signum() == error.signum() => {
                if error.abs() > errors[*last].abs() {
                    *last = at;
                }
            }
            _ => extrema.push(at),
        }
    }
    while extrema.len() > count {
        // Taking away an inner extremum would break the alternation, unless its smaller neighbour goes too.
        let ends_only = extrema.len() == count + 1;
        let smallest =
            (0..extrema.len()).min_by(|&a, &b| errors[extrema[a]].abs().total_cmp(&errors[extrema[b]].abs()))?;
        if ends_only || smallest == 0 || smallest == extrema.len() - 1 {
            let (first, last) = (errors[extrema[0]].abs(), errors[extrema[extrema.len() - 1]].abs());
            extrema.remove(if first < last { 0 } else { extrema.len() - 1 });
        } else {
            let left = errors[extrema[smallest - 1]].abs() < errors[extrema[smallest + 1]].abs();
            let from = if left { smallest - 1 } else { smallest };
            extrema.drain(from..from + 2);
        }
    }
    (extrema.len() == count).then_some(extrema)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::approximate::chebyshev::{largest_error, to_power_basis, value_on};
    use crate::approximate::smoothing::{Kernel, Smoothed};
    use crate::nn::{Activation, Gelu};

    const UNIT: Interval = Interval { min: -1.0, max: 1.0 };

    #[test]
    fn the_quadratic_of_relu_is_the_published_one() {
        let (found, error) = minimax(|x| Activation::Relu.apply(x), UNIT, 2);
        let found = to_power_basis(&found, UNIT);
        for (f, e) in found.iter().zip([1.0 / 16.0, 0.5, 0.5]) {
            assert!((f - e).abs() < 1e-5, "{found:?}");
        }
        assert!((error - 1.0 / 16.0).abs() < 1e-6, "{error}");
    }

    #[test]
    fn smoothed_rectifiers_have_the_published_errors() {
        let cases = [
            (0.05, [0.07507, 0.5, 0.48005], 0.05512),
            (0.1, [0.08787, 0.5, 0.46011], 0.04797),
            (0.2, [0.11430, 0.5, 0.42021], 0.03452),
            (0.3, [0.14283, 0.5, 0.38035], 0.02315),
            (0.5, [0.20928, 0.5, 0.30477], 0.00981),
            (1.0, [0.40074, 0.5, 0.18437], 0.00180),
        ];
        for (h, expected, error) in cases {
            let smoothed = Smoothed::new(Activation::Relu, Kernel::Gaussian, h);
            let (found, found_error) = minimax(|x| smoothed.apply(x), UNIT, 2);
            let powers = to_power_basis(&found, UNIT);
            for (f, e) in powers.iter().zip(expected) {
                assert!((f - e).abs() < 6e-6, "{h}: {powers:?} is not {expected:?}");
            }
            assert!((found_error - error).abs() < 6e-6, "{h}: {found_error} is not {error}");
            // Jackson's bound for a second derivative of at most 1 / (h sqrt(2 pi)).
            assert!(found_error <= 0.0821 / h, "{h}");
        }
    }

    #[test]
    fn a_box_as_wide_as_the_interval_is_a_quadratic_itself() {
        let smoothed = Smoothed::new(Activation::Relu, Kernel::Box, 1.0);
        let (found, error) = minimax(|x| smoothed.apply(x), UNIT, 2);
        let powers = to_power_basis(&found, UNIT);
        for (f, e) in powers.iter().zip([0.25, 0.5, 0.25]) {
            assert!((f - e).abs() < 1e-12, "{powers:?}");
        }
        assert!(error < 1e-12, "{error}");
    }

    #[test]
    fn high_degrees_beat_interpolation() {
        for (function, degree) in [
            (Activation::Relu, 30),
            (Activation::Gelu(Gelu::Erf), 25),
            (Activation::Sigmoid, 15),
        ] {
            let interval = Interval { min: -8.0, max: 8.0 };
            let (found, error) = minimax(|x| function.apply(x), interval, degree);
            let reached = largest_error(|x| function.apply(x), |x| value_on(&found, interval, x), interval);
            let interpolated = interpolate(|x| function.apply(x), interval, degree);
            let other = largest_error(
                |x| function.apply(x),
                |x| value_on(&interpolated, interval, x),
                interval,
            );
            // Between two of 200 points a degree the error grows by (π/400)²/2 of itself.
            assert!(
                reached <= error * (1.0 + 1e-4) && error < 0.95 * other,
                "{function:?}: {error} and {other}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_polynomial_nearby_is_better(degree in 1usize..8, wiggle in prop::collection::vec(-1e-3..1e-3f64, 8)) {
            let function = |x: f64| libm::exp(x) + libm::fabs(x - 0.2);
            let (found, error) = minimax(function, UNIT, degree);
            let moved: Vec<f64> = found.iter().zip(&wiggle).map(|(c, w)| c + w).collect();
            let other = largest_error(function, |x| value_on(&moved, UNIT, x), UNIT);
            // The grid of the comparison misses the extrema by a step of 1e-3 beside the kink.
            prop_assert!(other >= error - 1.5e-3 * 1e-3 - 2e-3 * 1e-3, "{other} < {error}");
        }
    }
}
