//! A plan, keys and a ciphertext that several tests read; made once, never changed.

use std::path::PathBuf;
use std::sync::LazyLock;

use crate::heron::{heron, shipped};

/// A folder with `digits.plan`, `keys` (a public key among them) and `x.ct` (two digits).
pub(crate) static DIGITS: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = scratch("digits");
    let onnx = shipped("digits_mlp_relu/model.onnx");
    let data = shipped("data/digits.npz");
    heron(
        &folder,
        &format!("compile {onnx} --data {data}:calib --labels {data}:calib_labels -o digits.plan"),
    )
    .succeeds();
    heron(&folder, "keygen digits.plan/client.json -o keys --public").succeeds();
    let inputs = shipped("digits_mlp_relu/inputs.npy");
    heron(
        &folder,
        &format!("encrypt digits.plan/client.json --keys keys -i {inputs} --n 2 -o x.ct"),
    )
    .succeeds();
    folder
});

/// An empty folder for one test.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("the folder of the last run can be removed");
    }
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    folder
}
