//! Sums, differences, products, quotients and powers of elements, with constants and between two values.

use std::sync::Arc;

use ndarray::Array1;

use super::broadcast::{broadcast_shape, broadcast_to};
use super::site::{Computed, Site, Stop, Value};
use super::table::Entry;
use super::tensor::Tensor;
use super::{fold, limits, select};
use crate::graph::NodeId;
use crate::nn::{Activation, Affine, Granularity, Op};

const LIMITS: &str = "constants and values whose shapes broadcast; the batch axis stays 1";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        op: "Add",
        attributes: &[],
        limits: LIMITS,
        rule: |site| binary(site, Op::Add, |c, _| (1.0, c), |l, r, _| l + r),
    },
    Entry {
        op: "Sub",
        attributes: &[],
        limits: LIMITS,
        rule: |site| binary(site, Op::Sub, subtract, |l, r, _| l - r),
    },
    Entry {
        op: "Mul",
        attributes: &[],
        limits: LIMITS,
        rule: |site| binary(site, Op::Mul, |c, _| (c, 0.0), |l, r, _| l * r),
    },
    Entry {
        op: "Div",
        attributes: &[],
        limits: "constant divisor without zeros, or a value that calibration finds to be of one sign",
        rule: divide,
    },
    Entry {
        op: "Pow",
        attributes: &[],
        limits: "constant whole exponent from 1 to 64",
        rule: pow,
    },
    Entry {
        op: "Neg",
        attributes: &[],
        limits: "any value",
        rule: negate,
    },
];

/// Which side of an operator the constant is on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// Factor and summand that an operator with this constant is for the other operand.
type Scalar = fn(f64, Side) -> (f64, f64);

fn subtract(constant: f64, side: Side) -> (f64, f64) {
    match side {
        Side::Left => (-1.0, constant),
        Side::Right => (1.0, -constant),
    }
}

fn binary(site: &mut Site<'_>, op: Op, scalar: Scalar, both: fold::Binary) -> Result<Value, Stop> {
    match (site.operand(0)?, site.operand(1)?) {
        (Value::Constant(left), Value::Constant(right)) => fold::binary(site, &left, &right, both),
        (Value::Constant(_), Value::Computed(x)) => {
            let constant = site.constant(0)?;
            affine(site, x, &constant, |c| scalar(c, Side::Left))
        }
        (Value::Computed(x), Value::Constant(_)) => {
            let constant = site.constant(1)?;
            affine(site, x, &constant, |c| scalar(c, Side::Right))
        }
        (Value::Computed(left), Value::Computed(right)) => two_values(site, op, left, right),
        (Value::Unknown, _) | (_, Value::Unknown) => Err(Stop),
    }
}

fn two_values(site: &mut Site<'_>, op: Op, left: Computed, right: Computed) -> Result<Value, Stop> {
    let (left, right) = (site.without_tail(left)?, site.without_tail(right)?);
    let Some(shape) = broadcast_shape(&left.shape, &right.shape) else {
        return Err(site.refuse(
            None,
            format!("its operands have shapes {:?} and {:?}", left.shape, right.shape),
            "shapes that broadcast are expected",
        ));
    };
    let (left, right) = (repeated(site, &left, &shape)?, repeated(site, &right, &shape)?);
    site.emit(op, &[left, right], &shape)
}

/// The value repeated to `shape`, which it broadcasts to.
fn repeated(site: &mut Site<'_>, x: &Computed, shape: &[usize]) -> Result<NodeId, Stop> {
    if limits::elements(shape) == limits::elements(&x.shape) {
        let sample = site.sample(shape);
        return site.reshaped(x.id, &sample);
    }
    site.reserve(shape)?;
    let chosen = Tensor {
        shape: shape.to_vec(),
        values: broadcast_to(&select::numbered(&x.shape), shape),
        integer: true,
    };
    match select::emit(site, x, &chosen)? {
        Value::Computed(repeated) => Ok(repeated.id),
        Value::Constant(_) | Value::Unknown => Err(Stop),
    }
}

