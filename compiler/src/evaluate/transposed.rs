//! The transpose of a convolution, itself computed as a convolution.
//!
//! Every weight takes an output back to the element that it was multiplied with: the outputs are spread by the strides, with
//! zeros between, and convolved with the kernels turned around.

use ndarray::Array4;

use super::conv::conv;
use crate::nn::Conv;

/// The transpose of a convolution's matrix times `g`.
///
/// # Shapes
/// `g`: as the convolution's output, `[out_channels, out_height, out_width]`. Result: as its operand, `shape`.
pub(super) fn transposed(op: &Conv, shape: &[usize], out_shape: &[usize], g: &[f64]) -> Vec<f64> {
    let (.., kernel_height, kernel_width) = op.weights.dim();
    let reach = [
        op.dilations[0] * kernel_height.saturating_sub(1),
        op.dilations[1] * kernel_width.saturating_sub(1),
    ];
    let spread_shape = [out_shape[0], shape[1] + reach[0], shape[2] + reach[1]];
    let turned = Conv {
        weights: turned(op).into(),
        bias: ndarray::Array1::zeros(shape[0]).into_shared(),
        strides: [1, 1],
        pads: [0; 4],
        dilations: op.dilations,
        groups: op.groups,
    };
    conv(
        &turned,
        &spread_shape,
        shape,
        &spread(op, reach, spread_shape, out_shape, g),
    )
}

/// Rows and columns of outputs at the distance of the strides; an output that met only padding is left out.
fn spread(op: &Conv, reach: [usize; 2], spread_shape: [usize; 3], out_shape: &[usize], g: &[f64]) -> Vec<f64> {
    let place = |axis: usize, index: usize| {
        let position = (index * op.strides[axis] + reach[axis]).checked_sub(op.pads[axis])?;
        (position < spread_shape[axis + 1]).then_some(position)
    };
    let mut spread = vec![0.0; spread_shape.iter().product()];
    for (row, g) in g.chunks_exact(out_shape[2].max(1)).enumerate() {
        let (channel, row) = (row / out_shape[1], row % out_shape[1]);
        let Some(row) = place(0, row) else { continue };
        for (column, &g) in g.iter().enumerate() {
            if let Some(column) = place(1, column) {
                spread[(channel * spread_shape[1] + row) * spread_shape[2] + column] = g;
            }
        }
    }
    spread
}

/// The kernels with both axes reversed, inputs in the place of outputs.
fn turned(op: &Conv) -> Array4<f64> {
    let (outputs, group_inputs, height, width) = op.weights.dim();
    let group_outputs = outputs / op.groups;
    Array4::from_shape_fn(
        (group_inputs * op.groups, group_outputs, height, width),
        |(input, output, row, column)| {
            let group = input / group_inputs;
            op.weights[[
                group * group_outputs + output,
                input % group_inputs,
                height - 1 - row,
                width - 1 - column,
            ]]
        },
    )
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;
    use proptest::prelude::*;

    use super::*;

    fn dot(left: &[f64], right: &[f64]) -> f64 {
        left.iter().zip(right).map(|(l, r)| l * r).sum()
    }

    proptest! {
        // The definition of the transpose: <g, A x> = <Aᵀ g, x>; small integers make both sides exact.
        #[test]
        fn products_with_it_are_products_with_the_convolution(
            groups in 1usize..3, channels in 1usize..3, outs in 1usize..3, kernel in prop::array::uniform2(1usize..4),
            extra in prop::array::uniform2(0usize..5), strides in prop::array::uniform2(1usize..4),
            dilations in prop::array::uniform2(1usize..3), pads in prop::array::uniform4(0usize..4),
        ) {
            let value = |i: usize| ((i * 7919 + 13) % 17) as f64 - 8.0;
            let reach = [0, 1].map(|axis| dilations[axis] * (kernel[axis] - 1) + 1);
            let shape = [groups * channels, reach[0] + extra[0], reach[1] + extra[1]];
            let out_of = |axis: usize| (shape[axis + 1] + pads[axis] + pads[axis + 2] - reach[axis]) / strides[axis] + 1;
            let out = [groups * outs, out_of(0), out_of(1)];
            let mut counter = 0..;
            let weights = (out[0], channels, kernel[0], kernel[1]);
            let op = Conv {
                weights: Array4::from_shape_simple_fn(weights, || value(counter.next().unwrap_or(0))).into(),
                bias: Array1::zeros(out[0]).into_shared(),
                strides, pads, dilations, groups,
            };
            let x: Vec<f64> = (0..shape.iter().product()).map(|i: usize| value(i * 3 + 1)).collect();
            let g: Vec<f64> = (0..out.iter().product()).map(|i: usize| value(i * 5 + 2)).collect();
            let back = transposed(&op, &shape, &out, &g);
            prop_assert_eq!(dot(&g, &conv(&op, &shape, &out, &x)), dot(&back, &x));
        }
    }
}
