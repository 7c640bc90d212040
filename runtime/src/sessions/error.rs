//! Why a session refuses. No message carries an input, an output or a key.

use heron_ckks::{EncodeError, EvalError, RandomError};
use heron_params::ParamsError;
use heron_plan::{Digest, VerifyErrors};

use crate::ErrorKind;
use crate::machine::State;

/// Why a client or a server session refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SessionError {
    /// The samples have another shape than the network's input.
    #[error(
        "input `{input}` has shape {found:?}; {accepted:?} is accepted for one sample, or the same with a leading axis for \
         several"
    )]
    Shape {
        /// Name of the ONNX input.
        input: String,
        /// Shape of the given tensor.
        found: Vec<usize>,
        /// Shape of one sample.
        accepted: Vec<usize>,
    },
    /// There is nothing to encrypt.
    #[error("input `{input}` holds no samples")]
    NoSamples {
        /// Name of the ONNX input.
        input: String,
    },
    /// A value is NaN or infinite.
    #[error(
        "input `{input}`: sample {sample} has {count} values that are no finite numbers, the first at element {element}"
    )]
    NotFinite {
        /// Name of the ONNX input.
        input: String,
        /// The first such sample.
        sample: usize,
        /// The first such element of it, row-major.
        element: usize,
        /// How many elements of the sample.
        count: usize,
    },
    /// Values lie outside what the plan was calibrated for.
    #[error(
        "input `{input}`: {} outside the calibrated range {} to {}, first sample {sample} with {} from \
         element {element} on; check the preprocessing (normalization), calibrate with data like these, or accept wrong \
         results with --allow-out-of-range",
        counted(*samples, "sample lies", "samples lie"),
        *min as f32,
        *max as f32,
        counted(*count, "value", "values"),
    )]
    OutOfRange {
        /// Name of the ONNX input.
        input: String,
        /// How many samples.
        samples: usize,
        /// The first such sample.
        sample: usize,
        /// The first such element of it, row-major.
        element: usize,
        /// How many elements of it.
        count: usize,
        /// Smallest accepted value.
        min: f64,
        /// Largest accepted value.
        max: f64,
    },
    /// Decrypted values are larger than the plan allows: the computation left its bounds.
    #[error(
        "output `{output}`: sample {sample} is outside the plan's bound of {bound}, so its values mean nothing; the input \
         was unlike the calibration data, or the ciphertext is not a result of this plan; --allow-out-of-range shows it"
    )]
    OutputBound {
        /// Name of the ONNX output.
        output: String,
        /// The first such sample.
        sample: usize,
        /// The plan's bound.
        bound: f64,
    },
    /// Ciphertexts of another plan.
    #[error("the ciphertexts belong to another plan ({found}) than this one ({needed})")]
    OtherPlan {
        /// The plan they were made for.
        found: Digest,
        /// The plan of the session.
        needed: Digest,
    },
    /// A ciphertext does not have the level and scale of a network's input or output.
    #[error("ciphertext {index} has state {found}, this step takes {needed}; is it an input where an output belongs?")]
    CiphertextState {
        /// Which ciphertext of the batch.
        index: usize,
        /// Its state.
        found: State,
        /// What is taken.
        needed: State,
    },
    /// A plan of the other scheme.
    #[error("the plan is for {found}, this step takes one for {needed}")]
    OtherScheme {
        /// The plan's scheme.
        found: &'static str,
        /// The one that is taken.
        needed: &'static str,
    },
    /// A plan that does not verify.
    #[error("the plan is refused: {0}")]
    BadPlan(VerifyErrors),
    /// Client and plan files contradict themselves.
    #[error("the client description is damaged: {reason}; get it again from where the plan was compiled")]
    BadSpec {
        /// What is wrong.
        reason: &'static str,
    },
    /// The parameters are unusable or insecure.
    #[error("the parameters are refused: {0}")]
    Params(#[from] ParamsError),
    /// The evaluation keys do not cover the plan.
    #[error("the evaluation keys lack what the plan needs; make them with `heron keygen` for this plan")]
    MissingKeys,
    /// Encoding refused.
    #[error("the values cannot be encoded")]
    Encode(#[from] EncodeError),
    /// Evaluation or key generation refused.
    #[error("the scheme refuses")]
    Scheme(#[from] EvalError),
    /// No random numbers.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// `1 value` or `2 values`.
fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

impl SessionError {
    /// Who can act on it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Shape { .. } | Self::NoSamples { .. } | Self::NotFinite { .. } | Self::OtherScheme { .. } => {
                ErrorKind::BadInput
            }
            Self::OutOfRange { .. } | Self::OutputBound { .. } => ErrorKind::OutOfRange,
            Self::OtherPlan { .. } | Self::CiphertextState { .. } | Self::BadSpec { .. } => ErrorKind::Damaged,
            Self::Params(_) | Self::BadPlan(_) | Self::MissingKeys | Self::Scheme(_) => ErrorKind::Damaged,
            // Finite values within the range of a plan fit its modulus: only values let through on request do not.
            Self::Encode(_) => ErrorKind::OutOfRange,
            Self::Random(_) => ErrorKind::Internal,
        }
    }
}
