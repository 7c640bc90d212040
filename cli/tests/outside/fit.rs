//! `heron fit`, the rules of `compile`, and data that make a poor fit or none.

use crate::arrays::write_rows;
use crate::artefacts::scratch;
use crate::heron::{heron, shipped};

const USAGE: i32 = 2;
const UNSUPPORTED: i32 = 3;

#[test]
fn the_standard_quadratic_of_relu_is_printed_and_plotted() {
    let folder = scratch("fit-relu");
    let outcome = heron(&folder, "fit relu --degree 2 --sigma 1 --plot --format json").succeeds();
    let fit = &outcome.json()["fits"][0];
    for (power, expected) in [0.199_471_14, 0.5, 0.199_471_14].into_iter().enumerate() {
        let found = fit["powers"][power].as_f64().expect("a number");
        assert!((found - expected).abs() < 1e-6, "{outcome:?}");
    }
    assert!((fit["mse"].as_f64().expect("a number") - 0.011_267_59).abs() < 1e-6);
    let svg = std::fs::read_to_string(folder.join("fit.svg")).expect("the plot was written");
    assert!(svg.starts_with("<svg") && svg.contains("prefers-color-scheme"));
    heron(&folder, "fit relu --plot").fails(USAGE, &["fit.svg", "--force"]);
}

#[test]
fn a_tolerance_finds_its_degree() {
    let folder = scratch("fit-tolerance");
    let outcome = heron(&folder, "fit silu --interval=-8,8 --tolerance 0.01 --format json").succeeds();
    let fit = &outcome.json()["fits"][0];
    assert!(fit["max_error"].as_f64().expect("a number") <= 0.01, "{outcome:?}");
    assert!(fit["degree"].as_u64().expect("a number") <= 16, "{outcome:?}");
    heron(&folder, "fit sign --interval=-1,1 --tolerance 0.01").fails(USAGE, &["no polynomial of degree up to 127"]);
}

#[test]
fn senseless_fits_are_refused_in_words() {
    let folder = scratch("fit-senseless");
    write_rows(&folder.join("nan.npy"), &vec![vec![f64::NAN; 2]; 10]);
    write_rows(&folder.join("one.npy"), &[vec![1.0]]);
    for (command, word) in [
        ("fit cube", "there is no function `cube`"),
        ("fit relu --degree 0", "0"),
        ("fit relu --degree 100000", "100000"),
        ("fit relu --sigma 0", "positive deviation"),
        ("fit relu --sigma nan", "positive deviation"),
        ("fit relu --interval=2,1", "no interval"),
        ("fit log --sigma 1", "not positive"),
        ("fit relu --guard 2", "weight from 0 to 1"),
        ("fit relu --data nan.npy", "not a finite number"),
        ("fit relu --data one.npy", "too few samples"),
        ("fit relu --smooth gaussian", "bandwidth"),
        ("fit relu --tolerance 0", "tolerance of 0"),
    ] {
        // As JSON: a message about an option is one line, however long.
        heron(&folder, &format!("{command} --format json")).fails(USAGE, &[word]);
    }
}

/// Compiles the digits network on the given rows.
fn compile(name: &str, rows: &[Vec<f64>], options: &str) -> crate::heron::Outcome {
    let folder = scratch(name);
    write_rows(&folder.join("x.npy"), rows);
    let model = shipped("digits_mlp_relu/model.onnx");
    heron(
        &folder,
        &format!("compile {model} --data x.npy -o p.plan --format json {options}"),
    )
}

fn ramp(sign: f64) -> Vec<Vec<f64>> {
    let value = |row: usize, column: usize| sign * ((row * 37 + column * 11) % 100) as f64 / 50.0;
    (0..80)
        .map(|row| (0..64).map(|column| value(row, column)).collect())
        .collect()
}

#[test]
fn constant_and_negative_data_are_fitted_with_a_warning_where_they_mean_nothing() {
    let outcome = compile("fit-constant", &vec![vec![0.5; 64]; 80], "").succeeds();
    let warnings = outcome.json()["report"]["warnings"].to_string();
    assert!(warnings.contains("all calibration samples are equal"), "{warnings}");
    compile("fit-negative", &ramp(-1.0), "--accept-accuracy").succeeds();
}

#[test]
fn data_that_say_nothing_are_refused() {
    compile("fit-one", &ramp(1.0)[..1], "").fails(USAGE, &["too few"]);
    compile("fit-nan", &vec![vec![f64::NAN; 64]; 80], "").fails(USAGE, &["finite"]);
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    for (name, options, code, word) in [
        ("rule-none", "--activation cubic", USAGE, "there is no rule `cubic`"),
        (
            "rule-degree",
            "--activation chebyshev:4000",
            USAGE,
            "no degree from 1 to 127",
        ),
        (
            "rule-node",
            "--act nowhere=quadratic",
            UNSUPPORTED,
            "there is no activation of this name",
        ),
        (
            "rule-bits",
            "--activation tolerance:30",
            UNSUPPORTED,
            "no polynomial of degree up to 127",
        ),
        ("rule-smooth", "--smooth box:99", USAGE, "at most 16"),
    ] {
        compile(name, &ramp(1.0), options).fails(code, &[word]);
    }
}

#[test]
fn the_report_says_how_an_activation_was_fitted() {
    let outcome = compile(
        "fit-report",
        &ramp(1.0),
        "--activation least-squares:7 --accept-accuracy",
    )
    .succeeds();
    let activation = &outcome.json()["report"]["activations"][0];
    assert_eq!(activation["depth"], 3, "{activation}");
    assert!(
        activation["rule"]
            .as_str()
            .is_some_and(|rule| rule.contains("degree 7")),
        "{activation}"
    );
    let reach = &activation["reach"];
    assert_eq!(reach["outside"], 0.0, "{activation}");
    assert!(
        reach["sampled"]
            .as_f64()
            .is_some_and(|sampled| sampled > 0.1 && sampled <= 1.0),
        "{activation}"
    );
    assert_eq!(
        activation["coefficients"].as_array().map(Vec::len),
        Some(8),
        "{activation}"
    );
}
