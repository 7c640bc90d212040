//! Multiplies convolutions that follow each other, and a convolution before a dense layer, into one.
//!
//! ```text
//! %1 = conv(%0, 2x2 of 1/4, stride 2)            (an average pool)
//! %2 = conv(%1, 3x3)                     →   %2 = conv(%0, 6x6, stride 2)
//! %1 = conv(%0, as large as the image)           (a global average pool)
//! %2 = dense(%1)                         →   %2 = dense(%0)
//! ```
//!
//! Saves one level for each convolution that disappears. Only where one of two convolutions works on each channel alone or
//! on each position alone (pools, pads, slices, shortcuts): the product of two others has more entries than both. Does
//! nothing where something else reads the value between, where the second pads what the first would not leave zero, and
//! where the dense product would have more than [`MAX_DENSE`] weights.

use std::sync::Arc;

use ndarray::{Array2, Array4};

use super::{Pass, keep, rebuild};
use crate::graph::{Graph, GraphBuilder, Node, NodeId};
use crate::nn::{Conv, Op};

pub(super) const PASS: Pass = Pass {
    name: "merge-convolutions",
    run,
};

/// Most weights of a dense layer that is multiplied out of a convolution: 32 MiB.
const MAX_DENSE: usize = 1 << 22;

fn run(graph: &Graph<Op>) -> Graph<Op> {
    let uses = graph.use_counts();
    rebuild(graph, |out, _, node, args| {
        let alone = node.args.len() == 1 && uses[node.args[0].index()] == 1;
        let merged = match &node.op {
            Op::Conv(second) if alone => after_convolution(out, node, second, args[0]),
            Op::Dense { .. } if alone => {
                // An image comes to a dense layer through a reshape.
                let direct = graph.node(node.args[0]);
                let private = match direct.op {
                    Op::Reshape => uses[direct.args[0].index()] == 1,
                    _ => true,
                };
                private.then(|| into_dense(out, node, args[0])).flatten()
            }
            _ => None,
        };
        merged.unwrap_or_else(|| keep(out, node, args))
    })
}

/// A convolution after another one.
fn after_convolution(out: &mut GraphBuilder<Op>, node: &Node<Op>, second: &Conv, operand: NodeId) -> Option<NodeId> {
    let before = out.node(operand).clone();
    let Op::Conv(first) = &before.op else { return None };
    let source = &out.node(before.args[0]).shape;
    let one_is_simple = [first, second].into_iter().any(|conv| {
        let (_, per_group, height, width) = conv.weights.dim();
        per_group == 1 || (height, width) == (1, 1)
    });
    if !one_is_simple || !padding_stays_zero(first, second, source, &before.shape) {
        return None;
    }
    let op = Op::Conv(product(first, second)?);
    Some(out.push(&node.name, op, &before.args, &node.shape))
}

/// Whether the first convolution, continued beyond its result, is zero wherever the second pads it.
fn padding_stays_zero(first: &Conv, second: &Conv, source: &[usize], between: &[usize]) -> bool {
    if second.pads == [0; 4] {
        return true;
    }
    if first.bias.iter().any(|&bias| bias != 0.0) {
        return false;
    }
    let kernel = [first.weights.dim().2, first.weights.dim().3];
    (0..2).all(|axis| {
        let reach = (kernel[axis] - 1) * first.dilations[axis];
        let before = second.pads[axis] == 0 || reach < first.strides[axis] + first.pads[axis];
        let after = second.pads[2 + axis] == 0
            || between[1 + axis] * first.strides[axis] >= source[1 + axis] + first.pads[axis];
        before && after
    })
}

/// `second` after `first`; `None` where neither is grouped by channel and they are grouped differently.
fn product(first: &Conv, second: &Conv) -> Option<Conv> {
    let (middles, first_inputs, ..) = first.weights.dim();
    let (outputs, second_inputs, ..) = second.weights.dim();
    let depthwise = |conv: &Conv, channels: usize| conv.groups == channels && conv.weights.dim().0 == channels;
    let inputs = first_inputs * first.groups;
    let (groups, per_group) = if depthwise(first, inputs) {
        (second.groups, second_inputs)
    } else if depthwise(second, middles) {
        (first.groups, first_inputs)
    } else if (first.groups, second.groups) == (1, 1) {
        (1, first_inputs)
    } else {
        return None;
    };
    let axes = [0, 1].map(|axis| Axis::of(first, second, axis));
    let mut weights = Array4::zeros((outputs, per_group, axes[0].size, axes[1].size));
    let mut bias = second.bias.to_owned();
    for output in 0..outputs {
        let input_base = output / (outputs / groups) * per_group;
        for (middle_in_group, taps) in second
            .weights
            .index_axis(ndarray::Axis(0), output)
            .outer_iter()
            .enumerate()
        {
            let middle = output / (outputs / second.groups) * second_inputs + middle_in_group;
            let first_base = middle / (middles / first.groups) * first_inputs;
            for ((k2, l2), &outer) in taps.indexed_iter() {
                bias[output] += outer * first.bias[middle];
                for ((input, k1, l1), &inner) in first.weights.index_axis(ndarray::Axis(0), middle).indexed_iter() {
                    let place = [
                        first_base + input - input_base,
                        axes[0].tap(k2, k1),
                        axes[1].tap(l2, l1),
                    ];
                    weights[[output, place[0], place[1], place[2]]] += outer * inner;
                }
            }
        }
    }
    let pads = [0, 1, 2, 3].map(|side| second.pads[side] * first.strides[side % 2] + first.pads[side]);
    let finite = weights.iter().chain(&bias).all(|value: &f64| value.is_finite());
    finite.then(|| Conv {
        weights: Arc::new(weights),
        bias: bias.into_shared(),
        strides: [0, 1].map(|axis| first.strides[axis] * second.strides[axis]),
        pads,
        dilations: [axes[0].dilation, axes[1].dilation],
        groups,
    })
}

