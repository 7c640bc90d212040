//! Merges selections of elements (transpositions, slices, repetitions) into each other and into the layers around them.
//!
//! ```text
//! %1 = select %0               (channels last to channels first)
//! %2 = conv %1, C channels →   %2 = conv %0      of one channel, C times as wide
//! %3 = select %2               (and back)
//! %4 = relu %3                 %3 = relu %2
//! %5 = dense %4                %4 = dense %3     W' = W · S
//! ```
//!
//! Saves a level for each selection that disappears. Element-wise functions change places with a permutation before them, so
//! that it meets the next layer. Does nothing to a selection before a function that would then be computed on elements
//! that are not selected, nor where a dense layer would get more than [`MAX_DENSE`] weights.

use std::sync::Arc;

use ndarray::{Array1, Array2, Array4};

use super::{Pass, keep, rebuild};
use crate::graph::{Graph, GraphBuilder, Node, NodeId};
use crate::nn::{Affine, Conv, Granularity, Op, Select};

pub(super) const PASS: Pass = Pass {
    name: "merge-selections",
    run,
};

/// Most weights of a dense layer that a selection makes larger: 32 MiB.
pub(super) const MAX_DENSE: usize = 1 << 22;

fn run(graph: &Graph<Op>) -> Graph<Op> {
    let uses = graph.use_counts();
    rebuild(graph, |out, _, node, args| {
        let alone = node.args.len() == 1 && uses[node.args[0].index()] == 1;
        let merged = match &node.op {
            Op::Select(select) => Some(selected(out, node, select, args[0], alone)),
            Op::Reshape => reshaped(out, node, args[0]),
            Op::Dense { .. } => into_dense(out, node, args[0]),
            Op::Conv(conv) => into_conv(out, node, conv, args[0]),
            Op::Activation(_) | Op::Square | Op::Pow(_) | Op::Affine(_) | Op::BatchNorm(_) => {
                function(out, node, args[0])
            }
            Op::Add | Op::Sub | Op::Mul => of_two(out, node, args),
            Op::Input
            | Op::AveragePool(_)
            | Op::MaxPool(_)
            | Op::GlobalAveragePool
            | Op::Pad(_)
            | Op::Polynomial(_)
            | Op::Chebyshev(_)
            | Op::Identity => None,
        };
        merged.unwrap_or_else(|| keep(out, node, args))
    })
}

/// The operand if it is a selection, and of what.
fn selection(out: &GraphBuilder<Op>, operand: NodeId) -> Option<(Select, NodeId)> {
    let node = out.node(operand);
    match &node.op {
        Op::Select(select) => Some((select.clone(), node.args[0])),
        _ => None,
    }
}

/// A selection after what may be a selection, a reshape or a dense layer.
fn selected(out: &mut GraphBuilder<Op>, node: &Node<Op>, select: &Select, operand: NodeId, alone: bool) -> NodeId {
    let before = out.node(operand).clone();
    match &before.op {
        Op::Reshape => selected(out, node, select, before.args[0], alone),
        Op::Select(first) => {
            let source = |source: &Option<u32>| source.and_then(|source| first.sources[source as usize]);
            let both = Select {
                sources: select.sources.iter().map(source).collect(),
            };
            selected(out, node, &both, before.args[0], alone)
        }
        Op::Dense { weights, bias } if alone && node.shape.len() == 1 => {
            let row = |row: usize| select.sources[row].map(|source| source as usize);
            let weights = Array2::from_shape_fn((node.len(), weights.ncols()), |(to, column)| {
                row(to).map_or(0.0, |from| weights[[from, column]])
            });
            let bias: Array1<f64> = (0..node.len())
                .map(|to| row(to).map_or(0.0, |from| bias[from]))
                .collect();
            let op = Op::Dense {
                weights: weights.into_shared(),
                bias: bias.into_shared(),
            };
            out.push(&before.name, op, &before.args, &node.shape)
        }
        _ => {
            let unmoved = (select.sources.iter().enumerate()).all(|(to, from)| *from == Some(to as u32));
            match unmoved && select.sources.len() == before.len() {
                true if before.shape == node.shape => operand,
                true => out.push(&node.name, Op::Reshape, &[operand], &node.shape),
                false => out.push(&node.name, Op::Select(select.clone()), &[operand], &node.shape),
            }
        }
    }
}

/// A selection gives any shape at once.
fn reshaped(out: &mut GraphBuilder<Op>, node: &Node<Op>, operand: NodeId) -> Option<NodeId> {
    let (select, source) = selection(out, operand)?;
    let name = out.node(operand).name.clone();
    Some(out.push(&name, Op::Select(select), &[source], &node.shape))
}

