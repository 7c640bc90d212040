//! Clear evaluation of an imported network: f64 in a fixed order, elementary functions from `libm`.
//!
//! Fits and plans are decided from these values, so they must not depend on the processor or its vector width: every sum
//! is taken in the order that the code spells, and no platform mathematics is called.

mod activation;
mod backward;
mod conv;
mod dense;
mod pad;
mod polynomial;
mod pool;
mod tile;
mod transposed;

use rayon::prelude::*;

pub use backward::gradients;
pub(crate) use pool::window_elements;

use crate::graph::{Graph, Node};
use crate::nn::{Affine, Op};

/// The network's output for one sample.
///
/// # Shapes
/// `input`: as many elements as the graph's input has, row-major. Result: those of the output node.
///
/// # Panics
/// If `input` has another length than the graph's input.
pub fn evaluate(graph: &Graph<Op>, input: &[f64]) -> Vec<f64> {
    evaluate_nodes(graph, input).swap_remove(graph.output().index())
}

/// The network's outputs for many samples, on all threads. Samples are independent: their number changes nothing.
///
/// # Panics
/// If a sample has another length than the graph's input.
pub fn evaluate_samples<S: AsRef<[f64]> + Sync>(graph: &Graph<Op>, samples: &[S]) -> Vec<Vec<f64>> {
    samples
        .par_iter()
        .map(|sample| evaluate(graph, sample.as_ref()))
        .collect()
}

/// The values of every node for one sample, by [`NodeId::index`](crate::graph::NodeId::index).
///
/// # Panics
/// If `input` has another length than the graph's input.
pub fn evaluate_nodes(graph: &Graph<Op>, input: &[f64]) -> Vec<Vec<f64>> {
    let mut values: Vec<Vec<f64>> = Vec::with_capacity(graph.len());
    for (_, node) in graph.iter() {
        let value = if node.args.is_empty() {
            input.to_vec()
        } else {
            let args: Vec<&[f64]> = node.args.iter().map(|arg| values[arg.index()].as_slice()).collect();
            evaluate_node(graph, node, &args)
        };
        assert_eq!(value.len(), node.len(), "elements of node {}", node.name);
        values.push(value);
    }
    values
}

/// The value of one node (not an input) of a graph from the values of its operands.
pub(crate) fn evaluate_node(graph: &Graph<Op>, node: &Node<Op>, args: &[&[f64]]) -> Vec<f64> {
    match *args {
        [arg] => unary(node, &graph.node(node.args[0]).shape, arg),
        [left, right] => binary(&node.op, left, right),
        _ => unreachable!("{} has one operand or two", node.name),
    }
}

/// A node with one operand; `shape` is the operand's.
fn unary(node: &Node<Op>, shape: &[usize], x: &[f64]) -> Vec<f64> {
    match &node.op {
        Op::Input | Op::Add | Op::Sub | Op::Mul => unreachable!("{} does not have one operand", node.name),
        Op::Dense { weights, bias } => dense::dense(weights, bias, x),
        Op::Conv(op) => conv::conv(op, shape, &node.shape, x),
        Op::BatchNorm(op) | Op::Affine(op) => affine(op, shape, x),
        Op::AveragePool(op) => pool::average(op, shape, &node.shape, x),
        Op::MaxPool(op) => pool::max(op, shape, &node.shape, x),
        Op::GlobalAveragePool => pool::global_average(node.len(), x),
        Op::Pad(op) => pad::pad(op, shape, &node.shape, x),
        Op::Select(op) => op.of(x),
        Op::Activation(op) => op.apply_all(x),
        Op::Square => x.iter().map(|&x| x * x).collect(),
        Op::Pow(exponent) => x.iter().map(|&x| power(x, *exponent)).collect(),
        Op::Polynomial(op) => polynomial::polynomial(op, shape, x),
        Op::Chebyshev(op) => polynomial::chebyshev(op, shape, x),
        Op::Reshape | Op::Identity => x.to_vec(),
    }
}

