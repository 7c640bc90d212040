//! Fits one function by itself, for people who want to look.

use serde::{Deserialize, Serialize};

use crate::approximate::chebyshev::{interpolate, largest_error, points_of, to_power_basis, value_on};
use crate::approximate::domain::Domain;
use crate::approximate::entries::{Extent, fit_interval, mean};
use crate::approximate::fit_entry::{Goal, words};
use crate::approximate::fit_options::{Distribution, FitOptions, Method, Smoothing, Targets};
use crate::approximate::gaussian::{Normal, REACH};
use crate::approximate::guard::Guard;
use crate::approximate::least_squares::Point;
use crate::approximate::smoothing::{Smoothed, has_kink};
use crate::calibrate::Interval;
use crate::nn::{Activation, Gelu};

/// The functions that have a name.
pub const FUNCTIONS: &[(&str, Activation)] = &[
    ("relu", Activation::Relu),
    ("leaky-relu", Activation::LeakyRelu { alpha: 0.01 }),
    ("relu6", Activation::Clip { min: 0.0, max: 6.0 }),
    ("gelu", Activation::Gelu(Gelu::Erf)),
    ("gelu-tanh", Activation::Gelu(Gelu::Tanh)),
    ("silu", Activation::Silu),
    ("elu", Activation::Elu { alpha: 1.0 }),
    (
        "selu",
        Activation::Selu {
            alpha: 1.673_263_242_354_377_2,
            gamma: 1.050_700_987_355_480_5,
        },
    ),
    ("softplus", Activation::Softplus),
    ("mish", Activation::Mish),
    ("sigmoid", Activation::Sigmoid),
    (
        "hard-sigmoid",
        Activation::HardSigmoid {
            slope: 0.2,
            offset: 0.5,
        },
    ),
    ("hard-swish", Activation::HardSwish),
    ("tanh", Activation::Tanh),
    ("erf", Activation::Erf),
    ("exp", Activation::Exp),
    ("reciprocal", Activation::Reciprocal),
    ("sqrt", Activation::Sqrt),
    ("rsqrt", Activation::ReciprocalSqrt),
    ("log", Activation::Log),
    ("abs", Activation::Abs),
    ("sign", Activation::Sign),
];

/// Where a function's operand goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Operands {
    /// A normal distribution; errors are looked for within three deviations.
    Normal(Normal),
    /// Evenly on an interval.
    Interval(Interval),
    /// Samples: those to fit, and those to measure errors on.
    Samples {
        /// To fit.
        fitted: Vec<f64>,
        /// To measure errors on.
        held_back: Vec<f64>,
    },
}

/// How one function is fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FunctionRule {
    /// The degree.
    pub degree: usize,
    /// Method, distribution, smoothing.
    pub fit: FitOptions,
    /// Weight of the guard.
    pub guard: f64,
    /// Length of the interval over the largest sample.
    pub margin: f64,
}

/// A polynomial in place of a function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionFit {
    /// How it was found.
    pub rule: String,
    /// The degree.
    pub degree: usize,
    /// `c_0 …` of `Σ c_k T_k` on `basis`.
    pub chebyshev: Vec<f64>,
    /// The interval of the Chebyshev basis.
    pub basis: Interval,
    /// `c_0 …` of `Σ c_k x^k`; of use for low degrees.
    pub powers: Vec<f64>,
    /// The interval on which the largest error was looked for.
    pub interval: Interval,
    /// Mean squared error: on held-back samples, under the normal distribution, or on the interval.
    pub mse: f64,
    /// Largest error on the interval.
    pub max_error: f64,
    /// Levels it takes: a quadratic folded into its neighbours one, others `ceil(log2(degree + 1))`.
    pub depth: u32,
    /// Fraction of held-back samples outside the interval.
    pub exceedance: f64,
}

impl FunctionFit {
    /// Its value.
    pub fn value(&self, x: f64) -> f64 {
        value_on(&self.chebyshev, self.basis, x)
    }
}

