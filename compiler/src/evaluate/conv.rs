//! Two-dimensional convolution, one plane of products at a time.

use crate::nn::{Conv, Pad};

use super::pad::pad;

/// The convolution of `x`.
///
/// Every output starts at its bias and adds its products in the order input channel, kernel row, kernel column. The
/// innermost loop runs along a row of outputs with one weight, so that it vectorizes without reordering any sum.
///
/// # Shapes
/// `shape`: `[in_channels, height, width]`; `out_shape`: `[out_channels, out_height, out_width]`.
pub(super) fn conv(op: &Conv, shape: &[usize], out_shape: &[usize], x: &[f64]) -> Vec<f64> {
    let [_, height, width] = *shape else {
        panic!("a convolution takes three axes, not {shape:?}");
    };
    let [top, left, bottom, right] = op.pads;
    let (padded_height, padded_width) = (height + top + bottom, width + left + right);
    let zeros = Pad {
        amounts: vec![(0, 0), (top, bottom), (left, right)],
        value: 0.0,
    };
    let padded = pad(&zeros, shape, &[shape[0], padded_height, padded_width], x);
    let (out_plane, plane) = (out_shape[1] * out_shape[2], padded_height * padded_width);
    let mut out = Vec::with_capacity(out_shape[0] * out_plane);
    let ((out_channels, group_channels, ..), bias) = (op.weights.dim(), &op.bias);
    for channel in 0..out_channels {
        let group = channel / (out_channels / op.groups);
        let inputs = &padded[group * group_channels * plane..][..group_channels * plane];
        let start = out.len();
        out.resize(start + out_plane, bias[channel]);
        add_channel(
            op,
            channel,
            (inputs, plane, padded_width),
            (&mut out[start..], out_shape[2]),
        );
    }
    out
}

/// Adds all products of one output channel. `inputs`: the padded planes of its group, the length of a plane and of a row;
/// `outputs`: its plane and the length of a row.
fn add_channel(op: &Conv, channel: usize, inputs: (&[f64], usize, usize), outputs: (&mut [f64], usize)) {
    let (inputs, plane, row_length) = inputs;
    let (out, out_row_length) = outputs;
    let (_, group_channels, kernel_height, kernel_width) = op.weights.dim();
    for input in 0..group_channels {
        for kernel_row in 0..kernel_height {
            for kernel_column in 0..kernel_width {
                let weight = op.weights[[channel, input, kernel_row, kernel_column]];
                let offset =
                    input * plane + kernel_row * op.dilations[0] * row_length + kernel_column * op.dilations[1];
                for (row, out_row) in out.chunks_exact_mut(out_row_length).enumerate() {
                    let in_row = &inputs[offset + row * op.strides[0] * row_length..];
                    add_row(out_row, weight, in_row, op.strides[1]);
                }
            }
        }
    }
}

/// `out[i] += weight · x[i · stride]`.
fn add_row(out: &mut [f64], weight: f64, x: &[f64], stride: usize) {
    if stride == 1 {
        out.iter_mut().zip(x).for_each(|(sum, x)| *sum += weight * x);
    } else {
        out.iter_mut()
            .zip(x.iter().step_by(stride))
            .for_each(|(sum, x)| *sum += weight * x);
    }
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
            groups in 1usize..3, channels in 1usize..3, outs in 1usize..3, kernel in prop::array::uniform2(1usize..4),
            extra in prop::array::uniform2(0usize..4), strides in prop::array::uniform2(1usize..3),
            dilations in prop::array::uniform2(1usize..3), pads in prop::array::uniform4(0usize..3),
        ) {
            let reach = [0, 1].map(|axis| dilations[axis] * (kernel[axis] - 1) + 1);
            let shape = [groups * channels, reach[0] + extra[0], reach[1] + extra[1]];
            let out_of = |axis: usize| {
                (shape[axis + 1] + pads[axis] + pads[axis + 2] - reach[axis]) / strides[axis] + 1
            };
            let out = [groups * outs, out_of(0), out_of(1)];
            let value = |i: usize| ((i * 7919 + 13) % 17) as f64 - 8.0;
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
