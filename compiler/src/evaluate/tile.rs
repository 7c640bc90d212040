//! A matrix of weights times the windows of a tensor, in tiles of sums that stay in registers.
//!
//! The widest vectors that the processor has are used. Products are rounded before they are added and every sum has one
//! order, so that the width changes no bit of the result; fused multiply-adds would.

use std::ops::Range;

use pulp::bytemuck::{cast_slice, cast_slice_mut};
use pulp::{Arch, Simd, WithSimd};

/// Rows of weights that share one pass over the windows.
const ROWS: usize = 4;
/// Vectors of windows that share one pass over the weights.
const VECTORS: usize = 2;

/// Windows of a tensor: window `j` has the values `values[corners[j] + taps[k]]`; `corners` ascends.
pub(super) struct Windows<'a> {
    pub(super) values: &'a [f64],
    pub(super) taps: &'a [usize],
    pub(super) corners: &'a [usize],
}

/// `sums[i][j] += Σ_k weights[i][k] · window_j[k]`, in ascending `k`.
///
/// # Shapes
/// `weights`: `[rows, taps]`; `sums`: `[rows, windows]`.
pub(super) fn multiply(weights: &[f64], windows: Windows<'_>, sums: &mut [f64]) {
    Arch::new().dispatch(Product { weights, windows, sums });
}

struct Product<'a> {
    weights: &'a [f64],
    windows: Windows<'a>,
    sums: &'a mut [f64],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (n_taps, n_windows) = (self.windows.taps.len(), self.windows.corners.len());
        if n_taps == 0 || n_windows == 0 {
            return;
        }
        let width = VECTORS * S::F64_LANES;
        let mut panel = vec![[simd.splat_f64s(0.0); VECTORS]; n_taps];
        for (block, corners) in self.windows.corners.chunks(width).enumerate() {
            fill(cast_slice_mut(&mut panel), &self.windows, corners, width);
            let at = block * width..block * width + corners.len();
            let (blocks, rows) = self
                .weights
                .split_at(self.weights.len() / (ROWS * n_taps) * ROWS * n_taps);
            let (block_sums, row_sums) = self.sums.split_at_mut(blocks.len() / n_taps * n_windows);
            for (weights, sums) in blocks
                .chunks_exact(ROWS * n_taps)
                .zip(block_sums.chunks_exact_mut(ROWS * n_windows))
            {
                add_tile::<S, ROWS>(simd, weights, &panel, sums, at.clone());
            }
            for (weights, sums) in rows.chunks_exact(n_taps).zip(row_sums.chunks_exact_mut(n_windows)) {
                add_tile::<S, 1>(simd, weights, &panel, sums, at.clone());
            }
        }
    }
}

/// The values of up to `width` windows side by side, one row of the panel a tap; missing windows repeat the last.
#[inline(always)]
fn fill(panel: &mut [f64], windows: &Windows<'_>, corners: &[usize], width: usize) {
    let (first, last) = (corners[0], corners[corners.len() - 1]);
    let adjacent = last - first + 1 == width && corners.len() == width;
    for (row, tap) in panel.chunks_exact_mut(width).zip(windows.taps) {
        if adjacent {
            row.copy_from_slice(&windows.values[first + tap..][..width]);
            continue;
        }
        let (given, missing) = row.split_at_mut(corners.len());
        for (value, corner) in given.iter_mut().zip(corners) {
            *value = windows.values[corner + tap];
        }
        missing.fill(windows.values[last + tap]);
    }
}

/// Adds the products of `R` rows of weights with a panel to the columns `at` of `R` rows of sums.
#[inline(always)]
fn add_tile<S: Simd, const R: usize>(
    simd: S,
    weights: &[f64],
    panel: &[[S::f64s; VECTORS]],
    sums: &mut [f64],
    at: Range<usize>,
) {
    let n_windows = sums.len() / R;
    let rows: [&[f64]; R] = std::array::from_fn(|row| &weights[row * panel.len()..][..panel.len()]);
    let mut tile = [[simd.splat_f64s(0.0); VECTORS]; R];
    for (row, tile) in tile.iter_mut().enumerate() {
        cast_slice_mut(tile)[..at.len()].copy_from_slice(&sums[row * n_windows..][at.clone()]);
    }
    for (tap, values) in panel.iter().enumerate() {
        for row in 0..R {
            let weight = simd.splat_f64s(rows[row][tap]);
            for vector in 0..VECTORS {
                let product = simd.mul_f64s(weight, values[vector]);
                tile[row][vector] = simd.add_f64s(tile[row][vector], product);
            }
        }
    }
    for (row, tile) in tile.iter().enumerate() {
        sums[row * n_windows..][at.clone()].copy_from_slice(&cast_slice(tile)[..at.len()]);
    }
}
