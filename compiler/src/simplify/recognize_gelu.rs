//! Recognizes GELU written out in primitive operators, in its exact and its tanh form.
//!
//! ```text
//! %1 = affine %0            ; x/√2
//! %2 = erf %1
//! %3 = affine %2            ; 1 + erf
//! %4 = mul %0, %3           %1 = gelu %0
//! %5 = affine %4       →    %2 = affine %1     ; times 2
//!                           %3 = affine %2     ; times 1/2
//! ```
//!
//! The product may come in either order and have the half on either side; what is left of the scales cancels in
//! merge-linear. Constants may differ from the exact ones by what f32 rounds. Does nothing where the error function's or
//! the hyperbolic tangent's argument is another function of the value.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use ndarray::Array1;

use super::scalar_chain::{Link, chain};
use super::{Pass, keep, rebuild};
use crate::graph::{Graph, NodeId};
use crate::nn::{Activation, Affine, Gelu, Granularity, Op};

pub(super) const PASS: Pass = Pass {
    name: "recognize-gelu",
    run,
};

/// Relative difference of constants: f32 rounds by 6e-8, and exporters write √2 as 1.4142.
const CONSTANTS: f64 = 1e-4;

fn run(graph: &Graph<Op>) -> Graph<Op> {
    let mut new_ids: Vec<NodeId> = Vec::with_capacity(graph.len());
    rebuild(graph, |out, _, node, args| {
        let id = match recognized(graph, &node.op, &node.args) {
            None => keep(out, node, args),
            Some((form, x, scale)) => {
                let gelu = Op::Activation(Activation::Gelu(form));
                let result = out.push(&node.name, gelu, &[new_ids[x.index()]], &node.shape);
                if scale == 1.0 {
                    result
                } else {
                    out.push(&node.name, scaling(scale), &[result], &node.shape)
                }
            }
        };
        new_ids.push(id);
        id
    })
}

fn scaling(scale: f64) -> Op {
    Op::Affine(Affine {
        granularity: Granularity::Tensor,
        scale: Array1::from(vec![scale]).into_shared(),
        shift: Array1::zeros(1).into_shared(),
    })
}

/// Form, operand and factor if the node is `factor · gelu(operand)`.
fn recognized(graph: &Graph<Op>, op: &Op, args: &[NodeId]) -> Option<(Gelu, NodeId, f64)> {
    let (Op::Mul, &[left, right]) = (op, args) else {
        return None;
    };
    gated(graph, left, right).or_else(|| gated(graph, right, left))
}

/// `linear · gate` with `linear = a x` and `gate = p (1 + g(x))`, which is `2 a p · gelu(x)`.
fn gated(graph: &Graph<Op>, linear: NodeId, gate: NodeId) -> Option<(Gelu, NodeId, f64)> {
    let gate = *chain(graph, gate).last()?;
    if gate.scale == 0.0 || !close(gate.shift, gate.scale) {
        return None;
    }
    let function = graph.node(gate.source);
    let x = |link: &&Link| link.shift == 0.0 && link.scale != 0.0;
    let linear = chain(graph, linear);
    let (form, link) = match &function.op {
        Op::Activation(Activation::Erf) => {
            let inner = chain(graph, function.args[0]);
            let is_inner = |link: &Link| {
                inner
                    .iter()
                    .any(|inner| inner.source == link.source && inner.shift == 0.0 && close(inner.scale, FRAC_1_SQRT_2))
            };
            (Gelu::Erf, linear.iter().filter(x).find(|link| is_inner(link))?)
        }
        Op::Activation(Activation::Tanh) => {
            let cubic = graph.node(function.args[0]);
            let source = *cubic.args.first().filter(|_| is_gelu_cubic(&cubic.op))?;
            (Gelu::Tanh, linear.iter().filter(x).find(|link| link.source == source)?)
        }
        _ => return None,
    };
    Some((form, link.source, 2.0 * link.scale * gate.scale))
}

/// Whether this is `√(2/π) (x + 0.044715 x³)`.
fn is_gelu_cubic(op: &Op) -> bool {
    let Op::Polynomial(cubic) = op else {
        return false;
    };
    let linear = libm::sqrt(2.0 / PI);
    let coefficients: Vec<f64> = cubic.coefficients.iter().copied().collect();
    match *coefficients {
        [c0, c1, c2, c3] => c0 == 0.0 && close(c1, linear) && c2 == 0.0 && close(c3, 0.044_715 * linear),
        _ => false,
    }
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= CONSTANTS * expected.abs()
}

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::super::check::{check, check_unchanged, graph, scalar};
    use super::*;
    use crate::nn::Polynomial;

    fn erf_form(inner: f64) -> Graph<Op> {
        graph(&[3], |out, x| {
            let scaled = out.push("scaled", scalar(inner, 0.0), &[x], &[3]);
            let erf = out.push("erf", Op::Activation(Activation::Erf), &[scaled], &[3]);
            let gate = out.push("gate", scalar(1.0, 1.0), &[erf], &[3]);
            let product = out.push("product", Op::Mul, &[x, gate], &[3]);
            out.push("half", scalar(0.5, 0.0), &[product], &[3])
        })
    }

    #[test]
    fn recognizes_the_exact_form() {
        check(&PASS, "recognize_gelu", &erf_form(FRAC_1_SQRT_2));
    }

    #[test]
    fn recognizes_the_tanh_form_with_the_half_in_front() {
        let c = libm::sqrt(2.0 / PI);
        let before = graph(&[3], |out, x| {
            let cubic = Op::Polynomial(Polynomial {
                granularity: Granularity::Tensor,
                coefficients: arr2(&[[0.0, c, 0.0, 0.044_715 * c]]).into_shared(),
            });
            let cubic = out.push("cubic", cubic, &[x], &[3]);
            let tanh = out.push("tanh", Op::Activation(Activation::Tanh), &[cubic], &[3]);
            let gate = out.push("gate", scalar(1.0, 1.0), &[tanh], &[3]);
            let half = out.push("half", scalar(0.5, 0.0), &[x], &[3]);
            out.push("product", Op::Mul, &[gate, half], &[3])
        });
        check(&PASS, "recognize_gelu_tanh", &before);
    }

    #[test]
    fn keeps_a_gate_of_another_steepness() {
        check_unchanged(&PASS, &erf_form(1.0));
    }
}
