//! Products of linear layers: pure algebra on their weights.
//!
//! Sums are taken in a fixed order by plain loops: a matrix product of `ndarray` chooses its kernel by processor.

use std::sync::Arc;

use ndarray::{ArcArray1, ArcArray2, Array1, Array2};

use crate::nn::{Affine, Conv, Granularity, Op};

/// The layer followed by `affine`, where that is a layer of the same kind.
///
/// # Shapes
/// `affine` applies to the layer's result: entries are rows of a dense layer and output channels of a convolution.
pub(super) fn affine_after(layer: &Op, affine: &Affine) -> Option<Op> {
    match layer {
        Op::Dense { weights, bias } => {
            let entry = |row: usize| if affine.scale.len() == 1 { 0 } else { row };
            let mut weights = weights.to_owned();
            for (row, mut values) in weights.rows_mut().into_iter().enumerate() {
                values *= affine.scale[entry(row)];
            }
            finite(Op::Dense {
                weights: weights.into_shared(),
                bias: after(bias, affine, entry),
            })
        }
        Op::Conv(conv) if affine.granularity != Granularity::Element => {
            let entry = |channel: usize| if affine.scale.len() == 1 { 0 } else { channel };
            let mut weights = (*conv.weights).clone();
            for (channel, mut values) in weights.outer_iter_mut().enumerate() {
                values *= affine.scale[entry(channel)];
            }
            finite(Op::Conv(Conv {
                weights: Arc::new(weights),
                bias: after(&conv.bias, affine, entry),
                ..conv.clone()
            }))
        }
        _ => None,
    }
}

fn after(bias: &ArcArray1<f64>, affine: &Affine, entry: impl Fn(usize) -> usize) -> ArcArray1<f64> {
    let shifted = bias
        .iter()
        .enumerate()
        .map(|(row, bias)| affine.scale[entry(row)] * bias + affine.shift[entry(row)]);
    shifted.collect::<Array1<f64>>().into_shared()
}

/// `affine` on a value of `shape` followed by the layer, which takes it in any shape of as many elements.
pub(super) fn affine_before(affine: &Affine, shape: &[usize], layer: &Op) -> Option<Op> {
    match layer {
        Op::Dense { weights, bias } => {
            let entry = |column: usize| affine.granularity.entry(column, shape);
            let scaled = Array2::from_shape_fn(weights.dim(), |(row, column)| {
                weights[[row, column]] * affine.scale[entry(column)]
            });
            let shift: Vec<f64> = (0..weights.ncols()).map(|column| affine.shift[entry(column)]).collect();
            finite(Op::Dense {
                weights: scaled.into_shared(),
                bias: applied(weights, bias, &shift),
            })
        }
        Op::Conv(conv) => affine_before_conv(affine, conv),
        _ => None,
    }
}

/// A shift before a padded convolution is none: the padding is not shifted.
fn affine_before_conv(affine: &Affine, conv: &Conv) -> Option<Op> {
    let shifts = affine.shift.iter().any(|&shift| shift != 0.0);
    if affine.granularity == Granularity::Element || shifts && conv.pads != [0; 4] {
        return None;
    }
    let (outputs, per_group, height, width) = conv.weights.dim();
    let entry = |output: usize, input: usize| {
        let channel = output / (outputs / conv.groups) * per_group + input;
        if affine.scale.len() == 1 { 0 } else { channel }
    };
    let (mut weights, mut bias) = ((*conv.weights).clone(), conv.bias.to_owned());
    for output in 0..outputs {
        for input in 0..per_group {
            let entry = entry(output, input);
            for (row, column) in (0..height * width).map(|position| (position / width, position % width)) {
                let weight = &mut weights[[output, input, row, column]];
                bias[output] += *weight * affine.shift[entry];
                *weight *= affine.scale[entry];
            }
        }
    }
    finite(Op::Conv(Conv {
        weights: Arc::new(weights),
        bias: bias.into_shared(),
        ..conv.clone()
    }))
}

/// `second` after `first`, both on a value of `shape`.
pub(super) fn affine_after_affine(first: &Affine, second: &Affine, shape: &[usize]) -> Affine {
    let granularity = first.granularity.max(second.granularity);
    let (first, second) = (spread(first, granularity, shape), spread(second, granularity, shape));
    let shift = (second.scale.iter().zip(&first.shift).zip(&second.shift))
        .map(|((scale, first), second)| scale * first + second);
    Affine {
        granularity,
        shift: shift.collect::<Array1<f64>>().into_shared(),
        scale: second.scale * first.scale,
    }
}

/// The same map with the entries of a finer granularity.
fn spread(affine: &Affine, granularity: Granularity, shape: &[usize]) -> Affine {
    let source = |entry: usize| match (affine.granularity, granularity) {
        (Granularity::Tensor, _) => 0,
        (Granularity::Channel, Granularity::Element) => Granularity::Channel.entry(entry, shape),
        (Granularity::Channel | Granularity::Element, _) => entry,
    };
    let table = |values: &ArcArray1<f64>| {
        (0..granularity.entries(shape))
            .map(|entry| values[source(entry)])
            .collect::<Array1<f64>>()
            .into_shared()
    };
    Affine {
        granularity,
        scale: table(&affine.scale),
        shift: table(&affine.shift),
    }
}

/// The dense layer `second` after the dense layer `first`, unless it has more weights than both.
pub(super) fn dense_after_dense(first: &Op, second: &Op) -> Option<Op> {
    let (
        Op::Dense { weights, bias },
        Op::Dense {
            weights: outer,
            bias: outer_bias,
        },
    ) = (first, second)
    else {
        return None;
    };
    let (outputs, inputs) = (outer.nrows(), weights.ncols());
    if outputs.checked_mul(inputs)? > weights.len() + outer.len() {
        return None;
    }
    let mut product = Array2::zeros((outputs, inputs));
    for row in 0..outputs {
        for middle in 0..weights.nrows() {
            let factor = outer[[row, middle]];
            for column in 0..inputs {
                product[[row, column]] += factor * weights[[middle, column]];
            }
        }
    }
    finite(Op::Dense {
        weights: product.into_shared(),
        bias: applied(outer, outer_bias, &bias.to_vec()),
    })
}

/// `weights · x + bias`.
fn applied(weights: &ArcArray2<f64>, bias: &ArcArray1<f64>, x: &[f64]) -> ArcArray1<f64> {
    let rows = weights.rows().into_iter().zip(bias);
    let sums = rows.map(|(row, bias)| row.iter().zip(x).fold(*bias, |sum, (weight, x)| sum + weight * x));
    sums.collect::<Array1<f64>>().into_shared()
}

/// Nothing if a product overflowed: the unmerged layers are still right.
fn finite(op: Op) -> Option<Op> {
    let finite = match &op {
        Op::Dense { weights, bias } => weights.iter().chain(bias).all(|value| value.is_finite()),
        Op::Conv(conv) => conv.weights.iter().chain(&conv.bias).all(|value| value.is_finite()),
        _ => true,
    };
    finite.then_some(op)
}
