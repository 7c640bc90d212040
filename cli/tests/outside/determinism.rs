//! The same input gives the same bytes.

use crate::artefacts::scratch;
use crate::heron::{heron, names_in, shipped};

#[test]
fn compiling_twice_gives_identical_bytes() {
    let folder = scratch("twice");
    let (onnx, data) = (shipped("digits_mlp_gelu/model.onnx"), shipped("data/digits.npz"));
    for side in ["first", "second"] {
        std::fs::create_dir(folder.join(side)).expect("a fresh folder");
    }
    for (plan, threads) in [("first/m.plan", 1), ("second/m.plan", 2)] {
        let compile = format!("compile {onnx} --data {data}:calib --threads {threads} -o {plan}");
        heron(&folder, &compile).succeeds();
    }
    let files = names_in(&folder.join("first/m.plan"));
    assert_eq!(files, ["client.json", "plan.json", "report.json", "weights.bin"]);
    for file in files {
        let read = |plan: &str| std::fs::read(folder.join(plan).join(&file)).expect("it was written");
        assert!(read("first/m.plan") == read("second/m.plan"), "{file} differs");
    }
}
