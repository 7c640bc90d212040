//! What `compile` says about a plan: everything that `report` and `explain` show, computed once.

use heron_params::{CkksParams, KeySpec, Level, SecurityCard};
use heron_plan::{CkksProgram, Instruction, Line, OpCounts, ValueId};
use serde::{Deserialize, Serialize};

use crate::approximate::ActivationReport;
use crate::gate::{Accuracy, Comparison};
use crate::schedule::{Candidate, Causes};

/// The contents of `report.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the plan.
    pub name: String,
    /// The network as imported.
    pub model: ModelSummary,
    /// What makes the plan secure.
    pub security: SecurityCard,
    /// The scheme's parameters.
    pub parameters: ParameterSummary,
    /// What each ONNX node became, in order of evaluation.
    pub layers: Vec<LayerReport>,
    /// What all of them cost.
    pub totals: Totals,
    /// The bootstraps; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstraps: Option<BootstrapReport>,
    /// How activations became polynomials.
    pub activations: Vec<ActivationReport>,
    /// Accuracy on calibration samples that were held back.
    pub accuracy: Accuracy,
    /// Each change of form, compared with what it was before.
    pub gates: Vec<Comparison>,
    /// Predicted precision.
    pub precision: Precision,
    /// Parameter sets that were tried, in order.
    pub candidates: Vec<Candidate>,
    /// Why levels and parameters are what they are; empty in reports of plans that were compiled before it was kept.
    #[serde(default)]
    pub causes: Causes,
    /// What is doubtful.
    pub warnings: Vec<String>,
}

/// The network as imported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSummary {
    /// Name of the ONNX input.
    pub input: String,
    /// Its shape without the batch axis.
    pub input_shape: Vec<usize>,
    /// Name of the ONNX output.
    pub output: String,
    /// Its shape without the batch axis.
    pub output_shape: Vec<usize>,
    /// How many calibration samples were given.
    pub calibration_samples: usize,
}

/// The scheme's parameters in a few numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterSummary {
    /// Base-2 logarithm of the ring degree.
    pub log_n: u32,
    /// Values a ciphertext holds.
    pub slots: u32,
    /// Base-2 logarithm of the scale.
    pub log_scale: u32,
    /// How many rescales a fresh ciphertext can take.
    pub levels: u32,
    /// `log2(QP)`.
    pub log_qp: f64,
    /// How many special primes there are.
    pub special_primes: usize,
    /// Key-switching digits at the top level.
    pub digits: usize,
}

impl ParameterSummary {
    /// The summary of a parameter set.
    pub fn of(params: &CkksParams) -> Self {
        Self {
            log_n: params.log_n,
            slots: params.slots().0,
            log_scale: params.log_scale,
            levels: params.max_level().0,
            log_qp: params.log_qp(),
            special_primes: params.p.len(),
            digits: params.digits(params.max_level()).len(),
        }
    }
}

/// What one ONNX node became.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Name of the ONNX node.
    pub node: String,
    /// The instructions it became.
    pub instructions: Vec<String>,
    /// Level of its operands; that of the result for the input.
    pub level_in: Level,
    /// Level of its result.
    pub level_out: Level,
    /// Levels it takes.
    pub depth: u32,
    /// Diagonals of its linear maps.
    pub diagonals: u32,
    /// Operations it costs.
    pub counts: OpCounts,
    /// Rotations, hoisted and not.
    pub rotations: u64,
    /// Bytes in memory of the keys that it uses; layers may share keys.
    pub key_bytes: u64,
    /// Largest magnitude of its result, with margin.
    pub bound: f64,
    /// Bound on the error of its result.
    pub error: f64,
    /// What a reader should know.
    pub note: String,
}

/// What the whole program costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Operations.
    pub counts: OpCounts,
    /// Rotations, hoisted and not.
    pub rotations: u64,
    /// Different rotation keys.
    pub rotation_keys: usize,
    /// Bytes of all keys in memory.
    pub key_memory_bytes: u64,
    /// Bytes of all keys in a file.
    pub key_file_bytes: u64,
    /// Ciphertexts alive at once, at most.
    pub peak_live_ciphertexts: usize,
}

/// The bootstraps of a plan, which are all of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BootstrapReport {
    /// Each of them, in order of evaluation.
    pub lines: Vec<BootstrapLine>,
    /// Slots that differ: vectors repeat with this period.
    pub slots: u32,
    /// The level that operands need.
    pub input_level: Level,
    /// The highest level of a result.
    pub output_level: Level,
    /// Bits that a network can use between two bootstraps.
    pub bits_left: f64,
    /// Bits that the worst slot keeps, of values in `[-1, 1]`.
    pub worst_bits: f64,
    /// Bits of the mean absolute error.
    pub mean_bits: f64,
    /// Base-2 logarithm of the probability that one of them fails.
    pub failure_log2: f64,
    /// What one costs, in rotations of the same ring at 24 limbs.
    pub rotations: f64,
    /// Bytes in memory of the keys that one uses; the network shares some of them.
    pub key_bytes: u64,
    /// `log2` of the modulus under the ephemeral secret of weight 32.
    pub sparse_log_qp: f64,
    /// The largest that offers 128 bits.
    pub sparse_max_log_qp: u32,
}

