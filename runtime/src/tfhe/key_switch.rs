//! Key switching from the ring key to the small key, several ciphertexts in one pass over the key.

use heron_params::tfhe::TfheParams;
use pulp::{Arch, Simd, WithSimd};

/// The key-switching key: for every element of the ring key and every digit, least significant first, a ciphertext under
/// the small key modulo `2^32`.
pub(super) struct SwitchKey {
    words: Vec<u32>,
    small_len: usize,
    base_log: u32,
    levels: u32,
    arch: Arch,
}

impl SwitchKey {
    /// A key in the order in which the crate expands it.
    ///
    /// # Shapes
    /// `words`: `[ring dimension, levels, small dimension + 1]`.
    pub(super) fn new(params: &TfheParams, words: Vec<u32>) -> Self {
        Self {
            words,
            small_len: params.small_dimension as usize + 1,
            base_log: params.switch.base_log,
            levels: params.switch.levels,
            arch: Arch::new(),
        }
    }

    /// Switches ciphertexts of equal length, each multiplied by `factor` first.
    pub(super) fn switch(&self, ciphertexts: &[&[u64]], factor: u64) -> Vec<Vec<u32>> {
        let dimension = ciphertexts.first().map_or(0, |ciphertext| ciphertext.len() - 1);
        let fresh = |ciphertext: &&[u64]| {
            let mut out = vec![0u32; self.small_len];
            out[self.small_len - 1] = rounded(ciphertext[dimension].wrapping_mul(factor));
            out
        };
        let mut outs: Vec<Vec<u32>> = ciphertexts.iter().map(fresh).collect();
        let (base_log, levels) = (self.base_log, self.levels);
        let cut = 64 - base_log * levels;
        let mut bias = 1u64 << (cut - 1);
        for level in 0..levels {
            bias = bias.wrapping_add(1u64 << (cut + base_log * level + base_log - 1));
        }
        let (mask, half_base) = ((1u64 << base_log) - 1, 1u32 << (base_log - 1));
        let rows = self.words.chunks_exact(self.small_len * levels as usize);
        for (element, rows) in rows.enumerate() {
            for (level, row) in rows.chunks_exact(self.small_len).enumerate() {
                let shift = cut + base_log * level as u32;
                for (out, ciphertext) in outs.iter_mut().zip(ciphertexts) {
                    let word = ciphertext[element].wrapping_mul(factor).wrapping_add(bias);
                    let digit = (((word >> shift) & mask) as u32).wrapping_sub(half_base);
                    if digit != 0 {
                        self.arch.dispatch(SubtractMultiple { out, row, digit });
                    }
                }
            }
        }
        outs
    }
}

/// The nearest multiple of `2^32`, divided by it.
fn rounded(word: u64) -> u32 {
    (word.wrapping_add(1 << 31) >> 32) as u32
}

struct SubtractMultiple<'a> {
    out: &'a mut [u32],
    row: &'a [u32],
    digit: u32,
}

impl WithSimd for SubtractMultiple<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for (out, &row) in self.out.iter_mut().zip(self.row) {
            *out = out.wrapping_sub(row.wrapping_mul(self.digit));
        }
    }
}
