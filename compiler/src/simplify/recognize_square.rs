//! Turns products of a value with itself, and second powers, into squares.
//!
//! ```text
//! %1 = mul %0, %0   →   %1 = square %0
//! ```
//!
//! A square needs one relinearization as a product does, but has its own cheaper tensor product and lets approximations
//! fold into it. Does nothing to a product of two different values.

use super::{Pass, keep, rebuild};
use crate::graph::Graph;
use crate::nn::Op;

pub(super) const PASS: Pass = Pass {
    name: "recognize-square",
    run,
};

fn run(graph: &Graph<Op>) -> Graph<Op> {
    rebuild(graph, |out, _, node, args| match (&node.op, args) {
        (Op::Mul, &[left, right]) if left == right => out.push(&node.name, Op::Square, &[left], &node.shape),
        (Op::Pow(2), _) => out.push(&node.name, Op::Square, args, &node.shape),
        _ => keep(out, node, args),
    })
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, check_unchanged, dense, graph};
    use super::*;

    #[test]
    fn recognizes_a_product_with_itself_and_a_second_power() {
        let before = graph(&[3], |out, x| {
            let product = out.push("product", Op::Mul, &[x, x], &[3]);
            let layer = out.push("fc", dense(2, 3, 1), &[product], &[2]);
            out.push("power", Op::Pow(2), &[layer], &[2])
        });
        check(&PASS, "recognize_square", &before);
    }

    #[test]
    fn keeps_a_product_of_two_values_and_a_third_power() {
        let before = graph(&[3], |out, x| {
            let power = out.push("power", Op::Pow(3), &[x], &[3]);
            out.push("product", Op::Mul, &[x, power], &[3])
        });
        check_unchanged(&PASS, &before);
    }
}
