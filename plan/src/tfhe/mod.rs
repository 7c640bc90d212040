//! Plans for exact integers: the instruction set, its verification, and what its client needs.
//!
//! A value is a vector of integers; element `v` of a value with `steps` is encrypted as `v / steps` of a turn under the
//! ring key. Linear algebra is free of look-ups. `floor` and `lookup` cost one key switch and one bootstrap for each element.

mod client;
mod evaluate;
mod listing;
mod ranges;
#[cfg(test)]
mod tests;
mod verify;

use heron_params::tfhe::TfheParams;
use serde::{Deserialize, Serialize};

pub use client::{ClientFile, TfheClientSpec};
pub use evaluate::{IntegerProgram, Resolved, Row};
pub(crate) use ranges::verify_ranges;
pub use ranges::{IntegerRange, integer_ranges};
pub(crate) use verify::{verify_client, verify_program};

use crate::{ConstId, ValueId};

/// A program for exact integers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TfheProgram {
    /// Scheme parameters.
    pub params: TfheParams,
    /// `log2` of the probability, at most, that any look-up or output of one run is wrong.
    pub log2_failure: f64,
    /// Bits of weights and activations.
    pub bits: u32,
    /// How the client makes integers of the input.
    pub input: QuantizedInput,
    /// How the client makes numbers of the output.
    pub output: QuantizedOutput,
    /// The instructions, in order of evaluation.
    pub lines: Vec<TfheLine>,
}

/// Element `i` of the input becomes the nearest integer to `(x - offset[i]) / scale[i]` in `min[i]..=max[i]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantizedInput {
    /// What one step of the integers of each element is worth.
    pub scale: Vec<f64>,
    /// What zero of each element is worth.
    pub offset: Vec<f64>,
    /// Smallest integer of each element.
    pub min: Vec<i64>,
    /// Largest integer of each element.
    pub max: Vec<i64>,
    /// Steps a turn of each `input` line: the client encrypts the integers once for each.
    pub steps: Vec<u64>,
}

/// Element `i` of the output is `scale[i] · Σ parts[p] · v[p · len + i] + offset[i]` for the decrypted integers `v`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantizedOutput {
    /// Weights of the parts.
    pub parts: Vec<i64>,
    /// What one step of each output is worth.
    pub scale: Vec<f64>,
    /// What zero of each output is worth.
    pub offset: Vec<f64>,
    /// Steps a turn.
    pub steps: u64,
    /// Smallest integer of any part: the client takes the representative from here on.
    pub min: i64,
}

/// One line: an instruction, and the state of its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TfheLine {
    /// What to compute.
    pub op: TfheInstruction,
    /// How many elements the result has.
    pub len: u32,
    /// Values a turn.
    pub steps: u64,
    /// Smallest integer that any element takes, for every input that the client accepts.
    pub min: i64,
    /// Largest.
    pub max: i64,
    /// `log2` of the variance of an element, in squared turns.
    pub log2_variance: f64,
    /// `log2` of the probability that any element of the line is read wrong; absent where nothing is read.
    pub log2_failure: Option<f64>,
    /// Name of the ONNX node that the line belongs to.
    pub node: String,
    /// What a reader should know; empty where nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What one line computes. Operands are earlier lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum TfheInstruction {
    /// The encrypted input.
    Input,
    /// `y = W x + b` with integers. `weights`: `[rows, cols]`; `bias`: `[rows]`. Steps stay.
    Linear {
        /// Operand.
        arg: ValueId,
        /// `[rows, cols]`.
        weights: ConstId,
        /// `[rows]`.
        bias: ConstId,
    },
    /// Element-wise sum of values of equal length and steps.
    Add {
        /// Left operand.
        lhs: ValueId,
        /// Right operand.
        rhs: ValueId,
    },
    /// `⌊x / by⌋` exactly, for an odd divisor that divides the steps: one look-up takes `x mod by` away, whatever the
    /// range of `x`, and steps fall by the divisor.
    Floor {
        /// Operand.
        arg: ValueId,
        /// The divisor.
        by: u64,
    },
    /// `table[i][x]` for `x` in `0..steps/2`. `table`: `[1 or rows, steps/2]`.
    Lookup {
        /// Operand.
        arg: ValueId,
        /// `[1 or rows, steps/2]`.
        table: ConstId,
    },
    /// A result that goes back to the client.
    Output {
        /// Operand.
        arg: ValueId,
    },
}

impl TfheInstruction {
    /// The operands, left to right.
    pub fn args(&self) -> impl Iterator<Item = ValueId> + use<> {
        let (first, second) = match *self {
            Self::Input => (None, None),
            Self::Linear { arg, .. } | Self::Floor { arg, .. } | Self::Lookup { arg, .. } | Self::Output { arg } => {
                (Some(arg), None)
            }
            Self::Add { lhs, rhs } => (Some(lhs), Some(rhs)),
        };
        first.into_iter().chain(second)
    }

    /// The name in listings and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Linear { .. } => "linear",
            Self::Add { .. } => "add",
            Self::Floor { .. } => "floor",
            Self::Lookup { .. } => "lookup",
            Self::Output { .. } => "output",
        }
    }

    /// Whether every element costs a key switch and a bootstrap.
    pub fn bootstraps(&self) -> bool {
        match self {
            Self::Floor { .. } | Self::Lookup { .. } => true,
            Self::Input | Self::Linear { .. } | Self::Add { .. } | Self::Output { .. } => false,
        }
    }
}

impl TfheProgram {
    /// How many look-ups a run takes: a key switch and a bootstrap each.
    pub fn lookups(&self) -> u64 {
        let bootstrapped = self.lines.iter().filter(|line| line.op.bootstraps());
        bootstrapped.map(|line| u64::from(line.len)).sum()
    }

    /// The line that an operand names; `None` for one that does not exist.
    pub fn line(&self, id: ValueId) -> Option<&TfheLine> {
        self.lines.get(id.index())
    }
}

impl QuantizedInput {
    /// The integers of one sample.
    ///
    /// # Shapes
    /// As many values as `min` and `max` have; what is beyond either is left out.
    pub fn quantize(&self, sample: &[f64]) -> Vec<i64> {
        let units = self.scale.iter().zip(&self.offset);
        let elements = sample.iter().zip(units).zip(self.min.iter().zip(&self.max));
        elements
            .map(|((x, (scale, offset)), (&min, &max))| {
                (((x - offset) / scale).round() as i64).clamp(min, max.max(min))
            })
            .collect()
    }
}

impl QuantizedOutput {
    /// How many numbers the output has.
    pub fn len(&self) -> usize {
        self.scale.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.scale.is_empty()
    }

    /// The numbers that decrypted integers stand for.
    ///
    /// # Shapes
    /// `integers`: `parts · len`, part by part.
    pub fn dequantize(&self, integers: &[i64]) -> Vec<f64> {
        let sum = |element: usize| -> i64 {
            let part = |(part, weight): (usize, &i64)| weight * integers[part * self.len() + element];
            self.parts.iter().enumerate().map(part).sum()
        };
        let numbers = self.scale.iter().zip(&self.offset).enumerate();
        numbers
            .map(|(element, (scale, offset))| scale * sum(element) as f64 + offset)
            .collect()
    }
}
