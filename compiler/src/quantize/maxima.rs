//! Lowers maxima of windows to differences, functions and sums, which a network of integers has.
//!
//! ```text
//! %1 = max_pool(%0)   %1 = select(%0, first of each window)    %3 = sub(%1, %2)    %5 = add(%2, %4)
//!                  →  %2 = select(%0, second of each window)   %4 = relu(%3)       …
//! ```
//!
//! `max(a, b) = b + relu(a - b)`, as a tournament over the elements of a window. Where the operand is never negative, a last
//! `relu` changes no value and gives the result a range of its own, so that what reads it has small accumulators.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use crate::evaluate::window_elements;
use crate::graph::{Graph, GraphBuilder, Node, NodeId};
use crate::nn::{Activation, Op, Pool, Select};

/// A network without maxima.
pub(super) struct Lowered {
    /// The network.
    pub(super) graph: Graph<Op>,
    /// Functions that are part of a maximum: none of their values is larger than the operand's largest.
    pub(super) parts: BTreeSet<NodeId>,
}

/// Lowers every maximum; other nodes stay as they are.
pub(super) fn lower_maxima(graph: &Graph<Op>) -> Lowered {
    let mut parts = BTreeSet::new();
    let rebuilt = graph.rebuild(|out, _, node, args| {
        let result = match &node.op {
            Op::MaxPool(pool) => lower(out, graph.node(node.args[0]), node, pool, args[0], &mut parts),
            other => out.push(&node.name, other.clone(), args, &node.shape),
        };
        Ok::<_, Infallible>(result)
    });
    let Ok(graph) = rebuilt;
    Lowered { graph, parts }
}

fn lower(
    out: &mut GraphBuilder<Op>,
    operand: &Node<Op>,
    node: &Node<Op>,
    pool: &Pool,
    arg: NodeId,
    parts: &mut BTreeSet<NodeId>,
) -> NodeId {
    let windows: Vec<Vec<usize>> = (0..node.len())
        .map(|output| window_elements(pool, &operand.shape, &node.shape, output).collect())
        .collect();
    let widest = windows.iter().map(Vec::len).max().unwrap_or(0);
    let mut round: Vec<NodeId> = (0..widest)
        .map(|place| {
            // A window at the border has fewer elements: its last one again changes nothing.
            let chosen = |window: &Vec<usize>| window.get(place).or(window.last()).map(|&element| element as u32);
            let sources: Arc<[Option<u32>]> = windows.iter().map(chosen).collect();
            out.push(&node.name, Op::Select(Select { sources }), &[arg], &node.shape)
        })
        .collect();
    while round.len() > 1 {
        round = round
            .chunks(2)
            .map(|pair| match *pair {
                [a, b] => larger(out, node, a, b, parts),
                _ => pair[0],
            })
            .collect();
    }
    let largest = round[0];
    if !matches!(operand.op, Op::Activation(Activation::Relu | Activation::Sigmoid)) {
        return largest;
    }
    let result = out.push(&node.name, Op::Activation(Activation::Relu), &[largest], &node.shape);
    parts.insert(result);
    result
}

/// `b + relu(a - b)`.
fn larger(out: &mut GraphBuilder<Op>, node: &Node<Op>, a: NodeId, b: NodeId, parts: &mut BTreeSet<NodeId>) -> NodeId {
    let difference = out.push(&node.name, Op::Sub, &[a, b], &node.shape);
    let rest = out.push(&node.name, Op::Activation(Activation::Relu), &[difference], &node.shape);
    parts.insert(rest);
    out.push(&node.name, Op::Add, &[b, rest], &node.shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::evaluate;

    fn network(op: Op, kernel: [usize; 2], pads: [usize; 4], shape: &[usize]) -> Graph<Op> {
        let mut builder = GraphBuilder::default();
        let x = builder.push("x", Op::Input, &[], &[2, 3, 3]);
        let before = builder.push("before", op, &[x], &[2, 3, 3]);
        let pool = Pool {
            kernel,
            strides: [1, 1],
            pads,
            count_include_pad: false,
        };
        let max = builder.push("max", Op::MaxPool(pool), &[before], shape);
        builder.finish(max)
    }

    #[test]
    fn maxima_keep_their_values_and_their_name() {
        let x: Vec<f64> = (0..18).map(|i| f64::from(i * 7 % 11) - 5.0).collect();
        let relu = Op::Activation(Activation::Relu);
        let tanh = Op::Activation(Activation::Tanh);
        for (op, kernel, pads, shape) in [
            (relu.clone(), [2, 2], [0; 4], [2, 2, 2]),
            (tanh, [3, 2], [1, 0, 1, 0], [2, 3, 2]),
            (relu, [3, 3], [1; 4], [2, 3, 3]),
        ] {
            let graph = network(op, kernel, pads, &shape);
            let lowered = lower_maxima(&graph);
            assert!(lowered.graph.iter().all(|(_, node)| !matches!(node.op, Op::MaxPool(_))));
            assert_eq!(lowered.graph.node(lowered.graph.output()).name, "max");
            let (before, after) = (evaluate(&graph, &x), evaluate(&lowered.graph, &x));
            // b + (a - b) is rounded twice.
            let close = before.iter().zip(&after).all(|(b, a)| (b - a).abs() < 1e-12);
            assert!(close, "{before:?} {after:?}");
            for part in &lowered.parts {
                assert_eq!(lowered.graph.node(*part).op, Op::Activation(Activation::Relu));
            }
        }
    }

    #[test]
    fn a_network_without_maxima_stays_as_it_is() {
        let mut builder = GraphBuilder::default();
        let x = builder.push("x", Op::Input, &[], &[4]);
        let relu = builder.push("relu", Op::Activation(Activation::Relu), &[x], &[4]);
        let graph = builder.finish(relu);
        let lowered = lower_maxima(&graph);
        assert_eq!(lowered.graph, graph);
        assert!(lowered.parts.is_empty());
    }
}
