//! Turns a polynomial network into a program: levels, rescales, parameters, bounds and predicted errors.
//!
//! Packing depends on the number of slots and the noise on the parameters, so each ring degree is packed, placed and
//! predicted before it is judged. The smallest one that is good enough is taken. What was placed here is checked elsewhere:
//! `heron_plan::verify` derives every state again.

mod levels;
mod noise;
mod parameters;
mod values;

use std::collections::BTreeMap;

use heron_params::Slots;
use heron_plan::{CkksProgram, Instruction, Line, ValueId};

pub use parameters::Candidate;

use crate::calibrate::Samples;
use crate::error::Infeasible;
use crate::graph::Graph;
use crate::he;
use crate::pack::pack;
use crate::slots::Packed;
use levels::{Draft, Drafts, longest_chain, place_levels};
use parameters::{Choice, Search};
use values::{LineValues, line_values};

/// The smallest ring that is tried, as a logarithm: smaller ones have no room for a product.
const MIN_LOG_N: u32 = 12;
/// A bound is never below this, so that a layer that is always zero has one too.
const SMALLEST_BOUND: f64 = 1e-6;

/// What a program is held to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScheduleOptions {
    /// Factor between the largest calibrated value and its bound.
    pub margin: f64,
    /// Bits of precision that the output must have by prediction.
    pub precision_bits: f64,
    /// Base-2 logarithm of the largest ring degree.
    pub max_log_n: u32,
}

/// A program with everything that it refers to.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// The program.
    pub program: CkksProgram,
    /// The packed network that it computes, with the constants.
    pub packed: Packed,
    /// Parameter sets that were tried, in order.
    pub candidates: Vec<Candidate>,
    /// Predicted precision of the output.
    pub precision_bits: f64,
    /// The largest output on the calibration samples.
    pub largest_output: f64,
    /// What the program computes for each calibration sample, without noise.
    pub outputs: Vec<Vec<f64>>,
}

/// Schedules a network; `notes` says more about the activations, by node name.
///
/// # Errors
/// [`Infeasible`] if no secure parameter set is large and precise enough.
///
/// # Panics
/// On a network that cannot be packed: see [`unpackable`](crate::pack::unpackable).
pub fn schedule(
    graph: &Graph<he::Op>,
    samples: &Samples,
    notes: &BTreeMap<String, String>,
    options: &ScheduleOptions,
) -> Result<Scheduled, Box<Infeasible>> {
    let mut candidates = Vec::new();
    let mut refusal = None;
    for log_n in MIN_LOG_N..=options.max_log_n {
        let packed = match pack(graph, Slots(1 << (log_n - 1))) {
            Ok(packed) => packed,
            Err(small) => {
                let verdict = format!("`{}` needs {} slots", small.node, small.needed);
                candidates.push(Candidate {
                    log_n,
                    log_scale: None,
                    digit_len: None,
                    log_qp: None,
                    precision_bits: None,
                    verdict,
                });
                refusal = Some(Infeasible::slots(&small, options.max_log_n));
                continue;
            }
        };
        let drafts = place_levels(&packed);
        let values = line_values(&drafts, &packed.weights, samples);
        let bounds = bounds(&drafts, &values, options.margin);
        let search = Search {
            drafts: &drafts,
            values: &values,
            weights: &packed.weights,
            bounds: &bounds,
            wanted_bits: options.precision_bits,
        };
        if let Some(choice) = search.in_ring(log_n, &mut candidates) {
            return Ok(finish(packed, drafts, &values, &bounds, choice, notes, candidates));
        }
        refusal = Some(refuse(&packed, &drafts, &candidates, options));
    }
    Err(Box::new(
        refusal.unwrap_or_else(|| Infeasible::no_ring(options.max_log_n)),
    ))
}

/// The largest calibrated value of every line, with margin.
///
/// Partial sums inside a linear map may be larger than its result. They wrap around modulo `Q` and come back: all that is
/// done to them is linear.
fn bounds(drafts: &Drafts, values: &LineValues, margin: f64) -> Vec<f64> {
    let ids = (0..drafts.lines.len() as u32).map(ValueId);
    ids.map(|id| (margin * values.largest(id)).max(SMALLEST_BOUND))
        .collect()
}

fn finish(
    packed: Packed,
    drafts: Drafts,
    values: &LineValues,
    bounds: &[f64],
    choice: Choice,
    notes: &BTreeMap<String, String>,
    candidates: Vec<Candidate>,
) -> Scheduled {
    let output = ValueId(drafts.lines.len() as u32 - 1);
    let (largest_output, outputs) = (values.largest(output), values.of(output).to_vec());
    let Drafts { lines, maps } = drafts;
    let line = |((draft, &bound), &error): ((Draft, &f64), &f64)| Line {
        note: note(&draft, notes),
        op: draft.op,
        level: draft.level,
        power: draft.power,
        bound,
        error,
        node: draft.node,
    };
    let lines = lines.into_iter().zip(bounds).zip(&choice.errors).map(line).collect();
    Scheduled {
        program: CkksProgram {
            params: choice.params,
            maps,
            lines,
        },
        packed,
        candidates,
        precision_bits: choice.precision_bits,
        largest_output,
        outputs,
    }
}

/// The note of an activation goes beside its product, or beside the sum that is left of it.
fn note(draft: &Draft, notes: &BTreeMap<String, String>) -> String {
    let carries = match draft.op {
        Instruction::Square { .. } | Instruction::Mul { .. } | Instruction::MulConst { .. } => true,
        Instruction::Input
        | Instruction::Linear { .. }
        | Instruction::Rotate { .. }
        | Instruction::Add { .. }
        | Instruction::Sub { .. }
        | Instruction::AddConst { .. }
        | Instruction::Rescale { .. }
        | Instruction::DropLevel { .. }
        | Instruction::Output { .. } => false,
    };
    if carries {
        notes.get(&draft.node).cloned().unwrap_or_default()
    } else {
        String::new()
    }
}

/// Why the largest ring that was tried is not enough.
fn refuse(packed: &Packed, drafts: &Drafts, candidates: &[Candidate], options: &ScheduleOptions) -> Infeasible {
    let chain: Vec<&str> = longest_chain(&packed.graph)
        .into_iter()
        .map(|id| packed.graph.node(id).name.as_str())
        .collect();
    let in_largest = candidates
        .iter()
        .filter(|candidate| candidate.log_n == options.max_log_n);
    let best = in_largest
        .filter_map(|candidate| candidate.precision_bits)
        .reduce(f64::max);
    match best {
        Some(bits) => Infeasible::precision(&chain, bits, options.precision_bits, options.max_log_n),
        None => Infeasible::modulus(&chain, drafts.depth(), options.max_log_n),
    }
}

#[cfg(test)]
mod tests;
