//! Writes polynomials out in squares, products and affine maps.
//!
//! ```text
//! folded     %2 = polynomial(%1)  →  %2 = affine(%1, g, d)   %3 = square(%2)   %4 = affine(%3, σ, k)
//! linear     %2 = polynomial(%1)  →  %2 = affine(%1, c1, c0)
//! two-level  %2 = polynomial(%1)  →  %2 = affine(%1, c2, c1) %3 = mul(%1, %2)  %4 = affine(%3, 1, c0)
//! products   p = low + x^(2^k) · high, again and again, down to affine maps
//! ```
//!
//! The affine maps are absorbed by their neighbours afterwards.

use heron_plan::Parity;
use ndarray::{Array1, Array2, ArrayView2, Axis, s};

use crate::approximate::fit_layer::Form;
use crate::approximate::form::{Folded, fold};
use crate::approximate::minimax::SignForm;
use crate::approximate::replacement::Expansion;
use crate::graph::{GraphBuilder, NodeId};
use crate::he::Op;
use crate::nn::{Affine, Chebyshev, Granularity, Polynomial};

/// Where a polynomial is written out: the builder, the node's name, its operand and shape.
pub(crate) struct Site<'a> {
    pub(crate) out: &'a mut GraphBuilder<Op>,
    pub(crate) name: &'a str,
    pub(crate) operand: NodeId,
    pub(crate) shape: &'a [usize],
}

