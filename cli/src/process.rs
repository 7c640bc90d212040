//! Time and memory that this process has used, as far as the system tells.

/// Where Linux tells the nanoseconds that the calling thread has computed, first of three numbers.
const THREAD_TIME: &str = "/proc/thread-self/schedstat";
/// What this process uses, one line a figure (Linux).
const STATUS: &str = "/proc/self/status";
/// Writing 5 here forgets the largest memory so far (Linux).
const FORGET: &str = "/proc/self/clear_refs";

/// Seconds that the calling thread has computed: those that others had the processor do not count.
pub(crate) fn thread_seconds() -> Option<f64> {
    seconds_of(&std::fs::read_to_string(THREAD_TIME).ok()?)
}

fn seconds_of(statistics: &str) -> Option<f64> {
    let nanoseconds: u64 = statistics.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds as f64 * 1e-9)
}

/// Forgets the largest memory so far; without effect where the system cannot.
pub(crate) fn forget_peak() {
    let _ = std::fs::write(FORGET, "5");
}

/// The most memory that this process has had since, in MiB.
pub(crate) fn peak_mib() -> Option<u64> {
    peak_of(&std::fs::read_to_string(STATUS).ok()?)
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
    fn the_first_number_is_the_time() {
        assert_eq!(seconds_of("2000000000 5 1\n"), Some(2.0));
        assert_eq!(seconds_of(""), None);
    }
}
