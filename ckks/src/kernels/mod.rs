//! The kernels of the evaluator: transforms, pointwise arithmetic and base conversion of one limb, on the vector units
//! that the processor has.
//!
//! A *limb* is one residue polynomial: `N = 2^log_n` words modulo one prime `q < 2^50`, congruent to 1 mod `2N`. An
//! [`NttPrime`] holds the tables of one prime for one [`Kernels`] set; the operations on limbs are its methods.
//!
//! # Conventions
//! - **Values** at the boundary are canonical, in `[0, q)`. Lazy values exist inside a call only.
//! - **Evaluation form**: position `i` holds the value at `psi^(2 brv(i) + 1)`, `brv` reversing `log_n` bits and `psi`
//!   being [`NttPrime::psi`], a primitive `2N`-th root of unity that depends on `q` and `N` alone.
//! - **Coefficient form**: tile-major. The coefficient of `X^i` is at [`coefficient_index`]`(log_n, i)`; element-wise
//!   operations do not care.
//! - Both orders, and every residue, are the same for all kernel sets.
//!
//! # Kernel sets
//! `ifma` (AVX-512 with 52-bit multiply), `avx2` (products in f64 with FMA) and `portable`, the reference.

mod automorphism;
#[cfg(target_arch = "x86_64")]
mod avx2;
mod chacha;
mod codec;
mod conversion;
#[cfg(target_arch = "x86_64")]
mod dispatch;
mod fused;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod modular;
mod order;
mod out_of_place;
mod portable;
mod prime;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::OnceLock;

pub use automorphism::Automorphism;
pub use chacha::{CHUNK_WORDS, ChaChaStream};
pub(crate) use codec::Turns;
pub use conversion::{BaseConversion, Rounding};
pub use fused::{MAX_DIGITS, RotatingKey};
pub use modular::Scalar;
pub use order::{coefficient_at, coefficient_index};
pub use prime::{MAX_PRIME_BITS, MAX_TERMS, NttPrime, PrimeError};

pub(crate) use conversion::ColumnTarget;
use conversion::TargetConstants;
pub(crate) use fused::{Operand, Raised};
use prime::{RootPowers, Twiddles};

/// Limbs of one modulus, or of one each.
type Limbs<'a> = &'a [&'a [u64]];
/// A limb of each component of a ciphertext.
type Pair<'a> = [&'a [u64]; 2];
type PairMut<'a> = [&'a mut [u64]; 2];

/// A limb and what it is multiplied by.
type ScaledLimb<'a> = (&'a [u64], Scalar);

