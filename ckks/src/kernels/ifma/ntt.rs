//! The negacyclic transform: passes of radix up to 16 over the columns of a tile, then one sweep over each row.

use super::super::dispatch::MIN_VECTOR_LOG_N;
use super::super::modular::Scalar;
use super::super::order::{LANES, MAX_COLUMNS};
use super::super::portable;
use super::super::prime::{self, NttPrime, RootPowers};
use super::butterfly::{Broadcast, PerLane, forward, forward_two, inverse, inverse_two, stage};
use super::tables::{self, Factor, Table};
use super::vector::{Constants, Ifma, Line, Multiplier, V};

/// Vectors of a row.
pub(super) const ROW_LINES: usize = MAX_COLUMNS / LANES;
/// Vectors of a quarter of a row.
const QUARTER: usize = ROW_LINES / 4;
/// Lines from row to row in the middle buffer of the inverse transform, which is row-major: its row pass would otherwise
/// store to 32 streams (measured twice as slow at 2^15), and its column passes read one line of each row either way. The
/// odd number keeps the lines of a column in different sets of the caches.
const INVERSE_STRIDE: usize = ROW_LINES + 1;
/// How many rows ahead the row pass asks for: the rows of 32 tiles are more streams than the hardware follows.
const PREFETCH_ROWS: usize = 4;

pub(super) fn twiddles(roots: &RootPowers<'_>) -> prime::Twiddles {
    if roots.log_n < MIN_VECTOR_LOG_N {
        return (portable::TABLE.twiddles)(roots);
    }
    prime::Twiddles::Ifma(Box::new(tables::Twiddles::new(roots)))
}

/// The bound of the values between the passes of the forward transform, in multiples of the prime.
const fn after_columns(limit: u32) -> u32 {
    // Nine layers add 2 multiples each to the 4 of the input.
    if limit >= 64 { 22 } else { limit }
}

/// The vector tables of a prime, unless its ring is too small for them.
pub(super) fn tables(prime: &NttPrime) -> Option<&tables::Twiddles> {
    match &prime.twiddles {
        prime::Twiddles::Ifma(tables) => Some(tables),
        prime::Twiddles::Portable(_) | prime::Twiddles::Avx2(_) => None,
    }
}

/// Lines between the tiles of the middle buffer.
pub(super) fn middle_lines(prime: &NttPrime) -> usize {
    prime.shape.middle_stride() / LANES
}

/// Calls a function that is generic over `LIMIT` with the prime's.
macro_rules! with_limit {
    ($prime:expr, $function:ident($($arg:expr),*)) => {
        match $prime.q().ilog2() {
            0..46 => $function::<64>($($arg),*),
            46..48 => $function::<16>($($arg),*),
            _ => $function::<4>($($arg),*),
        }
    };
}
pub(super) use with_limit;

#[inline(always)]
pub(super) fn forward_tile(simd: Ifma, prime: &NttPrime, tile: &[u64], middle: &mut [u64]) {
    let Some(tables::Twiddles { forward: table, .. }) = tables(prime) else {
        return (portable::TABLE.forward_tile)(prime, tile, middle);
    };
    let c = simd.constants(prime.q());
    let (tile, middle) = (tile.as_chunks().0, middle.as_chunks_mut().0);
    with_limit!(prime, forward_columns(simd, &c, table, tile, middle, 1));
}

/// [`forward_tile`] from lazy values, below 4 multiples of the prime, in lines.
#[inline(always)]
pub(super) fn forward_lazy_tile(simd: Ifma, prime: &NttPrime, table: &Table, tile: &[Line], middle: &mut [Line]) {
    let c = simd.constants(prime.q());
    with_limit!(prime, forward_columns(simd, &c, table, tile, middle, 4));
}

