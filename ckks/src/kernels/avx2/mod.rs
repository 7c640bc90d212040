//! The kernels for AVX2 with fused multiply-add (Intel Haswell, AMD Zen, and later): residues as f64, products exact as the
//! unevaluated sum of two.
#![expect(
    unsafe_code,
    reason = "vector instructions; every kernel is tested against the portable one"
)]

mod codec;
mod ntt;
mod pointwise;
mod vector;

pub(super) use ntt::Twiddles;

use super::conversion::TargetConstants;
use super::dispatch::{entries, vector_table};
use super::fused::{convert_tiles, rotated_product, switch};
use super::modular::Scalar;
use super::out_of_place::{add, mul, mul_scalar, sub};
use super::prime::NttPrime;
use super::{Automorphism, Table};
use vector::Avx2;

/// Whether this machine runs the kernels.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

vector_table!("avx2", "avx2,fma", Avx2);

entries! {
    "avx2,fma", Avx2;
    ntt::divide(prime: &NttPrime, remainder: &[u64], dividend: &[u64], factor: Scalar, out: &mut [u64]);
}
