//! One prime of the modulus chain with its tables, and the operations on limbs modulo it.

use super::modular::{Modulus, Scalar, bit_reverse, inverse_mod, mul_mod, pow_mod};
use super::order::Shape;
use super::{Kernels, portable};
#[cfg(target_arch = "x86_64")]
use super::{avx2, ifma};
use crate::memory::with_scratch;

/// Primes have at most this many bits: four multiples then fit the 52-bit multiplier, and products are exact in two f64.
pub const MAX_PRIME_BITS: u32 = 50;

/// The ring degrees that the kernels support.
const LOG_N_RANGE: std::ops::RangeInclusive<u32> = 4..=17;

/// A modulus that the kernels do not support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrimeError {
    /// The ring degree is out of range.
    #[error("the ring degree 2^{log_n} is not between 2^4 and 2^17")]
    Degree {
        /// log2 of the degree asked for.
        log_n: u32,
    },
    /// The modulus is not a prime below 2^50 that is congruent to 1 modulo twice the degree.
    #[error("{q} is not a prime below 2^50 congruent to 1 modulo 2^{}", log_n + 1)]
    Modulus {
        /// The modulus asked for.
        q: u64,
        /// log2 of the ring degree.
        log_n: u32,
    },
}

/// The powers of the root of unity, from which each kernel set builds its tables.
pub(super) struct RootPowers<'a> {
    pub(super) q: u64,
    pub(super) log_n: u32,
    /// `powers[e] = psi^e` for `e < 2N`.
    powers: &'a [u64],
}

/// Direction of a transform, for its tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Inverse,
}

impl RootPowers<'_> {
    /// `psi^exponent` forward, `psi^-exponent` inverse.
    pub(super) fn power(&self, direction: Direction, exponent: usize) -> u64 {
        let order = self.powers.len();
        match direction {
            Direction::Forward => self.powers[exponent % order],
            Direction::Inverse => self.powers[(order - exponent % order) % order],
        }
    }

    /// The twiddle factor of block `index % m` in the layer of `m` blocks, with `m` the power of two such that
    /// `m <= index < 2m`: the power with the bits of `index` reversed.
    pub(super) fn twiddle(&self, direction: Direction, index: usize) -> u64 {
        self.power(direction, bit_reverse(index, self.log_n))
    }
}

/// The tables of one kernel set. Rings too small for a vector set's blocking have the portable ones.
pub(super) enum Twiddles {
    Portable(portable::Twiddles),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Twiddles),
    #[cfg(target_arch = "x86_64")]
    Ifma(Box<ifma::Twiddles>),
}

/// One prime `q < 2^50` of a modulus chain for one ring degree, with the tables of one kernel set.
///
/// The methods work on limbs of `N` canonical residues. They compute the same residues for every kernel set.
///
/// # Panics
/// Every method that takes limbs panics when one has not `N` words.
pub struct NttPrime {
    pub(super) kernels: Kernels,
    pub(super) log_n: u32,
    pub(super) modulus: Modulus,
    pub(super) shape: Shape,
    pub(super) twiddles: Twiddles,
    psi: u64,
    /// `1 / N mod q`.
    n_inverse: u64,
}

impl NttPrime {
    /// The tables of `q` for rings of degree `2^log_n`.
    ///
    /// # Cost
    /// About `4N` modular products.
    ///
    /// # Errors
    /// [`PrimeError`] when `log_n` is not in `4..=17`, or `q` is not a prime below 2^50 congruent to 1 modulo `2N`.
    pub fn new(kernels: Kernels, log_n: u32, q: u64) -> Result<Self, PrimeError> {
        if !LOG_N_RANGE.contains(&log_n) {
            return Err(PrimeError::Degree { log_n });
        }
        if q >> MAX_PRIME_BITS != 0 || q % (2 << log_n) != 1 || !heron_params::is_prime(q) {
            return Err(PrimeError::Modulus { q, log_n });
        }
        let psi = primitive_root(log_n, q);
        let psi_scalar = Scalar::new(psi, q);
        let mut powers = vec![1; 2 << log_n];
        for exponent in 1..powers.len() {
            powers[exponent] = psi_scalar.mul(powers[exponent - 1], q);
        }
        let twiddles = (kernels.0.twiddles)(&RootPowers {
            q,
            log_n,
            powers: &powers,
        });
        Ok(Self {
            kernels,
            log_n,
            modulus: Modulus::new(q),
            shape: Shape::new(log_n),
            twiddles,
            psi,
            n_inverse: inverse_mod(1 << log_n, q),
        })
    }

