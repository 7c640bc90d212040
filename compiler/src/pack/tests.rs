//! Tests of packing: what the slots compute is what the network computes.

use ndarray::{Array1, Array2};
use proptest::prelude::*;

use super::*;
use crate::he::ClearPolynomial;
use crate::nn::Granularity;
use crate::packed_clear::evaluate_packed;

fn dense(rows: usize, cols: usize, seed: usize) -> he::Op {
    let value = |index: usize| ((index * 7919 + seed * 104_729) % 1000) as f64 / 500.0 - 1.0;
    he::Op::Dense {
        weights: Array2::from_shape_fn((rows, cols), |(r, c)| value(r * cols + c)).into_shared(),
        bias: Array1::from_shape_fn(rows, |r| value(r + 17)).into_shared(),
    }
}

/// A chain of dense layers of the given widths, squares in between.
fn network(widths: &[usize]) -> Graph<he::Op> {
    let mut out = GraphBuilder::default();
    let mut last = out.push("x", he::Op::Input, &[], &widths[..1]);
    for (layer, pair) in widths.windows(2).enumerate() {
        if layer > 0 {
            last = out.push(&format!("square{layer}"), he::Op::Square, &[last], &pair[..1]);
        }
        last = out.push(
            &format!("fc{layer}"),
            dense(pair[1], pair[0], layer),
            &[last],
            &pair[1..],
        );
    }
    out.finish(last)
}

/// Packs and compares with the network on some inputs.
#[track_caller]
fn check(graph: &Graph<he::Op>, slots: u32) -> Packed {
    let packed = pack(graph, Slots(slots)).expect("it fits");
    let len = graph.iter().next().map_or(0, |(_, node)| node.len());
    let inputs: Vec<Vec<f64>> = (0..3)
        .map(|sample| (0..len).map(|i| ((i + 5 * sample) as f64 * 0.77).sin()).collect())
        .collect();
    let inputs: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
    let polynomial = ClearPolynomial::new(graph);
    for (input, found) in inputs.iter().zip(evaluate_packed(&packed, &inputs)) {
        let expected = polynomial.output(input);
        let size = expected.iter().fold(1.0f64, |size, x| size.max(x.abs()));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-10 * size, "{found} is not {expected}");
        }
    }
    packed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn diagonals_compute_the_matrix(rows in 1usize..70, cols in 1usize..70, log_slots in 7u32..11) {
        check(&network(&[cols, rows]), 1 << log_slots);
    }

    #[test]
    fn results_are_replicated_over_all_slots(rows in 1usize..40, cols in 1usize..60, log_slots in 7u32..10) {
        // A second layer reads every repetition of the first one's result.
        check(&network(&[cols, rows, 5, rows]), 1 << log_slots);
    }

    #[test]
    fn every_slot_of_a_result_follows_its_layout(rows in 1usize..70, cols in 1usize..70, log_slots in 7u32..11) {
        let packed = pack(&network(&[cols, rows]), Slots(1 << log_slots)).expect("it fits");
        let Compute::Linear { map, .. } = &packed.graph.node(packed.graph.output()).op.compute else {
            panic!("the output is a linear map");
        };
        prop_assert_eq!(map.slots_written(packed.slots), packed.slots.0 as usize);
        prop_assert!(map.slots_read(packed.slots) <= packed.slots.0 as usize);
    }
}

#[test]
fn an_image_classifier_takes_32_diagonals_for_its_first_layer() {
    let packed = check(&network(&[784, 128, 10]), 4096);
    let maps = packed.graph.iter().filter_map(|(_, node)| match &node.op.compute {
        Compute::Linear { map, .. } => Some((map.diagonals().len(), map.counts().rotations(), map.fold.len())),
        _ => None,
    });
    insta::assert_snapshot!(
        maps.map(|(d, r, f)| format!("{d} diagonals, {r} rotations, {f} of them folds\n")).collect::<String>(),
        @r"
    32 diagonals, 15 rotations, 5 of them folds
    16 diagonals, 9 rotations, 3 of them folds
    "
    );
}