/// Fits one function.
///
/// # Errors
/// What is wrong with the operands, in words.
pub fn fit_function(function: Activation, operands: &Operands, rule: &FunctionRule) -> Result<FunctionFit, String> {
    check(operands)?;
    let (interval, moments) = extent(function, operands, rule.margin);
    if let Some(defect) = Domain::of(function).defect(interval) {
        return Err(defect
            .replace("on some calibration samples", "somewhere")
            .replace("on all calibration samples", "everywhere")
            .replace("on the calibration samples", "there"));
    }
    let fit = FitOptions {
        targets: Targets::Local,
        ..rule.fit
    };
    // Quadrature goes nine deviations far: a basis of three would grow too fast there.
    let normal = matches!(operands, Operands::Normal(_))
        && fit.method == Method::LeastSquares
        && fit.distribution == Distribution::Gaussian;
    let basis = match normal && Domain::of(function) == Domain::Everywhere {
        true => around(moments, REACH),
        false => interval,
    };
    let fitted: &[f64] = match operands {
        Operands::Samples { fitted, .. } => fitted,
        Operands::Normal(_) | Operands::Interval(_) => &[],
    };
    let smoothed = match fit.smoothing {
        None => Smoothed::exact(function),
        Some(Smoothing { kernel, bandwidth }) => Smoothed::new(function, kernel, bandwidth * moments.1),
    };
    let goal = Goal {
        function: smoothed,
        samples: (fitted, fitted),
        moments,
        interval: basis,
        seen: basis,
    };
    let guard = Guard::even(rule.margin, rule.guard);
    let chebyshev = goal.fit(rule.degree, &fit, guard);
    let rule_words = words(
        rule.degree,
        &FitOptions {
            targets: Targets::Exact,
            ..fit
        },
        guard,
    );
    Ok(measured(function, operands, (chebyshev, basis), (rule_words, interval)))
}

/// The Taylor polynomial at 0, where the function is smooth there: what many start from.
///
/// # Errors
/// As for [`fit_function`], and functions with a kink.
pub fn taylor(function: Activation, operands: &Operands, degree: usize, margin: f64) -> Result<FunctionFit, String> {
    /// Half the interval that derivatives are taken from, and how many degrees more than are kept.
    const NEAR: f64 = 0.25;
    const SPARE: usize = 8;
    check(operands)?;
    if has_kink(function) || Domain::of(function) != Domain::Everywhere {
        return Err("the function has no Taylor polynomial at 0".to_owned());
    }
    let near = Interval { min: -NEAR, max: NEAR };
    let mut powers = to_power_basis(&interpolate(|x| function.apply(x), near, degree + SPARE), near);
    powers.truncate(degree + 1);
    let (interval, _) = extent(function, operands, margin);
    let value = |x: f64| powers.iter().rev().fold(0.0, |sum, c| sum * x + c);
    let chebyshev = interpolate(value, interval, degree);
    let rule = format!("Taylor polynomial of degree {degree} at 0");
    Ok(measured(function, operands, (chebyshev, interval), (rule, interval)))
}

/// The lowest degree whose largest error is at most `tolerance`, by interpolation on the operands' interval.
///
/// # Errors
/// As for [`fit_function`], and functions that no degree up to `most` comes so near to.
pub fn degree_for(
    function: Activation,
    operands: &Operands,
    margin: f64,
    tolerance: f64,
    most: usize,
) -> Result<usize, String> {
    check(operands)?;
    let (interval, _) = extent(function, operands, margin);
    lowest_degree(function, &[interval], |_| tolerance, most).ok_or_else(|| {
        format!(
            "no polynomial of degree up to {most} comes within {tolerance} of it from {} to {}",
            interval.min, interval.max
        )
    })
}

/// The lowest degree at which interpolation on every interval errs by at most what is tolerated there.
pub(crate) fn lowest_degree(
    function: Activation,
    intervals: &[Interval],
    tolerance: impl Fn(Interval) -> f64,
    most: usize,
) -> Option<usize> {
    let near_enough = |degree: usize| {
        intervals.iter().all(|&interval| {
            let polynomial = interpolate(|x| function.apply(x), interval, degree);
            largest_error(|x| function.apply(x), |x| value_on(&polynomial, interval, x), interval)
                <= tolerance(interval)
        })
    };
    let rungs = (1..)
        .map(|k| (1usize << k) - 1)
        .take_while(|&degree| degree < most)
        .chain([most]);
    let enough = rungs.into_iter().find(|&degree| near_enough(degree))?;
    // Errors shrink with the degree, nearly always: bisection finds a degree that is enough, next to one that is not.
    let (mut low, mut high) = (enough / 2, enough);
    while low + 1 < high {
        let middle = usize::midpoint(low, high);
        (low, high) = if near_enough(middle) {
            (low, middle)
        } else {
            (middle, high)
        };
    }
    Some(high.max(1))
}