impl Site<'_> {
    fn push(&mut self, op: Op, args: &[NodeId]) -> NodeId {
        self.out.push(self.name, op, args, self.shape)
    }

    fn affine(&mut self, arg: NodeId, granularity: Granularity, scale: Array1<f64>, shift: Array1<f64>) -> NodeId {
        let affine = Affine {
            granularity,
            scale: scale.into_shared(),
            shift: shift.into_shared(),
        };
        self.push(Op::Affine(affine), &[arg])
    }

    /// Writes a polynomial out in the given form.
    ///
    /// # Shapes
    /// `polynomial`: of degree two in the folded and two-level forms, one or more in the linear form.
    pub(crate) fn polynomial(mut self, polynomial: &Polynomial, form: Form) -> NodeId {
        let granularity = polynomial.granularity;
        let x = self.operand;
        let column = |power: usize| polynomial.coefficients.column(power).to_owned();
        match form {
            Form::Linear => self.affine(x, granularity, column(1), column(0)),
            Form::Folded => {
                let entries = polynomial.coefficients.axis_iter(Axis(0));
                let folded: Vec<Folded> = entries.map(|c| fold([c[0], c[1], c[2]])).collect();
                let part = |pick: fn(&Folded) -> f64| folded.iter().map(pick).collect::<Array1<f64>>();
                let root = self.affine(x, granularity, part(|f| f.g), part(|f| f.d));
                let square = self.push(Op::Square, &[root]);
                self.affine(square, granularity, part(|f| f.sign), part(|f| f.k))
            }
            Form::TwoLevel => {
                let factor = self.affine(x, granularity, column(2), column(1));
                let product = self.push(Op::Mul, &[x, factor]);
                self.affine(product, granularity, Array1::ones(column(0).len()), column(0))
            }
            Form::Products | Form::Chebyshev | Form::Composite => {
                self.products(granularity, &polynomial.coefficients.view(), &mut vec![x])
            }
        }
    }

    /// Writes a composite out.
    pub(crate) fn composite(mut self, form: &SignForm) -> NodeId {
        let one = |value: f64| Array1::from_elem(1, value);
        let scaled = self.affine(self.operand, Granularity::Tensor, one(1.0 / form.bound), one(0.0));
        let last = form.components.len() - 1;
        let mut sign = scaled;
        for (index, component) in form.components.iter().enumerate() {
            let factor = if index == last { form.factor } else { 1.0 };
            let coefficients = Array2::from_shape_fn((1, component.len()), |(_, k)| factor * component[k]);
            let polynomial = Chebyshev {
                granularity: Granularity::Tensor,
                parity: Parity::Odd,
                coefficients: coefficients.into_shared(),
            };
            sign = self.push(Op::Polynomial(polynomial), &[sign]);
        }
        let sum = self.affine(sign, Granularity::Tensor, one(1.0), one(form.offset));
        if !form.by_operand {
            return sum;
        }
        let product = self.push(Op::Mul, &[scaled, sum]);
        self.affine(product, Granularity::Tensor, one(form.bound), one(0.0))
    }

    /// Splits at the largest power of two below the number of coefficients; `powers[k]` is `x^(2^k)`.
    fn products(
        &mut self,
        granularity: Granularity,
        coefficients: &ArrayView2<'_, f64>,
        powers: &mut Vec<NodeId>,
    ) -> NodeId {
        let n = coefficients.ncols();
        if n <= 2 {
            let column = |power: usize| coefficients.column(power).to_owned();
            let slope = if n == 2 {
                column(1)
            } else {
                Array1::zeros(coefficients.nrows())
            };
            return self.affine(powers[0], granularity, slope, column(0));
        }
        let k = (n - 1).ilog2() as usize;
        while powers.len() <= k {
            let last = powers[powers.len() - 1];
            let next = self.push(Op::Square, &[last]);
            powers.push(next);
        }
        let (low, high) = coefficients.view().split_at(Axis(1), 1 << k);
        let power = powers[k];
        let product = if high.ncols() == 1 {
            // A constant times a power: no product of two ciphertexts.
            self.affine(
                power,
                granularity,
                high.column(0).to_owned(),
                Array1::zeros(high.nrows()),
            )
        } else {
            let high = self.products(granularity, &high, powers);
            self.push(Op::Mul, &[power, high])
        };
        if low.iter().all(|&c| c == 0.0) {
            return product;
        }
        if low.slice(s![.., 1..]).iter().all(|&c| c == 0.0) {
            let ones = Array1::ones(low.nrows());
            return self.affine(product, granularity, ones, low.column(0).to_owned());
        }
        let low = self.products(granularity, &low, powers);
        self.push(Op::Add, &[low, product])
    }

    /// Writes an expansion out: the map onto `[-1, 1]`, which its neighbour absorbs, then one polynomial.
    pub(crate) fn expansion(mut self, expansion: &Expansion) -> NodeId {
        let Expansion {
            polynomial,
            center,
            radius,
        } = expansion;
        let (scale, shift) = (radius.mapv(f64::recip), -(center / radius));
        let t = self.affine(self.operand, polynomial.granularity, scale, shift);
        self.push(Op::Polynomial(polynomial.clone()), &[t])
    }

    /// `x^exponent` by repeated squaring, `ceil(log2(exponent))` levels.
    pub(crate) fn power(mut self, exponent: u32) -> NodeId {
        let x = self.operand;
        self.power_of(x, exponent)
    }

    fn power_of(&mut self, x: NodeId, exponent: u32) -> NodeId {
        if exponent <= 1 {
            return x;
        }
        if exponent.is_multiple_of(2) {
            let half = self.power_of(x, exponent / 2);
            return self.push(Op::Square, &[half]);
        }
        // x^(2^k + r) = x^(2^k) · x^r keeps the depth at the logarithm's ceiling.
        let high = 1 << exponent.ilog2();
        let (left, right) = (self.power_of(x, high), self.power_of(x, exponent - high));
        self.push(Op::Mul, &[left, right])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::graph::Graph;
    use crate::he::ClearPolynomial;

    fn lowered(write: impl FnOnce(Site<'_>) -> NodeId, len: usize) -> Graph<Op> {
        let mut out = GraphBuilder::default();
        let operand = out.push("x", Op::Input, &[], &[len]);
        let output = write(Site {
            out: &mut out,
            name: "p",
            operand,
            shape: &[len],
        });
        out.finish(output)
    }

    #[track_caller]
    fn check(coefficients: &Array2<f64>, form: Form, x: &[f64]) {
        let polynomial = Polynomial {
            granularity: Granularity::Channel,
            coefficients: coefficients.clone().into_shared(),
        };
        let graph = lowered(|site| site.polynomial(&polynomial, form), x.len());
        let found = ClearPolynomial::new(&graph).output(x);
        for ((row, &x), found) in coefficients.rows().into_iter().zip(x).zip(found) {
            let expected = row.iter().rev().fold(0.0, |sum, c| sum * x + c);
            let size = row.iter().rev().fold(1.0, |sum, c| sum * x.abs() + c.abs());
            assert!(
                (found - expected).abs() < 1e-12 * size,
                "{form:?}: {found} is not {expected}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_form_has_the_polynomials_values(
            c in prop::collection::vec(0.1..2.0f64, 6), x in prop::array::uniform2(-3.0..3.0f64),
        ) {
            let quadratic = Array2::from_shape_vec((2, 3), c).expect("six coefficients");
            check(&quadratic, Form::Folded, &x);
            check(&-&quadratic, Form::Folded, &x);
            check(&quadratic, Form::TwoLevel, &x);
            check(&quadratic.slice(s![.., ..2]).to_owned(), Form::Linear, &x);
        }

        #[test]
        fn products_have_the_polynomials_values(
            (degree, c) in (1usize..12).prop_flat_map(|d| (Just(d), prop::collection::vec(-2.0..2.0f64, 2 * d + 2))),
            sparse in any::<u16>(), x in prop::array::uniform2(-1.5..1.5f64),
        ) {
            let mut c = Array2::from_shape_vec((2, degree + 1), c).expect("two rows");
            for power in (0..degree).filter(|power| sparse >> power & 1 == 1) {
                c.column_mut(power).fill(0.0);
            }
            check(&c, Form::Products, &x);
        }

        #[test]
        fn expansions_have_their_values(
            (degree, c) in (3usize..20).prop_flat_map(|d| (Just(d), prop::collection::vec(-2.0..2.0f64, 2 * d + 2))),
            t in prop::array::uniform2(-1.0..1.0f64),
        ) {
            let expansion = Expansion {
                polynomial: Chebyshev {
                    granularity: Granularity::Channel,
                    parity: Parity::General,
                    coefficients: Array2::from_shape_vec((2, degree + 1), c).expect("two rows").into_shared(),
                },
                center: ndarray::arr1(&[0.5, -2.0]),
                radius: ndarray::arr1(&[3.0, 0.25]),
            };
            let x = [0.5 + 3.0 * t[0], -2.0 + 0.25 * t[1]];
            let found = ClearPolynomial::new(&lowered(|site| site.expansion(&expansion), 2)).output(&x);
            for entry in 0..2 {
                prop_assert!((found[entry] - expansion.value(entry, x[entry])).abs() < 1e-11);
            }
        }

        #[test]
        fn powers_are_powers(exponent in 2u32..20, x in -1.5..1.5f64) {
            let graph = lowered(|site| site.power(exponent), 1);
            let found = ClearPolynomial::new(&graph).output(&[x])[0];
            let expected = x.powi(exponent as i32);
            prop_assert!((found - expected).abs() <= 1e-12 * expected.abs());
        }
    }
}
