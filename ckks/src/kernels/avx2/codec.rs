//! Eight lanes of 32-bit words, and the client's kernels on them.

use std::arch::x86_64::*;

use super::super::chacha::{self, ChaChaStream, Lanes};
use super::super::codec::{self, CodecTable, Turns, codec_table};
use super::super::dispatch::entries;
use super::vector::Avx2;

impl Lanes for Avx2 {
    type V = __m256i;

    const LANES: usize = 8;

    #[inline(always)]
    fn splat(self, word: u32) -> __m256i {
        // SAFETY: `self` exists, so the processor has the features.
        unsafe { _mm256_set1_epi32(word as i32) }
    }

    #[inline(always)]
    fn load(self, words: &[u32; 16]) -> __m256i {
        // SAFETY: `self` exists, so the processor has the features; the reference has the words that are read.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    }

    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` exists, so the processor has the features.
        unsafe { _mm256_add_epi32(a, b) }
    }

    #[inline(always)]
    fn xor_rotate<const BITS: i32, const REST: i32>(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: `self` exists, so the processor has the features.
        unsafe {
            let mixed = _mm256_xor_si256(a, b);
            _mm256_or_si256(_mm256_slli_epi32::<BITS>(mixed), _mm256_srli_epi32::<REST>(mixed))
        }
    }

    #[inline(always)]
    fn store(self, v: __m256i, words: &mut [u32; 16]) {
        // SAFETY: `self` exists, so the processor has the features; the reference has the words that are written.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), v) }
    }
}

codec_table!("avx2,fma", Avx2, codec);
