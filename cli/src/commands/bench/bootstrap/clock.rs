//! Time and memory that this process has used, as far as the system tells.

use std::time::Instant;

/// How long this thread has run, in nanoseconds, first of three numbers (Linux).
const THREAD_STATISTICS: &str = "/proc/thread-self/schedstat";
/// What this process uses, one line a figure (Linux).
const PROCESS_STATUS: &str = "/proc/self/status";
/// Writing 5 here forgets the largest memory so far (Linux).
const FORGET: &str = "/proc/self/clear_refs";

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
    let (started, before) = (Instant::now(), thread_ns());
    let result = std::hint::black_box(work());
    let wall_s = started.elapsed().as_secs_f64();
    let thread_s = before
        .zip(thread_ns())
        .map(|(before, after)| (after - before) as f64 / 1e9);
    (result, Elapsed { wall_s, thread_s })
}

fn thread_ns() -> Option<u64> {
    std::fs::read_to_string(THREAD_STATISTICS)
        .ok()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Forgets the largest memory so far; without effect where the system cannot.
pub(super) fn forget_peak() {
    let _ = std::fs::write(FORGET, "5");
}

/// The most memory that this process has had since, in MiB.
pub(super) fn peak_mib() -> Option<u64> {
    peak_of(&std::fs::read_to_string(PROCESS_STATUS).ok()?)
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_its_line() {
        assert_eq!(peak_of("VmPeak:\t  900000 kB\nVmHWM:\t   20480 kB\n"), Some(20));
        assert_eq!(peak_of("VmPeak:\t 1 kB\n"), None);
    }

    #[test]
    fn time_passes() {
        let (_, elapsed) = timed(|| std::thread::sleep(std::time::Duration::from_millis(2)));
        assert!(elapsed.wall_s >= 0.002 && elapsed.thread_s.unwrap_or(0.0) <= elapsed.wall_s + 0.01);
    }
}
