//! Best quadratics under a normal distribution.
//!
//! With `z = (x - μ) / s` and `e_k = E[f He_k(z)]` the best quadratic is `e_0 + e_1 z + e_2/2 (z² - 1)`, and its mean squared
//! error is `E[f²] - e_0² - e_1² - e_2²/2`. By partial integration `e_1 = s E[f']` and `e_2 = s² E[f'']`, which gives closed
//! forms for piecewise linear functions and for GELU; other functions go through quadrature.

use crate::approximate::form::Quadratic;
use crate::approximate::least_squares::Point;
use crate::approximate::smoothing::{normal_cdf, normal_density};
use crate::nn::{Activation, Gelu};

/// How far quadrature goes, in deviations: a fourth moment beyond it is below 1e-12.
pub(crate) const REACH: f64 = 9.0;
/// Nodes of the quadrature. A kink errs by the square of their distance, 1e-6 here.
const NODES: usize = 8001;

/// A normal distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normal {
    /// Mean `μ`.
    pub mean: f64,
    /// Standard deviation `s`, positive.
    pub deviation: f64,
}

impl Normal {
    /// The distribution as weighted points for a fit of a function: midpoints, weights proportional to the density.
    pub(crate) fn points(self, function: impl Fn(f64) -> f64) -> impl Iterator<Item = Point> {
        let step = 2.0 * REACH / NODES as f64;
        (0..NODES).map(move |i| {
            let z = (i as f64 + 0.5) * step - REACH;
            let x = self.mean + self.deviation * z;
            Point {
                x,
                target: function(x),
                weight: step * normal_density(z),
            }
        })
    }

    /// The best quadratic and its mean squared error, in closed form where there is one.
    pub fn quadratic(self, function: Activation) -> (Quadratic, f64) {
        let moments = match function {
            Activation::Relu => self.leaky_relu(0.0),
            Activation::LeakyRelu { alpha } => self.leaky_relu(alpha),
            Activation::Abs => self.leaky_relu(-1.0),
            Activation::Gelu(Gelu::Erf) => self.gelu(),
            Activation::Selu { .. }
            | Activation::Mish
            | Activation::HardSigmoid { .. }
            | Activation::HardSwish
            | Activation::Exp
            | Activation::Reciprocal
            | Activation::Sqrt
            | Activation::ReciprocalSqrt
            | Activation::Log
            | Activation::Sign
            | Activation::Gelu(Gelu::Tanh)
            | Activation::Elu { .. }
            | Activation::Sigmoid
            | Activation::Tanh
            | Activation::Erf
            | Activation::Silu
            | Activation::Softplus
            | Activation::Clip { .. } => self.by_quadrature(|x| function.apply(x)),
        };
        (self.quadratic_of(moments), moments.error())
    }

    /// `α x + (1 - α) max(x, 0)`.
    fn leaky_relu(self, alpha: f64) -> Moments {
        let Self { mean, deviation: s } = self;
        let t = mean / s;
        let (cdf, density, bend) = (normal_cdf(t), normal_density(t), 1.0 - alpha);
        let (first, second) = (
            mean * cdf + s * density,
            (mean * mean + s * s) * cdf + mean * s * density,
        );
        // (αx + (1-α) r)² with x r = r² for the rectifier r.
        let square = alpha * alpha * (mean * mean + s * s) + (2.0 * alpha * bend + bend * bend) * second;
        Moments {
            e: [
                alpha * mean + bend * first,
                s * (alpha + bend * cdf),
                s * bend * density,
            ],
            square,
        }
    }

    /// `x Φ(x)`. The mean square has no closed form.
    fn gelu(self) -> Moments {
        let Self { mean, deviation: s } = self;
        let r = libm::sqrt(1.0 + s * s);
        let t = mean / r;
        let (cdf, density) = (normal_cdf(t), normal_density(t));
        let (m1, v1) = (mean / (r * r), s * s / (r * r));
        let slope = cdf + mean / (r * r * r) * density;
        let curvature = density / r * (2.0 - m1 * m1 - v1);
        let e = [mean * cdf + s * s / r * density, s * slope, s * s * curvature];
        let numeric = self.by_quadrature(|x| Activation::Gelu(Gelu::Erf).apply(x));
        Moments {
            e,
            square: numeric.square,
        }
    }

    fn by_quadrature(self, function: impl Fn(f64) -> f64) -> Moments {
        let mut moments = Moments {
            e: [0.0; 3],
            square: 0.0,
        };
        for Point { x, target, weight } in self.points(function) {
            let z = (x - self.mean) / self.deviation;
            moments.e[0] += weight * target;
            moments.e[1] += weight * target * z;
            moments.e[2] += weight * target * (z * z - 1.0);
            moments.square += weight * target * target;
        }
        moments
    }

