//! The portable kernels, in plain integer arithmetic: the reference of the others, and what other processors run.

mod codec;
mod ntt;
mod pointwise;

pub(super) use ntt::Twiddles;
pub(super) use pointwise::reduce_signed;

use super::{Automorphism, Table, fused, out_of_place};

pub(super) static TABLE: Table = Table {
    name: "portable",
    twiddles: ntt::twiddles,
    forward_tile: ntt::forward_tile,
    forward_row: ntt::forward_row,
    inverse_row: ntt::inverse_row,
    inverse_tile: ntt::inverse_tile,
    add: out_of_place::add,
    sub: out_of_place::sub,
    mul: out_of_place::mul,
    mul_scalar: out_of_place::mul_scalar,
    add_assign: pointwise::add_assign,
    sub_assign: pointwise::sub_assign,
    neg_assign: pointwise::neg_assign,
    mul_assign: pointwise::mul_assign,
    mul_add_assign: pointwise::mul_add_assign,
    mul_scalar_assign: pointwise::mul_scalar_assign,
    mul_scalar_add_assign: pointwise::mul_scalar_add_assign,
    sub_mul_scalar_assign: pointwise::sub_mul_scalar_assign,
    tensor: pointwise::tensor,
    inner_product: pointwise::inner_product,
    reduce_centred: pointwise::reduce_centred,
    reduce_signed,
    convert: pointwise::convert,
    convert_tiles: fused::convert_tiles,
    switch: fused::switch,
    rotated_product: fused::rotated_product,
    divide: fused::divide,
    permute: Automorphism::gather,
    overflow: pointwise::overflow,
    codec: &codec::TABLE,
};
