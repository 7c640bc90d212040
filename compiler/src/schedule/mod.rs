//! Turns a polynomial network into a program: levels, rescales, parameters, bounds and predicted errors.
//!
//! Packing depends on the number of slots and the noise on the parameters, so each ring degree is packed, placed and
//! predicted before it is judged. The smallest one that is good enough is taken; in the largest, programs that bootstrap are
//! weighed against the one that does not. What was placed here is checked elsewhere: `heron_plan::verify` derives every state
//! again.

mod bootstrapped;
mod causes;
mod division;
mod late;
mod levels;
mod node_costs;
mod noise;
mod parameters;
mod planned;
mod planner;
mod signs;
mod tail;
mod trials;
mod values;

use std::collections::BTreeMap;

use heron_params::chebyshev_value;
use heron_plan::{CkksProgram, Instruction, Line, ValueId, Weights};

pub use bootstrapped::Timing;
pub use causes::{Causes, LayerCause, Room, Saving};
pub use parameters::{Bootstraps, Candidate};

use crate::calibrate::Samples;
use crate::error::Infeasible;
use crate::graph::Graph;
use crate::he;
use crate::slots::Packed;
use causes::causes;
use levels::{Draft, Drafts, longest_chain};
use trials::{Chosen, Trials, Tried};
use values::{View, dense_coefficients};

/// The smallest ring that is tried, as a logarithm: smaller ones have no room for a product.
const MIN_LOG_N: u32 = 12;
/// A bound is never below this, so that a layer that is always zero has one too.
const SMALLEST_BOUND: f64 = 1e-6;

/// Multiplications that one walk of the noise prediction may take.
const NOISE_WORK: u64 = 1 << 28;
/// Noise is predicted from at least so many samples.
const MIN_NOISE_SAMPLES: u64 = 16;

/// What a program is held to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScheduleOptions {
    /// Factor between the largest calibrated value and its bound.
    pub margin: f64,
    /// Bits of precision that the output must have by prediction.
    pub precision_bits: f64,
    /// Base-2 logarithm of the largest ring degree.
    pub max_log_n: u32,
    /// Levels that may follow one another without a bootstrap, at most; absent where the modulus decides.
    pub max_depth: Option<u32>,
    /// When to bootstrap.
    pub timing: Timing,
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
    /// Why its levels and parameters are what they are.
    pub causes: Causes,
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
    let mut trials = Trials::new(graph, samples, options);
    for log_n in MIN_LOG_N..=options.max_log_n {
        if let Some(ring) = trials.ring(log_n)
            && let Some(chosen) = trials.chosen_in(&ring)
        {
            return Ok(finish(chosen, notes, trials.tried));
        }
    }
    Err(Box::new(
        trials.refusal.unwrap_or_else(|| Infeasible::no_ring(options.max_log_n)),
    ))
}

/// How many samples noise is predicted from: a network of many multiplications has enough elements in few.
fn noise_samples(drafts: &Drafts) -> usize {
    let entries = |line: &Draft| match line.op {
        Instruction::Linear { map, .. } => drafts.maps[map.index()].geometry.entries(),
        _ => 0,
    };
    let work: u64 = drafts.lines.iter().map(entries).sum();
    (NOISE_WORK / work.max(1)).max(MIN_NOISE_SAMPLES) as usize
}

/// The largest calibrated value of every line, with margin.
///
/// Partial sums inside a linear map may be larger than its result. They wrap around modulo `Q` and come back: all that is
/// done to them is linear.
///
/// A polynomial's operand is within its interval, margin included: its bound is what it reaches there.
fn bounds(drafts: &Drafts, values: &View<'_>, weights: &Weights, margin: f64) -> Vec<f64> {
    let mut bounds = Vec::with_capacity(drafts.lines.len());
    for (index, line) in drafts.lines.iter().enumerate() {
        let bound = match &line.op {
            Instruction::Polynomial { poly, .. } => dense_coefficients(poly, weights)
                .iter()
                .map(|coefficients| largest_on_interval(coefficients))
                .fold(0.0, f64::max),
            Instruction::Rescale { arg }
            | Instruction::DropLevel { arg }
            | Instruction::Bootstrap { arg }
            | Instruction::Output { arg } => bounds[arg.index()],
            Instruction::Input
            | Instruction::Linear { .. }
            | Instruction::Rotate { .. }
            | Instruction::Add { .. }
            | Instruction::Sub { .. }
            | Instruction::AddConst { .. }
            | Instruction::MulConst { .. }
            | Instruction::Square { .. }
            | Instruction::Mul { .. } => margin * values.largest(ValueId(index as u32)),
        };
        bounds.push(bound.max(SMALLEST_BOUND));
    }
    keep_intervals(drafts, values, &mut bounds);
    bounds
}

