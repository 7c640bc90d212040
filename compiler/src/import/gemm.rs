//! Gemm and MatMul with a constant matrix: dense layers.

use std::sync::Arc;

use ndarray::{Array1, Array2};

use super::site::{Computed, Site, Stop, Value};
use super::table::Entry;
use super::tensor::Tensor;
use crate::nn::Op;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        op: "Gemm",
        attributes: &["alpha", "beta", "transA", "transB"],
        limits: "constant B and C; A is a row (transA only for one element)",
        rule: gemm,
    },
    Entry {
        op: "MatMul",
        attributes: &[],
        limits: "constant right side; the left side is one row",
        rule: mat_mul,
    },
];

fn gemm(site: &mut Site<'_>) -> Result<Value, Stop> {
    let (alpha, beta) = (site.float("alpha", 1.0)?, site.float("beta", 1.0)?);
    let (transpose_a, transpose_b) = (site.int("transA", 0)? != 0, site.int("transB", 0)? != 0);
    let weights = site.constant(1)?;
    let bias = if site.has_operand(2) {
        Some(site.constant(2)?)
    } else {
        None
    };
    let x = site.computed(0)?;
    if transpose_a && x.shape.iter().any(|&axis| axis != 1) {
        return Err(site.refuse(
            Some("transA"),
            format!("it transposes an operand of shape {:?}", x.shape),
            "leave the batch axis first: set transA to 0",
        ));
    }
    let matrix = out_by_in(site, &weights, transpose_b)?;
    let bias = row(site, bias.as_deref(), matrix.nrows(), beta)?;
    dense(site, &x, matrix * alpha, bias)
}

fn mat_mul(site: &mut Site<'_>) -> Result<Value, Stop> {
    if let (Value::Constant(_), Value::Computed(_)) = (site.operand(0)?, site.operand(1)?) {
        return Err(site.refuse(
            None,
            "the constant is on the left side",
            "transpose the product, so that the constant is on the right side",
        ));
    }
    let x = site.computed(0)?;
    let weights = match site.operand(1)? {
        Value::Constant(_) => site.constant(1)?,
        Value::Computed(_) | Value::Unknown => {
            return Err(site.refuse(
                None,
                "both sides are computed from the network's input",
                "only a constant right side is supported",
            ));
        }
    };
    let matrix = out_by_in(site, &weights, false)?;
    let bias = Array1::zeros(matrix.nrows());
    dense(site, &x, matrix, bias)
}

/// The matrix as `[out, in]`; `transposed` says that it is stored so.
fn out_by_in(site: &mut Site<'_>, weights: &Arc<Tensor>, transposed: bool) -> Result<Array2<f64>, Stop> {
    let [rows, columns] = *weights.shape else {
        return Err(site.refuse(
            None,
            format!("the constant matrix has shape {:?}", weights.shape),
            "a matrix of two axes is expected",
        ));
    };
    let matrix = Array2::from_shape_vec((rows, columns), weights.values.clone())
        .expect("a tensor has as many elements as its shape says");
    Ok(if transposed {
        matrix
    } else {
        matrix.reversed_axes().as_standard_layout().into_owned()
    })
}

/// `beta · C` as a vector of `length`.
fn row(site: &mut Site<'_>, bias: Option<&Tensor>, length: usize, beta: f64) -> Result<Array1<f64>, Stop> {
    let Some(bias) = bias else {
        return Ok(Array1::zeros(length));
    };
    match *bias.shape {
        [] | [1] | [1, 1] => Ok(Array1::from_elem(length, beta * bias.values[0])),
        [found] | [1, found] if found == length => Ok(bias.values.iter().map(|value| beta * value).collect()),
        _ => Err(site.refuse(
            None,
            format!("operand C has shape {:?}", bias.shape),
            format!("expected [{length}] or [1, {length}]"),
        )),
    }
}

/// Appends the layer; the other axes of `x` must have length 1.
fn dense(site: &mut Site<'_>, x: &Computed, weights: Array2<f64>, bias: Array1<f64>) -> Result<Value, Stop> {
    let (outputs, inputs) = weights.dim();
    let Some((&last, others)) = x.shape.split_last() else {
        return Err(site.refuse(None, "its left side has no axes", "a row is expected"));
    };
    if last != inputs {
        return Err(site.refuse(
            None,
            format!("its left side has shape {:?} and its matrix {inputs} inputs", x.shape),
            format!("expected a last axis of {inputs}"),
        ));
    }
    if others.iter().any(|&axis| axis != 1) {
        return Err(site.refuse(
            None,
            format!("its left side has shape {:?}, which is several rows", x.shape),
            "only one row (one vector a sample) is supported; flatten it, or cut the network after it",
        ));
    }
    let vector = site.reshaped(x.id, &[inputs])?;
    let op = Op::Dense {
        weights: weights.into_shared(),
        bias: bias.into_shared(),
    };
    let result = site.push_sample(op, &[vector], &[outputs])?;
    let mut shape = x.shape.clone();
    shape[others.len()] = outputs;
    let sample: Vec<usize> = shape.iter().copied().skip(usize::from(shape.len() > 1)).collect();
    let id = site.reshaped(result, &sample)?;
    Ok(Value::computed(id, shape))
}
