//! The kernels for AVX-512 with the 52-bit integer multiplier (Intel Ice Lake, AMD Zen 4, and later).
#![expect(
    unsafe_code,
    reason = "vector instructions; every kernel is tested against the portable one"
)]

mod butterfly;
mod ntt;
mod pointwise;
mod tables;
mod vector;

pub(super) use tables::Twiddles;

use super::conversion::TargetConstants;
use super::modular::Scalar;
use super::prime::{self, HoistedTerm, NttPrime, RootPowers};
use super::{Table, portable};
use vector::Ifma;

/// Whether this machine runs the kernels.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512ifma")
}

/// Only for machines on which [`available`] holds.
pub(super) static TABLE: Table = Table {
    name: "ifma",
    twiddles,
    forward_tile,
    forward_row,
    inverse_row,
    inverse_tile,
    add_assign,
    sub_assign,
    neg_assign,
    mul_assign,
    mul_add_assign,
    mul_scalar_assign,
    mul_scalar_add_assign,
    sub_mul_scalar_assign,
    tensor,
    inner_product,
    hoisted_sum,
    reduce_centred,
    reduce_signed,
    convert,
    overflow,
};

/// Compiles the body of a kernel for the instruction set.
macro_rules! kernels {
    ($(fn $name:ident($($arg:ident: $type:ty),*) { $simd:ident => $body:expr })*) => {
        $(fn $name($($arg: $type),*) {
            #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
            fn vectorized($($arg: $type),*) {
                let $simd = Ifma::new();
                $body;
            }
            // SAFETY: the table is handed out by `Kernels` only where `available` holds.
            unsafe { vectorized($($arg),*) }
        })*
    };
}

fn twiddles(roots: &RootPowers<'_>) -> prime::Twiddles {
    if roots.log_n < tables::MIN_LOG_N {
        return (portable::TABLE.twiddles)(roots);
    }
    prime::Twiddles::Ifma(Twiddles::new(roots))
}

kernels! {
    fn forward_tile(prime: &NttPrime, tile: &[u64], middle: &mut [u64]) {
        simd => match ntt::tables(prime) {
            Some(tables) => ntt::forward_tile(simd, prime, &tables.forward, tile, middle),
            None => (portable::TABLE.forward_tile)(prime, tile, middle),
        }
    }
    fn forward_row(prime: &NttPrime, row: usize, middle: &[u64], out: &mut [u64]) {
        simd => match ntt::tables(prime) {
            Some(tables) => ntt::forward_row(simd, prime, &tables.forward, row, middle, out),
            None => (portable::TABLE.forward_row)(prime, row, middle, out),
        }
    }
    fn inverse_row(prime: &NttPrime, row: usize, input: &[u64], middle: &mut [u64]) {
        simd => match ntt::tables(prime) {
            Some(tables) => ntt::inverse_row(simd, prime, &tables.inverse, row, input, middle),
            None => (portable::TABLE.inverse_row)(prime, row, input, middle),
        }
    }
    fn inverse_tile(prime: &NttPrime, tile: usize, middle: &[u64], out: &mut [u64], scale: Scalar, offset: u64) {
        simd => match ntt::tables(prime) {
            Some(tables) => ntt::inverse_tile(simd, prime, &tables.inverse, tile, middle, out, (scale, offset)),
            None => (portable::TABLE.inverse_tile)(prime, tile, middle, out, scale, offset),
        }
    }
    fn add_assign(prime: &NttPrime, a: &mut [u64], b: &[u64]) {
        simd => pointwise::add_assign(simd, prime, a, b)
    }
    fn sub_assign(prime: &NttPrime, a: &mut [u64], b: &[u64]) {
        simd => pointwise::sub_assign(simd, prime, a, b)
    }
    fn neg_assign(prime: &NttPrime, a: &mut [u64]) {
        simd => pointwise::neg_assign(simd, prime, a)
    }
    fn mul_assign(prime: &NttPrime, a: &mut [u64], b: &[u64]) {
        simd => pointwise::mul_assign(simd, prime, a, b)
    }
    fn mul_add_assign(prime: &NttPrime, sum: &mut [u64], a: &[u64], b: &[u64]) {
        simd => pointwise::mul_add_assign(simd, prime, sum, a, b)
    }
    fn mul_scalar_assign(prime: &NttPrime, a: &mut [u64], factor: Scalar) {
        simd => pointwise::mul_scalar_assign(simd, prime, a, factor)
    }
    fn mul_scalar_add_assign(prime: &NttPrime, sum: &mut [u64], a: &[u64], factor: Scalar) {
        simd => pointwise::mul_scalar_add_assign(simd, prime, sum, a, factor)
    }
    fn sub_mul_scalar_assign(prime: &NttPrime, a: &mut [u64], b: &[u64], factor: Scalar) {
        simd => pointwise::sub_mul_scalar_assign(simd, prime, a, b, factor)
    }
    fn tensor(prime: &NttPrime, a: [&[u64]; 2], b: [&[u64]; 2], out: [&mut [u64]; 3]) {
        simd => pointwise::tensor(simd, prime, a, b, out)
    }
    fn inner_product(prime: &NttPrime, digits: &[&[u64]], key: [&[&[u64]]; 2], out: [&mut [u64]; 2]) {
        simd => pointwise::inner_product(simd, prime, digits, key, out)
    }
    fn hoisted_sum(prime: &NttPrime, digits: &[&[u64]], terms: &[HoistedTerm<'_>], out: [&mut [u64]; 2]) {
        simd => pointwise::hoisted_sum(simd, prime, digits, terms, out)
    }
    fn reduce_centred(prime: &NttPrime, other: u64, input: &[u64], out: &mut [u64]) {
        simd => pointwise::reduce_centred(simd, prime, other, input, out)
    }
    fn reduce_signed(prime: &NttPrime, input: &[i64], out: &mut [u64]) {
        simd => pointwise::reduce_signed(simd, prime, input, out)
    }
    fn convert(prime: &NttPrime, prepared: &[&[u64]], target: &TargetConstants, out: &mut [u64]) {
        simd => pointwise::convert(simd, prime, prepared, target, out)
    }
    fn overflow(prepared: &[&[u64]], quotients: &[f64], start: f64, out: &mut [u64]) {
        simd => pointwise::overflow(simd, prepared, quotients, start, out)
    }
}
