//! The reverse pass: gradients of a weighted sum of outputs with respect to every node's value.
//!
//! One pass costs about as much as one evaluation. It tells how much an error anywhere in the network moves the output.

use crate::graph::{Graph, Node, NodeId};
use crate::nn::{Activation, Affine, Chebyshev, Op, Pad, Polynomial, Pool, Select};

use super::pool::window_elements;
use super::transposed::transposed;

/// Step of the difference quotient that stands for an activation's derivative, relative to the operand where that is large.
const STEP: f64 = 1e-6;

/// Gradients of `Σ seed_i y_i` with respect to the values of every node, by [`NodeId::index`].
///
/// # Shapes
/// `values`: those of every node for one sample, as [`evaluate_nodes`](crate::evaluate_nodes) gives them. `seed`: as many as
/// the network has outputs. Result: as `values`; zero where the output does not depend on a node.
///
/// # Panics
/// If the shapes are not those of the graph.
pub fn gradients(graph: &Graph<Op>, values: &[Vec<f64>], seed: &[f64]) -> Vec<Vec<f64>> {
    let mut gradients: Vec<Vec<f64>> = graph.iter().map(|(_, node)| vec![0.0; node.len()]).collect();
    gradients[graph.output().index()].copy_from_slice(seed);
    for (id, node) in graph.iter().rev() {
        let own = std::mem::take(&mut gradients[id.index()]);
        let value = |arg: NodeId| values[arg.index()].as_slice();
        match node.args[..] {
            [] => {}
            [arg] => {
                let shape = &graph.node(arg).shape;
                add_to(&mut gradients[arg.index()], &unary(node, shape, value(arg), &own));
            }
            [left, right] => {
                let (to_left, to_right) = binary(&node.op, value(left), value(right), &own);
                add_to(&mut gradients[left.index()], &to_left);
                add_to(&mut gradients[right.index()], &to_right);
            }
            _ => unreachable!("{} has one operand or two", node.name),
        }
        gradients[id.index()] = own;
    }
    gradients
}

fn add_to(sum: &mut [f64], added: &[f64]) {
    sum.iter_mut().zip(added).for_each(|(sum, added)| *sum += added);
}

/// The gradient of a node's only operand `x`; `shape` is the operand's.
fn unary(node: &Node<Op>, shape: &[usize], x: &[f64], g: &[f64]) -> Vec<f64> {
    let each = |slope: &dyn Fn(f64) -> f64| x.iter().zip(g).map(|(&x, g)| g * slope(x)).collect();
    match &node.op {
        Op::Input | Op::Add | Op::Sub | Op::Mul => unreachable!("{} does not have one operand", node.name),
        Op::Dense { weights, .. } => {
            let mut sum = vec![0.0; x.len()];
            for (row, g) in weights.rows().into_iter().zip(g) {
                sum.iter_mut().zip(row).for_each(|(sum, w)| *sum += w * g);
            }
            sum
        }
        Op::Conv(op) => transposed(op, shape, &node.shape, g),
        Op::BatchNorm(op) | Op::Affine(op) => affine(op, shape, g),
        Op::AveragePool(op) => average(op, shape, &node.shape, g),
        Op::MaxPool(op) => largest(op, shape, &node.shape, (x, g)),
        Op::GlobalAveragePool => {
            let area = x.len() / g.len().max(1);
            g.iter()
                .flat_map(|g| std::iter::repeat_n(g / area as f64, area))
                .collect()
        }
        Op::Pad(op) => unpad(op, shape, &node.shape, g),
        Op::Select(op) => unselect(op, x.len(), g),
        Op::Activation(op) => each(&|x| derivative(*op, x)),
        Op::Square => each(&|x| 2.0 * x),
        Op::Pow(exponent) => each(&|x| f64::from(*exponent) * super::power(x, exponent - 1)),
        Op::Polynomial(op) => polynomial(op, shape, x, g),
        Op::Chebyshev(op) => chebyshev(op, shape, x, g),
        Op::Reshape | Op::Identity => g.to_vec(),
    }
}

