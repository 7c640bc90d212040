//! Composites of minimax polynomials under encryption: as wrong as predicted.

use crate::artefacts::scratch;
use crate::heron::{heron, shipped};

/// The stated error may be this many times the measured one, and the measured one this many times the stated one.
const RATIOS: std::ops::RangeInclusive<f64> = 0.5..=16.0;

/// Compiles a network with composite rectifiers and compares its encrypted results with the exact ones.
#[track_caller]
fn check(alpha: u32, samples: u32) {
    let folder = scratch(&format!("composite-{alpha}"));
    let onnx = shipped("digits_mlp_relu/model.onnx");
    let data = shipped("data/digits.npz:calib");
    let compile = format!("compile {onnx} --data {data} --activation composite:{alpha} --accept-accuracy -o sign.plan");
    heron(&folder, &compile).succeeds();
    let inputs = shipped("digits_mlp_relu/inputs.npy");
    let verify = format!("verify sign.plan -i {inputs} --n {samples} --format json");
    let verified = heron(&folder, &verify).succeeds().json();
    let ratio = verified["bound_ratio"].as_f64().expect("a ratio");
    assert!(
        RATIOS.contains(&ratio),
        "alpha {alpha}: stated over measured is {ratio}\n{verified:#}"
    );
}

#[test]
fn a_small_composite_errs_as_predicted() {
    check(6, 1);
}

#[test]
fn a_composite_of_ten_bits_errs_as_predicted() {
    if std::env::var_os("HERON_SLOW_TESTS").is_none() {
        println!("skipped: set HERON_SLOW_TESTS=1");
        return;
    }
    check(10, 2);
}
