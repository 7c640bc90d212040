//! Layers of butterflies on vectors in registers, lazily reduced.
//!
//! `LIMIT` is how many multiples of the prime 52 bits hold: 64 for primes below 2^46, 16 below 2^48, 4 below 2^50. Bounds
//! are in multiples of the prime; they are known when the code is compiled, so that the reductions cost where they occur.
//! The distance of a butterfly is a parameter of its type: with an argument, loops stay loops and vectors leave registers.

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

/// `(x, y) -> (x + w y, x - w y)` on vectors `HALF` apart, for values below `bound` multiples. Returns the new bound.
#[inline(always)]
fn forward_layer<const R: usize, const HALF: usize, const LIMIT: u32>(
    simd: Ifma,
    v: &mut [V; R],
    node: impl Node,
    c: &Constants,
    bound: u32,
) -> u32 {
    let reduces = bound + 2 > LIMIT;
    let blocks = R / (2 * HALF);
    for block in 0..blocks {
        let w = node.get(simd, blocks - 1 + block);
        for j in 0..HALF {
            let (i, k) = (2 * HALF * block + j, 2 * HALF * block + j + HALF);
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
        bound = forward_layer::<R, 8, LIMIT>(simd, v, node, c, bound);
    }
    if R >= 8 {
        bound = forward_layer::<R, 4, LIMIT>(simd, v, node, c, bound);
    }
    if R >= 4 {
        bound = forward_layer::<R, 2, LIMIT>(simd, v, node, c, bound);
    }
    forward_layer::<R, 1, LIMIT>(simd, v, node, c, bound)
}

/// The three layers of radix 8 on two groups at once: one group alone waits for its own products.
#[inline(always)]
pub(super) fn forward_two<const LIMIT: u32>(
    simd: Ifma,
    v: &mut [[V; 8]; 2],
    nodes: [impl Node; 2],
    c: &Constants,
    bound: u32,
) -> u32 {
    let [first, second] = v;
    forward_layer::<8, 4, LIMIT>(simd, first, nodes[0], c, bound);
    let bound = forward_layer::<8, 4, LIMIT>(simd, second, nodes[1], c, bound);
    forward_layer::<8, 2, LIMIT>(simd, first, nodes[0], c, bound);
    let bound = forward_layer::<8, 2, LIMIT>(simd, second, nodes[1], c, bound);
    forward_layer::<8, 1, LIMIT>(simd, first, nodes[0], c, bound);
    forward_layer::<8, 1, LIMIT>(simd, second, nodes[1], c, bound)
}

/// Where in the inverse transform a radix stands, which says how large its values are.
pub(super) mod stage {
    /// In a row: the transposed layers, and those after the scaling of the lanes.
    pub(in super::super) const ROW: u32 = 0;
    /// In a row: its last two layers.
    pub(in super::super) const ROW_END: u32 = 1;
    /// In a column.
    pub(in super::super) const COLUMN: u32 = 2;
    /// Before a multiplication, which takes any value.
    pub(in super::super) const PRODUCT: u32 = 3;
}

/// The bound of the values that enter a stage.
const fn bound_before(limit: u32, stage: u32) -> u32 {
    match (limit, stage) {
        (64, stage::ROW_END) => 16,
        (64, stage::COLUMN) => 4,
        (limit, stage::PRODUCT) => limit,
        _ => 2,
    }
}

/// The bounds of the values before the layer that pairs values `half` apart, by their position in a block of `half`.
const fn bounds(limit: u32, stage: u32, half: usize) -> [u32; 16] {
    let mut bounds = [bound_before(limit, stage); 16];
    let mut done = 1;
    while done < half {
        let mut i = 0;
        while i < done {
            // Sums that would not fit are sums of values reduced to 2 multiples; products are below 2 multiples.
            bounds[i] = if 2 * bounds[i] > limit { 4 } else { 2 * bounds[i] };
            bounds[i + done] = 2;
            i += 1;
        }
        done *= 2;
    }
    bounds
}

/// `(x, y) -> (x + y, (x - y) w)` on vectors `HALF` apart.
#[inline(always)]
fn inverse_layer<const R: usize, const HALF: usize, const LIMIT: u32, const STAGE: u32>(
    simd: Ifma,
    v: &mut [V; R],
    node: impl Node,
    c: &Constants,
) {
    let bounds = const { bounds(LIMIT, STAGE, HALF) };
    let blocks = R / (2 * HALF);
    for block in 0..blocks {
        let w = node.get(simd, blocks - 1 + block);
        for (j, &bound) in bounds.iter().enumerate().take(HALF) {
            let (i, k) = (2 * HALF * block + j, 2 * HALF * block + j + HALF);
            let (mut x, mut y, mut positive) = (v[i], v[k], multiple(c, bound));
            if 2 * bound > LIMIT {
                (x, y, positive) = (simd.reduce_lazy(x, c), simd.reduce_lazy(y, c), c.two_q);
            }
            v[i] = simd.add(x, y);
            v[k] = simd.mul_lazy(simd.sub(simd.add(x, positive), y), w, c);
        }
    }
}

/// `bound` times the prime, for a power of two from 2 to 32.
#[inline(always)]
fn multiple(c: &Constants, bound: u32) -> V {
    match bound {
        2 => c.two_q,
        4 => c.multiples[0],
        8 => c.multiples[1],
        16 => c.multiples[2],
        _ => c.multiples[3],
    }
}

/// Reduces the values of a finished radix that exceed the bound of the stage `NEXT`.
#[inline(always)]
fn settle<const R: usize, const LIMIT: u32, const STAGE: u32, const NEXT: u32>(
    simd: Ifma,
    v: &mut [V; R],
    c: &Constants,
) {
    let bounds = const { bounds(LIMIT, STAGE, R) };
    for (value, &bound) in v.iter_mut().zip(&bounds) {
        if bound > const { bound_before(LIMIT, NEXT) } {
            *value = simd.reduce_lazy(*value, c);
        }
    }
}

/// All layers of a radix, backwards, from the bound of `STAGE` to that of `NEXT`.
#[inline(always)]
pub(super) fn inverse<const R: usize, const LIMIT: u32, const STAGE: u32, const NEXT: u32>(
    simd: Ifma,
    v: &mut [V; R],
    node: impl Node,
    c: &Constants,
) {
    inverse_layer::<R, 1, LIMIT, STAGE>(simd, v, node, c);
    if R >= 4 {
        inverse_layer::<R, 2, LIMIT, STAGE>(simd, v, node, c);
    }
    if R >= 8 {
        inverse_layer::<R, 4, LIMIT, STAGE>(simd, v, node, c);
    }
    if R >= 16 {
        inverse_layer::<R, 8, LIMIT, STAGE>(simd, v, node, c);
    }
    settle::<R, LIMIT, STAGE, NEXT>(simd, v, c);
}

/// The three layers of radix 8, backwards, on two groups at once.
#[inline(always)]
pub(super) fn inverse_two<const LIMIT: u32, const NEXT: u32>(
    simd: Ifma,
    v: &mut [[V; 8]; 2],
    nodes: [impl Node; 2],
    c: &Constants,
) {
    let [first, second] = v;
    inverse_layer::<8, 1, LIMIT, { stage::ROW }>(simd, first, nodes[0], c);
    inverse_layer::<8, 1, LIMIT, { stage::ROW }>(simd, second, nodes[1], c);
    inverse_layer::<8, 2, LIMIT, { stage::ROW }>(simd, first, nodes[0], c);
    inverse_layer::<8, 2, LIMIT, { stage::ROW }>(simd, second, nodes[1], c);
    inverse_layer::<8, 4, LIMIT, { stage::ROW }>(simd, first, nodes[0], c);
    inverse_layer::<8, 4, LIMIT, { stage::ROW }>(simd, second, nodes[1], c);
    settle::<8, LIMIT, { stage::ROW }, NEXT>(simd, first, c);
    settle::<8, LIMIT, { stage::ROW }, NEXT>(simd, second, c);
}
