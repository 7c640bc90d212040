//! Turns average pools into convolutions: they are linear, and only convolutions are packed.
//!
//! ```text
//! %1 = average_pool(%0, 2x2)   →   %1 = conv(%0, 2x2 of 1/4, one group a channel)
//! %1 = global_average_pool(%0) →   %1 = conv(%0, as large as the image, one group a channel)
//! ```
//!
//! Where padding is not counted, windows at the border have fewer elements: the convolution then sums, and an affine map
//! divides. Leaves maxima alone: no sum computes them.

use std::sync::Arc;

use ndarray::{Array1, Array4};

use super::{Pass, keep, rebuild};
use crate::graph::{Graph, GraphBuilder, Node, NodeId};
use crate::nn::{Affine, Conv, Granularity, Op, Pool};

pub(super) const PASS: Pass = Pass {
    name: "lower-pools",
    run,
};

fn run(graph: &Graph<Op>) -> Graph<Op> {
    rebuild(graph, |out, _, node, args| match &node.op {
        Op::AveragePool(pool) => {
            let shape = out.node(args[0]).shape.clone();
            average(out, node, pool, &shape, args)
        }
        Op::GlobalAveragePool if out.node(args[0]).shape.len() == 3 => {
            let shape = out.node(args[0]).shape.clone();
            let pool = Pool {
                kernel: [shape[1], shape[2]],
                strides: [1, 1],
                pads: [0; 4],
                count_include_pad: false,
            };
            average(out, node, &pool, &shape, args)
        }
        _ => keep(out, node, args),
    })
}

fn average(out: &mut GraphBuilder<Op>, node: &Node<Op>, pool: &Pool, shape: &[usize], args: &[NodeId]) -> NodeId {
    let area = pool.kernel[0] * pool.kernel[1];
    let counts = counts(pool, shape, &node.shape);
    if pool.count_include_pad || counts.iter().all(|&count| count == area) {
        return out.push(&node.name, window(pool, shape[0], 1.0 / area as f64), args, &node.shape);
    }
    let sum = out.push(&node.name, window(pool, shape[0], 1.0), args, &node.shape);
    let shares: Array1<f64> = (0..node.len())
        .map(|element| 1.0 / counts[element % counts.len()] as f64)
        .collect();
    let divide = Affine {
        granularity: Granularity::Element,
        shift: Array1::zeros(shares.len()).into_shared(),
        scale: shares.into_shared(),
    };
    out.push(&node.name, Op::Affine(divide), &[sum], &node.shape)
}

/// How many elements of the image each window of a channel covers; at least one, since an empty window's sum is zero.
fn counts(pool: &Pool, shape: &[usize], out_shape: &[usize]) -> Vec<usize> {
    let covered = |axis: usize, index: usize| {
        let start = index * pool.strides[axis];
        let end = (start + pool.kernel[axis])
            .saturating_sub(pool.pads[axis])
            .min(shape[1 + axis]);
        end.saturating_sub(start.saturating_sub(pool.pads[axis]))
    };
    let rows = (0..out_shape[1]).map(|row| covered(0, row));
    rows.flat_map(|rows| (0..out_shape[2]).map(move |column| (rows * covered(1, column)).max(1)))
        .collect()
}

fn window(pool: &Pool, channels: usize, weight: f64) -> Op {
    Op::Conv(Conv {
        weights: Arc::new(Array4::from_elem((channels, 1, pool.kernel[0], pool.kernel[1]), weight)),
        bias: Array1::zeros(channels).into_shared(),
        strides: pool.strides,
        pads: pool.pads,
        dilations: [1, 1],
        groups: channels,
    })
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, check_unchanged, graph};
    use super::*;

    fn pool(pads: [usize; 4], count_include_pad: bool) -> Pool {
        Pool {
            kernel: [3, 2],
            strides: [2, 1],
            pads,
            count_include_pad,
        }
    }

    #[test]
    fn means_become_convolutions_of_one_group_a_channel() {
        let before = graph(&[2, 5, 4], |out, x| {
            let inside = out.push("inside", Op::AveragePool(pool([0; 4], false)), &[x], &[2, 2, 3]);
            out.push("global", Op::GlobalAveragePool, &[inside], &[2, 1, 1])
        });
        check(&PASS, "lower_pools", &before);
    }

    #[test]
    fn padding_that_counts_is_a_zero_in_the_sum() {
        let before = graph(&[2, 5, 4], |out, x| {
            out.push("padded", Op::AveragePool(pool([1, 1, 1, 0], true)), &[x], &[2, 3, 4])
        });
        check(&PASS, "lower_pools_padded", &before);
    }

    #[test]
    fn padding_that_does_not_count_is_divided_out() {
        let before = graph(&[2, 5, 4], |out, x| {
            out.push("border", Op::AveragePool(pool([1, 1, 1, 0], false)), &[x], &[2, 3, 4])
        });
        check(&PASS, "lower_pools_border", &before);
    }

    #[test]
    fn keeps_a_maximum() {
        let before = graph(&[2, 5, 4], |out, x| {
            out.push("max", Op::MaxPool(pool([0; 4], false)), &[x], &[2, 2, 3])
        });
        check_unchanged(&PASS, &before);
    }
}
