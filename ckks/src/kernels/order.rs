//! The order of coefficients in a limb: tile-major, so that the column passes of the transforms read whole cache lines.
//!
//! The `N` coefficients of a polynomial form a matrix of `N / 256` rows of 256 columns (one row of `N` when `N < 256`).
//! A limb in coefficient form stores it by tiles of 8 columns, one tile after the other, each tile row by row.
//! Up to `N = 256` this is the natural order.

/// log2 of the widest row of the coefficient matrix.
const LOG_MAX_COLUMNS: u32 = 8;
/// Words of the widest row.
pub(super) const MAX_COLUMNS: usize = 1 << LOG_MAX_COLUMNS;
/// Columns of a tile: the lanes of the widest vector of 64-bit words.
pub(super) const LANES: usize = 8;

/// The coefficient matrix of a ring of degree `2^log_n`: `rows * columns = N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Shape {
    pub(super) fn new(log_n: u32) -> Self {
        let log_columns = log_n.min(LOG_MAX_COLUMNS);
        Self {
            rows: 1 << (log_n - log_columns),
            columns: 1 << log_columns,
        }
    }

    pub(super) fn tiles(self) -> usize {
        self.columns / LANES
    }

    /// Words of one tile.
    pub(super) fn tile_words(self) -> usize {
        self.rows * LANES
    }

    /// Words from one tile to the next in the buffer between the two passes of a transform: one cache line more than a
    /// tile, since rows read at a stride of a power of two would compete for one set of the first-level cache.
    pub(super) fn middle_stride(self) -> usize {
        self.tile_words() + LANES
    }

    /// Words of the buffer between the two passes: room for all tiles, or for all rows, with a cache line after each.
    pub(super) fn middle_words(self) -> usize {
        (self.tiles() * self.middle_stride()).max(self.rows * (self.columns + LANES))
    }
}

/// The position, in a limb in coefficient form, of the coefficient of `X^index` in the ring of degree `2^log_n`.
///
/// The same for every kernel set and every prime. The inverse map is [`coefficient_at`].
///
/// # Panics
/// When `log_n < 4` or `index >= 2^log_n`.
pub fn coefficient_index(log_n: u32, index: usize) -> usize {
    assert!(
        log_n >= 4 && index < 1 << log_n,
        "coefficient {index} of a ring of degree 2^{log_n}"
    );
    let shape = Shape::new(log_n);
    let (row, column) = (index / shape.columns, index % shape.columns);
    (column / LANES) * shape.tile_words() + row * LANES + column % LANES
}

/// Which coefficient a limb in coefficient form holds at `position`: the inverse of [`coefficient_index`].
///
/// # Panics
/// When `log_n < 4` or `position >= 2^log_n`.
pub fn coefficient_at(log_n: u32, position: usize) -> usize {
    assert!(
        log_n >= 4 && position < 1 << log_n,
        "position {position} in a ring of degree 2^{log_n}"
    );
    let shape = Shape::new(log_n);
    let (tile, within) = (position / shape.tile_words(), position % shape.tile_words());
    (within / LANES) * shape.columns + tile * LANES + within % LANES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_a_permutation_and_its_inverse() {
        for log_n in 4..=17 {
            let mut seen = vec![false; 1 << log_n];
            for index in 0..1 << log_n {
                let position = coefficient_index(log_n, index);
                assert_eq!(coefficient_at(log_n, position), index);
                assert!(!std::mem::replace(&mut seen[position], true));
            }
        }
    }

    #[test]
    fn small_rings_keep_the_natural_order() {
        for log_n in 4..=8 {
            assert!((0..1 << log_n).all(|index| coefficient_index(log_n, index) == index));
        }
        assert_eq!(
            coefficient_index(9, 256),
            8,
            "the second row follows inside the first tile"
        );
    }
}
