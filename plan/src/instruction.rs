//! The CKKS instruction set.

use heron_params::{Level, Rotation, ScalePower};
use serde::{Deserialize, Serialize};

use crate::{ConstId, MapId, SlotPolynomial, ValueId, VectorLayout};

/// One line of a program: an instruction, and the state of the value it computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// What to compute.
    pub op: Instruction,
    /// Level of the result.
    pub level: Level,
    /// Power of the level's canonical scale that the result carries.
    pub power: ScalePower,
    /// Largest magnitude that the result's slots take on calibrated inputs, with margin.
    pub bound: f64,
    /// Bound on the error of every slot of the result against exact arithmetic, predicted by the noise model.
    pub error: f64,
    /// Name of the ONNX node that the line belongs to.
    pub node: String,
    /// What a reader should know; empty where nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What one line computes. Operands are earlier lines.
///
/// # Levels
/// `Rescale`, `DropLevel`, `Polynomial` and `Bootstrap` change the level. `Linear`, `MulConst`, `Square` and `Mul` take operands at
/// `Δ` and give `Δ²`; `Rescale` takes `Δ²` and gives `Δ` one level down; `DropLevel`, `Polynomial` and `Bootstrap` take and give `Δ`; all
/// else keeps the power. `Add`, `Sub` and `Mul` need operands of equal level and power.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Instruction {
    /// The encrypted input.
    Input,
    /// A linear map.
    Linear {
        /// Operand.
        arg: ValueId,
        /// The map.
        map: MapId,
    },
    /// A left rotation of the slots.
    Rotate {
        /// Operand.
        arg: ValueId,
        /// By how many slots.
        by: Rotation,
    },
    /// Slot-wise sum.
    Add {
        /// Left operand.
        lhs: ValueId,
        /// Right operand.
        rhs: ValueId,
    },
    /// Slot-wise difference.
    Sub {
        /// Left operand.
        lhs: ValueId,
        /// Right operand.
        rhs: ValueId,
    },
    /// Adds a constant.
    AddConst {
        /// Operand.
        arg: ValueId,
        /// The constant.
        value: Constant,
    },
    /// Multiplies by a constant.
    MulConst {
        /// Operand.
        arg: ValueId,
        /// The constant.
        value: Constant,
    },
    /// Slot-wise square, relinearized.
    Square {
        /// Operand.
        arg: ValueId,
    },
    /// Slot-wise product, relinearized.
    Mul {
        /// Left operand.
        lhs: ValueId,
        /// Right operand.
        rhs: ValueId,
    },
    /// A polynomial in every slot: as many levels down as it is deep, rescales included.
    Polynomial {
        /// Operand, in `[-1, 1]`.
        arg: ValueId,
        /// The polynomial.
        poly: SlotPolynomial,
    },
    /// Divides by the scale: from `Δ²` to `Δ`, one level down.
    Rescale {
        /// Operand.
        arg: ValueId,
    },
    /// Goes to a lower level (the line's own), on that level's canonical scale.
    DropLevel {
        /// Operand.
        arg: ValueId,
    },
    /// Gives new levels, with an error: to the line's own level, which is at most what the program's bootstrap reaches.
    Bootstrap {
        /// Operand, real and in `[-1, 1]`, at the bootstrap's input level or above.
        arg: ValueId,
    },
    /// A result that goes back to the client.
    Output {
        /// Operand.
        arg: ValueId,
    },
}

/// A constant operand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Constant {
    /// The same value in every slot.
    Scalar(f64),
    /// A vector spread over the slots.
    Vector {
        /// Its elements.
        data: ConstId,
        /// Where they go.
        layout: VectorLayout,
    },
}

impl Instruction {
    /// The operands, left to right.
    pub fn args(&self) -> impl Iterator<Item = ValueId> {
        let (first, second) = match *self {
            Self::Input => (None, None),
            Self::Linear { arg, .. }
            | Self::Rotate { arg, .. }
            | Self::AddConst { arg, .. }
            | Self::MulConst { arg, .. }
            | Self::Square { arg }
            | Self::Polynomial { arg, .. }
            | Self::Rescale { arg }
            | Self::DropLevel { arg }
            | Self::Bootstrap { arg }
            | Self::Output { arg } => (Some(arg), None),
            Self::Add { lhs, rhs } | Self::Sub { lhs, rhs } | Self::Mul { lhs, rhs } => (Some(lhs), Some(rhs)),
        };
        first.into_iter().chain(second)
    }

    /// The instruction's name, as plans, reports and answers write it.
    pub fn mnemonic(&self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Linear { .. } => "linear",
            Self::Rotate { .. } => "rotate",
            Self::Add { .. } => "add",
            Self::Sub { .. } => "sub",
            Self::AddConst { .. } => "add_const",
            Self::MulConst { .. } => "mul_const",
            Self::Square { .. } => "square",
            Self::Mul { .. } => "mul",
            Self::Polynomial { .. } => "polynomial",
            Self::Rescale { .. } => "rescale",
            Self::DropLevel { .. } => "drop_level",
            Self::Bootstrap { .. } => "bootstrap",
            Self::Output { .. } => "output",
        }
    }
}
