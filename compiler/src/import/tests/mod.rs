//! Tests of the whole import: against tract on the same bytes, and every refusal by its words.

mod packed;
mod selections;

use proptest::prelude::*;
use tract_onnx::pb::AttributeProto;

use super::fixture::{Model, float, input, int, ints, text};
use super::*;
use crate::evaluate;

/// tract computes in f32.
const F32: f64 = 2e-5;

/// Fixed numbers between -1 and 1.
fn values(length: usize, seed: usize) -> Vec<f32> {
    (0..length)
        .map(|index| ((index * 7919 + seed * 104_729 + 31) % 2003) as f32 / 1001.0 - 1.0)
        .collect()
}

/// Imports the model and compares our evaluation with tract's on fixed inputs.
#[track_caller]
fn check(model: Model) -> Imported {
    check_bytes(&model.bytes())
}

#[track_caller]
fn check_bytes(bytes: &[u8]) -> Imported {
    let imported = import(bytes).unwrap_or_else(|error| panic!("{error}"));
    let oracle = OnnxClear::new(bytes, &imported).unwrap_or_else(|error| panic!("{error}"));
    let length = imported.graph.iter().map(|(_, node)| node.len()).next().unwrap_or(0);
    for seed in 0..3 {
        let x: Vec<f64> = values(length, seed)
            .into_iter()
            .map(|value| 3.0 * f64::from(value))
            .collect();
        let found = evaluate(&imported.graph, &x);
        let expected = oracle.run(&x).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(found.len(), expected.len());
        let largest = expected
            .iter()
            .fold(1.0, |largest: f64, value| largest.max(value.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() <= F32 * largest,
                "{found} instead of {expected}\n{}",
                imported.graph
            );
        }
    }
    imported
}

/// A model of the repository.
macro_rules! shipped {
    ($name:literal) => {
        include_bytes!(concat!("../../../../models/", $name, "/model.onnx")).as_slice()
    };
}

