//! Plans for exact integers through the commands: the whole way, the two targets side by side, and what is refused.

use std::path::PathBuf;
use std::sync::LazyLock;

use crate::arrays::{read_floats, write_rows};
use crate::artefacts::scratch;
use crate::heron::{heron, names_in, shipped};

const USAGE: i32 = 2;
const OUT_OF_RANGE: i32 = 6;
const COLUMNS: usize = 80;

/// A folder with `exact.plan` and `approximate.plan` of one model, and `keys` and `y.ct` (three samples) of the former.
static BREAST_CANCER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = scratch("integers");
    let onnx = shipped("breast_cancer_mlp_relu/model.onnx");
    let data = shipped("data/breast_cancer.npz");
    let inputs = shipped("breast_cancer_mlp_relu/inputs.npy");
    let compile = format!("compile {onnx} --data {data}:calib --labels {data}:calib_labels");
    for command in [
        format!("{compile} --target tfhe --bits 4 --failure 2^-20 -o exact.plan"),
        format!("{compile} -o approximate.plan"),
        "keygen exact.plan/client.json -o keys".to_owned(),
        format!("encrypt exact.plan/client.json --keys keys -i {inputs} --n 3 -o x.ct"),
        "run exact.plan --keys keys/eval.key -i x.ct -o y.ct".to_owned(),
    ] {
        heron(&folder, &command).succeeds();
    }
    folder
});

#[test]
fn decrypted_integers_are_those_of_the_simulation() {
    let inputs = shipped("breast_cancer_mlp_relu/inputs.npy");
    let decrypt = "decrypt exact.plan/client.json --keys keys -i y.ct -o decrypted.npy";
    heron(&BREAST_CANCER, decrypt).succeeds();
    let simulate = format!("simulate exact.plan -i {inputs} --n 3 -o simulated.npy");
    heron(&BREAST_CANCER, &simulate).succeeds();
    let (shape, decrypted) = read_floats(&BREAST_CANCER.join("decrypted.npy"));
    assert_eq!(shape, [3, 2]);
    assert_eq!(decrypted, read_floats(&BREAST_CANCER.join("simulated.npy")).1);
}

#[test]
fn options_of_the_other_target_are_refused() {
    let decrypt = "decrypt exact.plan/client.json --keys keys -i y.ct -o shared.npy";
    let share = heron(&BREAST_CANCER, &format!("{decrypt} --share"));
    share.fails(USAGE, &["--share has no effect", "without noise", "leave out --share"]);
    let range = heron(&BREAST_CANCER, &format!("{decrypt} --allow-out-of-range"));
    range.fails(
        USAGE,
        &["proves the range of its outputs", "leave out --allow-out-of-range"],
    );
    assert!(!names_in(&BREAST_CANCER).contains(&"shared.npy".to_owned()));
    let inputs = shipped("breast_cancer_mlp_relu/inputs.npy");
    let verify = format!("verify exact.plan -i {inputs} --n 1 --layers");
    heron(&BREAST_CANCER, &verify).fails(USAGE, &["--layers has no effect", "leave out --layers"]);
    let keygen = "keygen exact.plan/client.json -o other --public";
    heron(&BREAST_CANCER, keygen).fails(USAGE, &["no public key", "leave out --public"]);
}

#[test]
fn inputs_out_of_range_become_the_nearest_integers_where_they_are_allowed() {
    let folder = scratch("integers-out-of-range");
    write_rows(&folder.join("far.npy"), &[vec![1e9; 30]]);
    let plan = BREAST_CANCER.join("exact.plan");
    let verify = format!("verify {} -i far.npy --n 1", plan.display());
    heron(&folder, &verify).fails(OUT_OF_RANGE, &["calibrated range", "--allow-out-of-range"]);
    let allowed = heron(&folder, &format!("{verify} --allow-out-of-range --format json")).succeeds();
    assert_eq!(allowed.json()["exact"], 1);
}

#[test]
fn both_targets_are_measured_side_by_side_and_one_is_recommended() {
    let compare = "report approximate.plan --compare-targets exact.plan";
    let shown = heron(&BREAST_CANCER, compare).succeeds().stdout;
    assert!(shown.lines().all(|line| line.chars().count() <= COLUMNS), "{shown}");
    for word in ["ckks", "tfhe", "keys in a file", "accuracy", "recommended: "] {
        assert!(shown.contains(word), "`{word}` is not in\n{shown}");
    }
    // The plans may be named in either order.
    let other = "report exact.plan --compare-targets approximate.plan --format json";
    let found = heron(&BREAST_CANCER, other).succeeds().json();
    for target in ["ckks", "tfhe"] {
        let side = &found[target];
        assert_eq!(side["target"], target);
        assert!(side["seconds_per_sample"].as_f64().is_some_and(|s| s > 0.0), "{found}");
        assert!(
            side["key_file_bytes"].as_u64().is_some_and(|bytes| bytes > 0),
            "{found}"
        );
        assert!(
            side["accuracy"].as_f64().is_some_and(|a| (0.5..=1.0).contains(&a)),
            "{found}"
        );
    }
    assert!(
        ["ckks", "tfhe"].iter().any(|target| found["recommended"] == *target),
        "{found}"
    );
    assert!(
        found["reason"].as_str().is_some_and(|reason| !reason.is_empty()),
        "{found}"
    );
}

#[test]
fn plans_that_cannot_be_compared_are_refused() {
    let one_target = "report exact.plan --compare-targets exact.plan";
    heron(&BREAST_CANCER, one_target).fails(USAGE, &["one target", "the other `--target`"]);
    let folder = scratch("integers-two-models");
    let onnx = shipped("digits_mlp_square/model.onnx");
    let data = shipped("data/digits.npz");
    heron(&folder, &format!("compile {onnx} --data {data}:calib -o digits.plan")).succeeds();
    let exact = BREAST_CANCER.join("exact.plan");
    let two_models = format!("report digits.plan --compare-targets {}", exact.display());
    heron(&folder, &two_models).fails(USAGE, &["two models", "compile one model"]);
}
