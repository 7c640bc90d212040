//! Writes a network of integers as a program: every decision that was made becomes lines, ranges, noise and failures.

use std::collections::BTreeMap;

use heron_params::tfhe::{TfheParams, log2_tail};
use heron_plan::tfhe::{QuantizedInput, QuantizedOutput, TfheInstruction, TfheLine, TfheProgram, integer_ranges};
use heron_plan::{ConstEntry, ConstId, ValueId, VerifyErrors, Weights};

use crate::quantize::integers::{IntegerPiece, Quantized, Rows};
use crate::quantize::outputs::OutputParts;
use crate::quantize::parameters::{Chosen, Digits};

/// A program with its constants.
pub(super) struct Emitted {
    pub(super) program: TfheProgram,
    pub(super) weights: Weights,
    pub(super) constants: Vec<ConstEntry>,
}

/// What is written down.
pub(super) struct Decided<'a> {
    pub(super) pieces: &'a [IntegerPiece],
    /// Names of the nodes of each piece: its map's and its function's.
    pub(super) nodes: &'a [(String, Option<String>)],
    /// Tables of each piece with a function.
    pub(super) tables: Vec<Vec<f64>>,
    /// The input, then the result of each piece with a function.
    pub(super) tensors: &'a [Quantized],
    pub(super) chosen: &'a Chosen,
    pub(super) output: &'a OutputParts,
    pub(super) bits: u32,
    pub(super) log2_failure: f64,
}

/// Steps that the readers of each tensor need, each once, in order of reading.
pub(super) fn reader_steps(
    pieces: &[IntegerPiece],
    n_tensors: usize,
    piece_steps: impl Fn(usize) -> u64,
) -> Vec<Vec<u64>> {
    let mut steps = vec![Vec::new(); n_tensors];
    for (index, piece) in pieces.iter().enumerate() {
        for (tensor, _) in &piece.sources {
            let wanted = piece_steps(index);
            if !steps[*tensor].contains(&wanted) {
                steps[*tensor].push(wanted);
            }
        }
    }
    steps
}

/// Writes the program.
///
/// # Errors
/// Ranges that break rules: a defect of this compiler.
pub(super) fn emit(decided: &Decided<'_>) -> Result<Emitted, VerifyErrors> {
    let mut emitter = Emitter {
        decided,
        params: decided.chosen.params,
        lines: Vec::new(),
        weights: Weights::default(),
        constants: Vec::new(),
        values: BTreeMap::new(),
    };
    let piece_steps = |piece: usize| match decided.chosen.digits.get(piece) {
        Some(digits) => digits.steps(),
        None => decided.output.steps,
    };
    let mut readers = reader_steps(decided.pieces, decided.tensors.len(), piece_steps);
    let ends_in_function = decided.chosen.digits.len() == decided.pieces.len();
    if let (true, Some(last)) = (ends_in_function, readers.last_mut()) {
        last.push(decided.output.steps);
    }
    let input_steps = readers[0].clone();
    for &steps in &input_steps {
        emitter.input(steps);
    }
    for (index, piece) in decided.pieces.iter().enumerate() {
        match decided.chosen.digits.get(index) {
            Some(digits) => emitter.piece(index, piece, digits, &readers[index + 1]),
            None => emitter.output_map(piece),
        }
    }
    emitter.output();
    emitter.finish(input_steps)
}

struct Emitter<'a> {
    decided: &'a Decided<'a>,
    params: TfheParams,
    lines: Vec<TfheLine>,
    weights: Weights,
    constants: Vec<ConstEntry>,
    /// Lines by tensor and steps.
    values: BTreeMap<(usize, u64), ValueId>,
}

