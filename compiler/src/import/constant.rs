//! Constants written as nodes, and shapes that exporters compute at run time.

use super::elementwise::constant;
use super::site::{Site, Stop, Value};
use super::table::Entry;
use super::tensor::Tensor;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        op: "Constant",
        attributes: &["value", "value_float", "value_floats", "value_int", "value_ints"],
        limits: "numbers",
        rule: constant_node,
    },
    Entry {
        op: "ConstantOfShape",
        attributes: &["value"],
        limits: "constant shape",
        rule: constant_of_shape,
    },
    Entry {
        op: "Shape",
        attributes: &["start", "end"],
        limits: "any value; a constant, since shapes are fixed",
        rule: shape,
    },
];

fn constant_node(site: &mut Site<'_>) -> Result<Value, Stop> {
    if let Some(tensor) = site.tensor("value")? {
        return Ok(constant(tensor));
    }
    if let Some(values) = site.floats("value_floats")? {
        return Ok(constant(Tensor::floats(values)));
    }
    if let Some(values) = site.ints("value_ints")? {
        return Ok(constant(Tensor::integers(values)));
    }
    let given = |name: &str| site.node.attribute.iter().any(|attribute| attribute.name == name);
    if given("value_float") {
        let value = site.float("value_float", 0.0)?;
        return Ok(constant(Tensor {
            shape: Vec::new(),
            values: vec![value],
            integer: false,
        }));
    }
    if given("value_int") {
        return Ok(constant(Tensor::integers([site.int("value_int", 0)?]).into_scalar()));
    }
    Err(site.refuse(None, "it has no value that is a number", "use the attribute `value`"))
}

fn constant_of_shape(site: &mut Site<'_>) -> Result<Value, Stop> {
    let fill = site.tensor("value")?.unwrap_or_else(|| Tensor::floats([0.0]));
    let lengths = site.constant(0)?.to_integers();
    let shape: Option<Vec<usize>> = lengths.iter().map(|&length| usize::try_from(length).ok()).collect();
    let (Some(shape), Some(&value)) = (shape, fill.values.first()) else {
        return Err(site.refuse(None, format!("its shape is {lengths:?}"), "no axis may be negative"));
    };
    let count = site.reserve(&shape)?;
    Ok(constant(Tensor {
        shape,
        values: vec![value; count],
        integer: fill.integer,
    }))
}

fn shape(site: &mut Site<'_>) -> Result<Value, Stop> {
    let (start, end) = (site.int("start", 0)?, site.int("end", i64::MAX)?);
    let shape = match site.operand(0)? {
        Value::Constant(tensor) => tensor.shape.clone(),
        Value::Computed(x) => x.shape,
        Value::Unknown => return Err(Stop),
    };
    let rank = shape.len() as i64;
    let clamp = |axis: i64| (if axis < 0 { axis.saturating_add(rank) } else { axis }).clamp(0, rank) as usize;
    let lengths = shape.get(clamp(start)..clamp(end)).unwrap_or_default();
    Ok(constant(Tensor::integers(lengths.iter().map(|&length| length as i64))))
}
