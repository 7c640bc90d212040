//! Operators that only change the shape, keeping the elements in order.

use super::elementwise::constant;
use super::limits;
use super::site::{Site, Stop, Value};
use super::table::Entry;
use super::tensor::Tensor;
use crate::nn::Op;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        op: "Identity",
        attributes: &[],
        limits: "any value",
        rule: identity,
    },
    Entry {
        op: "Flatten",
        attributes: &["axis"],
        limits: "the batch axis stays first",
        rule: flatten,
    },
    Entry {
        op: "Reshape",
        attributes: &["allowzero"],
        limits: "constant shape, also with 0 and -1; the batch axis stays first",
        rule: reshape,
    },
    Entry {
        op: "Squeeze",
        attributes: &["axes"],
        limits: "constant axes; the batch axis stays first",
        rule: squeeze,
    },
    Entry {
        op: "Unsqueeze",
        attributes: &["axes"],
        limits: "constant axes; the batch axis stays first",
        rule: unsqueeze,
    },
    Entry {
        op: "Cast",
        attributes: &["to", "saturate"],
        limits: "between floating-point types; constants to any number type",
        rule: cast,
    },
];

/// The axis that a possibly negative number means.
pub(super) fn axis(site: &mut Site<'_>, axis: i64, rank: usize) -> Result<usize, Stop> {
    let resolved = if axis < 0 {
        axis.checked_add(rank as i64)
    } else {
        Some(axis)
    };
    match resolved
        .and_then(|axis| usize::try_from(axis).ok())
        .filter(|&axis| axis < rank)
    {
        Some(axis) => Ok(axis),
        None => Err(site.refuse(
            Some("axis"),
            format!("axis {axis} of a tensor of {rank} axes"),
            format!("expected -{rank} to {}", rank as i64 - 1),
        )),
    }
}

/// Attribute or operand `axes`, resolved and sorted; `None` if not given.
pub(super) fn axes(site: &mut Site<'_>, rank: usize) -> Result<Option<Vec<usize>>, Stop> {
    let given = match site.ints("axes")? {
        Some(axes) => Some(axes),
        None => site.optional_integers(1)?,
    };
    let Some(given) = given else {
        return Ok(None);
    };
    let mut resolved = Vec::with_capacity(given.len());
    for number in given {
        resolved.push(axis(site, number, rank)?);
    }
    resolved.sort_unstable();
    resolved.dedup();
    Ok(Some(resolved))
}

