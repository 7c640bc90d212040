//! Drops nodes that give back their operand.
//!
//! ```text
//! %1 = identity %0
//! %2 = relu %1          →   %1 = relu %0
//! ```
//!
//! Takes identities (dropout is one), reshapes to the operand's own shape, scalings by one without shift, padding by
//! nothing and pools over single positions. A reshape of a reshape reads the first operand. Does nothing to a reshape that
//! changes the shape.

use super::{Pass, keep, rebuild};
use crate::graph::{Graph, Node};
use crate::nn::{Affine, Op, Pool};

pub(super) const PASS: Pass = Pass {
    name: "drop-identity",
    run,
};

fn run(graph: &Graph<Op>) -> Graph<Op> {
    rebuild(graph, |out, _, node, args| {
        let Some(&operand) = args.first() else {
            return keep(out, node, args);
        };
        if is_identity(node, &out.node(operand).shape) {
            return operand;
        }
        let before = out.node(operand);
        match (&node.op, &before.op) {
            (Op::Reshape, Op::Reshape) => {
                let source = before.args[0];
                if out.node(source).shape == node.shape {
                    source
                } else {
                    keep(out, node, &[source])
                }
            }
            _ => keep(out, node, args),
        }
    })
}

fn is_identity(node: &Node<Op>, operand: &[usize]) -> bool {
    match &node.op {
        Op::Identity => true,
        Op::Reshape => node.shape == operand,
        Op::Affine(affine) | Op::BatchNorm(affine) => is_neutral(affine),
        Op::Pad(pad) => pad.amounts.iter().all(|&amounts| amounts == (0, 0)),
        Op::AveragePool(pool) | Op::MaxPool(pool) => takes_single_positions(pool),
        Op::Input
        | Op::Dense { .. }
        | Op::Conv(_)
        | Op::GlobalAveragePool
        | Op::Select(_)
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Activation(_)
        | Op::Square
        | Op::Pow(_)
        | Op::Polynomial(_)
        | Op::Chebyshev(_) => false,
    }
}

/// Whether scale and shift change nothing.
pub(super) fn is_neutral(affine: &Affine) -> bool {
    affine.scale.iter().all(|&scale| scale == 1.0) && affine.shift.iter().all(|&shift| shift == 0.0)
}

fn takes_single_positions(pool: &Pool) -> bool {
    pool.kernel == [1, 1] && pool.strides == [1, 1] && pool.pads == [0; 4]
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, check_unchanged, graph, scalar};
    use super::*;
    use crate::nn::{Activation, Pad};

    #[test]
    fn drops_what_gives_back_its_operand() {
        let before = graph(&[2, 3], |out, x| {
            let dropout = out.push("dropout", Op::Identity, &[x], &[2, 3]);
            let scaled = out.push("scaled", scalar(1.0, 0.0), &[dropout], &[2, 3]);
            let amounts = vec![(0, 0); 2];
            let padded = out.push("padded", Op::Pad(Pad { amounts, value: 1.0 }), &[scaled], &[2, 3]);
            let row = out.push("row", Op::Reshape, &[padded], &[1, 6]);
            let flat = out.push("flat", Op::Reshape, &[row], &[6]);
            out.push("relu", Op::Activation(Activation::Relu), &[flat], &[6])
        });
        check(&PASS, "drop_identity", &before);
    }

    #[test]
    fn keeps_a_reshape_that_changes_the_shape() {
        check_unchanged(
            &PASS,
            &graph(&[2, 3], |out, x| out.push("flat", Op::Reshape, &[x], &[6])),
        );
    }

    #[test]
    fn keeps_a_scaling_that_scales() {
        check_unchanged(
            &PASS,
            &graph(&[3], |out, x| out.push("scaled", scalar(1.0, 0.5), &[x], &[3])),
        );
    }
}
