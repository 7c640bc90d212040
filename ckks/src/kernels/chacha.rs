//! The ChaCha20 block function, many blocks at a time: what uniform polynomials are expanded with.
//!
//! Blocks are numbered by a 64-bit counter, streams by a 64-bit nonce, as in the cipher's first definition. A vector holds one
//! word of the state of as many consecutive blocks as it has lanes.
//!
//! # Source
//! D. J. Bernstein, *ChaCha, a variant of Salsa20*, 2008.

/// `expand 32-byte k`.
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
const DOUBLE_ROUNDS: u32 = 10;
/// 64-bit words of one block.
pub(super) const BLOCK_WORDS: usize = 8;
/// The most lanes that a vector has.
const MAX_LANES: usize = 16;

/// The 64-bit words that any kernel set produces at a time: a common multiple of what each produces.
pub const CHUNK_WORDS: usize = BLOCK_WORDS * MAX_LANES;

/// A stream of a key, and how far it has been read.
#[derive(Clone)]
pub struct ChaChaStream {
    pub(super) key: [u32; 8],
    pub(super) stream: u64,
    pub(super) block: u64,
}

impl ChaChaStream {
    /// The beginning of a stream.
    pub fn new(key: &[u8; 32], stream: u64) -> Self {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(key.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Self {
            key: words,
            stream,
            block: 0,
        }
    }

    /// The state of block 0.
    fn state(&self) -> [u32; 16] {
        let mut state = [0; 16];
        state[..4].copy_from_slice(&CONSTANTS);
        state[4..12].copy_from_slice(&self.key);
        (state[14], state[15]) = (self.stream as u32, (self.stream >> 32) as u32);
        state
    }
}

/// Vectors of 32-bit words, one for each block.
pub(super) trait Lanes: Copy {
    /// A vector.
    type V: Copy;
    /// How many words it has.
    const LANES: usize;
    fn splat(self, word: u32) -> Self::V;
    fn load(self, words: &[u32; MAX_LANES]) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `(a ^ b)` rotated left by `BITS`; `REST` is `32 - BITS`.
    fn xor_rotate<const BITS: i32, const REST: i32>(self, a: Self::V, b: Self::V) -> Self::V;
    fn store(self, v: Self::V, words: &mut [u32; MAX_LANES]);

    /// Writes the blocks, one after the other, whose words the lanes of `rows` hold.
    #[inline(always)]
    fn store_blocks(self, rows: &[Self::V; 16], out: &mut [u64]) {
        let mut words = [[0; MAX_LANES]; 16];
        for (words, &row) in words.iter_mut().zip(rows) {
            self.store(row, words);
        }
        for (lane, block) in out.chunks_exact_mut(BLOCK_WORDS).enumerate() {
            for (pair, word) in block.iter_mut().enumerate() {
                *word = u64::from(words[2 * pair][lane]) | u64::from(words[2 * pair + 1][lane]) << 32;
            }
        }
    }
}

/// Fills `out`, a multiple of [`CHUNK_WORDS`], with the next words of the stream.
#[inline(always)]
pub(super) fn chacha_blocks<L: Lanes>(lanes: L, stream: &mut ChaChaStream, out: &mut [u64]) {
    let state = stream.state();
    for out in out.chunks_exact_mut(BLOCK_WORDS * L::LANES) {
        let mut counters = [[0; MAX_LANES]; 2];
        let [low, high] = &mut counters;
        for (lane, (low, high)) in low.iter_mut().zip(high).enumerate() {
            let block = stream.block.wrapping_add(lane as u64);
            (*low, *high) = (block as u32, (block >> 32) as u32);
        }
        stream.block = stream.block.wrapping_add(L::LANES as u64);
        let mut start = [lanes.splat(0); 16];
        for (row, &word) in start.iter_mut().zip(&state) {
            *row = lanes.splat(word);
        }
        start[12] = lanes.load(&counters[0]);
        start[13] = lanes.load(&counters[1]);
        let mut rows = start;
        for _ in 0..DOUBLE_ROUNDS {
            double_round(lanes, &mut rows);
        }
        for (row, &start) in rows.iter_mut().zip(&start) {
            *row = lanes.add(*row, start);
        }
        lanes.store_blocks(&rows, out);
    }
}

#[inline(always)]
fn double_round<L: Lanes>(lanes: L, rows: &mut [L::V; 16]) {
    quarter_round(lanes, rows, [0, 4, 8, 12]);
    quarter_round(lanes, rows, [1, 5, 9, 13]);
    quarter_round(lanes, rows, [2, 6, 10, 14]);
    quarter_round(lanes, rows, [3, 7, 11, 15]);
    quarter_round(lanes, rows, [0, 5, 10, 15]);
    quarter_round(lanes, rows, [1, 6, 11, 12]);
    quarter_round(lanes, rows, [2, 7, 8, 13]);
    quarter_round(lanes, rows, [3, 4, 9, 14]);
}

#[inline(always)]
fn quarter_round<L: Lanes>(lanes: L, rows: &mut [L::V; 16], [a, b, c, d]: [usize; 4]) {
    rows[a] = lanes.add(rows[a], rows[b]);
    rows[d] = lanes.xor_rotate::<16, 16>(rows[d], rows[a]);
    rows[c] = lanes.add(rows[c], rows[d]);
    rows[b] = lanes.xor_rotate::<12, 20>(rows[b], rows[c]);
    rows[a] = lanes.add(rows[a], rows[b]);
    rows[d] = lanes.xor_rotate::<8, 24>(rows[d], rows[a]);
    rows[c] = lanes.add(rows[c], rows[d]);
    rows[b] = lanes.xor_rotate::<7, 25>(rows[b], rows[c]);
}