/// The operand with the shape that `rule` makes of its shape.
fn view(
    site: &mut Site<'_>,
    rule: impl FnOnce(&mut Site<'_>, &[usize]) -> Result<Vec<usize>, Stop>,
) -> Result<Value, Stop> {
    match site.operand(0)? {
        Value::Constant(tensor) => {
            let shape = rule(site, &tensor.shape)?;
            site.reserve(&shape)?;
            Ok(constant(Tensor {
                shape,
                ..(*tensor).clone()
            }))
        }
        Value::Computed(x) => {
            let x = site.without_tail(x)?;
            let shape = rule(site, &x.shape)?;
            site.emit(Op::Reshape, &[x.id], &shape)
        }
        Value::Unknown => Err(Stop),
    }
}

fn identity(site: &mut Site<'_>) -> Result<Value, Stop> {
    match site.operand(0)? {
        Value::Computed(x) if x.tail.is_empty() => site.emit(Op::Identity, &[x.id], &x.shape),
        other => Ok(other),
    }
}

fn flatten(site: &mut Site<'_>) -> Result<Value, Stop> {
    let split = site.int("axis", 1)?;
    view(site, |site, shape| {
        let rank = shape.len();
        let split = if split == rank as i64 {
            rank
        } else {
            axis(site, split, rank)?
        };
        let product = |axes: &[usize]| axes.iter().product::<usize>();
        Ok(vec![product(&shape[..split]), product(&shape[split..])])
    })
}

fn reshape(site: &mut Site<'_>) -> Result<Value, Stop> {
    let copies_zeros = site.int("allowzero", 0)? == 0;
    let target = site.constant(1)?.to_integers();
    view(site, |site, shape| {
        resolve_shape(shape, &target, copies_zeros).ok_or_else(|| {
            site.refuse(
                None,
                format!("it reshapes {shape:?} to {target:?}"),
                format!("expected {} elements", shape.iter().product::<usize>()),
            )
        })
    })
}

/// The shape that a Reshape's operand asks for: 0 copies an axis, -1 takes what is left.
fn resolve_shape(shape: &[usize], target: &[i64], copies_zeros: bool) -> Option<Vec<usize>> {
    if target.len() > limits::AXES {
        return None;
    }
    let elements = shape.iter().product::<usize>();
    let mut resolved = Vec::with_capacity(target.len());
    let mut inferred = None;
    for (index, &length) in target.iter().enumerate() {
        resolved.push(match length {
            0 if copies_zeros => *shape.get(index)?,
            -1 if inferred.is_none() => {
                inferred = Some(index);
                1
            }
            length => usize::try_from(length).ok()?,
        });
    }
    let product = resolved
        .iter()
        .try_fold(1usize, |product, &axis| product.checked_mul(axis))?;
    if let Some(index) = inferred {
        resolved[index] = elements.checked_div(product)?;
        return (product * resolved[index] == elements).then_some(resolved);
    }
    (product == elements).then_some(resolved)
}

fn squeeze(site: &mut Site<'_>) -> Result<Value, Stop> {
    view(site, |site, shape| {
        let given = axes(site, shape.len())?;
        let removed = |index: usize| match &given {
            Some(axes) => axes.contains(&index),
            None => shape[index] == 1,
        };
        if let Some(index) = (0..shape.len()).find(|&index| removed(index) && shape[index] != 1) {
            let reason = format!("it removes axis {index} of shape {shape:?}");
            return Err(site.refuse(Some("axes"), reason, "only axes of length 1 can be removed"));
        }
        Ok((0..shape.len())
            .filter(|&index| !removed(index))
            .map(|index| shape[index])
            .collect())
    })
}

fn unsqueeze(site: &mut Site<'_>) -> Result<Value, Stop> {
    let count = match site.ints("axes")? {
        Some(axes) => axes.len(),
        None => site.constant(1)?.values.len(),
    };
    view(site, |site, shape| {
        let rank = shape.len() + count;
        if rank > limits::AXES {
            let reason = format!("its result has {rank} axes");
            return Err(site.refuse(Some("axes"), reason, format!("at most {} are supported", limits::AXES)));
        }
        let new = axes(site, rank)?.unwrap_or_default();
        let mut old = shape.iter().copied();
        let result: Vec<usize> = (0..rank)
            .map(|index| {
                if new.contains(&index) {
                    1
                } else {
                    old.next().unwrap_or(1)
                }
            })
            .collect();
        Ok(result)
    })
}

/// The data types of ONNX that matter here, by number: float, float16, double, bfloat16.
const FLOATS: [i64; 4] = [1, 10, 11, 16];

fn cast(site: &mut Site<'_>) -> Result<Value, Stop> {
    let to_float = FLOATS.contains(&site.int("to", 1)?);
    match site.operand(0)? {
        Value::Constant(tensor) if to_float => Ok(constant(Tensor {
            integer: false,
            ..(*tensor).clone()
        })),
        Value::Constant(tensor) => Ok(constant(Tensor {
            values: tensor.values.iter().map(|value| value.trunc()).collect(),
            integer: true,
            shape: tensor.shape.clone(),
        })),
        Value::Computed(x) if to_float => {
            let x = site.without_tail(x)?;
            site.emit(Op::Identity, &[x.id], &x.shape)
        }
        Value::Computed(_) => Err(site.refuse(
            Some("to"),
            "it rounds a value computed from the input",
            "keep values in floating point",
        )),
        Value::Unknown => Err(Stop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_copies_and_minus_one_takes_the_rest() {
        assert_eq!(resolve_shape(&[1, 16, 4, 4], &[0, -1], true), Some(vec![1, 256]));
        assert_eq!(resolve_shape(&[1, 6], &[1, 2, 3], true), Some(vec![1, 2, 3]));
        assert_eq!(resolve_shape(&[6], &[-1, 4], true), None);
        assert_eq!(resolve_shape(&[6], &[-1, -1], true), None);
        assert_eq!(resolve_shape(&[6], &[-2, -3], true), None);
        assert_eq!(resolve_shape(&[6], &[i64::MAX, i64::MAX], true), None);
        assert_eq!(resolve_shape(&[6], &[0, -1], false), None);
    }
}
