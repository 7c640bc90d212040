//! Sixteen lanes of 32-bit words, and the client's kernels on them.

use std::arch::x86_64::*;

use super::super::chacha::{self, BLOCK_WORDS, ChaChaStream, Lanes};
use super::super::codec::{self, CodecTable, Turns, codec_table};
use super::super::dispatch::entries;
use super::pointwise;
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

    #[inline(always)]
    fn store_blocks(self, rows: &[__m512i; 16], out: &mut [u64]) {
        // Pairs of rows interleave to 64-bit words; what is lower or upper in a quarter of a row makes one half of them.
        let mut halves = [[self.zero(); 8]; 2];
        for pair in 0..8 {
            let (low, high) = (rows[2 * pair], rows[2 * pair + 1]);
            halves[0][pair] = self.interleave_lower(low, high);
            halves[1][pair] = self.interleave_upper(low, high);
        }
        let blocks = out.as_chunks_mut::<BLOCK_WORDS>().0;
        for (half, words) in halves.into_iter().enumerate() {
            for (t, block) in self.transpose(words).into_iter().enumerate() {
                Self::store(self, &mut blocks[4 * (t / 2) + 2 * half + t % 2], block);
            }
        }
    }
}

codec_table!("avx512f,avx512dq,avx512ifma", Ifma, pointwise);
