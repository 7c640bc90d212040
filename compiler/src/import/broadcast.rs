//! Broadcasting as ONNX and NumPy define it: shapes are aligned at their last axes, and axes of length 1 are repeated.

use super::tensor::Tensor;

/// The common shape of two operands; `None` if they do not go together.
pub(super) fn broadcast_shape(left: &[usize], right: &[usize]) -> Option<Vec<usize>> {
    let rank = left.len().max(right.len());
    let axis = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    (0..rank)
        .map(|index| match (axis(left, index), axis(right, index)) {
            (l, r) if l == r => Some(l),
            (1, length) | (length, 1) => Some(length),
            (_, _) => None,
        })
        .collect()
}

/// The elements of a constant repeated to `shape`, which it broadcasts to.
pub(super) fn broadcast_to(tensor: &Tensor, shape: &[usize]) -> Vec<f64> {
    let missing = shape.len() - tensor.shape.len();
    let count = shape.iter().product();
    (0..count)
        .map(|element: usize| {
            let (mut rest, mut source, mut stride) = (element, 0, 1);
            for axis in (0..shape.len()).rev() {
                let position = rest % shape[axis];
                rest /= shape[axis];
                if let Some(&length) = axis.checked_sub(missing).and_then(|axis| tensor.shape.get(axis)) {
                    source += if length == 1 { 0 } else { position * stride };
                    stride *= length;
                }
            }
            tensor.values[source]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_align_at_their_last_axes() {
        assert_eq!(broadcast_shape(&[2, 3, 1], &[4]), Some(vec![2, 3, 4]));
        assert_eq!(broadcast_shape(&[], &[4]), Some(vec![4]));
        assert_eq!(broadcast_shape(&[2], &[3]), None);
    }

    #[test]
    fn elements_repeat_along_axes_of_length_one() {
        let column = Tensor {
            shape: vec![2, 1],
            values: vec![1.0, 2.0],
            integer: false,
        };
        assert_eq!(broadcast_to(&column, &[1, 2, 3]), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    }
}
