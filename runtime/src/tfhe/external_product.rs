//! One step of a blind rotation: an accumulator times an encrypted bit's choice between itself and itself rotated.
//!
//! `acc += (X^r · acc - acc) ⊡ key`: digits of the difference are transformed, multiplied with the key's transforms, and
//! what comes back is added.

use aligned_vec::{AVec, avec};
use heron_params::tfhe::Decomposition;
use pulp::bytemuck::{cast_slice, cast_slice_mut};
use pulp::f64x8;

use super::transform::{Kernel, Lanes, Transform};

/// `2^64`: torus elements are fractions of it.
const TURN: f64 = 18_446_744_073_709_551_616.0;
/// `2^52`: its sum with a smaller integer has that integer in the lowest bits.
const MANTISSA: f64 = 4_503_599_627_370_496.0;

/// What one thread needs.
pub(super) struct Scratch {
    /// `[rows, N]`.
    digits: AVec<f64>,
    /// `[columns, N]`.
    sums: AVec<f64>,
}

impl Scratch {
    /// For a key of `columns` polynomials a row.
    pub(super) fn new(degree: usize, columns: usize, levels: u32) -> Self {
        Self {
            digits: avec![0.0; columns * levels as usize * degree],
            sums: avec![0.0; columns * degree],
        }
    }
}

/// One step, as it runs on a machine.
pub(super) struct Step<'a> {
    pub(super) transform: &'a Transform,
    pub(super) decomposition: Decomposition,
    /// `[columns, N]`.
    pub(super) accumulator: &'a mut [u64],
    /// The monomial to multiply by, below `2N`.
    pub(super) rotation: usize,
    /// As [`TransformKey`] makes it.
    pub(super) key: &'a [f64x8],
    pub(super) scratch: &'a mut Scratch,
}

impl Kernel for Step<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let degree = 2 * self.transform.half();
        let columns = self.accumulator.len() / degree;
        let Scratch { digits, sums } = self.scratch;
        for (row, digits) in digits.chunks_exact_mut(degree).enumerate() {
            let polynomial = &self.accumulator[row % columns * degree..][..degree];
            let level = (row / columns) as u32;
            decompose(polynomial, self.rotation, self.decomposition, level, digits);
            self.transform.forward(digits, lanes);
        }
        match columns {
            2 => products::<L, 2>(lanes, digits, self.key, sums),
            3 => products::<L, 3>(lanes, digits, self.key, sums),
            4 => products::<L, 4>(lanes, digits, self.key, sums),
            _ => products_of_any(lanes, digits, self.key, sums, columns),
        }
        let polynomials = self.accumulator.chunks_exact_mut(degree);
        for (sum, polynomial) in sums.chunks_exact_mut(degree).zip(polynomials) {
            self.transform.backward(sum, lanes);
            add_turns(sum, polynomial);
        }
    }
}

/// Transforms one element of a bootstrap key, so that a step reads it in one stream.
pub(super) struct TransformKey<'a> {
    pub(super) transform: &'a Transform,
    /// `[rows, columns, N]`.
    pub(super) words: &'a [u64],
    pub(super) columns: usize,
    /// `[N/16, rows, columns]`, real and imaginary parts in turn.
    pub(super) key: &'a mut [f64x8],
}

impl Kernel for TransformKey<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let half = self.transform.half();
        // `backward` multiplies by N/2.
        let scale = 1.0 / (TURN * half as f64);
        let mut values = vec![0.0; 2 * half];
        let polynomials = self.words.len() / (2 * half);
        for (at, words) in self.words.chunks_exact(2 * half).enumerate() {
            for (value, &word) in values.iter_mut().zip(words) {
                *value = word as i64 as f64 * scale;
            }
            self.transform.forward(&mut values, lanes);
            let (re, im) = cast_slice::<f64, f64x8>(&values).split_at(half / 8);
            let points = self.key.chunks_exact_mut(2 * polynomials);
            for ((point, re), im) in points.zip(re).zip(im) {
                point[2 * at] = *re;
                point[2 * at + 1] = *im;
            }
        }
        debug_assert_eq!(polynomials % self.columns, 0, "whole rows");
    }
}

