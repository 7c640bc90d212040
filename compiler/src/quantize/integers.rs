//! Integers for the numbers of a network: scales of tensors, integer rows, exact ranges of accumulators, tables.

use crate::calibrate::{Interval, TensorRange};
use crate::evaluate::evaluate_node;
use crate::graph::Graph;
use crate::nn::{Granularity, Op};
use crate::quantize::pieces::{Piece, Source};

/// Levels of the result of a function that ends the network, where nothing is accumulated any more.
const OUTPUT_LEVELS: i64 = 255;

/// What the integers of a tensor stand for: `scale[i] · q + offset[i]` for `q` in `min[i]..=max[i]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantized {
    pub(super) scale: Vec<f64>,
    pub(super) offset: Vec<f64>,
    pub(super) min: Vec<i64>,
    pub(super) max: Vec<i64>,
}

/// What decides the integers, beside the bits: searched on calibration samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    /// Bits of weights and tensors.
    pub(super) bits: u32,
    /// Fraction of the calibrated range of a tensor that its integers cover.
    pub(super) clip: f64,
    /// Whether each element of the input has a scale of its own.
    pub(super) input: InputScale,
}

/// What one scale of the input covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputScale {
    Tensor,
    Element,
}

/// By row: column and weight of what is not zero.
pub(super) type Rows = Vec<Vec<(usize, i64)>>;

/// A piece with integer weights.
pub(super) struct IntegerPiece {
    /// By source: column and weight of what is not zero, by row.
    pub(super) sources: Vec<(usize, Rows)>,
    /// What one step of each accumulator is worth.
    pub(super) scale: Vec<f64>,
    /// What zero of each accumulator is worth.
    pub(super) offset: Vec<f64>,
    /// Smallest value of each accumulator.
    pub(super) low: Vec<i64>,
    /// Number of values from the smallest to the largest, of the widest accumulator.
    pub(super) width: u64,
    /// The row with the widest accumulator.
    pub(super) widest: usize,
}

impl Choice {
    fn levels(self) -> i64 {
        (1 << self.bits) - 1
    }
}

/// The integers of the input: each element within what calibration saw of it.
pub(super) fn input(range: &TensorRange, choice: Choice) -> Quantized {
    let whole = covering(range.tensor, 1.0, choice.levels());
    let mut quantized = Quantized {
        scale: Vec::new(),
        offset: Vec::new(),
        min: Vec::new(),
        max: Vec::new(),
    };
    for element in &range.elements {
        let (scale, offset) = match choice.input {
            InputScale::Tensor => whole,
            InputScale::Element => covering(*element, 1.0, choice.levels()),
        };
        let integer = |x: f64| (((x - offset) / scale).round() as i64).clamp(0, choice.levels());
        quantized.scale.push(scale);
        quantized.offset.push(offset);
        quantized.min.push(integer(element.min));
        quantized.max.push(integer(element.max));
    }
    quantized
}

/// The integers of a function's result.
pub(super) fn activation(range: &TensorRange, choice: Choice, is_output: bool) -> Quantized {
    let (levels, clip) = if is_output {
        (OUTPUT_LEVELS, 1.0)
    } else {
        (choice.levels(), choice.clip)
    };
    let (scale, offset) = covering(range.tensor, clip, levels);
    let n = range.elements.len();
    Quantized {
        scale: vec![scale; n],
        offset: vec![offset; n],
        min: vec![0; n],
        max: vec![levels; n],
    }
}

/// Scale and offset with which `0..=levels` cover a fraction of an interval; zero stays exact where it is an end.
fn covering(interval: Interval, clip: f64, levels: i64) -> (f64, f64) {
    let (min, max) = (interval.min.min(0.0) * clip, interval.max.max(0.0) * clip);
    let (min, max) = if interval.min > 0.0 && interval.min > 0.5 * interval.max {
        (interval.min, interval.max)
    } else {
        (min, max)
    };
    let scale = (max - min) / levels as f64;
    if scale > 0.0 && scale.is_finite() {
        (scale, min)
    } else {
        (1.0, min)
    }
}

/// The largest integer of a weight.
pub(super) fn largest_weight(bits: u32) -> i64 {
    (1 << (bits - 1)) - 1
}

/// Integer weights for a piece, one scale a channel of its result, and the exact ranges of its accumulators.
pub(super) fn piece(piece: &Piece, tensors: &[Quantized], bits: u32) -> IntegerPiece {
    let largest_weight = largest_weight(bits) as f64;
    let rows = piece.bias.len();
    let channel = |row: usize| Granularity::Channel.entry(row, &piece.shape);
    let mut largest = vec![0.0f64; Granularity::Channel.entries(&piece.shape).max(1)];
    for source in &piece.sources {
        for (row, terms) in source.rows.iter().enumerate() {
            for &(column, weight) in terms {
                let reach = (weight * tensors[source.tensor].scale[column]).abs();
                let slot = &mut largest[channel(row)];
                *slot = slot.max(reach);
            }
        }
    }
    let unit = |row: usize| {
        if largest[channel(row)] > 0.0 {
            largest[channel(row)] / largest_weight
        } else {
            1.0
        }
    };
    let scale: Vec<f64> = (0..rows).map(unit).collect();
    let sources: Vec<(usize, Rows)> = piece
        .sources
        .iter()
        .map(|source| (source.tensor, integer_rows(source, &tensors[source.tensor], &scale)))
        .collect();
    let offset = (0..rows)
        .map(|row| piece.bias[row] + constant(piece, tensors, row))
        .collect();
    let mut integer = IntegerPiece {
        sources,
        scale,
        offset,
        low: Vec::new(),
        width: 0,
        widest: 0,
    };
    integer.bound(tensors);
    integer
}