/// What one kernel set provides. Slices have the lengths that the methods of [`NttPrime`] checked: whole limbs of `N`
/// words, their tiles and rows, or `middle_words` for the buffer between two passes. Values are canonical unless said otherwise.
struct Table {
    name: &'static str,
    twiddles: fn(&RootPowers<'_>) -> Twiddles,
    /// First pass of the forward transform, one tile: from coefficient form into its part of the middle buffer, whose
    /// contents are private to the kernel set.
    forward_tile: fn(&NttPrime, &[u64], &mut [u64]),
    /// Second pass of the forward transform, one row: from the middle buffer into evaluation form.
    forward_row: fn(&NttPrime, usize, &[u64], &mut [u64]),
    /// First pass of the inverse transform, one row: from evaluation form into the middle buffer.
    inverse_row: fn(&NttPrime, usize, &[u64], &mut [u64]),
    /// Second pass of the inverse transform, one tile: multiplies by the scalar and adds the offset.
    inverse_tile: fn(&NttPrime, usize, &[u64], &mut [u64], Scalar, u64),
    add: fn(&NttPrime, &[u64], &[u64], &mut [u64]),
    sub: fn(&NttPrime, &[u64], &[u64], &mut [u64]),
    mul: fn(&NttPrime, &[u64], &[u64], &mut [u64]),
    mul_scalar: fn(&NttPrime, &[u64], Scalar, &mut [u64]),
    add_assign: fn(&NttPrime, &mut [u64], &[u64]),
    sub_assign: fn(&NttPrime, &mut [u64], &[u64]),
    neg_assign: fn(&NttPrime, &mut [u64]),
    mul_assign: fn(&NttPrime, &mut [u64], &[u64]),
    mul_add_assign: fn(&NttPrime, &mut [u64], &[u64], &[u64]),
    mul_scalar_assign: fn(&NttPrime, &mut [u64], Scalar),
    mul_scalar_add_assign: fn(&NttPrime, &mut [u64], &[u64], Scalar),
    sub_mul_scalar_assign: fn(&NttPrime, &mut [u64], &[u64], Scalar),
    tensor: fn(&NttPrime, Pair<'_>, Pair<'_>, [&mut [u64]; 3]),
    inner_product: fn(&NttPrime, Limbs<'_>, [Limbs<'_>; 2], PairMut<'_>),
    /// Centred residues modulo the second prime, reduced modulo the first.
    reduce_centred: fn(&NttPrime, u64, &[u64], &mut [u64]),
    reduce_signed: fn(&NttPrime, &[i64], &mut [u64]),
    /// Sums `source * constant` over the sources of a base conversion.
    convert: fn(&NttPrime, Limbs<'_>, &TargetConstants, &mut [u64]),
    /// One tile of a base conversion to two targets, and the first pass of the forward transform of each: from the sources'
    /// tiles into the targets' parts of two middle buffers. The two tiles in between are scratch.
    convert_tiles: fn([&NttPrime; 2], Limbs<'_>, [&TargetConstants; 2], PairMut<'_>, PairMut<'_>),
    /// Second pass of the forward transform of the digits that need it, and their products with a key: see [`fused`].
    switch: fn(&NttPrime, &[Operand<'_>], [Limbs<'_>; 2], Option<&Raised<'_>>, PairMut<'_>),
    /// A few residues, from the given one on, of a rotated product with a key: see [`fused`].
    rotated_product: fn(&NttPrime, usize, Limbs<'_>, &RotatingKey<'_>, Option<ScaledLimb<'_>>, PairMut<'_>),
    /// Second pass of the forward transform of a remainder, and the division: see [`fused`].
    divide: fn(&NttPrime, &[u64], &[u64], Scalar, &mut [u64]),
    /// Consecutive residues, from the given one on, of the image under an automorphism.
    permute: fn(&Automorphism, usize, &[u64], &mut [u64]),
    /// The multiples of the source modulus that a base conversion subtracts: see [`BaseConversion`].
    overflow: fn(Limbs<'_>, &[f64], f64, &mut [u64]),
    codec: &'static codec::CodecTable,
}

/// A kernel set that this machine can run. A copyable handle; primes keep the one they were built for.
#[derive(Clone, Copy)]
pub struct Kernels(&'static Table);

/// A kernel set was asked for by name and cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelsError {
    /// No kernel set has this name.
    #[error("no kernels are called `{name}`; there are portable, avx2 and ifma")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// The set exists, but not for this processor.
    #[error("the {name} kernels need a processor with {needs}, which this one lacks")]
    Unavailable {
        /// The name asked for.
        name: &'static str,
        /// The processor features it needs.
        needs: &'static str,
    },
}

impl Kernels {
    /// The fastest set of this machine; detected once.
    pub fn best() -> Self {
        static BEST: OnceLock<Kernels> = OnceLock::new();
        *BEST.get_or_init(|| {
            let fastest_first = ["ifma", "avx2"].into_iter();
            fastest_first
                .filter_map(|name| Self::named(name).ok())
                .next()
                .unwrap_or(Self::portable())
        })
    }

    /// The set called `name`: `portable`, `avx2` or `ifma`.
    ///
    /// # Errors
    /// [`KernelsError`] when there is no such set, or the processor lacks what it needs.
    pub fn named(name: &str) -> Result<Self, KernelsError> {
        match name {
            "portable" => Ok(Self::portable()),
            #[cfg(target_arch = "x86_64")]
            "avx2" if avx2::available() => Ok(Self(&avx2::TABLE)),
            "avx2" => Err(KernelsError::Unavailable {
                name: "avx2",
                needs: "AVX2 and FMA",
            }),
            #[cfg(target_arch = "x86_64")]
            "ifma" if ifma::available() => Ok(Self(&ifma::TABLE)),
            "ifma" => Err(KernelsError::Unavailable {
                name: "ifma",
                needs: "AVX-512 F, DQ and IFMA",
            }),
            _ => Err(KernelsError::Unknown { name: name.to_owned() }),
        }
    }

    /// The set that runs everywhere and that the others are tested against.
    pub fn portable() -> Self {
        Self(&portable::TABLE)
    }

    /// The name by which [`Kernels::named`] finds this set.
    pub fn name(self) -> &'static str {
        self.0.name
    }
}

impl PartialEq for Kernels {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Kernels {}

impl fmt::Debug for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernels({})", self.name())
    }
}