/// One balanced digit of every coefficient of `X^rotation · polynomial - polynomial`, 0 the least significant.
#[inline(always)]
fn decompose(polynomial: &[u64], rotation: usize, decomposition: Decomposition, level: u32, out: &mut [f64]) {
    let Decomposition { base_log, levels } = decomposition;
    let (n, cut) = (polynomial.len(), 64 - base_log * levels);
    // Half of every digit's base, and half of what is cut off: plain digits become balanced and rounded ones.
    let mut bias = (1u64 << cut) >> 1;
    for level in 0..levels {
        bias = bias.wrapping_add(1u64 << (cut + base_log * level + base_log - 1));
    }
    let (shift, mask) = (cut + base_log * level, (1u64 << base_log) - 1);
    let middle = MANTISSA + (1u64 << (base_log - 1)) as f64;
    // Coefficients that pass the end change their sign: -x = (x ^ ones) + 1.
    let (wrapped, straight) = if rotation >= n { (0, u64::MAX) } else { (u64::MAX, 0) };
    let rotation = rotation % n;
    let (low, high) = polynomial.split_at(n - rotation);
    let (out_low, out_high) = out.split_at_mut(rotation);
    let parts = [
        (out_low, high, &polynomial[..rotation], wrapped),
        (out_high, low, &polynomial[rotation..], straight),
    ];
    for (out, rotated, original, sign) in parts {
        let bias = bias.wrapping_sub(sign);
        for ((out, &x), &y) in out.iter_mut().zip(rotated).zip(original) {
            let digit = ((x ^ sign).wrapping_sub(y).wrapping_add(bias) >> shift) & mask;
            *out = f64::from_bits(digit | MANTISSA.to_bits()) - middle;
        }
    }
}

/// Adds fractions of a turn to torus elements, to `2^-52`.
#[inline(always)]
fn add_turns(values: &[f64], polynomial: &mut [u64]) {
    for (word, &turns) in polynomial.iter_mut().zip(values) {
        // From 1 to 2 the mantissa is the fraction; at 2 it is zero, which is the same fraction.
        let fraction = turns - turns.floor() + 1.0;
        *word = word.wrapping_add(fraction.to_bits() << 12);
    }
}

/// `sums[c] = Σ_row digits[row] · key[row, c]`, point by point.
#[inline(always)]
fn products<L: Lanes, const COLUMNS: usize>(l: L, digits: &[f64], key: &[f64x8], sums: &mut [f64]) {
    let (digits, sums) = (cast_slice::<f64, f64x8>(digits), cast_slice_mut::<f64, f64x8>(sums));
    let half = sums.len() / COLUMNS / 2;
    let rows = digits.len() / half / 2;
    for (at, key) in key.chunks_exact(2 * COLUMNS * rows).enumerate() {
        let mut sum = [f64x8(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0); 8];
        for (row, key) in key.chunks_exact(2 * COLUMNS).enumerate() {
            let (re, im) = (digits[2 * row * half + at], digits[(2 * row + 1) * half + at]);
            for c in 0..COLUMNS {
                let (key_re, key_im) = (key[2 * c], key[2 * c + 1]);
                sum[2 * c] = l.negate_mul_add(im, key_im, l.mul_add(re, key_re, sum[2 * c]));
                sum[2 * c + 1] = l.mul_add(im, key_re, l.mul_add(re, key_im, sum[2 * c + 1]));
            }
        }
        for c in 0..2 * COLUMNS {
            sums[c * half + at] = sum[c];
        }
    }
}

