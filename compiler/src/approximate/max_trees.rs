//! Turns maxima over windows into trees of rectifiers, where a composite was asked for.
//!
//! ```text
//! %1 = max_pool(%0, 1x2)   →   %1 = conv(%0, left element of each window)    one group a channel
//!                              %2 = conv(%0, right element of each window)
//!                              %3 = sub(%1, %2)   %4 = relu(%3)   %5 = add(%2, %4)
//! ```
//!
//! `max(a, b) = b + relu(a - b)`, pairs first, then pairs of these: a window of `n` elements takes `n - 1` rectifiers, one after
//! the other `ceil(log2 n)` of them. Only a composite is exact enough for that; with any other rule a maximum stays, and is
//! refused. So does one whose windows reach beyond the image, unless its operand is rectified: what lies outside counts for
//! nothing in a maximum, and is zero in a convolution.
//!
//! # Source
//! arXiv 2105.10879, section 4: max-pooling through the same composites as rectifiers.

use std::sync::Arc;

use ndarray::{Array1, Array4};

use crate::approximate::ApproximateOptions;
use crate::graph::{Graph, GraphBuilder, Node, NodeId};
use crate::nn::{Activation, Conv, Op, Pool};
use crate::options::ActivationRule;

/// The graph with a tree in the place of every maximum whose rule is a composite.
///
/// # Cost
/// `ceil(log2 n)` composites in depth for windows of `n` elements.
pub(crate) fn max_trees(graph: &Graph<Op>, options: &ApproximateOptions) -> Graph<Op> {
    let rebuilt = graph.rebuild(|out, _, node, args| {
        let keep = |out: &mut GraphBuilder<Op>| out.push(&node.name, node.op.clone(), args, &node.shape);
        let composite = matches!(options.rule_of(&node.name), ActivationRule::Composite { .. });
        Ok::<_, std::convert::Infallible>(match &node.op {
            Op::MaxPool(pool) if composite && has_tree(pool, out.node(args[0])) => tree(out, node, pool, args[0]),
            _ => keep(out),
        })
    });
    let Ok(rebuilt) = rebuilt;
    rebuilt
}

/// Whether zeros outside the image do not change the maximum.
fn has_tree(pool: &Pool, operand: &Node<Op>) -> bool {
    operand.shape.len() == 3 && (pool.pads == [0; 4] || operand.op == Op::Activation(Activation::Relu))
}

/// Pairs, pairs of pairs, and so on; one left over waits for the next round.
fn tree(out: &mut GraphBuilder<Op>, node: &Node<Op>, pool: &Pool, operand: NodeId) -> NodeId {
    let channels = node.shape[0];
    let positions = (0..pool.kernel[0]).flat_map(|row| (0..pool.kernel[1]).map(move |column| (row, column)));
    let mut level: Vec<NodeId> = positions
        .map(|position| out.push(&node.name, element(pool, channels, position), &[operand], &node.shape))
        .collect();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match *pair {
                [left, right] => larger(out, node, left, right),
                [single] => single,
                _ => unreachable!("chunks of two"),
            })
            .collect();
    }
    level[0]
}

/// The convolution that picks one element of every window.
fn element(pool: &Pool, channels: usize, (row, column): (usize, usize)) -> Op {
    let mut weights = Array4::zeros((channels, 1, pool.kernel[0], pool.kernel[1]));
    for channel in 0..channels {
        weights[[channel, 0, row, column]] = 1.0;
    }
    Op::Conv(Conv {
        weights: Arc::new(weights),
        bias: Array1::zeros(channels).into_shared(),
        strides: pool.strides,
        pads: pool.pads,
        dilations: [1, 1],
        groups: channels,
    })
}

