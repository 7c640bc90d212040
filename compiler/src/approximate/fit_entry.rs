//! Fits one polynomial to one function on one interval, by any method under any distribution.

use crate::approximate::chebyshev::{damp, interpolate, series};
use crate::approximate::entries::Entry;
use crate::approximate::fit_options::{Distribution, FitOptions, Method, Smoothing, Targets};
use crate::approximate::gaussian::Normal;
use crate::approximate::guard::Guard;
use crate::approximate::least_squares::{Measure, Point, fit};
use crate::approximate::remez::minimax;
use crate::approximate::smoothing::Smoothed;
use crate::calibrate::Interval;
use crate::nn::Activation;

/// What a fit is for: the function, and where its operand goes.
#[derive(Clone, Debug)]
pub(crate) struct Goal<'a> {
    /// The function, smoothed or not.
    pub(crate) function: Smoothed,
    /// Operands with what the polynomial should give there.
    pub(crate) samples: (&'a [f64], &'a [f64]),
    /// Mean and deviation of the operands.
    pub(crate) moments: (f64, f64),
    /// Where the polynomial is fitted.
    pub(crate) interval: Interval,
    /// Where operands were seen.
    pub(crate) seen: Interval,
}

impl<'a> Goal<'a> {
    /// The goal for one entry of a layer.
    pub(crate) fn of_entry(function: Activation, entry: &'a Entry, options: &FitOptions) -> Self {
        let moments = entry.moments();
        let function = match options.smoothing {
            None => Smoothed::exact(function),
            Some(Smoothing { kernel, bandwidth }) => Smoothed::new(function, kernel, bandwidth * moments.1),
        };
        Self {
            function,
            samples: (&entry.fitted.operands, &entry.fitted.targets),
            moments,
            interval: entry.interval,
            seen: entry.seen,
        }
    }

    /// Fits a polynomial of a degree: `c_0 … c_degree` in the Chebyshev basis of the interval.
    pub(crate) fn fit(&self, degree: usize, options: &FitOptions, guard: Guard) -> Vec<f64> {
        let function = |x| self.function.apply(x);
        match options.method {
            Method::LeastSquares => self.least_squares(degree, options, guard, |_| 0.0),
            Method::Minimax => minimax(function, self.interval, degree).0,
            Method::Chebyshev => series(function, self.interval, degree),
            Method::Jackson => {
                let mut coefficients = series(function, self.interval, degree);
                damp(&mut coefficients);
                coefficients
            }
        }
    }

    /// Interpolates in the Chebyshev points of the interval.
    pub(crate) fn interpolate(&self, degree: usize) -> Vec<f64> {
        interpolate(|x| self.function.apply(x), self.interval, degree)
    }

    /// Fits by least squares what a known part leaves of the function.
    pub(crate) fn least_squares(
        &self,
        degree: usize,
        options: &FitOptions,
        guard: Guard,
        known: impl Fn(f64) -> f64,
    ) -> Vec<f64> {
        let rest = |x: f64| self.function.apply(x) - known(x);
        let measure = |guard| Measure {
            guard,
            interval: self.interval,
            seen: self.seen,
        };
        let (mean, deviation) = self.moments;
        match options.distribution {
            Distribution::Uniform => fit(rest, std::iter::empty(), degree, measure(Guard::even(1.0, 1.0))),
            Distribution::Gaussian if deviation > 0.0 => {
                let points = Normal { mean, deviation }.points(rest);
                fit(rest, points, degree, measure(guard))
            }
            // A constant operand has no normal distribution: its samples say as much.
            Distribution::Empirical | Distribution::Gaussian => {
                let (operands, targets) = self.samples;
                let weight = 1.0 / operands.len() as f64;
                let own = options.smoothing.is_some() || options.targets == Targets::Local;
                let points = operands.iter().zip(targets).map(|(&x, &target)| Point {
                    x,
                    target: if own { rest(x) } else { target - known(x) },
                    weight,
                });
                fit(rest, points, degree, measure(guard))
            }
        }
    }
}

/// A fit in words, for a report.
pub(crate) fn words(degree: usize, options: &FitOptions, guard: Guard) -> String {
    let guard = guard.weight;
    let smoothed = options.smoothing.map_or_else(String::new, |smoothing| {
        format!(" after smoothing by {smoothing} deviations")
    });
    let method = match (options.method, options.distribution) {
        (Method::LeastSquares, Distribution::Empirical) => {
            format!("guarded least squares of degree {degree}, guard {guard}")
        }
        (Method::LeastSquares, Distribution::Gaussian) => {
            format!("least squares of degree {degree} under a normal distribution, guard {guard}")
        }
        (Method::LeastSquares, Distribution::Uniform) => format!("least squares of degree {degree} on the interval"),
        (Method::Minimax, _) => format!("minimax of degree {degree}"),
        (Method::Chebyshev, _) => format!("Chebyshev series of degree {degree}"),
        (Method::Jackson, _) => format!("damped Chebyshev series of degree {degree}"),
    };
    let targets = match options.targets {
        Targets::Exact => "",
        Targets::Local => ", fitted to the function of its own operands",
        Targets::OneShot => ", fitted by itself",
    };
    format!("{method}{smoothed}{targets}")
}
