//! The negacyclic transform on f64: two layers of butterflies at a time, lazily reduced.
//!
//! Values stay within 3 q of zero: sums are reduced before they grow further, products always are.

use super::super::dispatch::MIN_VECTOR_LOG_N;
use super::super::fused;
use super::super::modular::Scalar;
use super::super::order::{LANES, MAX_COLUMNS};
use super::super::portable;
use super::super::prime::{self, Direction, NttPrime, RootPowers};
use super::vector::{Avx2, Constants, Multiplier, Quad, V};

/// Groups of 16 values in a row.
const ROW_GROUPS: usize = MAX_COLUMNS / 16;

/// A centred factor and its quotient by the prime.
type Factor = [f64; 2];

/// The factors of the last two layers for four blocks of four values, one lane per block: the one of the layer of
/// distance 2, then the two of distance 1; the bits of the values, then of the quotients.
type BlockFactors = [[Quad; 2]; 3];

/// The factors of one direction.
struct Table {
    /// By layer, as in the portable tables, but the last two layers.
    layers: Vec<Factor>,
    blocks: Vec<BlockFactors>,
}

/// Both directions.
pub(in super::super) struct Twiddles {
    forward: Table,
    inverse: Table,
}

/// `value` as a factor of magnitude at most `q / 2`.
pub(super) fn centred_factor(value: u64, q: u64) -> Factor {
    let centred = if value > q / 2 {
        -((q - value) as f64)
    } else {
        value as f64
    };
    [centred, centred / q as f64]
}

pub(super) fn twiddles(roots: &RootPowers<'_>) -> prime::Twiddles {
    if roots.log_n < MIN_VECTOR_LOG_N {
        return (portable::TABLE.twiddles)(roots);
    }
    prime::Twiddles::Avx2(Twiddles {
        forward: Table::new(roots, Direction::Forward),
        inverse: Table::new(roots, Direction::Inverse),
    })
}

impl Table {
    fn new(roots: &RootPowers<'_>, direction: Direction) -> Self {
        let quarter = (1usize << roots.log_n) / 4;
        let factor = |index| centred_factor(roots.twiddle(direction, index), roots.q);
        let lanes = |index: &dyn Fn(usize) -> usize| {
            let factors: [Factor; 4] = std::array::from_fn(|lane| factor(index(lane)));
            [
                factors.map(|factor| factor[0].to_bits()),
                factors.map(|factor| factor[1].to_bits()),
            ]
        };
        let block = |first: usize| {
            let (outer, inner) = (quarter + first, 2 * (quarter + first));
            [
                lanes(&|lane| outer + lane),
                lanes(&|lane| inner + 2 * lane),
                lanes(&|lane| inner + 2 * lane + 1),
            ]
        };
        Self {
            layers: (0..quarter).map(factor).collect(),
            blocks: (0..quarter).step_by(4).map(block).collect(),
        }
    }
}

/// The tables of a prime, unless its ring is too small for them.
fn tables(prime: &NttPrime) -> Option<&Twiddles> {
    match &prime.twiddles {
        prime::Twiddles::Avx2(tables) => Some(tables),
        prime::Twiddles::Portable(_) | prime::Twiddles::Ifma(_) => None,
    }
}

#[inline(always)]
fn splat(simd: Avx2, [value, quotient]: Factor) -> Multiplier {
    Multiplier {
        value: simd.splat(value),
        quotient: simd.splat(quotient),
    }
}

/// The three factors of two layers on the block whose own factor is `layers[outer]`.
#[inline(always)]
fn node(simd: Avx2, layers: &[Factor], outer: usize) -> [Multiplier; 3] {
    [
        splat(simd, layers[outer]),
        splat(simd, layers[2 * outer]),
        splat(simd, layers[2 * outer + 1]),
    ]
}

/// The factors of four transposed blocks.
#[inline(always)]
fn block_node(simd: Avx2, [outer, inner0, inner1]: &BlockFactors) -> [Multiplier; 3] {
    [lanes(simd, outer), lanes(simd, inner0), lanes(simd, inner1)]
}

#[inline(always)]
fn lanes(simd: Avx2, [value, quotient]: &[Quad; 2]) -> Multiplier {
    Multiplier {
        value: simd.load(value),
        quotient: simd.load(quotient),
    }
}

/// Two layers of butterflies on four vectors: a type, since a function passed as a value is not inlined, and what is not
/// inlined is not compiled for the instruction set.
trait Butterflies {
    fn apply(simd: Avx2, v: [V; 4], w: [Multiplier; 3], c: &Constants) -> [V; 4];
}

/// Values within 2.5 q of zero before and after.
struct Forward;

/// Values within q of zero before and after.
struct Inverse;

