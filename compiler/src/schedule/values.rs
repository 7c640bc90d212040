//! What every line of a program is worth on the calibration samples, element by element.
//!
//! Bounds and noise are decided from these. They are computed without slots: that the slots hold them is what the semantic
//! gate checks, and slots without an element are zero throughout.

use std::collections::BTreeMap;

use heron_params::chebyshev_value;
use heron_plan::{Constant, Instruction, SlotPolynomial, ValueId, Weights};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::calibrate::Samples;
use crate::schedule::levels::Drafts;

/// The elements of every line on every sample. Lines that change no value share their operand's.
#[derive(Clone, Debug)]
pub(crate) struct LineValues {
    tables: Vec<Vec<Vec<f64>>>,
    of_line: Vec<usize>,
}

impl LineValues {
    /// One vector a sample.
    pub(crate) fn of(&self, line: ValueId) -> &[Vec<f64>] {
        &self.tables[self.of_line[line.index()]]
    }
}

/// The values of a program's lines as another placement of the same network finds them: among other lines, and divided by
/// powers of two.
pub(crate) struct View<'a> {
    values: &'a LineValues,
    /// The table of each line, and what its values are multiplied by.
    lines: Vec<(usize, f64)>,
}

impl<'a> View<'a> {
    /// The lines of `drafts`, a placement of the network that `values` are of, whose first placement is `reference`; the values of node
    /// `n` are divided by `2^exponents[n]`.
    pub(crate) fn new(values: &'a LineValues, reference: &Drafts, drafts: &Drafts, exponents: &[i32]) -> Self {
        let moves = |op: &Instruction| matches!(op, Instruction::DropLevel { .. } | Instruction::Bootstrap { .. });
        let computing = reference.lines.iter().zip(&values.of_line);
        let mut computing = computing.filter(|(line, _)| !moves(&line.op)).map(|(_, &table)| table);
        let mut lines: Vec<(usize, f64)> = Vec::with_capacity(drafts.lines.len());
        for line in &drafts.lines {
            let found = match line.op {
                Instruction::DropLevel { arg } | Instruction::Bootstrap { arg } => lines[arg.index()],
                _ => {
                    let table = computing.next().expect("the same operations in the same order");
                    (table, libm::exp2(-f64::from(exponents[line.source.index()])))
                }
            };
            lines.push(found);
        }
        Self { values, lines }
    }

    /// The largest magnitude of a line.
    pub(crate) fn largest(&self, line: ValueId) -> f64 {
        let (table, factor) = self.lines[line.index()];
        factor * largest(&self.values.tables[table])
    }

    /// One vector a sample.
    pub(crate) fn of(&self, line: ValueId) -> Vec<Vec<f64>> {
        let (table, factor) = self.lines[line.index()];
        scaled(self.values.tables[table].iter(), factor)
    }

    /// A number of samples, spread evenly over all.
    pub(crate) fn thinned(&self, samples: usize) -> LineValues {
        let mut known: BTreeMap<(usize, u64), usize> = BTreeMap::new();
        let mut thinned = LineValues {
            tables: Vec::new(),
            of_line: Vec::new(),
        };
        for &(table, factor) in &self.lines {
            let index = *known.entry((table, factor.to_bits())).or_insert_with(|| {
                let all = &self.values.tables[table];
                let step = all.len().div_ceil(samples.max(1)).max(1);
                thinned.tables.push(scaled(all.iter().step_by(step), factor));
                thinned.tables.len() - 1
            });
            thinned.of_line.push(index);
        }
        thinned
    }
}

fn scaled<'a>(table: impl Iterator<Item = &'a Vec<f64>>, factor: f64) -> Vec<Vec<f64>> {
    table.map(|x| x.iter().map(|x| factor * x).collect()).collect()
}

fn largest(table: &[Vec<f64>]) -> f64 {
    table
        .iter()
        .flatten()
        .fold(0.0, |largest, value| value.abs().max(largest))
}