/// One bootstrap of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BootstrapLine {
    /// The line.
    pub line: ValueId,
    /// The ONNX node whose result is bootstrapped.
    pub node: String,
    /// Level of the operand.
    pub level_in: Level,
    /// Level of the result.
    pub level_out: Level,
}

/// Predicted precision of the output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Precision {
    /// Bits, by the bound on the error.
    pub predicted_bits: f64,
    /// Bits that were asked for.
    pub wanted_bits: f64,
    /// Bound on the error of every output.
    pub error_bound: f64,
    /// Largest output on the calibration samples.
    pub largest_output: f64,
}

/// What the whole program costs.
pub(crate) fn totals(program: &CkksProgram) -> Totals {
    let counts = program.counts();
    Totals {
        counts: counts.total,
        rotations: counts.total.rotations(),
        rotation_keys: program.key_spec().rotations.len(),
        key_memory_bytes: counts.key_memory_bytes,
        key_file_bytes: counts.key_file_bytes,
        peak_live_ciphertexts: counts.peak_live_ciphertexts,
    }
}

/// What there is to say about the bootstraps of a program.
pub(crate) fn bootstraps(program: &CkksProgram) -> Option<BootstrapReport> {
    let variant = program.sound_bootstrap()?;
    let (offer, sparse) = (variant.offer(), variant.ephemeral_security());
    let line = |(index, line): (usize, &Line)| match line.op {
        Instruction::Bootstrap { arg } => Some(BootstrapLine {
            line: ValueId(index as u32),
            node: line.node.clone(),
            level_in: program.lines[arg.index()].level,
            level_out: line.level,
        }),
        _ => None,
    };
    Some(BootstrapReport {
        lines: program.lines.iter().enumerate().filter_map(line).collect(),
        slots: offer.slots.0,
        input_level: offer.input_level,
        output_level: offer.output_level,
        bits_left: offer.bits_left,
        worst_bits: offer.worst_bits,
        mean_bits: offer.mean_bits,
        failure_log2: offer.failure_log2,
        rotations: offer.rotations,
        key_bytes: offer.key_bytes,
        sparse_log_qp: sparse.log_qp,
        sparse_max_log_qp: sparse.limit,
    })
}

/// One entry for each run of lines with the same node name.
pub(crate) fn layers(program: &CkksProgram) -> Vec<LayerReport> {
    let counts = program.counts().lines;
    let mut start = 0;
    let runs = program.lines.chunk_by(|a, b| a.node == b.node);
    runs.map(|run| {
        let layer = layer(program, run, &counts[start..start + run.len()]);
        start += run.len();
        layer
    })
    .collect()
}

fn layer(program: &CkksProgram, run: &[Line], counts: &[OpCounts]) -> LayerReport {
    let (first, last) = (&run[0], &run[run.len() - 1]);
    let operand = first.op.args().map(|arg| program.lines[arg.index()].level).max();
    let level_in = operand.unwrap_or(first.level);
    let maps = run.iter().filter_map(|line| match line.op {
        Instruction::Linear { map, .. } => program.map(map),
        _ => None,
    });
    let alone = CkksProgram {
        params: program.params.clone(),
        bootstrap: None,
        maps: program.maps.clone(),
        lines: run.to_vec(),
    };
    let keys: KeySpec = alone.key_spec();
    let total: OpCounts = counts.iter().copied().sum();
    let gained = |line: &Line| match line.op {
        Instruction::Bootstrap { arg } => line.level.0 - program.lines[arg.index()].level.0,
        _ => 0,
    };
    let available = level_in.0 + run.iter().map(gained).sum::<u32>();
    let notes: Vec<&str> = run
        .iter()
        .map(|line| line.note.as_str())
        .filter(|note| !note.is_empty())
        .collect();
    LayerReport {
        node: first.node.clone(),
        instructions: run.iter().map(|line| line.op.mnemonic().to_owned()).collect(),
        level_in,
        level_out: last.level,
        depth: available - last.level.0,
        diagonals: maps.map(|map| map.diagonals().len() as u32).sum(),
        counts: total,
        rotations: total.rotations(),
        key_bytes: keys.bytes(&program.params, false),
        bound: last.bound,
        error: last.error,
        note: notes.join("; "),
    }
}
