//! Layers of butterflies on vectors in registers, lazily reduced.
//!
//! `LIMIT` is how many multiples of the prime 52 bits hold: 64 for primes below 2^46, 16 below 2^48, 4 below 2^50. Bounds
//! are in multiples of the prime; they are known when the code is compiled, so that the reductions cost where they occur.

use super::tables::Factor;
use super::vector::{Constants, Ifma, Line, Multiplier, V};

/// Where the factors of a layer come from.
pub(super) trait Node: Copy {
    fn get(self, simd: Ifma, index: usize) -> Multiplier;
}

/// One factor for all lanes.
#[derive(Clone, Copy)]
pub(super) struct Broadcast<'a>(pub(super) &'a [Factor]);

/// One factor per lane.
#[derive(Clone, Copy)]
pub(super) struct PerLane<'a>(pub(super) &'a [[Line; 2]; 7]);

impl Node for Broadcast<'_> {
    #[inline(always)]
    fn get(self, simd: Ifma, index: usize) -> Multiplier {
        let [value, quotient] = self.0[index];
        simd.multiplier(value, quotient)
    }
}

impl Node for PerLane<'_> {
    #[inline(always)]
    fn get(self, simd: Ifma, index: usize) -> Multiplier {
        let [value, quotient] = &self.0[index];
        Multiplier {
            value: simd.load(value),
            quotient: simd.load(quotient),
        }
    }
}

/// `(x, y) -> (x + w y, x - w y)` on vectors `half` apart, for values below `bound` multiples. Returns the new bound.
#[inline(always)]
fn forward_layer<const R: usize, const LIMIT: u32>(
    simd: Ifma,
    v: &mut [V; R],
    half: usize,
    node: impl Node,
    c: &Constants,
    bound: u32,
) -> u32 {
    let reduces = bound + 2 > LIMIT;
    let blocks = R / (2 * half);
    for block in 0..blocks {
        let w = node.get(simd, blocks - 1 + block);
        for j in 0..half {
            let (i, k) = (2 * half * block + j, 2 * half * block + j + half);
            let x = if reduces { simd.reduce_lazy(v[i], c) } else { v[i] };
            // x - w y + 2q = (2 x + 2q) - (x + w y): the product is only needed in one sum.
            let doubled = simd.add(simd.add(x, x), c.two_q);
            v[i] = simd.mul_add_lazy(x, v[k], w, c);
            v[k] = simd.sub(doubled, v[i]);
        }
    }
    if reduces { 4 } else { bound + 2 }
}

/// All layers of a radix, `R = 2, 4, 8` or `16`. Values may have any bound up to `LIMIT`; returns the new one.
#[inline(always)]
pub(super) fn forward<const R: usize, const LIMIT: u32>(
    simd: Ifma,
    v: &mut [V; R],
    node: impl Node,
    c: &Constants,
    bound: u32,
) -> u32 {
    let mut bound = bound;
    if R >= 16 {
        bound = forward_layer::<R, LIMIT>(simd, v, R / 2, node, c, bound);
    }
    if R >= 8 {
        bound = forward_layer::<R, LIMIT>(simd, v, 4, node, c, bound);
    }
    if R >= 4 {
        bound = forward_layer::<R, LIMIT>(simd, v, 2, node, c, bound);
    }
    forward_layer::<R, LIMIT>(simd, v, 1, node, c, bound)
}

/// `(x, y) -> (x + y, (x - y) w)` on vectors `half` apart, each with its own bound, a power of two.
#[inline(always)]
fn inverse_layer<const R: usize, const LIMIT: u32>(
    simd: Ifma,
    v: &mut [V; R],
    half: usize,
    node: impl Node,
    c: &Constants,
    bounds: &mut [u32; R],
) {
    let blocks = R / (2 * half);
    for block in 0..blocks {
        let w = node.get(simd, blocks - 1 + block);
        for j in 0..half {
            let (i, k) = (2 * half * block + j, 2 * half * block + j + half);
            if bounds[i] + bounds[k] > LIMIT {
                reduce_above(simd, &mut v[i], &mut bounds[i], 2, c);
                reduce_above(simd, &mut v[k], &mut bounds[k], 2, c);
            }
            let (x, y) = (v[i], v[k]);
            let difference = simd.sub(simd.add(x, c.multiples[bounds[k].ilog2() as usize - 1]), y);
            v[i] = simd.add(x, y);
            v[k] = simd.mul_lazy(difference, w, c);
            bounds[i] = (bounds[i] + bounds[k]).next_power_of_two();
            bounds[k] = 2;
        }
    }
}

/// Reduces a value whose bound exceeds `limit >= 2` multiples.
#[inline(always)]
fn reduce_above(simd: Ifma, value: &mut V, bound: &mut u32, limit: u32, c: &Constants) {
    if *bound > limit {
        *value = simd.reduce_lazy(*value, c);
        *bound = 2;
    }
}

/// All layers of a radix, backwards: values below `before` multiples, a power of two, become values below `after`.
#[inline(always)]
pub(super) fn inverse<const R: usize, const LIMIT: u32>(
    simd: Ifma,
    v: &mut [V; R],
    node: impl Node,
    c: &Constants,
    before: u32,
    after: u32,
) {
    let mut bounds = [before; R];
    inverse_layer::<R, LIMIT>(simd, v, 1, node, c, &mut bounds);
    if R >= 4 {
        inverse_layer::<R, LIMIT>(simd, v, 2, node, c, &mut bounds);
    }
    if R >= 8 {
        inverse_layer::<R, LIMIT>(simd, v, 4, node, c, &mut bounds);
    }
    if R >= 16 {
        inverse_layer::<R, LIMIT>(simd, v, R / 2, node, c, &mut bounds);
    }
    for (value, bound) in v.iter_mut().zip(&mut bounds) {
        reduce_above(simd, value, bound, after, c);
    }
}
