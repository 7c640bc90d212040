//! Plans for exact integers, resolved: the clear side of every encrypted run.

use heron_plan::tfhe::{IntegerProgram, TfheProgram};
use heron_plan::{Plan, Weights};

use crate::sessions::SessionError;

const OTHER_SCHEME: SessionError = SessionError::OtherScheme {
    found: "ckks",
    needed: "tfhe",
};

/// The program of a plan for exact integers.
///
/// # Errors
/// [`SessionError::OtherScheme`].
pub fn tfhe_program(plan: &Plan) -> Result<&TfheProgram, SessionError> {
    plan.program.tfhe().ok_or(OTHER_SCHEME)
}

/// A plan for exact integers, verified and with its constants resolved.
///
/// # Errors
/// [`SessionError::OtherScheme`]; [`SessionError::BadPlan`] for a plan that does not verify.
pub fn integer_program(plan: &Plan, weights: &Weights) -> Result<IntegerProgram, SessionError> {
    IntegerProgram::new(plan, weights)
        .map_err(SessionError::BadPlan)?
        .ok_or(OTHER_SCHEME)
}