    fn quadratic_of(self, Moments { e: [e0, e1, e2], .. }: Moments) -> Quadratic {
        let Self { mean, deviation: s } = self;
        let c2 = e2 / (2.0 * s * s);
        [
            e0 - e2 / 2.0 - e1 * mean / s + c2 * mean * mean,
            e1 / s - 2.0 * c2 * mean,
            c2,
        ]
    }
}

/// `E[f]`, `E[f z]`, `E[f (z² - 1)]` and `E[f²]`.
#[derive(Clone, Copy)]
struct Moments {
    e: [f64; 3],
    square: f64,
}

impl Moments {
    /// The mean squared error of the best quadratic; cancellation must not make it negative.
    fn error(&self) -> f64 {
        let [e0, e1, e2] = self.e;
        (self.square - e0 * e0 - e1 * e1 - e2 * e2 / 2.0).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    use crate::approximate::chebyshev::{to_power_basis, value_on};
    use crate::approximate::form::value;
    use crate::approximate::guard::Guard;
    use crate::approximate::least_squares::{Measure, fit};
    use crate::approximate::smoothing::{Kernel, Smoothed};
    use crate::calibrate::Interval;

    const STANDARD: Normal = Normal {
        mean: 0.0,
        deviation: 1.0,
    };
    const RELU: Activation = Activation::Relu;
    const GELU: Activation = Activation::Gelu(Gelu::Erf);

    /// The fit of a degree by the same least squares that layers use: power coefficients and mean squared error.
    fn fitted(function: impl Fn(f64) -> f64 + Copy, normal: Normal, degree: usize) -> (Vec<f64>, f64) {
        let reach = REACH * normal.deviation;
        let interval = Interval {
            min: normal.mean - reach,
            max: normal.mean + reach,
        };
        let found = fit(
            function,
            normal.points(function),
            degree,
            Measure {
                guard: Guard::even(1.0, 0.0),
                interval,
                seen: interval,
            },
        );
        let mse = normal
            .points(function)
            .map(|p| p.weight * (p.target - value_on(&found, interval, p.x)).powi(2))
            .sum();
        (to_power_basis(&found, interval), mse)
    }

    #[track_caller]
    fn check_near(what: &str, (found, mse): (&[f64], f64), expected: &[f64], expected_mse: f64) {
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 1.1e-6, "{what}: {found:?} is not {expected:?}");
        }
        // Published to four digits.
        assert!(
            (mse / expected_mse - 1.0).abs() < 1e-3,
            "{what}: mse {mse} is not {expected_mse}"
        );
    }

    #[track_caller]
    fn check(function: Activation, (mean, deviation): (f64, f64), expected: &[f64], mse: f64) {
        let normal = Normal { mean, deviation };
        let (found, found_mse) = fitted(|x| function.apply(x), normal, expected.len() - 1);
        check_near(&format!("{function:?} fitted"), (&found, found_mse), expected, mse);
        if expected.len() == 3 {
            let (found, found_mse) = normal.quadratic(function);
            check_near(&format!("{function:?} closed"), (&found, found_mse), expected, mse);
        }
    }

    #[test]
    fn quadratics_under_the_standard_normal_are_the_published_ones() {
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
        for (function, expected) in [(Activation::Sigmoid, 3.793e-5), (Activation::Tanh, 5.382e-3)] {
            let (_, mse) = fitted(|x| function.apply(x), STANDARD, 3);
            assert!((mse / expected - 1.0).abs() < 1e-3, "{mse}");
        }
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
    fn a_third_degree_helps_gelu_only_where_the_mean_is_not_zero() {
        for (mean, quadratic, cubic) in [
            (-1.0, 1.215e-2, 1.97e-3),
            (-0.5, 8.77e-3, 4.42e-3),
            (0.0, 6.119e-3, 6.119e-3),
        ] {
            let normal = Normal { mean, deviation: 1.0 };
            for (degree, expected) in [(2, quadratic), (3, cubic)] {
                let (_, mse) = fitted(|x| GELU.apply(x), normal, degree);
                assert!(
                    (mse / expected - 1.0).abs() < 3e-3,
                    "N({mean}, 1), degree {degree}: {mse}"
                );
            }
        }
    }

    #[test]
    fn smoothing_acts_like_a_larger_variance() {
        for (h, expected) in [
            (0.5, [0.267_618_62, 0.5, 0.178_412_41]),
            (1.0, [0.423_142_19, 0.5, 0.141_047_40]),
        ] {
            let smoothed = Smoothed::new(RELU, Kernel::Gaussian, h);
            let (found, _) = fitted(|x| smoothed.apply(x), STANDARD, 2);
            for (f, e) in found.iter().zip(expected) {
                assert!((f - e).abs() < 1.1e-6, "{found:?}");
            }
            let quadratic = [found[0], found[1], found[2]];
            let error = |p: Point| p.weight * (p.target - value(&quadratic, p.x)).powi(2);
            let mse: f64 = STANDARD.points(|x| RELU.apply(x)).map(error).sum();
            assert!(h != 0.5 || (mse / 1.4372e-2 - 1.0).abs() < 1e-3, "{mse}");
        }
    }

    #[test]
    fn errors_under_the_standard_normal_shrink_with_the_degree_as_published() {
        let relu = [(2, 1.1268e-2), (4, 4.636e-3), (6, 2.647e-3), (8, 1.759e-3)];
        let elu = [(2, 4.965e-3), (3, 1.821e-3), (4, 1.03e-3), (8, 1.74e-4)];
        let silu = [(2, 1.537e-3), (4, 1.078e-4), (6, 1.12e-5), (8, 1.50e-6)];
        let cases = [
            (RELU, relu),
            (Activation::Elu { alpha: 1.0 }, elu),
            (Activation::Silu, silu),
        ];
        for (function, errors) in cases {
            for (degree, expected) in errors {
                let (_, mse) = fitted(|x| function.apply(x), STANDARD, degree);
                assert!(
                    (mse / expected - 1.0).abs() < 6e-3,
                    "{function:?} {degree}: {mse} is not {expected}"
                );
            }
        }
    }

    /// `E(d) = 1/2 - 1/(2π) - 1/4 - Σ_{even n = 2..d} ((n - 3)!!)² / (2π n!)` for a rectifier, with `(-1)!! = 1`.
    fn closed_form(degree: usize) -> f64 {
        let mut left = 0.25 - 0.5 / PI;
        // ((n - 3)!!)² / n! from n to n + 2: times (n - 1)² / ((n + 1)(n + 2)).
        let mut term = 0.5;
        for n in (2..=degree).step_by(2) {
            left -= term / (2.0 * PI);
            let n = n as f64;
            term *= (n - 1.0) * (n - 1.0) / ((n + 1.0) * (n + 2.0));
        }
        left
    }

    #[test]
    fn errors_of_a_rectifier_follow_the_closed_form_as_far_as_it_was_published() {
        let published = [
            (2, 1.1268e-2),
            (10, 1.275e-3),
            (14, 7.810e-4),
            (16, 6.421e-4),
            (30, 2.537e-4),
            (32, 2.305e-4),
            (62, 8.607e-5),
            (64, 8.209e-5),
            (126, 2.982e-5),
        ];
        for (degree, expected) in published {
            let error = closed_form(degree);
            // Four digits were published.
            assert!(
                (error / expected - 1.0).abs() < 2e-4,
                "{degree}: {error} is not {expected}"
            );
        }
    }

    #[test]
    fn fits_reach_the_least_error_of_their_degree() {
        for degree in [2, 4, 6, 8, 10] {
            let (_, mse) = fitted(|x| RELU.apply(x), STANDARD, degree);
            let least = closed_form(degree);
            // The ridge that keeps equations on ±8 deviations solvable costs a percent at degree 10.
            assert!(
                (0.999..1.02).contains(&(mse / least)),
                "{degree}: {mse}, {least} is least"
            );
        }
    }

    #[test]
    fn the_standard_quadratic_of_relu_keeps_the_mean_and_explodes_as_published() {
        let (q, _) = STANDARD.quadratic(RELU);
        let moment = |power: i32| {
            STANDARD
                .points(|x| value(&q, x))
                .map(|p| p.weight * p.target.powi(power))
                .sum::<f64>()
        };
        assert!((moment(1) - 0.398_942).abs() < 1e-6 && (moment(2) - 0.488_732).abs() < 1e-5);
        assert!((moment(2) - moment(1) * moment(1) - 0.329_577).abs() < 1e-5);
        for (x, expected) in [
            (4.0, 5.391),
            (5.0, 7.686),
            (6.0, 10.380),
            (8.0, 16.966),
            (-4.0, 1.391),
            (-6.0, 4.380),
            (-8.0, 8.966),
        ] {
            assert!((value(&q, x) - expected).abs() < 6e-4, "{x}");
        }
        let error = (-300..=300)
            .map(|i| f64::from(i) / 100.0)
            .map(|x| (RELU.apply(x) - value(&q, x)).abs());
        assert!((error.fold(0.0, f64::max) - 0.4947).abs() < 6e-5);
    }
}
