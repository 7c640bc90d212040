//! Forms of the output: its integers whole, or split into parts that the client adds up.
//!
//! Weights `w = w_0 + β w_1 + …` with balanced digits have smaller ranges and norms than `w`, so that look-ups with less
//! precision carry them. The client learns the parts, which are a little more than their sum.

use crate::quantize::integers::{IntegerPiece, Quantized};
use crate::quantize::parameters::{Operand, OutputForm};

/// Most parts that an output is split into.
const MAX_PARTS: u32 = 3;

/// The output in one form.
pub(super) struct OutputParts {
    /// Weights of the parts.
    pub(super) parts: Vec<i64>,
    /// By source: rows of all parts, part by part.
    pub(super) rows: Vec<Vec<Vec<(usize, i64)>>>,
    /// Smallest value of each row.
    pub(super) low: Vec<i64>,
    /// Steps a turn.
    pub(super) steps: u64,
    /// What one step of each output is worth.
    pub(super) scale: Vec<f64>,
    /// What zero of each output is worth.
    pub(super) offset: Vec<f64>,
}

/// The forms of an output that is a linear map, the simplest first.
pub(super) fn forms(piece: &IntegerPiece, tensors: &[Quantized], bits: u32) -> Vec<OutputParts> {
    let weights = (1i64 << bits) - 1;
    let base = |parts: u32| (2..).find(|base: &i64| base.pow(parts) >= weights).unwrap_or(weights);
    (1..=MAX_PARTS)
        .map(|parts| form(piece, tensors, base(parts), parts))
        .collect()
}

fn form(piece: &IntegerPiece, tensors: &[Quantized], base: i64, n_parts: u32) -> OutputParts {
    let outputs = piece.scale.len();
    let parts: Vec<i64> = (0..n_parts).map(|part| base.pow(part)).collect();
    let split = |rows: &Vec<Vec<(usize, i64)>>| -> Vec<Vec<(usize, i64)>> {
        let part_of = |part: u32, terms: &Vec<(usize, i64)>| {
            let digits = terms
                .iter()
                .map(|&(column, weight)| (column, digit(weight, base, part, n_parts)));
            digits.filter(|(_, digit)| *digit != 0).collect()
        };
        (0..n_parts)
            .flat_map(|part| rows.iter().map(move |terms| part_of(part, terms)))
            .collect()
    };
    let rows: Vec<Vec<Vec<(usize, i64)>>> = piece.sources.iter().map(|(_, rows)| split(rows)).collect();
    let (mut low, mut steps) = (Vec::new(), 2);
    for row in 0..outputs * parts.len() {
        let (mut min, mut max) = (0i64, 0i64);
        for ((tensor, _), rows) in piece.sources.iter().zip(&rows) {
            for &(column, weight) in &rows[row] {
                let ends = [tensors[*tensor].min[column], tensors[*tensor].max[column]].map(|end| weight * end);
                min += ends[0].min(ends[1]);
                max += ends[0].max(ends[1]);
            }
        }
        low.push(min);
        steps = steps.max(max.abs_diff(min) + 1);
    }
    let lowest = |output: usize| -> i64 {
        let part = |(part, weight): (usize, &i64)| weight * low[part * outputs + output];
        parts.iter().enumerate().map(part).sum()
    };
    let offset = (0..outputs).map(|output| piece.offset[output] + piece.scale[output] * lowest(output) as f64);
    OutputParts {
        offset: offset.collect(),
        scale: piece.scale.clone(),
        parts,
        rows,
        low,
        steps,
    }
}

/// Digit `part` of a weight in balanced digits; the last takes what is left.
fn digit(weight: i64, base: i64, part: u32, n_parts: u32) -> i64 {
    let mut rest = weight;
    for _ in 0..part {
        rest = (rest - balanced(rest, base)) / base;
    }
    if part + 1 == n_parts {
        rest
    } else {
        balanced(rest, base)
    }
}

fn balanced(value: i64, base: i64) -> i64 {
    (value + base / 2).rem_euclid(base) - base / 2
}

/// The only form of an output that is a function's result: the integers of its table.
pub(super) fn of_function(result: &Quantized) -> OutputParts {
    let levels = result.max.iter().copied().max().unwrap_or(1);
    OutputParts {
        parts: vec![1],
        rows: Vec::new(),
        low: Vec::new(),
        steps: levels.unsigned_abs() + 1,
        scale: result.scale.clone(),
        offset: result.offset.clone(),
    }
}

impl OutputParts {
    /// What the choice of parameters needs to know of the form.
    pub(super) fn shape(&self, piece: &IntegerPiece) -> OutputForm {
        let norm = |rows: &Vec<Vec<(usize, i64)>>| {
            let square = |terms: &Vec<(usize, i64)>| terms.iter().map(|(_, w)| (w * w) as f64).sum::<f64>();
            rows.iter().map(square).fold(1.0, f64::max)
        };
        let operand = |tensor: usize| if tensor == 0 { Operand::Input } else { Operand::Lookup };
        let sources = piece.sources.iter().zip(&self.rows);
        let sources: Vec<(f64, Operand)> = sources
            .map(|((tensor, _), rows)| (norm(rows), operand(*tensor)))
            .collect();
        OutputForm {
            rows: (self.scale.len() * self.parts.len()) as u64,
            steps: self.steps,
            sources: if sources.is_empty() {
                vec![(1.0, Operand::Lookup)]
            } else {
                sources
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn digits_add_up_to_the_weight(weight in -127i64..=127, base in 2i64..20, parts in 1u32..4) {
            let digits = (0..parts).map(|part| digit(weight, base, part, parts) * base.pow(part));
            prop_assert_eq!(digits.sum::<i64>(), weight);
        }
    }
}
