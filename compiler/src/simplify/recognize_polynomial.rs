//! Recognizes polynomials of one value written out in sums, products and powers.
//!
//! ```text
//! %1 = affine %0            ; c2 x + c1
//! %2 = mul %1, %0      →    %1 = polynomial %0
//! %3 = affine %2            ; + c0
//! ```
//!
//! Sums of powers and Horner's scheme are both found, with coefficients per tensor, channel or element. A value that is
//! read in several places and is not a bare power is where a polynomial starts: a composition `q(p(x))` stays two
//! polynomials, because multiplied out its coefficients would cancel. Does nothing to a single square or power, to what is
//! linear, and to an affine map behind a linear layer, which belongs to that layer.

use ndarray::Array2;

use super::{Pass, keep, rebuild};
use crate::graph::{Graph, Node, NodeId};
use crate::nn::{Affine, Granularity, Op, Polynomial};

pub(super) const PASS: Pass = Pass {
    name: "recognize-polynomial",
    run,
};

/// Beyond this the power basis is a poor way to write a polynomial down.
const MAX_DEGREE: usize = 32;

/// A node's value as a polynomial of another node's.
#[derive(Clone)]
struct Form {
    base: NodeId,
    polynomial: Polynomial,
}

fn run(graph: &Graph<Op>) -> Graph<Op> {
    let forms = forms(graph);
    let mut new_ids: Vec<NodeId> = Vec::with_capacity(graph.len());
    rebuild(graph, |out, id, node, args| {
        let form = &forms[id.index()];
        let direct = matches!(node.op, Op::Square | Op::Pow(_)) && node.args == [form.base];
        let new_id = if form.base == id || degree(&form.polynomial) < 2 || direct {
            keep(out, node, args)
        } else {
            // What lies between is dropped, unless something else reads it.
            out.push(
                &node.name,
                Op::Polynomial(form.polynomial.clone()),
                &[new_ids[form.base.index()]],
                &node.shape,
            )
        };
        new_ids.push(new_id);
        new_id
    })
}

/// Every node as a polynomial of the deepest node that it is one of; many are only one of themselves.
fn forms(graph: &Graph<Op>) -> Vec<Form> {
    let uses = graph.use_counts();
    let mut forms: Vec<Form> = Vec::with_capacity(graph.len());
    for (id, node) in graph.iter() {
        let own = Form {
            base: id,
            polynomial: identity(),
        };
        let form = combine(graph, node, &uses, &forms).filter(|form| is_usable(&form.polynomial));
        forms.push(form.unwrap_or(own));
    }
    forms
}

/// The node's form from its operands'; `None` if it is no polynomial of one value.
fn combine(graph: &Graph<Op>, node: &Node<Op>, uses: &[usize], forms: &[Form]) -> Option<Form> {
    let operand = |index: usize| {
        let id = node.args[index];
        let form = &forms[id.index()];
        if uses[id.index()] < 2 || is_power(&form.polynomial) {
            form.clone()
        } else {
            Form {
                base: id,
                polynomial: identity(),
            }
        }
    };
    let both = |rule: fn(&Polynomial, &Polynomial, &[usize]) -> Option<Polynomial>| {
        let (left, right) = (operand(0), operand(1));
        (left.base == right.base)
            .then(|| rule(&left.polynomial, &right.polynomial, &node.shape))?
            .map(|polynomial| Form {
                base: left.base,
                polynomial,
            })
    };
    match &node.op {
        Op::Affine(affine) | Op::BatchNorm(affine) if !belongs_to_layer(graph, node, uses) => {
            let form = operand(0);
            let polynomial = scaled(&form.polynomial, affine, &node.shape)?;
            Some(Form { polynomial, ..form })
        }
        Op::Square => power(&operand(0), 2, &node.shape),
        Op::Pow(exponent) => power(&operand(0), *exponent, &node.shape),
        Op::Mul => both(product),
        Op::Add => both(|left, right, shape| Some(sum(left, right, 1.0, shape))),
        Op::Sub => both(|left, right, shape| Some(sum(left, right, -1.0, shape))),
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
        | Op::Polynomial(_)
        | Op::Chebyshev(_)
        | Op::Reshape
        | Op::Identity => None,
    }
}

