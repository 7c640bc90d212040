//! Every non-polynomial node becomes a polynomial, and every polynomial sums and products.
//!
//! ```text
//! %1 = dense(%0)        %1 = dense(%0)     rows scaled by g, d added to the bias
//! %2 = relu(%1)      →  %2 = square(%1)
//! %3 = dense(%2)        %3 = dense(%2)     columns scaled by σ, W·k added to the bias
//! ```
//!
//! Layers are fitted in evaluation order: operands are what the polynomial network gives so far, targets are what the
//! exact network gives, so that each layer makes up for the errors of those before it ([`Targets`] has the other ways).

mod absorb_affine;
mod auto;
mod chebyshev;
mod domain;
mod entries;
mod fit_degree;
mod fit_entry;
mod fit_layer;
mod fit_options;
mod fit_store;
mod form;
pub mod function_fit;
mod gaussian;
mod guard;
pub mod layerwise;
mod least_squares;
mod lower_polynomials;
mod max_trees;
pub mod minimax;
mod ranges;
mod remez;
mod replacement;
mod report;
mod sequence;
mod smoothing;

use std::collections::BTreeMap;

pub use fit_layer::Form;
pub use fit_options::{Distribution, FitOptions, Method, Smoothing, Targets};
pub use fit_store::{FitStore, NoStore};
pub use gaussian::Normal;
pub use guard::Guard;
pub use ranges::{RangeAlarm, Reach};
pub use report::{ActivationReport, CoefficientRange, granularity_name};
pub use smoothing::Kernel;

use crate::calibrate::{Interval, Samples};
use crate::error::UnsupportedNode;
use crate::graph::{Graph, GraphBuilder, Node, NodeId};
use crate::he;
use crate::nn::{self, Granularity};
use crate::options::ActivationRule;
use absorb_affine::absorb_affine;
pub(crate) use fit_store::Stored;
use lower_polynomials::Site;
pub(crate) use max_trees::max_trees;
use sequence::{Fitted, fit_activations, outputs};

/// What to fit, and under which measure.
#[derive(Clone, Debug, PartialEq)]
pub struct ApproximateOptions {
    /// How activations become polynomials.
    pub rule: ActivationRule,
    /// Nodes with a rule of their own, by name.
    pub overrides: Vec<(String, ActivationRule)>,
    /// What one polynomial covers.
    pub granularity: Granularity,
    /// Length of an interval over what was seen, for all but least squares of a degree above two.
    pub margin: f64,
    /// Weight of the guard, for quadratics.
    pub guard: f64,
    /// The guard of least squares of a degree above two.
    pub above_two: Guard,
    /// How coefficients are found, where the rule leaves that open.
    pub fit: FitOptions,
}

impl ApproximateOptions {
    /// What is right for most: quadratics a channel with a guard of 0.01 and a margin of 1.25.
    pub const USUAL: Self = Self {
        rule: ActivationRule::Quadratic,
        overrides: Vec::new(),
        granularity: Granularity::Channel,
        margin: 1.25,
        guard: 1e-2,
        above_two: Guard::ABOVE_TWO,
        fit: FitOptions::USUAL,
    };

    /// The guard of quadratics.
    pub(crate) fn low_guard(&self) -> Guard {
        Guard::even(self.margin, self.guard)
    }

    /// The rule of a node.
    pub(crate) fn rule_of(&self, node: &str) -> ActivationRule {
        let own = self.overrides.iter().rev().find(|(name, _)| name == node);
        own.map_or(self.rule, |&(_, rule)| rule)
    }
}

/// Why a network has no polynomial network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ApproximateError {
    /// Nodes that have no polynomial.
    #[error("{}", .0.iter().map(|n| format!("`{}` ({}): {}; {}", n.node, n.op, n.reason, n.advice)).collect::<Vec<_>>().join("\n"))]
    Unsupported(Vec<UnsupportedNode>),
    /// The polynomial network leaves the intervals that its polynomials were made for.
    #[error("{0}")]
    Diverges(RangeAlarm),
}

