//! Means and sums over axes.

use ndarray::Array1;

use super::select::{emit, numbered, transposed};
use super::shape;
use super::site::{Computed, Site, Stop, Value};
use super::table::Entry;
use crate::nn::{Affine, Granularity, Op, Pool};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        op: "ReduceMean",
        attributes: &["axes", "keepdims", "noop_with_empty_axes"],
        limits: "constant axes, without the batch axis",
        rule: |site| reduce(site, |_| 1.0),
    },
    Entry {
        op: "ReduceSum",
        attributes: &["axes", "keepdims", "noop_with_empty_axes"],
        limits: "constant axes, without the batch axis",
        rule: |site| reduce(site, |count| count as f64),
    },
];

/// The mean over axes, times what `factor` says of the number of elements in it.
fn reduce(site: &mut Site<'_>, factor: fn(usize) -> f64) -> Result<Value, Stop> {
    let keep = site.int("keepdims", 1)? != 0;
    let nothing_by_default = site.int("noop_with_empty_axes", 0)? != 0;
    let x = site.computed(0)?;
    let rank = x.shape.len();
    let given = shape::axes(site, rank)?.filter(|axes| !axes.is_empty());
    if given.is_none() && nothing_by_default {
        return site.emit(Op::Identity, &[x.id], &x.shape);
    }
    let axes = given.unwrap_or_else(|| (0..rank).collect());
    if axes.is_empty() || axes.contains(&0) {
        return Err(site.refuse(
            Some("axes"),
            format!("they are {axes:?}"),
            "axes other than the batch axis are expected",
        ));
    }
    let count: usize = axes.iter().map(|&axis| x.shape[axis]).product();
    let mut id = mean(site, &x, &axes)?;
    let scale = factor(count);
    if scale != 1.0 {
        let times = Affine {
            granularity: Granularity::Tensor,
            scale: Array1::from(vec![scale]).into_shared(),
            shift: Array1::zeros(1).into_shared(),
        };
        let shape = site.state.builder.node(id).shape.clone();
        id = site.push_sample(Op::Affine(times), &[id], &shape)?;
    }
    let shape: Vec<usize> = (x.shape.iter().enumerate())
        .filter(|(axis, _)| keep || !axes.contains(axis))
        .map(|(axis, &length)| if axes.contains(&axis) { 1 } else { length })
        .collect();
    site.emit(Op::Reshape, &[id], &shape)
}

/// A mean over neighbouring axes is one over the middle of three axes; others are brought to the end first.
fn mean(site: &mut Site<'_>, x: &Computed, axes: &[usize]) -> Result<crate::graph::NodeId, Stop> {
    let (Some(&first), Some(&last)) = (axes.first(), axes.last()) else {
        return Err(Stop);
    };
    if last - first + 1 != axes.len() {
        site.reserve(&x.shape)?;
        let others = (0..x.shape.len()).filter(|axis| !axes.contains(axis));
        let order: Vec<usize> = others.chain(axes.iter().copied()).collect();
        let Value::Computed(moved) = emit(site, x, &transposed(&numbered(&x.shape), &order))? else {
            return Err(Stop);
        };
        let last_axes: Vec<usize> = (x.shape.len() - axes.len()..x.shape.len()).collect();
        return mean(site, &moved, &last_axes);
    }
    let product = |axes: &[usize]| axes.iter().product::<usize>();
    let (outer, inner) = (product(&x.shape[..first]), product(&x.shape[last + 1..]));
    let middle = product(&x.shape[first..=last]);
    let block = site.reshaped(x.id, &[outer, middle, inner])?;
    let op = if inner == 1 {
        Op::GlobalAveragePool
    } else {
        Op::AveragePool(Pool {
            kernel: [middle, 1],
            strides: [1, 1],
            pads: [0; 4],
            count_include_pad: false,
        })
    };
    site.push_sample(op, &[block], &[outer, 1, inner])
}
