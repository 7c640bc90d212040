//! Operators that choose elements, and what is built on them, against tract.

use super::*;

/// A layer in front and one behind, so that the selection is between values.
#[track_caller]
fn check_between(opset: i64, shape: &[i64], node: impl FnOnce(Model) -> Model) -> Imported {
    let model = Model::new(opset, shape).node("before", "Tanh", &["x"], vec![]);
    check(node(model).node("after", "Tanh", &["chosen"], vec![]))
}

/// `check`, and the same meaning after simplification, with no selection left.
#[track_caller]
fn check_simplified(model: Model) -> Graph<Op> {
    let imported = check(model);
    let simple = crate::simplify(&imported.graph).unwrap_or_else(|error| panic!("{error}"));
    let length = imported.graph.iter().map(|(_, node)| node.len()).next().unwrap_or(0);
    let x: Vec<f64> = values(length, 5).into_iter().map(f64::from).collect();
    for (found, expected) in evaluate(&simple, &x).iter().zip(evaluate(&imported.graph, &x)) {
        assert!(
            (found - expected).abs() <= 1e-9,
            "{found} instead of {expected}\n{simple}"
        );
    }
    assert!(
        simple.iter().all(|(_, node)| !matches!(node.op, Op::Select(_))),
        "{simple}"
    );
    simple
}

#[test]
fn transpositions_match_tract() {
    for perm in [[0, 2, 3, 1], [0, 3, 1, 2], [0, 1, 3, 2], [0, 3, 2, 1]] {
        check_between(13, &[1, 2, 3, 4], |model| {
            model.node("chosen", "Transpose", &["before"], vec![ints("perm", &perm)])
        });
    }
}

#[test]
fn slices_in_both_directions_match_tract() {
    check_between(13, &[1, 3, 5, 6], |model| {
        model
            .integers("starts", &[1, -1, 4])
            .integers("ends", &[3, i64::MIN, 0])
            .integers("axes", &[1, 2, 3])
            .integers("steps", &[1, -2, -1])
            .node(
                "chosen",
                "Slice",
                &["before", "starts", "ends", "axes", "steps"],
                vec![],
            )
    });
    check_between(9, &[1, 3, 5], |model| {
        let attributes = vec![ints("starts", &[1]), ints("ends", &[4]), ints("axes", &[2])];
        model.node("chosen", "Slice", &["before"], attributes)
    });
}

#[test]
fn parts_of_a_split_match_tract() {
    for part in 0..3 {
        check_between(13, &[1, 6, 2, 2], |model| {
            model
                .integers("lengths", &[1, 3, 2])
                .node_with_results("Split", &["before", "lengths"], &["a", "b", "c"], vec![int("axis", 1)])
                .node("chosen", "Identity", &[["a", "b", "c"][part]], vec![])
        });
    }
    check_between(11, &[1, 2, 6], |model| {
        model
            .node_with_results("Split", &["before"], &["a", "b", "c"], vec![int("axis", -1)])
            .node("product", "Mul", &["a", "c"], vec![])
            .node("chosen", "Sub", &["product", "b"], vec![])
    });
}

#[test]
fn joined_values_and_constants_match_tract() {
    let graph = check_between(13, &[1, 2, 3, 3], |model| {
        model
            .floats("constant", &[1, 1, 3, 3], &values(9, 4))
            .node("square", "Mul", &["before", "before"], vec![])
            .node(
                "chosen",
                "Concat",
                &["before", "constant", "square"],
                vec![int("axis", 1)],
            )
    });
    assert!(crate::simplify(&graph.graph).is_ok());
    for axis in [1, 2, -1] {
        check_between(13, &[1, 2, 3, 4], |model| {
            model.node("square", "Mul", &["before", "before"], vec![]).node(
                "chosen",
                "Concat",
                &["before", "square", "before"],
                vec![int("axis", axis)],
            )
        });
    }
}

#[test]
fn gathered_repeated_and_expanded_elements_match_tract() {
    check_between(13, &[1, 4, 3], |model| {
        model
            .integers("indices", &[3, 0, -2, 3])
            .node("chosen", "Gather", &["before", "indices"], vec![int("axis", 1)])
    });
    check_between(13, &[1, 2, 3], |model| {
        model
            .integers("repeats", &[1, 2, 3])
            .node("chosen", "Tile", &["before", "repeats"], vec![])
    });
    check_between(13, &[1, 2, 1], |model| {
        model
            .integers("shape", &[1, 2, 4])
            .node("chosen", "Expand", &["before", "shape"], vec![])
    });
}

#[test]
fn blocks_match_tract_in_both_directions() {
    for mode in ["DCR", "CRD"] {
        check_between(13, &[1, 8, 2, 3], |model| {
            model.node(
                "chosen",
                "DepthToSpace",
                &["before"],
                vec![int("blocksize", 2), text("mode", mode)],
            )
        });
    }
    check_between(13, &[1, 2, 4, 6], |model| {
        model.node("chosen", "SpaceToDepth", &["before"], vec![int("blocksize", 2)])
    });
}

