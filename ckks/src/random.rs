//! Randomness: the generator of secrets, and uniform polynomials expanded from seeds.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use zeroize::Zeroize as _;

use crate::kernels::{CHUNK_WORDS, ChaChaStream, Kernels};

/// The operating system's random source failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct RandomError;

/// A cryptographic generator (ChaCha20) for secrets, errors and seeds.
pub struct Rng(ChaCha20Rng);

impl Rng {
    /// A generator seeded by the operating system.
    ///
    /// # Errors
    /// [`RandomError`] if the operating system's source fails.
    pub fn from_os() -> Result<Self, RandomError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| RandomError)?;
        let rng = Self(ChaCha20Rng::from_seed(seed));
        seed.zeroize();
        Ok(rng)
    }

    /// A generator that anyone can predict: for tests and benches, never for a key that protects something.
    pub fn insecure_deterministic(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }

    /// A generator of its own, seeded by this one: what draws from it does not move this one's later output.
    pub(crate) fn fork(&mut self) -> Self {
        let mut seed = [0; 32];
        self.0.fill_bytes(&mut seed);
        let fork = Self(ChaCha20Rng::from_seed(seed));
        seed.zeroize();
        fork
    }

    /// A seed for a uniform polynomial.
    pub(crate) fn seed(&mut self) -> Seed {
        let mut seed = [0; 32];
        self.0.fill_bytes(&mut seed);
        Seed(seed)
    }

    /// Fills `words` with uniform 64-bit words.
    pub(crate) fn fill_words(&mut self, words: &mut [u64]) {
        self.0.fill_bytes(bytemuck::cast_slice_mut(words));
        words.iter_mut().for_each(|word| *word = u64::from_le(*word));
    }
}

/// The public seed of a uniform polynomial: 32 bytes in a file instead of the polynomial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(pub(crate) [u8; 32]);

impl Seed {
    /// Fills `residues` with uniform values modulo `prime`. Each `stream` of a seed is independent of the others, so
    /// that limbs can be expanded in any order, and a lower level reads a prefix.
    ///
    /// # Source
    /// D. Lemire, *Fast random integer generation in an interval*, 2019: the high word of `r · prime`, drawn again when
    /// the low word is below `2^64 mod prime`, is exactly uniform.
    pub(crate) fn expand(&self, kernels: Kernels, stream: u64, prime: u64, residues: &mut [u64]) {
        let mut source = ChaChaStream::new(&self.0, stream);
        let rejected_below = prime.wrapping_neg() % prime;
        let mut words = [0u64; EXPANDED_WORDS];
        let mut filled = 0;
        while filled < residues.len() {
            kernels.chacha_blocks(&mut source, &mut words);
            let left = &mut residues[filled..];
            let whole = left
                .first_chunk_mut::<EXPANDED_WORDS>()
                .is_some_and(|whole| kernels.upper_products(&words, prime, whole) >= rejected_below);
            filled += if whole {
                EXPANDED_WORDS
            } else {
                accept(&words, prime, rejected_below, left)
            };
        }
    }
}

/// Words that are expanded at a time.
const EXPANDED_WORDS: usize = 4 * CHUNK_WORDS;

/// Writes a residue for every word that is accepted, while there is room; how many.
fn accept(words: &[u64], prime: u64, rejected_below: u64, residues: &mut [u64]) -> usize {
    let products = words.iter().map(|&word| u128::from(word) * u128::from(prime));
    let accepted = products.filter(|&product| product as u64 >= rejected_below);
    let written = residues.iter_mut().zip(accepted);
    written
        .map(|(residue, product)| *residue = (product >> 64) as u64)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expansion_is_uniform_and_independent_of_length() {
        let prime = (1 << 20) - 3;
        let seed = Seed([7; 32]);
        let mut long = vec![0; 100_000];
        seed.expand(Kernels::best(), 3, prime, &mut long);
        assert!(long.iter().all(|&x| x < prime));
        let mean = long.iter().sum::<u64>() as f64 / long.len() as f64;
        let deviation_of_mean = prime as f64 / (12.0 * long.len() as f64).sqrt();
        assert!((mean - prime as f64 / 2.0).abs() < 5.0 * deviation_of_mean);

        let mut short = vec![0; 700];
        seed.expand(Kernels::best(), 3, prime, &mut short);
        assert_eq!(short, long[..700]);
        seed.expand(Kernels::best(), 4, prime, &mut short);
        assert_ne!(short, long[..700]);
    }

    #[test]
    fn rejected_words_are_skipped_and_no_others() {
        // A third of all words is rejected, so that no block is without.
        let modulus = (1 << 63) | (1 << 61);
        let seed = Seed([9; 32]);
        let mut residues = vec![0; 5000];
        seed.expand(Kernels::best(), 1, modulus, &mut residues);
        let mut cipher = ChaCha20Rng::from_seed(seed.0);
        cipher.set_stream(1);
        let rejected_below = modulus.wrapping_neg() % modulus;
        let accepted = std::iter::repeat_with(|| u128::from(cipher.next_u64()) * u128::from(modulus))
            .filter(|product| *product as u64 >= rejected_below)
            .map(|product| (product >> 64) as u64);
        assert_eq!(residues, accepted.take(5000).collect::<Vec<u64>>());
    }

    #[test]
    fn two_generators_of_the_operating_system_differ() {
        let mut words = [[0; 4]; 2];
        for w in &mut words {
            Rng::from_os().expect("a random source").fill_words(w);
        }
        assert_ne!(words[0], words[1]);
    }
}
