//! Fits one activation layer: a quadratic for every entry of the granularity, and the form in which it is evaluated.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::approximate::form::{Quadratic, TOLERATED_MSE_RATIO, is_foldable, refit_foldable};
use crate::approximate::least_squares::{Measure, fit, guard_points, value};
use crate::approximate::{ApproximateOptions, CoefficientRange};
use crate::calibrate::{Interval, is_held_back};
use crate::nn::{Activation, Granularity, Polynomial};

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
}

/// The operands and exact results of a layer, one vector a calibration sample.
#[derive(Clone, Copy)]
pub(crate) struct LayerSamples<'a> {
    /// Operands, computed by the polynomial network so far.
    pub(crate) operands: &'a [Vec<f64>],
    /// Results of the exact network.
    pub(crate) targets: &'a [Vec<f64>],
    /// Shape of both.
    pub(crate) shape: &'a [usize],
}

/// What was fitted to a layer.
#[derive(Clone, Debug)]
pub(crate) struct LayerFit {
    pub(crate) polynomial: Polynomial,
    pub(crate) form: Form,
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

/// Fits a layer.
pub(crate) fn fit_layer(function: Activation, layer: LayerSamples<'_>, options: &ApproximateOptions) -> LayerFit {
    let mut entries = gather(layer, options.granularity);
    let widest = entries
        .iter()
        .map(|entry| Interval::of(entry.fitted.operands.iter().copied()).magnitude());
    let widest = widest.fold(0.0, f64::max);
    for entry in &mut entries {
        entry.fit_bound(options.margin, widest);
    }
    let fits: Vec<EntryFit> = entries
        .iter()
        .map(|entry| EntryFit::new(function, entry, options.guard))
        .collect();
    let largest = fits
        .iter()
        .zip(&entries)
        .map(|(fit, entry)| entry.largest_output(fit.quadratic))
        .fold(0.0, f64::max);
    let candidates = Candidates::new(function, &entries, &fits, largest, options.guard);
    let (form, chosen, reason) = candidates.choose();
    let n = entries.len();
    let coefficients = Array2::from_shape_fn((n, 3), |(entry, power)| chosen[entry][power]);
    let errors = entries
        .iter()
        .zip(&chosen)
        .map(|(entry, &q)| entry.max_error(function, q));
    LayerFit {
        coefficients: coefficient_ranges(&coefficients),
        polynomial: Polynomial {
            granularity: options.granularity,
            coefficients: coefficients.into_shared(),
        },
        form,
        reason,
        interval: Interval::of(entries.iter().flat_map(|entry| [-entry.bound, entry.bound])),
        mse: mean(entries.iter().zip(&chosen).map(|(entry, &q)| entry.mse(q))),
        max_error: errors.fold(0.0, f64::max),
        exceedance: mean(entries.iter().map(Entry::exceedance)),
    }
}

/// Coefficient by coefficient, the range over the rows.
pub(crate) fn coefficient_ranges(coefficients: &Array2<f64>) -> Vec<CoefficientRange> {
    let range = |column: ndarray::ArrayView1<'_, f64>| {
        let Interval { min, max } = Interval::of(column.iter().copied());
        CoefficientRange { min, max }
    };
    coefficients.columns().into_iter().map(range).collect()
}

/// Operands and targets, paired.
#[derive(Clone, Debug, Default)]
struct Pairs {
    operands: Vec<f64>,
    targets: Vec<f64>,
}

/// The samples of one entry.
#[derive(Clone, Debug)]
struct Entry {
    fitted: Pairs,
    held_back: Pairs,
    bound: f64,
}

