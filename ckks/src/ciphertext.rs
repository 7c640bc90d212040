//! Ciphertexts and plaintexts: residues with the level and the scale that they carry.

use heron_params::{Level, ScalePower};

use crate::poly::Poly;
use crate::random::Seed;

/// An encoded, unencrypted vector of slots.
///
/// # Levels
/// Lives modulo `q_0 · … · q_level`, at exactly the scale `Δ_level` or its square.
#[derive(Clone, Debug, PartialEq)]
pub struct Plaintext {
    pub(crate) level: Level,
    pub(crate) power: ScalePower,
    /// In evaluation form.
    pub(crate) poly: Poly,
}

/// An encryption `(c0, c1)` with `c0 + c1 · s` the encoded message plus an error.
///
/// # Levels
/// Lives modulo `q_0 · … · q_level`, at exactly the scale `Δ_level` or its square.
#[derive(Clone, Debug, PartialEq)]
pub struct Ciphertext {
    pub(crate) level: Level,
    pub(crate) power: ScalePower,
    /// In evaluation form.
    pub(crate) c0: Poly,
    /// In evaluation form.
    pub(crate) c1: Poly,
}

/// A fresh encryption under the secret key: its uniform half `c1` is kept as the seed that it was expanded from, which
/// halves what is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct SeededCiphertext {
    pub(crate) level: Level,
    pub(crate) power: ScalePower,
    /// In evaluation form.
    pub(crate) c0: Poly,
    pub(crate) seed: Seed,
}

impl Plaintext {
    /// The level.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The power of the level's canonical scale.
    pub fn power(&self) -> ScalePower {
        self.power
    }
}

impl Ciphertext {
    /// The level.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The power of the level's canonical scale.
    pub fn power(&self) -> ScalePower {
        self.power
    }

    /// Bytes that the residues take in memory.
    pub fn bytes(&self) -> u64 {
        (2 * self.level.limbs() * self.c0.n() * size_of::<u64>()) as u64
    }
}

impl SeededCiphertext {
    /// The level.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The power of the level's canonical scale.
    pub fn power(&self) -> ScalePower {
        self.power
    }
}
