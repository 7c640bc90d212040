//! `heron doctor`, and the estimates of `heron report`.

use crate::artefacts::{DIGITS, scratch};
use crate::heron::heron;

const DAMAGED: i32 = 7;
const INPUT_OUTPUT: i32 = 8;

#[test]
fn a_quick_look_names_the_processor_and_a_rotation_beside_the_built_in_one() {
    let directory = scratch("doctor");
    let found = heron(&directory, "doctor --time 1 --threads 1 --format json")
        .succeeds()
        .json();
    for key in ["rotation_ms", "built_in_ms"] {
        assert!(found[key].as_f64().is_some_and(|ms| ms > 0.0), "{key}: {found}");
    }
    assert_eq!(found["threads"], 1);
    let shown = heron(&directory, "doctor --time 1 --threads 1").succeeds().stdout;
    for word in ["processor", "kernels", "available", "rotation", "N = 2^13"] {
        assert!(shown.contains(word), "`{word}`: {shown}");
    }
}

#[test]
fn a_report_estimates_time_and_memory_within_a_budget() {
    let report = |options: &str| {
        let command = format!("report digits.plan --format json {options}");
        heron(&DIGITS, &command).succeeds().json()
    };
    let (kept, none) = (report(""), report("--mem-budget 0"));
    let number = |report: &serde_json::Value, key: &str| report["estimate"][key].as_f64().expect("a number");
    assert!(number(&none, "seconds") > number(&kept, "seconds"));
    assert!(number(&none, "peak_bytes") < number(&kept, "peak_bytes"));
    let keys = kept["totals"]["key_memory_bytes"].as_f64().expect("a number");
    assert!(number(&kept, "peak_bytes") > keys);
    let layers = |report: &serde_json::Value, key: &str| -> Vec<String> {
        let layers = report.pointer(key).and_then(serde_json::Value::as_array);
        layers
            .into_iter()
            .flatten()
            .map(|layer| layer["node"].to_string())
            .collect()
    };
    assert_eq!(layers(&kept, "/estimate/layers"), layers(&kept, "/layers"));
    let shown = heron(&DIGITS, "report digits.plan").succeeds().stdout;
    for word in ["a run on 1 thread", "at the peak", "plaintexts"] {
        assert!(shown.contains(word), "`{word}`: {shown}");
    }
}

#[test]
fn a_run_within_no_memory_gives_the_same_result() {
    let directory = scratch("budget");
    let plan = DIGITS.join("digits.plan");
    let run = |options: &str, name: &str| {
        let (keys, x) = (DIGITS.join("keys/eval.key"), DIGITS.join("x.ct"));
        let command = format!(
            "run {} --keys {} -i {} -o {name} {options}",
            plan.display(),
            keys.display(),
            x.display()
        );
        heron(&directory, &command).succeeds();
        std::fs::read(directory.join(name)).expect("the result")
    };
    assert!(
        run("", "with.ct") == run("--mem-budget 0", "without.ct"),
        "results differ"
    );
    heron(&directory, "run p --keys k -i x -o y --mem-budget 4GB").fails(2, &["write 4GiB"]);
}

#[test]
fn a_table_that_is_none_or_not_there_is_refused() {
    let directory = scratch("tables");
    std::fs::write(directory.join("table.json"), "{}").expect("the file can be written");
    let report = |table: &str| format!("report {} --machine {table}", DIGITS.join("digits.plan").display());
    let advice = "heron doctor --calibrate";
    heron(&directory, &report("table.json")).fails(DAMAGED, &["`table.json`", "no table", advice]);
    heron(&directory, &report("absent.json")).fails(INPUT_OUTPUT, &["`absent.json`", advice]);
    heron(&directory, "doctor --calibrate").fails(2, &["--output"]);
}

#[test]
fn a_calibration_is_read_by_report() {
    if std::env::var_os("HERON_SLOW_TESTS").is_none() {
        println!("skipped: set HERON_SLOW_TESTS=1");
        return;
    }
    let directory = scratch("calibration");
    heron(&directory, "doctor --calibrate --time 1 --threads 1 -o machine.json").succeeds();
    let command = format!("report {} --machine machine.json", DIGITS.join("digits.plan").display());
    assert!(heron(&directory, &command).succeeds().stdout.contains("at the peak"));
}