    /// The prime itself.
    pub fn q(&self) -> u64 {
        self.modulus.q
    }

    /// log2 of the ring degree.
    pub fn log_n(&self) -> u32 {
        self.log_n
    }

    /// The ring degree: the words of one limb.
    pub fn degree(&self) -> usize {
        1 << self.log_n
    }

    /// The kernel set that the methods run on.
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// The root of unity of order `2N` that fixes the evaluation order: `g^((q - 1) / 2N)` for the smallest `g >= 2` that
    /// gives that order.
    pub fn psi(&self) -> u64 {
        self.psi
    }

    /// The residue of `value`, prepared for products.
    pub fn scalar(&self, value: u64) -> Scalar {
        Scalar::new(value, self.q())
    }

    /// The inverse of `value`; 0 for multiples of the prime.
    pub fn inverse_of(&self, value: u64) -> u64 {
        inverse_mod(value % self.q(), self.q())
    }

    /// The product of two integers modulo the prime.
    pub fn product(&self, a: u64, b: u64) -> u64 {
        mul_mod(a, b, self.q())
    }

    pub(super) fn check(&self, limbs: &[&[u64]]) {
        let fits = limbs.iter().all(|limb| limb.len() == self.degree());
        assert!(fits, "limbs of {} words", self.degree());
    }

    /// Transforms a limb from coefficient to evaluation form.
    pub fn forward(&self, limb: &mut [u64]) {
        self.check(&[limb]);
        with_scratch(self.shape.middle_words(), |middle| {
            self.forward_columns(limb, middle);
            self.forward_rows(middle, limb);
        });
    }

    /// `evaluations = forward(coefficients)`.
    pub fn forward_into(&self, coefficients: &[u64], evaluations: &mut [u64]) {
        self.check(&[coefficients, evaluations]);
        with_scratch(self.shape.middle_words(), |middle| {
            self.forward_columns(coefficients, middle);
            self.forward_rows(middle, evaluations);
        });
    }

    /// The first pass of the forward transform.
    fn forward_columns(&self, coefficients: &[u64], middle: &mut [u64]) {
        let tiles = coefficients.chunks_exact(self.shape.tile_words());
        for (tile, middle) in tiles.zip(middle.chunks_exact_mut(self.shape.middle_stride())) {
            (self.kernels.0.forward_tile)(self, tile, &mut middle[..self.shape.tile_words()]);
        }
    }

    /// The second pass of the forward transform.
    pub(crate) fn forward_rows(&self, middle: &[u64], evaluations: &mut [u64]) {
        for (row, out) in evaluations.chunks_exact_mut(self.shape.columns).enumerate() {
            (self.kernels.0.forward_row)(self, row, middle, out);
        }
    }

    /// Transforms a limb from evaluation to coefficient form.
    pub fn inverse(&self, limb: &mut [u64]) {
        self.check(&[limb]);
        with_scratch(self.shape.middle_words(), |middle| {
            self.inverse_rows(limb, middle);
            self.inverse_columns(middle, self.scalar(self.n_inverse), 0, limb);
        });
    }

