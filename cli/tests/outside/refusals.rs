//! Networks that cannot be compiled: the exit code, the node, what was found and the way out.

use std::path::Path;

use crate::arrays::write_rows;
use crate::artefacts::scratch;
use crate::heron::{heron, names_in};
use crate::onnx_bytes::{HandNode, HandTensor, model};

const UNSUPPORTED: i32 = 3;
const INFEASIBLE: i32 = 4;

fn tensor<'a>(name: &'a str, shape: &'a [u64]) -> HandTensor<'a> {
    HandTensor { name, shape }
}

/// Writes `model.onnx`: one node of an operator over `x`, and a global mean of its result behind it.
fn write_model(folder: &Path, input: &[u64], weights: &[HandTensor<'_>], node: &HandNode<'_>) {
    let mean = HandNode {
        name: "mean",
        op: "GlobalAveragePool",
        inputs: node.outputs,
        outputs: &["y"],
        attributes: &[],
        lists: &[],
    };
    let node = HandNode {
        name: node.name,
        op: node.op,
        inputs: node.inputs,
        outputs: node.outputs,
        attributes: node.attributes,
        lists: node.lists,
    };
    let bytes = model(&tensor("x", input), weights, &[node, mean], &tensor("y", &[1, 2, 1, 1]));
    std::fs::write(folder.join("model.onnx"), bytes).expect("written");
}

fn convolution<'a>() -> HandNode<'a> {
    HandNode {
        name: "layer",
        op: "Conv",
        inputs: &["x", "w"],
        outputs: &["z"],
        attributes: &[],
        lists: &[],
    }
}

/// Samples of ordinary values.
fn write_calibration(folder: &Path, elements: usize) {
    let sample = |seed: usize| {
        (0..elements)
            .map(|i| ((i * 31 + seed * 17) % 64) as f64 / 64.0)
            .collect()
    };
    write_rows(
        &folder.join("calib.npy"),
        &(0..10).map(sample).collect::<Vec<Vec<f64>>>(),
    );
}

const COMPILE: &str = "compile model.onnx --data calib.npy -o p.plan";

#[test]
fn an_image_of_any_size() {
    let folder = scratch("dynamic-axis");
    write_model(&folder, &[1, 1, 0, 8], &[tensor("w", &[2, 1, 3, 3])], &convolution());
    let words = ["x (input)", "axis 2", "side", "dynamic", "fixed length"];
    heron(&folder, "check model.onnx").fails(UNSUPPORTED, &words);
}

#[test]
fn a_convolution_over_three_axes() {
    let folder = scratch("three-axes");
    write_model(
        &folder,
        &[1, 1, 4, 4, 4],
        &[tensor("w", &[2, 1, 3, 3, 3])],
        &convolution(),
    );
    let words = ["layer (Conv)", "[1, 1, 4, 4, 4]", "one or two spatial axes"];
    heron(&folder, "check model.onnx").fails(UNSUPPORTED, &words);
}

#[test]
fn an_attribute_that_is_not_supported() {
    let folder = scratch("attribute");
    let pool = HandNode {
        name: "pool",
        op: "AveragePool",
        inputs: &["x"],
        outputs: &["z"],
        attributes: &[],
        lists: &[("kernel_shape", &[2, 2]), ("dilations", &[2, 2])],
    };
    write_model(&folder, &[1, 2, 8, 8], &[], &pool);
    heron(&folder, "check model.onnx").fails(UNSUPPORTED, &["pool (AveragePool, dilations)", "[2, 2]", "only 1"]);
}

#[test]
fn a_maximum_without_an_approximation() {
    let folder = scratch("max-pool");
    let pool = HandNode {
        name: "pool",
        op: "MaxPool",
        inputs: &["x"],
        outputs: &["z"],
        attributes: &[],
        lists: &[("kernel_shape", &[2, 2])],
    };
    write_model(&folder, &[1, 2, 8, 8], &[], &pool);
    write_calibration(&folder, 128);
    heron(&folder, "check model.onnx").succeeds();
    heron(&folder, COMPILE).fails(UNSUPPORTED, &["pool", "MaxPool", "NODE=composite:10", "tfhe"]);
    assert_eq!(names_in(&folder), ["calib.npy", "model.onnx"]);
}

#[test]
fn an_image_that_fits_no_ring() {
    let folder = scratch("large-image");
    write_model(
        &folder,
        &[1, 1, 192, 192],
        &[tensor("w", &[2, 1, 3, 3])],
        &convolution(),
    );
    write_calibration(&folder, 192 * 192);
    heron(&folder, COMPILE).fails(INFEASIBLE, &["`x`", "65536 slots", "larger ring", "narrower"]);
    assert_eq!(names_in(&folder), ["calib.npy", "model.onnx"]);
}

#[test]
fn inputs_on_which_a_network_diverges_are_named() {
    let folder = scratch("diverging");
    let square = |index: usize| {
        let names = ["x", "a", "b", "c", "d"];
        (names[index], names[index + 1])
    };
    let pairs: Vec<[&str; 2]> = (0..4).map(|index| [square(index).0; 2]).collect();
    let results: Vec<[&str; 1]> = (0..4).map(|index| [square(index).1]).collect();
    let node = |index: usize| HandNode {
        name: ["first", "second", "third", "fourth"][index],
        op: "Mul",
        inputs: &pairs[index],
        outputs: &results[index],
        attributes: &[],
        lists: &[],
    };
    let nodes: Vec<HandNode<'_>> = (0..4).map(node).collect();
    let bytes = model(&tensor("x", &[1, 4]), &[], &nodes, &tensor("d", &[1, 4]));
    std::fs::write(folder.join("model.onnx"), bytes).expect("written");
    write_rows(&folder.join("calib.npy"), &vec![vec![1.0, -0.5, 0.25, 0.75]; 8]);
    write_rows(
        &folder.join("x.npy"),
        &[vec![0.5; 4], vec![0.5, 3.0, 0.5, 0.5], vec![0.9; 4], vec![1e200; 4]],
    );
    let named = |options: &str| {
        let command = format!("simulate --model model.onnx -i x.npy --format json {options}");
        let json = heron(&folder, &command).succeeds().json();
        let diverged = json["diverged"].as_array().expect("a list").clone();
        let name = |found: &serde_json::Value| (found["sample"].as_u64(), found["node"].as_str().map(str::to_owned));
        diverged.iter().map(name).collect::<Vec<_>>()
    };
    let pair = |sample: u64, node: &str| (Some(sample), Some(node.to_owned()));
    assert_eq!(named("--calibration calib.npy"), [pair(1, "second"), pair(3, "x")]);
    assert_eq!(named(""), [pair(3, "first")]);
}
