//! Tests of the whole pipeline on shipped models.
//!
//! The samples are those that a model ships with: these tests are about the pipeline, not about accuracy on data that no
//! one has seen, which the workspace's tests measure.

use super::*;
use crate::error::ErrorKind;
use crate::graph::Node;
use crate::nn::Activation;

const MODEL: &[u8] = include_bytes!("../../../models/digits_mlp_relu/model.onnx");
const INPUTS: &[u8] = include_bytes!("../../../models/digits_mlp_relu/inputs.npy");
const CNN: &[u8] = include_bytes!("../../../models/digits_cnn_avgpool/model.onnx");

/// The values of a `.npy` file of f32 in C order, version 1.0.
fn values(npy: &[u8]) -> Vec<f64> {
    let header = 10 + usize::from(u16::from_le_bytes([npy[8], npy[9]]));
    npy[header..]
        .chunks_exact(4)
        .map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
        .collect()
}

fn samples() -> Samples {
    Samples::new(&[64], values(INPUTS)).expect("whole samples")
}

fn compiled(options: &CompileOptions) -> Result<Compiled, CompileError> {
    compile(CompileInput {
        model: MODEL,
        calibration: &samples(),
        labels: None,
        options,
    })
}

#[track_caller]
fn check_refused(result: Result<Compiled, CompileError>, kind: ErrorKind, words: &str) {
    let error = result.map(|_| ()).expect_err("it is refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn compiling_twice_gives_the_same_bytes() {
    let bytes = || {
        let compiled = compiled(&CompileOptions::new("digits")).expect("it compiles");
        let files = heron_plan::PlanFiles::encode(&compiled.plan, &compiled.weights).expect("it encodes");
        (files, serde_json::to_string(&compiled.report).expect("plain data"))
    };
    assert!(bytes() == bytes());
}

#[test]
fn a_network_of_two_layers_takes_three_levels() {
    let compiled = compiled(&CompileOptions::new("digits")).expect("it compiles");
    let report = &compiled.report;
    assert_eq!(report.parameters.levels, 3);
    assert_eq!(
        report.layers.iter().map(|layer| layer.depth).collect::<Vec<_>>(),
        [0, 1, 1, 1]
    );
    assert_eq!(report.gates.len(), 3, "{:?}", report.gates);
    assert!(report.precision.predicted_bits >= 12.0);
    let square = report
        .layers
        .iter()
        .find(|layer| layer.instructions.contains(&"square".to_owned()));
    assert!(square.is_some_and(|layer| layer.note.contains("folded into its neighbours")));
}

#[test]
fn a_report_survives_its_file() {
    let report = compiled(&CompileOptions::new("digits")).expect("it compiles").report;
    let text = serde_json::to_string(&report).expect("plain data");
    assert_eq!(serde_json::from_str::<Report>(&text).expect("its own text"), report);
}

/// A pass that loses the activations.
fn lose_activations(graph: &Graph<Op>) -> Graph<Op> {
    let wrong = |node: &Node<Op>| match node.op {
        Op::Activation(Activation::Relu) => Op::Identity,
        _ => node.op.clone(),
    };
    let rebuilt = graph.rebuild(|out, _, node, args| {
        Ok::<_, std::convert::Infallible>(out.push(&node.name, wrong(node), args, &node.shape))
    });
    let Ok(rebuilt) = rebuilt;
    rebuilt
}

#[test]
fn a_wrong_pass_is_caught() {
    let options = CompileOptions::new("digits");
    let input = CompileInput {
        model: MODEL,
        calibration: &samples(),
        labels: None,
        options: &options,
    };
    let wrong = [Pass {
        name: "lose-activations",
        run: lose_activations,
    }];
    let result = compile_with(input, &wrong, &NoStore);
    check_refused(
        result,
        ErrorKind::Verification,
        "import and simplification changed what the network computes",
    );
}

#[test]
fn a_convolutional_network_takes_one_level_for_each_layer_and_pool() {
    let options = CompileOptions::new("cnn");
    let input = CompileInput {
        model: CNN,
        calibration: &samples(),
        labels: None,
        options: &options,
    };
    let compiled = compile(input).expect("it is packed");
    let depths: Vec<(&str, u32)> = compiled
        .report
        .layers
        .iter()
        .map(|l| (l.node.as_str(), l.depth))
        .collect();
    let expected = [
        ("input", 0),
        ("/c/Conv", 1),
        ("/a/Relu", 1),
        ("/c2/Conv", 1),
        ("/a2/Relu", 1),
        ("/f/Gemm", 1),
    ];
    assert_eq!(depths, expected, "the pool is multiplied into the convolution after it");
}

#[test]
fn samples_of_another_shape_are_refused() {
    let options = CompileOptions::new("digits");
    let calibration = Samples::new(&[63], vec![0.5; 630]).expect("whole samples");
    let input = CompileInput {
        model: MODEL,
        calibration: &calibration,
        labels: None,
        options: &options,
    };
    check_refused(compile(input), ErrorKind::Input, "[63], the network takes [64]");
}

#[test]
fn samples_that_are_no_numbers_are_refused() {
    let options = CompileOptions::new("digits");
    let mut values = values(INPUTS);
    values[70] = f64::NAN;
    let calibration = Samples::new(&[64], values).expect("whole samples");
    let input = CompileInput {
        model: MODEL,
        calibration: &calibration,
        labels: None,
        options: &options,
    };
    check_refused(
        compile(input),
        ErrorKind::Input,
        "sample 1 has a value that is not a finite number at element 6",
    );
}

#[test]
fn labels_of_other_samples_are_refused() {
    let options = CompileOptions::new("digits");
    let input = CompileInput {
        model: MODEL,
        calibration: &samples(),
        labels: Some(&[1, 2]),
        options: &options,
    };
    check_refused(compile(input), ErrorKind::Input, "2 labels for 64 calibration samples");
}

#[test]
fn bytes_that_are_no_model_are_refused() {
    let options = CompileOptions::new("digits");
    let input = CompileInput {
        model: b"no model",
        calibration: &samples(),
        labels: None,
        options: &options,
    };
    check_refused(compile(input), ErrorKind::Input, "not a complete ONNX model");
}

#[test]
fn a_ring_that_is_too_small_is_infeasible() {
    let options = CompileOptions {
        max_log_n: 12,
        ..CompileOptions::new("digits")
    };
    check_refused(compiled(&options), ErrorKind::Infeasible, "allow a larger ring");
}

#[test]
fn a_network_with_other_answers_is_refused_unless_accepted() {
    // A guard alone fits what the samples never show, and random samples leave little to agree on.
    let random = (0..64 * 40).map(|i| (f64::from(i) * 12.9898).sin() * 40.0).collect();
    let calibration = Samples::new(&[64], random).expect("whole samples");
    let refuse = CompileOptions {
        guard: 1.0,
        margin: 16.0,
        granularity: crate::nn::Granularity::Tensor,
        ..CompileOptions::new("digits")
    };
    let input = |options| CompileInput {
        model: MODEL,
        calibration: &calibration,
        labels: None,
        options,
    };
    check_refused(
        compile(input(&refuse)),
        ErrorKind::Verification,
        "`--accept-accuracy` compiles it as it is",
    );
    let accept = CompileOptions {
        accuracy: AccuracyGate::Accept,
        ..refuse.clone()
    };
    let compiled = compile(input(&accept)).expect("it is accepted");
    assert!(
        compiled
            .report
            .warnings
            .iter()
            .any(|warning| warning.contains("agrees with the clear one"))
    );
}
