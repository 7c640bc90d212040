//! The two sides: a client that holds the secret, a server that holds evaluation keys only.

mod client;
mod error;
mod keygen;
mod server;

use std::sync::Arc;

use heron_ckks::{Ciphertext, Context, Kernels, SeededCiphertext};
use heron_params::CkksParams;
use heron_plan::{CkksProgram, Digest, Plan};

use crate::machine::State;

pub use client::{Client, DecryptOptions, PublicClient};
pub use error::SessionError;
pub use keygen::{KeySet, KeygenOptions, ServerKeys, keygen};
pub use server::{RunProgress, Server, ServerOptions};

/// Whether parameters below 128 bits of security are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// 128 bits or refused.
    Required,
    /// Anything that the arithmetic can use: for tests and for plans that were compiled insecure on purpose.
    InsecureAllowed,
}

/// Checks parameters and builds their ring.
///
/// # Errors
/// [`SessionError::Params`].
pub fn open_context(params: &CkksParams, kernels: Kernels, security: Security) -> Result<Arc<Context>, SessionError> {
    match security {
        Security::Required => params.check_secure()?,
        Security::InsecureAllowed => params.validate()?,
    }
    Ok(Context::new(params.clone(), kernels)?)
}

/// The program of a CKKS plan.
///
/// # Errors
/// [`SessionError::OtherScheme`].
pub fn ckks_program(plan: &Plan) -> Result<&CkksProgram, SessionError> {
    plan.program.ckks().ok_or(SessionError::OtherScheme {
        found: "tfhe",
        needed: "ckks",
    })
}

/// One ciphertext as it travels.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredCiphertext {
    /// A fresh encryption under the secret key: half of it is a seed.
    Seeded(SeededCiphertext),
    /// Any other.
    Full(Ciphertext),
}

impl StoredCiphertext {
    /// Level and scale.
    pub fn state(&self) -> State {
        match self {
            Self::Seeded(fresh) => State {
                level: fresh.level(),
                power: fresh.power(),
            },
            Self::Full(full) => State {
                level: full.level(),
                power: full.power(),
            },
        }
    }

    /// The whole ciphertext.
    pub fn expand(&self, context: &Context) -> Ciphertext {
        match self {
            Self::Seeded(fresh) => fresh.expand(context),
            Self::Full(full) => full.clone(),
        }
    }
}

/// The contents of a `.ct` file: one ciphertext per sample.
#[derive(Clone, Debug, PartialEq)]
pub struct CiphertextBatch {
    /// The plan that they belong to.
    pub plan_hash: Digest,
    /// One per sample, in order.
    pub ciphertexts: Vec<StoredCiphertext>,
}

impl CiphertextBatch {
    fn check_plan(&self, needed: Digest) -> Result<(), SessionError> {
        if self.plan_hash == needed {
            return Ok(());
        }
        Err(SessionError::OtherPlan {
            found: self.plan_hash,
            needed,
        })
    }
}