fn binary(op: &Op, left: &[f64], right: &[f64]) -> Vec<f64> {
    assert_eq!(left.len(), right.len(), "operands of equal shape");
    let pairs = left.iter().zip(right);
    match op {
        Op::Add => pairs.map(|(l, r)| l + r).collect(),
        Op::Sub => pairs.map(|(l, r)| l - r).collect(),
        Op::Mul => pairs.map(|(l, r)| l * r).collect(),
        Op::Input
        | Op::Dense { .. }
        | Op::Conv(_)
        | Op::BatchNorm(_)
        | Op::Affine(_)
        | Op::AveragePool(_)
        | Op::MaxPool(_)
        | Op::GlobalAveragePool
        | Op::Pad(_)
        | Op::Select(_)
        | Op::Activation(_)
        | Op::Square
        | Op::Pow(_)
        | Op::Polynomial(_)
        | Op::Chebyshev(_)
        | Op::Reshape
        | Op::Identity => unreachable!("{op:?} does not have two operands"),
    }
}

fn affine(op: &Affine, shape: &[usize], x: &[f64]) -> Vec<f64> {
    let mut out = Vec::with_capacity(x.len());
    let entries = op.scale.iter().zip(op.shift.iter());
    for (x, (scale, shift)) in x.chunks(op.granularity.run(shape).max(1)).zip(entries) {
        out.extend(x.iter().map(|x| scale * x + shift));
    }
    out
}

/// `x^exponent` by repeated squaring: `f64::powi` may round differently on another platform.
fn power(x: f64, exponent: u32) -> f64 {
    let (mut result, mut base, mut left) = (1.0, x, exponent);
    while left > 0 {
        if left & 1 == 1 {
            result *= base;
        }
        base *= base;
        left >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use ndarray::{arr1, arr2};

    use super::*;
    use crate::graph::GraphBuilder;
    use crate::nn::{Activation, Granularity, Polynomial};

    /// A graph of an input of `shape` and the given single-operand nodes in a chain.
    fn chain(shape: &[usize], ops: Vec<(Op, Vec<usize>)>) -> Graph<Op> {
        let mut builder = GraphBuilder::default();
        let mut last = builder.push("x", Op::Input, &[], shape);
        for (op, shape) in ops {
            last = builder.push("node", op, &[last], &shape);
        }
        builder.finish(last)
    }

    #[test]
    fn a_two_layer_network_matches_the_sum_written_by_hand() {
        let dense = |weights, bias| Op::Dense { weights, bias };
        let graph = chain(
            &[2],
            vec![
                (
                    dense(
                        arr2(&[[1.0, -2.0], [0.5, 4.0]]).into_shared(),
                        arr1(&[0.25, -1.0]).into_shared(),
                    ),
                    vec![2],
                ),
                (Op::Activation(Activation::Relu), vec![2]),
                (
                    dense(arr2(&[[3.0, 2.0]]).into_shared(), arr1(&[1.0]).into_shared()),
                    vec![1],
                ),
            ],
        );
        // W x + b = (1 - 4 + 0.25, 0.5 + 8 - 1) = (-2.75, 7.5)
        assert_eq!(evaluate(&graph, &[1.0, 2.0]), [16.0]);
        assert_eq!(evaluate_nodes(&graph, &[1.0, 2.0])[1], [-2.75, 7.5]);
    }

    #[test]
    fn a_channel_of_an_affine_covers_its_plane() {
        let op = Op::Affine(Affine {
            granularity: Granularity::Channel,
            scale: arr1(&[2.0, 10.0]).into_shared(),
            shift: arr1(&[0.0, 1.0]).into_shared(),
        });
        let graph = chain(&[2, 1, 2], vec![(op, vec![2, 1, 2])]);
        assert_eq!(evaluate(&graph, &[1.0, 2.0, 3.0, 4.0]), [2.0, 4.0, 31.0, 41.0]);
    }

    #[test]
    fn polynomials_and_powers_agree() {
        let cube = Op::Polynomial(Polynomial {
            granularity: Granularity::Tensor,
            coefficients: arr2(&[[0.0, 0.0, 0.0, 1.0]]).into_shared(),
        });
        let input = [-1.5, 0.0, 2.0];
        let expected = [-3.375, 0.0, 8.0];
        assert_eq!(evaluate(&chain(&[3], vec![(cube, vec![3])]), &input), expected);
        assert_eq!(evaluate(&chain(&[3], vec![(Op::Pow(3), vec![3])]), &input), expected);
    }

    #[test]
    fn two_operands_are_taken_in_order() {
        let mut builder = GraphBuilder::default();
        let x = builder.push("x", Op::Input, &[], &[2]);
        let square = builder.push("square", Op::Square, &[x], &[2]);
        let difference = builder.push("difference", Op::Sub, &[square, x], &[2]);
        assert_eq!(evaluate(&builder.finish(difference), &[3.0, -1.0]), [6.0, 2.0]);
    }
}