#[test]
fn nearest_resizing_matches_tract() {
    let cases = [
        ("asymmetric", "floor", [2.0, 2.0]),
        ("half_pixel", "round_prefer_floor", [2.0, 3.0]),
        ("half_pixel", "floor", [0.5, 2.0]),
        ("align_corners", "round_prefer_floor", [2.0, 2.0]),
        ("pytorch_half_pixel", "round_prefer_ceil", [3.0, 1.5]),
    ];
    for (coordinates, rounding, [rows, columns]) in cases {
        check_between(13, &[1, 2, 4, 4], |model| {
            let attributes = vec![
                text("mode", "nearest"),
                text("coordinate_transformation_mode", coordinates),
                text("nearest_mode", rounding),
            ];
            model.floats("scales", &[4], &[1.0, 1.0, rows, columns]).node(
                "chosen",
                "Resize",
                &["before", "", "scales"],
                attributes,
            )
        });
    }
}

#[test]
fn an_old_upsampling_repeats_every_element() {
    let model = Model::new(9, &[1, 1, 1, 2])
        .floats("scales", &[4], &[1.0, 1.0, 2.0, 2.0])
        .node("up", "Upsample", &["x", "scales"], vec![text("mode", "nearest")]);
    let imported = import(&model.bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        evaluate(&imported.graph, &[3.0, 5.0]),
        [3.0, 3.0, 5.0, 5.0, 3.0, 3.0, 5.0, 5.0]
    );
}

#[test]
fn mirrored_and_repeated_borders_match_tract() {
    for mode in ["reflect", "edge"] {
        check_between(13, &[1, 2, 4, 3], |model| {
            model.integers("pads", &[0, 0, 2, 1, 0, 0, 3, 2]).node(
                "chosen",
                "Pad",
                &["before", "pads"],
                vec![text("mode", mode)],
            )
        });
    }
}

#[test]
fn means_and_sums_over_any_axes_match_tract() {
    for (op, axes) in [
        ("ReduceMean", vec![1, 3]),
        ("ReduceSum", vec![2, 3]),
        ("ReduceMean", vec![-1]),
    ] {
        for keep in [0, 1] {
            check_between(11, &[1, 3, 4, 2], |model| {
                model.node(
                    "chosen",
                    op,
                    &["before"],
                    vec![ints("axes", &axes), int("keepdims", keep)],
                )
            });
        }
    }
    check_between(13, &[1, 3, 4], |model| {
        model
            .integers("axes", &[2])
            .node("chosen", "ReduceSum", &["before", "axes"], vec![])
    });
}

#[test]
fn a_factor_for_each_channel_is_repeated_over_its_plane() {
    check_between(13, &[1, 3, 4, 2], |model| {
        model
            .node("squeeze", "GlobalAveragePool", &["before"], vec![])
            .node("gate", "Sigmoid", &["squeeze"], vec![])
            .node("chosen", "Mul", &["before", "gate"], vec![])
    });
}

#[test]
fn transposed_convolutions_match_tract() {
    let cases: [(&[i64], Vec<AttributeProto>); 4] = [
        (
            &[4, 3, 3, 3],
            vec![
                ints("strides", &[2, 2]),
                ints("pads", &[1, 1, 1, 1]),
                ints("output_padding", &[1, 1]),
            ],
        ),
        (&[4, 2, 2, 3], vec![ints("strides", &[2, 1]), int("group", 2)]),
        (
            &[4, 3, 3, 2],
            vec![ints("dilations", &[2, 1]), ints("pads", &[0, 1, 2, 0])],
        ),
        (&[4, 2, 1, 1], vec![ints("strides", &[3, 3])]),
    ];
    for (shape, attributes) in cases {
        let count = shape.iter().product::<i64>() as usize;
        check_between(13, &[1, 4, 4, 5], |model| {
            model.floats("weights", shape, &values(count, 3)).node(
                "chosen",
                "ConvTranspose",
                &["before", "weights"],
                attributes,
            )
        });
    }
    check_between(13, &[1, 4, 5], |model| {
        model
            .floats("weights", &[4, 2, 3], &values(24, 3))
            .floats("bias", &[2], &values(2, 4))
            .node(
                "chosen",
                "ConvTranspose",
                &["before", "weights", "bias"],
                vec![ints("strides", &[2])],
            )
    });
}

