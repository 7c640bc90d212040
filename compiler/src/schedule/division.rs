//! Divides values by powers of two, so that bootstraps can take them: they take `[-1, 1]`.
//!
//! ```text
//! %1 = W x + b    →    %1 = 2^-e (W x + b)        read as 2^e %1:
//! %2 = V %1 + c        %2 = 2^-f (2^e V %1 + c)
//! ```
//!
//! The factors go into the constants of the layers around, which costs nothing and rounds nothing. Values that meet in a
//! sum are divided alike; a square is divided by the square. The input, the output and the operands of polynomials stay
//! what they are. Where these demands contradict each other, all that they connect stays undivided. Small values are
//! multiplied: a bootstrap's error is then smaller beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use heron_plan::{ConstId, Constant, Weights};

use crate::graph::{Graph, NodeId};
use crate::slots::{Compute, Op, Packed};

/// Rounds of raising exponents; more than a chain of squares that f64 can hold needs.
const ROUNDS: usize = 64;

/// By which power of two to divide every node's values, so that they are at most 1 where that is possible; `bounds` are
/// their largest magnitudes.
pub(crate) fn exponents(graph: &Graph<Op>, bounds: &[f64]) -> Vec<i32> {
    let classes = classes(graph);
    let mut pinned: BTreeSet<usize> = fixed(graph).map(|id| classes[id.index()]).collect();
    let products = products(graph, &classes);
    let wanted = |class: usize| {
        let members = classes.iter().zip(bounds).filter(|(of, _)| **of == class);
        members.map(|(_, bound)| libm::ceil(libm::log2(*bound)) as i32).max()
    };
    let all: BTreeMap<usize, i32> = classes
        .iter()
        .map(|&class| (class, wanted(class).unwrap_or(0)))
        .collect();
    loop {
        match settle(&all, &products, &pinned) {
            Ok(settled) => return classes.iter().map(|class| settled[class]).collect(),
            Err(stuck) => pinned.extend(connected(stuck, &products)),
        }
    }
}

/// A class whose exponent is the sum of two others'.
struct Product {
    result: usize,
    factors: [usize; 2],
}

/// The first node of each node's class: what meets in sums.
fn classes(graph: &Graph<Op>) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..graph.len()).collect();
    for (id, node) in graph.iter() {
        match node.op.compute {
            Compute::Add | Compute::Sub | Compute::Shift(_) => {}
            Compute::Input
            | Compute::Linear { .. }
            | Compute::Scale { .. }
            | Compute::Mul
            | Compute::Square
            | Compute::Polynomial(_) => continue,
        }
        for arg in &node.args {
            let (a, b) = (classes[arg.index()], classes[id.index()]);
            let (first, second) = (a.min(b), a.max(b));
            classes
                .iter_mut()
                .filter(|class| **class == second)
                .for_each(|class| *class = first);
        }
    }
    classes
}

/// What is not divided: input, output, operands of polynomials.
fn fixed(graph: &Graph<Op>) -> impl Iterator<Item = NodeId> {
    let of_node = |(id, node): (NodeId, &crate::graph::Node<Op>)| match node.op.compute {
        Compute::Input => Some(id),
        Compute::Polynomial(_) => Some(node.args[0]),
        Compute::Linear { .. }
        | Compute::Scale { .. }
        | Compute::Shift(_)
        | Compute::Add
        | Compute::Sub
        | Compute::Mul
        | Compute::Square => None,
    };
    graph.iter().filter_map(of_node).chain([graph.output()])
}

fn products(graph: &Graph<Op>, classes: &[usize]) -> Vec<Product> {
    let class = |id: NodeId| classes[id.index()];
    let of_node = |(id, node): (NodeId, &crate::graph::Node<Op>)| {
        let factors = match node.op.compute {
            Compute::Square => [node.args[0], node.args[0]],
            Compute::Mul => [node.args[0], node.args[1]],
            Compute::Input
            | Compute::Linear { .. }
            | Compute::Scale { .. }
            | Compute::Shift(_)
            | Compute::Add
            | Compute::Sub
            | Compute::Polynomial(_) => return None,
        };
        Some(Product {
            result: class(id),
            factors: factors.map(class),
        })
    };
    graph.iter().filter_map(of_node).collect()
}

