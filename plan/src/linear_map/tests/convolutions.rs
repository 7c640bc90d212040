//! Convolutions between any two layouts, against their definition.

use heron_params::{Rotation, Slots};
use proptest::prelude::*;

use super::{apply, numbers};
use crate::{BabyGiant, ConstId, Convolution, Geometry, Image, LinearMap, VectorLayout};

/// More than the largest layout below spans.
const SLOTS: usize = 4096;

/// Rows and columns of a result, if the kernel fits the padded operand at all.
fn result_size(conv: &Convolution, far_pads: [u32; 2]) -> Option<[u32; 2]> {
    let size = |axis: usize| {
        let padded = conv.input[axis] + conv.pads[axis] + far_pads[axis];
        let span = (conv.kernel[2 + axis] - 1) * conv.dilations[axis] + 1;
        Some(padded.checked_sub(span)? / conv.strides[axis] + 1)
    };
    Some([size(0)?, size(1)?])
}

fn any_convolution() -> impl Strategy<Value = Convolution> {
    let sizes = (1u32..4, 1u32..3, 1u32..4, 1u32..4, 1u32..4);
    let pairs = (1u32..7, 1u32..7, 1u32..4, 1u32..4, 1u32..3, 1u32..3);
    let pads = (0u32..3, 0u32..3, 0u32..3, 0u32..3);
    (sizes, pairs, pads).prop_filter_map(
        "the kernel does not fit",
        |((outputs, groups, inputs, k, l), (height, width, sy, sx, dy, dx), (top, left, bottom, right))| {
            let mut conv = Convolution {
                weights: ConstId(0),
                kernel: [outputs * groups, inputs, k, l],
                input: [height, width],
                output: [0, 0],
                strides: [sy, sx],
                dilations: [dy, dx],
                pads: [top, left],
                groups,
            };
            conv.output = result_size(&conv, [bottom, right])?;
            Some(conv)
        },
    )
}

/// A layout of images: a vector's, or with gaps and room.
fn any_layout(channels: u32, [height, width]: [u32; 2]) -> impl Strategy<Value = VectorLayout> {
    (0u32..3, 1u32..4, 1u32..3, 0u32..3, 0u32..5).prop_map(move |(kind, gap_y, gap_x, wider, higher)| {
        let row = width * gap_x + wider;
        let image = Image {
            height,
            width,
            gap_y,
            gap_x,
            row,
            plane: row * height * gap_y + higher,
        };
        let mut layout = VectorLayout {
            len: channels * height * width,
            period: SLOTS as u32,
            image: (kind > 0).then_some(image),
        };
        layout.period = (layout.span() as u32).max(1).next_power_of_two();
        layout
    })
}

fn any_map() -> impl Strategy<Value = LinearMap> {
    any_convolution()
        .prop_flat_map(|conv| {
            let input = any_layout(conv.kernel[1] * conv.groups, conv.input);
            let output = any_layout(conv.kernel[0], conv.output);
            (Just(conv), input, output, 1u32..40)
        })
        .prop_map(|(conv, input, output, baby)| LinearMap {
            geometry: Geometry::Convolution(conv),
            input,
            output,
            steps: BabyGiant { baby },
            fold: std::iter::successors(Some(output.period), |by| Some(by * 2))
                .take_while(|&by| by < input.period)
                .map(Rotation)
                .collect(),
        })
}

/// The definition, term by term.
fn naive(conv: &Convolution, weights: &[f64], x: &[f64]) -> Vec<f64> {
    let [outputs, per_group, height, width] = conv.kernel;
    let at = |channel: u32, y: i64, x_: i64| {
        let [rows, columns] = conv.input.map(i64::from);
        let inside = (0..rows).contains(&y) && (0..columns).contains(&x_);
        if inside {
            x[((i64::from(channel) * rows + y) * columns + x_) as usize]
        } else {
            0.0
        }
    };
    let place = |axis: usize, index: u32, tap: u32| {
        i64::from(index * conv.strides[axis] + tap * conv.dilations[axis]) - i64::from(conv.pads[axis])
    };
    let mut y = Vec::new();
    for output in 0..outputs {
        let first = output / (outputs / conv.groups) * per_group;
        for (row, column) in (0..conv.output[0]).flat_map(|row| (0..conv.output[1]).map(move |column| (row, column))) {
            let mut sum = 0.0;
            for (channel, k) in (0..per_group).flat_map(|channel| (0..height).map(move |k| (channel, k))) {
                for l in 0..width {
                    let weight = weights[(((output * per_group + channel) * height + k) * width + l) as usize];
                    sum += weight * at(first + channel, place(0, row, k), place(1, column, l));
                }
            }
            y.push(sum);
        }
    }
    y
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_convolution_by_diagonals_is_its_definition(map in any_map(), seed in any::<u64>()) {
        prop_assert_eq!(map.defects(Slots(SLOTS as u32)), []);
        let Geometry::Convolution(conv) = &map.geometry else { unreachable!("a convolution") };
        let weights = numbers(conv.kernel.iter().product::<u32>() as usize, seed);
        let x = numbers(map.input.len as usize, !seed);
        let expected = naive(conv, &weights, &x);
        prop_assert_eq!(&map.geometry.product(&weights, &x), &expected);
        let y = apply(&map, &weights, &map.input.spread(&x, SLOTS));
        prop_assert_eq!(y, map.output.spread(&expected, SLOTS));
    }
}

#[test]
fn numbers_that_describe_no_convolution_are_defects() {
    let conv = Convolution {
        weights: ConstId(0),
        kernel: [2, 1, 3, 3],
        input: [4, 4],
        output: [4, 4],
        strides: [1, 1],
        dilations: [1, 1],
        pads: [1, 1],
        groups: 1,
    };
    let sound = LinearMap {
        geometry: Geometry::Convolution(conv.clone()),
        input: VectorLayout::vector(16, 16),
        output: VectorLayout::vector(32, 32),
        steps: BabyGiant { baby: 4 },
        fold: Vec::new(),
    };
    assert_eq!(sound.defects(Slots(64)), []);
    let broken = |change: &dyn Fn(&mut Convolution)| {
        let mut conv = conv.clone();
        change(&mut conv);
        let geometry = Geometry::Convolution(conv);
        LinearMap {
            geometry,
            ..sound.clone()
        }
        .defects(Slots(64))
        .len()
    };
    assert!(broken(&|conv| conv.strides[0] = 0) > 0);
    assert!(broken(&|conv| conv.dilations[1] = u32::MAX) > 0);
    assert!(broken(&|conv| conv.groups = 0) > 0);
    assert!(broken(&|conv| conv.input = [8, 8]) > 0);
    assert!(broken(&|conv| conv.output = [u32::MAX, u32::MAX]) > 0);
    let other = VectorLayout {
        image: Some(Image::tight(2, 8)),
        ..sound.input
    };
    let seen = LinearMap { input: other, ..sound };
    assert!(
        !seen.defects(Slots(64)).is_empty(),
        "the layout is of images of another size"
    );
}