    /// `coefficients = factor * inverse(evaluations) + offset`, the offset added to every coefficient; the factor and the
    /// offset cost next to nothing here.
    ///
    /// # Panics
    /// Also when `offset >= q`.
    pub fn inverse_into(&self, evaluations: &[u64], factor: Scalar, offset: u64, coefficients: &mut [u64]) {
        self.check(&[evaluations, coefficients]);
        assert!(offset < self.q(), "a canonical offset");
        let scale = self.scalar(mul_mod(factor.value, self.n_inverse, self.q()));
        with_scratch(self.shape.middle_words(), |middle| {
            self.inverse_rows(evaluations, middle);
            self.inverse_columns(middle, scale, offset, coefficients);
        });
    }

    /// The first pass of the inverse transform.
    fn inverse_rows(&self, evaluations: &[u64], middle: &mut [u64]) {
        for (row, evaluations) in evaluations.chunks_exact(self.shape.columns).enumerate() {
            (self.kernels.0.inverse_row)(self, row, evaluations, middle);
        }
    }

    /// The second pass of the inverse transform.
    fn inverse_columns(&self, middle: &[u64], scale: Scalar, offset: u64, coefficients: &mut [u64]) {
        for (tile, out) in coefficients.chunks_exact_mut(self.shape.tile_words()).enumerate() {
            (self.kernels.0.inverse_tile)(self, tile, middle, out, scale, offset);
        }
    }

    /// `a += b`.
    pub fn add_assign(&self, a: &mut [u64], b: &[u64]) {
        self.check(&[a, b]);
        (self.kernels.0.add_assign)(self, a, b);
    }

    /// `a -= b`.
    pub fn sub_assign(&self, a: &mut [u64], b: &[u64]) {
        self.check(&[a, b]);
        (self.kernels.0.sub_assign)(self, a, b);
    }

    /// `a = -a`.
    pub fn neg_assign(&self, a: &mut [u64]) {
        self.check(&[a]);
        (self.kernels.0.neg_assign)(self, a);
    }

    /// `a *= b`, element by element.
    pub fn mul_assign(&self, a: &mut [u64], b: &[u64]) {
        self.check(&[a, b]);
        (self.kernels.0.mul_assign)(self, a, b);
    }

    /// `out = a + b`, element by element.
    pub fn add(&self, a: &[u64], b: &[u64], out: &mut [u64]) {
        self.check(&[a, b, out]);
        (self.kernels.0.add)(self, a, b, out);
    }

    /// `out = a - b`, element by element.
    pub fn sub(&self, a: &[u64], b: &[u64], out: &mut [u64]) {
        self.check(&[a, b, out]);
        (self.kernels.0.sub)(self, a, b, out);
    }

    /// `out = a * b`, element by element.
    pub fn mul(&self, a: &[u64], b: &[u64], out: &mut [u64]) {
        self.check(&[a, b, out]);
        (self.kernels.0.mul)(self, a, b, out);
    }

    /// `out = a * factor`.
    pub fn mul_scalar(&self, a: &[u64], factor: Scalar, out: &mut [u64]) {
        self.check(&[a, out]);
        (self.kernels.0.mul_scalar)(self, a, factor, out);
    }

    /// `sum += a * b`, element by element.
    pub fn mul_add_assign(&self, sum: &mut [u64], a: &[u64], b: &[u64]) {
        self.check(&[sum, a, b]);
        (self.kernels.0.mul_add_assign)(self, sum, a, b);
    }

    /// `a *= factor`.
    pub fn mul_scalar_assign(&self, a: &mut [u64], factor: Scalar) {
        self.check(&[a]);
        (self.kernels.0.mul_scalar_assign)(self, a, factor);
    }

    /// `sum += a * factor`.
    pub fn mul_scalar_add_assign(&self, sum: &mut [u64], a: &[u64], factor: Scalar) {
        self.check(&[sum, a]);
        (self.kernels.0.mul_scalar_add_assign)(self, sum, a, factor);
    }

    /// `a = (a - b) * factor`: how a rescale and a ModDown divide.
    pub fn sub_mul_scalar_assign(&self, a: &mut [u64], b: &[u64], factor: Scalar) {
        self.check(&[a, b]);
        (self.kernels.0.sub_mul_scalar_assign)(self, a, b, factor);
    }

