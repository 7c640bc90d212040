//! Bootstrapping as data and arithmetic: what a variant needs, what it gives back, what it costs.
//!
//! A bootstrap takes a ciphertext at its lowest levels to a high one. Its parts, with `u` the coefficients of a polynomial
//! `t` as complex numbers `t_k + i t_(k + N/2)`:
//!
//! ```text
//! slots to coefficients   slots z            -> coefficients z                      one level a factor
//! raise                   t mod q_0          -> t + q_0 I over the whole chain      under a secret of weight 32
//! coefficients to slots   coefficients u     -> slots u                             one level a factor
//! modular reduction       slots t + q_0 I    -> slots t                             sine, by cosine and double angles
//! ```
//!
//! The builder ([`BootstrapParams::build`]) chooses the prime chain, the splits of both transforms and the approximation of
//! the modular reduction; `heron-ckks` evaluates what it chose.

mod builder;
mod check;
mod cost;
mod ephemeral;
mod eval_mod;
mod keys;
mod offer;
mod overflow;
mod precision;
mod presets;
mod request;
mod transform;
mod variant;

pub use ephemeral::{EPHEMERAL_WEIGHT, max_ephemeral_log_qp};
pub use eval_mod::{Correction, EvalMod};
pub use keys::BootstrapKeySpec;
pub use offer::{BootstrapOffer, INPUT_BOUND};
pub use overflow::{overflow_failure_log2, overflow_interval};
pub use precision::BootstrapPrecision;
pub use presets::{BOOTSTRAP_PRESETS, BootstrapPreset};
pub use request::{BootstrapError, BootstrapRequest, SlotValues, TransformOrder};
pub use transform::{Factor, FactorStep, FactorTerm};
pub use variant::{BootstrapParams, SecurityRow};
