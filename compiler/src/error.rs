//! Why a model does not become a plan, sorted by who can act.

use std::fmt;

use heron_plan::VerifyErrors;
use serde::{Deserialize, Serialize};

use crate::approximate::{ApproximateError, RangeAlarm};
use crate::calibrate::CalibrateError;
use crate::gate::{Comparison, MIN_AGREEMENT};
use crate::pack::TooFewSlots;
use crate::{ImportError, SimplifyError};

/// Why a model does not become a plan.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The model cannot be imported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Options that make no sense.
    #[error("{0}")]
    Options(String),
    /// The samples cannot calibrate the network.
    #[error(transparent)]
    Calibration(#[from] CalibrateError),
    /// Nodes that are imported but not compiled.
    #[error("{}", list(.0))]
    Unsupported(Vec<UnsupportedNode>),
    /// No parameter set will do.
    #[error(transparent)]
    Infeasible(#[from] Box<Infeasible>),
    /// Two forms of the network differ.
    #[error(
        "{} changed what the network computes: outputs differ by {:.2e} of the largest on {} samples, roundings explain \
         {:.0e}; this is a defect of the compiler or of its reference, please report it with the model",
        .0.stage, .0.difference, .0.samples, .0.tolerance
    )]
    SemanticGate(Comparison),
    /// The polynomial network gives other answers than the clear one.
    #[error(transparent)]
    Accuracy(#[from] Box<InaccurateNetwork>),
    /// The polynomial network leaves the intervals that its polynomials were made for.
    #[error("{0}")]
    Diverges(Box<RangeAlarm>),
    /// A network of integers gives other answers than the clear one.
    #[error("{0}")]
    InaccurateIntegers(String),
    /// A simplification that is defective.
    #[error(transparent)]
    Simplify(#[from] SimplifyError),
    /// A plan that does not verify: a defect of the compiler.
    #[error("the compiled plan does not verify, please report it with the model: {0}")]
    Bug(VerifyErrors),
}

impl From<ApproximateError> for CompileError {
    fn from(error: ApproximateError) -> Self {
        match error {
            ApproximateError::Unsupported(nodes) => Self::Unsupported(nodes),
            ApproximateError::Diverges(alarm) => Self::Diverges(Box::new(alarm)),
        }
    }
}

/// Who can act on an error, which decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Whoever gave the input: an unreadable model, bad samples, senseless options.
    Input,
    /// Whoever made the model: it has something that is not supported.
    Unsupported,
    /// Whoever chose the constraints: nothing satisfies them.
    Infeasible,
    /// Whoever trusts the result: a check failed.
    Verification,
    /// The compiler's authors.
    Internal,
}

impl CompileError {
    /// Who can act on it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Import(ImportError::Unsupported(_) | ImportError::Opset { .. }) | Self::Unsupported(_) => {
                ErrorKind::Unsupported
            }
            Self::Import(ImportError::NotOnnx { .. } | ImportError::ExternalData { .. })
            | Self::Options(_)
            | Self::Calibration(_) => ErrorKind::Input,
            Self::Infeasible(_) => ErrorKind::Infeasible,
            Self::SemanticGate(_) | Self::Accuracy(_) | Self::Diverges(_) | Self::InaccurateIntegers(_) => {
                ErrorKind::Verification
            }
            Self::Simplify(_) | Self::Bug(_) => ErrorKind::Internal,
        }
    }
}

/// At most this many nodes are spelled out; a screen holds no more.
const LISTED: usize = 24;

fn list(nodes: &[UnsupportedNode]) -> String {
    let mut text = format!("{} nodes cannot be compiled:", nodes.len());
    for node in nodes.iter().take(LISTED) {
        text.push_str(&format!(
            "\n  - {} ({}): {}; {}",
            node.node, node.op, node.reason, node.advice
        ));
    }
    if nodes.len() > LISTED {
        text.push_str(&format!("\n  - and {} more", nodes.len() - LISTED));
    }
    text
}

/// A polynomial network whose answers differ too often from the clear one's.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub struct InaccurateNetwork {
    /// Held-back samples with the same answer.
    pub agreeing: usize,
    /// Held-back samples.
    pub samples: usize,
    /// The activations, the most harmful first: node, and the error that its polynomial alone makes in the outputs,
    /// relative to the largest output.
    pub contributions: Vec<(String, f64)>,
}

