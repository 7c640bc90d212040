//! The negacyclic transform of real polynomials, eight numbers at a time.
//!
//! A polynomial `a` of degree below `N` is `Σ_j (a_j + i·a_{j+N/2})·Y^j` modulo `Y^{N/2} - i`, and the transform takes that to
//! its remainders at the `N/2` roots, level by level ([`butterfly`]). Products of transforms are products modulo `X^N + 1`.
//! Levels of less than eight points work on transposed blocks of 64 and leave them so: the order of the points is
//! nobody's business as long as both directions agree on it.
//!
//! # Source
//! The tree of remainders with one root a block: D. J. Bernstein, *Multidigit multiplication for mathematicians*, 2001,
//! section 2; six fused products a butterfly: S. Goedecker, *Fast radix 2, 3, 4, and 5 kernels for fast Fourier
//! transformations on computers with overlapping multiply-add instructions*, SIAM J. Sci. Comput. 18(6), 1997.

mod butterfly;
mod lanes;

use aligned_vec::{AVec, avec};
use pulp::bytemuck::cast_slice_mut;
use pulp::f64x8;

use butterfly::{Butterfly, Complex, Eight, Four, Uneight, Unfour, splat, transpose};
pub(super) use lanes::{Kernel, Lanes, Machine};

/// Points of the blocks that stay in registers.
const BLOCK: usize = 64;
/// Vectors of a block's roots: real and imaginary parts of four.
const LANE_ROOTS: usize = 8;

/// The transform of one ring degree.
pub(super) struct Transform {
    half: usize,
    /// `[2^level + block]`: the root by which a block of a level is split.
    roots: Vec<(f64, f64)>,
    /// By block of 64 points: the roots of its transposed levels, eight at a time.
    lane_roots: AVec<f64x8>,
}

impl Transform {
    /// The transform for polynomials of `degree` coefficients, a power of two of at least 512.
    pub(super) fn new(degree: usize) -> Self {
        let half = degree / 2;
        // A block's modulus is Y^m - exp(iπ·phase).
        let mut phase = vec![0.5f64; 2 * half];
        for node in 2..2 * half {
            phase[node] = phase[node / 2] / 2.0 + (node % 2) as f64;
        }
        let root = |node: usize| {
            let (sin, cos) = (phase[node] / 2.0 * std::f64::consts::PI).sin_cos();
            (cos, sin)
        };
        let mut lane_roots = avec![splat(0.0); half / BLOCK * LANE_ROOTS];
        for (block, lane_roots) in lane_roots.chunks_exact_mut(LANE_ROOTS).enumerate() {
            let first = 8 * (half / BLOCK + block);
            let mut of = |at: usize, node: &dyn Fn(usize) -> usize| {
                let roots: [(f64, f64); 8] = std::array::from_fn(|lane| root(node(first + lane)));
                lane_roots[2 * at] = pulp::cast(roots.map(|root| root.0));
                lane_roots[2 * at + 1] = pulp::cast(roots.map(|root| root.1));
            };
            of(0, &|node| node);
            of(1, &|node| 2 * node);
            of(2, &|node| 4 * node);
            of(3, &|node| 4 * node + 2);
        }
        Self {
            half,
            roots: (0..half / 8).map(root).collect(),
            lane_roots,
        }
    }

    /// Complex points of a transform.
    pub(super) fn half(&self) -> usize {
        self.half
    }

    /// Transforms the coefficients of a polynomial in place, to real parts and then imaginary parts.
    ///
    /// # Shapes
    /// `values`: `N`.
    #[inline(always)]
    pub(super) fn forward<L: Lanes>(&self, values: &mut [f64], l: L) {
        let (re, im) = cast_slice_mut::<f64, f64x8>(values).split_at_mut(self.half / 8);
        let (fours, eights) = self.passes();
        let mut blocks = 1;
        for _ in 0..fours {
            self.pass::<Four, L, 4, 2>(l, re, im, blocks);
            blocks *= 4;
        }
        for _ in 0..eights {
            self.pass::<Eight, L, 8, 4>(l, re, im, blocks);
            blocks *= 8;
        }
        let parts = re.chunks_exact_mut(8).zip(im.chunks_exact_mut(8));
        let parts = parts.zip(self.lane_roots.chunks_exact(LANE_ROOTS));
        for (block, ((re, im), lanes)) in parts.enumerate() {
            let rows = Eight::apply(l, load(re, im), self.roots_of(blocks + block));
            store(re, im, Eight::apply(l, transpose(l, rows), lane_roots(lanes)));
        }
    }

    /// The other direction, times `N/2`.
    ///
    /// # Shapes
    /// `values`: `N`.
    #[inline(always)]
    pub(super) fn backward<L: Lanes>(&self, values: &mut [f64], l: L) {
        let (re, im) = cast_slice_mut::<f64, f64x8>(values).split_at_mut(self.half / 8);
        let mut blocks = self.half / BLOCK;
        let parts = re.chunks_exact_mut(8).zip(im.chunks_exact_mut(8));
        let parts = parts.zip(self.lane_roots.chunks_exact(LANE_ROOTS));
        for (block, ((re, im), lanes)) in parts.enumerate() {
            let columns = Uneight::apply(l, load(re, im), lane_roots(lanes));
            let rows = Uneight::apply(l, transpose(l, columns), self.roots_of(blocks + block));
            store(re, im, rows);
        }
        let (fours, eights) = self.passes();
        for _ in 0..eights {
            blocks /= 8;
            self.pass::<Uneight, L, 8, 4>(l, re, im, blocks);
        }
        for _ in 0..fours {
            blocks /= 4;
            self.pass::<Unfour, L, 4, 2>(l, re, im, blocks);
        }
    }

