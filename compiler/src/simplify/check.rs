//! What all tests of passes share: the snapshot shows what changed, the evaluation that the meaning did not.

use std::sync::Arc;

use ndarray::{Array1, Array2, Array4};

use super::Pass;
use crate::evaluate;
use crate::graph::{Graph, GraphBuilder, NodeId};
use crate::nn::{Affine, Conv, Granularity, Op};

/// Sums in another order and coefficients multiplied out differ in the last bits.
const ROUNDING: f64 = 1e-9;

/// Runs the pass, compares the listing with the snapshot of that name and the values on fixed inputs.
#[track_caller]
pub(super) fn check(pass: &Pass, snapshot: &str, graph: &Graph<Op>) {
    let after = (pass.run)(graph);
    same_meaning(graph, &after);
    insta::assert_snapshot!(snapshot, format!("{graph}\n{}\n\n{after}", pass.name));
}

/// Checks that the pass leaves the graph as it is.
#[track_caller]
pub(super) fn check_unchanged(pass: &Pass, graph: &Graph<Op>) {
    assert_eq!((pass.run)(graph).to_string(), graph.to_string());
}

#[track_caller]
pub(super) fn same_meaning(before: &Graph<Op>, after: &Graph<Op>) {
    let length = before.iter().map(|(_, node)| node.len()).next().unwrap_or(0);
    for seed in 0..4 {
        let input = values(length, 1000 + seed).to_vec();
        let (expected, found) = (evaluate(before, &input), evaluate(after, &input));
        let largest = expected
            .iter()
            .fold(1.0, |largest: f64, value| largest.max(value.abs()));
        for (expected, found) in expected.iter().zip(&found) {
            assert!(
                (expected - found).abs() <= ROUNDING * largest,
                "{found} instead of {expected}\n{before}\n{after}"
            );
        }
    }
}

/// Fixed numbers between -1 and 1.
pub(super) fn values(length: usize, seed: usize) -> Array1<f64> {
    (0..length)
        .map(|index| ((index * 7919 + seed * 104_729 + 31) % 2003) as f64 / 1001.0 - 1.0)
        .collect()
}

pub(super) fn dense(outputs: usize, inputs: usize, seed: usize) -> Op {
    Op::Dense {
        weights: Array2::from_shape_vec((outputs, inputs), values(outputs * inputs, seed).to_vec())
            .expect("as many values as the shape says")
            .into_shared(),
        bias: values(outputs, seed + 1).into_shared(),
    }
}

/// A 3x3 convolution that keeps height and width.
pub(super) fn conv(outputs: usize, inputs: usize, pads: [usize; 4]) -> Op {
    Op::Conv(Conv {
        weights: Arc::new(
            Array4::from_shape_vec((outputs, inputs, 3, 3), values(outputs * inputs * 9, 5).to_vec())
                .expect("as many values as the shape says"),
        ),
        bias: values(outputs, 6).into_shared(),
        strides: [1; 2],
        pads,
        dilations: [1; 2],
        groups: 1,
    })
}

/// One factor and one summand for everything.
pub(super) fn scalar(scale: f64, shift: f64) -> Op {
    Op::Affine(Affine {
        granularity: Granularity::Tensor,
        scale: Array1::from(vec![scale]).into_shared(),
        shift: Array1::from(vec![shift]).into_shared(),
    })
}

pub(super) fn per_channel(channels: usize, seed: usize) -> Affine {
    Affine {
        granularity: Granularity::Channel,
        scale: values(channels, seed).into_shared(),
        shift: values(channels, seed + 1).into_shared(),
    }
}

/// A graph of an input and nodes over it.
pub(super) fn graph(shape: &[usize], nodes: impl FnOnce(&mut GraphBuilder<Op>, NodeId) -> NodeId) -> Graph<Op> {
    let mut builder = GraphBuilder::default();
    let input = builder.push("x", Op::Input, &[], shape);
    let output = nodes(&mut builder, input);
    builder.finish(output)
}
