//! Two and three levels of the transform on vectors of complex numbers.
//!
//! A level takes a polynomial modulo `Y^{2m} - w²` to its remainders modulo `Y^m - w` and `Y^m + w`: `a ± w·b`, with one `w`
//! for a whole block. The right remainder's own root is `i` times the left's, so that only left ones are stored.

use pulp::f64x8;

use super::lanes::Lanes;

/// Eight complex numbers.
#[derive(Clone, Copy)]
pub(super) struct Complex {
    pub(super) re: f64x8,
    pub(super) im: f64x8,
}

/// Several levels at once, in registers: `N` vectors of points, `W` roots.
///
/// A trait, because functions passed as values are not inlined in every build, and then have no vectors of their own.
pub(super) trait Butterfly<const N: usize, const W: usize> {
    /// Does it.
    fn apply<L: Lanes>(l: L, x: [Complex; N], w: [Complex; W]) -> [Complex; N];
}

/// Two levels. Roots: the block's and its left half's.
pub(super) struct Four;

/// Four times what [`Four`] came from.
pub(super) struct Unfour;

/// Three levels. Roots: the block's, its left half's, and those of the left quarter of each half.
pub(super) struct Eight;

/// Eight times what [`Eight`] came from.
pub(super) struct Uneight;

impl Complex {
    /// Zero.
    pub(super) const ZERO: Self = Self {
        re: splat(0.0),
        im: splat(0.0),
    };
}

/// Eight times the same number.
#[inline(always)]
pub(super) const fn splat(x: f64) -> f64x8 {
    f64x8(x, x, x, x, x, x, x, x)
}

/// `a ± w·b`, in six fused products.
#[inline(always)]
fn cross<L: Lanes>(l: L, a: Complex, b: Complex, w: Complex) -> (Complex, Complex) {
    let re = l.negate_mul_add(b.im, w.im, l.mul_add(b.re, w.re, a.re));
    let im = l.mul_add(b.im, w.re, l.mul_add(b.re, w.im, a.im));
    (Complex { re, im }, twice_minus(l, a, Complex { re, im }))
}

/// `a ± i·w·b`.
#[inline(always)]
fn cross_i<L: Lanes>(l: L, a: Complex, b: Complex, w: Complex) -> (Complex, Complex) {
    let re = l.negate_mul_add(b.im, w.re, l.negate_mul_add(b.re, w.im, a.re));
    let im = l.negate_mul_add(b.im, w.im, l.mul_add(b.re, w.re, a.im));
    (Complex { re, im }, twice_minus(l, a, Complex { re, im }))
}

#[inline(always)]
fn twice_minus<L: Lanes>(l: L, a: Complex, b: Complex) -> Complex {
    let two = splat(2.0);
    Complex {
        re: l.mul_sub(a.re, two, b.re),
        im: l.mul_sub(a.im, two, b.im),
    }
}

/// `a + b` and `conj(w)·(a - b)`: twice what [`cross`] came from.
#[inline(always)]
fn uncross<L: Lanes>(l: L, a: Complex, b: Complex, w: Complex) -> (Complex, Complex) {
    let (re, im) = (l.sub(a.re, b.re), l.sub(a.im, b.im));
    let turned = Complex {
        re: l.mul_add(re, w.re, l.mul(im, w.im)),
        im: l.mul_sub(im, w.re, l.mul(re, w.im)),
    };
    (sum(l, a, b), turned)
}

/// `a + b` and `conj(i·w)·(a - b)`: twice what [`cross_i`] came from.
#[inline(always)]
fn uncross_i<L: Lanes>(l: L, a: Complex, b: Complex, w: Complex) -> (Complex, Complex) {
    let (re, im) = (l.sub(a.re, b.re), l.sub(a.im, b.im));
    let turned = Complex {
        re: l.mul_sub(im, w.re, l.mul(re, w.im)),
        im: l.negate_mul_sub(re, w.re, l.mul(im, w.im)),
    };
    (sum(l, a, b), turned)
}

#[inline(always)]
fn sum<L: Lanes>(l: L, a: Complex, b: Complex) -> Complex {
    Complex {
        re: l.add(a.re, b.re),
        im: l.add(a.im, b.im),
    }
}