impl Butterflies for Forward {
    #[inline(always)]
    fn apply(simd: Avx2, v: [V; 4], w: [Multiplier; 3], c: &Constants) -> [V; 4] {
        let (x0, x1) = (simd.reduce(v[0], c), simd.reduce(v[1], c));
        let (y0, y1) = (simd.mul(v[2], w[0], c), simd.mul(v[3], w[0], c));
        let (a0, a1) = (simd.add(x0, y0), simd.mul(simd.add(x1, y1), w[1], c));
        let (b0, b1) = (simd.sub(x0, y0), simd.mul(simd.sub(x1, y1), w[2], c));
        [simd.add(a0, a1), simd.sub(a0, a1), simd.add(b0, b1), simd.sub(b0, b1)]
    }
}

impl Butterflies for Inverse {
    #[inline(always)]
    fn apply(simd: Avx2, v: [V; 4], w: [Multiplier; 3], c: &Constants) -> [V; 4] {
        let (a0, a1) = (simd.add(v[0], v[1]), simd.mul(simd.sub(v[0], v[1]), w[1], c));
        let (b0, b1) = (simd.add(v[2], v[3]), simd.mul(simd.sub(v[2], v[3]), w[2], c));
        let (x0, x1) = (simd.reduce(simd.add(a0, b0), c), simd.reduce(simd.add(a1, b1), c));
        [
            x0,
            x1,
            simd.mul(simd.sub(a0, b0), w[0], c),
            simd.mul(simd.sub(a1, b1), w[0], c),
        ]
    }
}

/// Two layers of butterflies on all `blocks` of `quads`, the first block's factor being `layers[first]`.
#[inline(always)]
fn two_layers<B: Butterflies>(
    simd: Avx2,
    c: &Constants,
    layers: &[Factor],
    first: usize,
    blocks: usize,
    quads: &mut [Quad],
) {
    let size = quads.len() / blocks;
    for (block, quads) in quads.chunks_exact_mut(size).enumerate() {
        let w = node(simd, layers, first + block);
        let (half0, half1) = quads.split_at_mut(size / 2);
        let ((part0, part1), (part2, part3)) = (half0.split_at_mut(size / 4), half1.split_at_mut(size / 4));
        for (((x0, x1), x2), x3) in part0.iter_mut().zip(part1).zip(part2).zip(part3) {
            let v = [simd.load(x0), simd.load(x1), simd.load(x2), simd.load(x3)];
            let [v0, v1, v2, v3] = B::apply(simd, v, w, c);
            simd.store(x0, v0);
            simd.store(x1, v1);
            simd.store(x2, v2);
            simd.store(x3, v3);
        }
    }
}

/// The last two layers, on blocks of four values: four blocks at a time, transposed.
#[inline(always)]
fn last_layers<B: Butterflies>(simd: Avx2, c: &Constants, blocks: &[BlockFactors], quads: &mut [Quad]) {
    for (four, factors) in quads.as_chunks_mut::<4>().0.iter_mut().zip(blocks) {
        let [x0, x1, x2, x3] = four;
        let v = simd.transpose([simd.load(x0), simd.load(x1), simd.load(x2), simd.load(x3)]);
        let [v0, v1, v2, v3] = simd.transpose(B::apply(simd, v, block_node(simd, factors), c));
        simd.store(x0, v0);
        simd.store(x1, v1);
        simd.store(x2, v2);
        simd.store(x3, v3);
    }
}

#[inline(always)]
pub(super) fn forward_tile(simd: Avx2, prime: &NttPrime, tile: &[u64], middle: &mut [u64]) {
    let Some(Twiddles { forward: table, .. }) = tables(prime) else {
        return (portable::TABLE.forward_tile)(prime, tile, middle);
    };
    let (c, rows) = (simd.constants(prime.q()), prime.shape.rows);
    let (tile, middle) = (tile.as_chunks().0, middle.as_chunks_mut().0);
    for (input, out) in tile.iter().zip(&mut *middle) {
        simd.store(out, simd.to_f64(simd.load(input)));
    }
    let mut blocks = 1;
    if !rows.trailing_zeros().is_multiple_of(2) {
        let w = splat(simd, table.layers[1]);
        let (upper, lower) = middle.split_at_mut(middle.len() / 2);
        for (x, y) in upper.iter_mut().zip(lower) {
            let (sum, product) = (simd.load(x), simd.mul(simd.load(y), w, &c));
            simd.store(x, simd.add(sum, product));
            simd.store(y, simd.sub(sum, product));
        }
        blocks = 2;
    }
    while blocks < rows {
        two_layers::<Forward>(simd, &c, &table.layers, blocks, blocks, middle);
        blocks *= 4;
    }
}

#[inline(always)]
pub(super) fn forward_row(simd: Avx2, prime: &NttPrime, row: usize, middle: &[u64], out: &mut [u64]) {
    let Some(Twiddles { forward: table, .. }) = tables(prime) else {
        return (portable::TABLE.forward_row)(prime, row, middle, out);
    };
    let c = simd.constants(prime.q());
    let quads = out.as_chunks_mut().0;
    lazy_row(simd, &c, prime, table, row, middle, quads);
    for quad in quads {
        let x = simd.reduce(simd.load(quad), &c);
        simd.store(quad, simd.canonical(x, &c));
    }
}

