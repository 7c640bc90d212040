//! Batch normalization and dropout, as they are in inference.

use ndarray::Array1;

use super::site::{Site, Stop, Value};
use super::table::Entry;
use crate::nn::{Affine, Granularity, Op};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        op: "BatchNormalization",
        attributes: &["epsilon", "momentum", "spatial", "training_mode"],
        limits: "inference; constant statistics",
        rule: batch_normalization,
    },
    Entry {
        op: "Dropout",
        attributes: &["ratio", "seed"],
        limits: "inference, where it does nothing",
        rule: dropout,
    },
];

fn batch_normalization(site: &mut Site<'_>) -> Result<Value, Stop> {
    let epsilon = site.float("epsilon", 1e-5)?;
    site.only_int("training_mode", 0, 0)?;
    site.only_int("spatial", 1, 1)?;
    let mut tables = Vec::with_capacity(4);
    for index in 1..=4 {
        tables.push(site.constant(index)?);
    }
    let x = site.computed(0)?;
    let channels = x.shape.get(1).copied().unwrap_or(1);
    if let Some(table) = tables.iter().find(|table| table.values.len() != channels) {
        return Err(site.refuse(
            None,
            format!("a table has shape {:?} and its operand {:?}", table.shape, x.shape),
            format!("expected {channels} entries, one a channel"),
        ));
    }
    let scale: Array1<f64> = (tables[0].values.iter().zip(&tables[3].values))
        .map(|(gamma, variance)| gamma / libm::sqrt(variance + epsilon))
        .collect();
    let shift: Array1<f64> = (scale.iter().zip(&tables[1].values).zip(&tables[2].values))
        .map(|((scale, beta), mean)| beta - scale * mean)
        .collect();
    if scale.iter().chain(&shift).any(|value| !value.is_finite()) {
        return Err(site.refuse(
            None,
            "a variance plus epsilon is not positive",
            "train or export the model again",
        ));
    }
    let op = Op::BatchNorm(Affine {
        granularity: Granularity::Channel,
        scale: scale.into_shared(),
        shift: shift.into_shared(),
    });
    site.emit(op, &[x.id], &x.shape)
}

fn dropout(site: &mut Site<'_>) -> Result<Value, Stop> {
    if site.has_operand(2) && site.constant(2)?.single_value() != Some(0.0) {
        return Err(site.refuse(
            None,
            "its operand training_mode is true",
            "export the model for inference (in PyTorch: `model.eval()`)",
        ));
    }
    let x = site.computed(0)?;
    site.emit(Op::Identity, &[x.id], &x.shape)
}
