//! The vocabulary after packing: operations on whole slot vectors.

use heron_params::Slots;
use heron_plan::{ConstEntry, ConstId, Constant, LinearMap, SlotPolynomial, VectorLayout, Weights};

use crate::graph::{Graph, NodeId};

/// An operation on slot vectors, and where the elements of its result lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// What to compute.
    pub compute: Compute,
    /// Layout of the result. Slots without an element are zero.
    pub layout: VectorLayout,
    /// The node of the polynomial network whose elements the slots hold.
    pub value: NodeId,
}

/// What an operation computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Compute {
    /// The encrypted input.
    Input,
    /// `map · x + bias`: one level.
    Linear {
        /// The map; boxed, since it is much larger than everything else.
        map: Box<LinearMap>,
        /// Added to the result, in its layout.
        bias: ConstId,
    },
    /// `factor ⊙ x + shift`: one level.
    Scale {
        /// Factor.
        factor: Constant,
        /// Summand.
        shift: Constant,
    },
    /// `x + shift`: no level.
    Shift(Constant),
    /// Slot-wise sum.
    Add,
    /// Slot-wise difference.
    Sub,
    /// Slot-wise product: one level.
    Mul,
    /// Slot-wise square: one level.
    Square,
    /// A polynomial in every slot: as many levels as it is deep.
    Polynomial(SlotPolynomial),
}

impl Compute {
    /// How many levels the operation takes.
    pub fn levels(&self) -> u32 {
        match self {
            Self::Linear { .. } | Self::Scale { .. } | Self::Mul | Self::Square => 1,
            Self::Polynomial(poly) => poly.depth(),
            Self::Input | Self::Shift(_) | Self::Add | Self::Sub => 0,
        }
    }
}

/// A network over slot vectors of one size, with its constants.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The operations.
    pub graph: Graph<Op>,
    /// How many slots a vector has.
    pub slots: Slots,
    /// The tensors that constants and maps refer to.
    pub weights: Weights,
    /// What the plan says of them, in the same order.
    pub constants: Vec<ConstEntry>,
}
