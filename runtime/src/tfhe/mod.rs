//! Exact integers: plans of linear maps and look-ups on ciphertexts of the `tfhe` crate.
//!
//! [`integer_program`] resolves a plan's constants and evaluates it in clear; the encrypted result is equal to it but for the failure probability that the plan states. With the feature `tfhe`: keys, the client's and the server's
//! side. Secrets, seeded keys and encryption are the documented `core_crypto` of `tfhe`; the blind rotation and its
//! transform are ours, so that one pass over the key serves several ciphertexts, and a step is one kernel.

mod program;

#[cfg(feature = "tfhe")]
mod blind_rotation;
#[cfg(feature = "tfhe")]
mod client;
#[cfg(feature = "tfhe")]
mod external_product;
#[cfg(feature = "tfhe")]
mod key_switch;
#[cfg(feature = "tfhe")]
mod keys;
#[cfg(feature = "tfhe")]
mod server;
#[cfg(feature = "tfhe")]
mod transform;
#[cfg(feature = "tfhe")]
mod values;

#[cfg(all(test, feature = "tfhe"))]
mod tests;

pub use program::{integer_program, tfhe_program};

#[cfg(feature = "tfhe")]
pub use client::TfheClient;
#[cfg(feature = "tfhe")]
pub use keys::{SeededKeys, TfheRandomness, TfheSecretKey};
#[cfg(feature = "tfhe")]
pub use server::{ServerKeys, TfheProgress, TfheServer};
#[cfg(feature = "tfhe")]
pub use values::{EncryptedInput, EncryptedOutput, TfheBatch};
#[cfg(feature = "tfhe")]
pub(crate) use values::{SeededVector, Vector};
