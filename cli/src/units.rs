//! Sizes, durations and precisions as people read them.

use std::time::Duration;

/// A number of bytes, such as `1.3 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(value < 9.95);
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// A duration, such as `340 ms`, `2.7 s` or `3 min 20 s`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 0.0995 => format!("{:.1} ms", s * 1e3),
        s if s < 0.9995 => format!("{:.0} ms", s * 1e3),
        s if s < 59.95 => format!("{s:.1} s"),
        s => format!("{} min {} s", s as u64 / 60, s as u64 % 60),
    }
}

/// A duration given in seconds.
pub(crate) fn seconds(seconds: f64) -> String {
    duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// A fraction as a percentage with one decimal.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.1} %", fraction * 100.0)
}

/// A shape, such as `1x28x28`.
pub(crate) fn shape(shape: &[usize]) -> String {
    if shape.is_empty() {
        return "scalar".to_owned();
    }
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

/// A count with its noun, the plural made with an `s`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_about_three_digits() {
        let sizes: Vec<String> = [17, 1024, 1536, 10 << 20, 1023 << 20, 3 << 30].map(bytes).into();
        assert_eq!(sizes, ["17 B", "1.0 KiB", "1.5 KiB", "10 MiB", "1.0 GiB", "3.0 GiB"]);
        let times: Vec<String> = [40, 4_200, 420_000, 2_700_000, 200_000_000]
            .map(|us| duration(Duration::from_micros(us)))
            .into();
        assert_eq!(times, ["40 µs", "4.2 ms", "420 ms", "2.7 s", "3 min 20 s"]);
    }

    #[test]
    fn a_scalar_has_a_name_and_a_count_its_plural() {
        assert_eq!(shape(&[]), "scalar");
        assert_eq!(shape(&[1, 28, 28]), "1x28x28");
        assert_eq!(
            (count(1, "image"), count(2, "image")),
            ("1 image".into(), "2 images".into())
        );
    }
}
