//! Look-ups: a table is rotated by an encrypted index, and its first coefficient taken.
//!
//! # Source
//! I. Chillotti, N. Gama, M. Georgieva, M. Izabachène, *TFHE: Fast Fully Homomorphic Encryption over the Torus*, ePrint
//! 2018/421, sections 4 and 6. We differ in that one pass over the key serves several ciphertexts, and in the odd moduli of
//! [`modular_table`]; the rounding corrects the mask's mean error as in ePrint 2023/979.

use aligned_vec::{AVec, avec};
use heron_params::tfhe::TfheParams;
use pulp::f64x8;

use super::external_product::{Scratch, Step, TransformKey};
use super::transform::{Machine, Transform};

/// The bootstrap key in transformed form.
pub(super) struct BootstrapKey {
    params: TfheParams,
    transform: Transform,
    machine: Machine,
    /// By element of the small key, as [`TransformKey`] makes it; the least significant level first.
    words: AVec<f64x8>,
}

/// A table on half the circle: `N` torus elements.
pub(super) type Table = Vec<u64>;

/// An index, rounded to positions of the circle's `2N`.
struct Positions {
    mask: Vec<usize>,
    body: usize,
}

impl BootstrapKey {
    /// A key from torus elements in the order in which the crate expands it.
    ///
    /// # Shapes
    /// `words`: `[small dimension, levels, k + 1, k + 1, N]`.
    pub(super) fn new(params: &TfheParams, words: &[u64]) -> Self {
        let (transform, machine) = (Transform::new(params.degree()), Machine::detect());
        let columns = params.ring_rank as usize + 1;
        let element_len = params.bootstrap.levels as usize * columns * columns * params.degree();
        let mut transformed = avec![pulp::cast([0.0f64; 8]); words.len() / 8];
        let elements = words.chunks_exact(element_len);
        for (words, key) in elements.zip(transformed.chunks_exact_mut(element_len / 8)) {
            machine.run(TransformKey {
                transform: &transform,
                words,
                columns,
                key,
            });
        }
        Self {
            params: *params,
            transform,
            machine,
            words: transformed,
        }
    }

    /// Looks up each ciphertext under the small key in its table; results are under the ring key.
    ///
    /// # Cost
    /// One pass over the key for all of them: worth it while their accumulators fit the cache.
    pub(super) fn look_up(&self, indices: &[Vec<u32>], tables: &[&Table]) -> Vec<Vec<u64>> {
        let positions: Vec<Positions> = indices
            .iter()
            .map(|index| Positions::of(index, self.params.log_degree))
            .collect();
        let mut accumulators: Vec<AVec<u64>> = positions
            .iter()
            .zip(tables)
            .map(|(positions, table)| self.first_accumulator(table, positions.body))
            .collect();
        self.rotate(&mut accumulators, &positions);
        accumulators
            .iter()
            .map(|accumulator| self.extract(accumulator))
            .collect()
    }

    /// The table, rotated by the body, as a ciphertext without noise.
    fn first_accumulator(&self, table: &Table, body: usize) -> AVec<u64> {
        let (n, k) = (self.params.degree(), self.params.ring_rank as usize);
        let mut accumulator = avec![0u64; (k + 1) * n];
        for (i, out) in accumulator[k * n..].iter_mut().enumerate() {
            let from = i + body;
            let value = table[from % n];
            *out = if (from / n).is_multiple_of(2) {
                value
            } else {
                value.wrapping_neg()
            };
        }
        accumulator
    }

    fn rotate(&self, accumulators: &mut [AVec<u64>], positions: &[Positions]) {
        let (columns, levels) = (self.params.ring_rank as usize + 1, self.params.bootstrap.levels);
        let mut scratch = Scratch::new(self.params.degree(), columns, levels);
        let element_len = levels as usize * columns * columns * self.params.degree() / 8;
        for (element, key) in self.words.chunks_exact(element_len).enumerate() {
            for (accumulator, positions) in accumulators.iter_mut().zip(positions) {
                let rotation = positions.mask[element];
                if rotation != 0 {
                    self.machine.run(Step {
                        transform: &self.transform,
                        decomposition: self.params.bootstrap,
                        accumulator,
                        rotation,
                        key,
                        scratch: &mut scratch,
                    });
                }
            }
        }
    }

    /// The first coefficient as a ciphertext under the flattened ring key.
    fn extract(&self, accumulator: &[u64]) -> Vec<u64> {
        let (n, k) = (self.params.degree(), self.params.ring_rank as usize);
        let mut out = Vec::with_capacity(k * n + 1);
        for polynomial in accumulator[..k * n].chunks_exact(n) {
            out.push(polynomial[0]);
            out.extend(polynomial[1..].iter().rev().map(|word| word.wrapping_neg()));
        }
        out.push(accumulator[k * n]);
        out
    }
}

impl Positions {
    /// Rounds a ciphertext modulo `2^32`; half of the mask's rounding errors, their mean over a binary secret, goes into
    /// the body.
    fn of(index: &[u32], log_degree: u32) -> Self {
        let shift = 31 - log_degree;
        let circle = 2usize << log_degree;
        let (&body, mask) = index.split_last().expect("a ciphertext has a body");
        let round = |word: i64| ((word + (1 << (shift - 1))) >> shift) as usize;
        let mut error = 0i64;
        let mask = mask.iter().map(|&word| {
            let position = round(i64::from(word));
            error += i64::from(word) - ((position as i64) << shift);
            position % circle
        });
        let mask: Vec<usize> = mask.collect();
        // phase = b - Σ a s = b - Σ round(a) s - Σ e s, and the mean of Σ e s is Σ e / 2.
        let corrected = (i64::from(body) - error / 2).rem_euclid(1 << 32);
        Self {
            mask,
            body: round(corrected) % circle,
        }
    }
}

/// A table of entries for the indices `0..entries.len()` on half the circle: each is the middle of its share of positions.
pub(super) fn half_table(entries: &[u64], degree: usize) -> Table {
    let n_entries = entries.len();
    let entry = |position: usize| {
        let index = ((2 * position + 1) * n_entries + degree) / (2 * degree);
        // Beyond the last entry the circle's other half begins, which is the first half negated.
        entries.get(index).copied().unwrap_or_else(|| entries[0].wrapping_neg())
    };
    (0..degree).map(entry).collect()
}

/// A table of `function` for residues modulo an odd number of `modulus` residues on the whole circle.
///
/// Residue `v` is at `v / modulus` of a turn; the antipode of each falls between two others, so the circle's other half
/// is no constraint: position `j` of the `modulus` on the half circle is residue `j/2`, or minus that of `(j + modulus)/2`.
pub(super) fn modular_table(modulus: u64, degree: usize, function: impl Fn(u64) -> u64) -> Table {
    let entry = |j: u64| {
        if j.is_multiple_of(2) {
            function(j / 2)
        } else {
            function((j + modulus) / 2).wrapping_neg()
        }
    };
    let entries: Vec<u64> = (0..modulus).map(entry).collect();
    half_table(&entries, degree)
}
