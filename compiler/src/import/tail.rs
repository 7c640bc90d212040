//! Softmax and ArgMax at the end of the network: the client computes them after decryption.

use heron_plan::ClientTail;

use super::site::{Computed, Site, Stop, TailNode, Value};
use super::table::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        op: "Softmax",
        attributes: &["axis"],
        limits: "at the end of the network, over all elements; computed by the client",
        rule: softmax,
    },
    Entry {
        op: "ArgMax",
        attributes: &["axis", "keepdims", "select_last_index"],
        limits: "at the end of the network, over all elements; computed by the client",
        rule: arg_max,
    },
];

fn softmax(site: &mut Site<'_>) -> Result<Value, Stop> {
    // Up to opset 12 all axes from `axis` on are flattened.
    let flattens = site.opset < 13;
    let axis = site.int("axis", if flattens { 1 } else { -1 })?;
    let x = last_value(site)?;
    let axis = resolve(site, axis, x.shape.len())?;
    let covered = |index: usize| index == axis || flattens && index > axis;
    covers_all(site, &x, covered)?;
    let shape = x.shape.clone();
    Ok(append(site, x, ClientTail::Softmax, shape))
}

fn arg_max(site: &mut Site<'_>) -> Result<Value, Stop> {
    let axis = site.int("axis", 0)?;
    let keep = site.int("keepdims", 1)? != 0;
    site.only_int("select_last_index", 0, 0)?;
    let x = last_value(site)?;
    let axis = resolve(site, axis, x.shape.len())?;
    covers_all(site, &x, |index| index == axis)?;
    let mut shape = x.shape.clone();
    shape[axis] = 1;
    if !keep {
        shape.remove(axis);
    }
    Ok(append(site, x, ClientTail::ArgMax, shape))
}

/// The operand, which may be a Softmax's result already.
fn last_value(site: &mut Site<'_>) -> Result<Computed, Stop> {
    match site.operand(0)? {
        Value::Computed(value) if value.tail.iter().all(|node| node.kind == ClientTail::Softmax) => Ok(value),
        Value::Computed(_) | Value::Constant(_) | Value::Unknown => site.computed(0),
    }
}

fn resolve(site: &mut Site<'_>, axis: i64, rank: usize) -> Result<usize, Stop> {
    super::shape::axis(site, axis, rank)
}

fn covers_all(site: &mut Site<'_>, x: &Computed, covered: impl Fn(usize) -> bool) -> Result<(), Stop> {
    if x.shape
        .iter()
        .enumerate()
        .all(|(axis, &length)| length == 1 || covered(axis))
    {
        return Ok(());
    }
    Err(site.refuse(
        Some("axis"),
        format!("it leaves out axes of its operand of shape {:?}", x.shape),
        "it must cover all elements of a sample",
    ))
}

fn append(site: &Site<'_>, mut x: Computed, kind: ClientTail, shape: Vec<usize>) -> Value {
    x.tail.push(TailNode {
        name: site.name.to_owned(),
        op: site.node.op_type.clone(),
        kind,
        input: site.node.input[0].clone(),
    });
    x.shape = shape;
    Value::Computed(x)
}
