//! Fits one activation layer: a quadratic for every entry of the granularity, and the form in which it is evaluated.

use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::approximate::chebyshev::{largest_error, to_power_basis};
use crate::approximate::entries::{Entry, Extent, LayerSamples, coefficient_ranges, entries_of, hull, mean};
use crate::approximate::fit_entry::{Goal, words};
use crate::approximate::fit_options::FitOptions;
use crate::approximate::form::{Quadratic, TOLERATED_MSE_RATIO, is_foldable, refit_foldable, value};
use crate::approximate::guard::Guard;
use crate::approximate::replacement::Replacement;
use crate::approximate::{ApproximateOptions, CoefficientRange};
use crate::calibrate::Interval;
use crate::nn::{Activation, Polynomial};

/// How a layer's polynomials are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// One square, its affine parts folded into the neighbours: one level.
    Folded,
    /// An affine map, merged into the neighbours: no level.
    Linear,
    /// `x (c2 x + c1) + c0`: two levels.
    TwoLevel,
    /// Products of powers, for degrees above two written in the model.
    Products,
    /// In the Chebyshev basis, for degrees above two: `ceil(log2(degree + 1))` levels.
    Chebyshev,
    /// A composite of odd polynomials for a sign, times the operand.
    Composite,
}

/// What was fitted to a layer.
#[derive(Clone, Debug)]
pub(crate) struct LayerFit {
    pub(crate) replacement: Replacement,
    pub(crate) form: Form,
    /// How the coefficients were found.
    pub(crate) rule: String,
    /// Why it has this form.
    pub(crate) reason: String,
    /// The widest interval that any entry was fitted on.
    pub(crate) interval: Interval,
    /// Coefficient by coefficient, the range over the entries.
    pub(crate) coefficients: Vec<CoefficientRange>,
    /// Mean squared error against the exact network, over the samples that were fitted.
    pub(crate) mse: f64,
    /// Largest error against the function on the intervals.
    pub(crate) max_error: f64,
    /// Fraction of held-back operands outside their interval.
    pub(crate) exceedance: f64,
}

/// Fits a layer by quadratics, or by lines where these do as well.
pub(crate) fn fit_layer(function: Activation, layer: LayerSamples<'_>, options: &ApproximateOptions) -> LayerFit {
    let entries = entries_of(function, layer, options.granularity, options.margin, Extent::Symmetric);
    let fits: Vec<EntryFit> = entries
        .par_iter()
        .map(|entry| EntryFit::new(function, entry, options))
        .collect();
    let outputs = fits.iter().zip(&entries);
    let largest = outputs
        .map(|(fit, entry)| entry.largest_output(|x| value(&fit.quadratic, x)))
        .fold(0.0, f64::max);
    let (form, chosen, reason) = Candidates::new(function, &entries, &fits, largest, options).choose();
    let coefficients = Array2::from_shape_fn((entries.len(), 3), |(entry, power)| chosen[entry][power]);
    let error =
        |(entry, q): (&Entry, &Quadratic)| largest_error(|x| function.apply(x), |x| value(q, x), entry.interval);
    LayerFit {
        coefficients: coefficient_ranges(&coefficients),
        replacement: Replacement::Power(
            Polynomial {
                granularity: options.granularity,
                coefficients: coefficients.into_shared(),
            },
            form,
        ),
        form,
        rule: words(2, &options.fit, options.low_guard()),
        reason,
        interval: hull(&entries),
        mse: mean(entries.iter().zip(&chosen).map(|(entry, q)| entry.mse(|x| value(q, x)))),
        max_error: entries.iter().zip(&chosen).map(error).fold(0.0, f64::max),
        exceedance: mean(entries.iter().map(|entry| entry.exceedance)),
    }
}

/// The unconstrained fits of one entry.
struct EntryFit {
    quadratic: Quadratic,
    line: Quadratic,
}

impl EntryFit {
    fn new(function: Activation, entry: &Entry, options: &ApproximateOptions) -> Self {
        let goal = Goal::of_entry(function, entry, &options.fit);
        let powers = to_power_basis(&goal.fit(2, &options.fit, options.low_guard()), entry.interval);
        let (c0, c1) = fit_rest(&goal, &options.fit, options.low_guard(), 0.0);
        Self {
            quadratic: [powers[0], powers[1], powers[2]],
            line: [c0, c1, 0.0],
        }
    }
}

/// Fits `c0 + c1 x` to what a given `c2 x²` leaves.
fn fit_rest(goal: &Goal<'_>, fit: &FitOptions, guard: Guard, c2: f64) -> (f64, f64) {
    let line = goal.least_squares(1, fit, guard, |x| c2 * x * x);
    let line = to_power_basis(&line, goal.interval);
    (line[0], line[1])
}

/// The forms that a layer could take, with their mean squared errors.
struct Candidates {
    quadratic: (Vec<Quadratic>, f64),
    line: (Vec<Quadratic>, f64),
    folded: Option<(Vec<Quadratic>, f64)>,
    /// How many entries are not foldable as fitted.
    refitted: usize,
}

