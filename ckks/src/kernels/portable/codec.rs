//! Four lanes of 32-bit words in plain arithmetic, and the client's kernels on them.

use super::super::chacha::{self, Lanes};
use super::super::codec::{self, CodecTable};

/// What every processor has.
#[derive(Clone, Copy)]
struct Plain;

impl Lanes for Plain {
    type V = [u32; 4];

    const LANES: usize = 4;

    fn splat(self, word: u32) -> [u32; 4] {
        [word; 4]
    }

    fn load(self, words: &[u32; 16]) -> [u32; 4] {
        [words[0], words[1], words[2], words[3]]
    }

    fn add(self, a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        std::array::from_fn(|i| a[i].wrapping_add(b[i]))
    }

    fn xor_rotate<const BITS: i32, const REST: i32>(self, a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        std::array::from_fn(|i| (a[i] ^ b[i]).rotate_left(BITS as u32))
    }

    fn store(self, v: [u32; 4], words: &mut [u32; 16]) {
        words[..4].copy_from_slice(&v);
    }
}

pub(in super::super) static TABLE: CodecTable = CodecTable {
    chacha_blocks: |stream, out| chacha::chacha_blocks(Plain, stream, out),
    count_above: |thresholds, words| codec::count_above(Plain, thresholds, words),
    upper_products: |words, factor, upper, least| codec::upper_products(Plain, words, factor, upper, least),
    reduce_small: |q, input, out| codec::reduce_small(Plain, q, input, out),
    butterflies: |turns, re, im| codec::butterflies(Plain, turns, re, im),
    inverse_butterflies: |turns, re, im| codec::inverse_butterflies(Plain, turns, re, im),
};