#[inline(always)]
fn forward_columns<const LIMIT: u32>(
    simd: Ifma,
    c: &Constants,
    table: &Table,
    tile: &[Line],
    out: &mut [Line],
    bound: u32,
) {
    let nodes = table.columns.as_slice();
    match tile.len() {
        4 => _ = first_forward_pass::<4, LIMIT>(simd, c, &nodes[0], tile, out, bound),
        8 => _ = first_forward_pass::<8, LIMIT>(simd, c, &nodes[0], tile, out, bound),
        64 | 512 => {
            let mut bound = first_forward_pass::<8, LIMIT>(simd, c, &nodes[0], tile, out, bound);
            for nodes in &nodes[1..] {
                forward_pass::<8, LIMIT>(simd, c, nodes, out, bound);
                bound = after_columns(LIMIT);
            }
        }
        lines => {
            let bound = first_forward_pass::<16, LIMIT>(simd, c, &nodes[0], tile, out, bound);
            match lines {
                32 => forward_pass::<2, LIMIT>(simd, c, &nodes[1], out, bound),
                128 => forward_pass::<8, LIMIT>(simd, c, &nodes[1], out, bound),
                256 => forward_pass::<16, LIMIT>(simd, c, &nodes[1], out, bound),
                _ => {}
            }
        }
    }
}

/// The pass that reads the input, of the given bound; returns the bound of its output.
#[inline(always)]
fn first_forward_pass<const R: usize, const LIMIT: u32>(
    simd: Ifma,
    c: &Constants,
    node: &[Factor],
    tile: &[Line],
    out: &mut [Line],
    bound: u32,
) -> u32 {
    let stride = tile.len() / R;
    let mut after = 0;
    for start in 0..stride {
        let mut v: [V; R] = simd.gather(tile, start, stride);
        after = forward::<R, LIMIT>(simd, &mut v, Broadcast(node), c, bound);
        simd.scatter(out, start, stride, v);
    }
    after
}

/// A later pass, in place, over blocks of lines with a node of factors each.
#[inline(always)]
fn forward_pass<const R: usize, const LIMIT: u32>(
    simd: Ifma,
    c: &Constants,
    nodes: &[Factor],
    lines: &mut [Line],
    bound: u32,
) {
    let blocks = nodes.len() / (R - 1);
    let stride = lines.len() / blocks / R;
    for (block, node) in nodes.chunks_exact(R - 1).enumerate() {
        for start in block * R * stride..block * R * stride + stride {
            let mut v: [V; R] = simd.gather(lines, start, stride);
            forward::<R, LIMIT>(simd, &mut v, Broadcast(node), c, bound);
            simd.scatter(lines, start, stride, v);
        }
    }
}

#[inline(always)]
pub(super) fn forward_row(simd: Ifma, prime: &NttPrime, row: usize, middle: &[u64], out: &mut [u64]) {
    let Some(tables::Twiddles { forward: table, .. }) = tables(prime) else {
        return (portable::TABLE.forward_row)(prime, row, middle, out);
    };
    let c = simd.constants(prime.q());
    let (middle, out) = (middle.as_chunks().0, out.as_chunks_mut().0);
    let stride = middle_lines(prime);
    with_limit!(prime, canonical_row(simd, &c, table, row, stride, middle, out));
}

/// What a row ends as.
mod row_end {
    pub(super) const CANONICAL: u32 = 0;
    /// Below [`lazy_bound`](super::lazy_bound) multiples of the prime.
    pub(super) const LAZY: u32 = 1;
}

/// The bound of lazy rows for primes of one `LIMIT`.
pub(super) const fn lazy_bound(limit: u32) -> u32 {
    // Six layers add 2 multiples each to the 2 after the scaling; where these do not fit, rows are reduced.
    if limit >= 64 { 16 } else { 2 }
}

#[inline(always)]
fn canonical_row<const LIMIT: u32>(
    simd: Ifma,
    c: &Constants,
    table: &Table,
    row: usize,
    stride: usize,
    middle: &[Line],
    out: &mut [Line],
) {
    row_forward::<LIMIT, { row_end::CANONICAL }>(simd, c, table, row, stride, middle, out);
}

/// [`forward_row`] to lazy values.
#[inline(always)]
pub(super) fn lazy_row<const LIMIT: u32>(
    simd: Ifma,
    c: &Constants,
    table: &Table,
    row: usize,
    stride: usize,
    middle: &[Line],
    out: &mut [Line],
) {
    row_forward::<LIMIT, { row_end::LAZY }>(simd, c, table, row, stride, middle, out);
}