/// A dense layer takes the columns that were selected.
fn into_dense(out: &mut GraphBuilder<Op>, node: &Node<Op>, operand: NodeId) -> Option<NodeId> {
    let Op::Dense { weights, bias } = &node.op else {
        return None;
    };
    let (select, source) = selection(out, operand)?;
    let before = out.node(source).clone();
    let count = weights.nrows().checked_mul(before.len())?;
    if count > weights.len().max(MAX_DENSE) {
        return None;
    }
    let mut merged = Array2::zeros((weights.nrows(), before.len()));
    for (column, from) in select.sources.iter().enumerate() {
        let Some(from) = from else { continue };
        for row in 0..weights.nrows() {
            merged[[row, *from as usize]] += weights[[row, column]];
        }
    }
    let flat = match before.shape.len() {
        1 => source,
        _ => out.push(&before.name, Op::Reshape, &[source], &[before.len()]),
    };
    let op = Op::Dense {
        weights: merged.into_shared(),
        bias: bias.clone(),
    };
    Some(out.push(&node.name, op, &[flat], &node.shape))
}

/// Channels last, seen as an image of one channel: a pixel's channels are columns beside each other.
fn into_conv(out: &mut GraphBuilder<Op>, node: &Node<Op>, conv: &Conv, operand: NodeId) -> Option<NodeId> {
    let (select, source) = selection(out, operand)?;
    let [channels, height, width] = *out.node(operand).shape else {
        return None;
    };
    let place = |element: usize| {
        let (channel, pixel) = (element / (height * width), element % (height * width));
        Some((pixel * channels + channel) as u32)
    };
    let channels_last = out.node(source).len() == channels * height * width
        && (select.sources.iter().enumerate()).all(|(element, &source)| source == place(element));
    if !channels_last || conv.groups != 1 {
        return None;
    }
    let (outputs, _, kernel_height, kernel_width) = conv.weights.dim();
    let step = conv.dilations[1] * channels;
    let mut weights = Array4::zeros((outputs, 1, kernel_height, (kernel_width - 1) * step + channels));
    for ((output, channel, row, column), &weight) in conv.weights.indexed_iter() {
        weights[[output, 0, row, column * step + channel]] = weight;
    }
    let [top, left, bottom, right] = conv.pads;
    let wide = Conv {
        weights: Arc::new(weights),
        bias: conv.bias.clone(),
        strides: [conv.strides[0], conv.strides[1] * channels],
        pads: [top, left * channels, bottom, right * channels],
        dilations: [conv.dilations[0], 1],
        groups: 1,
    };
    let name = out.node(operand).name.clone();
    let image = out.push(&name, Op::Reshape, &[source], &[1, height, width * channels]);
    Some(out.push(&node.name, Op::Conv(wide), &[image], &node.shape))
}

/// A function of each element before a permutation instead of behind it.
fn function(out: &mut GraphBuilder<Op>, node: &Node<Op>, operand: NodeId) -> Option<NodeId> {
    let (select, source) = selection(out, operand)?;
    let shape = out.node(source).shape.clone();
    if !select.is_permutation(out.node(source).len()) {
        return None;
    }
    let op = match &node.op {
        Op::Affine(affine) | Op::BatchNorm(affine) => Op::Affine(moved(affine, &select, &node.shape, &shape)),
        other => other.clone(),
    };
    let name = out.node(operand).name.clone();
    let value = out.push(&node.name, op, &[source], &shape);
    Some(out.push(&name, Op::Select(select), &[value], &node.shape))
}

/// The map on a permutation's operand that is `affine` on its result of `to`; `from` is the operand's shape.
fn moved(affine: &Affine, select: &Select, to: &[usize], from: &[usize]) -> Affine {
    if affine.granularity == Granularity::Tensor {
        return affine.clone();
    }
    let (mut scale, mut shift) = (vec![1.0; select.sources.len()], vec![0.0; select.sources.len()]);
    for (element, source) in select.sources.iter().enumerate() {
        let Some(source) = source else { continue };
        let entry = affine.granularity.entry(element, to);
        scale[*source as usize] = affine.scale[entry];
        shift[*source as usize] = affine.shift[entry];
    }
    let constant_on = |granularity: Granularity| {
        let run = granularity.run(from).max(1);
        [&scale, &shift]
            .iter()
            .all(|values| values.chunks(run).all(|run| run.iter().all(|value| *value == run[0])))
    };
    let coarsest = [Granularity::Tensor, Granularity::Channel]
        .into_iter()
        .find(|&granularity| constant_on(granularity));
    let granularity = coarsest.unwrap_or(Granularity::Element);
    let entries = |values: Vec<f64>| {
        let first = values.into_iter().step_by(granularity.run(from).max(1));
        first.collect::<Array1<f64>>().into_shared()
    };
    Affine {
        granularity,
        scale: entries(scale),
        shift: entries(shift),
    }
}

