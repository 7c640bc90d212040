//! Padding by a constant, by the border and by a mirror.

use super::limits;
use super::select::{Axis, by_axis};
use super::shape;
use super::site::{Site, Stop, Value};
use super::table::Entry;
use crate::nn::{Op, Pad};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    op: "Pad",
    attributes: &["mode", "pads", "value"],
    limits: "constant amounts, none on the batch axis; modes constant, edge and reflect",
    rule: pad,
}];

/// Attributes up to opset 10, operands from 11 on.
fn pad(site: &mut Site<'_>) -> Result<Value, Stop> {
    let mode = site.text("mode", "constant")?;
    if !matches!(mode.as_str(), "constant" | "edge" | "reflect") {
        let reason = format!("it is `{mode}`");
        return Err(site.refuse(Some("mode"), reason, "constant, edge and reflect are supported"));
    }
    let mut value = site.float("value", 0.0)?;
    if site.has_operand(2) {
        value = site.constant(2)?.single_value().unwrap_or(0.0);
    }
    let amounts = match site.ints("pads")? {
        Some(amounts) => amounts,
        None => site.constant(1)?.to_integers(),
    };
    let x = site.computed(0)?;
    let rank = x.shape.len();
    let axes: Vec<usize> = match site.optional_integers(3)? {
        None => (0..rank).collect(),
        Some(numbers) => {
            let mut axes = Vec::with_capacity(numbers.len());
            for number in numbers {
                axes.push(shape::axis(site, number, rank)?);
            }
            axes
        }
    };
    let Some(pairs) = pairs(&amounts, &axes, rank).filter(|pairs| pairs.first() == Some(&(0, 0))) else {
        return Err(site.refuse(
            Some("pads"),
            format!("they are {amounts:?} for a value of shape {:?}", x.shape),
            "expected an amount before and after each axis, none negative, none on the batch axis",
        ));
    };
    if mode != "constant" {
        return by_axis(site, |site, shape| mirrored(site, shape, &pairs, mode == "reflect"));
    }
    let result: Vec<usize> = (x.shape.iter().zip(&pairs))
        .map(|(length, (before, after))| before + length + after)
        .collect();
    let op = Op::Pad(Pad {
        amounts: pairs[1..].to_vec(),
        value,
    });
    site.emit(op, &[x.id], &result)
}

/// Positions of the operand in the place of the padding: the nearest, or mirrored at the first and the last.
fn mirrored(site: &mut Site<'_>, shape: &[usize], pairs: &[(usize, usize)], reflects: bool) -> Result<Vec<Axis>, Stop> {
    let padded: Vec<usize> = shape
        .iter()
        .zip(pairs)
        .map(|(length, (before, after))| before + length + after)
        .collect();
    site.reserve(&padded)?;
    if reflects
        && shape
            .iter()
            .zip(pairs)
            .any(|(&length, &(before, after))| before.max(after) >= length)
    {
        let reason = format!("they are {pairs:?} for a value of shape {shape:?}");
        return Err(site.refuse(Some("pads"), reason, "a reflection must be shorter than its axis"));
    }
    let axis = |((&length, &(before, _)), &padded): ((&usize, &(usize, usize)), &usize)| {
        let position = |index: usize| {
            let last = length - 1;
            let (below, above) = (
                before.saturating_sub(index),
                (index - before.min(index)).saturating_sub(last),
            );
            Some(match reflects {
                true if below > 0 => below,
                true if above > 0 => last - above,
                _ => (index - before.min(index)).min(last),
            })
        };
        (0..padded).map(position).collect()
    };
    Ok(shape.iter().zip(pairs).zip(&padded).map(axis).collect())
}

/// Amounts before and after every axis.
fn pairs(amounts: &[i64], axes: &[usize], rank: usize) -> Option<Vec<(usize, usize)>> {
    if amounts.len() != 2 * axes.len() {
        return None;
    }
    let amount = |index: usize| {
        usize::try_from(amounts[index])
            .ok()
            .filter(|&amount| amount < limits::ELEMENTS)
    };
    let mut pairs = vec![(0, 0); rank];
    for (index, &axis) in axes.iter().enumerate() {
        pairs[axis] = (amount(index)?, amount(index + axes.len())?);
    }
    Some(pairs)
}