/// Whether merge-linear will take the affine map into the layer before it.
fn belongs_to_layer(graph: &Graph<Op>, node: &Node<Op>, uses: &[usize]) -> bool {
    let layer = node.args[0];
    uses[layer.index()] == 1 && matches!(graph.node(layer).op, Op::Dense { .. } | Op::Conv(_))
}

/// `x`.
fn identity() -> Polynomial {
    Polynomial {
        granularity: Granularity::Tensor,
        coefficients: Array2::from_shape_fn((1, 2), |(_, power)| power as f64).into_shared(),
    }
}

fn degree(polynomial: &Polynomial) -> usize {
    polynomial.coefficients.ncols().saturating_sub(1)
}

/// Whether this is `x^n` exactly.
fn is_power(polynomial: &Polynomial) -> bool {
    let last = degree(polynomial);
    polynomial
        .coefficients
        .indexed_iter()
        .all(|((_, power), &value)| value == f64::from(u8::from(power == last)))
}

fn is_usable(polynomial: &Polynomial) -> bool {
    (1..=MAX_DEGREE).contains(&degree(polynomial)) && polynomial.coefficients.iter().all(|value| value.is_finite())
}

/// The coefficients of a granularity at least as fine.
fn spread(polynomial: &Polynomial, granularity: Granularity, shape: &[usize]) -> Array2<f64> {
    let source = |entry: usize| match (polynomial.granularity, granularity) {
        (Granularity::Tensor, _) => 0,
        (Granularity::Channel, Granularity::Element) => Granularity::Channel.entry(entry, shape),
        (Granularity::Channel | Granularity::Element, _) => entry,
    };
    let columns = polynomial.coefficients.ncols();
    Array2::from_shape_fn((granularity.entries(shape), columns), |(entry, power)| {
        polynomial.coefficients[[source(entry), power]]
    })
}

/// Without leading coefficients that are zero for all entries.
fn trimmed(granularity: Granularity, coefficients: &Array2<f64>) -> Polynomial {
    let used = |power: usize| coefficients.column(power).iter().any(|&value| value != 0.0);
    let columns = (0..coefficients.ncols())
        .rev()
        .find(|&power| used(power))
        .map_or(1, |power| power + 1);
    Polynomial {
        granularity,
        coefficients: coefficients.slice(ndarray::s![.., ..columns]).to_shared(),
    }
}

fn sum(left: &Polynomial, right: &Polynomial, sign: f64, shape: &[usize]) -> Polynomial {
    let granularity = left.granularity.max(right.granularity);
    let (left, right) = (spread(left, granularity, shape), spread(right, granularity, shape));
    let columns = left.ncols().max(right.ncols());
    let of = |table: &Array2<f64>, at: (usize, usize)| table.get(at).copied().unwrap_or(0.0);
    let coefficients = Array2::from_shape_fn((left.nrows(), columns), |at| of(&left, at) + sign * of(&right, at));
    trimmed(granularity, &coefficients)
}

fn product(left: &Polynomial, right: &Polynomial, shape: &[usize]) -> Option<Polynomial> {
    if degree(left) + degree(right) > MAX_DEGREE {
        return None;
    }
    let granularity = left.granularity.max(right.granularity);
    let (left, right) = (spread(left, granularity, shape), spread(right, granularity, shape));
    let mut coefficients = Array2::zeros((left.nrows(), left.ncols() + right.ncols() - 1));
    for ((entry, power), factor) in left.indexed_iter() {
        for (other, value) in right.row(entry).iter().enumerate() {
            coefficients[[entry, power + other]] += factor * value;
        }
    }
    Some(trimmed(granularity, &coefficients))
}

fn power(form: &Form, exponent: u32, shape: &[usize]) -> Option<Form> {
    let mut polynomial = form.polynomial.clone();
    for _ in 1..exponent {
        polynomial = product(&polynomial, &form.polynomial, shape)?;
    }
    Some(Form {
        base: form.base,
        polynomial,
    })
}

