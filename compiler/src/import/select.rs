//! Operators that choose elements: transposing, slicing, joining, splitting and repeating.
//!
//! A constant is rearranged at once. For a value computed from the input, its element numbers are rearranged in its place:
//! what comes out says where every element of the result comes from.

use super::broadcast::{broadcast_shape, broadcast_to};
use super::elementwise::constant;
use super::shape;
use super::site::{Computed, Site, Stop, Value};
use super::slice;
use super::table::Entry;
use super::tensor::Tensor;
use crate::nn::{Op, Select};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        op: "Gather",
        attributes: &["axis"],
        limits: "constant indices",
        rule: gather,
    },
    Entry {
        op: "Transpose",
        attributes: &["perm"],
        limits: "the batch axis stays first",
        rule: transpose,
    },
    Entry {
        op: "Slice",
        attributes: &["axes", "ends", "starts"],
        limits: "constant positions; the batch axis stays whole",
        rule: slice::slice,
    },
    Entry {
        op: "Expand",
        attributes: &[],
        limits: "constant shape; the batch axis stays 1",
        rule: expand,
    },
    Entry {
        op: "Tile",
        attributes: &[],
        limits: "constant repeats; the batch axis stays 1",
        rule: tile,
    },
    Entry {
        op: "DepthToSpace",
        attributes: &["blocksize", "mode"],
        limits: "both modes",
        rule: depth_to_space,
    },
    Entry {
        op: "SpaceToDepth",
        attributes: &["blocksize"],
        limits: "height and width are multiples of the block",
        rule: space_to_depth,
    },
];

/// For every position of an axis of the result, the operand's position; `None` is zero (of values computed from the input
/// only: among constants it would be [`ZERO`]).
pub(super) type Axis = Vec<Option<usize>>;

/// What stands for zero among element numbers.
const ZERO: f64 = -1.0;

/// A tensor of the element numbers of a value.
pub(super) fn numbered(shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    Tensor {
        shape: shape.to_vec(),
        values: (0..count).map(|element| element as f64).collect(),
        integer: true,
    }
}

/// The value whose elements have the numbers in `chosen`.
pub(super) fn emit(site: &mut Site<'_>, x: &Computed, chosen: &Tensor) -> Result<Value, Stop> {
    let operand_len: usize = x.shape.iter().product();
    let unmoved = chosen.values.len() == operand_len
        && (chosen.values.iter().enumerate()).all(|(element, &number)| number == element as f64);
    if unmoved {
        return site.emit(Op::Reshape, &[x.id], &chosen.shape);
    }
    let sources = chosen
        .values
        .iter()
        .map(|&number| (number >= 0.0).then_some(number as u32));
    let select = Select {
        sources: sources.collect(),
    };
    site.emit(Op::Select(select), &[x.id], &chosen.shape)
}

