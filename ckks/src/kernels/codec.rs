//! What encoding, encryption and key generation spend their time on, beside the arithmetic of limbs: butterflies of the
//! special Fourier transform, and the key stream that uniform polynomials are expanded from.
//!
//! The butterflies are written once, in plain f64 of a fixed order: compiled for wider vectors they give the same bits.

use super::Kernels;
use super::chacha::ChaChaStream;

/// The part of a kernel set that the client uses most.
pub(super) struct CodecTable {
    /// Fills words with the next blocks of a stream.
    pub(super) chacha_blocks: fn(&mut ChaChaStream, &mut [u64]),
    /// How many thresholds lie above the low 63 bits of each word, in place of the word; its top bit stays.
    pub(super) count_above: fn(&[u64], &mut [u64]),
    /// Upper halves of the products with a modulus, and the least lower half.
    pub(super) upper_products: fn(&[u64], u64, &mut [u64], &mut u64),
    /// Residues of small integers.
    pub(super) reduce_small: fn(u64, &[i8], &mut [u64]),
    /// One stage of the transform from coefficients to slots.
    pub(super) butterflies: fn(&Turns, &mut [f64], &mut [f64]),
    /// One stage of the way back.
    pub(super) inverse_butterflies: fn(&Turns, &mut [f64], &mut [f64]),
}

/// The twiddle factors of one stage.
pub(crate) struct Turns {
    pub(crate) cos: Vec<f64>,
    pub(crate) sin: Vec<f64>,
}

impl Kernels {
    /// Fills `out` with the next words of a stream.
    ///
    /// # Panics
    /// When the length is no multiple of [`CHUNK_WORDS`](super::CHUNK_WORDS).
    pub fn chacha_blocks(self, stream: &mut ChaChaStream, out: &mut [u64]) {
        assert!(out.len().is_multiple_of(super::CHUNK_WORDS), "whole chunks");
        (self.0.codec.chacha_blocks)(stream, out);
    }

    /// Replaces the low 63 bits of each word by the number of thresholds, below 2^63, that are larger. The top bit stays.
    ///
    /// Every word takes the same work: no branch and no address depends on it.
    pub(crate) fn count_above(self, thresholds: &[u64], words: &mut [u64]) {
        (self.0.codec.count_above)(thresholds, words);
    }

    /// Sets `upper[i]` to the upper 64 bits of `words[i] * factor`; gives the least of the lower 64 bits.
    ///
    /// # Panics
    /// When the lengths differ.
    pub(crate) fn upper_products(self, words: &[u64], factor: u64, upper: &mut [u64]) -> u64 {
        assert_eq!(words.len(), upper.len(), "a product for every word");
        let mut least_lower = u64::MAX;
        (self.0.codec.upper_products)(words, factor, upper, &mut least_lower);
        least_lower
    }

    /// In every block of twice as many complex values as there are turns `w`: `(a, b)` becomes `(a + w b, a - w b)`.
    pub(crate) fn butterflies(self, turns: &Turns, re: &mut [f64], im: &mut [f64]) {
        (self.0.codec.butterflies)(turns, re, im);
    }

    /// In every block of twice as many complex values as there are turns `w`: `(a, b)` becomes `(a + b, (a - b) / w)`.
    pub(crate) fn inverse_butterflies(self, turns: &Turns, re: &mut [f64], im: &mut [f64]) {
        (self.0.codec.inverse_butterflies)(turns, re, im);
    }
}

/// See [`Kernels::count_above`]; the token says what it is compiled for.
#[inline(always)]
pub(super) fn count_above(_: impl Copy, thresholds: &[u64], words: &mut [u64]) {
    const SIGN: u64 = 1 << 63;
    // Several words side by side, so that each threshold is read once for all of them.
    for words in words.chunks_mut(32) {
        let mut counts = [0; 32];
        for threshold in thresholds {
            for (count, word) in counts.iter_mut().zip(words.iter()) {
                // Both are below 2^63: the top bit of the difference says which is smaller.
                *count += (word & !SIGN).wrapping_sub(*threshold) >> 63;
            }
        }
        for (word, count) in words.iter_mut().zip(counts) {
            *word = *word & SIGN | count;
        }
    }
}