/// A sum, difference or product of two values under the same selection.
fn of_two(out: &mut GraphBuilder<Op>, node: &Node<Op>, args: &[NodeId]) -> Option<NodeId> {
    let ((left, first), (right, second)) = (selection(out, args[0])?, selection(out, args[1])?);
    let shape = out.node(first).shape.clone();
    if left != right || out.node(second).shape != shape || !left.is_permutation(out.node(first).len()) {
        return None;
    }
    let name = out.node(args[0]).name.clone();
    let value = out.push(&node.name, node.op.clone(), &[first, second], &shape);
    Some(out.push(&name, Op::Select(left), &[value], &node.shape))
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, check_unchanged, conv, dense, graph, per_channel, values};
    use super::*;
    use crate::nn::Activation;

    /// `[height, width, channels]` to `[channels, height, width]`.
    fn channels_first(channels: usize, pixels: usize) -> Op {
        let source = |element: usize| Some((element % pixels * channels + element / pixels) as u32);
        select((0..channels * pixels).map(source))
    }

    fn channels_last(channels: usize, pixels: usize) -> Op {
        channels_first(pixels, channels)
    }

    fn select(sources: impl Iterator<Item = Option<u32>>) -> Op {
        Op::Select(Select {
            sources: sources.collect(),
        })
    }

    fn relu(out: &mut GraphBuilder<Op>, x: NodeId, shape: &[usize]) -> NodeId {
        out.push("relu", Op::Activation(Activation::Relu), &[x], shape)
    }

    #[test]
    fn a_network_with_channels_last_loses_its_transpositions() {
        let before = graph(&[4, 5, 3], |out, x| {
            let first = out.push("first", channels_first(3, 20), &[x], &[3, 4, 5]);
            let layer = out.push("conv", conv(2, 3, [1; 4]), &[first], &[2, 4, 5]);
            let last = out.push("last", channels_last(2, 20), &[layer], &[4, 5, 2]);
            let scale = Affine {
                granularity: Granularity::Element,
                scale: values(40, 3).map(|_| 0.5).into_shared(),
                shift: (0..40).map(|i| f64::from(i % 2)).collect::<Array1<f64>>().into_shared(),
            };
            let bias = out.push("bias", Op::Affine(scale), &[last], &[4, 5, 2]);
            let relu = relu(out, bias, &[4, 5, 2]);
            let flat = out.push("flat", Op::Reshape, &[relu], &[40]);
            out.push("fc", dense(3, 40, 5), &[flat], &[3])
        });
        check(&PASS, "merge_selections_channels_last", &before);
    }

    #[test]
    fn selections_of_selections_and_of_rows_become_one() {
        let before = graph(&[6], |out, x| {
            let layer = out.push("fc", dense(4, 6, 2), &[x], &[4]);
            let first = out.push("first", select([Some(3), None, Some(1)].into_iter()), &[layer], &[3]);
            out.push(
                "second",
                select([Some(2), Some(0), Some(1)].into_iter()),
                &[first],
                &[3],
            )
        });
        check(&PASS, "merge_selections_rows", &before);
    }

    #[test]
    fn a_permutation_on_both_sides_of_a_sum_follows_it() {
        let before = graph(&[2, 3], |out, x| {
            let turn = || channels_first(3, 2);
            let left = out.push("left", turn(), &[x], &[3, 2]);
            let square = out.push("square", Op::Square, &[left], &[3, 2]);
            let sum = out.push("sum", Op::Add, &[square, left], &[3, 2]);
            out.push("back", channels_first(2, 3), &[sum], &[2, 3])
        });
        check(&PASS, "merge_selections_sum", &before);
    }

    #[test]
    fn keeps_a_part_before_a_function_and_other_orders_before_a_convolution() {
        let before = graph(&[4, 3, 3], |out, x| {
            let half = out.push("half", select((18..36).map(Some)), &[x], &[2, 3, 3]);
            let relu = relu(out, half, &[2, 3, 3]);
            let turned = (0..18).map(|element| Some(element / 9 * 9 + element % 3 * 3 + element % 9 / 3));
            let turned = out.push("turned", select(turned), &[relu], &[2, 3, 3]);
            out.push("conv", conv(2, 2, [1; 4]), &[turned], &[2, 3, 3])
        });
        check_unchanged(&PASS, &before);
    }

    #[test]
    fn keeps_what_only_a_part_is_taken_of() {
        let before = graph(&[4], |out, x| {
            let part = out.push("part", select([Some(1), Some(1)].into_iter()), &[x], &[2]);
            let scaled = out.push("scaled", Op::Affine(per_channel(2, 3)), &[part], &[2]);
            out.push("relu", Op::Activation(Activation::Relu), &[scaled], &[2])
        });
        check_unchanged(&PASS, &before);
    }
}
