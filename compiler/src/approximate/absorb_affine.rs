//! Absorbs affine maps into the linear maps next to them.
//!
//! ```text
//! %1 = dense(%0)           %1 = dense(%0)   W' = diag(s)·W   b' = s ⊙ b + t
//! %2 = affine(%1, s, t) →
//!
//! %1 = affine(%0, s, t) →
//! %2 = dense(%1)           %2 = dense(%0)   W' = W·diag(s)   b' = b + W·t
//! ```
//!
//! An affine map after a sum with a linear map goes to both of its sides, so that it is absorbed there:
//!
//! ```text
//! %2 = add(%1, %0)            %1' = affine(%1, s, t)   %0' = affine(%0, s, 0)
//! %3 = affine(%2, s, t)  →    %2 = add(%1', %0')
//! ```
//!
//! Convolutions take part where the affine map is constant on channels; a shift does not pass into a padded convolution,
//! whose border it would change: there the scale alone does, and the shift stays as a level-free addition. An affine map
//! passes a reshape. Saves a plaintext product, hence a level, each time. An affine map after a linear map that something
//! else reads too stays.

use std::convert::Infallible;

use ndarray::{ArcArray1, Array1, Axis};

use crate::graph::{Graph, GraphBuilder, Node, NodeId};
use crate::he::Op;
use crate::nn::{Affine, Conv, Granularity};

/// Absorbs until nothing changes.
pub(crate) fn absorb_affine(graph: &Graph<Op>) -> Graph<Op> {
    let mut graph = graph.clone();
    loop {
        let next = absorb_once(&graph);
        if next == graph {
            return graph;
        }
        graph = next;
    }
}

fn absorb_once(graph: &Graph<Op>) -> Graph<Op> {
    let uses = graph.use_counts();
    let rebuilt = graph.rebuild(|out, _, node, args| {
        let absorbed = match (&node.op, node.args.as_slice()) {
            (Op::Affine(affine), _) if is_identity(affine) => Some(args[0]),
            // What an identity gave way to may have other readers: the next round sees them.
            (Op::Affine(affine), [arg]) if uses[arg.index()] == 1 && is_sum(graph.node(*arg)) => {
                let sum = graph.node(*arg);
                let absorbs = |side: usize| {
                    let operand = sum.args[side];
                    uses[operand.index()] == 1 && matches!(graph.node(operand).op, Op::Dense { .. } | Op::Conv(_))
                };
                across_sum(out, affine, node, args[0], [absorbs(0), absorbs(1)])
            }
            (Op::Affine(affine), [arg]) if uses[arg.index()] == 1 && !is_identity_node(graph.node(*arg)) => {
                into_operand(out, affine, node, args[0])
            }
            (Op::Dense { .. } | Op::Conv(_) | Op::Reshape, [_]) => from_operand(out, node, args[0]),
            _ => None,
        };
        Ok::<_, Infallible>(absorbed.unwrap_or_else(|| out.push(&node.name, node.op.clone(), args, &node.shape)))
    });
    let Ok(rebuilt) = rebuilt;
    rebuilt
}

fn is_identity_node(node: &Node<Op>) -> bool {
    matches!(&node.op, Op::Affine(affine) if is_identity(affine))
}

fn is_identity(affine: &Affine) -> bool {
    affine.scale.iter().all(|&s| s == 1.0) && affine.shift.iter().all(|&t| t == 0.0)
}

/// An affine map after a node that nothing else reads, absorbed by that node.
fn into_operand(out: &mut GraphBuilder<Op>, affine: &Affine, node: &Node<Op>, arg: NodeId) -> Option<NodeId> {
    let before = out.node(arg);
    let (name, args, shape) = (before.name.clone(), before.args.clone(), before.shape.clone());
    let op = match &before.op {
        Op::Dense { weights, bias } => {
            let (scale, shift) = per_channel(affine, &node.shape)?;
            let weights = &weights.to_owned() * &scale.view().insert_axis(Axis(1));
            Op::Dense {
                weights: weights.into_shared(),
                bias: (bias * &scale + &shift).into_shared(),
            }
        }
        Op::Conv(conv) => {
            let (scale, shift) = per_channel(affine, &node.shape)?;
            Op::Conv(scale_rows(conv, &scale, &shift))
        }
        Op::Affine(first) => Op::Affine(compose(first, affine, &node.shape)),
        Op::Input
        | Op::AveragePool(_)
        | Op::GlobalAveragePool
        | Op::Pad(_)
        | Op::Select(_)
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Square
        | Op::Polynomial(_)
        | Op::Reshape => return None,
    };
    Some(out.push(&name, op, &args, &shape))
}

fn is_sum(node: &Node<Op>) -> bool {
    matches!(node.op, Op::Add | Op::Sub)
}