#[test]
fn affine_maps_and_branches_are_packed() {
    let mut out = GraphBuilder::default();
    let x = out.push("x", he::Op::Input, &[], &[2, 3]);
    let affine = |scale: f64, shift: f64| {
        he::Op::Affine(Affine {
            granularity: Granularity::Channel,
            scale: Array1::from(vec![scale, 1.0]).into_shared(),
            shift: Array1::from(vec![shift, 0.5]).into_shared(),
        })
    };
    let scaled = out.push("scaled", affine(2.0, 0.25), &[x], &[2, 3]);
    let shifted = out.push("shifted", affine(1.0, -0.5), &[x], &[2, 3]);
    let product = out.push("product", he::Op::Mul, &[scaled, shifted], &[2, 3]);
    let sum = out.push("sum", he::Op::Add, &[product, x], &[2, 3]);
    let flat = out.push("flat", he::Op::Reshape, &[sum], &[6]);
    let last = out.push("fc", dense(4, 6, 3), &[flat], &[4]);
    let packed = check(&out.finish(last), 64);
    let levels = packed
        .graph
        .iter()
        .filter(|(_, node)| node.op.compute.levels() > 0)
        .count();
    assert_eq!(levels, 3, "a shift takes no level");
}

#[test]
fn what_does_not_fit_is_named() {
    let refused = pack(&network(&[784, 128, 10]), Slots(512)).expect_err("784 elements in 512 slots");
    assert_eq!(
        refused,
        TooFewSlots {
            node: "x".to_owned(),
            needed: 1024
        }
    );
}

#[test]
fn what_is_no_sum_is_refused_together() {
    let mut out = GraphBuilder::default();
    let x = out.push("x", nn::Op::Input, &[], &[2, 4, 4]);
    let window = nn::Pool {
        kernel: [2, 2],
        strides: [2, 2],
        pads: [0; 4],
        count_include_pad: false,
    };
    let max = out.push("max", nn::Op::MaxPool(window), &[x], &[2, 2, 2]);
    let square = out.push("square", nn::Op::Square, &[max], &[2, 2, 2]);
    let pad = nn::Pad {
        amounts: vec![(0, 0), (1, 1), (1, 1)],
        value: 1.0,
    };
    let pad = out.push("pad", nn::Op::Pad(pad), &[square], &[2, 4, 4]);
    let refused = unpackable(&out.finish(pad));
    assert_eq!(
        refused.iter().map(|node| node.node.as_str()).collect::<Vec<_>>(),
        ["max", "pad"]
    );
}

