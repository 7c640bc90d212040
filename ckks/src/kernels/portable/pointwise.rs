//! Element-wise arithmetic on limbs, sums of products and base conversion.

use super::super::conversion::TargetConstants;
use super::super::modular::{Scalar, reduce_once};
use super::super::prime::NttPrime;

pub(in super::super) fn add_assign(prime: &NttPrime, a: &mut [u64], b: &[u64]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a = prime.modulus.add(*a, *b);
    }
}

pub(in super::super) fn sub_assign(prime: &NttPrime, a: &mut [u64], b: &[u64]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a = prime.modulus.sub(*a, *b);
    }
}

pub(in super::super) fn neg_assign(prime: &NttPrime, a: &mut [u64]) {
    for a in a {
        *a = prime.modulus.sub(0, *a);
    }
}

pub(super) fn mul_assign(prime: &NttPrime, a: &mut [u64], b: &[u64]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a = prime.modulus.mul(*a, *b);
    }
}

pub(super) fn mul_add_assign(prime: &NttPrime, sum: &mut [u64], a: &[u64], b: &[u64]) {
    for ((sum, a), b) in sum.iter_mut().zip(a).zip(b) {
        *sum = prime
            .modulus
            .reduce_wide(u128::from(*a) * u128::from(*b) + u128::from(*sum));
    }
}

pub(super) fn mul_scalar_assign(prime: &NttPrime, a: &mut [u64], factor: Scalar) {
    for a in a {
        *a = factor.mul(*a, prime.q());
    }
}

pub(super) fn mul_scalar_add_assign(prime: &NttPrime, sum: &mut [u64], a: &[u64], factor: Scalar) {
    for (sum, a) in sum.iter_mut().zip(a) {
        *sum = prime.modulus.add(*sum, factor.mul(*a, prime.q()));
    }
}

pub(super) fn sub_mul_scalar_assign(prime: &NttPrime, a: &mut [u64], b: &[u64], factor: Scalar) {
    let q = prime.q();
    for (a, b) in a.iter_mut().zip(b) {
        *a = factor.mul(*a + q - *b, q);
    }
}

pub(super) fn tensor(prime: &NttPrime, a: [&[u64]; 2], b: [&[u64]; 2], out: [&mut [u64]; 3]) {
    let modulus = &prime.modulus;
    let [out0, out1, out2] = out;
    for i in 0..prime.degree() {
        let (a0, a1, b0, b1) = (a[0][i], a[1][i], b[0][i], b[1][i]);
        out0[i] = modulus.mul(a0, b0);
        out1[i] = modulus.reduce_wide(u128::from(a0) * u128::from(b1) + u128::from(a1) * u128::from(b0));
        out2[i] = modulus.mul(a1, b1);
    }
}

/// The sum of `a[d] * b[d][i]` over `d`, as an integer.
#[inline(always)]
fn sum_of_products(a: impl Iterator<Item = u64>, b: &[&[u64]], i: usize) -> u128 {
    a.zip(b).map(|(a, b)| u128::from(a) * u128::from(b[i])).sum()
}

pub(super) fn inner_product(prime: &NttPrime, digits: &[&[u64]], key: [&[&[u64]]; 2], out: [&mut [u64]; 2]) {
    for (key, out) in key.into_iter().zip(out) {
        for (i, out) in out.iter_mut().enumerate() {
            *out = prime
                .modulus
                .reduce_wide(sum_of_products(digits.iter().map(|digit| digit[i]), key, i));
        }
    }
}

pub(super) fn reduce_centred(prime: &NttPrime, other: u64, input: &[u64], out: &mut [u64]) {
    let half = other / 2;
    let shift = prime.q() - half % prime.q();
    for (x, out) in input.iter().zip(out) {
        // In [0, other) with zero moved to `half`; the shift moves it back modulo q.
        let moved = reduce_once(x + half, other);
        *out = prime.modulus.reduce_word(moved + shift);
    }
}

pub(in super::super) fn reduce_signed(prime: &NttPrime, input: &[i64], out: &mut [u64]) {
    let modulus = &prime.modulus;
    for (x, out) in input.iter().zip(out) {
        let magnitude = modulus.reduce_word(x.unsigned_abs());
        let sign = 0u64.wrapping_sub(u64::from(*x < 0));
        // -magnitude where the sign mask is set, without a branch on what may be secret.
        let negated = modulus.sub(0, magnitude);
        *out = (negated & sign) | (magnitude & !sign);
    }
}

pub(super) fn convert(prime: &NttPrime, prepared: &[&[u64]], target: &TargetConstants, out: &mut [u64]) {
    for (i, out) in out.iter_mut().enumerate() {
        let products = prepared.iter().zip(&target.factors);
        let sum: u128 = products.map(|(y, &factor)| u128::from(y[i]) * u128::from(factor)).sum();
        *out = prime.modulus.reduce_wide(sum + u128::from(target.start));
    }
}

pub(in super::super) fn overflow(prepared: &[&[u64]], quotients: &[f64], start: f64, out: &mut [u64]) {
    for (i, out) in out.iter_mut().enumerate() {
        // Product and sum are rounded apart, in this order: every kernel set must find the same integer.
        let sum = prepared
            .iter()
            .zip(quotients)
            .fold(start, |sum, (y, quotient)| sum + y[i] as f64 * quotient);
        *out = sum as u64;
    }
}
