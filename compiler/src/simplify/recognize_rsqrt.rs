//! Recognizes the reciprocal of a square root.
//!
//! ```text
//! %1 = sqrt %0
//! %2 = reciprocal %1   →   %1 = reciprocal_sqrt %0
//! ```
//!
//! One function is approximated once; one after the other would be two polynomials, the second on a wider interval. Does
//! nothing where something else reads the square root.

use super::{Pass, keep, rebuild};
use crate::graph::Graph;
use crate::nn::{Activation, Op};

pub(super) const PASS: Pass = Pass {
    name: "recognize-rsqrt",
    run,
};

fn run(graph: &Graph<Op>) -> Graph<Op> {
    let uses = graph.use_counts();
    rebuild(graph, |out, _, node, args| {
        let root = node.args.first().map(|&arg| (arg, graph.node(arg)));
        match (&node.op, root) {
            (Op::Activation(Activation::Reciprocal), Some((id, root)))
                if root.op == Op::Activation(Activation::Sqrt) && uses[id.index()] == 1 =>
            {
                let operand = out.node(args[0]).args[0];
                out.push(
                    &node.name,
                    Op::Activation(Activation::ReciprocalSqrt),
                    &[operand],
                    &node.shape,
                )
            }
            _ => keep(out, node, args),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, check_unchanged, graph, scalar};
    use super::*;
    use crate::graph::{GraphBuilder, NodeId};

    /// `√(x² + 1/2)`, which is defined everywhere.
    fn root(out: &mut GraphBuilder<Op>, x: NodeId) -> NodeId {
        let square = out.push("square", Op::Square, &[x], &[3]);
        let positive = out.push("positive", scalar(1.0, 0.5), &[square], &[3]);
        out.push("root", Op::Activation(Activation::Sqrt), &[positive], &[3])
    }

    #[test]
    fn recognizes_the_reciprocal_of_a_root() {
        let before = graph(&[3], |out, x| {
            let root = root(out, x);
            out.push("inverse", Op::Activation(Activation::Reciprocal), &[root], &[3])
        });
        check(&PASS, "recognize_rsqrt", &before);
    }

    #[test]
    fn keeps_a_root_that_something_else_reads() {
        let before = graph(&[3], |out, x| {
            let root = root(out, x);
            let inverse = out.push("inverse", Op::Activation(Activation::Reciprocal), &[root], &[3]);
            out.push("sum", Op::Add, &[root, inverse], &[3])
        });
        check_unchanged(&PASS, &before);
    }
}
