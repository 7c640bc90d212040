//! Eight lanes of 64-bit words and the 52-bit multiplier: the only instructions that the kernels of this set use.
//!
//! Everything here and above is forced inline and uses no closures of the standard library's array methods: code that is
//! not inlined into the compiled-for function is not compiled for the instruction set, and was 15 times slower.
//!
//! Lanes hold values modulo 2^52 with anything above: the multiplier reads the low 52 bits only, which makes the
//! subtraction of a product an addition of its negation, and masks are needed at the end alone.

use std::arch::x86_64::*;

use super::super::order::LANES;

/// Eight words in a vector register.
pub(super) type V = __m512i;
/// Eight words in memory.
pub(super) type Line = [u64; LANES];

const MASK_52: u64 = (1 << 52) - 1;

/// Lines of a limb from which on results are streamed past the caches: polynomials of such limbs do not fit them, and a
/// plain store would read what it overwrites.
const STREAMED_LINES: usize = (1 << 15) / LANES;

/// How a vector is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    Cached,
    /// Past the caches, to be followed by [`Ifma::fence`].
    Streamed,
}

/// Proof that the processor has the instructions: only code compiled for them can make one.
#[derive(Clone, Copy)]
pub(super) struct Ifma(());

/// `floor(value * 2^52 / q)` beside `value < q`, in all lanes or one per lane.
#[derive(Clone, Copy)]
pub(super) struct Multiplier {
    pub(super) value: V,
    pub(super) quotient: V,
}

/// The constants of one prime `q < 2^50`, in all lanes.
#[derive(Clone, Copy)]
pub(super) struct Constants {
    pub(super) q: V,
    /// `2^52 - q`: adding its product subtracts one of `q`.
    negated_q: V,
    pub(super) two_q: V,
    /// `floor(2^52 / q)`.
    word_quotient: V,
    mask: V,
    /// `4 q, 8 q, 16 q, 32 q`: with `2 q`, what keeps differences positive.
    pub(super) multiples: [V; 4],
}

/// A wide integer per lane: `high * 2^52 + low`.
#[derive(Clone, Copy)]
pub(super) struct Wide {
    pub(super) low: V,
    pub(super) high: V,
}

impl Ifma {
    /// To be called where the features are enabled for the compiler, hence are there.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(super) fn new() -> Self {
        Self(())
    }
}

/// Wraps instructions that need nothing but the processor features.
macro_rules! instructions {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $out:ty = $body:expr;)*) => {
        impl Ifma {
            $($(#[$doc])* #[inline(always)]
            pub(super) fn $name(self, $($arg: $type),*) -> $out {
                // SAFETY: `self` exists, so the processor has the features; memory is touched through references only.
                unsafe { $body }
            })*
        }
    };
}

instructions! {
    load(line: &Line) -> V = _mm512_loadu_si512(line.as_ptr().cast());
    store(line: &mut Line, v: V) -> () = _mm512_storeu_si512(line.as_mut_ptr().cast(), v);
    splat(word: u64) -> V = _mm512_set1_epi64(word as i64);
    zero() -> V = _mm512_setzero_si512();
    add(a: V, b: V) -> V = _mm512_add_epi64(a, b);
    sub(a: V, b: V) -> V = _mm512_sub_epi64(a, b);
    min(a: V, b: V) -> V = _mm512_min_epu64(a, b);
    and(a: V, b: V) -> V = _mm512_and_si512(a, b);
    above_52(a: V) -> V = _mm512_srli_epi64::<52>(a);
    below_12_up(a: V) -> V = _mm512_slli_epi64::<52>(a);
    above_12(a: V) -> V = _mm512_srli_epi64::<12>(a);
    up_40(a: V) -> V = _mm512_slli_epi64::<40>(a);
    least(a: V) -> u64 = _mm512_reduce_min_epu64(a);
    absolute(a: V) -> V = _mm512_abs_epi64(a);
    /// `c` where `a` is negative as a signed integer, `b` elsewhere.
    select_negative(a: V, b: V, c: V) -> V = _mm512_mask_mov_epi64(b, _mm512_movepi64_mask(a), c);
    /// `sum` plus the low 52 bits of the product of the low 52 bits.
    madd_low(sum: V, a: V, b: V) -> V = _mm512_madd52lo_epu64(sum, a, b);
    /// `sum` plus the upper 52 bits of that product.
    madd_high(sum: V, a: V, b: V) -> V = _mm512_madd52hi_epu64(sum, a, b);
    /// Lane `t` of the result is lane `order[t]` of `v`.
    permute(order: V, v: V) -> V = _mm512_permutexvar_epi64(order, v);
    interleave_even(a: V, b: V) -> V = _mm512_unpacklo_epi64(a, b);
    interleave_odd(a: V, b: V) -> V = _mm512_unpackhi_epi64(a, b);
    /// Interleaves 32-bit words: the lower two of each quarter.
    interleave_lower(a: V, b: V) -> V = _mm512_unpacklo_epi32(a, b);
    /// Interleaves 32-bit words: the upper two of each quarter.
    interleave_upper(a: V, b: V) -> V = _mm512_unpackhi_epi32(a, b);
    even_pairs(a: V, b: V) -> V = _mm512_shuffle_i64x2::<0x88>(a, b);
    odd_pairs(a: V, b: V) -> V = _mm512_shuffle_i64x2::<0xdd>(a, b);
    splat_f64(x: f64) -> __m512d = _mm512_set1_pd(x);
    to_f64(a: V) -> __m512d = _mm512_cvtepu64_pd(a);
    truncate(x: __m512d) -> V = _mm512_cvttpd_epu64(x);
    /// `sum + a * b`, rounded after each operation.
    multiply_then_add(sum: __m512d, a: __m512d, b: __m512d) -> __m512d = _mm512_add_pd(sum, _mm512_mul_pd(a, b));
    /// Orders streamed stores before whatever follows, so that other threads see them.
    fence() -> () = _mm_sfence();
    /// Asks for a line of memory, which need not exist.
    prefetch(line: *const Line) -> () = _mm_prefetch::<_MM_HINT_T0>(line.cast());
    /// The same, to the second-level cache.
    prefetch_far(line: *const Line) -> () = _mm_prefetch::<_MM_HINT_T1>(line.cast());
}