/// A polynomial network and how it came about.
#[derive(Clone, Debug)]
pub struct Approximated {
    /// The network.
    pub graph: Graph<he::Op>,
    /// Its activations, in evaluation order.
    pub activations: Vec<ActivationReport>,
}

/// Fits every activation and writes the network in the vocabulary of homomorphic encryption.
///
/// # Errors
/// Every node that has no polynomial, every override that names none; a polynomial network that leaves its intervals.
pub fn approximate(
    graph: &Graph<nn::Op>,
    samples: &Samples,
    options: &ApproximateOptions,
) -> Result<Approximated, ApproximateError> {
    fit_and_lower(graph, samples, options, None)
}

/// [`approximate`] with fits from a store, if it has them; else they are kept there.
///
/// # Errors
/// Those of [`approximate`].
pub(crate) fn approximate_stored(
    graph: &Graph<nn::Op>,
    samples: &Samples,
    options: &ApproximateOptions,
    stored: Stored<'_>,
) -> Result<Approximated, ApproximateError> {
    fit_and_lower(graph, samples, options, Some(stored))
}

fn fit_and_lower(
    graph: &Graph<nn::Op>,
    samples: &Samples,
    options: &ApproximateOptions,
    stored: Option<Stored<'_>>,
) -> Result<Approximated, ApproximateError> {
    let graph = &max_trees(graph, options);
    let mut unsupported: Vec<UnsupportedNode> = graph.iter().filter_map(|(_, node)| unsupported(node)).collect();
    unsupported.extend(stray_overrides(graph, options));
    if !unsupported.is_empty() {
        return Err(ApproximateError::Unsupported(unsupported));
    }
    let fitted = match stored.and_then(|stored| stored.load(graph)) {
        Some(fitted) => fitted,
        None => {
            let fitted = fit_all(graph, samples, options)?;
            if let Some(stored) = stored {
                stored.keep(&fitted);
            }
            fitted
        }
    };
    let lowered =
        graph.rebuild(|out, id, node, args| Ok::<_, std::convert::Infallible>(lower(out, node, args, fitted.get(&id))));
    let Ok(lowered) = lowered;
    let activations = fitted.into_values().map(|fitted| fitted.report).collect();
    Ok(Approximated {
        graph: absorb_affine(&lowered),
        activations,
    })
}

/// The fits of all activations, degrees chosen where the rules leave them open.
fn fit_all(
    graph: &Graph<nn::Op>,
    samples: &Samples,
    options: &ApproximateOptions,
) -> Result<BTreeMap<NodeId, Fitted>, ApproximateError> {
    let options = &layerwise::resolve(graph, samples, options).map_err(ApproximateError::Unsupported)?;
    match auto::activations(graph, options).as_slice() {
        [] => fit_activations(graph, samples, options),
        open => auto::choose(graph, samples, options, open),
    }
}

/// How much each activation's polynomial alone changes the outputs, relative to the largest: the worst first.
///
/// The other activations stay exact.
///
/// # Errors
/// Those of [`approximate`].
pub fn contributions(
    graph: &Graph<nn::Op>,
    samples: &Samples,
    options: &ApproximateOptions,
) -> Result<Vec<(String, f64)>, ApproximateError> {
    let graph = &max_trees(graph, options);
    let options = &layerwise::resolve(graph, samples, options).map_err(ApproximateError::Unsupported)?;
    let exact = outputs(graph, samples, &BTreeMap::new());
    let largest = Interval::of(exact.iter().flatten().copied())
        .magnitude()
        .max(f64::MIN_POSITIVE);
    let alone = |id: NodeId, fitted: &Fitted| {
        let changed = outputs(graph, samples, &BTreeMap::from([(id, fitted.replacement.clone())]));
        let pairs = changed.iter().flatten().zip(exact.iter().flatten());
        Interval::of(pairs.map(|(found, exact)| found - exact)).magnitude() / largest
    };
    let fitted = fit_activations(graph, samples, options)?;
    let mut contributions: Vec<(String, f64)> = fitted
        .iter()
        .map(|(&id, fitted)| (fitted.report.node.clone(), alone(id, fitted)))
        .collect();
    contributions.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(contributions)
}

