//! Nothing is replaced unless asked for.

use crate::artefacts::{DIGITS, scratch};
use crate::heron::{heron, names_in, shipped};

#[test]
fn a_file_is_replaced_only_with_force() {
    let folder = scratch("force-file");
    let (plan, keys) = (DIGITS.join("digits.plan"), DIGITS.join("keys"));
    let inputs = shipped("digits_mlp_relu/inputs.npy");
    let encrypt = format!(
        "encrypt {} --keys {} -i {inputs} --n 1 -o x.ct",
        plan.display(),
        keys.display()
    );
    std::fs::write(folder.join("x.ct"), "precious").expect("written");
    heron(&folder, &encrypt).fails(2, &["x.ct", "--force"]);
    assert_eq!(std::fs::read(folder.join("x.ct")).expect("still there"), b"precious");
    heron(&folder, &format!("{encrypt} --force")).succeeds();
    assert_ne!(std::fs::read(folder.join("x.ct")).expect("replaced"), b"precious");
}

#[test]
fn a_plan_and_keys_are_replaced_only_with_force() {
    let folder = scratch("force-folder");
    let (onnx, data) = (shipped("digits_mlp_square/model.onnx"), shipped("data/digits.npz"));
    let compile = format!("compile {onnx} --data {data}:calib -o p.plan");
    heron(&folder, &compile).succeeds();
    heron(&folder, &compile).fails(2, &["p.plan", "--force"]);
    heron(&folder, &format!("{compile} --force")).succeeds();
    heron(&folder, "keygen p.plan -o keys").succeeds();
    let secret = std::fs::read(folder.join("keys/secret.key")).expect("written");
    heron(&folder, "keygen p.plan -o keys").fails(2, &["keys", "--force"]);
    assert!(secret == std::fs::read(folder.join("keys/secret.key")).expect("still there"));
    heron(&folder, "keygen p.plan -o keys --force").succeeds();
    assert!(secret != std::fs::read(folder.join("keys/secret.key")).expect("replaced"));
    assert_eq!(names_in(&folder), ["keys", "p.plan"]);
}