impl Ifma {
    /// How the results of a whole limb are best stored.
    #[inline(always)]
    pub(super) fn store_of(self, out: &[Line]) -> Store {
        if out.len() >= STREAMED_LINES && out.as_ptr().addr().is_multiple_of(size_of::<Line>()) {
            Store::Streamed
        } else {
            Store::Cached
        }
    }

    /// Stores a vector of a limb for which [`store_of`](Self::store_of) chose the way.
    #[inline(always)]
    pub(super) fn store_as(self, store: Store, line: &mut Line, v: V) {
        match store {
            Store::Cached => self.store(line, v),
            Store::Streamed => {
                debug_assert!(
                    line.as_ptr().addr().is_multiple_of(size_of::<Line>()),
                    "an aligned line"
                );
                // SAFETY: `self` exists, so the processor has the features; the line is aligned, since its limb is.
                unsafe { _mm512_stream_si512(line.as_mut_ptr().cast(), v) };
            }
        }
    }

    /// The vectors at `lines[start + k * stride]` for `k < R`.
    #[inline(always)]
    pub(super) fn gather<const R: usize>(self, lines: &[Line], start: usize, stride: usize) -> [V; R] {
        check_range(lines.len(), start, stride, R);
        let mut out = [self.zero(); R];
        for (k, out) in out.iter_mut().enumerate() {
            // SAFETY: the largest index is inside, as checked.
            *out = self.load(unsafe { lines.get_unchecked(start + k * stride) });
        }
        out
    }

    /// The inverse of [`Ifma::gather`].
    #[inline(always)]
    pub(super) fn scatter<const R: usize>(self, lines: &mut [Line], start: usize, stride: usize, v: [V; R]) {
        check_range(lines.len(), start, stride, R);
        for (k, v) in v.into_iter().enumerate() {
            // SAFETY: the largest index is inside, as checked.
            self.store(unsafe { lines.get_unchecked_mut(start + k * stride) }, v);
        }
    }

    /// The prime's constants.
    #[inline(always)]
    pub(super) fn constants(self, q: u64) -> Constants {
        Constants {
            q: self.splat(q),
            negated_q: self.splat((1 << 52) - q),
            two_q: self.splat(2 * q),
            word_quotient: self.splat((1 << 52) / q),
            mask: self.splat(MASK_52),
            multiples: [
                self.splat(4 * q),
                self.splat(8 * q),
                self.splat(16 * q),
                self.splat(32 * q),
            ],
        }
    }

    #[inline(always)]
    pub(super) fn multiplier(self, value: u64, quotient: u64) -> Multiplier {
        Multiplier {
            value: self.splat(value),
            quotient: self.splat(quotient),
        }
    }

