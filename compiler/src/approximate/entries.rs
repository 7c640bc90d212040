//! The samples of a layer, entry by entry, and the interval on which each entry is fitted.

use crate::approximate::CoefficientRange;
use crate::approximate::domain::Domain;
use crate::calibrate::{Interval, is_held_back};
use crate::nn::{Activation, Granularity};
use ndarray::Array2;

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

/// Operands and targets, paired.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs {
    pub(crate) operands: Vec<f64>,
    pub(crate) targets: Vec<f64>,
}

/// The samples of one entry, and its interval.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) fitted: Pairs,
    pub(crate) held_back: Pairs,
    /// All operands.
    pub(crate) seen: Interval,
    /// Where it is fitted.
    pub(crate) interval: Interval,
    /// Fraction of held-back operands outside the interval that the fitted operands alone would give.
    pub(crate) exceedance: f64,
}

/// What interval an entry is fitted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// As far below zero as above.
    Symmetric,
    /// From the smallest operand to the largest, and beyond by the margin's share of the largest magnitude.
    Tight,
    /// The margin times as long as from the smallest operand to the largest.
    Stretched,
}

/// An entry whose operands are this much smaller than the layer's is fitted as if they were not: a tiny interval would make
/// large coefficients that the least deviation blows up.
const SMALLEST_SHARE: f64 = 1e-3;

/// Sorts a layer's samples by entry and sets the entries' intervals.
///
/// The interval is what all operands give. Where held-back operands leave the interval of the fitted ones, that raises the
/// entry's margin by as much as was missing; how often they do is kept, as the measure of how often a fresh input will.
pub(crate) fn entries_of(
    function: Activation,
    layer: LayerSamples<'_>,
    granularity: Granularity,
    margin: f64,
    extent: Extent,
) -> Vec<Entry> {
    let mut entries = gather(layer, granularity);
    let seen: Vec<Interval> = entries
        .iter()
        .map(|entry| Interval::of(entry.fitted.operands.iter().copied()))
        .collect();
    let widest = seen.iter().map(|seen| seen.magnitude()).fold(0.0, f64::max);
    let least = widest * SMALLEST_SHARE;
    let chosen = match extent {
        Extent::Symmetric | Extent::Stretched => margin,
        Extent::Tight => margin
            .max(overshoot(&entries, &seen, widest))
            .min(margin.max(MAX_MARGIN)),
    };
    for (entry, seen) in entries.iter_mut().zip(seen) {
        let first = fit_interval(function, seen, margin, least, extent);
        let outside = |x: &f64| if *x < first.min || *x > first.max { 1.0 } else { 0.0 };
        entry.exceedance = mean(entry.held_back.operands.iter().map(outside));
        let all = Interval::of(entry.held_back.operands.iter().copied().chain([seen.min, seen.max]));
        entry.seen = all;
        entry.interval = fit_interval(function, all, chosen, least, extent);
    }
    entries
}

/// The largest margin that is chosen without being asked for: wider intervals cost more accuracy than they save.
const MAX_MARGIN: f64 = 2.0;

/// Entries narrower than this share of the widest say nothing about the others' margin.
const TELLING_SHARE: f64 = 0.1;

/// What margin the held-back operands of all entries would have needed, and as much again beyond the first 1.
///
/// One entry has few held-back operands; a layer has many, and the one farthest out among them says how far the operands of
/// fresh inputs go in some entry. A polynomial of a high degree must not be left there.
fn overshoot(entries: &[Entry], seen: &[Interval], widest: f64) -> f64 {
    let of_entry = |(entry, seen): (&Entry, &Interval)| {
        let magnitude = seen.magnitude();
        if magnitude < TELLING_SHARE * widest || magnitude == 0.0 {
            return 1.0;
        }
        let beyond = entry
            .held_back
            .operands
            .iter()
            .map(|&x| (x - seen.max).max(seen.min - x));
        1.0 + 2.0 * beyond.fold(0.0, f64::max) / magnitude
    };
    entries.iter().zip(seen).map(of_entry).fold(1.0, f64::max)
}

/// The interval for operands that were seen, never shorter than `2 · least` where the function allows that.
pub(crate) fn fit_interval(function: Activation, seen: Interval, margin: f64, least: f64, extent: Extent) -> Interval {
    let wide = |magnitude: f64| Interval {
        min: -magnitude,
        max: magnitude,
    };
    let widened = match (Domain::of(function), extent) {
        (Domain::OneSign | Domain::Positive, _) => return Domain::widen_ratio(seen, margin),
        (Domain::NotNegative, _) => {
            let Interval { min, max } = seen.widened(margin);
            return Interval { min: min.max(0.0), max };
        }
        (Domain::Everywhere, Extent::Symmetric) => wide(margin * seen.magnitude().max(least)),
        (Domain::Everywhere, Extent::Tight | Extent::Stretched) => {
            let Interval { min, max } = match extent {
                Extent::Stretched => seen.stretched(margin),
                Extent::Symmetric | Extent::Tight => seen.widened(margin),
            };
            let short = (2.0 * least - (max - min)).max(0.0) / 2.0;
            Interval {
                min: min - short,
                max: max + short,
            }
        }
    };
    if widened.max > widened.min { widened } else { wide(1.0) }
}

