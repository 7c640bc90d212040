//! The kernels for AVX-512 with the 52-bit integer multiplier (Intel Ice Lake, AMD Zen 4, and later).
#![expect(
    unsafe_code,
    reason = "vector instructions; every kernel is tested against the portable one"
)]

mod butterfly;
mod codec;
mod fused;
mod ntt;
mod pointwise;
mod tables;
mod vector;

pub(super) use tables::Twiddles;

use super::conversion::TargetConstants;
use super::dispatch::{entries, vector_table};
use super::modular::Scalar;
use super::prime::NttPrime;
use super::{Automorphism, Operand, Raised, RotatingKey, Table};
use vector::Ifma;

/// Whether this machine runs the kernels.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512ifma")
}

vector_table!("ifma", "avx512f,avx512dq,avx512ifma", Ifma);

entries! {
    "avx512f,avx512dq,avx512ifma", Ifma;
    pointwise::add(prime: &NttPrime, a: &[u64], b: &[u64], out: &mut [u64]);
    pointwise::sub(prime: &NttPrime, a: &[u64], b: &[u64], out: &mut [u64]);
    pointwise::mul(prime: &NttPrime, a: &[u64], b: &[u64], out: &mut [u64]);
    pointwise::mul_scalar(prime: &NttPrime, a: &[u64], factor: Scalar, out: &mut [u64]);
    fused::convert_tiles(
        primes: [&NttPrime; 2],
        prepared: &[&[u64]],
        targets: [&TargetConstants; 2],
        converted: [&mut [u64]; 2],
        middle: [&mut [u64]; 2]
    );
    fused::switch(
        prime: &NttPrime,
        digits: &[Operand<'_>],
        key: [&[&[u64]]; 2],
        raised: Option<&Raised<'_>>,
        out: [&mut [u64]; 2]
    );
    fused::rotated_product(
        prime: &NttPrime,
        first: usize,
        digits: &[&[u64]],
        key: &RotatingKey<'_>,
        addend: Option<(&[u64], Scalar)>,
        out: [&mut [u64]; 2]
    );
    fused::divide(
        prime: &NttPrime,
        remainder: &[u64],
        dividend: &[u64],
        factor: Scalar,
        out: &mut [u64]
    );
}
