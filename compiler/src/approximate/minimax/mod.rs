//! Minimax approximation: Remez on several intervals, and composites of odd polynomials for the sign.
//!
//! A rectifier is `x (1 + sign(x)) / 2`, and no single polynomial is near the sign across zero but one of very high
//! degree. A composite `p_k ∘ … ∘ p_1` is, in few levels: each component is the best odd polynomial for one on the image of
//! the component before.
//!
//! # Source
//! arXiv 2105.10879.

mod composite;
mod degrees;
mod real;
mod remez;
mod sign_form;

pub use composite::{Composite, CompositeError, MAX_ALPHA, MIN_ALPHA};
pub use degrees::{DegreeTable, Degrees, MAX_COMPONENT_DEGREE, ProductCost, our_products};
pub use real::{Extended, Real};
pub use remez::{Fit, RemezError, Target, remez};
pub use sign_form::rectifier_composite;
pub(crate) use sign_form::{SignForm, fit_composite};

#[cfg(test)]
mod tests;