/// Raises exponents until every product has the sum of its factors'; a class that cannot be raised, if there is one.
fn settle(
    wanted: &BTreeMap<usize, i32>,
    products: &[Product],
    pinned: &BTreeSet<usize>,
) -> Result<BTreeMap<usize, i32>, usize> {
    let free = |(&class, &exponent): (&usize, &i32)| (class, if pinned.contains(&class) { 0 } else { exponent });
    let mut exponents: BTreeMap<usize, i32> = wanted.iter().map(free).collect();
    let mut last = None;
    for _ in 0..ROUNDS {
        last = None;
        for Product {
            result,
            factors: [a, b],
        } in products
        {
            let (sum, stated) = (exponents[a] + exponents[b], exponents[result]);
            let (raised, to) = match sum.cmp(&stated) {
                std::cmp::Ordering::Equal => continue,
                std::cmp::Ordering::Greater => (*result, sum),
                std::cmp::Ordering::Less if a == b => (*a, (stated + 1).div_euclid(2)),
                std::cmp::Ordering::Less if pinned.contains(a) => (*b, stated - exponents[a]),
                std::cmp::Ordering::Less => (*a, stated - exponents[b]),
            };
            if pinned.contains(&raised) {
                return Err(*result);
            }
            exponents.insert(raised, to);
            last = Some(*result);
        }
        if last.is_none() {
            return Ok(exponents);
        }
    }
    last.map_or(Ok(exponents), Err)
}

/// All classes that products connect with one.
fn connected(class: usize, products: &[Product]) -> BTreeSet<usize> {
    let mut reached = BTreeSet::from([class]);
    loop {
        let before = reached.len();
        for Product {
            result,
            factors: [a, b],
        } in products
        {
            if [result, a, b].into_iter().any(|class| reached.contains(class)) {
                reached.extend([*result, *a, *b]);
            }
        }
        if reached.len() == before {
            return reached;
        }
    }
}

/// The network whose values are divided; the output is not.
pub(crate) fn divided(packed: &Packed, exponents: &[i32]) -> Packed {
    let mut factors = vec![1.0; packed.constants.len()];
    let graph = packed.graph.rebuild(|out, id, node, args| {
        let result = exponents[id.index()];
        let operand = node.args.first().map_or(0, |arg| exponents[arg.index()]);
        let compute = scaled(
            &node.op.compute,
            (power(operand - result), power(-result)),
            &mut factors,
        );
        let op = Op {
            compute,
            ..node.op.clone()
        };
        Ok::<_, Infallible>(out.push(&node.name, op, args, &node.shape))
    });
    let Ok(graph) = graph;
    let (mut weights, mut constants) = (Weights::default(), Vec::new());
    for (index, entry) in packed.constants.iter().enumerate() {
        let data = packed.weights.get(ConstId(index as u32)).unwrap_or_default();
        let values = data.iter().map(|x| x * factors[index]).collect();
        constants.push(weights.push(&entry.name, &entry.shape, values).1);
    }
    Packed {
        graph,
        slots: packed.slots,
        weights,
        constants,
    }
}

fn power(exponent: i32) -> f64 {
    libm::exp2(f64::from(exponent))
}

/// An operation whose constants are scaled: what multiplies the operand by the first factor, what is added by the second.
fn scaled(compute: &Compute, (slope, shift): (f64, f64), factors: &mut [f64]) -> Compute {
    let mut constant = |constant: &Constant, factor: f64| match constant {
        Constant::Scalar(value) => Constant::Scalar(value * factor),
        Constant::Vector { data, .. } => {
            factors[data.index()] = factor;
            constant.clone()
        }
    };
    match compute {
        Compute::Linear { map, bias } => {
            factors[map.geometry.weights().index()] = slope;
            factors[bias.index()] = shift;
        }
        Compute::Scale { factor, shift: summand } => {
            return Compute::Scale {
                factor: constant(factor, slope),
                shift: constant(summand, shift),
            };
        }
        Compute::Shift(summand) => return Compute::Shift(constant(summand, shift)),
        Compute::Polynomial(poly) => factors[poly.coefficients.index()] = shift,
        Compute::Input | Compute::Add | Compute::Sub | Compute::Mul | Compute::Square => {}
    }
    compute.clone()
}
