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

    /// In every block of twice as many complex values as there are turns `w`: `(a, b)` becomes `(a + w b, a - w b)`.
    pub(crate) fn butterflies(self, turns: &Turns, re: &mut [f64], im: &mut [f64]) {
        (self.0.codec.butterflies)(turns, re, im);
    }

    /// In every block of twice as many complex values as there are turns `w`: `(a, b)` becomes `(a + b, (a - b) / w)`.
    pub(crate) fn inverse_butterflies(self, turns: &Turns, re: &mut [f64], im: &mut [f64]) {
        (self.0.codec.inverse_butterflies)(turns, re, im);
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

/// `TABLE`, for the token of a vector set.
#[cfg(target_arch = "x86_64")]
macro_rules! codec_table {
    ($features:literal, $token:ty) => {
        /// Only for machines on which the set is available.
        pub(in super::super) static TABLE: CodecTable = CodecTable {
            chacha_blocks,
            butterflies,
            inverse_butterflies,
        };

        entries! {
            $features, $token;
            chacha::chacha_blocks(stream: &mut ChaChaStream, out: &mut [u64]);
            codec::butterflies(turns: &Turns, re: &mut [f64], im: &mut [f64]);
            codec::inverse_butterflies(turns: &Turns, re: &mut [f64], im: &mut [f64]);
        }
    };
}

#[cfg(target_arch = "x86_64")]
pub(super) use codec_table;