#[inline(always)]
fn row_forward<const LIMIT: u32, const END: u32>(
    simd: Ifma,
    c: &Constants,
    table: &Table,
    row: usize,
    stride: usize,
    middle: &[Line],
    out: &mut [Line],
) {
    let factors = &table.rows[row];
    if row.is_multiple_of(2) {
        for tile in 0..ROW_LINES {
            let ahead = middle.as_ptr().wrapping_add(tile * stride + row + PREFETCH_ROWS);
            simd.prefetch(ahead);
            simd.prefetch(ahead.wrapping_add(1));
        }
    }
    for start in 0..QUARTER {
        let mut v: [V; 4] = simd.gather(middle, start * stride + row, QUARTER * stride);
        forward::<4, LIMIT>(simd, &mut v, Broadcast(&factors.upper), c, after_columns(LIMIT));
        simd.scatter(out, start, QUARTER, v);
    }
    let scale = Multiplier {
        value: simd.load(&factors.lane_scale[0]),
        quotient: simd.load(&factors.lane_scale[1]),
    };
    for quarter in [0, 2] {
        let mut v = gather_two(simd, out, quarter);
        for v in v.as_flattened_mut() {
            *v = simd.mul_lazy(*v, scale, c);
        }
        let nodes = [
            Broadcast(&factors.lower[quarter]),
            Broadcast(&factors.lower[quarter + 1]),
        ];
        let bound = forward_two::<LIMIT>(simd, &mut v, nodes, c, 2);
        v = transpose_two(simd, v);
        let nodes = [PerLane(&table.lanes[quarter]), PerLane(&table.lanes[quarter + 1])];
        forward_two::<LIMIT>(simd, &mut v, nodes, c, bound);
        v = transpose_two(simd, v);
        for v in v.as_flattened_mut() {
            *v = match END {
                row_end::LAZY if LIMIT >= 64 => *v,
                row_end::LAZY => simd.reduce_lazy(*v, c),
                _ => simd.canonical(simd.reduce_lazy(*v, c), c),
            };
        }
        scatter_two(simd, out, quarter, v);
    }
}

/// Two consecutive quarters of a row.
#[inline(always)]
fn gather_two(simd: Ifma, row: &[Line], quarter: usize) -> [[V; 8]; 2] {
    [
        simd.gather(row, quarter * QUARTER, 1),
        simd.gather(row, (quarter + 1) * QUARTER, 1),
    ]
}

#[inline(always)]
fn scatter_two(simd: Ifma, row: &mut [Line], quarter: usize, v: [[V; 8]; 2]) {
    simd.scatter(row, quarter * QUARTER, 1, v[0]);
    simd.scatter(row, (quarter + 1) * QUARTER, 1, v[1]);
}

#[inline(always)]
fn transpose_two(simd: Ifma, v: [[V; 8]; 2]) -> [[V; 8]; 2] {
    [simd.transpose(v[0]), simd.transpose(v[1])]
}

#[inline(always)]
pub(super) fn inverse_row(simd: Ifma, prime: &NttPrime, row: usize, input: &[u64], middle: &mut [u64]) {
    let Some(tables::Twiddles { inverse: table, .. }) = tables(prime) else {
        return (portable::TABLE.inverse_row)(prime, row, input, middle);
    };
    let c = simd.constants(prime.q());
    let (input, middle) = (input.as_chunks().0, middle.as_chunks_mut().0);
    with_limit!(prime, row_inverse(simd, &c, table, row, input, middle));
}

#[inline(always)]
fn row_inverse<const LIMIT: u32>(
    simd: Ifma,
    c: &Constants,
    table: &Table,
    row: usize,
    input: &[Line],
    middle: &mut [Line],
) {
    let factors = &table.rows[row];
    let scale = Multiplier {
        value: simd.load(&factors.lane_scale[0]),
        quotient: simd.load(&factors.lane_scale[1]),
    };
    let lines = &mut middle[row * INVERSE_STRIDE..][..ROW_LINES];
    for quarter in [0, 2] {
        let mut v = transpose_two(simd, gather_two(simd, input, quarter));
        let nodes = [PerLane(&table.lanes[quarter]), PerLane(&table.lanes[quarter + 1])];
        inverse_two::<LIMIT, { stage::PRODUCT }>(simd, &mut v, nodes, c);
        v = transpose_two(simd, v);
        for v in v.as_flattened_mut() {
            *v = simd.mul_lazy(*v, scale, c);
        }
        let nodes = [
            Broadcast(&factors.lower[quarter]),
            Broadcast(&factors.lower[quarter + 1]),
        ];
        inverse_two::<LIMIT, { stage::ROW_END }>(simd, &mut v, nodes, c);
        scatter_two(simd, lines, quarter, v);
    }
    for start in 0..QUARTER {
        let mut v: [V; 4] = simd.gather(lines, start, QUARTER);
        inverse::<4, LIMIT, { stage::ROW_END }, { stage::COLUMN }>(simd, &mut v, Broadcast(&factors.upper), c);
        simd.scatter(lines, start, QUARTER, v);
    }
}