/// What to do about a maximum that no tree stands for.
pub(crate) const MAXIMUM_ADVICE: &str = "choose a composite for it (`--act NODE=composite:10`), compile for `--target tfhe`, \
                                         or train the network with average pools";

fn unsupported(node: &Node<nn::Op>) -> Option<UnsupportedNode> {
    matches!(node.op, nn::Op::MaxPool(_)).then(|| UnsupportedNode {
        node: node.name.clone(),
        op: "MaxPool".to_owned(),
        reason: "a maximum has no polynomial of low degree".to_owned(),
        advice: MAXIMUM_ADVICE.to_owned(),
    })
}

/// Overrides that name no activation.
fn stray_overrides(graph: &Graph<nn::Op>, options: &ApproximateOptions) -> Vec<UnsupportedNode> {
    let activations: Vec<&str> = graph
        .iter()
        .filter(|(_, node)| matches!(node.op, nn::Op::Activation(_) | nn::Op::MaxPool(_)))
        .map(|(_, node)| node.name.as_str())
        .collect();
    let stray = options
        .overrides
        .iter()
        .filter(|(name, _)| !activations.contains(&name.as_str()));
    let refuse = |(name, rule): &(String, ActivationRule)| UnsupportedNode {
        node: name.clone(),
        op: rule.to_string(),
        reason: "there is no activation of this name".to_owned(),
        advice: format!("the activations are {}", activations.join(", ")),
    };
    stray.map(refuse).collect()
}

/// One node in the vocabulary of homomorphic encryption.
fn lower(out: &mut GraphBuilder<he::Op>, node: &Node<nn::Op>, args: &[NodeId], fitted: Option<&Fitted>) -> NodeId {
    if let Some(Fitted { replacement, .. }) = fitted {
        let site = Site {
            out,
            name: &node.name,
            operand: args[0],
            shape: &node.shape,
        };
        return replacement.lower(site);
    }
    let op = match &node.op {
        nn::Op::Input => he::Op::Input,
        nn::Op::Dense { weights, bias } => he::Op::Dense {
            weights: weights.clone(),
            bias: bias.clone(),
        },
        nn::Op::Conv(op) => he::Op::Conv(op.clone()),
        nn::Op::BatchNorm(op) | nn::Op::Affine(op) => he::Op::Affine(op.clone()),
        nn::Op::AveragePool(op) => he::Op::AveragePool(op.clone()),
        nn::Op::GlobalAveragePool => he::Op::GlobalAveragePool,
        nn::Op::Pad(op) => he::Op::Pad(op.clone()),
        nn::Op::Select(op) => he::Op::Select(op.clone()),
        nn::Op::Add => he::Op::Add,
        nn::Op::Sub => he::Op::Sub,
        nn::Op::Mul => he::Op::Mul,
        nn::Op::Square => he::Op::Square,
        nn::Op::Chebyshev(op) => he::Op::Polynomial(op.clone()),
        nn::Op::Reshape => he::Op::Reshape,
        nn::Op::Identity => return args[0],
        nn::Op::Pow(exponent) => {
            return Site {
                out,
                name: &node.name,
                operand: args[0],
                shape: &node.shape,
            }
            .power(*exponent);
        }
        nn::Op::MaxPool(_) | nn::Op::Activation(_) | nn::Op::Polynomial(_) => {
            unreachable!("{} was refused or fitted", node.name)
        }
    };
    out.push(&node.name, op, args, &node.shape)
}

#[cfg(test)]
mod tests;