impl Candidates {
    fn new(
        function: Activation,
        entries: &[Entry],
        fits: &[EntryFit],
        largest: f64,
        options: &ApproximateOptions,
    ) -> Self {
        let with_error = |quadratics: Vec<Quadratic>| {
            let errors = entries.iter().zip(&quadratics);
            let mse = mean(errors.map(|(entry, q)| entry.mse(|x| value(q, x))));
            (quadratics, mse)
        };
        let refit = |(entry, fit): (&Entry, &EntryFit)| {
            let goal = Goal::of_entry(function, entry, &options.fit);
            refit_foldable(fit.quadratic, largest, |c2| {
                fit_rest(&goal, &options.fit, options.low_guard(), c2)
            })
        };
        let folded: Vec<Quadratic> = entries.iter().zip(fits).map(refit).collect();
        let legal = folded.iter().all(|&q| is_foldable(q, largest));
        Self {
            quadratic: with_error(fits.iter().map(|fit| fit.quadratic).collect()),
            line: with_error(fits.iter().map(|fit| fit.line).collect()),
            folded: legal.then(|| with_error(folded)),
            refitted: fits.iter().filter(|fit| !is_foldable(fit.quadratic, largest)).count(),
        }
    }

    /// The form with the fewest levels whose error is not materially worse than the best quadratic's.
    fn choose(self) -> (Form, Vec<Quadratic>, String) {
        let (quadratic, best) = self.quadratic;
        let (line, line_mse) = self.line;
        let tolerated = TOLERATED_MSE_RATIO * best;
        let n = quadratic.len();
        if line_mse <= tolerated {
            let reason = format!("degree 1 has mean squared error {line_mse:.2e}, degree 2 {best:.2e}");
            return (Form::Linear, line, reason);
        }
        match self.folded {
            Some((folded, mse)) if mse <= tolerated => {
                let reason = match self.refitted {
                    0 => "every polynomial keeps its precision as one square".to_owned(),
                    m => format!("{m} of {n} polynomials were refitted to keep their precision as one square"),
                };
                (Form::Folded, folded, reason)
            }
            _ => {
                let reason = format!(
                    "{} of {n} polynomials would lose more than four bits as one square",
                    self.refitted
                );
                (Form::TwoLevel, quadratic, reason)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Granularity;

    /// Operands of `channels.len()` channels, each uniform on its interval, and their exact results.
    fn layer(function: Activation, channels: &[(f64, f64)]) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let operand = |sample: usize, (min, max): (f64, f64)| min + (max - min) * ((sample * 37) % 200) as f64 / 199.0;
        let operands: Vec<Vec<f64>> = (0..200)
            .map(|sample| channels.iter().map(|&channel| operand(sample, channel)).collect())
            .collect();
        let targets = operands
            .iter()
            .map(|x| x.iter().map(|&x| function.apply(x)).collect())
            .collect();
        (operands, targets)
    }

    fn fitted(function: Activation, granularity: Granularity, channels: &[(f64, f64)]) -> LayerFit {
        fitted_with(1e-2, function, granularity, channels)
    }

    fn fitted_with(guard: f64, function: Activation, granularity: Granularity, channels: &[(f64, f64)]) -> LayerFit {
        let (operands, targets) = layer(function, channels);
        let samples = LayerSamples {
            operands: &operands,
            targets: &targets,
            shape: &[channels.len()],
        };
        let options = ApproximateOptions {
            granularity,
            guard,
            ..ApproximateOptions::USUAL
        };
        fit_layer(function, samples, &options)
    }

    #[test]
    fn a_rectifier_on_both_sides_folds() {
        let fit = fitted(Activation::Relu, Granularity::Channel, &[(-3.0, 3.0), (-1.0, 2.0)]);
        assert_eq!(fit.form, Form::Folded, "{}", fit.reason);
        assert_eq!(fit.interval, Interval { min: -3.75, max: 3.75 });
        assert_eq!(fit.exceedance, 0.0);
    }

    #[test]
    fn a_channel_that_is_always_positive_is_refitted() {
        // Without a guard its best quadratic is the line itself.
        let channels = [(-3.0, 3.0), (1.0, 4.0), (-2.0, 1.0)];
        let fit = fitted_with(0.0, Activation::Relu, Granularity::Channel, &channels);
        assert_eq!(fit.form, Form::Folded, "{}", fit.reason);
        assert!(fit.reason.starts_with("1 of 3"), "{}", fit.reason);
    }

    #[test]
    fn an_activation_that_is_linear_where_it_is_used_costs_nothing() {
        let fit = fitted(Activation::Tanh, Granularity::Tensor, &[(-2.0, 2.0)]);
        assert_eq!(fit.form, Form::Linear, "{}", fit.reason);
    }

    #[test]
    fn a_channel_that_never_changes_is_fitted() {
        let fit = fitted(Activation::Relu, Granularity::Channel, &[(-3.0, 3.0), (0.0, 0.0)]);
        assert!(
            fit.coefficients.iter().all(|c| c.min.is_finite() && c.max.is_finite()),
            "{fit:?}"
        );
    }
}
