//! Four lanes of f64 that hold integers below 2^53, and exact modular products of them.
//!
//! Residues are centred and lazy: a product is within `q` of zero, for factors that `mul` names. Everything is
//! forced inline: what is not inlined into the compiled-for function is not compiled for the instruction set.

use std::arch::x86_64::*;

/// Four f64 in a register.
pub(super) type V = __m256d;
/// Four words in memory: integers, or the bits of f64.
pub(super) type Quad = [u64; 4];

/// 2^52, at which an f64 has its integer's bits at the bottom.
const TWO_52: f64 = (1u64 << 52) as f64;

/// Proof that the processor has the instructions: only code compiled for them can make one.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

/// A factor of magnitude at most `q / 2`, and its quotient by `q`.
#[derive(Clone, Copy)]
pub(super) struct Multiplier {
    pub(super) value: V,
    pub(super) quotient: V,
}

/// The constants of one prime `q < 2^50`, in all lanes.
#[derive(Clone, Copy)]
pub(super) struct Constants {
    pub(super) q: V,
    /// `1 / q`.
    inverse: V,
    zero: V,
}

impl Avx2 {
    /// To be called where the features are enabled for the compiler, hence are there.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    pub(super) fn new() -> Self {
        Self(())
    }
}

/// Wraps instructions that need nothing but the processor features.
macro_rules! instructions {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $out:ty = $body:expr;)*) => {
        impl Avx2 {
            $($(#[$doc])* #[inline(always)]
            pub(super) fn $name(self, $($arg: $type),*) -> $out {
                // SAFETY: `self` exists, so the processor has the features; memory is touched through references only.
                unsafe { $body }
            })*
        }
    };
}

instructions! {
    load(quad: &Quad) -> V = _mm256_loadu_pd(quad.as_ptr().cast());
    store(quad: &mut Quad, v: V) -> () = _mm256_storeu_pd(quad.as_mut_ptr().cast(), v);
    /// Orders streamed stores before whatever follows, so that other threads see them.
    fence() -> () = _mm_sfence();
    splat(x: f64) -> V = _mm256_set1_pd(x);
    add(a: V, b: V) -> V = _mm256_add_pd(a, b);
    sub(a: V, b: V) -> V = _mm256_sub_pd(a, b);
    mul_rounded(a: V, b: V) -> V = _mm256_mul_pd(a, b);
    /// `a * b - c`, rounded once.
    mul_sub(a: V, b: V, c: V) -> V = _mm256_fmsub_pd(a, b, c);
    /// `c - a * b`, rounded once.
    sub_mul(a: V, b: V, c: V) -> V = _mm256_fnmadd_pd(a, b, c);
    nearest(a: V) -> V = _mm256_round_pd::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
    floor(a: V) -> V = _mm256_floor_pd(a);
    /// `b` where `a` is negative, `a` elsewhere.
    replace_negative(a: V, b: V) -> V = _mm256_blendv_pd(a, b, a);
    and(a: V, b: V) -> V = _mm256_and_pd(a, b);
    or(a: V, b: V) -> V = _mm256_or_pd(a, b);
    greater(a: V, b: V) -> V = _mm256_cmp_pd::<_CMP_GT_OQ>(a, b);
    xor(a: V, b: V) -> V = _mm256_xor_pd(a, b);
    interleave_even(a: V, b: V) -> V = _mm256_unpacklo_pd(a, b);
    interleave_odd(a: V, b: V) -> V = _mm256_unpackhi_pd(a, b);
    low_halves(a: V, b: V) -> V = _mm256_permute2f128_pd::<0x20>(a, b);
    high_halves(a: V, b: V) -> V = _mm256_permute2f128_pd::<0x31>(a, b);
}

/// Words of a limb from which on results are streamed past the caches: polynomials of such limbs do not fit them, and a
/// plain store would read what it overwrites.
const STREAMED_WORDS: usize = 1 << 15;

impl Avx2 {
    /// Whether the results of a whole limb are best stored past the caches, to be followed by [`Avx2::fence`].
    #[inline(always)]
    pub(super) fn streams(self, limb: &[u64]) -> bool {
        limb.len() >= STREAMED_WORDS && limb.as_ptr().addr().is_multiple_of(size_of::<V>())
    }