    /// The three components of the product of two ciphertexts: `out = [a0 b0, a0 b1 + a1 b0, a1 b1]`.
    pub fn tensor(&self, a: [&[u64]; 2], b: [&[u64]; 2], out: [&mut [u64]; 3]) {
        self.check(&a);
        self.check(&b);
        self.check(&[&*out[0], &*out[1], &*out[2]]);
        (self.kernels.0.tensor)(self, a, b, out);
    }

    /// `out[c] = sum over d of digits[d] * key[c][d]`, element by element, reduced once at the end.
    ///
    /// # Panics
    /// Also when there are more than [`MAX_TERMS`] digits, or a component of the key has another number of limbs.
    pub fn inner_product(&self, digits: &[&[u64]], key: [&[&[u64]]; 2], out: [&mut [u64]; 2]) {
        self.check_key(digits, key);
        self.check(&[&*out[0], &*out[1]]);
        (self.kernels.0.inner_product)(self, digits, key, out);
    }

    pub(super) fn check_key(&self, digits: &[&[u64]], key: [&[&[u64]]; 2]) {
        assert!(digits.len() <= MAX_TERMS, "at most {MAX_TERMS} digits");
        self.check(digits);
        for component in key {
            assert_eq!(component.len(), digits.len(), "one key limb per digit");
            self.check(component);
        }
    }

    /// `out = centred(input) mod q`, where `input` is modulo `other` and its centred representative lies in
    /// `(-other/2, other/2]`: what a rescale subtracts.
    pub fn reduce_centred(&self, other: &NttPrime, input: &[u64], out: &mut [u64]) {
        self.check(&[input, out]);
        (self.kernels.0.reduce_centred)(self, other.q(), input, out);
    }

    /// [`reduce_centred`](Self::reduce_centred), up to the first pass of the forward transform: into a middle buffer.
    pub(crate) fn reduce_centred_columns(&self, other: &NttPrime, input: &[u64], middle: &mut [u64]) {
        self.check(&[input]);
        let (tile_words, stride) = (self.shape.tile_words(), self.shape.middle_stride());
        with_scratch(tile_words, |reduced| {
            for (tile, input) in input.chunks_exact(tile_words).enumerate() {
                (self.kernels.0.reduce_centred)(self, other.q(), input, reduced);
                (self.kernels.0.forward_tile)(self, reduced, &mut middle[tile * stride..][..tile_words]);
            }
        });
    }

    /// `out = input mod q` for signed integers.
    pub fn reduce_signed(&self, input: &[i64], out: &mut [u64]) {
        self.check(&[out]);
        assert_eq!(input.len(), self.degree(), "limbs of {} words", self.degree());
        (self.kernels.0.reduce_signed)(self, input, out);
    }

    /// As [`reduce_signed`](Self::reduce_signed), for integers of 8 bits, whose time does not depend on them either.
    ///
    /// # Panics
    /// When a limb has not `N` words, or `q` is not above 2^7.
    pub(crate) fn reduce_small(&self, input: &[i8], out: &mut [u64]) {
        self.check(&[out]);
        assert_eq!(input.len(), self.degree(), "limbs of {} words", self.degree());
        assert!(self.q() > 1 << 7, "a prime above every magnitude");
        (self.kernels.0.codec.reduce_small)(self.q(), input, out);
    }
}

/// The most products that one lazy sum takes: 16 products of 50-bit residues keep the upper halves of the 52-bit
/// accumulators below 2^52.
pub const MAX_TERMS: usize = 16;

/// A primitive root of unity of order `2^(log_n + 1)` modulo the prime `q`.
fn primitive_root(log_n: u32, q: u64) -> u64 {
    let cofactor = (q - 1) >> (log_n + 1);
    let roots = (2..q).map(|g| pow_mod(g, cofactor, q));
    // Half of all residues qualify, so that this ends after a few.
    roots
        .into_iter()
        .find(|&root| pow_mod(root, 1 << log_n, q) == q - 1)
        .expect("a prime has primitive roots")
}
