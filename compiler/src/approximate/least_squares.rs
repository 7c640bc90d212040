//! Guarded least squares: polynomials fitted to a function where its operand really goes, kept in check elsewhere.
//!
//! The measure is `(1 - λ) · empirical + λ · uniform on [-B, B]` with `B` the largest operand times a margin. The empirical
//! part makes the fit good where it is used; the uniform part, the guard, keeps it from exploding in between and beyond.
//! The basis is `T_0 … T_d` of `x / B`; results are in the power basis of `x`. All sums are taken in a fixed order.
//!
//! # Source
//! Least squares under a mixture of the empirical measure and a uniform one; compare scaled distribution-aware
//! approximation, arXiv 2310.10349, which widens the distribution instead.

/// How many points stand for the uniform measure.
const GUARD_POINTS: usize = 801;

/// Added to the diagonal of the normal equations: keeps them solvable where all samples are equal.
const RIDGE: f64 = 1e-12;

/// The highest degree that is fitted: beyond it the power basis loses digits.
pub(crate) const MAX_DEGREE: usize = 3;

/// What to fit under.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measure {
    /// Weight of the guard, in `0..=1`.
    pub(crate) guard: f64,
    /// Half the length of the guard's interval `[-B, B]`.
    pub(crate) bound: f64,
}

/// Fits a polynomial of the given degree: its coefficients in the power basis, constant term first.
///
/// `samples` are operands, `targets` what the polynomial should give there; `function` is what it should give elsewhere.
///
/// # Shapes
/// `samples`, `targets`: equally many, at least one. Result: `degree + 1`.
pub(crate) fn fit(
    function: impl Fn(f64) -> f64,
    samples: &[f64],
    targets: &[f64],
    degree: usize,
    measure: Measure,
) -> Vec<f64> {
    debug_assert!(degree <= MAX_DEGREE && samples.len() == targets.len() && measure.bound > 0.0);
    let Measure { guard, bound } = measure;
    let mut equations = NormalEquations::new(degree + 1);
    let weight = (1.0 - guard) / samples.len() as f64;
    for (&x, &target) in samples.iter().zip(targets) {
        equations.add(x / bound, target, weight);
    }
    for point in guard_points(bound) {
        equations.add(point / bound, function(point), guard / GUARD_POINTS as f64);
    }
    to_power_basis(&equations.solve(), bound)
}

/// The points that stand for the uniform measure on `[-bound, bound]`.
pub(crate) fn guard_points(bound: f64) -> impl Iterator<Item = f64> {
    let last = (GUARD_POINTS - 1) as f64;
    (0..GUARD_POINTS).map(move |i| bound * (2.0 * i as f64 / last - 1.0))
}

/// The value of a polynomial in the power basis, constant term first.
pub(crate) fn value(coefficients: &[f64], x: f64) -> f64 {
    coefficients
        .iter()
        .rev()
        .fold(0.0, |sum, coefficient| sum * x + coefficient)
}

/// `Σ w T Tᵀ` and `Σ w T y` for the Chebyshev polynomials `T`.
struct NormalEquations {
    gram: [[f64; MAX_DEGREE + 1]; MAX_DEGREE + 1],
    right: [f64; MAX_DEGREE + 1],
    size: usize,
}

impl NormalEquations {
    fn new(size: usize) -> Self {
        Self {
            gram: Default::default(),
            right: Default::default(),
            size,
        }
    }

    fn add(&mut self, t: f64, target: f64, weight: f64) {
        let mut basis = [1.0, t, 0.0, 0.0];
        for k in 2..self.size {
            basis[k] = 2.0 * t * basis[k - 1] - basis[k - 2];
        }
        for i in 0..self.size {
            self.right[i] += weight * basis[i] * target;
            for j in 0..=i {
                self.gram[i][j] += weight * basis[i] * basis[j];
            }
        }
    }

    /// Solves by Cholesky decomposition of the lower triangle.
    fn solve(mut self) -> Vec<f64> {
        let (n, a) = (self.size, &mut self.gram);
        for j in 0..n {
            a[j][j] += RIDGE;
            for k in 0..j {
                a[j][j] -= a[j][k] * a[j][k];
            }
            a[j][j] = a[j][j].max(RIDGE).sqrt();
            for i in j + 1..n {
                for k in 0..j {
                    a[i][j] -= a[i][k] * a[j][k];
                }
                a[i][j] /= a[j][j];
            }
        }
        let mut x = self.right[..n].to_vec();
        for i in 0..n {
            for k in 0..i {
                x[i] -= a[i][k] * x[k];
            }
            x[i] /= a[i][i];
        }
        for i in (0..n).rev() {
            for k in i + 1..n {
                x[i] -= a[k][i] * x[k];
            }
            x[i] /= a[i][i];
        }
        x
    }
}