fn gather(layer: LayerSamples<'_>, granularity: Granularity) -> Vec<Entry> {
    let empty = Entry {
        fitted: Pairs::default(),
        held_back: Pairs::default(),
        seen: Interval::EMPTY,
        interval: Interval::EMPTY,
        exceedance: 0.0,
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
    /// Mean squared difference of the targets to a polynomial of the operands.
    pub(crate) fn mse(&self, polynomial: impl Fn(f64) -> f64) -> f64 {
        let pairs = self.fitted.operands.iter().zip(&self.fitted.targets);
        mean(pairs.map(|(&x, &target)| {
            let error = target - polynomial(x);
            error * error
        }))
    }

    /// The largest magnitude of a polynomial of the operands.
    pub(crate) fn largest_output(&self, polynomial: impl Fn(f64) -> f64) -> f64 {
        let outputs = self.fitted.operands.iter().map(|&x| polynomial(x).abs());
        outputs.fold(0.0, f64::max)
    }

    /// Mean and standard deviation of the operands.
    pub(crate) fn moments(&self) -> (f64, f64) {
        let operands = &self.fitted.operands;
        let center = mean(operands.iter().copied());
        let variance = mean(operands.iter().map(|x| (x - center) * (x - center)));
        (center, variance.sqrt())
    }
}

/// The mean of numbers; 0 if there are none.
pub(crate) fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = values
        .into_iter()
        .fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / count as f64 }
}

/// The smallest interval with all entries' intervals.
pub(crate) fn hull(entries: &[Entry]) -> Interval {
    Interval::of(
        entries
            .iter()
            .flat_map(|entry| [entry.interval.min, entry.interval.max]),
    )
}

/// Coefficient by coefficient, the range over the rows.
pub(crate) fn coefficient_ranges(coefficients: &Array2<f64>) -> Vec<CoefficientRange> {
    let range = |column: ndarray::ArrayView1<'_, f64>| {
        let Interval { min, max } = Interval::of(column.iter().copied());
        CoefficientRange { min, max }
    };
    coefficients.columns().into_iter().map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Interval = Interval { min: -1.0, max: 4.0 };

    #[test]
    fn intervals_are_symmetric_or_tight() {
        let symmetric = fit_interval(Activation::Relu, SEEN, 1.25, 0.0, Extent::Symmetric);
        assert_eq!(symmetric, Interval { min: -5.0, max: 5.0 });
        let tight = fit_interval(Activation::Relu, SEEN, 1.25, 0.0, Extent::Tight);
        assert_eq!(tight, Interval { min: -2.0, max: 5.0 });
        let stretched = fit_interval(Activation::Relu, SEEN, 3.0, 0.0, Extent::Stretched);
        assert_eq!(stretched, Interval { min: -6.0, max: 9.0 });
    }

    #[test]
    fn held_back_operands_far_out_widen_the_intervals_of_all_entries() {
        // Two entries on [-1, 1]; the fifth sample, held back, takes the second to 1.4.
        let operands: Vec<Vec<f64>> = (0..10).map(|i| vec![if i % 2 == 0 { -1.0 } else { 1.0 }; 2]).collect();
        let mut far = operands.clone();
        far[4][1] = 1.4;
        let intervals = |operands: &[Vec<f64>]| {
            let layer = LayerSamples {
                operands,
                targets: operands,
                shape: &[2],
            };
            let entries = entries_of(Activation::Relu, layer, Granularity::Channel, 1.25, Extent::Tight);
            entries
                .iter()
                .map(|entry| (entry.interval.max, entry.exceedance))
                .collect::<Vec<_>>()
        };
        assert_eq!(intervals(&operands), [(1.25, 0.0), (1.25, 0.0)]);
        let [first, second] = intervals(&far)[..] else {
            panic!("two entries")
        };
        assert!(
            (first.0 - 1.8).abs() < 1e-12 && (second.0 - 1.4 * 1.8).abs() < 1e-12,
            "{first:?} {second:?}"
        );
        assert!(
            first.1 == 0.0 && second.1 == 0.5,
            "one of two is beyond the margin that was asked for"
        );
    }

    #[test]
    fn an_operand_that_never_changes_gets_an_interval_around_it() {
        for extent in [Extent::Symmetric, Extent::Tight] {
            let never = fit_interval(Activation::Relu, Interval { min: 0.0, max: 0.0 }, 1.25, 0.0, extent);
            assert_eq!(never, Interval { min: -1.0, max: 1.0 });
            let tiny = fit_interval(Activation::Relu, Interval { min: 0.0, max: 0.0 }, 1.0, 0.01, extent);
            assert_eq!(tiny, Interval { min: -0.01, max: 0.01 });
        }
    }
}
