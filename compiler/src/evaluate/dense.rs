//! Matrix times vector.

use ndarray::{ArcArray1, ArcArray2};

/// How many partial sums a dot product keeps: fixed here, so that the result does not depend on the vector width that
/// the processor offers.
const LANES: usize = 8;

/// `weights · x + bias`; `weights`: `[out, in]`.
pub(super) fn dense(weights: &ArcArray2<f64>, bias: &ArcArray1<f64>, x: &[f64]) -> Vec<f64> {
    assert_eq!(weights.ncols(), x.len(), "columns of a dense layer");
    let rows = weights.as_standard_layout();
    let rows = rows.as_slice().expect("a standard layout is contiguous");
    bias.iter()
        .enumerate()
        .map(|(row, bias)| bias + dot(&rows[row * x.len()..][..x.len()], x))
        .collect()
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    let (left_lanes, left_rest) = left.as_chunks::<LANES>();
    let (right_lanes, right_rest) = right.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (l, r) in left_lanes.iter().zip(right_lanes) {
        for lane in 0..LANES {
            sums[lane] += l[lane] * r[lane];
        }
    }
    let rest: f64 = left_rest.iter().zip(right_rest).map(|(l, r)| l * r).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};

    use super::*;

    #[test]
    fn every_length_up_to_three_blocks_sums_all_products() {
        for length in 0..=3 * LANES {
            let weights = Array2::from_shape_fn((2, length), |(row, column)| (row * 7 + column) as f64);
            let x: Vec<f64> = (0..length).map(|i| (i % 5) as f64 - 2.0).collect();
            let expected = weights.dot(&Array1::from(x.clone())) + 0.5;
            let found = dense(&weights.into_shared(), &Array1::from(vec![0.5; 2]).into_shared(), &x);
            assert_eq!(found, expected.to_vec(), "length {length}");
        }
    }

    #[test]
    fn a_transposed_matrix_is_read_by_its_indices() {
        let weights = Array2::from_shape_fn((3, 2), |(row, column)| (row * 2 + column) as f64).into_shared();
        let transposed = weights.t().to_shared();
        let zeros = Array1::zeros(2).into_shared();
        assert_eq!(dense(&transposed, &zeros, &[1.0, 10.0, 100.0]), [420.0, 531.0]);
    }
}
