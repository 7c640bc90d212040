//! Slice: for every axis a first position, a step and how many.

use super::select::{Axis, by_axis};
use super::shape;
use super::site::{Site, Stop, Value};

/// What is taken of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: usize,
    step: i64,
    count: usize,
}

impl Range {
    /// The positions taken; all lie inside the axis.
    fn positions(self) -> Axis {
        let position = |index: usize| self.start as i128 + index as i128 * i128::from(self.step);
        (0..self.count).map(|index| Some(position(index) as usize)).collect()
    }
}

pub(super) fn slice(site: &mut Site<'_>) -> Result<Value, Stop> {
    by_axis(site, |site, shape| {
        let ranges = ranges(site, shape)?;
        Ok(ranges.into_iter().map(Range::positions).collect())
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(start: i64, end: i64, step: i64, expected: &[usize]) {
        let found: Option<Vec<usize>> = resolve(start, end, step, 5).positions().into_iter().collect();
        assert_eq!(found.as_deref(), Some(expected));
    }

    #[test]
    fn ends_are_clamped_and_negative_positions_count_from_the_end() {
        check(1, i64::MAX, 2, &[1, 3]);
        check(-2, 5, 1, &[3, 4]);
        check(3, 1, 1, &[]);
        check(0, i64::MAX, i64::MAX, &[0]);
    }

    #[test]
    fn a_negative_step_runs_backwards() {
        check(i64::MAX, i64::MIN, -1, &[4, 3, 2, 1, 0]);
        check(-1, 0, -2, &[4, 2]);
    }
}
