//! Polynomials of each element, several elements at a time.
//!
//! Every element takes the steps that one element alone would take, so that the number of lanes changes no bit.

use heron_params::chebyshev_value;
use ndarray::ArcArray2;
use pulp::{Arch, Simd, WithSimd};

use crate::nn::{Chebyshev, Granularity, Polynomial};

/// In the power basis, by Horner's scheme.
pub(super) fn polynomial(op: &Polynomial, shape: &[usize], x: &[f64]) -> Vec<f64> {
    evaluate(Basis::Power, op.granularity, &op.coefficients, shape, x)
}

/// In the Chebyshev basis, by Clenshaw's recurrence.
pub(super) fn chebyshev(op: &Chebyshev, shape: &[usize], x: &[f64]) -> Vec<f64> {
    evaluate(Basis::Chebyshev, op.granularity, &op.coefficients, shape, x)
}

fn evaluate(
    basis: Basis,
    granularity: Granularity,
    coefficients: &ArcArray2<f64>,
    shape: &[usize],
    x: &[f64],
) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    let rows = coefficients.as_standard_layout();
    let length = granularity.run(shape).max(1);
    Arch::new().dispatch(Evaluation {
        basis,
        rows: rows.as_slice().expect("a standard layout is contiguous"),
        columns: coefficients.ncols().max(1),
        runs: x.chunks(length).zip(out.chunks_mut(length)),
    });
    out
}

#[derive(Clone, Copy)]
enum Basis {
    Power,
    Chebyshev,
}

impl Basis {
    fn value(self, row: &[f64], x: f64) -> f64 {
        match self {
            Self::Power => row.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient),
            Self::Chebyshev => chebyshev_value(row, x),
        }
    }

    #[inline(always)]
    fn values<S: Simd>(self, simd: S, row: &[f64], x: S::f64s) -> S::f64s {
        match self {
            Self::Power => horner(simd, row, x),
            Self::Chebyshev => clenshaw(simd, row, x),
        }
    }
}

#[inline(always)]
fn horner<S: Simd>(simd: S, row: &[f64], x: S::f64s) -> S::f64s {
    let mut sum = simd.splat_f64s(0.0);
    for &coefficient in row.iter().rev() {
        sum = simd.add_f64s(simd.mul_f64s(sum, x), simd.splat_f64s(coefficient));
    }
    sum
}

#[inline(always)]
fn clenshaw<S: Simd>(simd: S, row: &[f64], x: S::f64s) -> S::f64s {
    let Some((&first, others)) = row.split_first() else {
        return simd.splat_f64s(0.0);
    };
    let double = simd.mul_f64s(simd.splat_f64s(2.0), x);
    let (mut after, mut next) = (simd.splat_f64s(0.0), simd.splat_f64s(0.0));
    for &coefficient in others.iter().rev() {
        let difference = simd.sub_f64s(simd.mul_f64s(double, next), after);
        (after, next) = (next, simd.add_f64s(difference, simd.splat_f64s(coefficient)));
    }
    simd.add_f64s(simd.sub_f64s(simd.mul_f64s(x, next), after), simd.splat_f64s(first))
}

/// One row of coefficients for each run of elements.
struct Evaluation<'a, R> {
    basis: Basis,
    rows: &'a [f64],
    columns: usize,
    runs: R,
}

impl<'a, R: Iterator<Item = (&'a [f64], &'a mut [f64])>> WithSimd for Evaluation<'a, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (row, (x, out)) in self.rows.chunks_exact(self.columns).zip(self.runs) {
            let ((x, x_rest), (out, out_rest)) = (S::as_simd_f64s(x), S::as_mut_simd_f64s(out));
            for (out, &x) in out.iter_mut().zip(x) {
                *out = self.basis.values(simd, row, x);
            }
            for (out, &x) in out_rest.iter_mut().zip(x_rest) {
                *out = self.basis.value(row, x);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    const SHAPE: [usize; 3] = [3, 5, 5];

    fn coefficients(rows: usize) -> ArcArray2<f64> {
        Array2::from_shape_fn((rows, 6), |(row, column)| {
            ((row * 5 + column * 3) % 7) as f64 / 3.0 - 1.0
        })
        .into_shared()
    }

    fn operand() -> Vec<f64> {
        (0..75).map(|i| f64::from(i * 31 % 75) / 37.0 - 1.0).collect()
    }

    #[test]
    fn every_element_has_the_bits_that_it_has_alone() {
        for granularity in [Granularity::Tensor, Granularity::Channel, Granularity::Element] {
            let coefficients = coefficients(granularity.entries(&SHAPE));
            for basis in [Basis::Power, Basis::Chebyshev] {
                let found = evaluate(basis, granularity, &coefficients, &SHAPE, &operand());
                for (element, (found, x)) in found.iter().zip(operand()).enumerate() {
                    let row = coefficients.row(granularity.entry(element, &SHAPE)).to_vec();
                    assert_eq!(*found, basis.value(&row, x), "element {element}");
                }
            }
        }
    }
}