/// See [`Kernels::upper_products`]; the token says what it is compiled for.
#[inline(always)]
pub(super) fn upper_products(_: impl Copy, words: &[u64], factor: u64, upper: &mut [u64], least_lower: &mut u64) {
    for (upper, &word) in upper.iter_mut().zip(words) {
        let product = u128::from(word) * u128::from(factor);
        *upper = (product >> 64) as u64;
        *least_lower = (*least_lower).min(product as u64);
    }
}

/// See [`NttPrime::reduce_small`](super::NttPrime::reduce_small); the token says what it is compiled for.
#[inline(always)]
pub(super) fn reduce_small(_: impl Copy, q: u64, input: &[i8], out: &mut [u64]) {
    for (out, &x) in out.iter_mut().zip(input) {
        let x = i64::from(x);
        *out = x.cast_unsigned().wrapping_add(q & (x >> 63).cast_unsigned());
    }
}

/// See [`Kernels::butterflies`]; the token says what it is compiled for.
#[inline(always)]
pub(super) fn butterflies(_: impl Copy, turns: &Turns, re: &mut [f64], im: &mut [f64]) {
    let half = turns.cos.len();
    for (re, im) in re.chunks_exact_mut(2 * half).zip(im.chunks_exact_mut(2 * half)) {
        let ((a_re, b_re), (a_im, b_im)) = (re.split_at_mut(half), im.split_at_mut(half));
        let (b_re, b_im, a_im) = (&mut b_re[..half], &mut b_im[..half], &mut a_im[..half]);
        let (cos, sin) = (&turns.cos[..half], &turns.sin[..half]);
        for j in 0..half {
            let t_re = b_re[j] * cos[j] - b_im[j] * sin[j];
            let t_im = b_re[j] * sin[j] + b_im[j] * cos[j];
            (b_re[j], b_im[j]) = (a_re[j] - t_re, a_im[j] - t_im);
            (a_re[j], a_im[j]) = (a_re[j] + t_re, a_im[j] + t_im);
        }
    }
}

/// See [`Kernels::inverse_butterflies`]; the token says what it is compiled for.
#[inline(always)]
pub(super) fn inverse_butterflies(_: impl Copy, turns: &Turns, re: &mut [f64], im: &mut [f64]) {
    let half = turns.cos.len();
    for (re, im) in re.chunks_exact_mut(2 * half).zip(im.chunks_exact_mut(2 * half)) {
        let ((a_re, b_re), (a_im, b_im)) = (re.split_at_mut(half), im.split_at_mut(half));
        let (b_re, b_im, a_im) = (&mut b_re[..half], &mut b_im[..half], &mut a_im[..half]);
        let (cos, sin) = (&turns.cos[..half], &turns.sin[..half]);
        for j in 0..half {
            let (t_re, t_im) = (a_re[j] - b_re[j], a_im[j] - b_im[j]);
            (a_re[j], a_im[j]) = (a_re[j] + b_re[j], a_im[j] + b_im[j]);
            b_re[j] = t_re * cos[j] + t_im * sin[j];
            b_im[j] = t_im * cos[j] - t_re * sin[j];
        }
    }
}

/// `TABLE`, for the token of a vector set and the module of its products.
#[cfg(target_arch = "x86_64")]
macro_rules! codec_table {
    ($features:literal, $token:ty, $products:ident) => {
        /// Only for machines on which the set is available.
        pub(in super::super) static TABLE: CodecTable = CodecTable {
            chacha_blocks,
            count_above,
            upper_products,
            reduce_small,
            butterflies,
            inverse_butterflies,
        };

        entries! {
            $features, $token;
            chacha::chacha_blocks(stream: &mut ChaChaStream, out: &mut [u64]);
            codec::count_above(thresholds: &[u64], words: &mut [u64]);
            $products::upper_products(words: &[u64], factor: u64, upper: &mut [u64], least_lower: &mut u64);
            codec::reduce_small(q: u64, input: &[i8], out: &mut [u64]);
            codec::butterflies(turns: &Turns, re: &mut [f64], im: &mut [f64]);
            codec::inverse_butterflies(turns: &Turns, re: &mut [f64], im: &mut [f64]);
        }
    };
}

#[cfg(target_arch = "x86_64")]
pub(super) use codec_table;