fn divide(site: &mut Site<'_>) -> Result<Value, Stop> {
    match (site.operand(0)?, site.operand(1)?) {
        (Value::Constant(left), Value::Constant(right)) => {
            fold::binary(
                site,
                &left,
                &right,
                |l, r, integer| if integer { (l / r).trunc() } else { l / r },
            )
        }
        (_, Value::Constant(_)) => {
            let x = site.computed(0)?;
            let divisor = site.constant(1)?;
            if divisor.values.contains(&0.0) {
                return Err(site.refuse(None, "its divisor contains a zero", "train or export the model again"));
            }
            affine(site, x, &divisor, |c| (1.0 / c, 0.0))
        }
        (Value::Constant(_), Value::Computed(divisor)) => {
            let (numerator, inverse) = (site.constant(0)?, reciprocal(site, divisor)?);
            affine(site, inverse, &numerator, |c| (c, 0.0))
        }
        (Value::Computed(x), Value::Computed(divisor)) => {
            let inverse = reciprocal(site, divisor)?;
            two_values(site, Op::Mul, x, inverse)
        }
        (Value::Unknown, Value::Computed(_)) => Err(Stop),
        (_, Value::Unknown) => Err(Stop),
    }
}

/// `1 / x`.
fn reciprocal(site: &mut Site<'_>, x: Computed) -> Result<Computed, Stop> {
    let x = site.without_tail(x)?;
    match site.emit(Op::Activation(Activation::Reciprocal), &[x.id], &x.shape)? {
        Value::Computed(inverse) => Ok(inverse),
        Value::Constant(_) | Value::Unknown => Err(Stop),
    }
}

fn pow(site: &mut Site<'_>) -> Result<Value, Stop> {
    if let (Value::Constant(base), Value::Constant(exponent)) = (site.operand(0)?, site.operand(1)?) {
        return fold::binary(site, &base, &exponent, |l, r, _| libm::pow(l, r));
    }
    let exponent = site.constant(1)?;
    let x = site.computed(0)?;
    let whole = exponent
        .single_value()
        .filter(|value| value.fract() == 0.0 && (1.0..=f64::from(limits::EXPONENT)).contains(value));
    match whole {
        None => Err(site.refuse(
            None,
            format!("its exponent is {:?}", &exponent.values[..exponent.values.len().min(4)]),
            format!("one whole exponent from 1 to {} is supported", limits::EXPONENT),
        )),
        Some(1.0) => site.emit(Op::Identity, &[x.id], &x.shape),
        Some(2.0) => site.emit(Op::Square, &[x.id], &x.shape),
        Some(exponent) => site.emit(Op::Pow(exponent as u32), &[x.id], &x.shape),
    }
}

fn negate(site: &mut Site<'_>) -> Result<Value, Stop> {
    if let Value::Constant(tensor) = site.operand(0)? {
        return Ok(fold::map(&tensor, |value| -value));
    }
    let x = site.computed(0)?;
    let minus_one = Tensor::floats([-1.0]).into_scalar();
    affine(site, x, &minus_one, |c| (c, 0.0))
}

/// Appends `scale ⊙ x + shift` with both taken from a constant's elements.
pub(super) fn affine(
    site: &mut Site<'_>,
    x: Computed,
    constant: &Tensor,
    scalar: impl Fn(f64) -> (f64, f64),
) -> Result<Value, Stop> {
    let x = site.without_tail(x)?;
    let Some(shape) = broadcast_shape(&x.shape, &constant.shape) else {
        return Err(site.refuse(
            None,
            format!(
                "its operand has shape {:?} and its constant {:?}",
                x.shape, constant.shape
            ),
            "shapes that broadcast are expected",
        ));
    };
    let id = repeated(site, &x, &shape)?;
    let (granularity, entries) = entries(constant, &shape);
    let (scale, shift): (Vec<f64>, Vec<f64>) = entries.iter().map(|&value| scalar(value)).unzip();
    let op = Op::Affine(Affine {
        granularity,
        scale: Array1::from(scale).into_shared(),
        shift: Array1::from(shift).into_shared(),
    });
    site.emit(op, &[id], &shape)
}

/// The coarsest granularity that a constant's shape allows in a value of `shape`, and the constant's entries.
fn entries(constant: &Tensor, shape: &[usize]) -> (Granularity, Vec<f64>) {
    if constant.values.len() == 1 {
        return (Granularity::Tensor, constant.values.clone());
    }
    let channel_axis = usize::from(shape.len() > 1);
    let missing = shape.len() - constant.shape.len();
    let per_channel =
        (constant.shape.iter().enumerate()).all(|(axis, &length)| length == 1 || axis + missing == channel_axis);
    if per_channel {
        (Granularity::Channel, constant.values.clone())
    } else {
        (Granularity::Element, broadcast_to(constant, shape))
    }
}

/// A constant result.
pub(super) fn constant(tensor: Tensor) -> Value {
    Value::Constant(Arc::new(tensor))
}
