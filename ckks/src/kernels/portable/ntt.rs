//! The negacyclic transform in two passes: butterflies between rows within each tile of eight columns, then within each
//! row. Cooley and Tukey forward, Gentleman and Sande back, with Harvey's lazy reduction.
//!
//! # Source
//! D. Harvey, *Faster arithmetic for number-theoretic transforms* (2014); the order of the twiddle factors:
//! P. Longa, M. Naehrig, *Speeding up the number theoretic transform* (ePrint 2016/504), algorithms 1 and 2.

use super::super::modular::{Scalar, reduce_once};
use super::super::order::{LANES, MAX_COLUMNS};
use super::super::prime::{self, Direction, NttPrime, RootPowers};

/// Twiddle factors by layer: entry `m + i` belongs to block `i` of the layer of `m` blocks.
pub(in super::super) struct Twiddles {
    forward: Vec<Scalar>,
    inverse: Vec<Scalar>,
}

pub(super) fn twiddles(roots: &RootPowers<'_>) -> prime::Twiddles {
    let table = |direction| {
        (0..1 << roots.log_n)
            .map(|i| Scalar::new(roots.twiddle(direction, i), roots.q))
            .collect()
    };
    prime::Twiddles::Portable(Twiddles {
        forward: table(Direction::Forward),
        inverse: table(Direction::Inverse),
    })
}

/// The portable tables, which a prime has when the portable transforms are called for it.
fn tables(prime: &NttPrime) -> &Twiddles {
    match &prime.twiddles {
        prime::Twiddles::Portable(tables) => tables,
        #[cfg(target_arch = "x86_64")]
        prime::Twiddles::Avx2(_) | prime::Twiddles::Ifma(_) => {
            unreachable!("a vector set calls its own transforms where it has tables")
        }
    }
}

/// Butterflies of all blocks of one layer, `(x, y) -> (x + w y, x - w y)`: `twiddles` has one factor per block of `2 half` words.
/// Values in `[0, 4q)` before and after.
#[inline(always)]
fn forward_layer(values: &mut [u64], half: usize, twiddles: &[Scalar], q: u64) {
    for (block, w) in values.chunks_exact_mut(2 * half).zip(twiddles) {
        let (lower, upper) = block.split_at_mut(half);
        for (x, y) in lower.iter_mut().zip(upper) {
            let sum = reduce_once(*x, 2 * q);
            let product = w.mul_lazy(*y, q);
            *x = sum + product;
            *y = sum + 2 * q - product;
        }
    }
}

/// Inverse butterflies, `(x, y) -> (x + y, (x - y) w)`. Values in `[0, 2q)` before and after.
#[inline(always)]
fn inverse_layer(values: &mut [u64], half: usize, twiddles: &[Scalar], q: u64) {
    for (block, w) in values.chunks_exact_mut(2 * half).zip(twiddles) {
        let (lower, upper) = block.split_at_mut(half);
        for (x, y) in lower.iter_mut().zip(upper) {
            let difference = *x + 2 * q - *y;
            *x = reduce_once(*x + *y, 2 * q);
            *y = w.mul_lazy(difference, q);
        }
    }
}

pub(in super::super) fn forward_tile(prime: &NttPrime, tile: &[u64], middle: &mut [u64]) {
    let (rows, q, roots) = (prime.shape.rows, prime.q(), &tables(prime).forward);
    middle.copy_from_slice(tile);
    let mut blocks = 1;
    while blocks < rows {
        forward_layer(middle, rows / blocks / 2 * LANES, &roots[blocks..2 * blocks], q);
        blocks *= 2;
    }
}

pub(in super::super) fn forward_row(prime: &NttPrime, row: usize, middle: &[u64], out: &mut [u64]) {
    let (shape, q, roots) = (prime.shape, prime.q(), &tables(prime).forward);
    for (tile, group) in out.chunks_exact_mut(LANES).enumerate() {
        group.copy_from_slice(&middle[tile * shape.middle_stride() + row * LANES..][..LANES]);
    }
    let mut blocks = 1;
    while blocks < shape.columns {
        let first = (shape.rows + row) * blocks;
        forward_layer(out, shape.columns / blocks / 2, &roots[first..first + blocks], q);
        blocks *= 2;
    }
    for value in out {
        *value = reduce_once(reduce_once(*value, 2 * q), q);
    }
}

pub(in super::super) fn inverse_row(prime: &NttPrime, row: usize, evaluations: &[u64], middle: &mut [u64]) {
    let (shape, q, roots) = (prime.shape, prime.q(), &tables(prime).inverse);
    let mut values = [0; MAX_COLUMNS];
    let values = &mut values[..shape.columns];
    values.copy_from_slice(evaluations);
    let mut blocks = shape.columns / 2;
    while blocks > 0 {
        let first = (shape.rows + row) * blocks;
        inverse_layer(values, shape.columns / blocks / 2, &roots[first..first + blocks], q);
        blocks /= 2;
    }
    for (tile, group) in values.chunks_exact(LANES).enumerate() {
        middle[tile * shape.middle_stride() + row * LANES..][..LANES].copy_from_slice(group);
    }
}

pub(in super::super) fn inverse_tile(
    prime: &NttPrime,
    tile: usize,
    middle: &[u64],
    out: &mut [u64],
    scale: Scalar,
    offset: u64,
) {
    let (shape, q, roots) = (prime.shape, prime.q(), &tables(prime).inverse);
    out.copy_from_slice(&middle[tile * shape.middle_stride()..][..shape.tile_words()]);
    let mut blocks = shape.rows / 2;
    while blocks > 0 {
        inverse_layer(out, shape.rows / blocks / 2 * LANES, &roots[blocks..2 * blocks], q);
        blocks /= 2;
    }
    for value in out {
        *value = reduce_once(scale.mul(*value, q) + offset, q);
    }
}
