//! Layerwise optimised degrees: every activation gets the degree that its errors deserve.
//!
//! An error `δ` of an activation moves the answer by `Σ g δ` to first order, with the gradients `g` of one reverse pass over
//! the exact network. The mean square of that sum over samples is the variance that a polynomial of a degree adds; taken as
//! independent between layers, variances add up, and a dynamic program finds the degrees with the least sum within a budget
//! of levels. What is fitted afterwards is fitted in sequence, so that layers make up for the errors before them.
//!
//! # Source
//! J. Lee et al., arXiv 2310.10349. Differences: gradients of the margin between the two largest outputs instead of the loss,
//! and the square of the summed errors instead of the sum of their squares, so that errors of one layer may add up.

mod budget;
mod frontier;
mod variance;

pub use budget::{Choice, cheapest_choices};
pub use frontier::{DegreePlan, Frontier, LayerOptions, frontier, predicted_agreement};
pub use variance::first_order_variance;

use crate::approximate::ApproximateOptions;
use crate::calibrate::Samples;
use crate::error::UnsupportedNode;
use crate::graph::Graph;
use crate::nn::{self, Activation};
use crate::options::ActivationRule;

/// The degrees that are worth their levels: each is the highest of its depth. Under symmetric distributions a rectifier gains
/// nothing from the last, odd one; real distributions are not symmetric.
pub const DEGREES: [u32; 7] = [1, 2, 3, 7, 15, 31, 63];

/// Replaces the rule `ola` by the degree of every activation; other rules stay.
///
/// # Errors
/// Activations that cannot be fitted.
pub(crate) fn resolve(
    graph: &Graph<nn::Op>,
    samples: &Samples,
    options: &ApproximateOptions,
) -> Result<ApproximateOptions, Vec<UnsupportedNode>> {
    let ActivationRule::Ola { tenths } = options.rule else {
        return Ok(options.clone());
    };
    let frontier = frontier(graph, samples, options)?;
    let n_layers = frontier.layers.len() as u32;
    let plan = frontier.within(n_layers * tenths / 10).ok_or_else(|| {
        let layer = frontier.layers.first().map_or("", |layer| &layer.node);
        vec![UnsupportedNode {
            node: layer.to_owned(),
            op: options.rule.to_string(),
            reason: "so few levels are not enough for its cheapest polynomial".to_owned(),
            advice: "allow more levels: `ola:LEVELS`".to_owned(),
        }]
    })?;
    Ok(plan.options(options))
}

/// Whether layerwise degrees are chosen for a function: all but those that a layer cannot do without.
fn is_chosen(op: &nn::Op, node: &str, options: &ApproximateOptions) -> Option<Activation> {
    let own = options.overrides.iter().any(|(name, _)| name == node);
    match op {
        nn::Op::Activation(function) if !own => Some(*function),
        _ => None,
    }
}