impl fmt::Display for InaccurateNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the polynomial network agrees with the clear one on {} of {} held-back samples, less than {:.0} %; errors \
             that single activations make, relative to the largest output:",
            self.agreeing,
            self.samples,
            100.0 * MIN_AGREEMENT
        )?;
        for (node, error) in self.contributions.iter().take(LISTED) {
            write!(f, "\n  - {node}: {error:.3}")?;
        }
        write!(
            f,
            "\ntry more calibration samples or `--granularity channel`, or train the network with squares; \
             `--accept-accuracy` compiles it as it is"
        )
    }
}

/// A node that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsupportedNode {
    /// Name of the ONNX node.
    pub node: String,
    /// Its operation.
    pub op: String,
    /// What is not supported about it.
    pub reason: String,
    /// What to do.
    pub advice: String,
}

/// Why no parameter set will do, and what would change that.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{node}` needs {needs}, but there is only {available}; {}", remedies.join(", or "))]
pub struct Infeasible {
    /// Name of the node that drives the need.
    pub node: String,
    /// What is needed.
    pub needs: String,
    /// What there is.
    pub available: String,
    /// Ways out.
    pub remedies: Vec<String>,
}

impl Infeasible {
    /// A vector is longer than the slots.
    pub(crate) fn slots(small: &TooFewSlots, max_log_n: u32) -> Self {
        Self {
            node: small.node.clone(),
            needs: format!("{} slots", small.needed),
            available: format!("{} slots at N = 2^{max_log_n}", 1u64 << (max_log_n - 1)),
            remedies: vec![raise_ring(max_log_n), "make the layer narrower".to_owned()],
        }
    }

    /// The chain of products is too deep for the security table; `chain` names its nodes.
    pub(crate) fn modulus(chain: &[&str], depth: u32, max_log_n: u32) -> Self {
        let limit = heron_params::max_log_qp(max_log_n).unwrap_or(0);
        Self {
            node: costliest(chain),
            needs: format!("{depth} levels, taken by {}", chain.join(", ")),
            available: format!("log2(QP) = {limit} at N = 2^{max_log_n}, the 128-bit limit"),
            remedies: vec![
                raise_ring(max_log_n),
                "remove an activation layer: each takes one level, and its dense layer another".to_owned(),
                "replace polynomials of high degree by squares".to_owned(),
            ],
        }
    }

    /// More levels follow one another than the caller allows, and no bootstrap comes in between.
    pub(crate) fn depth(chain: &[&str], depth: u32, allowed: u32) -> Self {
        Self {
            node: costliest(chain),
            needs: format!("{depth} levels, taken by {}", chain.join(", ")),
            available: format!("{allowed} levels without a bootstrap, as asked for"),
            remedies: vec![
                "allow more levels".to_owned(),
                "allow a ring that bootstraps: N = 2^16".to_owned(),
                "remove an activation layer".to_owned(),
            ],
        }
    }

    /// The noise is too large at the largest scale that is secure.
    pub(crate) fn precision(chain: &[&str], bits: f64, wanted: f64, max_log_n: u32) -> Self {
        Self {
            node: costliest(chain),
            needs: format!("{wanted} bits of precision over {} levels", chain.len()),
            available: format!("{bits:.1} bits at the largest secure scale for N = 2^{max_log_n}"),
            remedies: vec![
                raise_ring(max_log_n),
                format!("ask for fewer bits: {:.0} are within reach", bits.floor().max(0.0)),
                "remove an activation layer".to_owned(),
            ],
        }
    }

    /// The caller allows no ring at all.
    pub(crate) fn no_ring(max_log_n: u32) -> Self {
        Self {
            node: String::new(),
            needs: "a ring that the compiler tries".to_owned(),
            available: format!("rings up to N = 2^{max_log_n}"),
            remedies: vec!["allow a larger ring: 2^16 is the default".to_owned()],
        }
    }
}

fn raise_ring(max_log_n: u32) -> String {
    if max_log_n < heron_params::MAX_LOG_N {
        format!("allow a larger ring: N = 2^{} instead of 2^{max_log_n}", max_log_n + 1)
    } else {
        format!("N = 2^{max_log_n} is the largest ring of the security table: this network needs bootstrapping")
    }
}

/// The node with the most products on the chain, the first of equals.
fn costliest(chain: &[&str]) -> String {
    let count = |name: &str| chain.iter().filter(|&&other| other == name).count();
    let most = chain.iter().map(|name| count(name)).max().unwrap_or(0);
    let node = chain.iter().find(|name| count(name) == most);
    node.map_or_else(String::new, |name| (*name).to_owned())
}