/// [`products`] for ranks that no plan of ours has.
#[inline(always)]
fn products_of_any<L: Lanes>(l: L, digits: &[f64], key: &[f64x8], sums: &mut [f64], columns: usize) {
    sums.fill(0.0);
    let (digits, sums) = (cast_slice::<f64, f64x8>(digits), cast_slice_mut::<f64, f64x8>(sums));
    let half = sums.len() / columns / 2;
    let rows = digits.len() / half / 2;
    for (at, key) in key.chunks_exact(2 * columns * rows).enumerate() {
        for (row, key) in key.chunks_exact(2 * columns).enumerate() {
            let (re, im) = (digits[2 * row * half + at], digits[(2 * row + 1) * half + at]);
            for c in 0..columns {
                let (key_re, key_im) = (key[2 * c], key[2 * c + 1]);
                let (to_re, to_im) = (2 * c * half + at, (2 * c + 1) * half + at);
                sums[to_re] = l.negate_mul_add(im, key_im, l.mul_add(re, key_re, sums[to_re]));
                sums[to_im] = l.mul_add(im, key_re, l.mul_add(re, key_im, sums[to_im]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tfhe::transform::Machine;

    /// Numbers that look like torus elements.
    fn words(n: usize, seed: u64) -> Vec<u64> {
        let word = |i: u64| (i + 1).wrapping_mul(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (0..n as u64).map(|i| word(i).rotate_left(23)).collect()
    }

    /// `X^rotation · a - a` by definition.
    fn rotated_difference(a: &[u64], rotation: usize) -> Vec<u64> {
        let n = a.len();
        let mut out: Vec<u64> = a.iter().map(|x| x.wrapping_neg()).collect();
        for (i, &x) in a.iter().enumerate() {
            let to = (i + rotation) % (2 * n);
            let (at, x) = if to < n { (to, x) } else { (to - n, x.wrapping_neg()) };
            out[at] = out[at].wrapping_add(x);
        }
        out
    }

    #[test]
    fn balanced_digits_recompose_to_the_rounded_word() {
        let n = 512;
        let a = words(n, 11);
        for (base_log, levels, rotation) in [(23, 1, 3), (15, 2, 700), (7, 3, 511), (4, 1, 1023), (16, 2, 512)] {
            let decomposition = Decomposition { base_log, levels };
            let mut sum = vec![0i64; n];
            for level in 0..levels {
                let mut out = vec![0.0; n];
                decompose(&a, rotation, decomposition, level, &mut out);
                for (sum, digit) in sum.iter_mut().zip(&out) {
                    assert!(digit.abs() <= f64::from(1u32 << (base_log - 1)));
                    *sum += (*digit as i64) << (base_log * level);
                }
            }
            let cut = 64 - base_log * levels;
            for (sum, exact) in sum.iter().zip(rotated_difference(&a, rotation)) {
                let error = ((*sum as u64) << cut).wrapping_sub(exact) as i64;
                assert!(error.unsigned_abs() <= 1 << (cut - 1), "{base_log} x {levels}: {error}");
            }
        }
    }

    #[test]
    fn turns_are_added_as_fractions() {
        let mut words = [5u64, 5, 5, 5];
        add_turns(&[0.25, -0.25, 3.5, -1e-30], &mut words);
        assert_eq!(words, [(1 << 62) + 5, (3 << 62) + 5, (1 << 63) + 5, 5]);
    }

    /// A step with a key of polynomials, by definition: digits times words modulo `X^N + 1` and `2^64`.
    fn step_by_definition(accumulator: &[u64], rotation: usize, digits: Decomposition, key: &[u64]) -> Vec<u64> {
        let degree = 512;
        let columns = accumulator.len() / degree;
        let mut out = accumulator.to_vec();
        for row in 0..columns * digits.levels as usize {
            let mut digit = vec![0.0; degree];
            let polynomial = &accumulator[row % columns * degree..][..degree];
            decompose(polynomial, rotation, digits, (row / columns) as u32, &mut digit);
            for column in 0..columns {
                let key = &key[(row * columns + column) * degree..][..degree];
                for (i, digit) in digit.iter().enumerate() {
                    for (j, word) in key.iter().enumerate() {
                        let product = word.wrapping_mul(*digit as i64 as u64);
                        let to = &mut out[column * degree + (i + j) % degree];
                        *to = to.wrapping_add(if i + j < degree {
                            product
                        } else {
                            product.wrapping_neg()
                        });
                    }
                }
            }
        }
        out
    }

    #[test]
    fn a_step_is_a_product_of_digits_and_key_for_every_rank_and_machine() {
        let (degree, rotation) = (512, 777);
        let transform = Transform::new(degree);
        for (columns, base_log, levels) in [(2, 8, 1), (3, 6, 2), (4, 5, 2), (5, 4, 1)] {
            let digits = Decomposition { base_log, levels };
            let rows = columns * levels as usize;
            let (accumulator, words) = (words(columns * degree, 5), words(rows * columns * degree, 9));
            let exact = step_by_definition(&accumulator, rotation, digits, &words);
            for machine in Machine::all() {
                let mut key = vec![pulp::cast([0.0f64; 8]); words.len() / 8];
                machine.run(TransformKey {
                    transform: &transform,
                    words: &words,
                    columns,
                    key: &mut key,
                });
                let mut found = accumulator.clone();
                machine.run(Step {
                    transform: &transform,
                    decomposition: digits,
                    accumulator: &mut found,
                    rotation,
                    key: &key,
                    scratch: &mut Scratch::new(degree, columns, levels),
                });
                // Sums of rows · 512 products of at most 7 + 63 bits, of which 53 are kept, and 12 bits cut at the end.
                let bound = 1u64 << (7 + 63 + 12 - 53 + 4);
                for (found, exact) in found.iter().zip(&exact) {
                    let error = found.wrapping_sub(*exact) as i64;
                    assert!(error.unsigned_abs() < bound, "{machine:?}, {columns} columns: {error}");
                }
            }
        }
    }
}
