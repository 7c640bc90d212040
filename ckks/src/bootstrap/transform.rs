//! The factors of the transforms as linear maps that the evaluator applies.

use heron_params::Rotation;
use heron_params::bootstrap::Factor;

use super::factor_matrix::{ComplexVec, Diagonals, Direction, factor_matrix};
use crate::linear_transform::{GiantStep, LinearTransform, Term};

/// A linear map with complex diagonals, of which one period each is kept.
pub(super) struct ComplexTransform {
    id: u64,
    steps: Vec<GiantStep>,
    /// In the frame before the giant rotation, in the order of the terms.
    diagonals: Vec<ComplexVec>,
}

impl ComplexTransform {
    /// A factor of a transform. With [`Half::TimesMinusI`] the result repeats with twice the period of the operand: its second half is the
    /// first times `-i`.
    pub(super) fn factor(
        id: u64,
        factor: &Factor,
        direction: Direction,
        log_slots: u32,
        constant: f64,
        half: Half,
    ) -> Self {
        let matrix = factor_matrix(factor, direction, log_slots, constant);
        let matrix = match half {
            Half::Same => matrix,
            Half::TimesMinusI => with_second_half(matrix, 1 << log_slots),
        };
        let (mut steps, mut diagonals) = (Vec::new(), Vec::new());
        for step in factor.steps(log_slots) {
            let mut terms = Vec::new();
            for term in step.terms {
                terms.push(Term {
                    input: 0,
                    rotation: term.rotation,
                    diagonal: diagonals.len(),
                });
                diagonals.push(rotated_back(&matrix[&term.diagonal], step.rotation));
            }
            steps.push(GiantStep {
                output: 0,
                rotation: step.rotation,
                terms,
            });
        }
        Self { id, steps, diagonals }
    }

    /// From real and imaginary parts, `2^log_slots` of each side by side, to complex slots: `z[i] = r[i] + i r[i + n]`.
    pub(super) fn unpack(id: u64, log_slots: u32) -> Self {
        let n = 1 << log_slots;
        let (ones, zeros) = (vec![1.0; n], vec![0.0; n]);
        let halves = |first: &[f64], second: &[f64]| [first, second].concat();
        let diagonals = vec![
            ComplexVec {
                re: halves(&ones, &zeros),
                im: halves(&zeros, &ones),
            },
            ComplexVec {
                re: halves(&zeros, &ones),
                im: halves(&ones, &zeros),
            },
        ];
        let term = |diagonal, rotation| Term {
            input: 0,
            rotation: Rotation(rotation),
            diagonal,
        };
        let steps = vec![GiantStep {
            output: 0,
            rotation: Rotation(0),
            terms: vec![term(0, 0), term(1, n as u32)],
        }];
        Self { id, steps, diagonals }
    }
}

/// What the second half of a doubled period holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    /// The period is not doubled.
    Same,
    /// The first half times `-i`.
    TimesMinusI,
}

fn with_second_half(matrix: Diagonals, n: usize) -> Diagonals {
    let doubled = |diagonal: ComplexVec| {
        let at = |i: usize| (diagonal.re[i % diagonal.re.len()], diagonal.im[i % diagonal.im.len()]);
        let (re, im) = (0..2 * n)
            .map(|i| {
                let (re, im) = at(i);
                if i < n { (re, im) } else { (im, -re) }
            })
            .unzip();
        ComplexVec { re, im }
    };
    matrix
        .into_iter()
        .map(|(shift, diagonal)| (shift, doubled(diagonal)))
        .collect()
}

fn rotated_back(diagonal: &ComplexVec, by: Rotation) -> ComplexVec {
    let mut out = diagonal.clone();
    let by = by.0 as usize % out.re.len();
    out.re.rotate_right(by);
    out.im.rotate_right(by);
    out
}

fn repeat(period: &[f64], out: &mut [f64]) {
    out.chunks_mut(period.len())
        .for_each(|chunk| chunk.copy_from_slice(&period[..chunk.len()]));
}

impl LinearTransform for ComplexTransform {
    fn id(&self) -> u64 {
        self.id
    }

    fn giant_steps(&self) -> &[GiantStep] {
        &self.steps
    }

    fn write_diagonal(&self, diagonal: usize, out: &mut [f64]) {
        repeat(&self.diagonals[diagonal].re, out);
    }

    fn write_imaginary(&self, diagonal: usize, out: &mut [f64]) -> bool {
        repeat(&self.diagonals[diagonal].im, out);
        true
    }
}
