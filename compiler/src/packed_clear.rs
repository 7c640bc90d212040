//! Slot-level clear evaluation of a packed network: the semantic gate's view of what the packer made.
//!
//! It rotates, multiplies by diagonals and folds exactly as a plan would, in f64, and knows nothing of matrices.

use heron_params::chebyshev_value;
use heron_plan::{Constant, Diagonals, LinearMap, SlotPolynomial, Weights};

use crate::slots::{Compute, Packed};

/// The network's output for several samples, read from the slots.
///
/// # Shapes
/// `inputs`: vectors as long as the network's input. Result: one output vector each.
///
/// # Panics
/// If an input has another length.
pub fn evaluate_packed(packed: &Packed, inputs: &[&[f64]]) -> Vec<Vec<f64>> {
    let slots = packed.slots.0 as usize;
    let mut values: Vec<Vec<Vec<f64>>> = Vec::with_capacity(packed.graph.len());
    for (_, node) in packed.graph.iter() {
        let layout = node.op.layout;
        let arg = |index: usize| &values[node.args[index].index()];
        let spread = |constant: &Constant| spread(constant, &packed.weights, slots);
        let pairs = |combine: fn(f64, f64) -> f64| -> Vec<Vec<f64>> {
            let zip = |(l, r): (&Vec<f64>, &Vec<f64>)| l.iter().zip(r).map(|(&l, &r)| combine(l, r)).collect();
            arg(0).iter().zip(arg(1)).map(zip).collect()
        };
        let result = match &node.op.compute {
            Compute::Input => inputs.iter().map(|input| layout.spread(input, slots)).collect(),
            Compute::Linear { map, bias } => {
                let bias = layout.spread(tensor(&packed.weights, *bias), slots);
                let mut sums = apply_map(map, &packed.weights, arg(0));
                sums.iter_mut().for_each(|sum| add_to(sum, &bias));
                sums
            }
            Compute::Scale { factor, shift } => {
                let (factor, shift) = (spread(factor), spread(shift));
                let scale = |x: &Vec<f64>| x.iter().zip(&factor).zip(&shift).map(|((x, f), t)| x * f + t).collect();
                arg(0).iter().map(scale).collect()
            }
            Compute::Shift(shift) => {
                let shift = spread(shift);
                arg(0)
                    .iter()
                    .map(|x| x.iter().zip(&shift).map(|(x, t)| x + t).collect())
                    .collect()
            }
            Compute::Add => pairs(|l, r| l + r),
            Compute::Sub => pairs(|l, r| l - r),
            Compute::Mul => pairs(|l, r| l * r),
            Compute::Polynomial(poly) => {
                let data = tensor(&packed.weights, poly.coefficients);
                arg(0).iter().map(|x| apply_polynomial(poly, data, x)).collect()
            }
            Compute::Square => arg(0).iter().map(|x| x.iter().map(|x| x * x).collect()).collect(),
        };
        values.push(result);
    }
    let output = packed.graph.output();
    let layout = packed.graph.node(output).op.layout;
    values[output.index()]
        .iter()
        .map(|slots| layout.gather(slots))
        .collect()
}

/// A polynomial in every slot; zero in slots without an element.
fn apply_polynomial(poly: &SlotPolynomial, data: &[f64], x: &[f64]) -> Vec<f64> {
    let len = poly.layout.map_or(1, |layout| layout.len as usize);
    let elements: Vec<Vec<f64>> = (0..len).map(|element| poly.dense(data, element)).collect();
    let value = |(slot, &x): (usize, &f64)| {
        let element = poly.layout.map_or(Some(0), |layout| layout.element(slot));
        element.map_or(0.0, |element| chebyshev_value(&elements[element], x))
    };
    x.iter().enumerate().map(value).collect()
}

/// A linear map applied by its diagonals: babies inside giants, then the fold.
fn apply_map(map: &LinearMap, weights: &Weights, operands: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let diagonals = Diagonals::new(map, tensor(weights, map.geometry.weights()));
    let slots = operands.first().map_or(0, Vec::len);
    let mut sums = vec![vec![0.0; slots]; operands.len()];
    let mut diagonal = vec![0.0; slots];
    for giant in map.giant_steps() {
        let mut inner = vec![vec![0.0; slots]; operands.len()];
        for d in giant.diagonals {
            diagonals.write(d, giant.rotation, &mut diagonal);
            let baby = (d - giant.rotation.0) as usize;
            for (inner, operand) in inner.iter_mut().zip(operands) {
                multiply_add(inner, &diagonal, operand, baby);
            }
        }
        for (sum, inner) in sums.iter_mut().zip(&inner) {
            add_to(sum, &rotated(inner, giant.rotation.0 as usize));
        }
    }
    for by in &map.fold {
        for sum in &mut sums {
            let turned = rotated(sum, by.0 as usize);
            add_to(sum, &turned);
        }
    }
    sums
}

/// `sum += diagonal ⊙ rot(operand, by)`.
fn multiply_add(sum: &mut [f64], diagonal: &[f64], operand: &[f64], by: usize) {
    let (head, tail) = operand.split_at(by % operand.len().max(1));
    let turned = tail.iter().chain(head);
    for ((sum, factor), x) in sum.iter_mut().zip(diagonal).zip(turned) {
        *sum += factor * x;
    }
}

fn rotated(x: &[f64], by: usize) -> Vec<f64> {
    let mut turned = x.to_vec();
    turned.rotate_left(by % x.len().max(1));
    turned
}

fn add_to(sum: &mut [f64], x: &[f64]) {
    sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
}

fn spread(constant: &Constant, weights: &Weights, slots: usize) -> Vec<f64> {
    match constant {
        Constant::Scalar(value) => vec![*value; slots],
        Constant::Vector { data, layout } => layout.spread(tensor(weights, *data), slots),
    }
}

fn tensor(weights: &Weights, id: heron_plan::ConstId) -> &[f64] {
    weights.get(id).expect("the packer pushed every constant it names")
}