/// The margin of a polynomial's operand ends where its interval does. An operand that leaves the interval on the samples
/// themselves keeps its bound: `verify` refuses it.
fn keep_intervals(drafts: &Drafts, values: &View<'_>, bounds: &mut [f64]) {
    for line in &drafts.lines {
        if let Instruction::Polynomial { arg, .. } = line.op {
            let bound = &mut bounds[arg.index()];
            if *bound > 1.0 && values.largest(arg) <= 1.0 {
                *bound = 1.0;
            }
        }
    }
}

/// The largest magnitude of a Chebyshev sum on `[-1, 1]`, from above.
///
/// Between points of a grid of `m d` Chebyshev angles a polynomial of degree `d` exceeds its largest value there by less
/// than the factor `1 / cos(π / 2m)`: a coarse grid says where the largest values may be, a fine one what they are.
///
/// # Source
/// H. Ehlich, K. Zeller, *Schwankung von Polynomen zwischen Gitterpunkten*, Math. Z. 86 (1964).
fn largest_on_interval(coefficients: &[f64]) -> f64 {
    const COARSE: usize = 8;
    const FINE: usize = 64;
    let points = COARSE * FINE * coefficients.len();
    let at = |i: usize| {
        let x = libm::cos(std::f64::consts::PI * i as f64 / points as f64);
        chebyshev_value(coefficients, x).abs()
    };
    let coarse: Vec<f64> = (0..=points).step_by(FINE).map(at).collect();
    let largest = coarse.iter().copied().fold(0.0, f64::max);
    let excess = |per_degree: usize| libm::cos(std::f64::consts::FRAC_PI_2 / per_degree as f64);
    let candidates = coarse
        .iter()
        .enumerate()
        .filter(|(_, value)| **value >= largest * excess(COARSE));
    let around = candidates.flat_map(|(i, _)| (i * FINE).saturating_sub(FINE)..=(i * FINE + FINE).min(points));
    around.map(at).fold(largest, f64::max) / excess(COARSE * FINE)
}

fn finish(chosen: Chosen, notes: &BTreeMap<String, String>, tried: Tried) -> Scheduled {
    let Chosen {
        packed,
        drafts,
        bounds,
        choice,
        refreshing,
        largest_output,
        outputs,
    } = chosen;
    let causes = causes(&tried.rings, &drafts, &choice.params, refreshing.as_ref());
    let Drafts { lines, maps, .. } = drafts;
    let line = |((draft, &bound), &error): ((Draft, &f64), &f64)| Line {
        note: note(&draft, notes),
        op: draft.op,
        level: draft.level,
        power: draft.power,
        bound,
        error,
        node: draft.node,
    };
    let lines = lines.into_iter().zip(&bounds).zip(&choice.errors).map(line).collect();
    Scheduled {
        program: CkksProgram {
            params: choice.params,
            bootstrap: refreshing.map(|refreshing| refreshing.variant),
            maps,
            lines,
        },
        packed,
        candidates: tried.candidates,
        precision_bits: choice.precision_bits,
        largest_output,
        outputs,
        causes,
    }
}

/// The note of an activation goes beside its product, or beside the sum that is left of it.
fn note(draft: &Draft, notes: &BTreeMap<String, String>) -> String {
    let carries = match draft.op {
        Instruction::Square { .. }
        | Instruction::Mul { .. }
        | Instruction::MulConst { .. }
        | Instruction::Polynomial { .. } => true,
        Instruction::Input
        | Instruction::Linear { .. }
        | Instruction::Rotate { .. }
        | Instruction::Add { .. }
        | Instruction::Sub { .. }
        | Instruction::AddConst { .. }
        | Instruction::Rescale { .. }
        | Instruction::DropLevel { .. }
        | Instruction::Bootstrap { .. }
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
    let short = options.max_depth.filter(|&most| drafts.depth() > most);
    match best {
        None if short.is_some() => Infeasible::depth(&chain, drafts.depth(), short.unwrap_or(0)),
        Some(bits) => Infeasible::precision(&chain, bits, options.precision_bits, options.max_log_n),
        None => Infeasible::modulus(&chain, drafts.depth(), options.max_log_n),
    }
}

#[cfg(test)]
mod tests;