/// A convolution between squares, with a branch around it where the shapes allow one.
fn convolutional() -> impl Strategy<Value = Graph<he::Op>> {
    let sizes = (1usize..4, 1usize..8, 1usize..8, 1usize..3);
    let kernel = (1usize..5, 1usize..4, 1usize..4);
    let steps = (1usize..4, 1usize..4, 1usize..3, 1usize..3);
    (sizes, kernel, steps, proptest::array::uniform4(0usize..3), 1usize..4).prop_filter_map(
        "the kernel does not fit",
        |((per_group, height, width, groups), (outputs, k, l), (sy, sx, dy, dx), pads, seed)| {
            let conv = |inputs: usize, outputs: usize, seed: usize| nn::Conv {
                weights: std::sync::Arc::new(ndarray::Array4::from_shape_fn(
                    (outputs * groups, inputs, k, l),
                    |(o, i, y, x)| ((o * 31 + i * 17 + y * 7 + x * 3 + seed) % 19) as f64 / 9.0 - 1.0,
                )),
                bias: Array1::from_shape_fn(outputs * groups, |o| (o + seed) as f64 / 8.0).into_shared(),
                strides: [sy, sx],
                pads,
                dilations: [dy, dx],
                groups,
            };
            let result = |shape: &[usize], outputs: usize| -> Option<Vec<usize>> {
                let padded = [shape[1] + pads[0] + pads[2], shape[2] + pads[1] + pads[3]];
                let count = |axis: usize, size: usize, dilation: usize, stride: usize| {
                    Some(padded[axis].checked_sub((size - 1) * dilation + 1)? / stride + 1)
                };
                Some(vec![outputs * groups, count(0, k, dy, sy)?, count(1, l, dx, sx)?])
            };
            let source = [per_group * groups, height, width];
            let first = result(&source, outputs)?;
            let second = result(&first, outputs)?;
            let mut out = GraphBuilder::default();
            let x = out.push("x", he::Op::Input, &[], &source);
            let left = out.push("left", he::Op::Conv(conv(per_group, outputs, seed)), &[x], &first);
            let right = out.push("right", he::Op::Conv(conv(per_group, outputs, seed + 5)), &[x], &first);
            let square = out.push("square", he::Op::Square, &[left], &first);
            let sum = out.push("sum", he::Op::Add, &[square, right], &first);
            let last = out.push("last", he::Op::Conv(conv(outputs, outputs, seed + 2)), &[sum], &second);
            let flat = out.push("flat", he::Op::Reshape, &[last], &[second.iter().product()]);
            let fc = out.push("fc", dense(3, second.iter().product(), seed), &[flat], &[3]);
            Some(out.finish(fc))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn any_convolutions_are_what_the_network_computes(graph in convolutional()) {
        check(&graph, 8192);
    }
}

#[test]
fn an_image_of_another_size_after_a_reshape_is_packed_as_a_vector() {
    let conv = |outputs: usize, inputs: usize, kernel: [usize; 2]| {
        he::Op::Conv(nn::Conv {
            weights: std::sync::Arc::new(ndarray::Array4::from_elem(
                (outputs, inputs, kernel[0], kernel[1]),
                0.25,
            )),
            bias: Array1::zeros(outputs).into_shared(),
            strides: [1, 1],
            pads: [0; 4],
            dilations: [1, 1],
            groups: 1,
        })
    };
    let mut out = GraphBuilder::default();
    let x = out.push("x", he::Op::Input, &[], &[1, 6, 8]);
    let first = out.push("first", conv(2, 1, [3, 3]), &[x], &[2, 4, 6]);
    let row = out.push("row", he::Op::Reshape, &[first], &[2, 1, 24]);
    let second = out.push("second", conv(3, 2, [1, 5]), &[row], &[3, 1, 20]);
    check(&out.finish(second), 1024);
}

/// ResNet-20 for 32x32 images with projecting shortcuts; weights of one, since layouts and rotations do not depend on them.
fn resnet20() -> Graph<he::Op> {
    let conv = |outputs: usize, inputs: usize, kernel: usize, stride: usize| {
        he::Op::Conv(nn::Conv {
            weights: std::sync::Arc::new(ndarray::Array4::ones((outputs, inputs, kernel, kernel))),
            bias: Array1::zeros(outputs).into_shared(),
            strides: [stride; 2],
            pads: [kernel / 2; 4],
            dilations: [1; 2],
            groups: 1,
        })
    };
    let mut out = GraphBuilder::default();
    let x = out.push("x", he::Op::Input, &[], &[3, 32, 32]);
    let mut shape = [16, 32, 32];
    let first = out.push("main stem", conv(16, 3, 3, 1), &[x], &shape);
    let mut last = out.push("square", he::Op::Square, &[first], &shape);
    for (stage, channels) in [16, 32, 64].into_iter().enumerate() {
        for block in 0..3 {
            let (stride, inputs) = if stage > 0 && block == 0 {
                (2, channels / 2)
            } else {
                (1, channels)
            };
            shape = [channels, shape[1] / stride, shape[2] / stride];
            let name = |part: &str| format!("{part} {stage}.{block}");
            let left = out.push(&name("main a"), conv(channels, inputs, 3, stride), &[last], &shape);
            let left = out.push(&name("square"), he::Op::Square, &[left], &shape);
            let left = out.push(&name("main b"), conv(channels, channels, 3, 1), &[left], &shape);
            let right = if stride == 1 {
                last
            } else {
                out.push(&name("shortcut"), conv(channels, inputs, 1, stride), &[last], &shape)
            };
            let sum = out.push(&name("sum"), he::Op::Add, &[left, right], &shape);
            last = out.push(&name("square"), he::Op::Square, &[sum], &shape);
        }
    }
    let flat = out.push("flat", he::Op::Reshape, &[last], &[64 * 8 * 8]);
    let fc = out.push("fc", dense(10, 64 * 8 * 8, 1), &[flat], &[10]);
    out.finish(fc)
}

/// Rotations of the 19 convolutions on the main path, by kind of layer. Orion's packing takes 747 in 2^14 slots and 766 in
/// 2^15, the multiplexed packing of Lee et al. 2424 and 1687.
#[test]
fn resnet20_takes_fewer_rotations_than_the_best_published_packing() {
    let mut summary = String::new();
    for (log_slots, published) in [(14, 747), (15, 766)] {
        let packed = pack(&resnet20(), Slots(1 << log_slots)).expect("it fits");
        let mut total = 0;
        for (_, node) in packed.graph.iter() {
            let Compute::Linear { map, .. } = &node.op.compute else {
                continue;
            };
            let counts = map.counts();
            if node.name.starts_with("main") {
                total += counts.rotations();
            }
            let (hoisted, full) = (counts.hoisted_rotations, counts.full_rotations);
            let row = format!(
                "{}: {} diagonals, {hoisted}+{full} rotations",
                node.name, counts.plaintext_products
            );
            if log_slots == 14 {
                summary.push_str(&row);
                summary.push('\n');
            }
        }
        assert!(
            total <= published,
            "{total} rotations in 2^{log_slots} slots\n{summary}"
        );
        summary.push_str(&format!("main path in 2^{log_slots} slots: {total} rotations\n"));
    }
    insta::assert_snapshot!(summary);
}