/// `scale · p + shift`.
fn scaled(polynomial: &Polynomial, affine: &Affine, shape: &[usize]) -> Option<Polynomial> {
    let table = |values: &ndarray::ArcArray1<f64>| Polynomial {
        granularity: affine.granularity,
        coefficients: values.to_shared().insert_axis(ndarray::Axis(1)),
    };
    let product = product(polynomial, &table(&affine.scale), shape)?;
    Some(sum(&product, &table(&affine.shift), 1.0, shape))
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;

    use super::super::check::{check, check_unchanged, dense, graph, per_channel, scalar, values};
    use super::*;
    use crate::graph::GraphBuilder;

    fn channels(scale: Array1<f64>, shift: Array1<f64>) -> Op {
        Op::Affine(Affine {
            granularity: Granularity::Channel,
            scale: scale.into_shared(),
            shift: shift.into_shared(),
        })
    }

    const SHAPE: [usize; 3] = [2, 2, 2];

    #[test]
    fn recognizes_a_horner_scheme_with_coefficients_per_channel() {
        let before = graph(&SHAPE, |out, x| {
            let inner = out.push("c2", channels(values(2, 1), values(2, 2)), &[x], &SHAPE);
            let product = out.push("product", Op::Mul, &[inner, x], &SHAPE);
            out.push("c0", channels(Array1::ones(2), values(2, 3)), &[product], &SHAPE)
        });
        check(&PASS, "recognize_polynomial_horner", &before);
    }

    fn sum_of_powers(out: &mut GraphBuilder<Op>, x: NodeId) -> NodeId {
        let square = out.push("square", Op::Square, &[x], &SHAPE);
        let cube = out.push("cube", Op::Mul, &[square, x], &SHAPE);
        let third = out.push("third", scalar(0.25, 0.0), &[cube], &SHAPE);
        let second = out.push("second", Op::Affine(per_channel(2, 5)), &[square], &SHAPE);
        let sum = out.push("sum", Op::Add, &[third, second], &SHAPE);
        out.push("difference", Op::Sub, &[sum, x], &SHAPE)
    }

    #[test]
    fn recognizes_a_sum_of_powers() {
        check(&PASS, "recognize_polynomial_powers", &graph(&SHAPE, sum_of_powers));
    }

    #[test]
    fn keeps_a_composition_apart() {
        let before = graph(&SHAPE, |out, x| {
            let inner = sum_of_powers(out, x);
            sum_of_powers(out, inner)
        });
        check(&PASS, "recognize_polynomial_composition", &before);
    }

    #[test]
    fn leaves_a_bias_to_its_layer() {
        let before = graph(&[3], |out, x| {
            let layer = out.push("fc", dense(3, 3, 1), &[x], &[3]);
            let bias = out.push("bias", Op::Affine(per_channel(3, 2)), &[layer], &[3]);
            out.push("square", Op::Square, &[bias], &[3])
        });
        check_unchanged(&PASS, &before);
    }

    #[test]
    fn keeps_single_powers_sums_of_two_values_and_linear_maps() {
        let before = graph(&[3], |out, x| {
            let cube = out.push("cube", Op::Pow(3), &[x], &[3]);
            let layer = out.push("fc", dense(3, 3, 1), &[cube], &[3]);
            let doubled = out.push("doubled", scalar(2.0, 0.0), &[layer], &[3]);
            out.push("sum", Op::Add, &[doubled, cube], &[3])
        });
        check_unchanged(&PASS, &before);
    }

    #[test]
    fn keeps_a_product_whose_degree_is_beyond_the_limit() {
        let before = graph(&[3], |out, x| {
            let low = out.push("low", Op::Pow(20), &[x], &[3]);
            let high = out.push("high", Op::Pow(30), &[x], &[3]);
            out.push("product", Op::Mul, &[low, high], &[3])
        });
        check_unchanged(&PASS, &before);
    }
}
