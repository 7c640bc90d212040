//! What a bootstrap is asked to offer, and why it cannot.

use serde::{Deserialize, Serialize};

use crate::ParamsError;

/// What the slots of the bootstrapped vectors hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotValues {
    /// Real numbers: one modular reduction.
    Real,
    /// Complex numbers: one modular reduction for each part.
    Complex,
}

/// Which transform comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransformOrder {
    /// Slots to coefficients, at the lowest levels, then the raise: the errors of the modular reduction stay in the slots where
    /// they arise, and a real vector needs one reduction. The operand still has the levels of that transform.
    SlotsToCoeffsFirst,
    /// The raise first: the operand has no level left.
    CoeffsToSlotsFirst,
}

/// What to build a bootstrap from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BootstrapRequest {
    /// Base-2 logarithm of the ring degree.
    pub log_n: u32,
    /// Bits of the canonical scale, hence of every prime but `q_0` and the special ones.
    pub log_scale: u32,
    /// Base-2 logarithm of the number of slots that differ: vectors are repeated to fill a ciphertext.
    pub log_slots: u32,
    /// What the slots hold: numbers of absolute value at most 1 (both parts of complex ones).
    pub values: SlotValues,
    /// Which transform comes first.
    pub order: TransformOrder,
    /// Levels that a network has between two bootstraps.
    pub levels: u32,
    /// Bits of precision that the worst slot must keep.
    pub worst_bits: f64,
    /// The most bytes of keys, in memory.
    pub max_key_bytes: u64,
}

/// Why a bootstrap cannot be built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BootstrapError {
    /// The request contradicts itself or leaves what the arithmetic can carry.
    #[error("the request cannot be met: {0}")]
    Malformed(&'static str),
    /// The chain cannot be built, or is over the table.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// Every variant needs a larger modulus than 128 bits allow.
    #[error(
        "{levels} levels of 2^{log_scale} and a bootstrap need log2(QP) of at least {needed:.0}, over the 128-bit limit of {limit} for ring degree 2^{log_n}: ask for fewer levels, a smaller scale or a larger ring"
    )]
    Modulus {
        /// Base-2 logarithm of the ring degree.
        log_n: u32,
        /// Levels asked for.
        levels: u32,
        /// Bits of the scale asked for.
        log_scale: u32,
        /// The smallest `log2(QP)` of all variants.
        needed: f64,
        /// The table's limit; 0 where it has no row.
        limit: u32,
    },
    /// The sparse secret is not known to be secure in this ring.
    #[error(
        "log2(q_0 P') = {log_qp:.1} is over what a secret of weight 32 allows in ring degree 2^{log_n} ({limit}; 0 means that no limit is known)"
    )]
    Ephemeral {
        /// Base-2 logarithm of the ring degree.
        log_n: u32,
        /// The modulus of the key under the sparse secret.
        log_qp: f64,
        /// The limit; 0 where none is known.
        limit: u32,
    },
    /// No variant that fits keeps the asked precision.
    #[error("the worst slot keeps {reached:.1} bits at most, {wanted:.1} are asked for: ask for a larger scale")]
    Precision {
        /// Bits asked for.
        wanted: f64,
        /// Bits of the most precise variant that fits.
        reached: f64,
    },
    /// No variant that fits and is precise enough has keys as small as asked.
    #[error("the smallest keys take {needed} bytes, {allowed} are allowed")]
    KeyBytes {
        /// Bytes of the smallest key set.
        needed: u64,
        /// Bytes allowed.
        allowed: u64,
    },
}
