//! `.npy` files for the tests, in and out.

use std::path::Path;

use ndarray::{Array2, ArrayD};

/// Writes float64 samples as rows.
#[track_caller]
pub(crate) fn write_rows(path: &Path, rows: &[Vec<f64>]) {
    let width = rows.first().map_or(0, Vec::len);
    let values: Vec<f64> = rows.concat();
    let array = Array2::from_shape_vec((rows.len(), width), values).expect("rows are equally long");
    ndarray_npy::write_npy(path, &array).expect("the array can be written");
}

/// Reads a float array of either width: shape and elements.
#[track_caller]
pub(crate) fn read_floats(path: &Path) -> (Vec<usize>, Vec<f64>) {
    if let Ok(array) = ndarray_npy::read_npy::<_, ArrayD<f64>>(path) {
        return (array.shape().to_vec(), array.into_iter().collect());
    }
    let array: ArrayD<f32> = ndarray_npy::read_npy(path).expect("a float array");
    (array.shape().to_vec(), array.iter().map(|&x| f64::from(x)).collect())
}

/// Index of the largest element of every row.
pub(crate) fn top1(shape: &[usize], values: &[f64]) -> Vec<usize> {
    let width = shape.iter().skip(1).product();
    let largest = |row: &[f64]| (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
    values.chunks(width).map(largest).collect()
}