/// Operand 0 as `rule` rearranges it.
fn rearranged(
    site: &mut Site<'_>,
    rule: impl FnOnce(&mut Site<'_>, &Tensor) -> Result<Tensor, Stop>,
) -> Result<Value, Stop> {
    match site.operand(0)? {
        Value::Constant(tensor) => rule(site, &tensor).map(constant),
        Value::Computed(x) => {
            let x = site.without_tail(x)?;
            site.reserve(&x.shape)?;
            let chosen = rule(site, &numbered(&x.shape))?;
            emit(site, &x, &chosen)
        }
        Value::Unknown => Err(Stop),
    }
}

/// Operand 0 with the positions that `rule` chooses of every axis, from its shape.
pub(super) fn by_axis(
    site: &mut Site<'_>,
    rule: impl FnOnce(&mut Site<'_>, &[usize]) -> Result<Vec<Axis>, Stop>,
) -> Result<Value, Stop> {
    rearranged(site, |site, tensor| {
        let axes = rule(site, &tensor.shape)?;
        site.reserve(&axes.iter().map(Vec::len).collect::<Vec<_>>())?;
        Ok(taken(tensor, &axes))
    })
}

/// The elements at the positions of every axis.
pub(super) fn taken(tensor: &Tensor, axes: &[Axis]) -> Tensor {
    let shape: Vec<usize> = axes.iter().map(Vec::len).collect();
    let strides = strides(&tensor.shape);
    let element = |element: usize| {
        let (mut rest, mut source) = (element, 0);
        for (axis, stride) in axes.iter().zip(&strides).rev() {
            source += axis[rest % axis.len()]? * stride;
            rest /= axis.len();
        }
        Some(tensor.values[source])
    };
    Tensor {
        values: (0..shape.iter().product())
            .map(|index| element(index).unwrap_or(ZERO))
            .collect(),
        shape,
        integer: tensor.integer,
    }
}

/// Row-major strides.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// The tensor with its axes in another order.
pub(super) fn transposed(tensor: &Tensor, order: &[usize]) -> Tensor {
    let strides = strides(&tensor.shape);
    let shape: Vec<usize> = order.iter().map(|&axis| tensor.shape[axis]).collect();
    let element = |element: usize| {
        let (mut rest, mut source) = (element, 0);
        for (&axis, &length) in order.iter().zip(&shape).rev() {
            source += rest % length * strides[axis];
            rest /= length;
        }
        tensor.values[source]
    };
    Tensor {
        values: (0..shape.iter().product()).map(element).collect(),
        shape,
        integer: tensor.integer,
    }
}

fn transpose(site: &mut Site<'_>) -> Result<Value, Stop> {
    let given = site.ints("perm")?;
    rearranged(site, |site, tensor| {
        let order = permutation(site, given, tensor.shape.len())?;
        Ok(transposed(tensor, &order))
    })
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

fn gather(site: &mut Site<'_>) -> Result<Value, Stop> {
    let number = site.int("axis", 0)?;
    let indices = site.constant(1)?;
    rearranged(site, |site, data| {
        let axis = shape::axis(site, number, data.shape.len())?;
        let length = data.shape[axis];
        let resolve = |index: i64| {
            if index < 0 {
                index.saturating_add(length as i64)
            } else {
                index
            }
        };
        let picked: Option<Axis> = (indices.to_integers().into_iter())
            .map(|index| {
                usize::try_from(resolve(index))
                    .ok()
                    .filter(|&index| index < length)
                    .map(Some)
            })
            .collect();
        let Some(picked) = picked else {
            return Err(site.refuse(
                None,
                format!("an index lies outside its axis of length {length}"),
                "export the model again: it is not valid ONNX",
            ));
        };
        let shape = [&data.shape[..axis], &indices.shape, &data.shape[axis + 1..]].concat();
        site.reserve(&shape)?;
        let mut axes = whole(&data.shape);
        axes[axis] = picked;
        Ok(Tensor {
            shape,
            ..taken(data, &axes)
        })
    })
}

/// All positions of all axes.
pub(super) fn whole(shape: &[usize]) -> Vec<Axis> {
    shape.iter().map(|&length| (0..length).map(Some).collect()).collect()
}

fn expand(site: &mut Site<'_>) -> Result<Value, Stop> {
    let target = lengths(site, 1)?;
    rearranged(site, |site, tensor| {
        let Some(shape) = broadcast_shape(&tensor.shape, &target) else {
            let reason = format!("it enlarges {:?} to {target:?}", tensor.shape);
            return Err(site.refuse(None, reason, "only axes of length 1 are repeated"));
        };
        site.reserve(&shape)?;
        Ok(Tensor {
            values: broadcast_to(tensor, &shape),
            shape,
            integer: tensor.integer,
        })
    })
}

fn tile(site: &mut Site<'_>) -> Result<Value, Stop> {
    let repeats = lengths(site, 1)?;
    by_axis(site, |site, shape| {
        let result: Option<Vec<usize>> = shape.iter().zip(&repeats).map(|(&l, &r)| l.checked_mul(r)).collect();
        let Some(result) = result.filter(|_| shape.len() == repeats.len()) else {
            let reason = format!("it repeats {shape:?} by {repeats:?}");
            return Err(site.refuse(None, reason, "one count an axis is expected"));
        };
        site.reserve(&result)?;
        let positions = |(&length, &result): (&usize, &usize)| (0..result).map(|index| Some(index % length)).collect();
        Ok(shape.iter().zip(&result).map(positions).collect())
    })
}

/// Operand `index` as lengths.
fn lengths(site: &mut Site<'_>, index: usize) -> Result<Vec<usize>, Stop> {
    let given = site.constant(index)?.to_integers();
    let lengths: Option<Vec<usize>> = given.iter().map(|&length| usize::try_from(length).ok()).collect();
    lengths.ok_or_else(|| {
        site.refuse(
            None,
            format!("its operand {index} is {given:?}"),
            "no entry may be negative",
        )
    })
}

fn depth_to_space(site: &mut Site<'_>) -> Result<Value, Stop> {
    let mode = site.text("mode", "DCR")?;
    let columns_first = match mode.as_str() {
        "DCR" => false,
        "CRD" => true,
        other => return Err(site.refuse(Some("mode"), format!("it is `{other}`"), "DCR and CRD are supported")),
    };
    in_blocks(site, |[channels, height, width], block| {
        let depth = (channels % (block * block) == 0).then_some(channels / (block * block))?;
        let result = vec![1, depth, height * block, width * block];
        Some(if columns_first {
            (vec![1, depth, block, block, height, width], [0, 1, 4, 2, 5, 3], result)
        } else {
            (vec![1, block, block, depth, height, width], [0, 3, 4, 1, 5, 2], result)
        })
    })
}

fn space_to_depth(site: &mut Site<'_>) -> Result<Value, Stop> {
    in_blocks(site, |[channels, height, width], block| {
        let (rows, columns) = (height / block, width / block);
        let divides = height % block == 0 && width % block == 0;
        let result = vec![1, channels * block * block, rows, columns];
        divides.then_some((
            vec![1, channels, rows, block, columns, block],
            [0, 3, 5, 1, 2, 4],
            result,
        ))
    })
}

/// A rearrangement of blocks: the shape to see the image in, the order of its axes, and the result's shape.
fn in_blocks(
    site: &mut Site<'_>,
    rule: impl FnOnce([usize; 3], usize) -> Option<(Vec<usize>, [usize; 6], Vec<usize>)>,
) -> Result<Value, Stop> {
    let block = site.int("blocksize", 0)?;
    rearranged(site, |site, tensor| {
        let block = usize::try_from(block).ok().filter(|block| (1..=64).contains(block));
        let found = match (tensor.shape.as_slice(), block) {
            (&[1, channels, height, width], Some(block)) => rule([channels, height, width], block),
            _ => None,
        };
        let Some((seen, order, shape)) = found else {
            let reason = format!("its operand has shape {:?}", tensor.shape);
            return Err(site.refuse(
                Some("blocksize"),
                reason,
                "blocks of [1, channels, height, width] are expected",
            ));
        };
        let seen = Tensor {
            shape: seen,
            ..tensor.clone()
        };
        Ok(Tensor {
            shape,
            ..transposed(&seen, &order)
        })
    })
}