/// The problems that the model has, as text.
#[track_caller]
fn problems(model: Model) -> Vec<String> {
    match import(&model.bytes()) {
        Err(ImportError::Unsupported(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("expected problems, found {other:?}"),
    }
}

/// Checks that the model has one problem, in which all words occur.
#[track_caller]
fn refused(model: Model, words: &[&str]) {
    let problems = problems(model);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    for word in words {
        assert!(problems[0].contains(word), "`{word}` is not in: {}", problems[0]);
    }
}

fn dense(model: Model, name: &str, x: &str, outputs: i64, inputs: i64) -> Model {
    let (weights, bias) = (format!("{name}.weight"), format!("{name}.bias"));
    model
        .floats(&weights, &[outputs, inputs], &values((outputs * inputs) as usize, 1))
        .floats(&bias, &[outputs], &values(outputs as usize, 2))
        .node(name, "Gemm", &[x, &weights, &bias], vec![int("transB", 1)])
}

#[test]
fn a_network_of_all_activations_matches_tract() {
    for opset in [9, 11, 13, 17] {
        let mut model = Model::new(opset, &[0, 6]);
        let mut last = "x".to_owned();
        let activations: [(&str, Vec<AttributeProto>); 7] = [
            ("Relu", vec![]),
            ("Sigmoid", vec![]),
            ("Tanh", vec![]),
            ("Erf", vec![]),
            ("Softplus", vec![]),
            ("LeakyRelu", vec![float("alpha", 0.2)]),
            ("Elu", vec![float("alpha", 0.7)]),
        ];
        for (op, attributes) in activations {
            let layer = format!("before_{op}");
            model = dense(model, &layer, &last, 6, 6).node(op, op, &[&layer], attributes);
            last = op.to_owned();
        }
        check(model);
    }
}

#[test]
fn further_activations_match_tract() {
    // Roots, logarithms and reciprocals take what a softplus leaves: it is positive.
    let activations: [(&[&str], Vec<AttributeProto>); 9] = [
        (&["Selu"], vec![float("alpha", 1.5), float("gamma", 1.1)]),
        (&["HardSigmoid"], vec![float("alpha", 0.3), float("beta", 0.4)]),
        (&["HardSwish"], vec![]),
        (&["Abs"], vec![]),
        (&["Softplus", "Sqrt"], vec![]),
        (&["Softplus", "Reciprocal"], vec![]),
        (&["Softplus", "Log"], vec![]),
        (&["Tanh", "Exp"], vec![]),
        (&["Sign"], vec![]),
    ];
    for (ops, attributes) in activations {
        let mut model = dense(Model::new(14, &[0, 6]), "before", "x", 6, 6);
        let mut last = "before".to_owned();
        for op in ops {
            model = model.node(op, op, &[&last], attributes.clone());
            last = (*op).to_owned();
        }
        check(dense(model, "after", &last, 3, 6));
    }
}

#[test]
fn shipped_networks_match_tract() {
    for bytes in [
        shipped!("digits_mlp_deep_relu"),
        shipped!("breast_cancer_mlp_sigmoid"),
        shipped!("digits_mlp_tanh"),
        shipped!("digits_cnn_avgpool"),
        shipped!("digits_cnn_residual"),
    ] {
        check_bytes(bytes);
    }
}

#[test]
fn a_gelu_that_an_exporter_wrote_out_becomes_one_node() {
    let imported = check_bytes(shipped!("digits_mlp_gelu"));
    let simple = crate::simplify(&imported.graph).unwrap_or_else(|error| panic!("{error}"));
    let ops: Vec<String> = simple.iter().map(|(_, node)| node.op.to_string()).collect();
    assert_eq!(ops, ["input", "dense", "gelu", "dense"]);
}

#[test]
fn gelu_in_both_forms_has_its_published_values() {
    for (form, expected) in [("none", 0.841_344_746_068_542_9), ("tanh", 0.841_191_990_608_306_9)] {
        let model = Model::new(20, &[1, 1]).node("gelu", "Gelu", &["x"], vec![text("approximate", form)]);
        let imported = import(&model.bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert!((evaluate(&imported.graph, &[1.0])[0] - expected).abs() < 1e-12);
    }
}

#[test]
fn scales_transpositions_and_missing_biases_of_gemm_are_applied() {
    let weights = values(12, 4);
    let model = Model::new(13, &[1, 3])
        .floats("w", &[3, 4], &weights)
        .floats("c", &[1, 4], &values(4, 5))
        .node(
            "scaled",
            "Gemm",
            &["x", "w", "c"],
            vec![float("alpha", 0.5), float("beta", 2.0)],
        )
        .floats("v", &[4, 4], &values(16, 6))
        .node("bare", "Gemm", &["scaled", "v"], vec![])
        .floats("u", &[4, 2], &values(8, 7))
        .node("product", "MatMul", &["bare", "u"], vec![])
        .floats("one", &[1], &[0.75])
        .node("shifted", "Add", &["one", "product"], vec![]);
    check(model);
}

#[test]
fn constants_act_on_tensors_channels_and_elements() {
    let shape = [1, 2, 3, 2];
    let model = Model::new(13, &shape)
        .floats("scalar", &[], &[1.5])
        .floats("channel", &[2, 1, 1], &[0.5, -2.0])
        .floats("row", &[2], &[3.0, 0.25])
        .node("a", "Mul", &["x", "scalar"], vec![])
        .node("b", "Sub", &["channel", "a"], vec![])
        .node("c", "Sub", &["b", "row"], vec![])
        .node("d", "Div", &["c", "channel"], vec![])
        .node("e", "Neg", &["d"], vec![])
        .node("f", "Mul", &["e", "x"], vec![])
        .node("g", "Sub", &["f", "a"], vec![]);
    check(model);
}

#[test]
fn powers_clips_and_dropout_match_tract() {
    let model = Model::new(13, &[1, 4])
        .floats("three", &[], &[3.0])
        .floats("low", &[], &[-0.5])
        .floats("high", &[], &[0.75])
        .node("power", "Pow", &["x", "three"], vec![])
        .node("dropout", "Dropout", &["power"], vec![])
        .node("clipped", "Clip", &["dropout", "low", "high"], vec![])
        .node("floored", "Clip", &["clipped", "low"], vec![]);
    check(model);
    check(Model::new(9, &[1, 4]).node("relu6", "Clip", &["x"], vec![float("min", 0.0), float("max", 6.0)]));
}

#[test]
fn shapes_computed_at_run_time_are_folded() {
    let model = Model::new(13, &[0, 2, 3, 4])
        .node("shape", "Shape", &["x"], vec![])
        .integers("first", &[0])
        .node("batch", "Gather", &["shape", "first"], vec![int("axis", 0)])
        .integers("rest", &[-1])
        .node("target", "Concat", &["batch", "rest"], vec![int("axis", 0)])
        .node("flat", "Reshape", &["x", "target"], vec![])
        .integers("axes", &[2])
        .node("more", "Unsqueeze", &["flat", "axes"], vec![])
        .node("less", "Squeeze", &["more", "axes"], vec![]);
    let imported = check(model);
    assert_eq!(imported.graph.node(imported.graph.output()).shape, [24]);
}

#[test]
fn strided_slices_and_reduced_means_match_tract() {
    let model = Model::new(13, &[1, 2, 5, 6])
        .integers("starts", &[0, 0])
        .integers("ends", &[i64::MAX, 6])
        .integers("axes", &[2, 3])
        .integers("steps", &[2, 3])
        .node("slice", "Slice", &["x", "starts", "ends", "axes", "steps"], vec![])
        .node(
            "rows",
            "ReduceMean",
            &["slice"],
            vec![ints("axes", &[2]), int("keepdims", 1)],
        )
        .node(
            "all",
            "ReduceMean",
            &["rows"],
            vec![ints("axes", &[-1, -2]), int("keepdims", 0)],
        );
    check(model);
}

#[test]
fn one_dimensional_convolutions_and_pools_match_tract() {
    let model = Model::new(13, &[1, 2, 12])
        .floats("w", &[4, 2, 3], &values(24, 3))
        .node(
            "conv",
            "Conv",
            &["x", "w"],
            vec![ints("strides", &[2]), ints("pads", &[1, 1])],
        )
        .node(
            "pool",
            "MaxPool",
            &["conv"],
            vec![ints("kernel_shape", &[2]), ints("strides", &[2])],
        )
        .node("mean", "GlobalAveragePool", &["pool"], vec![])
        .node("flat", "Flatten", &["mean"], vec![]);
    check(model);
}

#[test]
fn paddings_and_batch_normalizations_match_tract() {
    let model = Model::new(13, &[1, 2, 3, 3])
        .integers("pads", &[0, 0, 1, 0, 0, 1, 2, 0])
        .floats("value", &[], &[0.5])
        .node("pad", "Pad", &["x", "pads", "value"], vec![])
        .floats("gamma", &[3], &values(3, 1))
        .floats("beta", &[3], &values(3, 2))
        .floats("mean", &[3], &values(3, 3))
        .floats("variance", &[3], &[0.5, 2.0, 0.01])
        .node(
            "bn",
            "BatchNormalization",
            &["pad", "gamma", "beta", "mean", "variance"],
            vec![float("epsilon", 1e-3)],
        );
    check(model);
}

#[test]
fn a_softmax_and_an_arg_max_at_the_end_are_left_to_the_client() {
    let model = dense(Model::new(13, &[1, 4]), "logits", "x", 3, 4)
        .node("probabilities", "Softmax", &["logits"], vec![int("axis", -1)])
        .node("label", "ArgMax", &["probabilities"], vec![int("axis", 1)]);
    let imported = check(model);
    assert_eq!(imported.tail, [ClientTail::Softmax, ClientTail::ArgMax]);
    assert_eq!(imported.output_name, "logits");
    assert_eq!(imported.graph.node(imported.graph.output()).name, "logits");
}

#[test]
fn a_softmax_in_the_middle_is_refused_by_name() {
    let model = Model::new(13, &[1, 4])
        .node("attention", "Softmax", &["x"], vec![])
        .node("late", "Relu", &["attention"], vec![]);
    refused(model, &["attention (Softmax)", "read by late", "at the end"]);
}

#[test]
fn weights_listed_as_inputs_are_constants() {
    let mut model = dense(Model::new(8, &[1, 4]), "fc", "x", 3, 4);
    model.graph.input.push(input("fc.weight", &[3, 4]));
    model.graph.input.push(input("fc.bias", &[3]));
    assert_eq!(check(model).input_name, "x");
}

#[test]
fn every_unsupported_node_is_reported_at_once() {
    let model = Model::new(13, &[1, 4])
        .node("recurrent", "LSTM", &["x"], vec![])
        .node("pool", "MaxPool", &["recurrent"], vec![ints("dilation", &[2, 2])])
        .node("gelu", "Gelu", &["pool"], vec![text("approximate", "cubic")])
        .node("boxes", "NonMaxSuppression", &["gelu"], vec![]);
    let problems = problems(model);
    for (problem, words) in problems.iter().zip([
        "recurrent (LSTM)",
        "(MaxPool, dilation)",
        "`cubic`",
        "boxes (NonMaxSupp",
    ]) {
        assert!(problem.contains(words), "{problem}");
    }
    assert_eq!(problems.len(), 4, "{problems:#?}");
}

#[test]
fn inputs_that_are_not_one_sample_are_refused_by_name() {
    refused(
        Model::new(13, &[8, 4]).node("relu", "Relu", &["x"], vec![]),
        &["x (input)", "fixed to 8", "batch of 1"],
    );
    refused(
        Model::new(13, &[1, 0]).node("relu", "Relu", &["x"], vec![]),
        &["axis 1 (`length`) is dynamic"],
    );
    refused(
        Model::new(13, &[1, 1 << 40]).node("relu", "Relu", &["x"], vec![]),
        &["at most"],
    );
    let mut two = Model::new(13, &[1, 4]).node("sum", "Add", &["x", "y"], vec![]);
    two.graph.input.push(input("y", &[1, 4]));
    refused(two, &["x, y (input)", "2 inputs"]);
}

#[test]
fn shape_errors_name_what_was_found_and_expected() {
    refused(
        dense(Model::new(13, &[1, 5]), "fc", "x", 3, 4),
        &["fc (Gemm)", "[1, 5]", "4 inputs"],
    );
    let model = Model::new(13, &[1, 2, 3, 3])
        .floats("w", &[1, 3, 2, 2], &values(12, 1))
        .node("conv", "Conv", &["x", "w"], vec![]);
    refused(model, &["conv (Conv, group)", "2 channels"]);
    let model = Model::new(13, &[1, 4])
        .floats("c", &[3], &values(3, 1))
        .node("sum", "Add", &["x", "c"], vec![]);
    refused(model, &["sum (Add)", "[1, 4]", "[3]"]);
    let model = Model::new(13, &[1, 4])
        .integers("shape", &[1, 5])
        .node("view", "Reshape", &["x", "shape"], vec![]);
    refused(model, &["view (Reshape)", "[1, 4] to [1, 5]"]);
    let model = Model::new(13, &[1, 4])
        .integers("shape", &[2, 2])
        .node("view", "Reshape", &["x", "shape"], vec![]);
    refused(model, &["view (Reshape)", "[2, 2]", "batch"]);
}

#[test]
fn a_node_that_reads_what_is_not_there_is_refused() {
    refused(
        Model::new(13, &[1, 4]).node("sum", "Add", &["x", "nothing"], vec![]),
        &["`nothing`", "no node before"],
    );
    refused(
        Model::new(13, &[1, 4]).node("sum", "Add", &["x"], vec![]),
        &["operand 1 is missing"],
    );
}

#[test]
fn hostile_sizes_are_refused() {
    let pads = [0, 0, 0, 0, 0, 0, 1 << 23, 1 << 23];
    let model = Model::new(13, &[1, 1, 2, 2])
        .integers("pads", &pads)
        .node("pad", "Pad", &["x", "pads"], vec![]);
    refused(model, &["pad (Pad)", "elements"]);
    let shape = [1 << 30, 1 << 30];
    let model = Model::new(13, &[1, 4])
        .integers("shape", &shape)
        .node("fill", "ConstantOfShape", &["shape"], vec![]);
    refused(model, &["fill (ConstantOfShape)"]);
    let model = Model::new(13, &[1, 1, 4, 4]).floats("w", &[1, 1, 1, 1], &[1.0]).node(
        "conv",
        "Conv",
        &["x", "w"],
        vec![ints("pads", &[1 << 22, 1 << 22, 0, 0])],
    );
    refused(model, &["conv (Conv, pads)"]);
    let model =
        Model::new(13, &[1, 1, 4, 4]).node("pool", "MaxPool", &["x"], vec![ints("kernel_shape", &[i64::MAX, 1])]);
    refused(model, &["pool (MaxPool, kernel_shape)"]);
}

#[test]
fn external_data_is_refused_with_the_tensor() {
    let mut model = dense(Model::new(13, &[1, 4]), "fc", "x", 3, 4);
    model.graph.initializer[0].data_location = Some(1);
    let error = import(&model.bytes()).map(|_| ()).map_err(|error| error.to_string());
    assert!(error.is_err_and(|text| text.contains("fc.weight") && text.contains("one file")));
}

#[test]
fn other_operator_sets_are_refused_by_number() {
    let error = import(&Model::new(3, &[1, 4]).node("relu", "Relu", &["x"], vec![]).bytes()).map(|_| ());
    assert!(matches!(error, Err(ImportError::Opset { found: 3, .. })), "{error:?}");
}

#[test]
fn every_truncation_and_other_files_are_no_onnx() {
    let bytes = dense(Model::new(13, &[1, 4]), "fc", "x", 3, 4).bytes();
    for length in 0..bytes.len() {
        assert!(import(&bytes[..length]).is_err(), "cut to {length} of {}", bytes.len());
    }
    for file in [&b"hello, this is text\n"[..], b"", b"\x08\x07", &[0xff; 64]] {
        assert!(matches!(import(file), Err(ImportError::NotOnnx { .. })), "{file:?}");
    }
}

proptest! {
    /// Damage changes a weight, names a node otherwise or is refused, but never panics.
    #[test]
    fn flipped_bits_never_panic(flips in prop::collection::vec((0usize..10_000, 0u8..8), 1..6)) {
        let model = dense(Model::new(13, &[1, 1, 4, 4]).node("flat", "Flatten", &["x"], vec![]), "fc", "flat", 3, 16);
        let mut bytes = model.bytes();
        for (position, bit) in flips {
            let position = position % bytes.len();
            bytes[position] ^= 1 << bit;
        }
        let _ = import(&bytes).map_err(|error| error.to_string());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Convolution, pool and dense layer of any geometry against tract.
    #[test]
    fn random_networks_match_tract(
        size in prop::array::uniform2(5i64..10), groups in 1i64..3, outputs in 1i64..3,
        kernel in prop::array::uniform2(1i64..4), strides in prop::array::uniform2(1i64..3),
        dilations in prop::array::uniform2(1i64..3), pads in prop::array::uniform4(0i64..3),
        padding in 0usize..4, pool in 0usize..3, ceil in 0i64..2, counts in 0i64..2,
    ) {
        let channels = 2 * groups;
        let weights = groups * outputs * 2 * kernel[0] * kernel[1];
        let mut conv = vec![ints("strides", &strides), int("group", groups)];
        match padding {
            0 => conv.extend([ints("pads", &pads), ints("dilations", &dilations)]),
            1 => conv.push(text("auto_pad", "SAME_UPPER")),
            2 => conv.push(text("auto_pad", "SAME_LOWER")),
            _ => conv.push(text("auto_pad", "VALID")),
        }
        let mut window = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 1]), ints("pads", &[1, 0, 0, 1])];
        let op = if pool == 0 { "MaxPool" } else { "AveragePool" };
        // Rounding up while padding counts is refused, because the versions of ONNX disagree.
        if pool == 0 || counts == 0 {
            window.push(int("ceil_mode", ceil));
        }
        if pool > 0 {
            window.push(int("count_include_pad", counts));
        }
        let model = Model::new(13, &[1, channels, size[0], size[1]])
            .floats("w", &[groups * outputs, 2, kernel[0], kernel[1]], &values(weights as usize, 9))
            .floats("b", &[groups * outputs], &values((groups * outputs) as usize, 10))
            .node("conv", "Conv", &["x", "w", "b"], conv)
            .node("pool", op, &["conv"], window)
            .node("flat", "Flatten", &["pool"], vec![]);
        let flat = import(&model.clone().bytes()).map(|imported| imported.graph.node(imported.graph.output()).len());
        if let Ok(length) = flat {
            check(dense(model, "fc", "flat", 3, length as i64));
        }
    }
}
