//! Concat and Split: tensors put side by side along an axis, and taken apart.

use ndarray::Array1;

use super::elementwise::constant;
use super::select::{self, numbered, whole};
use super::shape;
use super::site::{Site, Stop, Value};
use super::table::Entry;
use super::tensor::Tensor;
use crate::graph::NodeId;
use crate::nn::{Affine, Granularity, Op};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        op: "Concat",
        attributes: &["axis"],
        limits: "any values and constants; not along the batch axis",
        rule: concat,
    },
    Entry {
        op: "Split",
        attributes: &["axis", "num_outputs", "split"],
        limits: "constant lengths; not along the batch axis",
        rule: split,
    },
];

/// A sum of the operands, each between zeros.
fn concat(site: &mut Site<'_>) -> Result<Value, Stop> {
    let number = site.int("axis", 0)?;
    let mut operands = Vec::with_capacity(site.node.input.len());
    for index in 0..site.node.input.len() {
        operands.push(match site.operand(index)? {
            Value::Computed(x) => Value::Computed(site.without_tail(x)?),
            other => other,
        });
    }
    let shapes: Vec<Vec<usize>> = operands.iter().map(shape_of).collect();
    let (axis, shape) = joined_shape(site, number, &shapes)?;
    site.reserve(&shape)?;
    // All parts but those that `take` gives are filled.
    let join = |fill: f64, take: &dyn Fn(usize, &Value) -> Option<Tensor>| {
        let part =
            |(index, operand): (usize, &Value)| take(index, operand).unwrap_or_else(|| filled(&shapes[index], fill));
        joined(&operands.iter().enumerate().map(part).collect::<Vec<_>>(), axis, &shape)
    };
    let constants = join(0.0, &|_, operand| match operand {
        Value::Constant(tensor) => Some((**tensor).clone()),
        Value::Computed(_) | Value::Unknown => None,
    });
    let mut sum: Option<NodeId> = None;
    for (place, operand) in operands.iter().enumerate() {
        let Value::Computed(x) = operand else { continue };
        site.reserve(&shape)?;
        let chosen = join(-1.0, &|index, _| (index == place).then(|| numbered(&x.shape)));
        let Value::Computed(part) = select::emit(site, x, &chosen)? else {
            return Err(Stop);
        };
        sum = Some(match sum {
            None => part.id,
            Some(sum) => site.push_sample(Op::Add, &[sum, part.id], &site.sample(&shape))?,
        });
    }
    let Some(sum) = sum else {
        return Ok(constant(constants));
    };
    if constants.values.iter().all(|&value| value == 0.0) {
        return Ok(Value::computed(sum, shape));
    }
    let constants = Op::Affine(Affine {
        granularity: Granularity::Element,
        scale: Array1::ones(constants.values.len()).into_shared(),
        shift: Array1::from(constants.values).into_shared(),
    });
    site.emit(constants, &[sum], &shape)
}

fn shape_of(value: &Value) -> Vec<usize> {
    match value {
        Value::Constant(tensor) => tensor.shape.clone(),
        Value::Computed(x) => x.shape.clone(),
        Value::Unknown => Vec::new(),
    }
}

fn filled(shape: &[usize], value: f64) -> Tensor {
    Tensor {
        shape: shape.to_vec(),
        values: vec![value; shape.iter().product()],
        integer: true,
    }
}

/// The axis, and the shape of the result.
fn joined_shape(site: &mut Site<'_>, number: i64, shapes: &[Vec<usize>]) -> Result<(usize, Vec<usize>), Stop> {
    let first = shapes.first().cloned().unwrap_or_default();
    let axis = shape::axis(site, number, first.len())?;
    let others_agree = shapes.iter().all(|shape| {
        shape.len() == first.len() && (0..first.len()).all(|index| index == axis || shape[index] == first[index])
    });
    if !others_agree {
        return Err(site.refuse(
            None,
            format!("its operands have shapes {shapes:?}"),
            "they may differ in the joined axis only",
        ));
    }
    let mut shape = first;
    shape[axis] = shapes.iter().map(|shape| shape[axis]).sum();
    Ok((axis, shape))
}

fn joined(parts: &[Tensor], axis: usize, shape: &[usize]) -> Tensor {
    let outer: usize = shape[..axis].iter().product();
    let mut values = Vec::with_capacity(shape.iter().product());
    for index in 0..outer {
        for part in parts {
            let block: usize = part.shape[axis..].iter().product();
            values.extend_from_slice(&part.values[index * block..][..block]);
        }
    }
    Tensor {
        shape: shape.to_vec(),
        values,
        integer: parts.iter().all(|part| part.integer),
    }
}

fn split(site: &mut Site<'_>) -> Result<Value, Stop> {
    let number = site.int("axis", 0)?;
    let whole_shape = shape_of(&site.operand(0)?);
    let axis = shape::axis(site, number, whole_shape.len())?;
    let lengths = lengths(site, whole_shape[axis])?;
    let mut first = None;
    let mut start = 0;
    for (index, &length) in lengths.iter().enumerate() {
        let part = select::by_axis(site, |_, shape| {
            let mut axes = whole(shape);
            axes[axis] = (start..start + length).map(Some).collect();
            Ok(axes)
        })?;
        start += length;
        match first {
            None => first = Some(part),
            Some(_) => site.also(index, part),
        }
    }
    first.ok_or(Stop)
}

/// The lengths of the parts: an attribute up to opset 12, then an operand; equal ones if neither is given.
fn lengths(site: &mut Site<'_>, whole: usize) -> Result<Vec<usize>, Stop> {
    let parts = site.node.output.len().max(1);
    let given = match site.ints("split")? {
        Some(lengths) => Some(lengths),
        None => site.optional_integers(1)?,
    };
    let lengths: Option<Vec<usize>> = match &given {
        Some(given) => given.iter().map(|&length| usize::try_from(length).ok()).collect(),
        None => {
            let each = whole.div_ceil(parts);
            Some(
                (0..parts)
                    .map(|part| whole.saturating_sub(part * each).min(each))
                    .collect(),
            )
        }
    };
    let total = |lengths: &Vec<usize>| lengths.iter().try_fold(0usize, |sum, &length| sum.checked_add(length));
    match lengths.filter(|lengths| lengths.len() == parts && total(lengths) == Some(whole)) {
        Some(lengths) => Ok(lengths),
        None => Err(site.refuse(
            Some("split"),
            format!("it splits an axis of length {whole} into {given:?} for {parts} outputs"),
            "the lengths must add up to the axis, one for each output",
        )),
    }
}