    /// Stores a vector of a limb for which [`streams`](Self::streams) chose the way.
    #[inline(always)]
    pub(super) fn store_as(self, streamed: bool, quad: &mut Quad, v: V) {
        if !streamed {
            return self.store(quad, v);
        }
        debug_assert!(quad.as_ptr().addr().is_multiple_of(size_of::<V>()), "an aligned vector");
        // SAFETY: `self` exists, so the processor has the features; the vector is aligned, since its limb is.
        unsafe { _mm256_stream_pd(quad.as_mut_ptr().cast(), v) };
    }

    /// Integers below 2^52 as f64.
    #[inline(always)]
    pub(super) fn to_f64(self, integers: V) -> V {
        let base = self.splat(TWO_52);
        self.sub(self.or(integers, base), base)
    }

    /// The inverse of [`Avx2::to_f64`], for integers in `[0, 2^52)`.
    #[inline(always)]
    pub(super) fn to_integers(self, x: V) -> V {
        let base = self.splat(TWO_52);
        self.xor(self.add(x, base), base)
    }

    #[inline(always)]
    pub(super) fn constants(self, q: u64) -> Constants {
        Constants {
            q: self.splat(q as f64),
            inverse: self.splat(1.0 / q as f64),
            zero: self.splat(0.0),
        }
    }

    /// A residue as a multiplier, centred.
    #[inline(always)]
    pub(super) fn multiplier(self, value: u64, q: u64) -> Multiplier {
        let [value, quotient] = super::ntt::centred_factor(value, q);
        Multiplier {
            value: self.splat(value),
            quotient: self.splat(quotient),
        }
    }

    /// `x * w mod q` within `q` of zero, for `|x| <= 2^52`.
    ///
    /// The product is `high + low` exactly. The estimate of its quotient is off by at most one half before it is rounded,
    /// since its relative error is 2^-52; what remains is an integer below 2^53, so that the subtraction is exact.
    #[inline(always)]
    pub(super) fn mul(self, x: V, w: Multiplier, c: &Constants) -> V {
        let high = self.mul_rounded(x, w.value);
        let low = self.mul_sub(x, w.value, high);
        let estimate = self.nearest(self.mul_rounded(x, w.quotient));
        self.add(self.sub_mul(estimate, c.q, high), low)
    }

    /// `x * y mod q` within `q` of zero, for `|x| < 2^50` and `|y| < q`.
    #[inline(always)]
    pub(super) fn mul_pair(self, x: V, y: V, c: &Constants) -> V {
        let high = self.mul_rounded(x, y);
        let low = self.mul_sub(x, y, high);
        let estimate = self.nearest(self.mul_rounded(high, c.inverse));
        self.add(self.sub_mul(estimate, c.q, high), low)
    }

    /// `x mod q` within `0.51 q` of zero, for `|x| < 2^53`.
    #[inline(always)]
    pub(super) fn reduce(self, x: V, c: &Constants) -> V {
        self.sub_mul(self.nearest(self.mul_rounded(x, c.inverse)), c.q, x)
    }

    /// The canonical residue of a value strictly within `q` of zero.
    #[inline(always)]
    pub(super) fn positive(self, x: V, c: &Constants) -> V {
        // Minus zero becomes zero, so that its sign does not read as negative.
        let x = self.add(x, c.zero);
        self.replace_negative(x, self.add(x, c.q))
    }

    /// The canonical residue, as an integer, of a value strictly within `q` of zero.
    #[inline(always)]
    pub(super) fn canonical(self, x: V, c: &Constants) -> V {
        self.to_integers(self.positive(x, c))
    }

    /// The transpose of the 4 by 4 matrix whose rows are `v`.
    #[inline(always)]
    pub(super) fn transpose(self, v: [V; 4]) -> [V; 4] {
        let (a, b) = (self.interleave_even(v[0], v[1]), self.interleave_odd(v[0], v[1]));
        let (c, d) = (self.interleave_even(v[2], v[3]), self.interleave_odd(v[2], v[3]));
        [
            self.low_halves(a, c),
            self.low_halves(b, d),
            self.high_halves(a, c),
            self.high_halves(b, d),
        ]
    }
}