fn check(operands: &Operands) -> Result<(), String> {
    let sound =
        |interval: &Interval| interval.min < interval.max && interval.min.is_finite() && interval.max.is_finite();
    match operands {
        Operands::Normal(Normal { mean, deviation })
            if !(mean.is_finite() && deviation.is_finite() && *deviation > 0.0) =>
        {
            Err(format!(
                "a normal distribution needs a positive deviation and a finite mean, not {deviation} and {mean}"
            ))
        }
        Operands::Interval(interval) if !sound(interval) => {
            Err(format!("{} to {} is no interval", interval.min, interval.max))
        }
        Operands::Samples { fitted, held_back } if fitted.is_empty() || held_back.is_empty() => {
            Err("there are too few samples: one in five is held back, and both parts must have some".to_owned())
        }
        Operands::Samples { fitted, held_back } => match fitted.iter().chain(held_back).find(|x| !x.is_finite()) {
            Some(x) => Err(format!("a sample is {x}, not a finite number")),
            None => Ok(()),
        },
        Operands::Normal(_) | Operands::Interval(_) => Ok(()),
    }
}

/// Mean plus and minus some deviations.
fn around((mean, deviation): (f64, f64), deviations: f64) -> Interval {
    Interval {
        min: mean - deviations * deviation,
        max: mean + deviations * deviation,
    }
}

/// The interval that errors are looked for on, and mean and deviation of the operands.
fn extent(function: Activation, operands: &Operands, margin: f64) -> (Interval, (f64, f64)) {
    match operands {
        Operands::Normal(Normal { mean, deviation }) => (around((*mean, *deviation), 3.0), (*mean, *deviation)),
        Operands::Interval(interval) => {
            let half = (interval.max - interval.min) / 2.0;
            (
                *interval,
                (f64::midpoint(interval.min, interval.max), half / libm::sqrt(3.0)),
            )
        }
        Operands::Samples { fitted, .. } => {
            let seen = Interval::of(fitted.iter().copied());
            let center = mean(fitted.iter().copied());
            let variance = mean(fitted.iter().map(|x| (x - center) * (x - center)));
            (
                fit_interval(function, seen, margin, 0.0, Extent::Tight),
                (center, libm::sqrt(variance)),
            )
        }
    }
}

fn measured(
    function: Activation,
    operands: &Operands,
    (chebyshev, basis): (Vec<f64>, Interval),
    (rule, interval): (String, Interval),
) -> FunctionFit {
    let value = |x: f64| value_on(&chebyshev, basis, x);
    let square = |x: f64| (function.apply(x) - value(x)) * (function.apply(x) - value(x));
    let (mse, exceedance) = match operands {
        Operands::Normal(normal) => {
            let points = normal.points(square);
            (points.map(|Point { target, weight, .. }| weight * target).sum(), 0.0)
        }
        Operands::Interval(interval) => (mean(points_of(*interval, 20_001).map(square)), 0.0),
        Operands::Samples { held_back, .. } => {
            let outside = |x: &f64| {
                if *x < interval.min || *x > interval.max {
                    1.0
                } else {
                    0.0
                }
            };
            (
                mean(held_back.iter().map(|&x| square(x))),
                mean(held_back.iter().map(outside)),
            )
        }
    };
    let degree = chebyshev.len() - 1;
    FunctionFit {
        rule,
        degree,
        powers: to_power_basis(&chebyshev, basis),
        mse,
        max_error: largest_error(|x| function.apply(x), value, interval),
        depth: match degree {
            0 | 1 => 0,
            2 => 1,
            _ => usize::BITS - degree.leading_zeros(),
        },
        exceedance,
        chebyshev,
        basis,
        interval,
    }
}