/// A part of a maximum in the integers of what it reads, exactly: sums and differences of tensors with one scale and zero at
/// zero, none of whose results is larger than the operand's largest. `None` where tensors or weights are others.
pub(super) fn maximum(piece: &Piece, tensors: &[Quantized]) -> Option<(IntegerPiece, Quantized)> {
    let operand = &tensors[piece.sources.first()?.tensor];
    let (scale, largest) = (*operand.scale.first()?, *operand.max.iter().max()?);
    let alike = |tensor: &Quantized| {
        let scales = tensor.scale.iter().all(|other| *other == scale);
        scales && tensor.offset.iter().all(|offset| *offset == 0.0) && tensor.min.iter().all(|min| *min >= 0)
    };
    let units = |rows: &[Vec<(usize, f64)>]| rows.iter().flatten().all(|(_, weight)| weight.abs() == 1.0);
    let fits = |source: &Source| alike(&tensors[source.tensor]) && units(&source.rows);
    if !piece.sources.iter().all(fits) {
        return None;
    }
    let rows = piece.bias.len();
    let integer_row = |terms: &Vec<(usize, f64)>| terms.iter().map(|&(at, weight)| (at, weight as i64)).collect();
    let sources = piece.sources.iter();
    let mut integer = IntegerPiece {
        sources: sources
            .map(|source| (source.tensor, source.rows.iter().map(integer_row).collect()))
            .collect(),
        scale: vec![scale; rows],
        offset: vec![0.0; rows],
        low: Vec::new(),
        width: 0,
        widest: 0,
    };
    integer.bound(tensors);
    let result = Quantized {
        scale: vec![scale; rows],
        offset: vec![0.0; rows],
        min: vec![0; rows],
        max: vec![largest; rows],
    };
    Some((integer, result))
}

fn integer_rows(source: &Source, tensor: &Quantized, scale: &[f64]) -> Rows {
    let row = |(terms, scale): (&Vec<(usize, f64)>, &f64)| {
        terms
            .iter()
            .map(|&(column, weight)| (column, (weight * tensor.scale[column] / scale).round() as i64))
            .filter(|(_, weight)| *weight != 0)
            .collect()
    };
    source.rows.iter().zip(scale).map(row).collect()
}

/// What the offsets of the tensors add to a row.
fn constant(piece: &Piece, tensors: &[Quantized], row: usize) -> f64 {
    let part = |source: &Source| -> f64 {
        let offset = &tensors[source.tensor].offset;
        source.rows[row]
            .iter()
            .map(|&(column, weight)| weight * offset[column])
            .sum()
    };
    piece.sources.iter().map(part).sum()
}

/// Smallest and largest value of an accumulator.
fn range(sources: &[(usize, Rows)], tensors: &[Quantized], row: usize) -> (i64, i64) {
    let (mut min, mut max) = (0, 0);
    for (tensor, rows) in sources {
        for &(column, weight) in &rows[row] {
            let (a, b) = (
                weight * tensors[*tensor].min[column],
                weight * tensors[*tensor].max[column],
            );
            min += a.min(b);
            max += a.max(b);
        }
    }
    (min, max)
}

impl Quantized {
    /// The integers of a tensor's values, as numbers.
    pub(super) fn integers(&self, values: &[f64]) -> Vec<f64> {
        let units = self.scale.iter().zip(&self.offset);
        let ranges = self.min.iter().zip(&self.max);
        let elements = values.iter().zip(units).zip(ranges);
        elements
            .map(|((x, (scale, offset)), (min, max))| ((x - offset) / scale).round().clamp(*min as f64, *max as f64))
            .collect()
    }
}

impl IntegerPiece {
    /// Finds the exact ranges of the accumulators.
    pub(super) fn bound(&mut self, tensors: &[Quantized]) {
        (self.width, self.widest) = (0, 0);
        self.low.clear();
        for row in 0..self.scale.len() {
            let (min, max) = range(&self.sources, tensors, row);
            self.low.push(min);
            if max.abs_diff(min) + 1 > self.width {
                (self.width, self.widest) = (max.abs_diff(min) + 1, row);
            }
        }
    }

    /// The tables of a function: what each row gives for `index · granule` and on, in the integers of the result.
    ///
    /// # Shapes
    /// `[rows, entries]`, row-major.
    pub(super) fn tables(
        &self,
        graph: &Graph<Op>,
        piece: &Piece,
        result: &Quantized,
        granule: u64,
        entries: u64,
    ) -> Vec<f64> {
        let rows = self.scale.len();
        let mut tables = vec![0.0; rows * entries as usize];
        let Some(function) = piece.function.map(|id| graph.node(id)) else {
            return tables;
        };
        let middle = (granule - 1) as f64 / 2.0;
        for index in 0..entries {
            let accumulator = |row: usize| (index * granule) as f64 + middle + self.low[row] as f64;
            let numbers: Vec<f64> = (0..rows)
                .map(|row| self.scale[row] * accumulator(row) + self.offset[row])
                .collect();
            for (row, y) in evaluate_node(graph, function, &[&numbers]).into_iter().enumerate() {
                let integer = ((y - result.offset[row]) / result.scale[row]).round();
                let (min, max) = (result.min[row] as f64, result.max[row] as f64);
                tables[row * entries as usize + index as usize] = integer.clamp(min, max);
            }
        }
        tables
    }
}
