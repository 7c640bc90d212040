//! Arithmetic modulo one word-sized prime: what tables are computed with, and the reductions of the portable kernels.

/// `a * b mod m`, for any `m > 0`.
pub(crate) fn mul_mod(a: u64, b: u64, m: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(m)) as u64
}

/// `base ^ exponent mod m`, for any `m > 1`.
pub(crate) fn pow_mod(base: u64, mut exponent: u64, m: u64) -> u64 {
    let mut square = base % m;
    let mut result = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = mul_mod(result, square, m);
        }
        square = mul_mod(square, square, m);
        exponent >>= 1;
    }
    result
}

/// The inverse of `a` modulo the prime `q`; 0 for multiples of `q`.
pub(crate) fn inverse_mod(a: u64, q: u64) -> u64 {
    pow_mod(a, q - 2, q)
}

/// The lowest `bits` bits of `x`, reversed.
pub(crate) fn bit_reverse(x: usize, bits: u32) -> usize {
    if bits == 0 {
        0
    } else {
        x.reverse_bits() >> (usize::BITS - bits)
    }
}

/// A fixed residue `value` modulo some `q`, with `quotient = floor(value * 2^64 / q)` beside it, so that a product with
/// it costs three multiplications and no division.
///
/// # Source
/// V. Shoup's NTL; D. Harvey, *Faster arithmetic for number-theoretic transforms* (2014), section 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scalar {
    pub(super) value: u64,
    pub(super) quotient: u64,
}

impl Scalar {
    /// The residue `value mod q`.
    pub(super) fn new(value: u64, q: u64) -> Self {
        let value = value % q;
        let quotient = ((u128::from(value) << 64) / u128::from(q)) as u64;
        Self { value, quotient }
    }

    /// The residue itself, in `[0, q)`.
    pub fn value(self) -> u64 {
        self.value
    }

    /// `x * value mod q` up to one multiple of `q`: a representative in `[0, 2q)`, for any word `x`.
    #[inline(always)]
    pub(super) fn mul_lazy(self, x: u64, q: u64) -> u64 {
        let estimate = high_word(x, self.quotient);
        x.wrapping_mul(self.value).wrapping_sub(estimate.wrapping_mul(q))
    }

    /// `x * value mod q` in `[0, q)`, for any word `x`.
    #[inline(always)]
    pub(super) fn mul(self, x: u64, q: u64) -> u64 {
        reduce_once(self.mul_lazy(x, q), q)
    }
}

/// The upper word of `a * b`.
#[inline(always)]
fn high_word(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 64) as u64
}

/// `x mod q` for `x < 2q`, without a branch.
#[inline(always)]
pub(super) fn reduce_once(x: u64, q: u64) -> u64 {
    x.min(x.wrapping_sub(q))
}

/// The constants that reduce one-word and two-word integers modulo `q < 2^50`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Modulus {
    pub(super) q: u64,
    /// `floor(2^64 / q)`.
    word_quotient: u64,
    /// `2^50 mod q`: folds the upper part of a two-word integer.
    upper: Scalar,
    /// `2^52 mod q`: the same for integers in two words of 52 bits.
    pub(super) upper_52: Scalar,
}

/// Where a two-word integer is cut before it is reduced: both parts then fit a word, up to 2^114.
const CUT_BITS: u32 = 50;

impl Modulus {
    pub(super) fn new(q: u64) -> Self {
        let word_quotient = ((1u128 << 64) / u128::from(q)) as u64;
        Self {
            q,
            word_quotient,
            upper: Scalar::new(1 << CUT_BITS, q),
            upper_52: Scalar::new(1 << 52, q),
        }
    }

    /// `x mod q` in `[0, 2q)`, for any word.
    #[inline(always)]
    fn reduce_word_lazy(&self, x: u64) -> u64 {
        x.wrapping_sub(high_word(x, self.word_quotient).wrapping_mul(self.q))
    }

    /// `x mod q` in `[0, q)`, for any word.
    #[inline(always)]
    pub(super) fn reduce_word(&self, x: u64) -> u64 {
        reduce_once(self.reduce_word_lazy(x), self.q)
    }

    /// `x mod q` in `[0, q)`, for `x < 2^114`: sums of 2^14 products of residues.
    #[inline(always)]
    pub(super) fn reduce_wide(&self, x: u128) -> u64 {
        let upper = (x >> CUT_BITS) as u64;
        let lower = x as u64 & ((1 << CUT_BITS) - 1);
        let sum = self.upper.mul_lazy(upper, self.q) + self.reduce_word_lazy(lower);
        reduce_once(reduce_once(sum, 2 * self.q), self.q)
    }

    /// `a * b mod q` in `[0, q)`, for residues.
    #[inline(always)]
    pub(super) fn mul(&self, a: u64, b: u64) -> u64 {
        self.reduce_wide(u128::from(a) * u128::from(b))
    }

    /// `a + b mod q` in `[0, q)`, for residues.
    #[inline(always)]
    pub(super) fn add(&self, a: u64, b: u64) -> u64 {
        reduce_once(a + b, self.q)
    }

    /// `a - b mod q` in `[0, q)`, for residues.
    #[inline(always)]
    pub(super) fn sub(&self, a: u64, b: u64) -> u64 {
        reduce_once(a + self.q - b, self.q)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moduli() -> impl Strategy<Value = u64> {
        prop_oneof![
            (1u64 << 19)..(1 << 50),
            Just((1 << 50) - 27),
            Just(3),
            Just((1 << 26) - 5)
        ]
    }

    proptest! {
        #[test]
        fn reductions_agree_with_division(q in moduli(), x in any::<u128>(), w in any::<u64>(), y in any::<u64>()) {
            let modulus = Modulus::new(q);
            let x = x >> 14;
            prop_assert_eq!(modulus.reduce_wide(x), (x % u128::from(q)) as u64);
            prop_assert_eq!(modulus.reduce_word(y), y % q);
            prop_assert_eq!(Scalar::new(w, q).mul(y, q), mul_mod(w % q, y, q));
            prop_assert_eq!(modulus.add(w % q, y % q), (w % q + y % q) % q);
            prop_assert_eq!(modulus.sub(w % q, y % q), (w % q + q - y % q) % q);
        }
    }

    #[test]
    fn inverses_multiply_to_one() {
        let q = (1 << 50) - 27;
        assert!(heron_params::is_prime(q));
        for a in [1, 2, 3, q / 2, q - 1] {
            assert_eq!(mul_mod(a, inverse_mod(a, q), q), 1);
        }
    }
}