/// The kernel of a product along one axis.
struct Axis {
    /// Distance of the second kernel's entries, and of the first's, in the first's operand.
    steps: [usize; 2],
    dilation: usize,
    size: usize,
}

impl Axis {
    fn of(first: &Conv, second: &Conv, axis: usize) -> Self {
        let size = |conv: &Conv| conv.weights.shape()[2 + axis];
        let steps = [second.dilations[axis] * first.strides[axis], first.dilations[axis]];
        let dilation = match (size(second), size(first)) {
            (1, _) => steps[1],
            (_, 1) => steps[0],
            _ => 1,
        };
        let reach = (size(second) - 1) * steps[0] + (size(first) - 1) * steps[1];
        Self {
            steps,
            dilation,
            size: reach / dilation + 1,
        }
    }

    fn tap(&self, second: usize, first: usize) -> usize {
        (second * self.steps[0] + first * self.steps[1]) / self.dilation
    }
}

/// A dense layer after a convolution.
fn into_dense(out: &mut GraphBuilder<Op>, node: &Node<Op>, operand: NodeId) -> Option<NodeId> {
    let Op::Dense { weights, bias } = &node.op else {
        return None;
    };
    let direct = out.node(operand).clone();
    let before = match direct.op {
        Op::Reshape => out.node(direct.args[0]).clone(),
        _ => direct.clone(),
    };
    let Op::Conv(conv) = &before.op else { return None };
    let source = out.node(before.args[0]).clone();
    if weights.nrows().checked_mul(source.len())? > MAX_DENSE {
        return None;
    }
    let mut product = Array2::zeros((weights.nrows(), source.len()));
    let mut shifted = bias.to_owned();
    for (row, factors) in weights.rows().into_iter().enumerate() {
        let mut column = |element: usize, entry: f64| product[[row, element]] += entry;
        for (element, &factor) in factors.iter().enumerate() {
            let channel = element / (before.shape[1] * before.shape[2]);
            shifted[row] += factor * conv.bias[channel];
            each_entry(conv, element, &before.shape, &source.shape, |input, weight| {
                column(input, factor * weight);
            });
        }
    }
    if !product.iter().chain(&shifted).all(|value: &f64| value.is_finite()) {
        return None;
    }
    let flat = match source.shape.len() {
        1 => before.args[0],
        _ => out.push(&direct.name, Op::Reshape, &before.args, &[source.len()]),
    };
    let op = Op::Dense {
        weights: product.into_shared(),
        bias: shifted.into_shared(),
    };
    Some(out.push(&node.name, op, &[flat], &node.shape))
}