/// An affine map after a sum one of whose operands is a linear map: both operands are scaled instead.
///
/// The linear map absorbs its scale in the next round; the other operand, a skip connection, takes one product, on a path
/// that is at least a level shorter. The shift goes to the side that absorbs, where it costs nothing.
fn across_sum(
    out: &mut GraphBuilder<Op>,
    affine: &Affine,
    node: &Node<Op>,
    sum: NodeId,
    absorbs: [bool; 2],
) -> Option<NodeId> {
    let before = out.node(sum);
    let (op, args, name, shape) = (
        before.op.clone(),
        before.args.clone(),
        before.name.clone(),
        before.shape.clone(),
    );
    if absorbs == [false, false] || affine.scale.iter().all(|&s| s == 1.0) {
        return None;
    }
    let shifted = usize::from(!absorbs[0]);
    let sign = if op == Op::Sub && shifted == 1 { -1.0 } else { 1.0 };
    let mut scaled = |side: usize| {
        let shift = match side == shifted {
            true => affine.shift.mapv(|t| sign * t).into_shared(),
            false => affine.shift.mapv(|_| 0.0).into_shared(),
        };
        let part = Affine {
            shift,
            ..affine.clone()
        };
        let operand_name = out.node(args[side]).name.clone();
        out.push(&operand_name, Op::Affine(part), &[args[side]], &shape)
    };
    let parts = [scaled(0), scaled(1)];
    debug_assert_eq!(node.shape, shape, "an affine map keeps the shape of {name}");
    Some(out.push(&name, op, &parts, &shape))
}

/// A linear map or reshape after an affine map, which it absorbs or passes.
fn from_operand(out: &mut GraphBuilder<Op>, node: &Node<Op>, arg: NodeId) -> Option<NodeId> {
    let before = out.node(arg);
    let Op::Affine(affine) = &before.op else { return None };
    let (affine, operand, shape, name) = (
        affine.clone(),
        before.args[0],
        before.shape.clone(),
        before.name.clone(),
    );
    match &node.op {
        Op::Dense { weights, bias } => {
            let (scale, shift) = per_element(&affine, &shape);
            let bias = bias + &weights.dot(&shift);
            let weights = (weights * &scale).into_shared();
            let op = Op::Dense {
                weights,
                bias: bias.into_shared(),
            };
            Some(out.push(&node.name, op, &[operand], &node.shape))
        }
        Op::Conv(conv) => conv_after(out, node, conv, (&affine, &name, &shape), operand),
        Op::Reshape => {
            let reshaped = out.push(&node.name, Op::Reshape, &[operand], &node.shape);
            let (scale, shift) = per_element(&affine, &shape);
            let affine = Affine {
                granularity: Granularity::Element,
                scale: scale.into_shared(),
                shift: shift.into_shared(),
            };
            Some(out.push(&name, Op::Affine(affine), &[reshaped], &node.shape))
        }
        Op::Input
        | Op::Affine(_)
        | Op::AveragePool(_)
        | Op::GlobalAveragePool
        | Op::Pad(_)
        | Op::Select(_)
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Polynomial(_)
        | Op::Square => None,
    }
}

/// A convolution after an affine map that is constant on channels. Where the convolution pads, only the scale passes in.
fn conv_after(
    out: &mut GraphBuilder<Op>,
    node: &Node<Op>,
    conv: &Conv,
    (affine, name, shape): (&Affine, &str, &[usize]),
    operand: NodeId,
) -> Option<NodeId> {
    let (scale, shift) = per_channel(affine, shape)?;
    if conv.pads == [0; 4] || shift.iter().all(|&t| t == 0.0) {
        return Some(out.push(
            &node.name,
            Op::Conv(scale_columns(conv, &scale, &shift)),
            &[operand],
            &node.shape,
        ));
    }
    if scale.iter().all(|&s| s == 1.0) || scale.iter().any(|&s| s == 0.0) {
        return None;
    }
    let ones = Array1::ones(scale.len());
    let shift = Affine {
        granularity: Granularity::Channel,
        scale: ones.into_shared(),
        shift: (&shift / &scale).into_shared(),
    };
    let shifted = out.push(name, Op::Affine(shift), &[operand], shape);
    let zeros = Array1::zeros(scale.len());
    Some(out.push(
        &node.name,
        Op::Conv(scale_columns(conv, &scale, &zeros)),
        &[shifted],
        &node.shape,
    ))
}

/// A convolution followed by one scale and shift an output channel.
fn scale_rows(conv: &Conv, scale: &Array1<f64>, shift: &Array1<f64>) -> Conv {
    let mut weights = conv.weights.as_ref().clone();
    for (mut kernel, &scale) in weights.axis_iter_mut(Axis(0)).zip(scale) {
        kernel *= scale;
    }
    Conv {
        weights: weights.into(),
        bias: (&conv.bias * scale + shift).into_shared(),
        ..conv.clone()
    }
}

