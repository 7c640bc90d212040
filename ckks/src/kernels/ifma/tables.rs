//! Twiddle factors in the order in which the vector transforms read them.
//!
//! The evaluations of row `r` are at `psi^(2 rows brv(c) + 1 + 2 brv(r))` for the columns `c`. Multiplying column `c mod 8`
//! by `rho_r^(c mod 8)`, `rho_r = psi^(1 + 2 brv(r))`, makes the last three layers of all rows the same, so that their
//! factors, which differ from lane to lane, are stored once: 640 bytes a row instead of 4 KiB.

use super::super::modular::bit_reverse;
use super::super::order::Shape;
use super::super::prime::{Direction, RootPowers};
use super::vector::Line;

/// A factor and its quotient `floor(value * 2^52 / q)`.
pub(super) type Factor = [u64; 2];
/// The factors of three layers of radix 2 on eight blocks: 1, then 2, then 4.
pub(super) type Node8 = [Factor; 7];

/// The factors of one row of 256 columns.
#[repr(C, align(64))]
pub(super) struct RowTable {
    /// `rho_r^lane` and quotients.
    pub(super) lane_scale: [Line; 2],
    /// The layers of one and of two blocks.
    pub(super) upper: [Factor; 3],
    /// For each quarter of the row: the layers of one, two and four blocks in it.
    pub(super) lower: [Node8; 4],
}

/// The factors of one direction.
pub(super) struct Table {
    /// For each pass over the columns: its nodes one after the other.
    pub(super) columns: Vec<Vec<Factor>>,
    pub(super) rows: Vec<RowTable>,
    /// For each quarter of a row: the layers within a vector of the transposed quarter, one factor per lane.
    pub(super) lanes: [[[Line; 2]; 7]; 4],
}

/// Both directions.
pub(in super::super) struct Twiddles {
    pub(super) forward: Table,
    pub(super) inverse: Table,
}

/// log2 of the radices of the passes over the columns, first pass of the forward transform first.
pub(super) fn column_radices(log_rows: u32) -> &'static [u32] {
    match log_rows {
        2 => &[2],
        3 => &[3],
        4 => &[4],
        5 => &[4, 1],
        6 => &[3, 3],
        7 => &[4, 3],
        8 => &[4, 4],
        9 => &[3, 3, 3],
        _ => panic!("2^{log_rows} rows of 256 columns"),
    }
}

impl Twiddles {
    pub(super) fn new(roots: &RootPowers<'_>) -> Self {
        Self {
            forward: Table::new(roots, Direction::Forward),
            inverse: Table::new(roots, Direction::Inverse),
        }
    }
}

/// `value` with its quotient.
fn factor(value: u64, q: u64) -> Factor {
    [value, ((u128::from(value) << 52) / u128::from(q)) as u64]
}

impl Table {
    fn new(roots: &RootPowers<'_>, direction: Direction) -> Self {
        let rows = Shape::new(roots.log_n).rows;
        let mut columns = Vec::new();
        let mut blocks = 1;
        for &log_radix in column_radices(rows.trailing_zeros()) {
            let nodes = (0..blocks).flat_map(|block| node(roots, direction, blocks, block, 1 << log_radix));
            columns.push(nodes.collect());
            blocks <<= log_radix;
        }
        let quarters = std::array::from_fn(|quarter| lane_factors(roots, direction, quarter));
        Self {
            columns,
            rows: (0..rows)
                .map(|row| RowTable::new(roots, direction, rows, row))
                .collect(),
            lanes: quarters,
        }
    }
}

/// The factors of the layers of `blocks, 2 blocks, …` blocks inside block `block`, for one radix.
fn node(roots: &RootPowers<'_>, direction: Direction, blocks: usize, block: usize, radix: usize) -> Vec<Factor> {
    let mut out = Vec::with_capacity(radix - 1);
    let mut parts = 1;
    while parts < radix {
        let first = (blocks + block) * parts;
        out.extend((first..first + parts).map(|index| factor(roots.twiddle(direction, index), roots.q)));
        parts *= 2;
    }
    out
}

fn node8(roots: &RootPowers<'_>, direction: Direction, blocks: usize, block: usize) -> Node8 {
    let factors = node(roots, direction, blocks, block, 8);
    std::array::from_fn(|i| factors[i])
}

impl RowTable {
    fn new(roots: &RootPowers<'_>, direction: Direction, rows: usize, row: usize) -> Self {
        let rho = 1 + 2 * bit_reverse(row, rows.trailing_zeros());
        let scale: [Factor; 8] = std::array::from_fn(|lane| factor(roots.power(direction, rho * lane), roots.q));
        let upper = node(roots, direction, rows, row, 4);
        Self {
            lane_scale: [scale.map(|factor| factor[0]), scale.map(|factor| factor[1])],
            upper: std::array::from_fn(|i| upper[i]),
            lower: std::array::from_fn(|quarter| node8(roots, direction, 4 * rows, 4 * row + quarter)),
        }
    }
}

/// The factors of the last three layers of row 0 with its scaling by powers of `rho_0 = psi` taken out: those of all rows.
fn lane_factors(roots: &RootPowers<'_>, direction: Direction, quarter: usize) -> [[Line; 2]; 7] {
    let eighths = (1 << roots.log_n) / 8;
    let mut out = [[[0; 8]; 2]; 7];
    for (i, [values, quotients]) in out.iter_mut().enumerate() {
        // Entry i belongs to part `part` of the layer that cuts vectors into `parts`.
        let parts = 1 << (i + 1).ilog2();
        let part = i + 1 - parts;
        for (lane, (value, quotient)) in values.iter_mut().zip(quotients).enumerate() {
            let index = eighths * parts + (quarter * 8 + lane) * parts + part;
            // Between the halves of a part lie 4 / parts columns, hence that power of rho_0.
            let exponent = bit_reverse(index, roots.log_n) + (2 << roots.log_n) - 4 / parts;
            [*value, *quotient] = factor(roots.power(direction, exponent), roots.q);
        }
    }
    out
}
