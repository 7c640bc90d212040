//! Slice: of constants in full; of a value where it keeps every n-th row and column, which is a strided convolution by one.

use std::sync::Arc;

use ndarray::{Array1, Array4};

use super::elementwise::constant;
use super::shape;
use super::site::{Computed, Site, Stop, Value};
use super::tensor::Tensor;
use crate::nn::{Conv, Op};

/// What is taken of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: usize,
    step: i64,
    count: usize,
}

pub(super) fn slice(site: &mut Site<'_>) -> Result<Value, Stop> {
    let operand = site.operand(0)?;
    let old = match &operand {
        Value::Constant(tensor) => tensor.shape.clone(),
        Value::Computed(x) => x.shape.clone(),
        Value::Unknown => return Err(Stop),
    };
    let ranges = ranges(site, &old)?;
    match operand {
        Value::Constant(tensor) => Ok(constant(take(&tensor, &ranges))),
        Value::Computed(x) => {
            let x = site.without_tail(x)?;
            rows_and_columns(site, &x, &ranges)
        }
        Value::Unknown => Err(Stop),
    }
}

/// What is taken of every axis: attributes up to opset 9, operands from 10 on.
fn ranges(site: &mut Site<'_>, shape: &[usize]) -> Result<Vec<Range>, Stop> {
    let mut lists = Vec::with_capacity(4);
    for (index, name) in ["starts", "ends", "axes", "steps"].into_iter().enumerate() {
        lists.push(match site.ints(name)? {
            Some(values) => Some(values),
            None => site.optional_integers(index + 1)?,
        });
    }
    let (starts, ends) = (
        lists[0].clone().unwrap_or_default(),
        lists[1].clone().unwrap_or_default(),
    );
    let axes = lists[2].clone().unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = lists[3].clone().unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] || steps.contains(&0) {
        return Err(site.refuse(
            None,
            "its lists differ in length or a step is 0",
            "export the model again: it is not valid ONNX",
        ));
    }
    let mut ranges: Vec<Range> = shape
        .iter()
        .map(|&count| Range {
            start: 0,
            step: 1,
            count,
        })
        .collect();
    for (index, &number) in axes.iter().enumerate() {
        let axis = shape::axis(site, number, shape.len())?;
        ranges[axis] = resolve(starts[index], ends[index], steps[index], shape[axis]);
    }
    Ok(ranges)
}

fn resolve(start: i64, end: i64, step: i64, length: usize) -> Range {
    let length = length as i64;
    let from_end = |position: i64| {
        if position < 0 {
            position.saturating_add(length)
        } else {
            position
        }
    };
    let (start, count) = if step > 0 {
        let (start, end) = (from_end(start).clamp(0, length), from_end(end).clamp(0, length));
        (start, (end - start).max(0).unsigned_abs().div_ceil(step.unsigned_abs()))
    } else {
        let (start, end) = (
            from_end(start).clamp(-1, length - 1),
            from_end(end).clamp(-1, length - 1),
        );
        (start, (start - end).max(0).unsigned_abs().div_ceil(step.unsigned_abs()))
    };
    Range {
        start: start.max(0) as usize,
        step,
        count: count as usize,
    }
}

fn take(tensor: &Tensor, ranges: &[Range]) -> Tensor {
    let strides = strides(&tensor.shape);
    let shape: Vec<usize> = ranges.iter().map(|range| range.count).collect();
    let start = (ranges.iter().zip(&strides))
        .map(|(range, stride)| range.start as isize * stride)
        .sum();
    // A step beyond the axis is only taken where one element is, hence never multiplied by more than 0.
    let steps: Vec<isize> = (ranges.iter().zip(&strides))
        .map(|(range, &stride)| {
            if range.count > 1 {
                range.step as isize * stride
            } else {
                0
            }
        })
        .collect();
    Tensor {
        values: strided(&tensor.values, &shape, start, &steps),
        shape,
        integer: tensor.integer,
    }
}

/// Row-major strides.
pub(super) fn strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as isize;
    }
    strides
}

/// The elements at `start` plus positions times `strides`, for all positions in `shape`.
pub(super) fn strided(values: &[f64], shape: &[usize], start: isize, strides: &[isize]) -> Vec<f64> {
    let count = shape.iter().product();
    (0..count)
        .map(|element: usize| {
            let (mut rest, mut source) = (element, start);
            for (&length, &stride) in shape.iter().zip(strides).rev() {
                source += (rest % length) as isize * stride;
                rest /= length;
            }
            values[source as usize]
        })
        .collect()
}

/// Every n-th row and column from the first on, as a convolution with one by one kernels of 1.
fn rows_and_columns(site: &mut Site<'_>, x: &Computed, ranges: &[Range]) -> Result<Value, Stop> {
    let whole = |axis: usize| ranges[axis].count == x.shape[axis] && ranges[axis].step == 1;
    if (0..ranges.len()).all(whole) {
        return site.emit(Op::Identity, &[x.id], &x.shape);
    }
    let every_nth = |axis: usize| {
        let range = ranges[axis];
        range.start == 0 && range.step > 0 && range.count == x.shape[axis].div_ceil(range.step as usize)
    };
    if !(ranges.len() == 4 && whole(0) && whole(1) && every_nth(2) && every_nth(3)) {
        return Err(site.refuse(
            None,
            format!("it takes a part of a value of shape {:?}", x.shape),
            "only every n-th row and column from the first on is supported",
        ));
    }
    let channels = x.shape[1];
    let op = Op::Conv(Conv {
        weights: Arc::new(Array4::ones((channels, 1, 1, 1))),
        bias: Array1::zeros(channels).into_shared(),
        strides: [ranges[2].step as usize, ranges[3].step as usize],
        pads: [0; 4],
        dilations: [1; 2],
        groups: channels,
    });
    let shape: Vec<usize> = ranges.iter().map(|range| range.count).collect();
    site.emit(op, &[x.id], &shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(start: i64, end: i64, step: i64, expected: &[f64]) {
        let tensor = Tensor::integers(0..5);
        assert_eq!(take(&tensor, &[resolve(start, end, step, 5)]).values, expected);
    }

    #[test]
    fn ends_are_clamped_and_negative_positions_count_from_the_end() {
        check(1, i64::MAX, 2, &[1.0, 3.0]);
        check(-2, 5, 1, &[3.0, 4.0]);
        check(3, 1, 1, &[]);
        check(0, i64::MAX, i64::MAX, &[0.0]);
    }

    #[test]
    fn a_negative_step_runs_backwards() {
        check(i64::MAX, i64::MIN, -1, &[4.0, 3.0, 2.0, 1.0, 0.0]);
        check(-1, 0, -2, &[4.0, 2.0]);
    }
}
