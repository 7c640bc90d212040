//! Operators on constants: what exporters write to compute shapes, paddings and scales at run time.

use super::broadcast::{broadcast_shape, broadcast_to};
use super::elementwise::constant;
use super::shape;
use super::site::{Site, Stop, Value};
use super::slice;
use super::table::Entry;
use super::tensor::Tensor;

const CONSTANTS: &str = "constants only";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        op: "Gather",
        attributes: &["axis"],
        limits: CONSTANTS,
        rule: gather,
    },
    Entry {
        op: "Concat",
        attributes: &["axis"],
        limits: CONSTANTS,
        rule: concat,
    },
    Entry {
        op: "Transpose",
        attributes: &["perm"],
        limits: "constants; a value only where no two axes longer than 1 change order",
        rule: transpose,
    },
    Entry {
        op: "Slice",
        attributes: &["axes", "ends", "starts"],
        limits: "constants; a value only as every n-th row and column from the first on",
        rule: slice::slice,
    },
];

/// An operator of two elements; the third says whether both are whole numbers by type.
pub(super) type Binary = fn(f64, f64, bool) -> f64;

/// The constant that an element-wise operator makes of two constants.
pub(super) fn binary(site: &mut Site<'_>, left: &Tensor, right: &Tensor, op: Binary) -> Result<Value, Stop> {
    let Some(shape) = broadcast_shape(&left.shape, &right.shape) else {
        return Err(site.refuse(
            None,
            format!("its constants have shapes {:?} and {:?}", left.shape, right.shape),
            "shapes that broadcast are expected",
        ));
    };
    site.reserve(&shape)?;
    let integer = left.integer && right.integer;
    let values = (broadcast_to(left, &shape).iter().zip(broadcast_to(right, &shape)))
        .map(|(&l, r)| op(l, r, integer))
        .collect();
    Ok(constant(Tensor { shape, values, integer }))
}

/// The constant that an element-wise function makes of a constant.
pub(super) fn map(tensor: &Tensor, function: impl Fn(f64) -> f64) -> Value {
    constant(Tensor {
        shape: tensor.shape.clone(),
        values: tensor.values.iter().map(|&value| function(value)).collect(),
        integer: tensor.integer,
    })
}

fn gather(site: &mut Site<'_>) -> Result<Value, Stop> {
    let number = site.int("axis", 0)?;
    let (data, indices) = (site.constant(0)?, site.constant(1)?);
    let axis = shape::axis(site, number, data.shape.len())?;
    let length = data.shape[axis];
    let resolve = |index: i64| {
        if index < 0 {
            index.saturating_add(length as i64)
        } else {
            index
        }
    };
    let picked: Option<Vec<usize>> = (indices.to_integers().into_iter())
        .map(|index| usize::try_from(resolve(index)).ok().filter(|&index| index < length))
        .collect();
    let Some(picked) = picked else {
        return Err(site.refuse(
            None,
            "an index lies outside its axis",
            "export the model again: it is not valid ONNX",
        ));
    };
    let shape = [&data.shape[..axis], &indices.shape, &data.shape[axis + 1..]].concat();
    site.reserve(&shape)?;
    let inner: usize = data.shape[axis + 1..].iter().product();
    let block = length * inner;
    let values = (data.values.chunks_exact(block.max(1)))
        .flat_map(|outer| picked.iter().flat_map(move |&index| &outer[index * inner..][..inner]))
        .copied()
        .collect();
    Ok(constant(Tensor {
        shape,
        values,
        integer: data.integer,
    }))
}

fn concat(site: &mut Site<'_>) -> Result<Value, Stop> {
    let number = site.int("axis", 0)?;
    let mut parts = Vec::with_capacity(site.node.input.len());
    for index in 0..site.node.input.len() {
        parts.push(site.constant(index)?);
    }
    let rank = parts.first().map_or(0, |part| part.shape.len());
    let axis = shape::axis(site, number, rank)?;
    let others_agree = parts.iter().all(|part| {
        part.shape.len() == rank && (0..rank).all(|index| index == axis || part.shape[index] == parts[0].shape[index])
    });
    if !others_agree {
        return Err(site.refuse(
            None,
            "its constants differ in another axis",
            "equal other axes are expected",
        ));
    }
    let mut shape = parts[0].shape.clone();
    shape[axis] = parts.iter().map(|part| part.shape[axis]).sum();
    site.reserve(&shape)?;
    let outer: usize = shape[..axis].iter().product();
    let mut values = Vec::new();
    for index in 0..outer {
        for part in &parts {
            let block: usize = part.shape[axis..].iter().product();
            values.extend_from_slice(&part.values[index * block..][..block]);
        }
    }
    let integer = parts.iter().all(|part| part.integer);
    Ok(constant(Tensor { shape, values, integer }))
}

fn transpose(site: &mut Site<'_>) -> Result<Value, Stop> {
    let given = site.ints("perm")?;
    let operand = site.operand(0)?;
    let old = match &operand {
        Value::Constant(tensor) => tensor.shape.clone(),
        Value::Computed(x) => x.shape.clone(),
        Value::Unknown => return Err(Stop),
    };
    let order = permutation(site, given, old.len())?;
    let shape: Vec<usize> = order.iter().map(|&axis| old[axis]).collect();
    match operand {
        Value::Constant(tensor) => {
            let values = slice::strided(&tensor.values, &shape, 0, &permuted_strides(&old, &order));
            Ok(constant(Tensor {
                shape,
                values,
                integer: tensor.integer,
            }))
        }
        Value::Computed(x) => {
            let x = site.without_tail(x)?;
            let long: Vec<usize> = order.iter().copied().filter(|&axis| old[axis] > 1).collect();
            if !long.is_sorted() {
                return Err(site.refuse(
                    Some("perm"),
                    format!("it transposes a value of shape {old:?} by {order:?}"),
                    "export the network with channels first (NCHW), so that no transposition is needed",
                ));
            }
            site.emit(crate::nn::Op::Reshape, &[x.id], &shape)
        }
        Value::Unknown => Err(Stop),
    }
}

/// The order of the axes; reversed if none is given.
fn permutation(site: &mut Site<'_>, given: Option<Vec<i64>>, rank: usize) -> Result<Vec<usize>, Stop> {
    let given = given.unwrap_or_else(|| (0..rank as i64).rev().collect());
    let order: Vec<usize> = given.iter().filter_map(|&axis| usize::try_from(axis).ok()).collect();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted != (0..rank).collect::<Vec<_>>() {
        let reason = format!("{given:?} is no order of {rank} axes");
        return Err(site.refuse(Some("perm"), reason, "export the model again: it is not valid ONNX"));
    }
    Ok(order)
}

fn permuted_strides(shape: &[usize], order: &[usize]) -> Vec<isize> {
    let strides = slice::strides(shape);
    order.iter().map(|&axis| strides[axis]).collect()
}