/// What tf2onnx writes for a Keras network: channels last, transposed around every convolution. `Square` is written out.
pub(super) fn channels_last(opset: i64, activation: &str) -> Model {
    let (op, operands) = match activation {
        "Square" => ("Mul", ["biased", "biased"].as_slice()),
        other => (other, ["biased"].as_slice()),
    };
    Model::new(opset, &[0, 6, 6, 3])
        .node("first", "Transpose", &["x"], vec![ints("perm", &[0, 3, 1, 2])])
        .floats("w1", &[4, 3, 3, 3], &values(108, 1))
        .floats("b1", &[4], &values(4, 2))
        .node(
            "conv1",
            "Conv",
            &["first", "w1", "b1"],
            vec![text("auto_pad", "SAME_UPPER"), ints("strides", &[2, 2])],
        )
        .node("last1", "Transpose", &["conv1"], vec![ints("perm", &[0, 2, 3, 1])])
        .floats("bias", &[4], &values(4, 3))
        .node("biased", "Add", &["last1", "bias"], vec![])
        .node("activation", op, operands, vec![])
        .node(
            "first2",
            "Transpose",
            &["activation"],
            vec![ints("perm", &[0, 3, 1, 2])],
        )
        .floats("w2", &[2, 4, 2, 2], &values(32, 4))
        .node("conv2", "Conv", &["first2", "w2"], vec![])
        .node("pool", "AveragePool", &["conv2"], vec![ints("kernel_shape", &[2, 2])])
        .node("last2", "Transpose", &["pool"], vec![ints("perm", &[0, 2, 3, 1])])
        .integers("flat_shape", &[-1, 2])
        .node("flat", "Reshape", &["last2", "flat_shape"], vec![])
        .floats("w3", &[2, 3], &values(6, 5))
        .node("logits", "MatMul", &["flat", "w3"], vec![])
}

#[test]
fn networks_with_channels_last_need_no_more_layers() {
    for opset in [9, 13, 18, 21] {
        let simple = check_simplified(channels_last(opset, "Relu"));
        let layers = simple
            .iter()
            .filter(|(_, node)| matches!(node.op, Op::Conv(_) | Op::Dense { .. }));
        assert_eq!(layers.count(), 2, "{simple}");
    }
}

#[test]
fn a_shape_taken_apart_and_put_together_is_folded() {
    let model = Model::new(17, &[0, 2, 3, 4])
        .node("tanh", "Tanh", &["x"], vec![])
        .node("shape", "Shape", &["tanh"], vec![int("start", 1)])
        .integers("axes", &[0])
        .node("product", "ReduceProd", &["shape"], vec![])
        .integers("batch", &[-1])
        .node("target", "Concat", &["batch", "product"], vec![int("axis", 0)])
        .node("flat", "Reshape", &["tanh", "target"], vec![]);
    check(model);
}

#[test]
fn selections_that_cannot_be_are_refused_by_name() {
    let between = |opset| Model::new(opset, &[1, 4, 3]).node("before", "Tanh", &["x"], vec![]);
    refused(
        between(13).node("moved", "Transpose", &["before"], vec![ints("perm", &[1, 0, 2])]),
        &["moved (Transpose)", "batch"],
    );
    refused(
        between(13)
            .integers("i", &[4])
            .node("taken", "Gather", &["before", "i"], vec![int("axis", 1)]),
        &["taken (Gather)", "outside its axis of length 4"],
    );
    refused(
        between(13).node_with_results("Split", &["before"], &["a", "b"], vec![ints("split", &[1, 1])]),
        &["Split, split", "must add up"],
    );
    refused(
        between(13).floats("scales", &[3], &[1.0, 1.0, 2.0]).node(
            "large",
            "Resize",
            &["before", "", "scales"],
            vec![text("mode", "linear")],
        ),
        &["large (Resize, mode)", "linear", "nearest"],
    );
}

#[test]
fn hostile_sizes_of_selections_are_refused() {
    let model = || Model::new(13, &[1, 1, 2, 2]);
    refused(
        model()
            .integers("repeats", &[1, 1, 1 << 40, 1])
            .node("tile", "Tile", &["x", "repeats"], vec![]),
        &["tile (Tile)", "elements"],
    );
    refused(
        model()
            .floats("empty", &[1, 0], &[])
            .integers("repeats", &[1 << 60, 1])
            .node("tile", "Tile", &["empty", "repeats"], vec![]),
        &["tile (Tile)"],
    );
    refused(
        model()
            .integers("sizes", &[1, 1, 1 << 40, 2])
            .node("large", "Resize", &["x", "", "", "sizes"], vec![]),
        &["large (Resize)", "elements"],
    );
    refused(
        model().floats("w", &[1, 1, 2, 2], &[1.0; 4]).node(
            "spread",
            "ConvTranspose",
            &["x", "w"],
            vec![ints("strides", &[1 << 23, 1 << 23])],
        ),
        &["spread (ConvTranspose)", "elements"],
    );
    refused(
        model()
            .integers("shape", &[1, 1 << 30, 2, 2])
            .node("wide", "Expand", &["x", "shape"], vec![]),
        &["wide (Expand)", "elements"],
    );
}
