//! Repeated measurements of one operation.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::Serialize;

/// An operation is run so often at least.
const MIN_RUNS: usize = 5;

/// How long an operation takes, by the clock on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Times {
    /// The median, in milliseconds.
    pub(super) median_ms: f64,
    /// The fastest run.
    pub(super) min_ms: f64,
    /// The first decile.
    pub(super) p10_ms: f64,
    /// The last decile.
    pub(super) p90_ms: f64,
    /// How many runs there were, after one to warm up.
    pub(super) runs: usize,
}

impl Times {
    /// Runs `work` once to warm up, and then for `budget`.
    pub(super) fn of<T>(budget: Duration, mut work: impl FnMut() -> T) -> Self {
        black_box(work());
        let (mut times, started) = (Vec::new(), Instant::now());
        while started.elapsed() < budget || times.len() < MIN_RUNS {
            let before = Instant::now();
            black_box(work());
            times.push(before.elapsed().as_secs_f64() * 1e3);
        }
        Self::from_ms(times)
    }

    fn from_ms(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let quantile = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        Self {
            median_ms: quantile(0.5),
            min_ms: quantile(0.0),
            p10_ms: quantile(0.1),
            p90_ms: quantile(0.9),
            runs: times.len(),
        }
    }

    /// What one of `n` parts takes that come on top of the `base`.
    pub(super) fn each_beyond(self, base: Self, n: u32) -> Self {
        let each = |time: f64| ((time - base.median_ms) / f64::from(n)).max(0.0);
        Self {
            median_ms: each(self.median_ms),
            min_ms: each(self.min_ms),
            p10_ms: each(self.p10_ms),
            p90_ms: each(self.p90_ms),
            runs: self.runs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_measured_times() {
        let times = Times::from_ms((1..=11).rev().map(f64::from).collect());
        let quantiles = [times.min_ms, times.p10_ms, times.median_ms, times.p90_ms];
        assert_eq!(quantiles, [1.0, 2.0, 6.0, 10.0]);
        assert_eq!(times.runs, 11);
    }

    #[test]
    fn parts_share_what_exceeds_the_base() {
        let (base, whole) = (Times::from_ms(vec![2.0; 5]), Times::from_ms(vec![8.0; 7]));
        assert_eq!(whole.each_beyond(base, 3).median_ms.to_bits(), 2f64.to_bits());
    }
}
