//! The matrices of the transforms' factors, as generalized diagonals.
//!
//! A stage of butterflies of length `len` maps `(a, b)`, `len / 2` apart, to `(a + w b, a - w b)`; its inverse maps them to
//! `((a + b) / 2, (a - b) / 2w)`. All entries repeat with period `len`, so that a product of stages repeats with the period of its longest,
//! and one period is what is kept.

use std::collections::BTreeMap;

use heron_params::bootstrap::Factor;

use crate::special_fft::turns;

/// Which way a transform goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the coefficients of a polynomial in its slots, to slots: divides by two at each stage.
    CoeffsToSlots,
    /// From slots to the coefficients of a polynomial.
    SlotsToCoeffs,
}

/// One period of a vector of complex numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ComplexVec {
    pub(super) re: Vec<f64>,
    pub(super) im: Vec<f64>,
}

impl ComplexVec {
    fn zeros(period: usize) -> Self {
        Self {
            re: vec![0.0; period],
            im: vec![0.0; period],
        }
    }

    /// `self[i] += a[i] · b[i + by]`, where `a` and `b` repeat.
    fn add_product(&mut self, a: &Self, b: &Self, by: usize) {
        let (a_mask, b_mask) = (a.re.len() - 1, b.re.len() - 1);
        for i in 0..self.re.len() {
            let (j, k) = (i & a_mask, (i + by) & b_mask);
            self.re[i] += a.re[j] * b.re[k] - a.im[j] * b.im[k];
            self.im[i] += a.re[j] * b.im[k] + a.im[j] * b.re[k];
        }
    }
}

/// A matrix by its diagonals: `y[i] = Σ diagonal_k[i] x[i + k]`.
pub(super) type Diagonals = BTreeMap<u32, ComplexVec>;

/// The matrix of a factor on vectors of `2^log_slots` slots, times a constant.
pub(super) fn factor_matrix(factor: &Factor, direction: Direction, log_slots: u32, constant: f64) -> Diagonals {
    let stages: Vec<u32> = match direction {
        Direction::SlotsToCoeffs => (factor.first..=factor.last).collect(),
        Direction::CoeffsToSlots => (factor.first..=factor.last).rev().collect(),
    };
    let identity = ComplexVec {
        re: vec![constant],
        im: vec![0.0],
    };
    let start = Diagonals::from([(0, identity)]);
    stages.into_iter().fold(start, |product, log_len| {
        multiply(&stage_matrix(log_len, direction, log_slots), &product, log_slots)
    })
}

/// The product `left · right`.
fn multiply(left: &Diagonals, right: &Diagonals, log_slots: u32) -> Diagonals {
    let period = |matrix: &Diagonals| matrix.values().map(|d| d.re.len()).max().unwrap_or(1);
    let period = period(left).max(period(right));
    let mut product = Diagonals::new();
    for (&a, left) in left {
        for (&b, right) in right {
            let shift = (a + b) % (1 << log_slots);
            product
                .entry(shift)
                .or_insert_with(|| ComplexVec::zeros(period))
                .add_product(left, right, a as usize);
        }
    }
    product
}

/// One stage of butterflies of length `2^log_len`.
fn stage_matrix(log_len: u32, direction: Direction, log_slots: u32) -> Diagonals {
    let (len, half, n) = (1usize << log_len, 1usize << (log_len - 1), 1usize << log_slots);
    let stage = turns(len);
    let [mut own, mut above, mut below] = [0; 3].map(|_| ComplexVec::zeros(len));
    for j in 0..half {
        let (cos, sin) = (stage.cos[j], stage.sin[j]);
        match direction {
            Direction::SlotsToCoeffs => {
                own.re[j] = 1.0;
                (above.re[j], above.im[j]) = (cos, sin);
                below.re[half + j] = 1.0;
                (own.re[half + j], own.im[half + j]) = (-cos, -sin);
            }
            Direction::CoeffsToSlots => {
                own.re[j] = 0.5;
                above.re[j] = 0.5;
                (below.re[half + j], below.im[half + j]) = (0.5 * cos, -0.5 * sin);
                (own.re[half + j], own.im[half + j]) = (-0.5 * cos, 0.5 * sin);
            }
        }
    }
    let mut matrix = Diagonals::from([(0, own), (half as u32, above)]);
    // The longest butterflies span all slots: both directions are one rotation.
    let entry = matrix
        .entry((n - half) as u32)
        .or_insert_with(|| ComplexVec::zeros(len));
    entry.re.iter_mut().zip(&below.re).for_each(|(x, y)| *x += y);
    entry.im.iter_mut().zip(&below.im).for_each(|(x, y)| *x += y);
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Kernels;
    use crate::special_fft::SpecialFft;

    fn apply(matrix: &Diagonals, x: &ComplexVec) -> ComplexVec {
        let n = x.re.len();
        let mut y = ComplexVec::zeros(n);
        for (&shift, diagonal) in matrix {
            y.add_product(diagonal, x, shift as usize);
        }
        y
    }

    fn factors(log_slots: u32) -> Vec<Factor> {
        let middle = log_slots / 2;
        let factor = |first, last| Factor {
            first,
            last,
            log_baby: 0,
        };
        vec![factor(1, middle), factor(middle + 1, log_slots)]
    }

    fn close(a: &ComplexVec, b: &ComplexVec) -> bool {
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        near(&a.re, &b.re) && near(&a.im, &b.im)
    }

    fn sample(n: usize) -> ComplexVec {
        ComplexVec {
            re: (0..n).map(|i| libm::sin(i as f64 * 1.3)).collect(),
            im: (0..n).map(|i| libm::cos(i as f64 * 0.7)).collect(),
        }
    }

    #[test]
    fn the_factors_are_the_encoders_transform() {
        for log_slots in [4, 7] {
            let n = 1 << log_slots;
            let x = sample(n);
            let transformed = factors(log_slots).iter().fold(x.clone(), |x, factor| {
                apply(&factor_matrix(factor, Direction::SlotsToCoeffs, log_slots, 1.0), &x)
            });
            let mut want = x;
            SpecialFft::new(Kernels::best(), n).to_slots(&mut want.re, &mut want.im);
            assert!(close(&transformed, &want));
        }
    }

    #[test]
    fn the_transforms_undo_each_other() {
        for log_slots in [3, 6] {
            let x = sample(1 << log_slots);
            let there = factors(log_slots).iter().fold(x.clone(), |x, factor| {
                apply(&factor_matrix(factor, Direction::SlotsToCoeffs, log_slots, 3.0), &x)
            });
            let back = factors(log_slots).iter().rev().fold(there, |x, factor| {
                apply(
                    &factor_matrix(factor, Direction::CoeffsToSlots, log_slots, 1.0 / 3.0),
                    &x,
                )
            });
            assert!(close(&back, &x));
        }
    }

    #[test]
    fn the_diagonals_are_those_that_the_parameters_name() {
        for log_slots in [4, 7] {
            for factor in factors(log_slots) {
                let matrix = factor_matrix(&factor, Direction::CoeffsToSlots, log_slots, 1.0);
                let named: std::collections::BTreeSet<u32> = factor
                    .steps(log_slots)
                    .iter()
                    .flat_map(|step| step.terms.iter().map(|term| term.diagonal))
                    .collect();
                assert!(matrix.keys().copied().eq(named));
            }
        }
    }
}
