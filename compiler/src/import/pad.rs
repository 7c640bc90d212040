//! Constant padding.

use super::limits;
use super::shape;
use super::site::{Site, Stop, Value};
use super::table::Entry;
use crate::nn::{Op, Pad};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    op: "Pad",
    attributes: &["mode", "pads", "value"],
    limits: "constant mode; constant amounts, none on the batch axis",
    rule: pad,
}];

/// Attributes up to opset 10, operands from 11 on.
fn pad(site: &mut Site<'_>) -> Result<Value, Stop> {
    let mode = site.text("mode", "constant")?;
    if mode != "constant" {
        return Err(site.refuse(Some("mode"), format!("it is `{mode}`"), "only `constant` is supported"));
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
    let result: Vec<usize> = (x.shape.iter().zip(&pairs))
        .map(|(length, (before, after))| before + length + after)
        .collect();
    let op = Op::Pad(Pad {
        amounts: pairs[1..].to_vec(),
        value,
    });
    site.emit(op, &[x.id], &result)
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