/// From coefficients of `T_k(x / bound)` to coefficients of `x^k`.
fn to_power_basis(chebyshev: &[f64], bound: f64) -> Vec<f64> {
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
        scale /= bound;
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nn::{Activation, Gelu};

    /// How near a midpoint sum of 40 001 points over ten deviations comes to a Gaussian integral: a kink costs the
    /// square of the step.
    const QUADRATURE: f64 = 1e-6;

    /// Fits under a normal distribution, by quadrature: coefficients and mean squared error.
    fn gaussian_fit(function: impl Fn(f64) -> f64, mean: f64, deviation: f64, degree: usize) -> (Vec<f64>, f64) {
        let points = 40_001;
        let bound = 10.0 * deviation + mean.abs();
        let mut equations = NormalEquations::new(degree + 1);
        let nodes: Vec<(f64, f64)> = (0..points)
            .map(|i| {
                let z = 20.0 * (f64::from(i) + 0.5) / f64::from(points) - 10.0;
                let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
                (mean + deviation * z, density * 20.0 / f64::from(points))
            })
            .collect();
        for &(x, weight) in &nodes {
            equations.add(x / bound, function(x), weight);
        }
        let coefficients = to_power_basis(&equations.solve(), bound);
        let error = |x: f64| (function(x) - value(&coefficients, x)).powi(2);
        let mse = nodes.iter().map(|&(x, weight)| weight * error(x)).sum();
        (coefficients, mse)
    }

    #[track_caller]
    fn check(function: Activation, (mean, deviation): (f64, f64), expected: &[f64], mse: f64) {
        let (found, found_mse) = gaussian_fit(|x| function.apply(x), mean, deviation, expected.len() - 1);
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < QUADRATURE,
                "{function:?}: {found} is not {expected}"
            );
        }
        assert!(
            (found_mse / mse - 1.0).abs() < 1e-3,
            "{function:?}: mse {found_mse} is not {mse}"
        );
    }

    const RELU: Activation = Activation::Relu;
    const GELU: Activation = Activation::Gelu(Gelu::Erf);

    #[test]
    fn quadratics_under_the_standard_normal_have_their_closed_forms() {
        check(RELU, (0.0, 1.0), &[0.199_471_14, 0.5, 0.199_471_14], 0.011_267_59);
        check(GELU, (0.0, 1.0), &[0.070_523_70, 0.5, 0.211_571_09], 6.119e-3);
        check(
            Activation::Silu,
            (0.0, 1.0),
            &[0.031_198_24, 0.5, 0.175_422_72],
            1.537e-3,
        );
        check(
            Activation::Softplus,
            (0.0, 1.0),
            &[0.702_748_70, 0.5, 0.103_310_48],
            1.684e-4,
        );
    }

    #[test]
    fn odd_functions_have_no_even_part() {
        check(Activation::Sigmoid, (0.0, 1.0), &[0.5, 0.206_620_96], 6.868e-4);
        check(Activation::Tanh, (0.0, 1.0), &[0.0, 0.605_705_51], 2.742e-2);
        let (cubic, mse) = gaussian_fit(|x| Activation::Tanh.apply(x), 0.0, 1.0, 3);
        assert!(cubic[0].abs() < QUADRATURE && cubic[2].abs() < QUADRATURE, "{cubic:?}");
        assert!((mse / 5.382e-3 - 1.0).abs() < 1e-3, "{mse}");
    }

    #[test]
    fn other_deviations_scale_the_coefficients() {
        check(RELU, (0.0, 2.0), &[0.398_942_28, 0.5, 0.099_735_57], 4.507e-2);
        check(GELU, (0.0, 2.0), &[0.285_459_86, 0.5, 0.107_047_45], 5.388e-2);
        check(
            Activation::Silu,
            (0.0, 2.0),
            &[0.181_797_69, 0.5, 0.105_976_96],
            3.162e-2,
        );
        check(RELU, (0.0, 0.5), &[0.099_735_57, 0.5, 0.398_942_28], 2.817e-3);
    }

    #[test]
    fn other_means_move_them() {
        check(
            RELU,
            (0.3, 1.7),
            &[0.344_258_79, 0.500_724_02, 0.115_523_08],
            0.033_540_77,
        );
        check(
            RELU,
            (-1.0, 0.5),
            &[0.067_488_71, 0.130_732_06, 0.053_990_97],
            9.303_888e-4,
        );
        check(RELU, (-1.0, 1.0), &[0.241_971, 0.400_626, 0.120_985], 1.395e-2);
        check(
            RELU,
            (-1.0, 1.0),
            &[0.161_314, 0.400_626, 0.241_971, 0.040_328],
            4.194e-3,
        );
    }

    #[test]
    fn the_guard_alone_is_the_uniform_fit() {
        let measure = Measure { guard: 1.0, bound: 1.0 };
        let found = fit(|x| RELU.apply(x), &[0.3], &[0.3], 2, measure);
        // 801 points are not quite the uniform measure.
        for (found, expected) in found.iter().zip([3.0 / 32.0, 0.5, 15.0 / 32.0]) {
            assert!((found - expected).abs() < 2e-3, "{found} is not {expected}");
        }
    }

    #[test]
    fn far_values_of_the_standard_quadratic_are_known() {
        let (q, _) = gaussian_fit(|x| RELU.apply(x), 0.0, 1.0, 2);
        for (x, expected) in [(4.0, 5.391), (5.0, 7.686), (8.0, 16.966), (-4.0, 1.391), (-8.0, 8.966)] {
            assert!((value(&q, x) - expected).abs() < 1e-3, "{x}");
        }
    }

    #[test]
    fn equal_samples_are_fitted() {
        let found = fit(
            |x| RELU.apply(x),
            &[2.0; 16],
            &[2.0; 16],
            2,
            Measure {
                guard: 1e-2,
                bound: 2.5,
            },
        );
        assert!((value(&found, 2.0) - 2.0).abs() < 0.05, "{found:?}");
    }

    proptest! {
        #[test]
        fn a_quadratic_is_found_again(
            c in prop::array::uniform3(-3.0..3.0f64),
            samples in prop::collection::vec(-5.0..5.0f64, 8..40),
        ) {
            let targets: Vec<f64> = samples.iter().map(|&x| value(&c, x)).collect();
            let found = fit(|x| value(&c, x), &samples, &targets, 2, Measure { guard: 1e-2, bound: 6.0 });
            for (found, expected) in found.iter().zip(c) {
                prop_assert!((found - expected).abs() < 1e-7, "{found} is not {expected}");
            }
        }
    }
}