/// The second pass of the forward transform on one row: f64 within 2.5 q of zero.
#[inline(always)]
fn lazy_row(
    simd: Avx2,
    c: &Constants,
    prime: &NttPrime,
    table: &Table,
    row: usize,
    middle: &[u64],
    quads: &mut [Quad],
) {
    let shape = prime.shape;
    for (tile, group) in quads.chunks_exact_mut(LANES / 4).enumerate() {
        group
            .as_flattened_mut()
            .copy_from_slice(&middle[tile * shape.middle_stride() + row * LANES..][..LANES]);
    }
    for blocks in [1, 4, 16] {
        two_layers::<Forward>(simd, c, &table.layers, (shape.rows + row) * blocks, blocks, quads);
    }
    last_layers::<Forward>(simd, c, &table.blocks[row * ROW_GROUPS..][..ROW_GROUPS], quads);
}

/// The second pass of the forward transform of a remainder, and the division, which takes its rows as they are.
#[inline(always)]
pub(super) fn divide(
    simd: Avx2,
    prime: &NttPrime,
    remainder: &[u64],
    dividend: &[u64],
    factor: Scalar,
    out: &mut [u64],
) {
    let Some(Twiddles { forward: table, .. }) = tables(prime) else {
        return fused::divide(prime, remainder, dividend, factor, out);
    };
    let (c, factor) = (simd.constants(prime.q()), simd.multiplier(factor.value, prime.q()));
    let streamed = simd.streams(out);
    let mut transformed = [[0; 4]; MAX_COLUMNS / 4];
    let rows = dividend
        .as_chunks::<MAX_COLUMNS>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<MAX_COLUMNS>().0);
    for (row, (dividend, out)) in rows.enumerate() {
        lazy_row(simd, &c, prime, table, row, remainder, &mut transformed);
        let (dividend, out) = (dividend.as_chunks().0, out.as_chunks_mut().0);
        for ((dividend, remainder), out) in dividend.iter().zip(&transformed).zip(out) {
            // Within 3.5 q, hence below 2^52.
            let difference = simd.sub(simd.to_f64(simd.load(dividend)), simd.load(remainder));
            let quotient = simd.canonical(simd.mul(difference, factor, &c), &c);
            simd.store_as(streamed, out, quotient);
        }
    }
    simd.fence();
}

#[inline(always)]
pub(super) fn inverse_row(simd: Avx2, prime: &NttPrime, row: usize, input: &[u64], middle: &mut [u64]) {
    let Some(Twiddles { inverse: table, .. }) = tables(prime) else {
        return (portable::TABLE.inverse_row)(prime, row, input, middle);
    };
    let (c, shape) = (simd.constants(prime.q()), prime.shape);
    let mut values = [0; MAX_COLUMNS];
    values.copy_from_slice(input);
    let quads = values.as_chunks_mut().0;
    for quad in &mut *quads {
        let x = simd.to_f64(simd.load(quad));
        simd.store(quad, x);
    }
    last_layers::<Inverse>(simd, &c, &table.blocks[row * ROW_GROUPS..][..ROW_GROUPS], quads);
    for blocks in [16, 4, 1] {
        two_layers::<Inverse>(simd, &c, &table.layers, (shape.rows + row) * blocks, blocks, quads);
    }
    for (tile, group) in values.chunks_exact(LANES).enumerate() {
        middle[tile * shape.middle_stride() + row * LANES..][..LANES].copy_from_slice(group);
    }
}

#[inline(always)]
pub(super) fn inverse_tile(
    simd: Avx2,
    prime: &NttPrime,
    tile: usize,
    middle: &[u64],
    out: &mut [u64],
    scale: Scalar,
    offset: u64,
) {
    let Some(Twiddles { inverse: table, .. }) = tables(prime) else {
        return (portable::TABLE.inverse_tile)(prime, tile, middle, out, scale, offset);
    };
    let (c, shape) = (simd.constants(prime.q()), prime.shape);
    out.copy_from_slice(&middle[tile * shape.middle_stride()..][..shape.tile_words()]);
    let quads = out.as_chunks_mut().0;
    let mut blocks = shape.rows / 4;
    while blocks > 0 {
        two_layers::<Inverse>(simd, &c, &table.layers, blocks, blocks, quads);
        blocks /= 4;
    }
    if !shape.rows.trailing_zeros().is_multiple_of(2) {
        let w = splat(simd, table.layers[1]);
        let (upper, lower) = quads.split_at_mut(quads.len() / 2);
        for (x, y) in upper.iter_mut().zip(lower) {
            let (a, b) = (simd.load(x), simd.load(y));
            simd.store(x, simd.add(a, b));
            simd.store(y, simd.mul(simd.sub(a, b), w, &c));
        }
    }
    let (scale, offset) = (simd.multiplier(scale.value, prime.q()), simd.splat(offset as f64));
    for quad in quads {
        let scaled = simd.positive(simd.mul(simd.load(quad), scale, &c), &c);
        simd.store(quad, simd.canonical(simd.sub(simd.add(scaled, offset), c.q), &c));
    }
}
