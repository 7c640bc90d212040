//! Recognizes SiLU (swish) written out as a product with a sigmoid.
//!
//! ```text
//! %1 = sigmoid %0
//! %2 = mul %0, %1   →   %1 = silu %0
//! ```
//!
//! One function of one value can be approximated by one polynomial; a product of a value and a polynomial costs a level
//! more. Does nothing where the sigmoid gates another value.

use super::{Pass, keep, rebuild};
use crate::graph::{Graph, GraphBuilder, Node, NodeId};
use crate::nn::{Activation, Op};

pub(super) const PASS: Pass = Pass {
    name: "recognize-silu",
    run,
};

fn run(graph: &Graph<Op>) -> Graph<Op> {
    let is_sigmoid_of = |gate: NodeId, x: NodeId| {
        let gate = graph.node(gate);
        matches!(gate.op, Op::Activation(Activation::Sigmoid)) && gate.args == [x]
    };
    rebuild(graph, |out, _, node, args| match (&node.op, node.args.as_slice()) {
        (Op::Mul, &[left, right]) if is_sigmoid_of(right, left) => silu(out, node, args[0]),
        (Op::Mul, &[left, right]) if is_sigmoid_of(left, right) => silu(out, node, args[1]),
        _ => keep(out, node, args),
    })
}

fn silu(out: &mut GraphBuilder<Op>, node: &Node<Op>, x: NodeId) -> NodeId {
    out.push(&node.name, Op::Activation(Activation::Silu), &[x], &node.shape)
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, check_unchanged, graph, scalar};
    use super::*;

    #[test]
    fn recognizes_both_orders() {
        let before = graph(&[3], |out, x| {
            let gate = out.push("gate", Op::Activation(Activation::Sigmoid), &[x], &[3]);
            let first = out.push("first", Op::Mul, &[x, gate], &[3]);
            let gate = out.push("gate2", Op::Activation(Activation::Sigmoid), &[first], &[3]);
            out.push("second", Op::Mul, &[gate, first], &[3])
        });
        check(&PASS, "recognize_silu", &before);
    }

    #[test]
    fn keeps_a_gate_on_another_value() {
        let before = graph(&[3], |out, x| {
            let gate = out.push("gate", Op::Activation(Activation::Sigmoid), &[x], &[3]);
            let other = out.push("other", scalar(2.0, 1.0), &[x], &[3]);
            out.push("product", Op::Mul, &[gate, other], &[3])
        });
        check_unchanged(&PASS, &before);
    }
}