impl Butterfly<4, 2> for Four {
    #[inline(always)]
    fn apply<L: Lanes>(l: L, x: [Complex; 4], w: [Complex; 2]) -> [Complex; 4] {
        let (a0, a2) = cross(l, x[0], x[2], w[0]);
        let (a1, a3) = cross(l, x[1], x[3], w[0]);
        let (b0, b1) = cross(l, a0, a1, w[1]);
        let (b2, b3) = cross_i(l, a2, a3, w[1]);
        [b0, b1, b2, b3]
    }
}

impl Butterfly<4, 2> for Unfour {
    #[inline(always)]
    fn apply<L: Lanes>(l: L, x: [Complex; 4], w: [Complex; 2]) -> [Complex; 4] {
        let (a0, a1) = uncross(l, x[0], x[1], w[1]);
        let (a2, a3) = uncross_i(l, x[2], x[3], w[1]);
        let (y0, y2) = uncross(l, a0, a2, w[0]);
        let (y1, y3) = uncross(l, a1, a3, w[0]);
        [y0, y1, y2, y3]
    }
}

impl Butterfly<8, 4> for Eight {
    #[inline(always)]
    fn apply<L: Lanes>(l: L, x: [Complex; 8], w: [Complex; 4]) -> [Complex; 8] {
        let (a0, a4) = cross(l, x[0], x[4], w[0]);
        let (a1, a5) = cross(l, x[1], x[5], w[0]);
        let (a2, a6) = cross(l, x[2], x[6], w[0]);
        let (a3, a7) = cross(l, x[3], x[7], w[0]);
        let (b0, b2) = cross(l, a0, a2, w[1]);
        let (b1, b3) = cross(l, a1, a3, w[1]);
        let (b4, b6) = cross_i(l, a4, a6, w[1]);
        let (b5, b7) = cross_i(l, a5, a7, w[1]);
        let (c0, c1) = cross(l, b0, b1, w[2]);
        let (c2, c3) = cross_i(l, b2, b3, w[2]);
        let (c4, c5) = cross(l, b4, b5, w[3]);
        let (c6, c7) = cross_i(l, b6, b7, w[3]);
        [c0, c1, c2, c3, c4, c5, c6, c7]
    }
}

impl Butterfly<8, 4> for Uneight {
    #[inline(always)]
    fn apply<L: Lanes>(l: L, x: [Complex; 8], w: [Complex; 4]) -> [Complex; 8] {
        let (b0, b1) = uncross(l, x[0], x[1], w[2]);
        let (b2, b3) = uncross_i(l, x[2], x[3], w[2]);
        let (b4, b5) = uncross(l, x[4], x[5], w[3]);
        let (b6, b7) = uncross_i(l, x[6], x[7], w[3]);
        let (a0, a2) = uncross(l, b0, b2, w[1]);
        let (a1, a3) = uncross(l, b1, b3, w[1]);
        let (a4, a6) = uncross_i(l, b4, b6, w[1]);
        let (a5, a7) = uncross_i(l, b5, b7, w[1]);
        let (y0, y4) = uncross(l, a0, a4, w[0]);
        let (y1, y5) = uncross(l, a1, a5, w[0]);
        let (y2, y6) = uncross(l, a2, a6, w[0]);
        let (y3, y7) = uncross(l, a3, a7, w[0]);
        [y0, y1, y2, y3, y4, y5, y6, y7]
    }
}

/// The columns of eight rows of complex numbers.
#[inline(always)]
pub(super) fn transpose<L: Lanes>(l: L, x: [Complex; 8]) -> [Complex; 8] {
    let re = l.transpose([x[0].re, x[1].re, x[2].re, x[3].re, x[4].re, x[5].re, x[6].re, x[7].re]);
    let im = l.transpose([x[0].im, x[1].im, x[2].im, x[3].im, x[4].im, x[5].im, x[6].im, x[7].im]);
    let mut out = x;
    for i in 0..8 {
        out[i] = Complex { re: re[i], im: im[i] };
    }
    out
}
