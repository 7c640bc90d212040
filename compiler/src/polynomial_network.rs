//! A model with polynomials in place of its activations, to be evaluated in clear: what packing would compute, for networks
//! that cannot be packed too.

use crate::approximate::{Approximated, approximate};
use crate::calibrate::calibrate;
use crate::compile::approximate_options;
use crate::error::CompileError;
use crate::{CompileInput, import, simplify};

/// Imports, simplifies, calibrates and approximates; nothing is packed, and no accuracy is demanded.
///
/// # Errors
/// [`CompileError`], as from [`compile`](crate::compile()).
pub fn polynomial_network(input: CompileInput<'_>) -> Result<Approximated, CompileError> {
    if let Some(defect) = input.options.defect() {
        return Err(CompileError::Options(defect));
    }
    let graph = simplify(&import(input.model)?.graph)?;
    calibrate(&graph, input.calibration)?;
    Ok(approximate(
        &graph,
        input.calibration,
        &approximate_options(input.options),
    )?)
}
