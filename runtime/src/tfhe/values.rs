//! Encrypted values: inputs as they travel, vectors of ciphertexts as the server computes with them, and outputs.

use heron_params::tfhe::TfheParams;
use heron_plan::Digest;
use tfhe::core_crypto::commons::math::random::Seed;
use tfhe::core_crypto::prelude::{CiphertextModulus, LweDimension, SeededLweCiphertextList};

/// The encrypted integers of one sample: for each `input` line a seed and the bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedInput {
    /// One for each `input` line.
    pub(crate) lines: Vec<SeededVector>,
}

/// Ciphertexts under the ring key whose masks come from one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeededVector {
    pub(crate) seed: u128,
    pub(crate) bodies: Vec<u64>,
}

/// The encrypted integers of one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedOutput {
    pub(crate) vector: Vector,
}

/// What travels: inputs to the server, or outputs to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TfheBatch<T> {
    /// The plan that they belong to.
    pub plan_hash: Digest,
    /// One per sample, in order.
    pub samples: Vec<T>,
}

/// Ciphertexts of equal dimension, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vector {
    pub(crate) words: Vec<u64>,
    /// Words of one ciphertext.
    pub(crate) size: usize,
}

impl Vector {
    /// Zeros.
    pub(super) fn zeros(len: usize, size: usize) -> Self {
        Self {
            words: vec![0; len * size],
            size,
        }
    }

    /// From ciphertexts of equal size.
    pub(super) fn of(ciphertexts: &[Vec<u64>], size: usize) -> Self {
        Self {
            words: ciphertexts.concat(),
            size,
        }
    }

    /// How many ciphertexts.
    pub(crate) fn len(&self) -> usize {
        self.words.len() / self.size
    }

    /// The ciphertexts.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &[u64]> {
        self.words.chunks_exact(self.size)
    }

    /// One ciphertext.
    pub(super) fn get(&self, index: usize) -> &[u64] {
        &self.words[index * self.size..][..self.size]
    }
}

impl SeededVector {
    /// The whole ciphertexts.
    pub(super) fn expand(&self, params: &TfheParams) -> Vector {
        let list = SeededLweCiphertextList::from_container(
            self.bodies.clone(),
            LweDimension(params.ring_dimension()).to_lwe_size(),
            Seed(self.seed).into(),
            CiphertextModulus::new_native(),
        );
        Vector {
            words: list.decompress_into_lwe_ciphertext_list().into_container(),
            size: params.ring_dimension() + 1,
        }
    }
}

/// The torus element of an integer at a number of steps a turn: the nearest to `value · 2^64 / steps`.
pub(super) fn encode(value: i64, steps: u64) -> u64 {
    let steps = i128::from(steps);
    let residue = i128::from(value).rem_euclid(steps);
    ((residue << 64).wrapping_add(steps / 2) / steps) as u64
}

/// The integer from `min` on that is nearest to a torus element.
pub(super) fn decode(word: u64, steps: u64, min: i64) -> i64 {
    let nearest = (u128::from(word) * u128::from(steps) + (1 << 63)) >> 64;
    let steps = i128::from(steps);
    let residue = (nearest as i128 - i128::from(min)).rem_euclid(steps);
    min + residue as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn integers_come_back_from_the_torus(
            steps in 2u64..1 << 44,
            offset in any::<prop::sample::Index>(),
            min in -1i64 << 40..1 << 40,
            error in -0.499f64..0.499,
        ) {
            let value = min + offset.index(steps as usize) as i64;
            let step = 2f64.powi(64) / steps as f64;
            let word = encode(value, steps).wrapping_add((error * step) as i64 as u64);
            prop_assert_eq!(decode(word, steps, min), value);
        }
    }
}
