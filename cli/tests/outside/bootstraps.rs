//! A network that is bootstrapped, through the commands, at 128 bits; and inputs that a bootstrap would get wrong.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;

use crate::arrays::{read_floats, write_rows};
use crate::artefacts::scratch;
use crate::heron::{heron, shipped};

const MODEL: &str = "digits_mlp_deep_relu";
/// How many inputs are run encrypted.
const INPUTS: usize = 2;
/// So many times larger, an input is far outside of what the polynomials were fitted on.
const FAR_OUTSIDE: f64 = 16.0;

/// A folder with `m.plan`, which has too few levels to do without a bootstrap; never changed.
static BOOTSTRAPPED: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = scratch("bootstraps");
    heron(&folder, &compile("--max-depth 3 --precision 8")).succeeds();
    folder
});

fn compile(options: &str) -> String {
    let (model, data) = (
        shipped(&format!("{MODEL}/model.onnx")),
        shipped("data/digits.npz:calib"),
    );
    format!("compile {model} --data {data} {options} -o m.plan")
}

fn inputs() -> String {
    shipped(&format!("{MODEL}/inputs.npy"))
}

fn number(value: &Value, key: &str) -> f64 {
    value[key]
        .as_f64()
        .unwrap_or_else(|| panic!("no number `{key}` in {value:#}"))
}

/// What `report` says of the bootstraps.
fn reported(folder: &Path) -> Value {
    heron(folder, "report m.plan --format json").succeeds().json()["bootstraps"].clone()
}

#[test]
fn the_report_has_levels_bits_and_cost_of_every_bootstrap() {
    let bootstraps = reported(&BOOTSTRAPPED);
    let lines = bootstraps["lines"].as_array().expect("the bootstraps are listed");
    assert!(!lines.is_empty(), "{bootstraps:#}");
    for line in lines {
        assert!(number(line, "level_in") < number(line, "level_out"), "{line:#}");
    }
    assert!(number(&bootstraps, "worst_bits") >= 8.0, "{bootstraps:#}");
    assert!(number(&bootstraps, "failure_log2") <= -40.0, "{bootstraps:#}");
    assert!(number(&bootstraps, "sparse_log_qp") <= number(&bootstraps, "sparse_max_log_qp"));
    assert!(number(&bootstraps, "bits_left") > 0.0, "{bootstraps:#}");
    assert!(number(&bootstraps, "rotations") > 1.0, "{bootstraps:#}");
    let text = heron(&BOOTSTRAPPED, "report m.plan").succeeds().stdout;
    for word in ["bootstraps", "sparse secret", "rotations"] {
        assert!(text.contains(word), "no `{word}` in {text}");
    }
}

#[test]
fn a_bootstrapped_network_keeps_its_answers_from_keygen_to_decrypt() {
    let (folder, inputs) = (scratch("bootstraps-run"), inputs());
    let plan = BOOTSTRAPPED.join("m.plan").display().to_string();
    heron(&folder, &format!("keygen {plan}/client.json -o keys")).succeeds();
    let encrypt = format!("encrypt {plan}/client.json --keys keys -i {inputs} --n {INPUTS} -o x.ct");
    heron(&folder, &encrypt).succeeds();
    heron(&folder, &format!("run {plan} --keys keys/eval.key -i x.ct -o y.ct")).succeeds();
    heron(
        &folder,
        &format!("decrypt {plan}/client.json --keys keys -i y.ct -o y.npy"),
    )
    .succeeds();
    heron(
        &folder,
        &format!("simulate {plan} -i {inputs} --n {INPUTS} -o simulated.npy"),
    )
    .succeeds();
    let verify = format!("verify {plan} -i {inputs} --n {INPUTS} --layers --format json");
    let verified = heron(&folder, &verify).succeeds().json();
    let (measured, stated) = (number(&verified, "measured_error"), number(&verified, "stated_error"));
    assert!(measured <= stated, "{measured} of {stated}");

    // Half a gibibyte that no other test reads.
    std::fs::remove_dir_all(folder.join("keys")).expect("the keys can be removed");

    let decrypted = read_floats(&folder.join("y.npy"));
    let simulated = read_floats(&folder.join("simulated.npy"));
    assert_eq!(decrypted.0, simulated.0);
    for (encrypted, noisy) in decrypted.1.iter().zip(&simulated.1) {
        // Either is within the stated error of the exact value.
        assert!((encrypted - noisy).abs() <= 2.0 * stated, "{encrypted} and {noisy}");
    }
}

#[test]
fn an_input_over_the_bound_of_a_bootstrap_is_named_in_clear_and_encrypted() {
    let folder = scratch("bootstraps-over");
    let plan = BOOTSTRAPPED.join("m.plan").display().to_string();
    let (shape, values) = read_floats(Path::new(&inputs()));
    let width = values.len() / shape[0];
    let within = values[..width].to_vec();
    let over: Vec<f64> = within.iter().map(|x| FAR_OUTSIDE * x).collect();
    write_rows(&folder.join("x.npy"), &[within, over]);

    let simulated = heron(&folder, &format!("simulate {plan} -i x.npy --format json"));
    let stopped = simulated.succeeds().json()["stopped"].clone();
    let stopped = stopped.as_array().expect("samples that stop are listed");
    assert_eq!(stopped.len(), 1, "{stopped:#?}");
    assert_eq!(stopped[0]["sample"], 1);
    let (line, node) = (&stopped[0]["line"], stopped[0]["node"].as_str().expect("a name"));
    let bootstraps = reported(&BOOTSTRAPPED);
    let listed = bootstraps["lines"].as_array().expect("the bootstraps are listed");
    assert!(
        listed.iter().any(|b| b["line"] == *line && b["node"] == node),
        "{line} {node}"
    );

    let place = format!("line %{line} ({node})");
    let words = [
        "sample 1",
        &place,
        "a bootstrap takes",
        "calibrate with data like these",
    ];
    let verify = format!("verify {plan} -i x.npy --layers --allow-out-of-range");
    heron(&folder, &verify).fails(6, &words);
    heron(&folder, &format!("verify {plan} -i x.npy --layers")).fails(6, &["sample 1"]);
}

#[test]
fn a_limit_of_levels_that_no_program_keeps_is_refused_with_its_number() {
    let folder = scratch("max-depth");
    let refused = heron(&folder, &compile("--max-depth 2 --max-log-n 14"));
    refused.fails(4, &["2 levels without a bootstrap"]);
    assert!(!folder.join("m.plan").exists());
}
