//! The negacyclic transform of polynomials, on the complex transform of `tfhe-fft`.
//!
//! A real polynomial `a` of degree below `N` becomes the `N/2` complex numbers `(a_j + i·a_{j+N/2})·ω^j` with
//! `ω = exp(iπ/N)`, and those are transformed. Products of transforms are products modulo `X^N + 1`. The order of the
//! result is the plan's own; a plan is determined by `N` alone, so that every run uses the same.

use aligned_vec::{AVec, avec};
use dyn_stack::{PodBuffer, PodStack};
use pulp::{Arch, Simd, WithSimd};
use tfhe_fft::c64;
use tfhe_fft::ordered::FftAlgo;
use tfhe_fft::unordered::{Method, Plan};

/// `2^64`: torus elements are fractions of it.
const TURN: f64 = 18_446_744_073_709_551_616.0;
/// The largest transform that is done in one piece.
const LARGEST_BASE: usize = 512;

/// The transform of one ring degree.
pub(super) struct Transform {
    plan: Plan,
    arch: Arch,
    /// `ω^j` for `j` in `0..N/2`.
    twist: AVec<c64>,
    /// `ω^-j · 2/N`.
    untwist: AVec<c64>,
}

/// What one thread needs to transform.
pub(super) struct Scratch {
    memory: PodBuffer,
    digits: AVec<f64>,
}

/// Which digits of `rotated - original` to take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digits {
    /// The monomial to multiply by, below `2N`.
    pub(super) rotation: usize,
    /// Bits of a digit.
    pub(super) base_log: u32,
    /// Digits in all.
    pub(super) levels: u32,
    /// Which one, 0 the least significant.
    pub(super) level: u32,
}

impl Transform {
    /// The transform for polynomials of `degree` coefficients, a power of two of at least 512.
    pub(super) fn new(degree: usize) -> Self {
        let half = degree / 2;
        let angle = |j: usize| std::f64::consts::PI * j as f64 / degree as f64;
        let (mut twist, mut untwist) = (avec![c64::default(); half], avec![c64::default(); half]);
        for j in 0..half {
            let (sin, cos) = angle(j).sin_cos();
            twist[j] = c64::new(cos, sin);
            untwist[j] = c64::new(cos / half as f64, -sin / half as f64);
        }
        let method = Method::UserProvided {
            base_algo: FftAlgo::Dif8,
            base_n: half.min(LARGEST_BASE),
        };
        Self {
            plan: Plan::new(half, method),
            arch: Arch::new(),
            twist,
            untwist,
        }
    }

    /// Complex numbers of a transform.
    pub(super) fn half(&self) -> usize {
        self.twist.len()
    }

    /// Memory for one thread.
    pub(super) fn scratch(&self) -> Scratch {
        Scratch {
            memory: PodBuffer::new(self.plan.fft_scratch()),
            digits: avec![0.0; 2 * self.half()],
        }
    }

    /// Transforms a polynomial of torus elements, in turns from -1/2 to 1/2.
    pub(super) fn forward_torus(&self, polynomial: &[u64], out: &mut [c64], scratch: &mut Scratch) {
        for (digit, &word) in scratch.digits.iter_mut().zip(polynomial) {
            *digit = word as i64 as f64 / TURN;
        }
        self.forward(out, scratch);
    }

    /// Transforms one digit of `X^rotation · polynomial - polynomial`.
    pub(super) fn forward_digit(&self, polynomial: &[u64], digits: Digits, out: &mut [c64], scratch: &mut Scratch) {
        self.arch.dispatch(Decompose {
            polynomial,
            digits,
            out: &mut scratch.digits,
        });
        self.forward(out, scratch);
    }

    fn forward(&self, out: &mut [c64], scratch: &mut Scratch) {
        self.arch.dispatch(Twist {
            digits: &scratch.digits,
            twist: &self.twist,
            out,
        });
        self.plan.fwd(out, PodStack::new(&mut scratch.memory));
    }

    /// Adds what a transform stands for to a polynomial of torus elements. Overwrites the transform.
    pub(super) fn add_backward(&self, transform: &mut [c64], polynomial: &mut [u64], scratch: &mut Scratch) {
        self.plan.inv(transform, PodStack::new(&mut scratch.memory));
        self.arch.dispatch(Untwist {
            transform,
            untwist: &self.untwist,
            polynomial,
        });
    }

    /// `sums[c] += row[c] · factor` for every column `c`, or `sums[c] = …` for the first row of a sum.
    pub(super) fn multiply_add(&self, sums: &mut [c64], row: &[c64], factor: &[c64], first: bool) {
        self.arch.dispatch(MultiplyAdd {
            sums,
            row,
            factor,
            first,
        });
    }
}

/// The balanced digits of a rotated difference, as numbers.
struct Decompose<'a> {
    polynomial: &'a [u64],
    digits: Digits,
    out: &'a mut [f64],
}

impl WithSimd for Decompose<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Self {
            polynomial,
            digits,
            out,
        } = self;
        let (n, base_log) = (polynomial.len(), digits.base_log);
        let cut = 64 - base_log * digits.levels;
        // Half of every digit's base, and half of what is cut off: plain digits become balanced and rounded ones.
        let mut bias = (1u64 << cut) >> 1;
        for level in 0..digits.levels {
            bias = bias.wrapping_add(1u64 << (cut + base_log * level + base_log - 1));
        }
        let shift = cut + base_log * digits.level;
        let (mask, half_base) = ((1u64 << base_log) - 1, 1i32 << (base_log - 1));
        let rotation = digits.rotation % n;
        // -x = (x ^ ones) + 1: coefficients that pass the end change their sign.
        let (wrapped, straight) = if digits.rotation >= n {
            (0, u64::MAX)
        } else {
            (u64::MAX, 0)
        };
        let (low, high) = polynomial.split_at(n - rotation);
        let (out_low, out_high) = out.split_at_mut(rotation);
        let digit = |rotated: u64, sign: u64, original: u64| {
            let difference = (rotated ^ sign)
                .wrapping_sub(sign)
                .wrapping_sub(original)
                .wrapping_add(bias);
            f64::from(((difference >> shift) & mask) as i32 - half_base)
        };
        for ((out, &x), &y) in out_low.iter_mut().zip(high).zip(&polynomial[..rotation]) {
            *out = digit(x, wrapped, y);
        }
        for ((out, &x), &y) in out_high.iter_mut().zip(low).zip(&polynomial[rotation..]) {
            *out = digit(x, straight, y);
        }
    }
}

