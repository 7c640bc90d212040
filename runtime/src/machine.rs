//! What a machine is: one method per instruction of a plan.
//!
//! A machine decides nothing: the interpreter hands it resolved operands, and the line says which state the result has.

use heron_ckks::EvalError;
use heron_params::bootstrap::{BootstrapParams, INPUT_BOUND};
use heron_params::{Level, Rotation, ScalePower};
use heron_plan::{LinearMap, MapId, SlotPolynomial, VectorLayout};

/// Level and scale of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Its level.
    pub level: Level,
    /// The power of the level's canonical scale.
    pub power: ScalePower,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.level, self.power)
    }
}

/// A linear map with the weights that its geometry names.
#[derive(Clone, Copy, Debug)]
pub struct ResolvedMap<'a> {
    /// Its identifier: the same in every run of one program, so machines may cache what they derive from it.
    pub id: MapId,
    /// The map.
    pub map: &'a LinearMap,
    /// The weights of its geometry.
    pub weights: &'a [f64],
}

/// A constant operand with its values.
#[derive(Clone, Copy, Debug)]
pub enum ResolvedConstant<'a> {
    /// The same value in every slot.
    Scalar(f64),
    /// A vector spread over the slots.
    Vector {
        /// Its elements.
        values: &'a [f64],
        /// Where they go.
        layout: VectorLayout,
    },
}

impl ResolvedConstant<'_> {
    /// The value of every slot.
    pub fn spread(&self, slots: usize) -> Vec<f64> {
        match *self {
            Self::Scalar(value) => vec![value; slots],
            Self::Vector { values, layout } => layout.spread(values, slots),
        }
    }
}

/// A polynomial with the values of its coefficients.
#[derive(Clone, Copy, Debug)]
pub struct ResolvedPolynomial<'a> {
    /// The polynomial.
    pub poly: &'a SlotPolynomial,
    /// Its coefficients, in the shape that the polynomial says.
    pub coefficients: &'a [f64],
}

impl ResolvedPolynomial<'_> {
    /// The coefficients `c_0 … c_d` of a slot; `None` for a slot without an element, whose polynomial is zero.
    pub fn of_slot(&self, slot: usize) -> Option<Vec<f64>> {
        let Some(layout) = self.poly.layout else {
            return Some(self.poly.dense(self.coefficients, 0));
        };
        let element = layout.element(slot)?;
        Some(self.poly.dense(self.coefficients, element))
    }
}

/// Why a machine refuses an instruction. Operands stay untouched.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum MachineError {
    /// Two operands have different levels or scales.
    #[error("operands have states {left} and {right}, which must be equal")]
    Unequal {
        /// State of the left operand.
        left: State,
        /// State of the right operand.
        right: State,
    },
    /// The operand has the wrong scale for the instruction.
    #[error("the operand has scale {found}, the instruction needs {needed}")]
    WrongPower {
        /// Scale of the operand.
        found: ScalePower,
        /// Scale that the instruction needs.
        needed: ScalePower,
    },
    /// The level that the instruction leads to does not exist.
    #[error("no level below {from} that the instruction could lead to")]
    NoLevel {
        /// Level of the operand.
        from: Level,
    },
    /// A slot exceeds what a bootstrap takes: its result would be wrong.
    #[error(
        "a slot exceeds {INPUT_BOUND}, the largest magnitude that a bootstrap takes; the input was unlike the calibration data: \
         calibrate with data like these"
    )]
    OverBound,
    /// A plan that bootstraps, and keys that cannot.
    #[error("the keys are not for plans that bootstrap; make them with `heron keygen` for this plan")]
    NoBootstrapKeys,
    /// A value has another number of slots than the machine.
    #[error("a value has {found} slots, the machine has {needed}")]
    Slots {
        /// Slots of the value.
        found: usize,
        /// Slots of the machine.
        needed: usize,
    },
    /// The encrypted evaluation refused.
    #[error(transparent)]
    Ckks(#[from] EvalError),
}

