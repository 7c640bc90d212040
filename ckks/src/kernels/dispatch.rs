//! The table of a vector kernel set, written once for all sets: every entry calls the function of its name in the set's
//! modules `ntt` and `pointwise`, compiled for the set's instructions.

/// The smallest ring that vector transforms work on: four rows of 256 coefficients.
pub(super) const MIN_VECTOR_LOG_N: u32 = 10;

/// Entries that compile `$module::$name` for the instruction set. The token's `new` is safe where the compiler may use
/// the instructions.
macro_rules! entries {
    ($features:literal, $token:ty; $($module:ident::$name:ident($($arg:ident: $type:ty),*);)*) => {
        $(fn $name($($arg: $type),*) {
            #[target_feature(enable = $features)]
            fn vectorized($($arg: $type),*) {
                $module::$name(<$token>::new(), $($arg),*);
            }
            // SAFETY: `Kernels` hands the table out only where the set is available, hence the instructions are.
            unsafe { vectorized($($arg),*) }
        })*
    };
}

/// `TABLE`, for the modules and the token of the kernel set in scope, and the fused kernels in scope.
macro_rules! vector_table {
    ($name:literal, $features:literal, $token:ty) => {
        /// Only for machines on which the set is available.
        pub(super) static TABLE: Table = Table {
            name: $name,
            twiddles: ntt::twiddles,
            forward_tile,
            forward_row,
            inverse_row,
            inverse_tile,
            add,
            sub,
            mul,
            mul_scalar,
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
            reduce_centred,
            reduce_signed,
            convert,
            convert_tiles,
            switch,
            rotated_product,
            divide,
            permute,
            overflow,
            codec: &codec::TABLE,
        };

        entries! {
            $features, $token;
            ntt::forward_tile(prime: &NttPrime, tile: &[u64], middle: &mut [u64]);
            ntt::forward_row(prime: &NttPrime, row: usize, middle: &[u64], out: &mut [u64]);
            ntt::inverse_row(prime: &NttPrime, row: usize, input: &[u64], middle: &mut [u64]);
            ntt::inverse_tile(prime: &NttPrime, tile: usize, middle: &[u64], out: &mut [u64], scale: Scalar, offset: u64);
            pointwise::add_assign(prime: &NttPrime, a: &mut [u64], b: &[u64]);
            pointwise::sub_assign(prime: &NttPrime, a: &mut [u64], b: &[u64]);
            pointwise::neg_assign(prime: &NttPrime, a: &mut [u64]);
            pointwise::mul_assign(prime: &NttPrime, a: &mut [u64], b: &[u64]);
            pointwise::mul_add_assign(prime: &NttPrime, sum: &mut [u64], a: &[u64], b: &[u64]);
            pointwise::mul_scalar_assign(prime: &NttPrime, a: &mut [u64], factor: Scalar);
            pointwise::mul_scalar_add_assign(prime: &NttPrime, sum: &mut [u64], a: &[u64], factor: Scalar);
            pointwise::sub_mul_scalar_assign(prime: &NttPrime, a: &mut [u64], b: &[u64], factor: Scalar);
            pointwise::tensor(prime: &NttPrime, a: [&[u64]; 2], b: [&[u64]; 2], out: [&mut [u64]; 3]);
            pointwise::inner_product(prime: &NttPrime, digits: &[&[u64]], key: [&[&[u64]]; 2], out: [&mut [u64]; 2]);
            pointwise::permute(automorphism: &Automorphism, first: usize, input: &[u64], out: &mut [u64]);
            pointwise::reduce_centred(prime: &NttPrime, other: u64, input: &[u64], out: &mut [u64]);
            pointwise::reduce_signed(prime: &NttPrime, input: &[i64], out: &mut [u64]);
            pointwise::convert(prime: &NttPrime, prepared: &[&[u64]], target: &TargetConstants, out: &mut [u64]);
            pointwise::overflow(prepared: &[&[u64]], quotients: &[f64], start: f64, out: &mut [u64]);
        }
    };
}

pub(super) use {entries, vector_table};
