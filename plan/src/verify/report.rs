//! What verification reports.

use std::fmt;

use crate::coverage::DefectKind;
use crate::{ConstId, MapId, ValueId};

/// How many errors a message shows; the value holds all.
const SHOWN: usize = 30;

/// Every error of a plan, in order of the program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct VerifyErrors {
    /// At least one.
    pub errors: Vec<VerifyError>,
}

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {rule}: found {found}, expected {expected}")]
pub struct VerifyError {
    /// Where.
    pub place: Place,
    /// Which rule.
    pub rule: Rule,
    /// What the plan says.
    pub found: String,
    /// What it should say.
    pub expected: String,
}

/// A place in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line, and the ONNX node that it belongs to.
    Line(ValueId, String),
    /// A linear map.
    Map(MapId),
    /// A constant.
    Constant(ConstId),
    /// The declared input.
    Input,
    /// The declared output.
    Output,
    /// The plan as a whole.
    Plan,
}

/// What a plan must satisfy. `docs/plan-format.md` explains each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// The format version is this crate's.
    Version,
    /// Sizes are within the limits.
    Limits,
    /// Names are short and printable.
    Text,
    /// The parameters are usable.
    Parameters,
    /// The parameters are 128-bit secure.
    Security,
    /// Operands are earlier lines.
    OperandOrder,
    /// Levels follow the instructions and never go below zero or above the chain.
    Level,
    /// Scale powers follow the instructions.
    Power,
    /// `add`, `sub` and `mul` take operands of equal level and power.
    EqualStates,
    /// Bounds are finite and positive.
    Bound,
    /// Predicted errors are finite and positive.
    Error,
    /// A value at its bound leaves two bits of the modulus free.
    Overflow,
    /// Rotations are between 1 and the number of slots.
    Rotation,
    /// Linear maps exist.
    Map,
    /// Constants exist, are finite, and have the shape of their use.
    Constant,
    /// Shapes agree.
    Shape,
    /// Layouts fit the slots, agree between lines, and hold where they are read.
    Layout,
    /// Giant steps have diagonals.
    Babies,
    /// The fold meets every row and column once.
    Fold,
    /// Polynomials have a degree of their parity, and operands in their interval.
    Polynomial,
    /// The program's bootstrap fits its chain and its lines, and operands are within its bound.
    Bootstrap,
    /// There is one `input` and one `output`.
    Interface,
    /// The client's part is complete and finite.
    Client,
    /// Integers stay within what their line states, and indices within their tables.
    Range,
    /// Steps of a turn follow the instructions.
    Steps,
    /// Stated noise is no less than what follows.
    Variance,
    /// Stated failures are no less than what follows, and add up to no more than the promise.
    Failure,
}

impl From<DefectKind> for Rule {
    fn from(kind: DefectKind) -> Self {
        match kind {
            DefectKind::Layout => Self::Layout,
            DefectKind::Shape => Self::Shape,
            DefectKind::Babies => Self::Babies,
            DefectKind::Fold => Self::Fold,
        }
    }
}

impl fmt::Display for VerifyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.errors.len() == 1 { "" } else { "s" };
        write!(f, "the plan breaks {} rule{plural}", self.errors.len())?;
        let shown = self.errors.iter().take(SHOWN);
        shown.clone().try_for_each(|error| write!(f, "\n  {error}"))?;
        match self.errors.len() - shown.len() {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(value, node) if node.is_empty() => write!(f, "{value}"),
            Self::Line(value, node) => write!(f, "{value} ({})", node.escape_debug()),
            Self::Map(map) => write!(f, "{map}"),
            Self::Constant(constant) => write!(f, "{constant}"),
            Self::Input => f.write_str("input"),
            Self::Output => f.write_str("output"),
            Self::Plan => f.write_str("plan"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "format version",
            Self::Limits => "too large",
            Self::Text => "name",
            Self::Parameters => "parameters",
            Self::Security => "security",
            Self::OperandOrder => "operand order",
            Self::Level => "level",
            Self::Power => "scale power",
            Self::EqualStates => "operands of unequal state",
            Self::Bound => "bound",
            Self::Error => "predicted error",
            Self::Overflow => "overflow",
            Self::Rotation => "rotation",
            Self::Map => "linear map",
            Self::Constant => "constant",
            Self::Shape => "shape",
            Self::Layout => "layout",
            Self::Babies => "baby steps",
            Self::Fold => "fold",
            Self::Polynomial => "polynomial",
            Self::Bootstrap => "bootstrap",
            Self::Interface => "inputs and outputs",
            Self::Client => "client's part",
            Self::Range => "range of integers",
            Self::Steps => "steps of a turn",
            Self::Variance => "noise",
            Self::Failure => "failure",
        })
    }
}