fn gather(layer: LayerSamples<'_>, granularity: Granularity) -> Vec<Entry> {
    let empty = Entry {
        fitted: Pairs::default(),
        held_back: Pairs::default(),
        bound: 0.0,
    };
    let mut entries = vec![empty; granularity.entries(layer.shape)];
    for (sample, (operands, targets)) in layer.operands.iter().zip(layer.targets).enumerate() {
        for (element, (&operand, &target)) in operands.iter().zip(targets).enumerate() {
            let entry = &mut entries[granularity.entry(element, layer.shape)];
            let pairs = if is_held_back(sample) {
                &mut entry.held_back
            } else {
                &mut entry.fitted
            };
            pairs.operands.push(operand);
            pairs.targets.push(target);
        }
    }
    entries
}

impl Entry {
    /// Sets the interval: the largest operand times the margin, but not next to nothing beside the widest entry's.
    fn fit_bound(&mut self, margin: f64, widest: f64) {
        /// An entry whose operands are this much smaller than the layer's is fitted as if they were not: a tiny interval
        /// would make large coefficients that the least deviation blows up.
        const SMALLEST_SHARE: f64 = 1e-3;
        let own = Interval::of(self.fitted.operands.iter().copied()).magnitude();
        let bound = margin * own.max(widest * SMALLEST_SHARE);
        self.bound = if bound > 0.0 { bound } else { 1.0 };
    }

    fn mse(&self, quadratic: Quadratic) -> f64 {
        let pairs = self.fitted.operands.iter().zip(&self.fitted.targets);
        mean(pairs.map(|(&x, &target)| (target - value(&quadratic, x)) * (target - value(&quadratic, x))))
    }

    fn max_error(&self, function: Activation, quadratic: Quadratic) -> f64 {
        let error = |x: f64| (function.apply(x) - value(&quadratic, x)).abs();
        guard_points(self.bound).map(error).fold(0.0, f64::max)
    }

    fn largest_output(&self, quadratic: Quadratic) -> f64 {
        self.fitted
            .operands
            .iter()
            .map(|&x| value(&quadratic, x).abs())
            .fold(0.0, f64::max)
    }

    fn exceedance(&self) -> f64 {
        mean(
            self.held_back
                .operands
                .iter()
                .map(|x| if x.abs() > self.bound { 1.0 } else { 0.0 }),
        )
    }

    /// Fits `c0 + c1 x` to what a given `c2 x²` leaves.
    fn fit_rest(&self, function: Activation, guard: f64, c2: f64) -> (f64, f64) {
        let Pairs { operands, targets } = &self.fitted;
        let rest: Vec<f64> = operands
            .iter()
            .zip(targets)
            .map(|(&x, target)| target - c2 * x * x)
            .collect();
        let measure = Measure {
            guard,
            bound: self.bound,
        };
        let line = fit(|x| function.apply(x) - c2 * x * x, operands, &rest, 1, measure);
        (line[0], line[1])
    }
}

/// The unconstrained fits of one entry.
struct EntryFit {
    quadratic: Quadratic,
    line: Quadratic,
}

impl EntryFit {
    fn new(function: Activation, entry: &Entry, guard: f64) -> Self {
        let Pairs { operands, targets } = &entry.fitted;
        let measure = Measure {
            guard,
            bound: entry.bound,
        };
        let quadratic = fit(|x| function.apply(x), operands, targets, 2, measure);
        let (c0, c1) = entry.fit_rest(function, guard, 0.0);
        Self {
            quadratic: [quadratic[0], quadratic[1], quadratic[2]],
            line: [c0, c1, 0.0],
        }
    }
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
    fn new(function: Activation, entries: &[Entry], fits: &[EntryFit], largest: f64, guard: f64) -> Self {
        let with_error = |quadratics: Vec<Quadratic>| {
            let mse = mean(entries.iter().zip(&quadratics).map(|(entry, &q)| entry.mse(q)));
            (quadratics, mse)
        };
        let refit = |(entry, fit): (&Entry, &EntryFit)| {
            refit_foldable(fit.quadratic, largest, |c2| entry.fit_rest(function, guard, c2))
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

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = values
        .into_iter()
        .fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / count as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            margin: 1.25,
            guard,
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
        assert!(fit.polynomial.coefficients.iter().all(|c| c.is_finite()), "{fit:?}");
    }
}
