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

use super::Table;
use super::conversion::TargetConstants;
use super::dispatch::{entries, vector_table};
use super::modular::Scalar;
use super::prime::{HoistedTerm, NttPrime};
use vector::Ifma;

/// Whether this machine runs the kernels.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512ifma")
}

vector_table!("ifma", "avx512f,avx512dq,avx512ifma", Ifma);
