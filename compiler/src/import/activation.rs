//! Activation functions.

use super::fold;
use super::site::{Site, Stop, Value};
use super::table::Entry;
use crate::nn::{Activation, Gelu, Op};

const fn plain(op: &'static str, rule: fn(&mut Site<'_>) -> Result<Value, Stop>) -> Entry {
    Entry {
        op,
        attributes: &[],
        limits: "any value",
        rule,
    }
}

pub(super) const ENTRIES: &[Entry] = &[
    plain("Relu", |site| emit(site, Activation::Relu)),
    plain("Sigmoid", |site| emit(site, Activation::Sigmoid)),
    plain("Tanh", |site| emit(site, Activation::Tanh)),
    plain("Erf", |site| emit(site, Activation::Erf)),
    plain("Softplus", |site| emit(site, Activation::Softplus)),
    plain("Mish", |site| emit(site, Activation::Mish)),
    plain("HardSwish", |site| emit(site, Activation::HardSwish)),
    plain("Abs", |site| emit(site, Activation::Abs)),
    plain("Sign", |site| emit(site, Activation::Sign)),
    plain("Exp", |site| emit(site, Activation::Exp)),
    Entry {
        op: "Log",
        attributes: &[],
        limits: POSITIVE,
        rule: |site| emit(site, Activation::Log),
    },
    Entry {
        op: "Sqrt",
        attributes: &[],
        limits: "constants, and values that calibration finds not negative",
        rule: |site| constant_or(site, Activation::Sqrt),
    },
    Entry {
        op: "Reciprocal",
        attributes: &[],
        limits: "constants, and values that calibration finds to be of one sign",
        rule: |site| constant_or(site, Activation::Reciprocal),
    },
    Entry {
        op: "Selu",
        attributes: &["alpha", "gamma"],
        limits: "any value",
        rule: |site| {
            let (alpha, gamma) = (site.float("alpha", SELU_ALPHA)?, site.float("gamma", SELU_GAMMA)?);
            emit(site, Activation::Selu { alpha, gamma })
        },
    },
    Entry {
        op: "HardSigmoid",
        attributes: &["alpha", "beta"],
        limits: "any value",
        rule: |site| {
            let (slope, offset) = (site.float("alpha", 0.2)?, site.float("beta", 0.5)?);
            emit(site, Activation::HardSigmoid { slope, offset })
        },
    },
    Entry {
        op: "LeakyRelu",
        attributes: &["alpha"],
        limits: "any value",
        rule: |site| {
            let alpha = site.float("alpha", 0.01)?;
            emit(site, Activation::LeakyRelu { alpha })
        },
    },
    Entry {
        op: "Elu",
        attributes: &["alpha"],
        limits: "any value",
        rule: |site| {
            let alpha = site.float("alpha", 1.0)?;
            emit(site, Activation::Elu { alpha })
        },
    },
    Entry {
        op: "Gelu",
        attributes: &["approximate"],
        limits: "exact or tanh form; also recognized where it is written out",
        rule: gelu,
    },
    Entry {
        op: "Clip",
        attributes: &["min", "max"],
        limits: "constant limits",
        rule: clip,
    },
];

const POSITIVE: &str = "values that calibration finds positive";
/// The defaults of ONNX, which are those of the paper rounded to f32.
const SELU_ALPHA: f32 = 1.673_263_2;
const SELU_GAMMA: f32 = 1.050_701;

/// A function of a constant is a constant.
fn constant_or(site: &mut Site<'_>, activation: Activation) -> Result<Value, Stop> {
    match site.operand(0)? {
        Value::Constant(_) => {
            let tensor = site.constant(0)?;
            Ok(fold::map(&tensor, |value| activation.apply(value)))
        }
        Value::Computed(_) => emit(site, activation),
        Value::Unknown => Err(Stop),
    }
}

fn emit(site: &mut Site<'_>, activation: Activation) -> Result<Value, Stop> {
    let x = site.computed(0)?;
    site.emit(Op::Activation(activation), &[x.id], &x.shape)
}

fn gelu(site: &mut Site<'_>) -> Result<Value, Stop> {
    match site.text("approximate", "none")?.as_str() {
        "none" => emit(site, Activation::Gelu(Gelu::Erf)),
        "tanh" => emit(site, Activation::Gelu(Gelu::Tanh)),
        other => Err(site.refuse(
            Some("approximate"),
            format!("it is `{other}`"),
            "`none` and `tanh` are supported",
        )),
    }
}

/// Attributes up to opset 10, operands from 11 on. Only a lower limit of zero is a ReLU.
fn clip(site: &mut Site<'_>) -> Result<Value, Stop> {
    let (mut min, mut max) = (site.float("min", f32::NEG_INFINITY)?, site.float("max", f32::INFINITY)?);
    for (index, limit) in [(1, &mut min), (2, &mut max)] {
        if site.has_operand(index) {
            let tensor = site.limit(index)?;
            *limit = match tensor.single_value() {
                Some(value) => value,
                None => {
                    let reason = format!("limit `{}` has shape {:?}", site.node.input[index], tensor.shape);
                    return Err(site.refuse(None, reason, "one number is expected"));
                }
            };
        }
    }
    // Exporters write "no limit" as the largest f32.
    let largest = f64::from(f32::MAX);
    if min == 0.0 && max >= largest {
        return emit(site, Activation::Relu);
    }
    if min <= -largest && max >= largest {
        let x = site.computed(0)?;
        return site.emit(Op::Identity, &[x.id], &x.shape);
    }
    emit(site, Activation::Clip { min, max })
}
