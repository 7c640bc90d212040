//! The negacyclic transform: passes of radix up to 16 over the columns of a tile, then one sweep over each row.

use super::super::modular::Scalar;
use super::super::order::{LANES, MAX_COLUMNS};
use super::super::prime::{NttPrime, Twiddles};
use super::butterfly::{Broadcast, PerLane, forward, inverse};
use super::tables::{self, Factor, Table};
use super::vector::{Constants, Ifma, Line, Multiplier, V};

/// Vectors of a row.
const ROW_LINES: usize = MAX_COLUMNS / LANES;
/// Vectors of a quarter of a row.
const QUARTER: usize = ROW_LINES / 4;
/// How many rows ahead the row pass asks for: the rows of 32 tiles are more streams than the hardware follows.
const PREFETCH_ROWS: usize = 4;

/// Bounds between the passes, in multiples of the prime: the reductions that they save are free for small primes.
const fn after_columns(limit: u32) -> u32 {
    // Nine layers add 2 multiples each to the 2 of the input.
    if limit >= 64 { 20 } else { limit }
}

const fn between_inverse_passes(limit: u32) -> u32 {
    if limit >= 64 { 4 } else { 2 }
}

const fn within_inverse_row(limit: u32) -> u32 {
    if limit >= 64 { 16 } else { 2 }
}

/// The vector tables of a prime, unless its ring is too small for them.
pub(super) fn tables(prime: &NttPrime) -> Option<&tables::Twiddles> {
    match &prime.twiddles {
        Twiddles::Ifma(tables) => Some(tables),
        Twiddles::Portable(_) => None,
    }
}

