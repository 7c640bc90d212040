//! The exact range of every element of every line, for every input that the client accepts: interval arithmetic on integers.

use super::verify::LOG_SLACK;
use super::{TfheInstruction, TfheProgram};
use crate::verify::{Place, Report, Rule, VerifyErrors};
use crate::{ConstId, ValueId, Weights};

/// Largest integer of a constant: sums of a million products with it stay within `i128`.
const MAX_CONSTANT: f64 = (1u64 << 50) as f64;

/// A closed interval of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntegerRange {
    /// Smallest.
    pub min: i128,
    /// Largest.
    pub max: i128,
}

impl IntegerRange {
    /// The interval of `factor · x`.
    fn times(self, factor: i128) -> Self {
        let (a, b) = (self.min * factor, self.max * factor);
        Self {
            min: a.min(b),
            max: a.max(b),
        }
    }

    /// The interval of `x + y`.
    fn plus(self, other: Self) -> Self {
        Self {
            min: self.min + other.min,
            max: self.max + other.max,
        }
    }

    fn of(value: i128) -> Self {
        Self { min: value, max: value }
    }
}

/// Ranges of the elements of every line, by line.
///
/// Table entries are taken over the indices that an element can have, so that the ranges are as tight as intervals get.
///
/// # Cost
/// One pass over the weights.
///
/// # Errors
/// All lines where a range leaves what the line states, an index its table, or a constant the integers.
pub fn integer_ranges(program: &TfheProgram, weights: &Weights) -> Result<Vec<Vec<IntegerRange>>, VerifyErrors> {
    let mut report = Report::default();
    let mut ranges: Vec<Vec<IntegerRange>> = Vec::with_capacity(program.lines.len());
    for (index, line) in program.lines.iter().enumerate() {
        let place = Place::Line(ValueId(index as u32), line.node.clone());
        let found = match elements(program, weights, index, &ranges) {
            Ok(found) => found,
            Err((rule, found, expected)) => {
                report.add(place, rule, found, expected);
                break;
            }
        };
        let least = found.iter().map(|range| range.min).min().unwrap_or(0);
        let most = found.iter().map(|range| range.max).max().unwrap_or(0);
        if least < i128::from(line.min) || most > i128::from(line.max) {
            let expected = format!("within the stated {} to {}", line.min, line.max);
            report.add(place, Rule::Range, format!("integers from {least} to {most}"), expected);
        }
        ranges.push(found);
    }
    report.into_result()?;
    Ok(ranges)
}

/// Checks what needs the weights: ranges, indices, and the noise of linear maps.
pub(crate) fn verify_ranges(program: &TfheProgram, weights: &Weights) -> Result<(), VerifyErrors> {
    integer_ranges(program, weights)?;
    let mut report = Report::default();
    for (index, line) in program.lines.iter().enumerate() {
        let TfheInstruction::Linear {
            arg, weights: matrix, ..
        } = line.op
        else {
            continue;
        };
        let (Some(matrix), Some(operand)) = (weights.get(matrix), program.line(arg)) else {
            continue;
        };
        let factor = noise_factor(&operand.op, matrix, operand.len as usize);
        let least = operand.log2_variance + libm::log2(factor.max(f64::MIN_POSITIVE));
        if line.log2_variance < least - LOG_SLACK {
            let place = Place::Line(ValueId(index as u32), line.node.clone());
            let expected = format!("at least 2^{least:.3} by the weights' norm");
            report.add(place, Rule::Variance, format!("2^{:.3}", line.log2_variance), expected);
        }
    }
    report.into_result()
}

