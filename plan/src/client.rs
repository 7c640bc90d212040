//! What a client needs to know of a plan: everything but the weights.

use heron_params::bootstrap::BootstrapParams;
use heron_params::{CkksParams, KeySpec};
use serde::{Deserialize, Serialize};

use crate::keys::key_bytes;
use crate::{Digest, VectorLayout};

/// The contents of `client.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSpec {
    /// Version of the plan format.
    pub format_version: u32,
    /// Name of the plan.
    pub name: String,
    /// Hash of the plan that keys and ciphertexts will belong to.
    pub plan_hash: Digest,
    /// Scheme parameters.
    pub params: CkksParams,
    /// Evaluation keys to generate.
    pub keys: KeySpec,
    /// The bootstrap whose further keys to generate, on the same chain; absent where nothing is bootstrapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<BootstrapParams>,
    /// The encrypted input.
    pub input: InputSpec,
    /// The encrypted output.
    pub output: OutputSpec,
}

impl ClientSpec {
    /// Bytes of the server's keys in memory (`seeded` false: both halves) or in a file (`seeded` true: the uniform half is a
    /// seed).
    pub fn key_bytes(&self, seeded: bool) -> u64 {
        let bootstrap = self.bootstrap.as_ref().filter(|bootstrap| bootstrap.validate().is_ok());
        key_bytes(&self.keys, bootstrap, &self.params, seeded)
    }
}

/// The network's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Name of the ONNX input.
    pub name: String,
    /// Shape of one sample, without the batch axis.
    pub shape: Vec<usize>,
    /// Where its elements (row-major) go.
    pub layout: VectorLayout,
    /// Applied to integer data before encryption; floating-point data are taken as they are.
    pub normalization: Option<Normalization>,
    /// What the plan was calibrated for; `encrypt` refuses values outside.
    pub range: CalibratedRange,
}

/// `x ↦ (x · scale - mean) / std`, one mean and deviation for all or one per channel (the first axis).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// Factor applied first, such as 1/255.
    pub scale: f64,
    /// Subtracted next.
    pub mean: Vec<f64>,
    /// Divided by last.
    pub std: Vec<f64>,
}

/// An interval of input values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibratedRange {
    /// Smallest accepted value.
    pub min: f64,
    /// Largest accepted value.
    pub max: f64,
}

/// The network's output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSpec {
    /// Name of the ONNX output.
    pub name: String,
    /// Shape of one sample, without the batch axis.
    pub shape: Vec<usize>,
    /// Where its elements (row-major) are.
    pub layout: VectorLayout,
    /// Largest magnitude that outputs may have; `decrypt` refuses more.
    pub bound: f64,
    /// Bound on the difference between the encrypted and the polynomial network's outputs.
    pub error: f64,
    /// What the client computes after decryption, in order.
    pub tail: Vec<ClientTail>,
    /// Names of the classes; empty where unknown.
    pub class_names: Vec<String>,
}

/// A node at the end of the network that belongs on the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientTail {
    /// Softmax over all elements.
    Softmax,
    /// Index of the largest element.
    ArgMax,
}
