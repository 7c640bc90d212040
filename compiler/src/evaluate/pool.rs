//! Pooling: means and maxima over windows.

use std::ops::Range;

use crate::nn::Pool;

/// The mean of every window.
///
/// # Shapes
/// `shape`: `[channels, height, width]`; `out_shape`: `[channels, out_height, out_width]`.
pub(super) fn average(op: &Pool, shape: &[usize], out_shape: &[usize], x: &[f64]) -> Vec<f64> {
    let area = op.kernel[0] * op.kernel[1];
    windows(op, shape, out_shape, x, |plane, rows, columns| {
        let counted = if op.count_include_pad {
            area
        } else {
            rows.len() * columns.len()
        };
        let sum = elements(plane, shape[2], rows, columns).fold(0.0, |sum, x| sum + x);
        sum / counted as f64
    })
}

/// The largest element of every window; padding is never taken.
pub(super) fn max(op: &Pool, shape: &[usize], out_shape: &[usize], x: &[f64]) -> Vec<f64> {
    windows(op, shape, out_shape, x, |plane, rows, columns| {
        elements(plane, shape[2], rows, columns).fold(f64::NEG_INFINITY, larger)
    })
}

/// The mean of every channel.
pub(super) fn global_average(channels: usize, x: &[f64]) -> Vec<f64> {
    let area = x.len() / channels.max(1);
    x.chunks_exact(area.max(1))
        .map(|plane| plane.iter().fold(0.0, |sum, x| sum + x) / area as f64)
        .collect()
}

/// A NaN wins, unlike in `f64::max`.
fn larger(left: f64, right: f64) -> f64 {
    if left >= right || left.is_nan() { left } else { right }
}

/// `reduce(plane, rows, columns)` for every window, cut to what lies inside the plane.
fn windows(
    op: &Pool,
    shape: &[usize],
    out_shape: &[usize],
    x: &[f64],
    reduce: impl Fn(&[f64], Range<usize>, Range<usize>) -> f64,
) -> Vec<f64> {
    let mut out = Vec::with_capacity(out_shape.iter().product());
    for plane in x.chunks_exact((shape[1] * shape[2]).max(1)) {
        for row in 0..out_shape[1] {
            for column in 0..out_shape[2] {
                out.push(reduce(
                    plane,
                    inside(op, 0, row, shape[1]),
                    inside(op, 1, column, shape[2]),
                ));
            }
        }
    }
    out
}

/// The elements of the operand that one output's window covers.
pub(crate) fn window_elements(
    op: &Pool,
    shape: &[usize],
    out_shape: &[usize],
    output: usize,
) -> impl Iterator<Item = usize> {
    let out_plane = out_shape[1] * out_shape[2];
    let (channel, position) = (output / out_plane, output % out_plane);
    let rows = inside(op, 0, position / out_shape[2], shape[1]);
    let columns = inside(op, 1, position % out_shape[2], shape[2]);
    let (height, width) = (shape[1], shape[2]);
    rows.flat_map(move |row| {
        columns
            .clone()
            .map(move |column| (channel * height + row) * width + column)
    })
}

/// The positions of an axis that window number `index` covers.
fn inside(op: &Pool, axis: usize, index: usize, length: usize) -> Range<usize> {
    let start = index * op.strides[axis];
    let end = (start + op.kernel[axis]).saturating_sub(op.pads[axis]);
    start.saturating_sub(op.pads[axis])..end.min(length)
}

fn elements(plane: &[f64], row_length: usize, rows: Range<usize>, columns: Range<usize>) -> impl Iterator<Item = f64> {
    rows.flat_map(move |row| plane[row * row_length..][columns.clone()].iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: [f64; 6] = [1.0, -2.0, 3.0, 4.0, -5.0, -6.0];

    fn two_by_two(pads: [usize; 4], count_include_pad: bool) -> Pool {
        Pool {
            kernel: [2, 2],
            strides: [1, 1],
            pads,
            count_include_pad,
        }
    }

    #[test]
    fn windows_inside_take_all_elements() {
        let op = two_by_two([0; 4], true);
        assert_eq!(average(&op, &[1, 2, 3], &[1, 1, 2], &IMAGE), [-0.5, -2.5]);
        assert_eq!(max(&op, &[1, 2, 3], &[1, 1, 2], &IMAGE), [4.0, 3.0]);
    }

    #[test]
    fn padding_counts_in_the_denominator_only_on_request() {
        let pads = [1, 0, 0, 0];
        let shape = [1, 2, 3];
        let out = [1, 2, 2];
        assert_eq!(
            average(&two_by_two(pads, true), &shape, &out, &IMAGE)[..2],
            [-0.25, 0.25]
        );
        assert_eq!(
            average(&two_by_two(pads, false), &shape, &out, &IMAGE)[..2],
            [-0.5, 0.5]
        );
    }

    #[test]
    fn a_maximum_never_takes_padding() {
        let op = two_by_two([0, 0, 1, 1], true);
        assert_eq!(
            max(&op, &[1, 2, 3], &[1, 2, 3], &IMAGE),
            [4.0, 3.0, 3.0, 4.0, -5.0, -6.0]
        );
    }

    #[test]
    fn the_global_mean_is_one_value_a_channel() {
        assert_eq!(global_average(2, &IMAGE), [2.0 / 3.0, -7.0 / 3.0]);
    }
}
