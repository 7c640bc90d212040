//! How long work takes, by the processor where the system tells: a machine that is shared is then measured nearly as well as
//! one that is not.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::process::thread_seconds;

/// An operation is run so often at least.
const MIN_RUNS: usize = 5;

/// A clock that runs while the calling thread computes, or the one on the wall.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    by_processor: bool,
}

impl Clock {
    /// Counts the time of one thread by the processor; several threads share their work, and only the wall sees all.
    pub(super) fn new() -> Self {
        Self {
            by_processor: rayon::current_num_threads() == 1 && thread_seconds().is_some(),
        }
    }

    /// Seconds that `work` takes, when it is repeated for a time: the mean by the processor, which tells only after many
    /// runs, or the first decile by the wall, where interruptions do not count.
    pub(super) fn seconds<T>(self, budget: Duration, mut work: impl FnMut() -> T) -> f64 {
        let (started, before) = (Instant::now(), self.processor_seconds());
        let mut runs = Vec::new();
        loop {
            let run = Instant::now();
            black_box(work());
            runs.push(run.elapsed().as_secs_f64());
            let spent = match (before, self.processor_seconds()) {
                (Some(before), Some(now)) => now - before,
                (None, _) | (_, None) => started.elapsed().as_secs_f64(),
            };
            if runs.len() >= MIN_RUNS && spent >= budget.as_secs_f64() {
                return if self.by_processor {
                    spent / runs.len() as f64
                } else {
                    runs.sort_by(f64::total_cmp);
                    runs[(runs.len() - 1) / 10]
                };
            }
        }
    }

    fn processor_seconds(self) -> Option<f64> {
        self.by_processor.then(thread_seconds).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_work_takes_longer() {
        let clock = Clock::new();
        let sum = |count: u64| (0..count).fold(0u64, |sum, i| black_box(sum ^ i));
        let budget = Duration::from_millis(50);
        let few = clock.seconds(budget, || sum(100_000));
        let many = clock.seconds(budget, || sum(10_000_000));
        assert!(few > 0.0 && many > 3.0 * few, "{few} and {many}");
    }
}