/// A convolution of an operand with one scale and shift an input channel.
fn scale_columns(conv: &Conv, scale: &Array1<f64>, shift: &Array1<f64>) -> Conv {
    let mut weights = conv.weights.as_ref().clone();
    let mut bias = conv.bias.to_owned();
    let (n_out, per_group) = (weights.dim().0, weights.dim().1);
    for (output, mut kernels) in weights.axis_iter_mut(Axis(0)).enumerate() {
        let first = output * conv.groups / n_out * per_group;
        for (input, mut kernel) in kernels.axis_iter_mut(Axis(0)).enumerate() {
            bias[output] += kernel.sum() * shift[first + input];
            kernel *= scale[first + input];
        }
    }
    Conv {
        weights: weights.into(),
        bias: bias.into_shared(),
        ..conv.clone()
    }
}

/// `second` after `first`.
fn compose(first: &Affine, second: &Affine, shape: &[usize]) -> Affine {
    let granularity = first.granularity.max(second.granularity);
    let (scale1, shift1) = spread(first, granularity, shape);
    let (scale2, shift2) = spread(second, granularity, shape);
    let shift = &shift1 * &scale2 + &shift2;
    Affine {
        granularity,
        scale: (scale1 * scale2).into_shared(),
        shift: shift.into_shared(),
    }
}

fn per_channel(affine: &Affine, shape: &[usize]) -> Option<(Array1<f64>, Array1<f64>)> {
    let channels = Granularity::Channel.entries(shape);
    let elements = Granularity::Element.entries(shape);
    let fits = affine.granularity <= Granularity::Channel || channels == elements;
    fits.then(|| match affine.granularity {
        Granularity::Element => spread(affine, Granularity::Element, shape),
        Granularity::Tensor | Granularity::Channel => spread(affine, Granularity::Channel, shape),
    })
}

fn per_element(affine: &Affine, shape: &[usize]) -> (Array1<f64>, Array1<f64>) {
    spread(affine, Granularity::Element, shape)
}

