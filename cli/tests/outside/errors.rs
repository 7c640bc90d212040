//! What goes wrong: the exit code, a message of one screen that says what to do, no panic, no half-written file.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::arrays::write_rows;
use crate::artefacts::{DIGITS, scratch};
use crate::heron::{Outcome, binary, heron, names_in, shipped};
use crate::onnx_bytes::with_unsupported_nodes;

const USAGE: i32 = 2;
const UNSUPPORTED: i32 = 3;
const OUT_OF_RANGE: i32 = 6;
const DAMAGED: i32 = 7;
const INPUT_OUTPUT: i32 = 8;

/// A folder with copies of the shared artefacts, to be damaged.
fn copies(name: &str) -> PathBuf {
    let folder = scratch(name);
    for part in ["digits.plan", "keys"] {
        std::fs::create_dir(folder.join(part)).expect("a fresh folder");
        for file in names_in(&DIGITS.join(part)) {
            copy(&DIGITS.join(part).join(&file), &folder.join(part).join(&file));
        }
    }
    copy(&DIGITS.join("x.ct"), &folder.join("x.ct"));
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).expect("the file can be copied");
}

fn compile_digits(data: &str) -> String {
    format!(
        "compile {} --data {data} -o p.plan",
        shipped("digits_mlp_relu/model.onnx")
    )
}

/// Damages a file in several ways; after each, the command must fail with 7 and write nothing.
#[track_caller]
fn check_damage(folder: &Path, file: &str, command: &str, output: &str) {
    let whole = std::fs::read(folder.join(file)).expect("the file is there");
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let damages = [
        ("cut in the middle", whole[..whole.len() / 2].to_vec()),
        ("cut by one byte", whole[..whole.len() - 1].to_vec()),
        ("flipped near the start", flipped(whole.len() / 7)),
        ("flipped in the middle", flipped(whole.len() / 2)),
        ("flipped at the end", flipped(whole.len() - 2)),
    ];
    for (how, bytes) in damages {
        std::fs::write(folder.join(file), bytes).expect("the file can be replaced");
        let before = names_in(folder);
        let outcome = heron(folder, command);
        assert_eq!(outcome.code, Some(DAMAGED), "{file} {how}: {outcome:?}");
        outcome.fails(DAMAGED, &[]);
        assert_eq!(names_in(folder), before, "{file} {how}");
        assert!(!folder.join(output).exists(), "{file} {how}");
    }
    std::fs::write(folder.join(file), whole).expect("the file can be restored");
}

#[test]
fn a_file_that_is_no_onnx() {
    let folder = scratch("no-onnx");
    std::fs::write(folder.join("model.onnx"), "this is a letter, not a network").expect("written");
    heron(&folder, "check model.onnx").fails(USAGE, &["model.onnx", "ONNX"]);
    let data = shipped("data/digits.npz");
    heron(&folder, &format!("compile model.onnx --data {data}:calib -o p.plan")).fails(USAGE, &["ONNX"]);
    assert_eq!(names_in(&folder), ["model.onnx"]);
}

#[test]
fn a_file_that_is_not_there() {
    let folder = scratch("not-there");
    heron(&folder, "check model.onnx").fails(USAGE, &["model.onnx"]);
    heron(&folder, "report p.plan").fails(USAGE, &["p.plan"]);
}

#[test]
fn unsupported_nodes_are_all_named() {
    let folder = scratch("unsupported");
    std::fs::write(folder.join("model.onnx"), with_unsupported_nodes()).expect("written");
    let words = ["memory", "LSTM", "detections", "NonMaxSuppression"];
    heron(&folder, "check model.onnx").fails(UNSUPPORTED, &words);
    let json = heron(&folder, "check model.onnx --format json").fails(UNSUPPORTED, &words);
    let error: serde_json::Value = serde_json::from_str(&json.stderr).expect("errors are JSON too");
    assert_eq!(error["error"]["exit_code"], UNSUPPORTED);
    assert_eq!(
        error["error"]["problems"].as_array().map(Vec::len),
        Some(2),
        "{error:#}"
    );
}

#[test]
fn calibration_data_of_another_shape() {
    let folder = scratch("wrong-calibration");
    write_rows(&folder.join("calib.npy"), &vec![vec![0.5; 30]; 64]);
    heron(&folder, &compile_digits("calib.npy")).fails(USAGE, &["30", "64"]);
    assert_eq!(names_in(&folder), ["calib.npy"]);
}

#[test]
fn an_array_that_is_not_in_the_file() {
    let folder = scratch("no-member");
    let data = format!("{}:samples", shipped("data/digits.npz"));
    heron(&folder, &compile_digits(&data)).fails(USAGE, &["samples", "calib"]);
}

#[test]
fn an_input_of_the_wrong_shape_or_with_nan() {
    let folder = copies("wrong-input");
    let encrypt = "encrypt digits.plan --keys keys -i x.npy -o new.ct";
    write_rows(&folder.join("x.npy"), &[vec![0.5; 63]]);
    heron(&folder, encrypt).fails(USAGE, &["63", "64"]);
    let mut pixels = vec![0.5; 64];
    pixels[7] = f64::NAN;
    write_rows(&folder.join("x.npy"), &[pixels]);
    heron(&folder, encrypt).fails(USAGE, &["finite", "element 7"]);
    assert!(!folder.join("new.ct").exists());
}

