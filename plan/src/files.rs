//! The files of a plan as bytes: `plan.json`, `weights.bin` and `client.json`.
//!
//! `plan.json` holds the digests of the constants and `client.json` the digest of `plan.json` and one of itself, so that
//! any change of any byte is found. Reading never panics, whatever the bytes, and ends with `verify`.

use crate::tfhe::{ClientFile, TfheClientSpec};
use crate::{
    CkksProgram, ClientSpec, Digest, Plan, PlanFileError, Program, Weights, json, verify, verify_with_weights,
};

/// The files of a plan, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFiles {
    /// The instructions, and everything else but the constants.
    pub plan_json: Vec<u8>,
    /// The constants.
    pub weights_bin: Vec<u8>,
    /// What a client needs.
    pub client_json: Vec<u8>,
}

impl PlanFiles {
    /// Name of the file with the instructions.
    pub const PLAN_JSON: &'static str = "plan.json";
    /// Name of the file with the constants.
    pub const WEIGHTS_BIN: &'static str = "weights.bin";
    /// Name of the client's file.
    pub const CLIENT_JSON: &'static str = "client.json";
    /// Largest `plan.json`.
    pub const PLAN_LIMIT_BYTES: usize = 16 << 20;
    /// Largest `weights.bin`.
    pub const WEIGHTS_LIMIT_BYTES: usize = 1 << 30;
    /// Largest `client.json`.
    pub const CLIENT_LIMIT_BYTES: usize = 4 << 20;

    /// Writes a plan to bytes. The same plan gives the same bytes.
    ///
    /// # Errors
    /// A plan that breaks rules, constants that are not the plan's, or files over the limits: what this writes, it reads.
    pub fn encode(plan: &Plan, weights: &Weights) -> Result<Self, PlanFileError> {
        let file = Self::PLAN_JSON;
        verify_with_weights(plan, weights).map_err(|errors| PlanFileError::Invalid { file, errors })?;
        if !weights.match_entries(&plan.constants) {
            return Err(PlanFileError::Mismatched {
                file: Self::WEIGHTS_BIN,
                other: file,
                what: "the digests of the constants differ".to_owned(),
            });
        }
        let files = Self {
            plan_json: plan.to_json().into_bytes(),
            weights_bin: weights.to_bytes(),
            client_json: plan.client_file().to_json().into_bytes(),
        };
        files.check_sizes()?;
        Ok(files)
    }

    /// Reads a plan from bytes and verifies it.
    ///
    /// # Errors
    /// Files of another kind or a newer version; damaged files and files of different plans; a plan that breaks rules.
    pub fn decode(&self) -> Result<(Plan, Weights), PlanFileError> {
        self.check_sizes()?;
        let client = ClientFile::from_json(&self.client_json)?;
        let file = Self::PLAN_JSON;
        let hash = Digest::of(&self.plan_json);
        if hash != client.plan_hash() {
            return Err(PlanFileError::Mismatched {
                file,
                other: Self::CLIENT_JSON,
                what: format!("its hash is {}…, not {}…", hash.short(), client.plan_hash().short()),
            });
        }
        let plan: Plan = json::from_text(file, &self.plan_json)?;
        verify(&plan).map_err(|errors| PlanFileError::Invalid { file, errors })?;
        if plan.client_file() != client {
            return Err(PlanFileError::Mismatched {
                file: Self::CLIENT_JSON,
                other: file,
                what: "its keys, shapes or ranges are not the plan's".to_owned(),
            });
        }
        let weights = Weights::from_bytes(&self.weights_bin, &plan.constants)?;
        verify_with_weights(&plan, &weights).map_err(|errors| PlanFileError::Invalid { file, errors })?;
        Ok((plan, weights))
    }

    fn check_sizes(&self) -> Result<(), PlanFileError> {
        let sizes = [
            (Self::PLAN_JSON, self.plan_json.len(), Self::PLAN_LIMIT_BYTES),
            (Self::WEIGHTS_BIN, self.weights_bin.len(), Self::WEIGHTS_LIMIT_BYTES),
            (Self::CLIENT_JSON, self.client_json.len(), Self::CLIENT_LIMIT_BYTES),
        ];
        match sizes.into_iter().find(|&(_, bytes, limit)| bytes > limit) {
            Some((file, bytes, limit)) => Err(PlanFileError::TooLarge { file, bytes, limit }),
            None => Ok(()),
        }
    }
}

impl Plan {
    /// The contents of `plan.json`.
    pub fn to_json(&self) -> String {
        json::to_text(self)
    }

    /// What keys, ciphertexts and all other files of the plan carry: the SHA-256 digest of `plan.json`, which holds the
    /// digests of all constants.
    pub fn hash(&self) -> Digest {
        Digest::of(self.to_json().as_bytes())
    }

    /// What a client needs to know of the plan: no weights, no instructions.
    pub fn client_file(&self) -> ClientFile {
        match &self.program {
            Program::Ckks(program) => ClientFile::Ckks(self.ckks_client(program)),
            Program::Tfhe(program) => ClientFile::Tfhe(TfheClientSpec::of(self, program)),
        }
    }

    /// What a client needs to know of a CKKS plan; `None` for any other.
    pub fn client_spec(&self) -> Option<ClientSpec> {
        self.program.ckks().map(|program| self.ckks_client(program))
    }

    fn ckks_client(&self, program: &CkksProgram) -> ClientSpec {
        ClientSpec {
            format_version: self.format_version,
            name: self.name.clone(),
            plan_hash: self.hash(),
            params: program.params.clone(),
            keys: program.key_spec(),
            bootstrap: program.bootstrap.clone(),
            input: self.input.clone(),
            output: self.output.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