fn binary(op: &Op, left: &[f64], right: &[f64], g: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let times = |x: &[f64]| g.iter().zip(x).map(|(g, x)| g * x).collect();
    match op {
        Op::Add => (g.to_vec(), g.to_vec()),
        Op::Sub => (g.to_vec(), g.iter().map(|g| -g).collect()),
        Op::Mul => (times(right), times(left)),
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

fn derivative(op: Activation, x: f64) -> f64 {
    let step = STEP * x.abs().max(1.0);
    (op.apply(x + step) - op.apply(x - step)) / (2.0 * step)
}

fn affine(op: &Affine, shape: &[usize], g: &[f64]) -> Vec<f64> {
    let scale = |element: usize| op.scale[op.granularity.entry(element, shape)];
    g.iter().enumerate().map(|(element, g)| g * scale(element)).collect()
}

fn polynomial(op: &Polynomial, shape: &[usize], x: &[f64], g: &[f64]) -> Vec<f64> {
    let slope = |element: usize, x: f64| {
        let row = op.coefficients.row(op.granularity.entry(element, shape));
        let terms = row.iter().enumerate().skip(1).rev();
        terms.fold(0.0, |sum, (k, c)| sum * x + k as f64 * c)
    };
    let pairs = x.iter().zip(g).enumerate();
    pairs.map(|(element, (&x, g))| g * slope(element, x)).collect()
}

fn chebyshev(op: &Chebyshev, shape: &[usize], x: &[f64], g: &[f64]) -> Vec<f64> {
    let rows: Vec<Vec<f64>> = op.coefficients.rows().into_iter().map(|row| row.to_vec()).collect();
    let slope = |element: usize, x| heron_params::chebyshev_derivative(&rows[op.granularity.entry(element, shape)], x);
    let pairs = x.iter().zip(g).enumerate();
    pairs.map(|(element, (&x, g))| g * slope(element, x)).collect()
}

/// The part of a padded tensor that was there before.
fn unpad(op: &Pad, shape: &[usize], out_shape: &[usize], g: &[f64]) -> Vec<f64> {
    let position = |mut element: usize| {
        let (mut at, mut stride) = (0, 1);
        for axis in (0..shape.len()).rev() {
            at += (element % shape[axis] + op.amounts[axis].0) * stride;
            element /= shape[axis];
            stride *= out_shape[axis];
        }
        at
    };
    (0..shape.iter().product())
        .map(|element| g[position(element)])
        .collect()
}

/// Every element gets the gradients of all its copies.
fn unselect(op: &Select, operand_len: usize, g: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; operand_len];
    for (source, g) in op.sources.iter().zip(g) {
        if let Some(source) = source {
            sum[*source as usize] += g;
        }
    }
    sum
}

fn average(op: &Pool, shape: &[usize], out_shape: &[usize], g: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; shape.iter().product()];
    let area = op.kernel[0] * op.kernel[1];
    for (output, g) in g.iter().enumerate() {
        let elements: Vec<usize> = window_elements(op, shape, out_shape, output).collect();
        let counted = if op.count_include_pad { area } else { elements.len() };
        elements.iter().for_each(|&element| sum[element] += g / counted as f64);
    }
    sum
}