/// Folds a real polynomial to complex numbers and twists them.
struct Twist<'a> {
    digits: &'a [f64],
    twist: &'a [c64],
    out: &'a mut [c64],
}

impl WithSimd for Twist<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let (low, high) = self.digits.split_at(self.twist.len());
        for (((out, w), &re), &im) in self.out.iter_mut().zip(self.twist).zip(low).zip(high) {
            *out = c64::new(re * w.re - im * w.im, re * w.im + im * w.re);
        }
    }
}

/// Untwists, unfolds, and adds fractions of a turn to torus elements.
struct Untwist<'a> {
    transform: &'a [c64],
    untwist: &'a [c64],
    polynomial: &'a mut [u64],
}

impl WithSimd for Untwist<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let word = |turns: f64| ((turns - turns.round_ties_even()) * TURN) as i64 as u64;
        let (low, high) = self.polynomial.split_at_mut(self.untwist.len());
        for (((z, w), low), high) in self.transform.iter().zip(self.untwist).zip(low).zip(high) {
            *low = low.wrapping_add(word(z.re * w.re - z.im * w.im));
            *high = high.wrapping_add(word(z.re * w.im + z.im * w.re));
        }
    }
}

struct MultiplyAdd<'a> {
    sums: &'a mut [c64],
    row: &'a [c64],
    factor: &'a [c64],
    first: bool,
}

impl WithSimd for MultiplyAdd<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let half = self.factor.len();
        let (factor, rest) = S::as_simd_c64s(self.factor);
        debug_assert!(rest.is_empty(), "transforms are whole vectors");
        for (sum, row) in self.sums.chunks_exact_mut(half).zip(self.row.chunks_exact(half)) {
            let (sum, row) = (S::as_mut_simd_c64s(sum).0, S::as_simd_c64s(row).0);
            if self.first {
                for ((sum, &row), &factor) in sum.iter_mut().zip(row).zip(factor) {
                    *sum = simd.mul_c64s(row, factor);
                }
            } else {
                for ((sum, &row), &factor) in sum.iter_mut().zip(row).zip(factor) {
                    *sum = simd.mul_add_c64s(row, factor, *sum);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look like torus elements.
    fn words(n: usize, seed: u64) -> Vec<u64> {
        (0..n as u64)
            .map(|i| {
                (i + 1)
                    .wrapping_mul(seed)
                    .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                    .rotate_left(23)
            })
            .collect()
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
    fn products_are_negacyclic_within_the_precision_of_f64() {
        for degree in [512, 1024, 2048, 4096] {
            let transform = Transform::new(degree);
            let mut scratch = transform.scratch();
            let torus = words(degree, 3);
            // The small factor: one digit of a rotated difference.
            let digits = Digits {
                rotation: degree + 5,
                base_log: 4,
                levels: 1,
                level: 0,
            };
            let other = words(degree, 7);
            let half = transform.half();
            let (mut a, mut b) = (avec![c64::default(); half], avec![c64::default(); half]);
            let mut product = avec![c64::default(); half];
            transform.forward_torus(&torus, &mut a, &mut scratch);
            transform.forward_digit(&other, digits, &mut b, &mut scratch);
            transform.multiply_add(&mut product, &a, &b, true);
            let mut sum = vec![0; degree];
            transform.add_backward(&mut product, &mut sum, &mut scratch);

            let small: Vec<i64> = rotated_difference(&other, digits.rotation)
                .iter()
                .map(|d| (d.wrapping_add((1 << 59) + (1 << 63)) >> 60) as i64 - 8)
                .collect();
            for at in [0, 1, degree / 2, degree - 1] {
                let mut exact = 0u64;
                for (i, &d) in small.iter().enumerate() {
                    let (x, sign) = if i <= at {
                        (torus[at - i], 1)
                    } else {
                        (torus[degree + at - i], -1)
                    };
                    exact = exact.wrapping_add(x.wrapping_mul((sign * d) as u64));
                }
                // Sums of `degree` products of 3 + 63 bits with 53 bits of mantissa.
                let error = sum[at].wrapping_sub(exact) as i64;
                assert!(
                    error.unsigned_abs() < 1 << 28,
                    "degree {degree}, coefficient {at}: {error}"
                );
            }
        }
    }

    #[test]
    fn balanced_digits_recompose_to_the_rounded_word() {
        let n = 512;
        let transform = Transform::new(n);
        let a = words(n, 11);
        for (base_log, levels, rotation) in [(23, 1, 3), (15, 2, 700), (7, 3, 511), (4, 1, 1023), (16, 2, 512)] {
            let mut sum = vec![0i64; n];
            for level in 0..levels {
                let digits = Digits {
                    rotation,
                    base_log,
                    levels,
                    level,
                };
                let mut out = vec![0.0; n];
                transform.arch.dispatch(Decompose {
                    polynomial: &a,
                    digits,
                    out: &mut out,
                });
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
}