/// What the last pass does to a value: multiply and add.
#[derive(Clone, Copy)]
struct Finish {
    scale: Multiplier,
    offset: V,
}

#[inline(always)]
pub(super) fn inverse_tile(
    simd: Ifma,
    prime: &NttPrime,
    tile: usize,
    middle: &[u64],
    out: &mut [u64],
    scale: Scalar,
    offset: u64,
) {
    let Some(tables::Twiddles { inverse: table, .. }) = tables(prime) else {
        return (portable::TABLE.inverse_tile)(prime, tile, middle, out, scale, offset);
    };
    let c = simd.constants(prime.q());
    let finish = Finish {
        scale: simd.multiplier(scale.value, scale.quotient >> 12),
        offset: simd.splat(offset),
    };
    let lines = &middle.as_chunks().0[tile..];
    let out = out.as_chunks_mut().0;
    with_limit!(prime, inverse_columns(simd, &c, table, lines, out, finish));
}

#[inline(always)]
fn inverse_columns<const LIMIT: u32>(
    simd: Ifma,
    c: &Constants,
    table: &Table,
    lines: &[Line],
    out: &mut [Line],
    finish: Finish,
) {
    let nodes = table.columns.as_slice();
    match out.len() {
        4 => inverse_pass::<4, LIMIT>(simd, c, &nodes[0], Some(lines), out, Some(finish)),
        8 => inverse_pass::<8, LIMIT>(simd, c, &nodes[0], Some(lines), out, Some(finish)),
        16 => inverse_pass::<16, LIMIT>(simd, c, &nodes[0], Some(lines), out, Some(finish)),
        64 => {
            inverse_pass::<8, LIMIT>(simd, c, &nodes[1], Some(lines), out, None);
            inverse_pass::<8, LIMIT>(simd, c, &nodes[0], None, out, Some(finish));
        }
        512 => {
            inverse_pass::<8, LIMIT>(simd, c, &nodes[2], Some(lines), out, None);
            inverse_pass::<8, LIMIT>(simd, c, &nodes[1], None, out, None);
            inverse_pass::<8, LIMIT>(simd, c, &nodes[0], None, out, Some(finish));
        }
        rows => {
            match rows {
                32 => inverse_pass::<2, LIMIT>(simd, c, &nodes[1], Some(lines), out, None),
                128 => inverse_pass::<8, LIMIT>(simd, c, &nodes[1], Some(lines), out, None),
                _ => inverse_pass::<16, LIMIT>(simd, c, &nodes[1], Some(lines), out, None),
            }
            inverse_pass::<16, LIMIT>(simd, c, &nodes[0], None, out, Some(finish));
        }
    }
}

/// A pass over blocks of lines with a node each, from the middle buffer to `out`, or in place. The last pass finishes.
#[inline(always)]
fn inverse_pass<const R: usize, const LIMIT: u32>(
    simd: Ifma,
    c: &Constants,
    nodes: &[Factor],
    middle: Option<&[Line]>,
    out: &mut [Line],
    finish: Option<Finish>,
) {
    let blocks = nodes.len() / (R - 1);
    let stride = out.len() / blocks / R;
    for (block, node) in nodes.chunks_exact(R - 1).enumerate() {
        for start in block * R * stride..block * R * stride + stride {
            let mut v: [V; R] = match middle {
                Some(middle) => simd.gather(middle, start * INVERSE_STRIDE, stride * INVERSE_STRIDE),
                None => simd.gather(out, start, stride),
            };
            match finish {
                Some(finish) => {
                    inverse::<R, LIMIT, { stage::COLUMN }, { stage::PRODUCT }>(simd, &mut v, Broadcast(node), c);
                    for v in &mut v {
                        let scaled = simd.canonical(simd.mul_lazy(*v, finish.scale, c), c);
                        *v = simd.reduce_once(simd.add(scaled, finish.offset), c);
                    }
                }
                None => inverse::<R, LIMIT, { stage::COLUMN }, { stage::COLUMN }>(simd, &mut v, Broadcast(node), c),
            }
            simd.scatter(out, start, stride, v);
        }
    }
}