fn largest(op: &Pool, shape: &[usize], out_shape: &[usize], (x, g): (&[f64], &[f64])) -> Vec<f64> {
    let mut sum = vec![0.0; shape.iter().product()];
    for (output, g) in g.iter().enumerate() {
        let elements = window_elements(op, shape, out_shape, output);
        if let Some(at) = elements.reduce(|best, element| if x[element] > x[best] { element } else { best }) {
            sum[at] += g;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, Array4};

    use super::*;
    use crate::evaluate_nodes;
    use crate::graph::GraphBuilder;
    use crate::nn::{Conv, Gelu, Granularity};

    fn number(i: usize) -> f64 {
        ((i * 7919 + 13) % 101) as f64 / 50.0 - 1.0
    }

    fn pool(pads: [usize; 4], count_include_pad: bool) -> Pool {
        Pool {
            kernel: [2, 2],
            strides: [2, 2],
            pads,
            count_include_pad,
        }
    }

    /// Every operation with gradients of its own, one after the other:
    /// one node of every kind; weights are small so that the powers at the end stay within reach of difference quotients.
    fn network() -> Graph<Op> {
        let mut out = GraphBuilder::default();
        let x = out.push("x", Op::Input, &[], &[2, 6, 6]);
        let conv = Conv {
            weights: Array4::from_shape_fn((4, 1, 3, 3), |(a, _, b, c)| number(a * 9 + b * 3 + c) / 4.0).into(),
            bias: Array1::from_elem(4, 0.1).into_shared(),
            strides: [1, 1],
            pads: [1, 0, 1, 2],
            dilations: [1, 1],
            groups: 2,
        };
        let conv = out.push("conv", Op::Conv(conv), &[x], &[4, 6, 6]);
        let affine = Affine {
            granularity: Granularity::Channel,
            scale: Array1::from_shape_fn(4, |i| 0.5 + number(i)).into_shared(),
            shift: Array1::zeros(4).into_shared(),
        };
        let norm = out.push("norm", Op::BatchNorm(affine), &[conv], &[4, 6, 6]);
        let gelu = Op::Activation(Activation::Gelu(Gelu::Erf));
        let gelu = out.push("gelu", gelu, &[norm], &[4, 6, 6]);
        let sum = out.push("add", Op::Add, &[gelu, conv], &[4, 6, 6]);
        let product = out.push("mul", Op::Mul, &[sum, norm], &[4, 6, 6]);
        let max = out.push("max", Op::MaxPool(pool([0; 4], true)), &[product], &[4, 3, 3]);
        let mean = out.push("mean", Op::AveragePool(pool([1, 1, 0, 0], false)), &[max], &[4, 2, 2]);
        let padding = Pad {
            amounts: vec![(0, 0), (1, 0), (0, 1)],
            value: 0.3,
        };
        let padded = out.push("pad", Op::Pad(padding), &[mean], &[4, 3, 3]);
        let square = out.push("square", Op::Square, &[padded], &[4, 3, 3]);
        let difference = out.push("sub", Op::Sub, &[square, padded], &[4, 3, 3]);
        let global = out.push("global", Op::GlobalAveragePool, &[difference], &[4, 1, 1]);
        let flat = out.push("flat", Op::Reshape, &[global], &[4]);
        let cubic = Polynomial {
            granularity: Granularity::Element,
            coefficients: Array2::from_shape_fn((4, 4), |(i, k)| number(4 * i + k) / 4.0).into_shared(),
        };
        let cubic = out.push("cubic", Op::Polynomial(cubic), &[flat], &[4]);
        let expansion = Chebyshev {
            granularity: Granularity::Tensor,
            parity: heron_plan::Parity::General,
            coefficients: Array2::from_shape_fn((1, 5), |(_, k)| number(k + 3)).into_shared(),
        };
        let expansion = out.push("expansion", Op::Chebyshev(expansion), &[cubic], &[4]);
        let power = out.push("power", Op::Pow(3), &[expansion], &[4]);
        let dense = Op::Dense {
            weights: Array2::from_shape_fn((3, 4), |(r, c)| number(r * 4 + c)).into_shared(),
            bias: Array1::zeros(3).into_shared(),
        };
        let chosen = Select {
            sources: [Some(3), Some(0), None, Some(3)].into(),
        };
        let chosen = out.push("chosen", Op::Select(chosen), &[power], &[4]);
        let dense = out.push("dense", dense, &[chosen], &[3]);
        out.finish(dense)
    }

    #[test]
    fn gradients_are_difference_quotients() {
        let graph = network();
        let x: Vec<f64> = (0..72).map(|i| number(i * 3 + 1)).collect();
        let seed = [0.5, -1.0, 2.0];
        let output = |x: &[f64]| {
            let y = crate::evaluate(&graph, x);
            y.iter().zip(seed).map(|(y, seed)| y * seed).sum::<f64>()
        };
        let found = gradients(&graph, &evaluate_nodes(&graph, &x), &seed);
        let step = 1e-5;
        for element in 0..x.len() {
            let at = |shift: f64| {
                let mut moved = x.clone();
                moved[element] += shift;
                output(&moved)
            };
            let quotient = (at(step) - at(-step)) / (2.0 * step);
            // The quotient errs by the third derivative times the squared step.
            let error = (found[0][element] - quotient).abs();
            assert!(
                error < 1e-6 * (1.0 + quotient.abs()),
                "element {element}: {} {quotient}",
                found[0][element]
            );
        }
    }
}
