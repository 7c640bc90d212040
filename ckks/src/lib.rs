//! The CKKS scheme in residue number systems: real vectors, encrypted, added, multiplied and rotated.
//!
//! Knows rings and slots; knows neither networks nor plans. Reads no file, no clock and no environment.
//!
//! # Conventions
//! - A ciphertext at level `l` lives modulo `q_0 · … · q_l` and has exactly the canonical scale `Δ_l`, or `Δ_l²` when it is
//!   a product that has not been rescaled.
//! - Rotations go to the left: `rot(v, k)[i] = v[(i + k) mod slots]`, by the automorphism `X -> X^(5^k)`.
//! - Slots are real: `N / 2` of them.
#![deny(unsafe_code)]

pub mod bootstrap;
mod chebyshev;
mod ciphertext;
mod constant;
mod context;
mod division;
mod encoder;
mod encrypt;
mod error;
mod evaluation_keys;
mod evaluator;
#[cfg(test)]
mod exact_tests;
pub mod kernels;
mod key_switch;
mod keys;
mod limb_refs;
mod linear;
mod linear_inputs;
mod linear_sums;
mod linear_transform;
pub mod memory;
mod parallel;
mod plaintext_cache;
mod poly;
mod polynomial;
mod product_sum;
mod random;
mod samplers;
mod serial;
mod slot_codec;
mod special_fft;
mod stack;

pub use ciphertext::{Ciphertext, Plaintext, SeededCiphertext};
pub use context::Context;
pub use encoder::Encoder;
pub use encrypt::{decrypt, encrypt_public, encrypt_secret};
pub use error::{EncodeError, EvalError, ReadError};
pub use evaluation_keys::EvaluationKeys;
pub use evaluator::Evaluator;
pub use kernels::{Kernels, KernelsError};
pub use keys::{PublicKey, SecretKey};
pub use linear_transform::{GiantStep, LinearTransform, Term};
pub use polynomial::Polynomial;
pub use random::{RandomError, Rng};