/// By how much a linear map multiplies the variance, at most: the largest squared 2-norm of a row where the operand's
/// elements have independent noise, the largest squared 1-norm where they share some.
pub(super) fn noise_factor(operand: &TfheInstruction, matrix: &[f64], cols: usize) -> f64 {
    let independent = match operand {
        TfheInstruction::Input | TfheInstruction::Lookup { .. } => true,
        TfheInstruction::Linear { .. }
        | TfheInstruction::Add { .. }
        | TfheInstruction::Floor { .. }
        | TfheInstruction::Output { .. } => false,
    };
    let norm = |row: &[f64]| -> f64 {
        if independent {
            return row.iter().map(|w| w * w).sum();
        }
        let sum: f64 = row.iter().map(|w| w.abs()).sum();
        sum * sum
    };
    matrix.chunks_exact(cols.max(1)).map(norm).fold(0.0, f64::max)
}

type Broken = (Rule, String, String);

fn elements(
    program: &TfheProgram,
    weights: &Weights,
    index: usize,
    ranges: &[Vec<IntegerRange>],
) -> Result<Vec<IntegerRange>, Broken> {
    let line = &program.lines[index];
    let arg = |id: ValueId| ranges.get(id.index()).map_or(&[][..], Vec::as_slice);
    Ok(match line.op {
        TfheInstruction::Input => {
            let elements = program.input.min.iter().zip(&program.input.max);
            elements
                .map(|(&min, &max)| IntegerRange {
                    min: i128::from(min),
                    max: i128::from(max),
                })
                .collect()
        }
        TfheInstruction::Linear {
            arg: x,
            weights: w,
            bias,
        } => {
            let (matrix, bias) = (integers(weights, w)?, integers(weights, bias)?);
            linear(arg(x), matrix, bias)
        }
        TfheInstruction::Add { lhs, rhs } => arg(lhs).iter().zip(arg(rhs)).map(|(x, y)| x.plus(*y)).collect(),
        TfheInstruction::Floor { arg: x, by } => {
            let floor = |range: &IntegerRange| IntegerRange {
                min: range.min.div_euclid(i128::from(by.max(1))),
                max: range.max.div_euclid(i128::from(by.max(1))),
            };
            arg(x).iter().map(floor).collect()
        }
        TfheInstruction::Lookup { arg: x, table } => {
            let half = program.line(x).map_or(0, |operand| operand.steps / 2) as usize;
            looked_up(arg(x), integers(weights, table)?, half)?
        }
        TfheInstruction::Output { arg: x } => arg(x).to_vec(),
    })
}

fn linear(x: &[IntegerRange], matrix: &[f64], bias: &[f64]) -> Vec<IntegerRange> {
    let row = |(row, bias): (&[f64], &f64)| {
        let products = row.iter().zip(x).filter(|(w, _)| **w != 0.0);
        products.fold(IntegerRange::of(*bias as i128), |sum, (w, x)| {
            sum.plus(x.times(*w as i128))
        })
    };
    matrix.chunks_exact(x.len().max(1)).zip(bias).map(row).collect()
}

fn looked_up(x: &[IntegerRange], table: &[f64], half: usize) -> Result<Vec<IntegerRange>, Broken> {
    let rows = table.len() / half.max(1);
    let one = |(element, range): (usize, &IntegerRange)| {
        if range.min < 0 || range.max >= half as i128 {
            let found = format!("an index from {} to {} in element {element}", range.min, range.max);
            return Err((Rule::Range, found, format!("0 to {}", half.saturating_sub(1))));
        }
        let row = if rows == 1 { 0 } else { element };
        let entries = &table[row * half..][range.min as usize..=range.max as usize];
        let (min, max) = entries
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), e| {
                (min.min(*e), max.max(*e))
            });
        Ok(IntegerRange {
            min: min as i128,
            max: max as i128,
        })
    };
    x.iter().enumerate().map(one).collect()
}

fn integers(weights: &Weights, id: ConstId) -> Result<&[f64], Broken> {
    let values = weights.get(id).unwrap_or(&[]);
    match values
        .iter()
        .find(|v| v.fract() != 0.0 || v.abs() > MAX_CONSTANT || !v.is_finite())
    {
        None => Ok(values),
        Some(value) => Err((Rule::Constant, format!("{value} in {id}"), "integers".to_owned())),
    }
}
