//! How long something takes, by the wall and by the processor.

use std::time::Instant;

use crate::process::thread_seconds;

/// How long something took, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elapsed {
    /// By the clock on the wall.
    pub(super) wall_s: f64,
    /// What this thread computed, where the system tells: a busy machine does not count.
    pub(super) thread_s: Option<f64>,
}

/// Does some work and takes its time.
pub(super) fn timed<T>(work: impl FnOnce() -> T) -> (T, Elapsed) {
    let (started, before) = (Instant::now(), thread_seconds());
    let result = std::hint::black_box(work());
    let wall_s = started.elapsed().as_secs_f64();
    let thread_s = before.zip(thread_seconds()).map(|(before, after)| after - before);
    (result, Elapsed { wall_s, thread_s })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes() {
        let (_, elapsed) = timed(|| std::thread::sleep(std::time::Duration::from_millis(2)));
        assert!(elapsed.wall_s >= 0.002 && elapsed.thread_s.unwrap_or(0.0) <= elapsed.wall_s + 0.01);
    }
}