    /// How many passes of two and of three levels come before blocks of 64 points.
    fn passes(&self) -> (u32, u32) {
        let levels = (self.half / BLOCK).ilog2();
        let fours = (3 - levels % 3) % 3;
        (fours, (levels - 2 * fours) / 3)
    }

    /// One pass over all blocks of a level, `N` points a butterfly.
    #[inline(always)]
    fn pass<B: Butterfly<N, W>, L: Lanes, const N: usize, const W: usize>(
        &self,
        l: L,
        re: &mut [f64x8],
        im: &mut [f64x8],
        blocks: usize,
    ) {
        let len = re.len() / blocks;
        let parts = re.chunks_exact_mut(len).zip(im.chunks_exact_mut(len));
        for (block, (re, im)) in parts.enumerate() {
            let w = self.roots_of(blocks + block);
            let (re, im) = (split::<N>(re), split::<N>(im));
            for at in 0..len / N {
                let mut x = [Complex::ZERO; N];
                for i in 0..N {
                    x[i] = Complex {
                        re: re[i][at],
                        im: im[i][at],
                    };
                }
                let y = B::apply(l, x, w);
                for i in 0..N {
                    re[i][at] = y[i].re;
                    im[i][at] = y[i].im;
                }
            }
        }
    }

    /// The roots of a block, of its left half, and of the left quarter of each half, as many as a butterfly needs.
    #[inline(always)]
    fn roots_of<const W: usize>(&self, node: usize) -> [Complex; W] {
        let nodes = [node, 2 * node, 4 * node, 4 * node + 2];
        let mut roots = [Complex::ZERO; W];
        for (root, node) in roots.iter_mut().zip(nodes) {
            let (re, im) = self.roots[node];
            *root = Complex {
                re: splat(re),
                im: splat(im),
            };
        }
        roots
    }
}

#[inline(always)]
fn split<const N: usize>(block: &mut [f64x8]) -> [&mut [f64x8]; N] {
    let len = block.len() / N;
    let mut parts = block.chunks_exact_mut(len);
    std::array::from_fn(|_| {
        parts
            .next()
            .expect("a block has as many parts as a butterfly has points")
    })
}

#[inline(always)]
fn lane_roots(vectors: &[f64x8]) -> [Complex; 4] {
    let mut roots = [Complex::ZERO; 4];
    for (root, parts) in roots.iter_mut().zip(vectors.chunks_exact(2)) {
        *root = Complex {
            re: parts[0],
            im: parts[1],
        };
    }
    roots
}

#[inline(always)]
fn load(re: &[f64x8], im: &[f64x8]) -> [Complex; 8] {
    let mut x = [Complex::ZERO; 8];
    for i in 0..8 {
        x[i] = Complex { re: re[i], im: im[i] };
    }
    x
}

#[inline(always)]
fn store(re: &mut [f64x8], im: &mut [f64x8], x: [Complex; 8]) {
    for i in 0..8 {
        re[i] = x[i].re;
        im[i] = x[i].im;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Multiplies two polynomials into `out`.
    struct Multiply<'a> {
        transform: &'a Transform,
        a: Vec<f64>,
        b: Vec<f64>,
        out: &'a mut Vec<f64>,
    }

    impl Kernel for Multiply<'_> {
        #[inline(always)]
        fn run<L: Lanes>(mut self, lanes: L) {
            let half = self.transform.half();
            self.transform.forward(&mut self.a, lanes);
            self.transform.forward(&mut self.b, lanes);
            for i in 0..half {
                let (a, b) = ((self.a[i], self.a[half + i]), (self.b[i], self.b[half + i]));
                self.out[i] = (a.0 * b.0 - a.1 * b.1) / half as f64;
                self.out[half + i] = (a.0 * b.1 + a.1 * b.0) / half as f64;
            }
            self.transform.backward(self.out, lanes);
        }
    }

    /// Integers up to 50 that look random.
    fn integers(n: usize, seed: u64) -> Vec<f64> {
        let word = |i: u64| (i + 1).wrapping_mul(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
        (0..n as u64).map(|i| (word(i) % 101) as f64 - 50.0).collect()
    }

    #[test]
    fn products_are_negacyclic_on_every_machine_and_for_every_degree() {
        for degree in [512, 1024, 2048, 4096, 8192, 16384] {
            let transform = Transform::new(degree);
            let (a, b) = (integers(degree, 3), integers(degree, 7));
            for machine in Machine::all() {
                let mut out = vec![0.0; degree];
                machine.run(Multiply {
                    transform: &transform,
                    a: a.clone(),
                    b: b.clone(),
                    out: &mut out,
                });
                for at in [0, 1, degree / 2, degree - 1] {
                    let products = (0..degree).map(|i| {
                        if i <= at {
                            a[i] * b[at - i]
                        } else {
                            -a[i] * b[degree + at - i]
                        }
                    });
                    let exact: f64 = products.sum();
                    // Sums of `degree` products up to 2500, with 53 bits.
                    let bound = degree as f64 * 2500.0 * 2f64.powi(-44);
                    assert!((out[at] - exact).abs() < bound, "{machine:?}, degree {degree}, {at}");
                }
            }
        }
    }
}
