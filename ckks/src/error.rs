//! Why an operation is refused. No error carries a value that depends on a secret.

use heron_params::{Level, Rotation, ScalePower};

/// Why values cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum EncodeError {
    /// More values than slots.
    #[error("{given} values do not fit {slots} slots")]
    TooManyValues {
        /// How many values were given.
        given: usize,
        /// How many slots there are.
        slots: usize,
    },
    /// A value is NaN or infinite.
    #[error("the value for slot {slot} is not a finite number")]
    NotFinite {
        /// The first such slot.
        slot: usize,
    },
    /// The scaled values would wrap around the modulus.
    #[error(
        "values of 2^{magnitude_bits:.1} after scaling do not fit the modulus of level {level}, which holds 2^{available_bits:.1}"
    )]
    TooLarge {
        /// Base-2 logarithm of the largest scaled coefficient.
        magnitude_bits: f64,
        /// Base-2 logarithm of what the modulus holds.
        available_bits: f64,
        /// The level.
        level: Level,
    },
    /// The level is above the top of the chain.
    #[error("level {level} is above the top level {max}")]
    LevelTooHigh {
        /// The level that was asked for.
        level: Level,
        /// The top level.
        max: Level,
    },
}

/// Why an operation on ciphertexts or keys is refused. Operands stay untouched.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum EvalError {
    /// Two operands have different levels.
    #[error("operands have levels {left} and {right}, which must be equal")]
    Levels {
        /// Level of the left operand.
        left: Level,
        /// Level of the right operand.
        right: Level,
    },
    /// Two operands have different scales.
    #[error("operands have scales {left} and {right}, which must be equal")]
    Scales {
        /// Scale of the left operand.
        left: ScalePower,
        /// Scale of the right operand.
        right: ScalePower,
    },
    /// An operand has the wrong scale for the operation.
    #[error("the operand has scale {found}, the operation needs {needed}")]
    WrongScale {
        /// Scale of the operand.
        found: ScalePower,
        /// Scale that the operation needs.
        needed: ScalePower,
    },
    /// A rescale at level 0, or a drop to a level that is not below.
    #[error("level {to} cannot be reached from level {from}")]
    NoSuchLevel {
        /// Level of the operand.
        from: Level,
        /// Level that was asked for; at level 0, a rescale reports 0 here.
        to: Level,
    },
    /// An operand was made for a ring of another shape.
    #[error("an operand belongs to other parameters")]
    OtherParameters,
    /// There is no rotation key, or it is not deep enough.
    #[error("no key for a rotation by {rotation} at level {level}")]
    MissingRotationKey {
        /// The rotation.
        rotation: Rotation,
        /// Level of the operand.
        level: Level,
    },
    /// There is no relinearization key, or it is not deep enough.
    #[error("no relinearization key at level {level}")]
    MissingRelinearizeKey {
        /// Level of the operand.
        level: Level,
    },
    /// A rotation is not below the number of slots.
    #[error("a rotation by {rotation} is not below the {slots} slots")]
    RotationTooLarge {
        /// The rotation.
        rotation: Rotation,
        /// How many slots there are.
        slots: usize,
    },
    /// A linear transform names an input or an output that does not exist, or no input is given.
    #[error("the linear transform does not match its operands: {0}")]
    MalformedTransform(&'static str),
    /// A polynomial cannot be evaluated.
    #[error("the polynomial cannot be evaluated: {0}")]
    MalformedPolynomial(&'static str),
    /// A plaintext operand cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Why bytes are not the object that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source failed or ended early.
    #[error("reading failed")]
    Io(#[from] std::io::Error),
    /// The bytes do not fit the parameters.
    #[error("malformed {what}: {reason}")]
    Malformed {
        /// Which object was read.
        what: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}