impl Emitter<'_> {
    fn line(&mut self, op: TfheInstruction, len: usize, steps: u64, variance: f64, node: &str) -> ValueId {
        self.lines.push(TfheLine {
            op,
            len: len as u32,
            steps,
            // Tightened at the end, when all tables are known.
            min: i64::MIN / 2,
            max: i64::MAX / 2,
            log2_variance: libm::log2(variance),
            log2_failure: None,
            node: node.to_owned(),
            note: String::new(),
        });
        ValueId(self.lines.len() as u32 - 1)
    }

    fn variance(&self, id: ValueId) -> f64 {
        libm::exp2(self.lines[id.index()].log2_variance)
    }

    fn constant(&mut self, name: &str, shape: &[usize], values: Vec<f64>) -> ConstId {
        let (id, entry) = self.weights.push(name, shape, values);
        self.constants.push(entry);
        id
    }

    fn input(&mut self, steps: u64) {
        let len = self.decided.tensors[0].min.len();
        let id = self.line(TfheInstruction::Input, len, steps, self.params.ring_variance(), "input");
        self.values.insert((0, steps), id);
    }

    /// A sum of maps of tensors, plus a bias.
    fn map(&mut self, sources: &[(usize, Rows)], bias: &[f64], steps: u64, node: &str) -> ValueId {
        let mut sum: Option<ValueId> = None;
        for (index, (tensor, rows)) in sources.iter().enumerate() {
            let arg = self.values[&(*tensor, steps)];
            let cols = self.decided.tensors[*tensor].min.len();
            let mut matrix = vec![0.0; rows.len() * cols];
            let mut norm = 0.0f64;
            for (row, terms) in rows.iter().enumerate() {
                terms
                    .iter()
                    .for_each(|&(column, weight)| matrix[row * cols + column] = weight as f64);
                norm = norm.max(terms.iter().map(|(_, weight)| (weight * weight) as f64).sum());
            }
            let suffix = if index == 0 { String::new() } else { format!(".{index}") };
            let weights = self.constant(&format!("{node}.weight{suffix}"), &[rows.len(), cols], matrix);
            let zero_or_bias = if index == 0 {
                bias.to_vec()
            } else {
                vec![0.0; rows.len()]
            };
            let bias = self.constant(&format!("{node}.bias{suffix}"), &[rows.len()], zero_or_bias);
            // A map of zeros has no noise; its variance is that of one operand, so that it has a logarithm.
            let variance = norm.max(1.0) * self.variance(arg);
            let op = TfheInstruction::Linear { arg, weights, bias };
            let part = self.line(op, rows.len(), steps, variance, node);
            sum = Some(match sum {
                None => part,
                Some(lhs) => {
                    let deviation = self.variance(lhs).sqrt() + self.variance(part).sqrt();
                    let op = TfheInstruction::Add { lhs, rhs: part };
                    self.line(op, rows.len(), steps, deviation * deviation, node)
                }
            });
        }
        sum.expect("a map reads something")
    }

    fn piece(&mut self, index: usize, piece: &IntegerPiece, digits: &Digits, readers: &[u64]) {
        let (map_node, function_node) = &self.decided.nodes[index];
        let function_node = function_node.as_deref().unwrap_or(map_node);
        let bias: Vec<f64> = piece.low.iter().map(|low| -low as f64).collect();
        let mut value = self.map(&piece.sources, &bias, digits.steps(), map_node);
        let rows = piece.low.len();
        let log2_rows = libm::log2(rows as f64);
        let mut steps = digits.steps();
        for &by in &digits.divisors {
            steps /= by;
            let scaled = self.variance(value) * (steps as f64) * (steps as f64);
            let failure = self.params.log2_misread(scaled, by) + log2_rows;
            let variance = self.variance(value) + self.params.bootstrap_variance();
            value = self.line(
                TfheInstruction::Floor { arg: value, by },
                rows,
                steps,
                variance,
                map_node,
            );
            self.lines[value.index()].log2_failure = Some(failure);
        }
        let failure = self.params.log2_misread(self.variance(value), digits.entries) + log2_rows;
        let shape = [rows, digits.entries as usize];
        let table = self.constant(
            &format!("{function_node}.table"),
            &shape,
            self.decided.tables[index].clone(),
        );
        for &reader in readers {
            let op = TfheInstruction::Lookup { arg: value, table };
            let result = self.line(op, rows, reader, self.params.bootstrap_variance(), function_node);
            self.lines[result.index()].log2_failure = Some(failure);
            self.values.insert((index + 1, reader), result);
        }
    }

    fn output_map(&mut self, piece: &IntegerPiece) {
        let output = self.decided.output;
        let node = &self.decided.nodes[self.decided.nodes.len() - 1].0;
        let sources: Vec<(usize, Rows)> = piece
            .sources
            .iter()
            .enumerate()
            .map(|(at, (tensor, _))| (*tensor, output.rows[at].clone()))
            .collect();
        let bias: Vec<f64> = output.low.iter().map(|low| -low as f64).collect();
        let value = self.map(&sources, &bias, output.steps, node);
        self.values.insert((usize::MAX, output.steps), value);
    }

    fn output(&mut self) {
        let steps = self.decided.output.steps;
        let last = (self.decided.tensors.len() - 1, steps);
        let arg = *self
            .values
            .get(&(usize::MAX, steps))
            .unwrap_or_else(|| &self.values[&last]);
        let (len, variance) = (self.lines[arg.index()].len as usize, self.variance(arg));
        let node = self.lines[arg.index()].node.clone();
        let id = self.line(TfheInstruction::Output { arg }, len, steps, variance, &node);
        let deviations = 0.5 / steps as f64 / variance.sqrt();
        self.lines[id.index()].log2_failure = Some(log2_tail(deviations) + libm::log2(len as f64));
    }

    fn finish(self, input_steps: Vec<u64>) -> Result<Emitted, VerifyErrors> {
        let (input, output) = (&self.decided.tensors[0], self.decided.output);
        let mut program = TfheProgram {
            params: self.params,
            log2_failure: self.decided.log2_failure,
            bits: self.decided.bits,
            input: QuantizedInput {
                scale: input.scale.clone(),
                offset: input.offset.clone(),
                min: input.min.clone(),
                max: input.max.clone(),
                steps: input_steps,
            },
            output: QuantizedOutput {
                parts: output.parts.clone(),
                scale: output.scale.clone(),
                offset: output.offset.clone(),
                steps: output.steps,
                min: 0,
            },
            lines: self.lines,
        };
        for (line, ranges) in integer_ranges(&program, &self.weights)?.into_iter().enumerate() {
            let line = &mut program.lines[line];
            line.min = ranges.iter().map(|range| range.min as i64).min().unwrap_or(0);
            line.max = ranges.iter().map(|range| range.max as i64).max().unwrap_or(0);
        }
        Ok(Emitted {
            program,
            weights: self.weights,
            constants: self.constants,
        })
    }
}