/// Points of a curve, evenly spaced on an interval.
pub fn curve(function: impl Fn(f64) -> f64, interval: Interval, count: usize) -> Vec<(f64, f64)> {
    points_of(interval, count.max(2)).map(|x| (x, function(x))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: FunctionRule = FunctionRule {
        degree: 2,
        fit: FitOptions {
            distribution: Distribution::Gaussian,
            ..FitOptions::USUAL
        },
        guard: 0.0,
        margin: 1.25,
    };
    const STANDARD: Operands = Operands::Normal(Normal {
        mean: 0.0,
        deviation: 1.0,
    });

    fn named(name: &str) -> Activation {
        FUNCTIONS
            .iter()
            .find(|(known, _)| *known == name)
            .expect("it has a name")
            .1
    }

    #[test]
    fn the_standard_quadratic_of_relu_has_its_published_numbers() {
        let fit = fit_function(Activation::Relu, &STANDARD, &USUAL).expect("a fit");
        for (found, expected) in fit.powers.iter().zip([0.199_471_14, 0.5, 0.199_471_14]) {
            assert!((found - expected).abs() < 1e-6, "{:?}", fit.powers);
        }
        assert!(
            (fit.mse - 0.011_267_59).abs() < 1e-6 && (fit.max_error - 0.4947).abs() < 6e-5,
            "{fit:?}"
        );
        assert_eq!(fit.depth, 1);
    }

    #[test]
    fn every_named_function_has_a_polynomial_of_the_tolerance() {
        for &(name, function) in FUNCTIONS {
            let interval = match Domain::of(function) {
                Domain::Everywhere => Interval { min: -4.0, max: 4.0 },
                Domain::NotNegative | Domain::Positive | Domain::OneSign => Interval { min: 0.5, max: 8.0 },
            };
            if function == Activation::Sign {
                continue;
            }
            let operands = Operands::Interval(interval);
            let degree = degree_for(function, &operands, 1.25, 0.05, 127).expect(name);
            let method = FitOptions {
                method: Method::Minimax,
                ..FitOptions::USUAL
            };
            let fit = fit_function(
                function,
                &operands,
                &FunctionRule {
                    degree,
                    fit: method,
                    ..USUAL
                },
            )
            .expect(name);
            assert!(
                fit.max_error <= 0.05 * (1.0 + 1e-6),
                "{name}, degree {degree}: {}",
                fit.max_error
            );
            if degree > 1 {
                let interpolated = interpolate(|x| function.apply(x), interval, degree - 1);
                let error = largest_error(
                    |x| function.apply(x),
                    |x| value_on(&interpolated, interval, x),
                    interval,
                );
                assert!(error > 0.05, "{name}: degree {} is enough", degree - 1);
            }
        }
    }

    #[test]
    fn a_jump_has_no_polynomial() {
        let operands = Operands::Interval(Interval { min: -1.0, max: 1.0 });
        let refused = degree_for(Activation::Sign, &operands, 1.25, 0.01, 127).expect_err("a jump");
        assert!(refused.contains("no polynomial of degree up to 127"), "{refused}");
    }

    #[test]
    fn a_taylor_polynomial_has_the_derivatives() {
        let fit = taylor(named("gelu"), &STANDARD, 2, 1.25).expect("it is smooth");
        for (found, expected) in fit
            .powers
            .iter()
            .zip([0.0, 0.5, 1.0 / (2.0 * std::f64::consts::PI).sqrt()])
        {
            assert!((found - expected).abs() < 1e-7, "{:?}", fit.powers);
        }
        assert!(taylor(named("relu"), &STANDARD, 2, 1.25).is_err());
    }

    #[test]
    fn senseless_operands_are_refused_in_words() {
        let sample = |fitted: &[f64], held_back: &[f64]| Operands::Samples {
            fitted: fitted.to_vec(),
            held_back: held_back.to_vec(),
        };
        for operands in [
            Operands::Normal(Normal {
                mean: 0.0,
                deviation: 0.0,
            }),
            Operands::Interval(Interval { min: 1.0, max: 1.0 }),
            sample(&[], &[]),
            sample(&[1.0, f64::NAN], &[1.0]),
        ] {
            assert!(
                fit_function(Activation::Relu, &operands, &USUAL).is_err(),
                "{operands:?}"
            );
        }
        assert!(fit_function(Activation::Log, &STANDARD, &USUAL).is_err());
    }

    #[test]
    fn constant_and_negative_samples_are_fitted() {
        let empirical = FunctionRule {
            fit: FitOptions::USUAL,
            guard: 1e-2,
            ..USUAL
        };
        let fitted_mse = |values: [f64; 4]| {
            let operands = Operands::Samples {
                fitted: values.to_vec(),
                held_back: values.to_vec(),
            };
            fit_function(Activation::Relu, &operands, &empirical)
                .expect("a fit")
                .mse
        };
        assert!(fitted_mse([2.0; 4]) < 1e-3);
        assert!(fitted_mse([0.0; 4]) < 1e-3);
        assert!(fitted_mse([-1.0, -3.0, -2.0, -0.5]) < 1e-3);
    }
}
