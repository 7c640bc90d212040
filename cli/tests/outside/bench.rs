//! `heron bench` on small rings.

use crate::heron::heron;

/// A ring that is secure and small.
const SMALL: &str = "bench ops --log-n 12 --limbs 2 --log-scale 30 --time 1 --threads 1";

#[test]
fn every_operation_is_one_line_of_json() {
    let directory = tempfile::tempdir().expect("a directory");
    let outcome = heron(directory.path(), &format!("{SMALL} --format json")).succeeds();
    let lines: Vec<serde_json::Value> = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is an object"))
        .collect();
    let ops: Vec<&str> = lines.iter().filter_map(|line| line["op"].as_str()).collect();
    for op in ["rotation", "hoisted rotation", "rescale", "encryption", "rotation key"] {
        assert!(ops.contains(&op), "{op} is missing: {ops:?}");
    }
    for line in &lines {
        assert_eq!(
            (&line["log_n"], &line["limbs"], &line["threads"]),
            (&12.into(), &2.into(), &1.into())
        );
        assert_eq!(line["security_bits"], 128, "{line}");
        assert!(line["log_qp"].as_f64().is_some_and(|bits| bits <= 106.0), "{line}");
        assert!(line["cpu"].as_str().is_some_and(|cpu| !cpu.is_empty()), "{line}");
        let times = ["min_ms", "p10_ms", "median_ms", "p90_ms"].map(|key| line[key].as_f64().expect("a time"));
        assert!(times.is_sorted() && line["runs"].as_u64() >= Some(5), "{line}");
    }
}

#[test]
fn the_table_names_ring_and_kernels() {
    let directory = tempfile::tempdir().expect("a directory");
    let outcome = heron(directory.path(), SMALL).succeeds();
    for word in [
        "N = 2^12",
        "2 limbs",
        "128 bits",
        "kernels, 1 thread",
        "inverse transform",
    ] {
        assert!(outcome.stdout.contains(word), "`{word}`: {}", outcome.stdout);
    }
}

#[test]
fn insecure_sizes_are_refused_with_the_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let words = ["over the 128-bit limit of 106 for ring degree 2^12", "--log-n"];
    heron(directory.path(), "bench ops --log-n 12 --limbs 3 --log-scale 40").fails(4, &words);
    heron(directory.path(), "bench ops --log-n 9").fails(2, &["10..=17"]);
    heron(directory.path(), "bench ops --limbs 1").fails(2, &["2..=64"]);
}
