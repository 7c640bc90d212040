//! Key switching from the ring key to the small key, several ciphertexts in one pass over the key.

use aligned_vec::{AVec, avec};
use heron_params::tfhe::TfheParams;
use pulp::{Arch, Simd, WithSimd};

/// Words of a row that are summed in registers over the whole key.
const BLOCK: usize = 32;

/// The key-switching key: for every element of the ring key and every digit, least significant first, a ciphertext under
/// the small key modulo `2^32`.
pub(super) struct SwitchKey {
    /// `[blocks, ring dimension · levels, BLOCK]`: a row is cut into blocks, and those of all rows are one stream.
    words: AVec<u32>,
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
    pub(super) fn new(params: &TfheParams, words: &[u32]) -> Self {
        let small_len = params.small_dimension as usize + 1;
        let n_rows = words.len() / small_len;
        let mut blocked = avec![0u32; small_len.div_ceil(BLOCK) * n_rows * BLOCK];
        for (row, words) in words.chunks_exact(small_len).enumerate() {
            for (block, words) in words.chunks(BLOCK).enumerate() {
                blocked[(block * n_rows + row) * BLOCK..][..words.len()].copy_from_slice(words);
            }
        }
        Self {
            words: blocked,
            small_len,
            base_log: params.switch.base_log,
            levels: params.switch.levels,
            arch: Arch::new(),
        }
    }

    /// Switches ciphertexts of equal length, each multiplied by `factor` first.
    ///
    /// # Cost
    /// One pass over the key, which has more bytes than caches do.
    pub(super) fn switch(&self, ciphertexts: &[&[u64]], factor: u64) -> Vec<Vec<u32>> {
        let digits: Vec<Vec<u32>> = ciphertexts
            .iter()
            .map(|ciphertext| self.digits(ciphertext, factor))
            .collect();
        let padded = self.small_len.div_ceil(BLOCK) * BLOCK;
        let mut outs = vec![vec![0u32; padded]; ciphertexts.len()];
        let n_rows = digits.first().map_or(0, Vec::len).max(1);
        for (block, rows) in self.words.chunks_exact(n_rows * BLOCK).enumerate() {
            self.arch.dispatch(SubtractRows {
                outs: &mut outs,
                first: block * BLOCK,
                rows,
                digits: &digits,
            });
        }
        for (out, ciphertext) in outs.iter_mut().zip(ciphertexts) {
            out.truncate(self.small_len);
            if let (Some(out), Some(body)) = (out.last_mut(), ciphertext.last()) {
                *out = out.wrapping_add(rounded(body.wrapping_mul(factor)));
            }
        }
        outs
    }

    /// The balanced digits of a ciphertext's mask, times a factor; in the order of the key's rows.
    fn digits(&self, ciphertext: &[u64], factor: u64) -> Vec<u32> {
        let (base_log, levels) = (self.base_log, self.levels);
        let cut = 64 - base_log * levels;
        let mut bias = 1u64 << (cut - 1);
        for level in 0..levels {
            bias = bias.wrapping_add(1u64 << (cut + base_log * level + base_log - 1));
        }
        let (mask, half_base) = ((1u64 << base_log) - 1, 1u32 << (base_log - 1));
        let words = ciphertext[..ciphertext.len() - 1].iter();
        let digit =
            |word: u64, level: u32| (((word >> (cut + base_log * level)) & mask) as u32).wrapping_sub(half_base);
        words
            .map(|word| word.wrapping_mul(factor).wrapping_add(bias))
            .flat_map(|word| (0..levels).map(move |level| digit(word, level)))
            .collect()
    }
}

/// The nearest multiple of `2^32`, divided by it.
fn rounded(word: u64) -> u32 {
    (word.wrapping_add(1 << 31) >> 32) as u32
}

/// `outs[c][first..][..BLOCK] -= Σ_row digits[c][row] · rows[row]`.
struct SubtractRows<'a> {
    outs: &'a mut [Vec<u32>],
    first: usize,
    /// `[rows, BLOCK]`.
    rows: &'a [u32],
    digits: &'a [Vec<u32>],
}

