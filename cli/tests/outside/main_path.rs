//! The seven commands on shipped models, at 128 bits.

use serde_json::Value;

use crate::arrays::{read_floats, top1};
use crate::artefacts::scratch;
use crate::heron::{heron, shipped};

/// Least precision of an encrypted result, in bits.
const MIN_PRECISION_BITS: f64 = 10.0;
/// The stated error may be this many times the measured one.
const MAX_BOUND_RATIO: f64 = 16.0;
/// The polynomial network may lose this much top-1 accuracy.
const MAX_ACCURACY_LOSS: f64 = 0.02;

struct Case {
    model: &'static str,
    calibration: &'static str,
    test: &'static str,
    /// Options of `compile`.
    extra: &'static str,
    /// How many inputs are shipped: all of them are run.
    n_samples: usize,
    /// An option where some shipped inputs lie outside the range of the calibration data.
    range: &'static str,
}

const DIGITS: Case = Case {
    model: "digits_mlp_relu",
    calibration: "data/digits.npz:calib",
    test: "data/digits.npz:test",
    extra: "",
    n_samples: 64,
    range: "",
};

fn number(value: &Value, key: &str) -> f64 {
    value[key]
        .as_f64()
        .unwrap_or_else(|| panic!("no number `{key}` in {value:#}"))
}

/// Compiles, reports, makes keys, encrypts, runs, decrypts and verifies; checks every figure that is promised.
#[track_caller]
fn check(case: &Case) {
    let Case {
        model,
        calibration,
        test,
        extra,
        n_samples: n,
        range,
    } = *case;
    let folder = scratch(model);
    let (onnx, inputs) = (
        shipped(&format!("{model}/model.onnx")),
        shipped(&format!("{model}/inputs.npy")),
    );
    let labels = shipped(&format!("{model}/labels.npy"));
    let (data, set) = (shipped(calibration), shipped(test));
    let (data_labels, set_labels) = (labels_of(&data), labels_of(&set));

    let compile = format!("compile {onnx} --data {data} --labels {data_labels} {extra} -o m.plan");
    heron(&folder, &compile).succeeds();
    let report = heron(&folder, "report m.plan --format json").succeeds().json();
    assert!(
        number(&report["security"], "log_qp") <= number(&report["security"], "max_log_qp"),
        "{report:#}"
    );
    assert_eq!(number(&report["security"], "security_bits"), 128.0);
    heron(&folder, "keygen m.plan/client.json -o keys").succeeds();
    heron(
        &folder,
        &format!("encrypt m.plan/client.json --keys keys -i {inputs} --n {n} {range} -o x.ct"),
    )
    .succeeds();
    heron(&folder, "run m.plan --keys keys/eval.key -i x.ct -o y.ct").succeeds();
    heron(
        &folder,
        &format!("decrypt m.plan/client.json --keys keys -i y.ct {range} -o y.npy"),
    )
    .succeeds();

    let verify = format!("verify m.plan -i {inputs} --model {onnx} --labels {labels} --n {n} {range} --format json");
    let verified = heron(&folder, &verify).succeeds().json();
    assert!(
        number(&verified, "precision_bits") >= MIN_PRECISION_BITS,
        "{verified:#}"
    );
    let (measured, stated) = (number(&verified, "measured_error"), number(&verified, "stated_error"));
    assert!(
        measured <= stated && stated <= MAX_BOUND_RATIO * measured,
        "{measured} of {stated}"
    );

    let simulate = format!("simulate m.plan -i {set} --model {onnx} --labels {set_labels} --format json");
    let simulated = heron(&folder, &simulate).succeeds().json();
    let (clear, polynomial) = (
        number(&simulated["top1"], "clear"),
        number(&simulated["top1"], "polynomial"),
    );
    assert!(
        (clear - polynomial).abs() <= MAX_ACCURACY_LOSS,
        "clear {clear}, polynomial {polynomial}"
    );

    let (shape, decrypted) = read_floats(&folder.join("y.npy"));
    assert_eq!(shape[0], n);
    check_answers(&folder, &inputs, &top1(&shape, &decrypted));
}

/// `digits.npz:calib` has its labels in `digits.npz:calib_labels`; where samples are `images`, labels are `labels`.
fn labels_of(member: &str) -> String {
    match member.strip_suffix("images") {
        Some(file) => format!("{file}labels"),
        None => format!("{member}_labels"),
    }
}

/// The decrypted answers are those of the polynomial network, digit by digit.
#[track_caller]
fn check_answers(folder: &std::path::Path, inputs: &str, answers: &[usize]) {
    let n = answers.len();
    heron(folder, &format!("simulate m.plan -i {inputs} --n {n} -o simulated.npy")).succeeds();
    let (shape, simulated) = read_floats(&folder.join("simulated.npy"));
    assert_eq!(answers, top1(&shape, &simulated));
}

#[test]
fn digits_with_relu() {
    check(&DIGITS);
}

#[test]
fn digits_with_three_relus() {
    check(&Case {
        model: "digits_mlp_deep_relu",
        ..DIGITS
    });
}

#[test]
fn digits_with_gelu() {
    check(&Case {
        model: "digits_mlp_gelu",
        ..DIGITS
    });
}

#[test]
fn digits_with_convolutions_and_a_pool() {
    check(&Case {
        model: "digits_cnn_avgpool",
        ..DIGITS
    });
}

#[test]
fn digits_with_a_residual_branch() {
    check(&Case {
        model: "digits_cnn_residual",
        range: "--allow-out-of-range",
        ..DIGITS
    });
}

#[test]
fn breast_cancer_with_relu() {
    let case = Case {
        model: "breast_cancer_mlp_relu",
        calibration: "data/breast_cancer.npz:calib",
        test: "data/breast_cancer.npz:test",
        range: "--allow-out-of-range",
        ..DIGITS
    };
    check(&case);
}

#[test]
fn mnist_with_relu() {
    let case = Case {
        model: "mlp_mnist",
        calibration: "data/mnist_calib_256.npz:images",
        test: "data/mnist_test_first1000.npz:images",
        extra: "--normalize 0.00392156862745098,0.1307,0.3081",
        n_samples: 32,
        range: "",
    };
    check(&case);
}
