//! Bootstrapping: a ciphertext whose levels are used up gets new ones.
//!
//! What a variant consists of, and how it is chosen, is in [`heron_params::bootstrap`]; here is its evaluation. The steps
//! are in `evaluate`: the transforms between slots and coefficients (`transform`, from the matrices of `factor_matrix`), the raise
//! under an ephemeral sparse secret (`raise`), and the modular reduction (`reduction`).

mod automorphism;
mod evaluate;
mod factor_matrix;
mod keys;
mod raise;
mod raise_keys;
mod reduction;
mod sparse_secret;
#[cfg(test)]
mod tests;
mod transform;

pub use evaluate::Bootstrapper;
pub use keys::BootstrapKeys;