/// `right + relu(left - right)`.
fn larger(out: &mut GraphBuilder<Op>, node: &Node<Op>, left: NodeId, right: NodeId) -> NodeId {
    let mut push = |op: Op, args: &[NodeId]| out.push(&node.name, op, args, &node.shape);
    let difference = push(Op::Sub, &[left, right]);
    let excess = push(Op::Activation(Activation::Relu), &[difference]);
    push(Op::Add, &[right, excess])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::approximate::{ApproximateError, approximate};
    use crate::calibrate::Samples;
    use crate::evaluate;
    use crate::he::ClearPolynomial;

    fn options(rule: ActivationRule) -> ApproximateOptions {
        ApproximateOptions {
            rule,
            ..ApproximateOptions::USUAL
        }
    }

    /// A maximum over windows of an image, rectified first or not.
    fn pooled(shape: [usize; 3], pool: Pool, rectified: bool) -> Graph<Op> {
        let mut out = GraphBuilder::default();
        let mut last = out.push("x", Op::Input, &[], &shape);
        if rectified {
            last = out.push("relu", Op::Activation(Activation::Relu), &[last], &shape);
        }
        let size = |axis: usize| {
            (shape[axis + 1] + pool.pads[axis] + pool.pads[axis + 2] - pool.kernel[axis]) / pool.strides[axis] + 1
        };
        let out_shape = [shape[0], size(0), size(1)];
        let max = out.push("max", Op::MaxPool(pool), &[last], &out_shape);
        out.finish(max)
    }

    fn image(elements: usize, seed: usize) -> Vec<f64> {
        let value = |i: usize| ((i * 7919 + seed * 104_729 + 13) % 199) as f64 / 99.0 - 1.0;
        (0..elements).map(value).collect()
    }

    fn maxima(graph: &Graph<Op>) -> usize {
        graph
            .iter()
            .filter(|(_, node)| matches!(node.op, Op::MaxPool(_)))
            .count()
    }

    proptest! {
        #[test]
        fn a_tree_is_the_maximum(
            channels in 1usize..3, kernel in prop::array::uniform2(1usize..4), extra in prop::array::uniform2(0usize..4),
            strides in prop::array::uniform2(1usize..4), pads in prop::array::uniform4(0usize..2), seed in 0usize..50,
        ) {
            // A window must not lie in the padding alone.
            let pads = [0, 1, 2, 3].map(|side| pads[side].min(kernel[side % 2] - 1));
            let shape = [channels, kernel[0] + extra[0], kernel[1] + extra[1]];
            let pool = Pool { kernel, strides, pads, count_include_pad: false };
            let graph = pooled(shape, pool, true);
            let trees = max_trees(&graph, &options(ActivationRule::Composite { alpha: 10 }));
            prop_assert_eq!(maxima(&trees), 0);
            let x = image(shape.iter().product(), seed);
            for (found, exact) in evaluate(&trees, &x).iter().zip(evaluate(&graph, &x)) {
                prop_assert!((found - exact).abs() <= 1e-14, "{found} for {exact}");
            }
        }
    }

    #[test]
    fn a_maximum_stays_without_a_composite_and_where_its_padding_counts() {
        let pool = |pads| Pool {
            kernel: [2, 2],
            strides: [2, 2],
            pads,
            count_include_pad: false,
        };
        let composite = options(ActivationRule::Composite { alpha: 10 });
        let plain = pooled([1, 4, 4], pool([0; 4]), false);
        assert_eq!(maxima(&max_trees(&plain, &options(ActivationRule::Quadratic))), 1);
        assert_eq!(maxima(&max_trees(&plain, &composite)), 0);
        let padded = pooled([1, 4, 4], pool([1; 4]), false);
        assert_eq!(maxima(&max_trees(&padded, &composite)), 1);
    }

    #[test]
    fn a_composite_makes_a_maximum_within_its_bound() {
        let pool = Pool {
            kernel: [2, 2],
            strides: [2, 2],
            pads: [0; 4],
            count_include_pad: false,
        };
        let graph = pooled([2, 4, 4], pool, false);
        let samples =
            Samples::new(&[2, 4, 4], (0..40).flat_map(|seed| image(32, seed)).collect()).expect("whole images");
        let quadratic = approximate(&graph, &samples, &options(ActivationRule::Quadratic));
        assert!(matches!(quadratic, Err(ApproximateError::Unsupported(_))));
        let alpha = 8;
        let mixed = ApproximateOptions {
            overrides: vec![("max".to_owned(), ActivationRule::Composite { alpha })],
            ..options(ActivationRule::Quadratic)
        };
        let found = approximate(&graph, &samples, &mixed).expect("a tree");
        assert_eq!(found.activations.len(), 3);
        let polynomial = ClearPolynomial::new(&found.graph);
        // Two rounds; differences reach 2, times the margin.
        let allowed = 2.0 * 2.0 * mixed.margin * libm::exp2(-f64::from(alpha));
        for sample in samples.iter() {
            for (found, exact) in polynomial.output(sample).iter().zip(evaluate(&graph, sample)) {
                assert!((found - exact).abs() <= allowed, "{found} for {exact}");
            }
        }
    }
}