impl WithSimd for SubtractRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // As many sums as registers hold beside a row.
        match BLOCK / S::U32_LANES {
            2 => self.by::<S, 2, 4>(simd),
            4 => self.by::<S, 4, 2>(simd),
            8 => self.by::<S, 8, 1>(simd),
            _ => self.by::<S, BLOCK, 1>(simd),
        }
    }
}

impl SubtractRows<'_> {
    /// A block is `V` vectors; `C` ciphertexts at a time.
    #[inline(always)]
    fn by<S: Simd, const V: usize, const C: usize>(self, simd: S) {
        let outs = self.outs.chunks_mut(C).zip(self.digits.chunks(C));
        for (outs, digits) in outs {
            // What is missing of the last chunk is done twice.
            let mut chosen = [digits[0].as_slice(); C];
            for (chosen, digits) in chosen.iter_mut().zip(digits) {
                *chosen = digits;
            }
            let sums = sums::<S, V, C>(simd, S::as_simd_u32s(self.rows).0, chosen);
            for (out, sum) in outs.iter_mut().zip(&sums) {
                let (out, _) = S::as_mut_simd_u32s(&mut out[self.first..][..BLOCK]);
                for (out, sum) in out.iter_mut().zip(sum) {
                    *out = simd.sub_u32s(*out, *sum);
                }
            }
        }
    }
}

/// `Σ_row digits[c][row] · rows[row]`.
#[inline(always)]
fn sums<S: Simd, const V: usize, const C: usize>(simd: S, rows: &[S::u32s], digits: [&[u32]; C]) -> [[S::u32s; V]; C] {
    let mut sums = [[simd.splat_u32s(0); V]; C];
    for (at, row) in rows.chunks_exact(V).enumerate() {
        for c in 0..C {
            let digit = simd.splat_u32s(digits[c][at]);
            for v in 0..V {
                sums[c][v] = simd.add_u32s(sums[c][v], simd.mul_u32s(row[v], digit));
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use heron_params::tfhe::Decomposition;

    use super::*;

    #[test]
    fn every_ciphertext_loses_its_digits_times_the_rows() {
        let params = TfheParams {
            small_dimension: 40,
            ring_rank: 1,
            log_degree: 6,
            bootstrap: Decomposition {
                base_log: 10,
                levels: 1,
            },
            switch: Decomposition { base_log: 3, levels: 4 },
        };
        let word = |i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        let key: Vec<u32> = (0..64 * 4 * 41).map(|i| word(i) as u32).collect();
        let switch = SwitchKey::new(&params, &key);
        let factor = 5;
        let ciphertexts: Vec<Vec<u64>> = (0..7u64)
            .map(|c| (0..65).map(|i| word(1000 * c + i + 1)).collect())
            .collect();
        let ciphertexts: Vec<&[u64]> = ciphertexts.iter().map(Vec::as_slice).collect();
        for (ciphertext, found) in ciphertexts.iter().zip(switch.switch(&ciphertexts, factor)) {
            let mut exact = vec![0u32; 41];
            exact[40] = rounded(ciphertext[64].wrapping_mul(factor));
            for (element, word) in ciphertext[..64].iter().enumerate() {
                // The nearest multiple of 2^52, in digits from -4 to 3.
                let mut rest = ((word.wrapping_mul(factor).wrapping_add(1 << 51)) >> 52) as i64;
                for level in 0..4 {
                    let digit = (rest + 4).rem_euclid(8) - 4;
                    rest = (rest - digit) / 8;
                    let row = &key[(element * 4 + level) * 41..][..41];
                    for (exact, word) in exact.iter_mut().zip(row) {
                        *exact = exact.wrapping_sub(word.wrapping_mul(digit as u32));
                    }
                }
            }
            assert_eq!(found, exact);
        }
    }
}
