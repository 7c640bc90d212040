//! What a client needs to know of a plan for exact integers: everything but weights and instructions.

use heron_params::tfhe::TfheParams;
use serde::{Deserialize, Serialize};

use super::{QuantizedInput, QuantizedOutput, TfheProgram, verify_client};
use crate::{ClientSpec, Digest, InputSpec, OutputSpec, Plan, PlanFileError, PlanFiles, client_file};

/// The contents of `client.json` of a plan for exact integers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TfheClientSpec {
    /// Version of the plan format.
    pub format_version: u32,
    /// Name of the plan.
    pub name: String,
    /// Hash of the plan that keys and ciphertexts will belong to.
    pub plan_hash: Digest,
    /// Always `tfhe`.
    pub scheme: TfheScheme,
    /// Scheme parameters.
    pub params: TfheParams,
    /// The encrypted input.
    pub input: InputSpec,
    /// The encrypted output.
    pub output: OutputSpec,
    /// How numbers become integers.
    pub quantized_input: QuantizedInput,
    /// How integers become numbers.
    pub quantized_output: QuantizedOutput,
}

/// The mark by which the file is told from the one of a CKKS plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TfheScheme {
    /// Exact integers.
    Tfhe,
}

/// A `client.json` of either scheme.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientFile {
    /// Of a CKKS plan.
    Ckks(ClientSpec),
    /// Of a plan for exact integers.
    Tfhe(TfheClientSpec),
}

impl TfheClientSpec {
    /// What a client needs to know of a plan.
    pub(crate) fn of(plan: &Plan, program: &TfheProgram) -> Self {
        Self {
            format_version: plan.format_version,
            name: plan.name.clone(),
            plan_hash: plan.hash(),
            scheme: TfheScheme::Tfhe,
            params: program.params,
            input: plan.input.clone(),
            output: plan.output.clone(),
            quantized_input: program.input.clone(),
            quantized_output: program.output.clone(),
        }
    }

    /// The contents of `client.json`.
    pub fn to_json(&self) -> String {
        client_file::with_digest(self)
    }
}

impl ClientFile {
    /// The contents of `client.json`.
    pub fn to_json(&self) -> String {
        match self {
            Self::Ckks(spec) => spec.to_json(),
            Self::Tfhe(spec) => spec.to_json(),
        }
    }

    /// Hash of the plan.
    pub fn plan_hash(&self) -> Digest {
        match self {
            Self::Ckks(spec) => spec.plan_hash,
            Self::Tfhe(spec) => spec.plan_hash,
        }
    }

    /// Reads `client.json`, and checks everything that encryption and decryption rely on.
    ///
    /// # Errors
    /// Another kind of file, a newer version, a digest that differs, or a specification that breaks rules.
    pub fn from_json(bytes: &[u8]) -> Result<Self, PlanFileError> {
        let canonical = client_file::checked(bytes)?;
        if !is_tfhe(&canonical) {
            return Ok(Self::Ckks(ClientSpec::from_json(bytes)?));
        }
        let file = PlanFiles::CLIENT_JSON;
        let client: TfheClientSpec = crate::json::from_text(file, &canonical)?;
        verify_client(&client).map_err(|errors| PlanFileError::Invalid { file, errors })?;
        Ok(Self::Tfhe(client))
    }
}

/// Whether the canonical text has the mark; a name cannot hold the line break before it.
fn is_tfhe(canonical: &[u8]) -> bool {
    let mark = b"\n  \"scheme\": \"tfhe\",\n";
    canonical.windows(mark.len()).any(|window| window == mark)
}
