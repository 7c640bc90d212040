//! Parameter sets for exact integers on learning-with-errors ciphertexts: one ring key that values live under, one small
//! key that look-ups read, one bootstrap key and one key-switching key between them.
//!
//! Deviations are not chosen: they follow from the dimensions by the security curve ([`lwe_variance`]), so a set cannot
//! state noise that is too small.

mod noise;

use serde::{Deserialize, Serialize};

pub use noise::{add_log2, log2_tail, lwe_variance};

use crate::{Bits, SECURITY_BITS};

/// Least and largest dimension of a small key for which the security curve was published.
const SMALL_DIMENSIONS: std::ops::RangeInclusive<u32> = 500..=1300;
/// Ring dimensions `k · N` that the curve and the arithmetic cover.
const RING_DIMENSIONS: std::ops::RangeInclusive<u32> = 1024..=16384;
/// Bits of a coefficient under the ring key.
const RING_BITS: u32 = 64;
/// Bits of a coefficient under the small key.
const SMALL_BITS: u32 = 32;

/// A gadget decomposition: `levels` signed digits of `base_log` bits, the most significant ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decomposition {
    /// Bits of a digit.
    pub base_log: u32,
    /// How many digits.
    pub levels: u32,
}

/// A parameter set. All secrets are binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TfheParams {
    /// Dimension `n` of the small key, modulo `2^32`.
    pub small_dimension: u32,
    /// Polynomials `k` of the ring key, modulo `2^64`.
    pub ring_rank: u32,
    /// Base-2 logarithm of the degree `N` of the ring.
    pub log_degree: u32,
    /// How the accumulator is decomposed in a bootstrap.
    pub bootstrap: Decomposition,
    /// How a ciphertext under the ring key is decomposed in a key switch.
    pub switch: Decomposition,
}

/// Why a parameter set is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TfheParamsError {
    /// A dimension for which the security curve says nothing.
    #[error("{what} {found} is outside {least} to {most}, where the 128-bit curve holds; compile the model again")]
    Dimension {
        /// Which dimension.
        what: &'static str,
        /// Its value.
        found: u64,
        /// The least that is accepted.
        least: u32,
        /// The largest that is accepted.
        most: u32,
    },
    /// A decomposition that takes more bits than there are, or none.
    #[error("{what}: {levels} digits of {base_log} bits, of {bits} bits; compile the model again")]
    Decomposition {
        /// Which decomposition.
        what: &'static str,
        /// Bits of a digit.
        base_log: u32,
        /// Digits.
        levels: u32,
        /// Bits that there are.
        bits: u32,
    },
}

impl TfheParams {
    /// The degree `N` of the ring.
    pub fn degree(&self) -> usize {
        1 << self.log_degree
    }

    /// Dimension `k · N` of ciphertexts under the ring key.
    pub fn ring_dimension(&self) -> usize {
        self.ring_rank as usize * self.degree()
    }

    /// Checks that the arithmetic works and that the set offers [`SECURITY_BITS`].
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check_secure(&self) -> Result<Bits, TfheParamsError> {
        let range = |what, found: u64, accepted: &std::ops::RangeInclusive<u32>| {
            let (least, most) = (*accepted.start(), *accepted.end());
            if (u64::from(least)..=u64::from(most)).contains(&found) {
                return Ok(());
            }
            Err(TfheParamsError::Dimension {
                what,
                found,
                least,
                most,
            })
        };
        range(
            "a small key of dimension",
            u64::from(self.small_dimension),
            &SMALL_DIMENSIONS,
        )?;
        range(
            "a logarithm of the ring degree of",
            u64::from(self.log_degree),
            &(9..=14),
        )?;
        let dimension = u64::from(self.ring_rank) << self.log_degree;
        range("a ring key of dimension", dimension, &RING_DIMENSIONS)?;
        // Digits are converted to f64 through i32, and the ciphertext's lowest bits are rounded away.
        check_decomposition("bootstrap", self.bootstrap, 30, RING_BITS - 1)?;
        check_decomposition("key switch", self.switch, 16, SMALL_BITS)?;
        Ok(SECURITY_BITS)
    }

    /// Bytes of the evaluation keys in memory: the bootstrap key in Fourier form, the key-switching key in words of 32 bits.
    pub fn key_memory_bytes(&self) -> u64 {
        let columns = u64::from(self.ring_rank) + 1;
        let bootstrap = self.bootstrap_rows() * columns * self.degree() as u64 * 8;
        bootstrap + self.switch_rows() * (u64::from(self.small_dimension) + 1) * 4
    }

    /// Bytes of the evaluation keys in a file, where masks are seeds.
    pub fn key_file_bytes(&self) -> u64 {
        self.bootstrap_rows() * self.degree() as u64 * 8 + self.switch_rows() * 4
    }

    /// Polynomial rows of the bootstrap key.
    fn bootstrap_rows(&self) -> u64 {
        u64::from(self.small_dimension) * u64::from(self.bootstrap.levels) * (u64::from(self.ring_rank) + 1)
    }

    fn switch_rows(&self) -> u64 {
        self.ring_dimension() as u64 * u64::from(self.switch.levels)
    }
}

fn check_decomposition(
    what: &'static str,
    digits: Decomposition,
    widest: u32,
    bits: u32,
) -> Result<(), TfheParamsError> {
    let Decomposition { base_log, levels } = digits;
    let taken = base_log.checked_mul(levels);
    if (1..=widest).contains(&base_log) && levels >= 1 && taken.is_some_and(|taken| taken <= bits) {
        return Ok(());
    }
    Err(TfheParamsError::Decomposition {
        what,
        base_log,
        levels,
        bits,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A usable set.
    fn params() -> TfheParams {
        TfheParams {
            small_dimension: 800,
            ring_rank: 1,
            log_degree: 11,
            bootstrap: Decomposition {
                base_log: 23,
                levels: 1,
            },
            switch: Decomposition { base_log: 3, levels: 5 },
        }
    }

    #[test]
    fn a_set_within_the_curve_is_secure_and_one_outside_is_refused() {
        assert_eq!(params().check_secure(), Ok(SECURITY_BITS));
        for small_dimension in [0, 499, 5000] {
            let weak = TfheParams {
                small_dimension,
                ..params()
            };
            assert!(weak.check_secure().is_err(), "{small_dimension}");
        }
        let huge = TfheParams {
            ring_rank: u32::MAX,
            ..params()
        };
        assert!(huge.check_secure().is_err());
    }

    #[test]
    fn digits_beyond_the_modulus_are_refused() {
        for (base_log, levels) in [(0, 1), (33, 1), (16, 4), (8, u32::MAX)] {
            let bootstrap = Decomposition { base_log, levels };
            let bad = TfheParams { bootstrap, ..params() };
            assert!(bad.check_secure().is_err(), "{base_log} {levels}");
        }
    }

    #[test]
    fn seeds_halve_a_bootstrap_key_of_rank_one() {
        let params = params();
        assert_eq!(params.key_file_bytes(), 800 * 2 * 2048 * 8 + 2048 * 5 * 4);
        assert_eq!(params.key_memory_bytes(), 800 * 4 * 2048 * 8 + 2048 * 5 * 801 * 4);
    }
}