/// The entries of one row of a convolution's matrix: operand element and weight.
fn each_entry(conv: &Conv, element: usize, shape: &[usize], source: &[usize], mut entry: impl FnMut(usize, f64)) {
    let (pixel, output) = (element % (shape[1] * shape[2]), element / (shape[1] * shape[2]));
    let (outputs, per_group, height, width) = conv.weights.dim();
    let first = output / (outputs / conv.groups) * per_group;
    let place = |axis: usize, index: usize, tap: usize| {
        (index * conv.strides[axis] + tap * conv.dilations[axis])
            .checked_sub(conv.pads[axis])
            .filter(|&at| at < source[1 + axis])
    };
    for k in 0..height {
        let Some(y) = place(0, pixel / shape[2], k) else {
            continue;
        };
        for l in 0..width {
            let Some(x) = place(1, pixel % shape[2], l) else {
                continue;
            };
            for channel in 0..per_group {
                entry(
                    ((first + channel) * source[1] + y) * source[2] + x,
                    conv.weights[[output, channel, k, l]],
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;
    use proptest::prelude::*;

    use super::super::check::{check, check_unchanged, conv, dense, graph, values};
    use super::*;
    use crate::nn::Activation;

    fn depthwise(channels: usize, kernel: usize, stride: usize, pads: [usize; 4]) -> Op {
        let weights = values(channels * kernel * kernel, 11).to_vec();
        Op::Conv(Conv {
            weights: Arc::new(Array4::from_shape_vec((channels, 1, kernel, kernel), weights).expect("as many values")),
            bias: Array1::zeros(channels).into_shared(),
            strides: [stride; 2],
            pads,
            dilations: [1; 2],
            groups: channels,
        })
    }

    #[test]
    fn a_pool_merges_with_the_convolution_after_it() {
        let before = graph(&[2, 8, 8], |out, x| {
            let relu = out.push("relu", Op::Activation(Activation::Relu), &[x], &[2, 8, 8]);
            let pool = out.push("pool", depthwise(2, 2, 2, [0; 4]), &[relu], &[2, 4, 4]);
            out.push("conv", conv(3, 2, [1; 4]), &[pool], &[3, 4, 4])
        });
        check(&PASS, "merge_convolutions", &before);
    }

    #[test]
    fn a_pool_merges_with_the_dense_layer_after_it() {
        let before = graph(&[2, 4, 4], |out, x| {
            let pool = out.push("pool", depthwise(2, 4, 1, [0; 4]), &[x], &[2, 1, 1]);
            let flat = out.push("flat", Op::Reshape, &[pool], &[2]);
            out.push("fc", dense(3, 2, 5), &[flat], &[3])
        });
        check(&PASS, "merge_convolutions_dense", &before);
    }

    #[test]
    fn keeps_windows_that_overlap_the_padding_after_them() {
        let before = graph(&[2, 8, 8], |out, x| {
            let pool = out.push("pool", depthwise(2, 3, 1, [0; 4]), &[x], &[2, 6, 6]);
            out.push("conv", conv(3, 2, [1; 4]), &[pool], &[3, 6, 6])
        });
        check_unchanged(&PASS, &before);
    }

    #[test]
    fn keeps_two_convolutions_over_channels_and_positions() {
        let before = graph(&[2, 8, 8], |out, x| {
            let first = out.push("first", conv(2, 2, [1; 4]), &[x], &[2, 8, 8]);
            out.push("second", conv(3, 2, [1; 4]), &[first], &[3, 8, 8])
        });
        check_unchanged(&PASS, &before);
    }

    #[test]
    fn keeps_a_pool_that_is_read_elsewhere() {
        let before = graph(&[2, 8, 8], |out, x| {
            let pool = out.push("pool", depthwise(2, 2, 2, [0; 4]), &[x], &[2, 4, 4]);
            let layer = out.push("conv", conv(2, 2, [1; 4]), &[pool], &[2, 4, 4]);
            out.push("sum", Op::Add, &[pool, layer], &[2, 4, 4])
        });
        check_unchanged(&PASS, &before);
    }

    fn any_conv(inputs: usize, simple: bool) -> impl Strategy<Value = Conv> {
        let kernel = if simple { 1usize..4 } else { 1usize..3 };
        (
            (1usize..4, kernel.clone(), kernel),
            (1usize..3, 1usize..3, 1usize..3, 1usize..3),
            proptest::array::uniform4(0usize..3),
            any::<bool>(),
        )
            .prop_map(move |((outputs, height, width), (sy, sx, dy, dx), pads, biased)| {
                let (outputs, per_group, groups) = if simple {
                    (inputs, 1, inputs)
                } else {
                    (outputs, inputs, 1)
                };
                let bias = values(outputs, 3) * f64::from(u8::from(biased));
                let weights = values(outputs * per_group * height * width, 7).to_vec();
                let shape = (outputs, per_group, height, width);
                Conv {
                    weights: Arc::new(Array4::from_shape_vec(shape, weights).expect("as many values")),
                    bias: bias.into_shared(),
                    strides: [sy, sx],
                    pads,
                    dilations: [dy, dx],
                    groups,
                }
            })
    }

    fn result_shape(conv: &Conv, shape: &[usize]) -> Option<Vec<usize>> {
        let (outputs, _, height, width) = conv.weights.dim();
        let size = |axis: usize, kernel: usize| {
            let padded = shape[1 + axis] + conv.pads[axis] + conv.pads[2 + axis];
            let span = (kernel - 1) * conv.dilations[axis] + 1;
            (padded >= span).then(|| (padded - span) / conv.strides[axis] + 1)
        };
        Some(vec![outputs, size(0, height)?, size(1, width)?])
    }

    proptest! {
        #[test]
        fn any_two_convolutions_mean_the_same_after_it(
            (first, second) in any::<bool>().prop_flat_map(|simple_first| {
                any_conv(2, simple_first).prop_flat_map(move |first| {
                    let middles = first.weights.dim().0;
                    (Just(first), any_conv(middles, !simple_first))
                })
            }),
        ) {
            let source = [2, 6, 7];
            let Some(between) = result_shape(&first, &source) else { return Ok(()) };
            let Some(last) = result_shape(&second, &between) else { return Ok(()) };
            let before = graph(&source, |out, x| {
                let middle = out.push("first", Op::Conv(first), &[x], &between);
                let image = out.push("second", Op::Conv(second), &[middle], &last);
                let flat = out.push("flat", Op::Reshape, &[image], &[last.iter().product()]);
                out.push("fc", dense(2, last.iter().product(), 5), &[flat], &[2])
            });
            super::super::check::same_meaning(&before, &(PASS.run)(&before));
        }
    }
}
