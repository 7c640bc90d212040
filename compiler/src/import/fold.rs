//! Element-wise operators on constants: what exporters write to compute shapes, paddings and scales at run time.

use super::broadcast::{broadcast_shape, broadcast_to};
use super::elementwise::constant;
use super::limits;
use super::site::{Site, Stop, Value};
use super::table::Entry;
use super::tensor::Tensor;

const CONSTANTS: &str = "constants only, as in shapes computed at run time";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        op: "Equal",
        attributes: &[],
        limits: CONSTANTS,
        rule: |site| both(site, |l, r, _| f64::from(u8::from(l == r))),
    },
    Entry {
        op: "Where",
        attributes: &[],
        limits: CONSTANTS,
        rule: choice,
    },
    Entry {
        op: "Range",
        attributes: &[],
        limits: CONSTANTS,
        rule: range,
    },
    Entry {
        op: "ReduceProd",
        attributes: &["axes", "keepdims", "noop_with_empty_axes"],
        limits: "constants only, over all axes, as in shapes computed at run time",
        rule: product,
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

fn both(site: &mut Site<'_>, op: Binary) -> Result<Value, Stop> {
    let (left, right) = (site.limit(0)?, site.limit(1)?);
    binary(site, &left, &right, op)
}

/// The second operand where the first is not zero, the third elsewhere.
fn choice(site: &mut Site<'_>) -> Result<Value, Stop> {
    let (condition, yes, no) = (site.limit(0)?, site.limit(1)?, site.limit(2)?);
    let shape = broadcast_shape(&yes.shape, &no.shape).and_then(|shape| broadcast_shape(&shape, &condition.shape));
    let Some(shape) = shape else {
        let reason = format!(
            "its operands have shapes {:?}, {:?} and {:?}",
            condition.shape, yes.shape, no.shape
        );
        return Err(site.refuse(None, reason, "shapes that broadcast are expected"));
    };
    site.reserve(&shape)?;
    let pairs = broadcast_to(&yes, &shape).into_iter().zip(broadcast_to(&no, &shape));
    let values = (broadcast_to(&condition, &shape).into_iter().zip(pairs))
        .map(|(condition, (yes, no))| if condition == 0.0 { no } else { yes })
        .collect();
    Ok(constant(Tensor {
        shape,
        values,
        integer: yes.integer && no.integer,
    }))
}

/// From the first operand on by steps of the third, as long as the second is not reached.
fn range(site: &mut Site<'_>) -> Result<Value, Stop> {
    let operands = [site.constant(0)?, site.constant(1)?, site.constant(2)?];
    let [Some(start), Some(end), Some(step)] = [0, 1, 2].map(|index| operands[index].single_value()) else {
        return Err(site.refuse(
            None,
            "its operands are no single numbers",
            "one number each is expected",
        ));
    };
    let count = libm::ceil((end - start) / step);
    if count.is_nan() || count > limits::ELEMENTS as f64 {
        let reason = format!("it runs from {start} to {end} by {step}");
        return Err(site.refuse(
            None,
            reason,
            format!("at most {} elements are supported", limits::ELEMENTS),
        ));
    }
    let count = site.reserve(&[count.max(0.0) as usize])?;
    Ok(constant(Tensor {
        shape: vec![count],
        values: (0..count).map(|index| start + index as f64 * step).collect(),
        integer: operands.iter().all(|operand| operand.integer),
    }))
}

fn product(site: &mut Site<'_>) -> Result<Value, Stop> {
    let keep = site.int("keepdims", 1)? != 0;
    let x = site.constant(0)?;
    let axes = super::shape::axes(site, x.shape.len())?.unwrap_or_else(|| (0..x.shape.len()).collect());
    if axes.len() != x.shape.len() {
        return Err(site.refuse(Some("axes"), format!("they are {axes:?}"), "all axes are expected"));
    }
    Ok(constant(Tensor {
        shape: if keep { vec![1; x.shape.len()] } else { Vec::new() },
        values: vec![x.values.iter().product()],
        integer: x.integer,
    }))
}
