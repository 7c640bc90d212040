//! Merges neighbouring linear maps into one.
//!
//! ```text
//! %1 = dense %0
//! %2 = affine %1        →   %1 = dense %0    W' = U · diag(s) · W
//! %3 = dense %2                              b' = U (s ⊙ b + t) + c
//! ```
//!
//! Saves one level for each map that disappears. Takes scales and shifts (and batch normalizations that are still there)
//! into the dense layer or convolution before or after them, also over a reshape, and dense layers into each other. Does
//! nothing where something else reads the value between (it would be computed twice), where a shift comes before a padded
//! convolution (padding is not shifted), and where the product of two dense layers has more weights than both. Average
//! pools are left alone.

use super::drop_identity::is_neutral;
use super::linear::{affine_after, affine_after_affine, affine_before, dense_after_dense};
use super::{Pass, keep, rebuild};
use crate::graph::{Graph, GraphBuilder, Node, NodeId};
use crate::nn::{Affine, Op};

pub(super) const PASS: Pass = Pass {
    name: "merge-linear",
    run,
};

fn run(graph: &Graph<Op>) -> Graph<Op> {
    let uses = graph.use_counts();
    rebuild(graph, |out, _, node, args| {
        let alone = node.args.len() == 1 && uses[node.args[0].index()] == 1;
        match &node.op {
            Op::Affine(affine) | Op::BatchNorm(affine) if alone => after_operand(out, node, affine, args[0]),
            Op::Dense { .. } | Op::Conv(_) if alone => with_operands(out, node, args[0]),
            _ => keep(out, node, args),
        }
    })
}

/// An affine map merged into its operand.
fn after_operand(out: &mut GraphBuilder<Op>, node: &Node<Op>, affine: &Affine, operand: NodeId) -> NodeId {
    let before = out.node(operand).clone();
    if let Some(op) = affine_after(&before.op, affine) {
        return out.push(&before.name, op, &before.args, &before.shape);
    }
    if let Op::Affine(first) | Op::BatchNorm(first) = &before.op {
        let merged = affine_after_affine(first, affine, &node.shape);
        if is_neutral(&merged) {
            return before.args[0];
        }
        return out.push(&before.name, Op::Affine(merged), &before.args, &node.shape);
    }
    keep(out, node, &[operand])
}

/// A layer merged with the linear maps before it.
fn with_operands(out: &mut GraphBuilder<Op>, node: &Node<Op>, operand: NodeId) -> NodeId {
    let before = out.node(operand).clone();
    if let Some(op) = dense_after_dense(&before.op, &node.op) {
        return out.push(&node.name, op, &before.args, &node.shape);
    }
    // A dense layer takes a vector, so that an image comes to it through a reshape.
    let (affine, reshape) = match before.op {
        Op::Reshape => (out.node(before.args[0]).clone(), Some(&before)),
        _ => (before.clone(), None),
    };
    let (Op::Affine(map) | Op::BatchNorm(map)) = &affine.op else {
        return keep(out, node, &[operand]);
    };
    let Some(op) = affine_before(map, &affine.shape, &node.op) else {
        return keep(out, node, &[operand]);
    };
    let source = match reshape {
        Some(reshape) => out.push(&reshape.name, Op::Reshape, &affine.args, &reshape.shape),
        None => affine.args[0],
    };
    out.push(&node.name, op, &[source], &node.shape)
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, check_unchanged, conv, dense, graph, per_channel, scalar};
    use super::*;
    use crate::nn::Activation;

    #[test]
    fn merges_chains_into_single_layers() {
        let before = graph(&[6], |out, x| {
            let first = out.push("fc1", dense(8, 6, 1), &[x], &[8]);
            let bias = out.push("bias", Op::Affine(per_channel(8, 2)), &[first], &[8]);
            let second = out.push("fc2", dense(5, 8, 3), &[bias], &[5]);
            let relu = out.push("relu", Op::Activation(Activation::Relu), &[second], &[5]);
            let norm = out.push("bn", Op::BatchNorm(per_channel(5, 4)), &[relu], &[5]);
            let scaled = out.push("scaled", scalar(0.5, 0.25), &[norm], &[5]);
            out.push("fc3", dense(3, 5, 5), &[scaled], &[3])
        });
        check(&PASS, "merge_linear", &before);
    }

    #[test]
    fn merges_channels_into_convolutions_and_through_a_flattening() {
        let before = graph(&[2, 4, 4], |out, x| {
            let scaled = out.push("scaled", scalar(1.0 / 255.0, 0.0), &[x], &[2, 4, 4]);
            let layer = out.push("conv", conv(3, 2, [1; 4]), &[scaled], &[3, 4, 4]);
            let bias = out.push("bias", Op::Affine(per_channel(3, 2)), &[layer], &[3, 4, 4]);
            let relu = out.push("relu", Op::Activation(Activation::Relu), &[bias], &[3, 4, 4]);
            let norm = out.push("bn", Op::BatchNorm(per_channel(3, 4)), &[relu], &[3, 4, 4]);
            let flat = out.push("flat", Op::Reshape, &[norm], &[48]);
            out.push("fc", dense(2, 48, 5), &[flat], &[2])
        });
        check(&PASS, "merge_linear_convolution", &before);
    }

    #[test]
    fn scales_that_cancel_disappear() {
        let before = graph(&[3], |out, x| {
            let relu = out.push("relu", Op::Activation(Activation::Relu), &[x], &[3]);
            let doubled = out.push("doubled", scalar(2.0, 0.0), &[relu], &[3]);
            let halved = out.push("halved", scalar(0.5, 0.0), &[doubled], &[3]);
            out.push("tanh", Op::Activation(Activation::Tanh), &[halved], &[3])
        });
        check(&PASS, "merge_linear_cancels", &before);
    }

    #[test]
    fn keeps_a_shift_before_a_padded_convolution() {
        let before = graph(&[2, 4, 4], |out, x| {
            let shifted = out.push("shifted", scalar(1.0, 0.5), &[x], &[2, 4, 4]);
            out.push("conv", conv(3, 2, [1; 4]), &[shifted], &[3, 4, 4])
        });
        check_unchanged(&PASS, &before);
        let unpadded = graph(&[2, 4, 4], |out, x| {
            let shifted = out.push("shifted", scalar(1.0, 0.5), &[x], &[2, 4, 4]);
            out.push("conv", conv(3, 2, [0; 4]), &[shifted], &[3, 2, 2])
        });
        check(&PASS, "merge_linear_unpadded", &unpadded);
    }

    #[test]
    fn keeps_a_layer_that_is_read_elsewhere() {
        let before = graph(&[4], |out, x| {
            let layer = out.push("fc", dense(4, 4, 1), &[x], &[4]);
            let shifted = out.push("shifted", scalar(2.0, 0.5), &[layer], &[4]);
            out.push("sum", Op::Add, &[layer, shifted], &[4])
        });
        check_unchanged(&PASS, &before);
    }

    #[test]
    fn keeps_a_bottleneck() {
        let before = graph(&[9], |out, x| {
            let narrow = out.push("narrow", dense(2, 9, 1), &[x], &[2]);
            out.push("wide", dense(9, 2, 3), &[narrow], &[9])
        });
        check_unchanged(&PASS, &before);
    }
}