/// Lines between the tiles of the middle buffer.
fn middle_lines(prime: &NttPrime) -> usize {
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

#[inline(always)]
pub(super) fn forward_tile(simd: Ifma, prime: &NttPrime, table: &Table, tile: &[u64], middle: &mut [u64]) {
    let c = simd.constants(prime.q());
    let (tile, middle) = (tile.as_chunks().0, middle.as_chunks_mut().0);
    with_limit!(prime, forward_columns(simd, &c, table, tile, middle));
}

#[inline(always)]
fn forward_columns<const LIMIT: u32>(simd: Ifma, c: &Constants, table: &Table, tile: &[Line], out: &mut [Line]) {
    let nodes = table.columns.as_slice();
    match tile.len() {
        4 => _ = first_forward_pass::<4, LIMIT>(simd, c, &nodes[0], tile, out),
        8 => _ = first_forward_pass::<8, LIMIT>(simd, c, &nodes[0], tile, out),
        64 | 512 => {
            let mut bound = first_forward_pass::<8, LIMIT>(simd, c, &nodes[0], tile, out);
            for nodes in &nodes[1..] {
                forward_pass::<8, LIMIT>(simd, c, nodes, out, bound);
                bound = after_columns(LIMIT);
            }
        }
        lines => {
            let bound = first_forward_pass::<16, LIMIT>(simd, c, &nodes[0], tile, out);
            match lines {
                32 => forward_pass::<2, LIMIT>(simd, c, &nodes[1], out, bound),
                128 => forward_pass::<8, LIMIT>(simd, c, &nodes[1], out, bound),
                256 => forward_pass::<16, LIMIT>(simd, c, &nodes[1], out, bound),
                _ => {}
            }
        }
    }
}

/// The pass that reads the input; returns the bound of its output.
#[inline(always)]
fn first_forward_pass<const R: usize, const LIMIT: u32>(
    simd: Ifma,
    c: &Constants,
    node: &[Factor],
    tile: &[Line],
    out: &mut [Line],
) -> u32 {
    let stride = tile.len() / R;
    let mut bound = 0;
    for start in 0..stride {
        let mut v: [V; R] = simd.gather(tile, start, stride);
        bound = forward::<R, LIMIT>(simd, &mut v, Broadcast(node), c, 2);
        simd.scatter(out, start, stride, v);
    }
    bound
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
pub(super) fn forward_row(simd: Ifma, prime: &NttPrime, table: &Table, row: usize, middle: &[u64], out: &mut [u64]) {
    let c = simd.constants(prime.q());
    let (middle, out) = (middle.as_chunks().0, out.as_chunks_mut().0);
    with_limit!(
        prime,
        row_forward(simd, &c, table, row, middle_lines(prime), middle, out)
    );
}

#[inline(always)]
fn row_forward<const LIMIT: u32>(
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
    for quarter in 0..4 {
        let mut v: [V; 8] = simd.gather(out, quarter * QUARTER, 1);
        v = v.map(|v| simd.mul_lazy(v, scale, c));
        let bound = forward::<8, LIMIT>(simd, &mut v, Broadcast(&factors.lower[quarter]), c, 2);
        v = simd.transpose(v);
        forward::<8, LIMIT>(simd, &mut v, PerLane(&table.lanes[quarter]), c, bound);
        v = simd.transpose(v).map(|v| simd.canonical(simd.reduce_lazy(v, c), c));
        simd.scatter(out, quarter * QUARTER, 1, v);
    }
}

#[inline(always)]
pub(super) fn inverse_row(simd: Ifma, prime: &NttPrime, table: &Table, row: usize, input: &[u64], middle: &mut [u64]) {
    let c = simd.constants(prime.q());
    let (input, middle) = (input.as_chunks().0, middle.as_chunks_mut().0);
    with_limit!(
        prime,
        row_inverse(simd, &c, table, row, middle_lines(prime), input, middle)
    );
}

#[inline(always)]
fn row_inverse<const LIMIT: u32>(
    simd: Ifma,
    c: &Constants,
    table: &Table,
    row: usize,
    stride: usize,
    input: &[Line],
    middle: &mut [Line],
) {
    let factors = &table.rows[row];
    let scale = Multiplier {
        value: simd.load(&factors.lane_scale[0]),
        quotient: simd.load(&factors.lane_scale[1]),
    };
    let within = within_inverse_row(LIMIT);
    let mut lines = [[0; LANES]; ROW_LINES];
    for quarter in 0..4 {
        let mut v = simd.transpose(simd.gather(input, quarter * QUARTER, 1));
        inverse::<8, LIMIT>(simd, &mut v, PerLane(&table.lanes[quarter]), c, 2, LIMIT);
        v = simd.transpose(v).map(|v| simd.mul_lazy(v, scale, c));
        inverse::<8, LIMIT>(simd, &mut v, Broadcast(&factors.lower[quarter]), c, 2, within);
        simd.scatter(&mut lines, quarter * QUARTER, 1, v);
    }
    for start in 0..QUARTER {
        let mut v: [V; 4] = simd.gather(&lines, start, QUARTER);
        inverse::<4, LIMIT>(
            simd,
            &mut v,
            Broadcast(&factors.upper),
            c,
            within,
            between_inverse_passes(LIMIT),
        );
        simd.scatter(middle, start * stride + row, QUARTER * stride, v);
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
    table: &Table,
    tile: usize,
    middle: &[u64],
    out: &mut [u64],
    (scale, offset): (Scalar, u64),
) {
    let c = simd.constants(prime.q());
    let finish = Finish {
        scale: simd.multiplier(scale.value, scale.quotient >> 12),
        offset: simd.splat(offset),
    };
    let lines = &middle.as_chunks().0[tile * middle_lines(prime)..][..prime.shape.rows];
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
    match lines.len() {
        4 => {
            out.copy_from_slice(lines);
            last_inverse_pass::<4, LIMIT>(simd, c, &nodes[0], out, finish);
        }
        8 => {
            out.copy_from_slice(lines);
            last_inverse_pass::<8, LIMIT>(simd, c, &nodes[0], out, finish);
        }
        64 | 512 => {
            inverse_pass::<8, LIMIT>(simd, c, &nodes[nodes.len() - 1], Some(lines), out);
            if let [_, second, _] = nodes {
                inverse_pass::<8, LIMIT>(simd, c, second, None, out);
            }
            last_inverse_pass::<8, LIMIT>(simd, c, &nodes[0], out, finish);
        }
        count => {
            match count {
                32 => inverse_pass::<2, LIMIT>(simd, c, &nodes[1], Some(lines), out),
                128 => inverse_pass::<8, LIMIT>(simd, c, &nodes[1], Some(lines), out),
                256 => inverse_pass::<16, LIMIT>(simd, c, &nodes[1], Some(lines), out),
                _ => out.copy_from_slice(lines),
            }
            last_inverse_pass::<16, LIMIT>(simd, c, &nodes[0], out, finish);
        }
    }
}

/// A pass over blocks of lines with a node each, from `input` to `out`, or in place.
#[inline(always)]
fn inverse_pass<const R: usize, const LIMIT: u32>(
    simd: Ifma,
    c: &Constants,
    nodes: &[Factor],
    input: Option<&[Line]>,
    out: &mut [Line],
) {
    let blocks = nodes.len() / (R - 1);
    let stride = out.len() / blocks / R;
    let bound = between_inverse_passes(LIMIT);
    for (block, node) in nodes.chunks_exact(R - 1).enumerate() {
        for start in block * R * stride..block * R * stride + stride {
            let mut v: [V; R] = simd.gather(input.unwrap_or(out), start, stride);
            inverse::<R, LIMIT>(simd, &mut v, Broadcast(node), c, bound, bound);
            simd.scatter(out, start, stride, v);
        }
    }
}

/// The last pass, in place: its values come out multiplied, canonical, and with the offset.
#[inline(always)]
fn last_inverse_pass<const R: usize, const LIMIT: u32>(
    simd: Ifma,
    c: &Constants,
    node: &[Factor],
    out: &mut [Line],
    finish: Finish,
) {
    let stride = out.len() / R;
    let bound = between_inverse_passes(LIMIT);
    for start in 0..stride {
        let mut v: [V; R] = simd.gather(out, start, stride);
        inverse::<R, LIMIT>(simd, &mut v, Broadcast(node), c, bound, LIMIT);
        let v = v.map(|v| {
            let scaled = simd.canonical(simd.mul_lazy(v, finish.scale, c), c);
            simd.reduce_once(simd.add(scaled, finish.offset), c)
        });
        simd.scatter(out, start, stride, v);
    }
}
