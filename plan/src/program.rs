//! The plan itself.

use heron_params::CkksParams;
use heron_params::bootstrap::BootstrapParams;
use serde::{Deserialize, Serialize};

use crate::tfhe::TfheProgram;
use crate::{ConstEntry, Digest, InputSpec, Instruction, Line, LinearMap, MapId, OutputSpec};

/// Version of the plan format that this crate reads and writes.
pub const FORMAT_VERSION: u32 = 1;

/// A compiled network: the contents of `plan.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of the plan format.
    pub format_version: u32,
    /// Name of the plan.
    pub name: String,
    /// What it was compiled from.
    pub provenance: Provenance,
    /// Input of the network.
    pub input: InputSpec,
    /// Output of the network.
    pub output: OutputSpec,
    /// What to compute.
    pub program: Program,
    /// The tensors of `weights.bin`, in order.
    pub constants: Vec<ConstEntry>,
}

/// What a plan was compiled from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Version of the compiler.
    pub compiler: String,
    /// Digest of the ONNX file.
    pub model: Digest,
    /// Digest of the calibration samples as the compiler saw them.
    pub calibration: Digest,
    /// The options that change the plan, in words, in a fixed order.
    pub options: Vec<String>,
}

/// What to compute, in the instruction set of one scheme.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "scheme", rename_all = "snake_case")]
pub enum Program {
    /// Approximate arithmetic on slot vectors.
    Ckks(CkksProgram),
    /// Exact arithmetic on integers, by look-ups.
    Tfhe(TfheProgram),
}

impl Program {
    /// The program, if it is one for CKKS.
    pub fn ckks(&self) -> Option<&CkksProgram> {
        match self {
            Self::Ckks(program) => Some(program),
            Self::Tfhe(_) => None,
        }
    }

    /// The program, if it is one for exact integers.
    pub fn tfhe(&self) -> Option<&TfheProgram> {
        match self {
            Self::Tfhe(program) => Some(program),
            Self::Ckks(_) => None,
        }
    }
}

/// A program for the CKKS scheme.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CkksProgram {
    /// Scheme parameters.
    pub params: CkksParams,
    /// The bootstrap that `bootstrap` lines evaluate, on the same chain; absent where there are no such lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<BootstrapParams>,
    /// The linear maps that lines refer to.
    pub maps: Vec<LinearMap>,
    /// The instructions, in order of evaluation.
    pub lines: Vec<Line>,
}

impl CkksProgram {
    /// A linear map of the program; `None` for an identifier that is not in the table.
    pub fn map(&self, id: MapId) -> Option<&LinearMap> {
        self.maps.get(id.index())
    }

    /// The bootstrap, if there is one whose parts fit together: what can be asked for levels, keys and costs. `verify` reports
    /// any other.
    pub fn sound_bootstrap(&self) -> Option<&BootstrapParams> {
        self.bootstrap.as_ref().filter(|bootstrap| bootstrap.validate().is_ok())
    }

    /// How many `bootstrap` lines there are.
    pub fn n_bootstraps(&self) -> usize {
        let is_bootstrap = |line: &&Line| matches!(line.op, Instruction::Bootstrap { .. });
        self.lines.iter().filter(is_bootstrap).count()
    }
}