#[test]
fn an_input_outside_the_calibrated_range() {
    let folder = copies("out-of-range");
    let mut pixels = vec![0.5; 64];
    pixels[7] = 40.0;
    write_rows(&folder.join("x.npy"), &[pixels]);
    let encrypt = "encrypt digits.plan --keys keys -i x.npy -o new.ct";
    heron(&folder, encrypt).fails(OUT_OF_RANGE, &["calibrated range", "--allow-out-of-range"]);
    assert!(!folder.join("new.ct").exists());
    heron(&folder, &format!("{encrypt} --allow-out-of-range")).succeeds();
}

#[test]
fn keys_of_another_plan() {
    let folder = copies("other-plan");
    let (onnx, data) = (shipped("digits_mlp_tanh/model.onnx"), shipped("data/digits.npz"));
    heron(&folder, &format!("compile {onnx} --data {data}:calib -o other.plan")).succeeds();
    heron(&folder, "keygen other.plan -o other-keys").succeeds();
    heron(&folder, "run digits.plan --keys other-keys/eval.key -i x.ct -o y.ct").fails(DAMAGED, &["eval.key", "plan"]);
    heron(&folder, "run other.plan --keys other-keys/eval.key -i x.ct -o y.ct").fails(DAMAGED, &["x.ct", "plan"]);
    heron(&folder, "decrypt digits.plan --keys other-keys -i x.ct -o y.npy").fails(DAMAGED, &["plan"]);
    assert!(!folder.join("y.ct").exists() && !folder.join("y.npy").exists());
}

#[test]
fn a_file_of_another_kind() {
    let folder = copies("other-kind");
    heron(&folder, "run digits.plan --keys keys/secret.key -i x.ct -o y.ct").fails(DAMAGED, &["secret.key"]);
    heron(&folder, "run digits.plan --keys keys/eval.key -i keys/eval.key -o y.ct").fails(DAMAGED, &["eval.key"]);
}

#[test]
fn damaged_plans() {
    let folder = copies("damaged-plan");
    let run = "run digits.plan --keys keys/eval.key -i x.ct -o y.ct";
    check_damage(&folder, "digits.plan/weights.bin", run, "y.ct");
    check_damage(&folder, "digits.plan/plan.json", run, "y.ct");
    heron(&folder, run).succeeds();
}

#[test]
fn damaged_keys() {
    let folder = copies("damaged-keys");
    check_damage(
        &folder,
        "keys/eval.key",
        "run digits.plan --keys keys/eval.key -i x.ct -o y.ct",
        "y.ct",
    );
    let inputs = shipped("digits_mlp_relu/inputs.npy");
    let encrypt = format!("encrypt digits.plan --keys keys -i {inputs} --n 1 -o new.ct");
    check_damage(&folder, "keys/secret.key", &encrypt, "new.ct");
}

#[test]
fn damaged_ciphertexts() {
    let folder = copies("damaged-ciphertext");
    check_damage(
        &folder,
        "x.ct",
        "run digits.plan --keys keys/eval.key -i x.ct -o y.ct",
        "y.ct",
    );
}

#[test]
fn values_that_no_option_takes_list_those_it_takes() {
    let folder = scratch("unknown-values");
    heron(&folder, "demo --model lenet").fails(USAGE, &["lenet", "digits_mlp_relu", "mlp_mnist"]);
    heron(&folder, "ops --format xml").fails(USAGE, &["table", "json"]);
    let onnx = shipped("digits_mlp_relu/model.onnx");
    let data = shipped("data/digits.npz");
    let stop = format!("compile {onnx} --data {data}:calib --stop-after nowhere");
    heron(&folder, &stop).fails(USAGE, &["nowhere", "fold-batch-norm"]);
    let output = Command::new(binary())
        .arg("ops")
        .env("HERON_KERNELS", "gpu")
        .output()
        .expect("it starts");
    Outcome::of("HERON_KERNELS=gpu ops", &output).fails(USAGE, &["gpu", "portable"]);
}

/// A disk that is full: no file may grow beyond 64 KiB.
#[cfg(unix)]
#[test]
fn a_disk_that_is_full() {
    let folder = copies("full-disk");
    for (output, command) in [
        ("new-keys", "keygen digits.plan -o new-keys"),
        ("y.ct", "run digits.plan --keys keys/eval.key -i x.ct -o y.ct"),
    ] {
        let before = names_in(&folder);
        let limited = format!("trap '' XFSZ; ulimit -f 128; exec '{}' {command}", binary());
        let result = Command::new("sh")
            .args(["-c", &limited])
            .current_dir(&folder)
            .output()
            .expect("a shell");
        Outcome::of(command, &result).fails(INPUT_OUTPUT, &[output]);
        assert_eq!(names_in(&folder), before);
    }
}