    /// `x * w mod q` in `[0, 2q)`, for the low 52 bits of any `x`.
    #[inline(always)]
    pub(super) fn mul_lazy(self, x: V, w: Multiplier, c: &Constants) -> V {
        let estimate = self.madd_high(self.zero(), x, w.quotient);
        self.madd_low(self.madd_low(self.zero(), x, w.value), estimate, c.negated_q)
    }

    /// `base + x * w mod q` where the product is taken in `[0, 2q)`.
    #[inline(always)]
    pub(super) fn mul_add_lazy(self, base: V, x: V, w: Multiplier, c: &Constants) -> V {
        let estimate = self.madd_high(self.zero(), x, w.quotient);
        self.madd_low(self.madd_low(base, x, w.value), estimate, c.negated_q)
    }

    /// `x mod q` in `[0, 2q)`, for the low 52 bits of any `x`.
    #[inline(always)]
    pub(super) fn reduce_lazy(self, x: V, c: &Constants) -> V {
        self.madd_low(x, self.madd_high(self.zero(), x, c.word_quotient), c.negated_q)
    }

    /// The canonical residue of a lazy one in `[0, 2q)`.
    #[inline(always)]
    pub(super) fn canonical(self, x: V, c: &Constants) -> V {
        let x = self.and(x, c.mask);
        self.min(x, self.sub(x, c.q))
    }

    /// `x mod q` in `[0, q)` for clean `x` in `[0, 2q)`.
    #[inline(always)]
    pub(super) fn reduce_once(self, x: V, c: &Constants) -> V {
        self.min(x, self.sub(x, c.q))
    }

    /// The sum of a wide integer and `a * b`.
    #[inline(always)]
    pub(super) fn madd_wide(self, sum: Wide, a: V, b: V) -> Wide {
        Wide {
            low: self.madd_low(sum.low, a, b),
            high: self.madd_high(sum.high, a, b),
        }
    }

    #[inline(always)]
    pub(super) fn zero_wide(self) -> Wide {
        Wide {
            low: self.zero(),
            high: self.zero(),
        }
    }

    /// A wide integer below 2^104 modulo `q`, in `[0, 4q)`. `upper` multiplies by `2^52 mod q`.
    #[inline(always)]
    pub(super) fn reduce_wide_lazy(self, x: Wide, upper: Multiplier, c: &Constants) -> V {
        let high = self.add(x.high, self.above_52(x.low));
        self.mul_add_lazy(self.reduce_lazy(x.low, c), high, upper, c)
    }

    /// A wide integer below 2^104 modulo `q`, canonical.
    #[inline(always)]
    pub(super) fn reduce_wide(self, x: Wide, upper: Multiplier, c: &Constants) -> V {
        let sum = self.and(self.reduce_wide_lazy(x, upper, c), c.mask);
        self.reduce_once(self.min(sum, self.sub(sum, c.two_q)), c)
    }

    /// The transpose of the 8 by 8 matrix whose rows are `v`.
    #[inline(always)]
    pub(super) fn transpose(self, v: [V; 8]) -> [V; 8] {
        // Pairs of rows interleave to even and odd columns, whose 128-bit parts are then sorted in two rounds.
        let (mut even, mut odd) = ([self.zero(); 4], [self.zero(); 4]);
        for (k, (even, odd)) in even.iter_mut().zip(&mut odd).enumerate() {
            *even = self.interleave_even(v[2 * k], v[2 * k + 1]);
            *odd = self.interleave_odd(v[2 * k], v[2 * k + 1]);
        }
        let (even, odd) = (self.sort_pairs(even), self.sort_pairs(odd));
        [even[0], odd[0], even[1], odd[1], even[2], odd[2], even[3], odd[3]]
    }

    /// The transpose of the 4 by 4 matrix of 128-bit parts whose rows are `v`.
    #[inline(always)]
    fn sort_pairs(self, v: [V; 4]) -> [V; 4] {
        let (a, b) = (self.even_pairs(v[0], v[1]), self.even_pairs(v[2], v[3]));
        let (c, d) = (self.odd_pairs(v[0], v[1]), self.odd_pairs(v[2], v[3]));
        [
            self.even_pairs(a, b),
            self.even_pairs(c, d),
            self.odd_pairs(a, b),
            self.odd_pairs(c, d),
        ]
    }
}

/// # Panics
/// When `start + (count - 1) * stride` is not below `len`.
#[inline(always)]
fn check_range(len: usize, start: usize, stride: usize, count: usize) {
    let last = stride.checked_mul(count - 1).and_then(|span| span.checked_add(start));
    assert!(
        last.is_some_and(|last| last < len),
        "lines {start} + k * {stride} of {len}"
    );
}
