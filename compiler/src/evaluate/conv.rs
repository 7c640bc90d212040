//! Two-dimensional convolution as a product of weights with windows, in tiles that stay in registers.

use crate::nn::{Conv, Pad};

use super::pad::pad;
use super::tile::{Windows, multiply};

/// The convolution of `x`.
///
/// Every output starts at its bias and adds its products in the order input channel, kernel row, kernel column, each
/// product rounded before it is added: the result is that of the plain loops, bit for bit.
///
/// # Shapes
/// `shape`: `[in_channels, height, width]`; `out_shape`: `[out_channels, out_height, out_width]`.
pub(super) fn conv(op: &Conv, shape: &[usize], out_shape: &[usize], x: &[f64]) -> Vec<f64> {
    let [channels, height, width] = *shape else {
        panic!("a convolution takes three axes, not {shape:?}");
    };
    let [top, left, bottom, right] = op.pads;
    let padded_shape = [channels, height + top + bottom, width + left + right];
    let zeros = Pad {
        amounts: vec![(0, 0), (top, bottom), (left, right)],
        value: 0.0,
    };
    let padded = pad(&zeros, shape, &padded_shape, x);
    let taps = taps(op, padded_shape);
    let corners = corners(op, padded_shape[2], out_shape);
    let weights = op.weights.as_standard_layout();
    let weights = weights.as_slice().expect("a standard layout is contiguous");

    let mut out: Vec<f64> = Vec::with_capacity(out_shape.iter().product());
    for &bias in &op.bias {
        out.resize(out.len() + corners.len(), bias);
    }
    let of_group = |whole: usize, group: usize| group * whole / op.groups..(group + 1) * whole / op.groups;
    for group in 0..op.groups {
        let sums = of_group(out.len(), group);
        let windows = Windows {
            values: &padded[of_group(padded.len(), group)],
            taps: &taps,
            corners: &corners,
        };
        multiply(&weights[of_group(weights.len(), group)], windows, &mut out[sums]);
    }
    out
}

/// Where the factors of an output lie from its window's corner, in the order of the weights.
fn taps(op: &Conv, [_, height, width]: [usize; 3]) -> Vec<usize> {
    let (_, group_channels, kernel_height, kernel_width) = op.weights.dim();
    let mut taps = Vec::with_capacity(group_channels * kernel_height * kernel_width);
    for channel in 0..group_channels {
        for row in 0..kernel_height {
            let start = (channel * height + row * op.dilations[0]) * width;
            taps.extend((0..kernel_width).map(|column| start + column * op.dilations[1]));
        }
    }
    taps
}

/// Where the window of every output of a plane begins.
fn corners(op: &Conv, row_length: usize, out_shape: &[usize]) -> Vec<usize> {
    let row =
        |row: usize| (0..out_shape[2]).map(move |column| row * op.strides[0] * row_length + column * op.strides[1]);
    (0..out_shape[1]).flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ndarray::{Array1, Array4};
    use proptest::prelude::*;

    use super::*;

    /// The definition, term by term; what lies outside is zero.
    fn naive(op: &Conv, shape: [usize; 3], out: [usize; 3], x: &[f64]) -> Vec<f64> {
        let (out_channels, group_channels, kernel_height, kernel_width) = op.weights.dim();
        let inside = |position: usize, pad: usize, limit: usize| position.checked_sub(pad).filter(|&at| at < limit);
        let mut result = Vec::new();
        for (o, y, z) in positions(out) {
            let mut sum = op.bias[o];
            for (i, u, v) in positions([group_channels, kernel_height, kernel_width]) {
                let row = inside(y * op.strides[0] + u * op.dilations[0], op.pads[0], shape[1]);
                let column = inside(z * op.strides[1] + v * op.dilations[1], op.pads[1], shape[2]);
                let channel = o / (out_channels / op.groups) * group_channels + i;
                if let (Some(row), Some(column)) = (row, column) {
                    sum += op.weights[[o, i, u, v]] * x[(channel * shape[1] + row) * shape[2] + column];
                }
            }
            result.push(sum);
        }
        result
    }

    fn positions(limits: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
        (0..limits.iter().product())
            .map(move |i: usize| (i / (limits[1] * limits[2]), i / limits[2] % limits[1], i % limits[2]))
    }

    proptest! {
        #[test]
        fn equals_the_definition(
            groups in 1usize..3, channels in 1usize..3, outs in 1usize..7, kernel in prop::array::uniform2(1usize..4),
            extra in prop::array::uniform2(0usize..12), strides in prop::array::uniform2(1usize..3),
            dilations in prop::array::uniform2(1usize..3), pads in prop::array::uniform4(0usize..3),
        ) {
            let reach = [0, 1].map(|axis| dilations[axis] * (kernel[axis] - 1) + 1);
            let shape = [groups * channels, reach[0] + extra[0], reach[1] + extra[1]];
            let out_of = |axis: usize| {
                (shape[axis + 1] + pads[axis] + pads[axis + 2] - reach[axis]) / strides[axis] + 1
            };
            let out = [groups * outs, out_of(0), out_of(1)];
            // Not exact in binary: another order of sums would show.
            let value = |i: usize| (((i * 7919 + 13) % 17) as f64 - 8.0) / 3.0;
            let mut counter = 0..;
            let mut next = || value(counter.next().unwrap_or(0));
            let op = Conv {
                weights: Arc::new(Array4::from_shape_simple_fn((out[0], channels, kernel[0], kernel[1]), &mut next)),
                bias: Array1::from_shape_simple_fn(out[0], &mut next).into_shared(),
                strides, pads, dilations, groups,
            };
            let x: Vec<f64> = (0..shape.iter().product()).map(|i: usize| value(i * 3 + 1)).collect();
            prop_assert_eq!(conv(&op, &shape, &out, &x), naive(&op, shape, out, &x));
        }
    }
}
