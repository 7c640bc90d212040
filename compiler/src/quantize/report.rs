//! What there is to say about a plan for exact integers: the contents of its `report.json`.

use heron_params::tfhe::TfheParams;
use heron_params::{Bits, SECURITY_BITS};
use heron_plan::tfhe::{TfheInstruction, TfheLine, TfheProgram};
use serde::{Deserialize, Serialize};

use crate::gate::{Accuracy, Comparison};
use crate::report::ModelSummary;

/// The contents of `report.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TfheReport {
    /// Always `tfhe`: by which the report is told from that of a CKKS plan.
    pub scheme: String,
    /// Name of the plan.
    pub name: String,
    /// The network as imported.
    pub model: ModelSummary,
    /// Bits of security.
    pub security_bits: Bits,
    /// The scheme's parameters.
    pub params: TfheParams,
    /// Bits of weights and activations.
    pub bits: u32,
    /// `log2` of the probability, at most, that a run has a wrong look-up.
    pub log2_failure: f64,
    /// What each ONNX node became.
    pub layers: Vec<TfheLayer>,
    /// Look-ups of one run.
    pub lookups: u64,
    /// Predicted time of one run on one thread.
    pub predicted_ms: f64,
    /// Bytes of the evaluation keys in memory.
    pub key_memory_bytes: u64,
    /// Bytes of the evaluation keys in a file.
    pub key_file_bytes: u64,
    /// Accuracy of the integers on calibration samples that were held back; `polynomial` is that of the integers.
    pub accuracy: Accuracy,
    /// What was tried, in order.
    pub candidates: Vec<TfheCandidate>,
    /// Each change of form, compared with what it was before.
    pub gates: Vec<Comparison>,
    /// What is doubtful.
    pub warnings: Vec<String>,
}

/// What one ONNX node became.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TfheLayer {
    /// Name of the node.
    pub node: String,
    /// The instructions it became.
    pub instructions: Vec<String>,
    /// Values from the smallest to the largest of the widest accumulator.
    pub width: u64,
    /// Look-ups that it takes.
    pub lookups: u64,
    /// Entries of each of its tables.
    pub entries: Vec<u64>,
    /// `log2` of the probability that any of them is wrong; absent where nothing is looked up.
    pub log2_failure: Option<f64>,
}

/// One choice of bits and scales.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TfheCandidate {
    /// Bits of weights and activations.
    pub bits: u32,
    /// Fraction of the calibrated ranges of activations that their integers cover.
    pub clip: f64,
    /// Whether each input element has a scale of its own.
    pub input_scale_per_element: bool,
    /// Expected fraction of samples whose answer is not the clear network's: errors against margins, over all pairs of
    /// calibration samples.
    pub changed: f64,
    /// Predicted time on one thread.
    pub predicted_ms: f64,
}

/// One entry for each run of lines with the same node.
pub(super) fn layers(program: &TfheProgram) -> Vec<TfheLayer> {
    program
        .lines
        .chunk_by(|a, b| a.node == b.node)
        .map(|run| layer(program, run))
        .collect()
}

fn layer(program: &TfheProgram, run: &[TfheLine]) -> TfheLayer {
    let entries = |line: &TfheLine| match line.op {
        TfheInstruction::Floor { by, .. } => Some(by),
        TfheInstruction::Lookup { arg, .. } => program.line(arg).map(|operand| operand.steps / 2),
        TfheInstruction::Input
        | TfheInstruction::Linear { .. }
        | TfheInstruction::Add { .. }
        | TfheInstruction::Output { .. } => None,
    };
    let bootstrapped = run.iter().filter(|line| line.op.bootstraps());
    let failures = run.iter().filter_map(|line| line.log2_failure);
    TfheLayer {
        node: run[0].node.clone(),
        instructions: run.iter().map(|line| line.op.name().to_owned()).collect(),
        width: run
            .iter()
            .map(|line| line.max.abs_diff(line.min) + 1)
            .max()
            .unwrap_or(0),
        lookups: bootstrapped.map(|line| u64::from(line.len)).sum(),
        entries: run.iter().filter_map(entries).collect(),
        log2_failure: failures.reduce(heron_params::tfhe::add_log2),
    }
}

/// The security of every set that verification accepts.
pub(super) const SECURITY: Bits = SECURITY_BITS;
