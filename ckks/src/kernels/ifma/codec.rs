//! Sixteen lanes of 32-bit words, and the client's kernels on them.

use std::arch::x86_64::*;

use super::super::chacha::{self, ChaChaStream, Lanes};
use super::super::codec::{self, CodecTable, Turns, codec_table};
use super::super::dispatch::entries;
use super::vector::Ifma;

impl Lanes for Ifma {
    type V = __m512i;

    const LANES: usize = 16;

    #[inline(always)]
    fn splat(self, word: u32) -> __m512i {
        // SAFETY: `self` exists, so the processor has the features.
        unsafe { _mm512_set1_epi32(word as i32) }
    }

    #[inline(always)]
    fn load(self, words: &[u32; 16]) -> __m512i {
        // SAFETY: `self` exists, so the processor has the features; the reference has the words that are read.
        unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` exists, so the processor has the features.
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    fn xor_rotate<const BITS: i32, const REST: i32>(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` exists, so the processor has the features.
        unsafe { _mm512_rol_epi32::<BITS>(_mm512_xor_si512(a, b)) }
    }

    #[inline(always)]
    fn store(self, v: __m512i, words: &mut [u32; 16]) {
        // SAFETY: `self` exists, so the processor has the features; the reference has the words that are written.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), v) }
    }
}

codec_table!("avx512f,avx512dq,avx512ifma", Ifma);
