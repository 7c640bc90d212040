//! A model with polynomials in place of its activations, to be evaluated in clear: what packing would compute, for networks
//! that cannot be packed too.

use crate::approximate::{Approximated, FitStore, NoStore, Stored, approximate_stored};
use crate::calibrate::calibrate;
use crate::compile::approximate_options;
use crate::error::CompileError;
use crate::{CompileInput, import, simplify};

/// Imports, simplifies, calibrates and approximates; nothing is packed, and no accuracy is demanded.
///
/// # Errors
/// [`CompileError`], as from [`compile`](crate::compile()).
pub fn polynomial_network(input: CompileInput<'_>) -> Result<Approximated, CompileError> {
    polynomial_network_stored(input, &NoStore)
}

/// [`polynomial_network`] with fits from a store, if it has them.
///
/// # Errors
/// [`CompileError`], as from [`compile`](crate::compile()).
pub fn polynomial_network_stored(input: CompileInput<'_>, store: &dyn FitStore) -> Result<Approximated, CompileError> {
    if let Some(defect) = input.options.defect() {
        return Err(CompileError::Options(defect));
    }
    let graph = simplify(&import(input.model)?.graph)?;
    calibrate(&graph, input.calibration)?;
    let options = approximate_options(input.options);
    let stored = Stored::new(store, input.model, input.calibration, &options);
    Ok(approximate_stored(&graph, input.calibration, &options, stored)?)
}
