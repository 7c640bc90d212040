//! Fits one activation layer by polynomials of a degree above two, in the Chebyshev basis.

use heron_plan::Parity;
use ndarray::{Array1, Array2};
use rayon::prelude::*;

use crate::approximate::ApproximateOptions;
use crate::approximate::chebyshev::{center_and_radius, largest_error, value_on};
use crate::approximate::entries::{Extent, LayerSamples, coefficient_ranges, entries_of, hull, mean};
use crate::approximate::fit_entry::{Goal, words};
use crate::approximate::fit_layer::{Form, LayerFit};
use crate::approximate::replacement::{Expansion, Replacement};
use crate::nn::{Activation, Chebyshev};

/// Fits a layer by the method and under the distribution of the options.
pub(crate) fn fit_degree(
    function: Activation,
    layer: LayerSamples<'_>,
    options: &ApproximateOptions,
    degree: usize,
) -> LayerFit {
    let (guard, fit) = (options.guard, &options.fit);
    let rule = words(degree, fit, guard);
    fit_entries(function, layer, options, rule, |goal| goal.fit(degree, fit, guard))
}

/// Interpolates a layer in the Chebyshev points of its intervals.
pub(crate) fn interpolate(
    function: Activation,
    layer: LayerSamples<'_>,
    options: &ApproximateOptions,
    degree: usize,
) -> LayerFit {
    let rule = format!("Chebyshev interpolation of degree {degree}");
    fit_entries(function, layer, options, rule, |goal| goal.interpolate(degree))
}

fn fit_entries(
    function: Activation,
    layer: LayerSamples<'_>,
    options: &ApproximateOptions,
    rule: String,
    fit: impl Fn(&Goal<'_>) -> Vec<f64> + Sync,
) -> LayerFit {
    let entries = entries_of(function, layer, options.granularity, options.margin, Extent::Tight);
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
        interval: hull(&entries),
        mse: mean(fitted.iter().map(|&(_, mse, _)| mse)),
        max_error: fitted.iter().map(|&(.., error)| error).fold(0.0, f64::max),
        exceedance: mean(entries.iter().map(|entry| entry.exceedance)),
    }
}
