//! Why a model does not become a plan, sorted by who can act.

use serde::{Deserialize, Serialize};

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
