//! Fits one activation layer by polynomials of a degree above two, in the Chebyshev basis.

use heron_plan::Parity;
use ndarray::{Array1, Array2};
use rayon::prelude::*;

use crate::approximate::ApproximateOptions;
use crate::approximate::chebyshev::{center_and_radius, largest_error, points_of, value_on};
use crate::approximate::entries::{Entry, Extent, LayerSamples, coefficient_ranges, entries_of, hull, mean};
use crate::approximate::fit_entry::{Goal, words};
use crate::approximate::fit_layer::{Form, LayerFit};
use crate::approximate::fit_options::Method;
use crate::approximate::function_fit::lowest_degree;
use crate::approximate::remez::minimax;
use crate::approximate::replacement::{Expansion, Replacement};
use crate::calibrate::Interval;
use crate::nn::{Activation, Chebyshev};
use crate::options::MAX_DEGREE;

/// Fits a layer by the method and under the distribution of the options.
pub(crate) fn fit_degree(
    function: Activation,
    layer: LayerSamples<'_>,
    options: &ApproximateOptions,
    degree: usize,
) -> LayerFit {
    let (guard, fit) = (options.above_two, &options.fit);
    let rule = words(degree, fit, guard);
    // The other methods hold the whole interval as firmly as its middle: a long one would only cost accuracy.
    let (margin, extent) = match fit.method {
        Method::LeastSquares => (guard.margin, Extent::Stretched),
        Method::Minimax | Method::Chebyshev | Method::Jackson => (options.margin, Extent::Tight),
    };
    let entries = entries_of(function, layer, options.granularity, margin, extent);
    fit_entries(function, &entries, options, rule, |goal| goal.fit(degree, fit, guard))
}

/// Interpolates a layer in the Chebyshev points of its intervals.
pub(crate) fn interpolate(
    function: Activation,
    layer: LayerSamples<'_>,
    options: &ApproximateOptions,
    degree: usize,
) -> LayerFit {
    let rule = format!("Chebyshev interpolation of degree {degree}");
    let entries = entries_of(function, layer, options.granularity, options.margin, Extent::Tight);
    fit_entries(function, &entries, options, rule, |goal| goal.interpolate(degree))
}

/// Fits a layer with the lowest degree that errs by at most `2^-bits` of the function's largest magnitude.
///
/// # Errors
/// Why there is none.
pub(crate) fn fit_tolerance(
    function: Activation,
    layer: LayerSamples<'_>,
    options: &ApproximateOptions,
    bits: u32,
) -> Result<LayerFit, String> {
    /// The exchange is quick and sure up to here; above, interpolation errs by at most a few times as much.
    const MINIMAX_DEGREE: usize = 31;
    let entries = entries_of(function, layer, options.granularity, options.margin, Extent::Tight);
    let intervals: Vec<Interval> = entries.iter().map(|entry| entry.interval).collect();
    let largest = |interval: Interval| {
        points_of(interval, 101)
            .map(|x| function.apply(x).abs())
            .fold(0.0, f64::max)
    };
    let tolerated = |interval: Interval| libm::ldexp(largest(interval).max(f64::MIN_POSITIVE), -(bits as i32));
    let degree = lowest_degree(function, &intervals, tolerated, MAX_DEGREE as usize).ok_or_else(|| {
        let Interval { min, max } = hull(&entries);
        format!("no polynomial of degree up to {MAX_DEGREE} is within {bits} bits of it from {min:.3} to {max:.3}")
    })?;
    let exact = options.fit.smoothing.is_none();
    Ok(if exact && degree <= MINIMAX_DEGREE {
        let rule = format!("minimax of degree {degree}, within {bits} bits");
        fit_entries(function, &entries, options, rule, |goal| {
            minimax(|x| function.apply(x), goal.interval, degree).0
        })
    } else {
        let rule = format!("Chebyshev interpolation of degree {degree}, within {bits} bits");
        fit_entries(function, &entries, options, rule, |goal| goal.interpolate(degree))
    })
}

fn fit_entries(
    function: Activation,
    entries: &[Entry],
    options: &ApproximateOptions,
    rule: String,
    fit: impl Fn(&Goal<'_>) -> Vec<f64> + Sync,
) -> LayerFit {
    let fitted: Vec<(Vec<f64>, f64, f64)> = entries
        .par_iter()
        .map(|entry| {
            let coefficients = fit(&Goal::of_entry(function, entry, &options.fit));
            let polynomial = |x| value_on(&coefficients, entry.interval, x);
            let (mse, error) = (
                entry.mse(polynomial),
                largest_error(|x| function.apply(x), polynomial, entry.interval),
            );
            (coefficients, mse, error)
        })
        .collect();
    let degree = fitted.first().map_or(0, |(coefficients, ..)| coefficients.len() - 1);
    let coefficients = Array2::from_shape_fn((fitted.len(), degree + 1), |(entry, k)| fitted[entry].0[k]);
    let geometry = |pick: fn((f64, f64)) -> f64| {
        let parts = entries.iter().map(|entry| pick(center_and_radius(entry.interval)));
        parts.collect::<Array1<f64>>()
    };
    LayerFit {
        coefficients: coefficient_ranges(&coefficients),
        replacement: Replacement::Expansion(Expansion {
            polynomial: Chebyshev {
                granularity: options.granularity,
                parity: Parity::General,
                coefficients: coefficients.into_shared(),
            },
            center: geometry(|(center, _)| center),
            radius: geometry(|(_, radius)| radius),
        }),
        form: Form::Chebyshev,
        rule,
        reason: "its degree is above 2".to_owned(),
        interval: hull(entries),
        mse: mean(fitted.iter().map(|&(_, mse, _)| mse)),
        max_error: fitted.iter().map(|&(.., error)| error).fold(0.0, f64::max),
        exceedance: mean(entries.iter().map(|entry| entry.exceedance)),
    }
}