/// Evaluates a program on samples.
pub(crate) fn line_values(drafts: &Drafts, weights: &Weights, samples: &Samples) -> LineValues {
    let mut values = LineValues {
        tables: Vec::new(),
        of_line: Vec::new(),
    };
    for line in &drafts.lines {
        let zip = |lhs: ValueId, rhs: ValueId, combine: fn(f64, f64) -> f64| {
            let combined = |(l, r): (&Vec<f64>, &Vec<f64>)| l.iter().zip(r).map(|(&l, &r)| combine(l, r)).collect();
            values
                .of(lhs)
                .iter()
                .zip(values.of(rhs))
                .map(combined)
                .collect::<Vec<Vec<f64>>>()
        };
        let with = |arg: ValueId, constant: &Constant, combine: fn(f64, f64) -> f64| {
            let factor = |element: usize| constant_element(constant, weights, element);
            let combined = |x: &Vec<f64>| {
                x.iter()
                    .enumerate()
                    .map(|(e, &x)| combine(x, factor(e)))
                    .collect::<Vec<f64>>()
            };
            values.of(arg).iter().map(combined).collect::<Vec<_>>()
        };
        let table = match &line.op {
            Instruction::Input => samples.iter().map(<[f64]>::to_vec).collect(),
            Instruction::Linear { arg, map } => {
                let matrix = &drafts.maps[map.index()].geometry;
                let entries = tensor(weights, matrix.weights());
                values.of(*arg).par_iter().map(|x| matrix.product(entries, x)).collect()
            }
            Instruction::Add { lhs, rhs } => zip(*lhs, *rhs, |l, r| l + r),
            Instruction::Sub { lhs, rhs } => zip(*lhs, *rhs, |l, r| l - r),
            Instruction::Mul { lhs, rhs } => zip(*lhs, *rhs, |l, r| l * r),
            Instruction::Square { arg } => zip(*arg, *arg, |l, r| l * r),
            Instruction::Polynomial { arg, poly } => {
                let coefficients = dense_coefficients(poly, weights);
                let element = |(e, &x): (usize, &f64)| {
                    let of_this: &Vec<f64> = of_element(&coefficients, e);
                    chebyshev_value(of_this, x)
                };
                let apply = |x: &Vec<f64>| x.iter().enumerate().map(element).collect();
                values.of(*arg).iter().map(apply).collect()
            }
            Instruction::AddConst { arg, value } => with(*arg, value, |x, c| x + c),
            Instruction::MulConst { arg, value } => with(*arg, value, |x, c| x * c),
            Instruction::Rotate { arg, .. }
            | Instruction::Rescale { arg }
            | Instruction::DropLevel { arg }
            | Instruction::Bootstrap { arg }
            | Instruction::Output { arg } => {
                values.of_line.push(values.of_line[arg.index()]);
                continue;
            }
        };
        values.of_line.push(values.tables.len());
        values.tables.push(table);
    }
    values
}

/// The coefficients of every element, or of all at once.
pub(crate) fn dense_coefficients(poly: &SlotPolynomial, weights: &Weights) -> Vec<Vec<f64>> {
    let data = tensor(weights, poly.coefficients);
    let elements = poly.layout.map_or(1, |layout| layout.len as usize);
    (0..elements).map(|element| poly.dense(data, element)).collect()
}

/// What applies to one element where there is one entry for each, or one for all.
pub(crate) fn of_element<T>(entries: &[T], element: usize) -> &T {
    if entries.len() == 1 {
        &entries[0]
    } else {
        &entries[element]
    }
}

/// One element of a constant.
pub(crate) fn constant_element(constant: &Constant, weights: &Weights, element: usize) -> f64 {
    match constant {
        Constant::Scalar(value) => *value,
        Constant::Vector { data, .. } => tensor(weights, *data)[element],
    }
}

/// A constant of the packer.
pub(crate) fn tensor(weights: &Weights, id: heron_plan::ConstId) -> &[f64] {
    weights.get(id).expect("the packer pushed every constant it names")
}