/// What evaluates the instructions of a plan.
pub trait Machine {
    /// What a line computes: clear slots, a ciphertext.
    type Value;

    /// Level and scale of a value.
    fn state(&self, value: &Self::Value) -> State;

    /// Takes a value that comes from the client, which must have the given state.
    fn input(&mut self, value: Self::Value, state: State) -> Result<Self::Value, MachineError>;

    /// A linear map: from `Δ` to `Δ²`.
    fn linear(&mut self, arg: &Self::Value, map: ResolvedMap<'_>) -> Result<Self::Value, MachineError>;

    /// A left rotation.
    fn rotate(&mut self, arg: &Self::Value, by: Rotation) -> Result<Self::Value, MachineError>;

    /// A slot-wise sum of operands of equal state.
    fn add(&mut self, lhs: &Self::Value, rhs: &Self::Value) -> Result<Self::Value, MachineError>;

    /// A slot-wise difference of operands of equal state.
    fn sub(&mut self, lhs: &Self::Value, rhs: &Self::Value) -> Result<Self::Value, MachineError>;

    /// Adds a constant at the operand's scale.
    fn add_const(&mut self, arg: &Self::Value, value: ResolvedConstant<'_>) -> Result<Self::Value, MachineError>;

    /// Multiplies by a constant: from `Δ` to `Δ²`.
    fn mul_const(&mut self, arg: &Self::Value, value: ResolvedConstant<'_>) -> Result<Self::Value, MachineError>;

    /// A slot-wise square: from `Δ` to `Δ²`.
    fn square(&mut self, arg: &Self::Value) -> Result<Self::Value, MachineError>;

    /// A slot-wise product of operands of equal level: from `Δ` to `Δ²`.
    fn mul(&mut self, lhs: &Self::Value, rhs: &Self::Value) -> Result<Self::Value, MachineError>;

    /// A polynomial in every slot, of an operand in `[-1, 1]`: from `Δ` to `Δ`, as many levels down as it is deep.
    fn polynomial(&mut self, arg: &Self::Value, poly: ResolvedPolynomial<'_>) -> Result<Self::Value, MachineError>;

    /// Divides by the scale: from `Δ²` to `Δ`, one level down.
    fn rescale(&mut self, arg: &Self::Value) -> Result<Self::Value, MachineError>;

    /// Goes to a lower level at `Δ`.
    fn drop_level(&mut self, arg: &Self::Value, to: Level) -> Result<Self::Value, MachineError>;

    /// [`linear`](Self::linear) and [`rescale`](Self::rescale): machines that can do both in one step override it.
    fn linear_rescale(&mut self, arg: &Self::Value, map: ResolvedMap<'_>) -> Result<Self::Value, MachineError> {
        let product = self.linear(arg, map)?;
        self.rescale(&product)
    }

    /// [`square`](Self::square) and [`rescale`](Self::rescale).
    fn square_rescale(&mut self, arg: &Self::Value) -> Result<Self::Value, MachineError> {
        let product = self.square(arg)?;
        self.rescale(&product)
    }

    /// [`mul`](Self::mul) and [`rescale`](Self::rescale).
    fn mul_rescale(&mut self, lhs: &Self::Value, rhs: &Self::Value) -> Result<Self::Value, MachineError> {
        let product = self.mul(lhs, rhs)?;
        self.rescale(&product)
    }

    /// Gives new levels, up to the given one, which the variant reaches: of an operand in `[-1, 1]` at `Δ`, at the variant's
    /// input level or above.
    fn bootstrap(
        &mut self,
        arg: &Self::Value,
        variant: &BootstrapParams,
        to: Level,
    ) -> Result<Self::Value, MachineError>;

    /// A value that goes back to the client.
    fn output(&mut self, arg: &Self::Value) -> Result<Self::Value, MachineError>;
}
