//! Folds a batch normalization into the linear layer before it.
//!
//! ```text
//! %1 = conv %0              %1 = conv %0    W' = diag(s) · W
//! %2 = batch_norm %1   →                    b' = s ⊙ b + t
//! ```
//!
//! Saves one plaintext product, hence one level, per normalized layer. Does nothing where something else reads the linear
//! layer's output (the layer would be computed twice), or where the operand is no linear layer; merge-linear may still fold
//! such a normalization into the layer after it.

use super::linear::affine_after;
use super::{Pass, keep, rebuild};
use crate::graph::Graph;
use crate::nn::Op;

pub(super) const PASS: Pass = Pass {
    name: "fold-batch-norm",
    run,
};

fn run(graph: &Graph<Op>) -> Graph<Op> {
    let uses = graph.use_counts();
    rebuild(graph, |out, _, node, args| {
        if let Op::BatchNorm(norm) = &node.op
            && uses[node.args[0].index()] == 1
        {
            let layer = out.node(args[0]).clone();
            if let Some(folded) = affine_after(&layer.op, norm) {
                return out.push(&layer.name, folded, &layer.args, &node.shape);
            }
        }
        keep(out, node, args)
    })
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, check_unchanged, conv, dense, graph, per_channel};
    use super::*;
    use crate::nn::Activation;

    #[test]
    fn folds_into_the_layer_before() {
        let before = graph(&[2, 4, 4], |out, x| {
            let layer = out.push("conv1", conv(3, 2, [1; 4]), &[x], &[3, 4, 4]);
            let norm = out.push("bn1", Op::BatchNorm(per_channel(3, 7)), &[layer], &[3, 4, 4]);
            let flat = out.push("flat", Op::Reshape, &[norm], &[48]);
            let layer = out.push("fc1", dense(5, 48, 9), &[flat], &[5]);
            out.push("bn2", Op::BatchNorm(per_channel(5, 11)), &[layer], &[5])
        });
        check(&PASS, "fold_batch_norm", &before);
    }

    #[test]
    fn keeps_a_norm_after_relu() {
        let before = graph(&[4], |out, x| {
            let relu = out.push("relu", Op::Activation(Activation::Relu), &[x], &[4]);
            out.push("bn", Op::BatchNorm(per_channel(4, 7)), &[relu], &[4])
        });
        check_unchanged(&PASS, &before);
    }

    #[test]
    fn keeps_a_norm_whose_layer_is_read_elsewhere() {
        let before = graph(&[4], |out, x| {
            let layer = out.push("fc", dense(4, 4, 3), &[x], &[4]);
            let norm = out.push("bn", Op::BatchNorm(per_channel(4, 7)), &[layer], &[4]);
            out.push("sum", Op::Add, &[layer, norm], &[4])
        });
        check_unchanged(&PASS, &before);
    }
}
