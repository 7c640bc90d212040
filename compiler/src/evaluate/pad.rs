//! Constant padding of a tensor of any rank.

use crate::nn::Pad;

/// `x` of `shape` in the middle of a tensor of `out_shape` that is `op.value` elsewhere.
pub(super) fn pad(op: &Pad, shape: &[usize], out_shape: &[usize], x: &[f64]) -> Vec<f64> {
    let mut out = vec![op.value; out_shape.iter().product()];
    let Some((&row_length, outer)) = shape.split_last() else {
        return x.to_vec();
    };
    let (_, out_outer) = out_shape.split_last().expect("padding keeps the rank");
    let out_row_length = out_shape[out_shape.len() - 1];
    for (row, values) in x.chunks_exact(row_length.max(1)).enumerate() {
        let out_row = padded_row(row, outer, out_outer, &op.amounts);
        let start = out_row * out_row_length + op.amounts[outer.len()].0;
        out[start..start + row_length].copy_from_slice(values);
    }
    out
}

/// Where a row goes; `outer` and `out_outer` are the axes before the last.
fn padded_row(row: usize, outer: &[usize], out_outer: &[usize], amounts: &[(usize, usize)]) -> usize {
    let (mut rest, mut stride, mut out_row) = (row, 1, 0);
    for axis in (0..outer.len()).rev() {
        out_row += (rest % outer[axis] + amounts[axis].0) * stride;
        rest /= outer[axis];
        stride *= out_outer[axis];
    }
    out_row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_axis_gets_its_amounts() {
        let op = Pad {
            amounts: vec![(1, 0), (0, 1), (1, 1)],
            value: 9.0,
        };
        let found = pad(&op, &[1, 2, 2], &[2, 3, 4], &[1.0, 2.0, 3.0, 4.0]);
        let mut expected = vec![9.0; 24];
        expected[12..].copy_from_slice(&[9.0, 1.0, 2.0, 9.0, 9.0, 3.0, 4.0, 9.0, 9.0, 9.0, 9.0, 9.0]);
        assert_eq!(found, expected);
    }
}