/// The scale and shift with the entries of a granularity that is not coarser.
fn spread(affine: &Affine, granularity: Granularity, shape: &[usize]) -> (Array1<f64>, Array1<f64>) {
    let entries = granularity.entries(shape);
    let width = Granularity::Element.entries(shape) / entries.max(1);
    let entry = |index: usize| affine.granularity.entry(index * width, shape);
    let pick = |values: &ArcArray1<f64>| Array1::from_shape_fn(entries, |index| values[entry(index)]);
    (pick(&affine.scale), pick(&affine.shift))
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::he::ClearPolynomial;

    fn matrix(rows: usize, cols: usize, seed: f64) -> Array2<f64> {
        Array2::from_shape_fn((rows, cols), |(r, c)| ((r * 7 + c * 3) as f64 * seed).sin())
    }

    fn dense(rows: usize, cols: usize, seed: f64) -> Op {
        let bias = Array1::from_shape_fn(rows, |r| (r as f64 * seed).cos()).into_shared();
        Op::Dense {
            weights: matrix(rows, cols, seed).into_shared(),
            bias,
        }
    }

    fn affine(granularity: Granularity, entries: usize) -> Op {
        Op::Affine(Affine {
            granularity,
            scale: Array1::from_shape_fn(entries, |i| 0.5 + i as f64).into_shared(),
            shift: Array1::from_shape_fn(entries, |i| i as f64 - 0.75).into_shared(),
        })
    }

    fn conv(channels: [usize; 2], pad: usize, groups: usize) -> Op {
        let weights = ndarray::Array4::from_shape_fn((channels[0], channels[1] / groups, 3, 3), |(a, b, c, d)| {
            ((a * 31 + b * 17 + c * 5 + d) as f64).sin()
        });
        Op::Conv(Conv {
            weights: weights.into(),
            bias: Array1::from_elem(channels[0], 0.3).into_shared(),
            strides: [1, 1],
            pads: [pad; 4],
            dilations: [1, 1],
            groups,
        })
    }

    /// Absorbs in a chain of nodes; the names of the operations left, after checking that the meaning did not change.
    #[track_caller]
    fn check(shape: &[usize], ops: Vec<(Op, Vec<usize>)>) -> Vec<&'static str> {
        let mut out = GraphBuilder::default();
        let mut last = out.push("x", Op::Input, &[], shape);
        for (op, shape) in ops {
            last = out.push("node", op, &[last], &shape);
        }
        let graph = out.finish(last);
        check_graph(&graph)
    }

    #[track_caller]
    fn check_graph(graph: &Graph<Op>) -> Vec<&'static str> {
        let absorbed = absorb_affine(graph);
        let len = graph.iter().next().map_or(0, |(_, node)| node.len());
        let input: Vec<f64> = (0..len).map(|i| (i as f64 * 1.3).sin()).collect();
        let (before, after) = (
            ClearPolynomial::new(graph).output(&input),
            ClearPolynomial::new(&absorbed).output(&input),
        );
        for (before, after) in before.iter().zip(&after) {
            assert!(
                (before - after).abs() < 1e-11 * (1.0 + before.abs()),
                "{after} is not {before}"
            );
        }
        absorbed.iter().map(|(_, node)| node.op.name()).collect()
    }

    #[test]
    fn folds_around_a_square() {
        let ops = vec![
            (dense(4, 3, 0.7), vec![4]),
            (affine(Granularity::Channel, 4), vec![4]),
            (Op::Square, vec![4]),
            (affine(Granularity::Tensor, 1), vec![4]),
            (dense(2, 4, 0.3), vec![2]),
        ];
        assert_eq!(check(&[3], ops), ["Input", "Dense", "Square", "Dense"]);
    }

    #[test]
    fn composes_affine_maps() {
        let ops = vec![
            (affine(Granularity::Tensor, 1), vec![3]),
            (affine(Granularity::Element, 3), vec![3]),
            (Op::Square, vec![3]),
        ];
        assert_eq!(check(&[3], ops), ["Input", "Affine", "Square"]);
    }

    #[test]
    fn passes_a_reshape() {
        let ops = vec![
            (Op::Square, vec![2, 2, 2]),
            (affine(Granularity::Channel, 2), vec![2, 2, 2]),
            (Op::Reshape, vec![8]),
            (dense(3, 8, 0.4), vec![3]),
        ];
        assert_eq!(check(&[2, 2, 2], ops), ["Input", "Square", "Reshape", "Dense"]);
    }

    #[test]
    fn folds_into_convolutions() {
        let ops = vec![
            (affine(Granularity::Channel, 2), vec![2, 5, 5]),
            (conv([4, 2], 0, 2), vec![4, 3, 3]),
            (affine(Granularity::Channel, 4), vec![4, 3, 3]),
        ];
        assert_eq!(check(&[2, 5, 5], ops), ["Input", "Conv"]);
    }

    #[test]
    fn scales_a_skip_connection_so_that_the_layer_beside_it_absorbs() {
        for op in [Op::Add, Op::Sub] {
            for layer_first in [true, false] {
                let mut out = GraphBuilder::default();
                let x = out.push("x", Op::Input, &[], &[3]);
                let square = out.push("square", Op::Square, &[x], &[3]);
                let layer = out.push("fc", dense(3, 3, 0.9), &[square], &[3]);
                let sides = if layer_first { [layer, square] } else { [square, layer] };
                let sum = out.push("sum", op.clone(), &sides, &[3]);
                let scaled = out.push("act", affine(Granularity::Channel, 3), &[sum], &[3]);
                let root = out.push("act", Op::Square, &[scaled], &[3]);
                let mut names = check_graph(&out.finish(root));
                names.sort_unstable();
                let sum = op.name();
                let mut expected = ["Input", "Square", "Affine", "Dense", sum, "Square"];
                expected.sort_unstable();
                assert_eq!(names, expected);
            }
        }
    }

    #[test]
    fn keeps_an_affine_map_after_a_sum_that_no_layer_is_part_of() {
        let mut out = GraphBuilder::default();
        let x = out.push("x", Op::Input, &[], &[3]);
        let square = out.push("square", Op::Square, &[x], &[3]);
        let sum = out.push("sum", Op::Add, &[square, x], &[3]);
        let scaled = out.push("scale", affine(Granularity::Channel, 3), &[sum], &[3]);
        assert_eq!(check_graph(&out.finish(scaled)), ["Input", "Square", "Add", "Affine"]);
    }

    #[test]
    fn keeps_a_shift_before_a_padded_convolution() {
        let ops = vec![
            (affine(Granularity::Channel, 2), vec![2, 5, 5]),
            (conv([4, 2], 1, 1), vec![4, 5, 5]),
        ];
        assert_eq!(check(&[2, 5, 5], ops), ["Input", "Affine", "Conv"]);
    }

    #[test]
    fn keeps_an_affine_map_after_a_layer_that_is_read_twice() {
        let mut out = GraphBuilder::default();
        let x = out.push("x", Op::Input, &[], &[3]);
        let layer = out.push("fc", dense(3, 3, 0.9), &[x], &[3]);
        let scaled = out.push("scale", affine(Granularity::Channel, 3), &[layer], &[3]);
        let product = out.push("mul", Op::Mul, &[layer, scaled], &[3]);
        let graph = out.finish(product);
        assert_eq!(check_graph(&graph), ["Input", "Dense", "Affine", "Mul"]);
    }
}
