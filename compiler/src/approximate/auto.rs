//! Chooses degrees until the polynomial network gives the clear network's answers.
//!
//! Everything starts as a quadratic, which costs one level. While the answers agree too seldom, the activations that do the
//! most harm go one rung up: to the degree that one more level allows. Answers are compared on the fitted samples and on
//! those held back: many channels and few samples make quadratics that agree on the former alone. The held-back samples
//! are therefore seen by this choice, though by no coefficient; accuracy on others is for test samples to say.

use std::collections::BTreeMap;

use crate::approximate::sequence::{Fitted, fit_activations, outputs};
use crate::approximate::{ApproximateError, ApproximateOptions};
use crate::calibrate::{Samples, is_held_back};
use crate::gate::Accuracy;
use crate::graph::{Graph, NodeId};
use crate::nn::Op;
use crate::options::ActivationRule;

/// Degrees that use up two levels and more.
const DEGREES: [u32; 5] = [3, 7, 15, 31, 63];

/// Agreement on fitted samples that is enough: more than the gate asks for on others.
const ENOUGH: f64 = 0.985;

/// Agreement on held-back samples that is enough: the gate's, and a sample or two of fifty to spare.
const ENOUGH_HELD_BACK: f64 = 0.97;

/// An activation goes up with the worst one if it does at least this fraction of its harm.
const SHARED_BLAME: f64 = 0.5;

/// Harm is measured on at most this many samples: one pass over them for each activation.
const BLAME_SAMPLES: usize = 48;

/// The activations whose rule is left to us.
pub(crate) fn activations(graph: &Graph<Op>, options: &ApproximateOptions) -> Vec<NodeId> {
    let open = graph.iter().filter(|(_, node)| {
        matches!(node.op, Op::Activation(_)) && options.rule_of(&node.name) == ActivationRule::Auto
    });
    open.map(|(id, _)| id).collect()
}

/// Fits with the lowest degrees that agree often enough, or with the best that were tried.
///
/// # Cost
/// One fit of the network for each rung, and one pass over some samples for each open activation and rung.
///
/// # Errors
/// Those of the last fit, if none succeeds.
pub(crate) fn choose(
    graph: &Graph<Op>,
    samples: &Samples,
    options: &ApproximateOptions,
    open: &[NodeId],
) -> Result<BTreeMap<NodeId, Fitted>, ApproximateError> {
    let exact = outputs(graph, samples, &BTreeMap::new());
    let mut rungs: BTreeMap<NodeId, usize> = open.iter().map(|&id| (id, 0)).collect();
    let mut best: Option<(Agreement, BTreeMap<NodeId, Fitted>)> = None;
    loop {
        let fitted = match fit_activations(graph, samples, &with_rungs(graph, options, &rungs)) {
            Ok(fitted) => fitted,
            // A network that diverges needs better polynomials everywhere.
            Err(error @ ApproximateError::Diverges(_)) => match (raise(&mut rungs, open), best) {
                (true, kept) => {
                    best = kept;
                    continue;
                }
                (false, Some((_, fitted))) => return Ok(fitted),
                (false, None) => return Err(error),
            },
            Err(error) => return Err(error),
        };
        let replacements = fitted
            .iter()
            .map(|(&id, fitted)| (id, fitted.replacement.clone()))
            .collect();
        let agreement = Agreement::of(&exact, &outputs(graph, samples, &replacements));
        let blamed = if agreement.is_short() {
            blame(graph, samples, &fitted, open)
        } else {
            Vec::new()
        };
        if best
            .as_ref()
            .is_none_or(|(kept, _)| agreement.shortage() < kept.shortage())
        {
            best = Some((agreement, fitted));
        }
        if !raise(&mut rungs, &blamed) && !raise(&mut rungs, if agreement.is_short() { open } else { &[] }) {
            break;
        }
    }
    Ok(best.map(|(_, fitted)| fitted).unwrap_or_default())
}

/// How often two networks give the same answer.
#[derive(Clone, Copy)]
struct Agreement {
    fitted: f64,
    held_back: f64,
}

impl Agreement {
    fn of(exact: &[Vec<f64>], found: &[Vec<f64>]) -> Self {
        let part = |held_back: bool| {
            let pick = |outputs: &[Vec<f64>]| -> Vec<Vec<f64>> {
                let part = outputs
                    .iter()
                    .enumerate()
                    .filter(|&(index, _)| is_held_back(index) == held_back);
                part.map(|(_, output)| output.clone()).collect()
            };
            Accuracy::of(&pick(exact), &pick(found), None).agreement()
        };
        Self {
            fitted: part(false),
            held_back: part(true),
        }
    }

    fn shortage(self) -> f64 {
        (ENOUGH - self.fitted).max(ENOUGH_HELD_BACK - self.held_back).max(0.0)
    }

    fn is_short(self) -> bool {
        self.shortage() > 0.0
    }
}

/// Raises the rungs of some activations; whether one of them could go higher.
fn raise(rungs: &mut BTreeMap<NodeId, usize>, which: &[NodeId]) -> bool {
    let mut raised = false;
    for id in which {
        if let Some(rung) = rungs.get_mut(id).filter(|rung| **rung < DEGREES.len()) {
            *rung += 1;
            raised = true;
        }
    }
    raised
}

fn with_rungs(graph: &Graph<Op>, options: &ApproximateOptions, rungs: &BTreeMap<NodeId, usize>) -> ApproximateOptions {
    let rule = |rung: usize| match rung {
        0 => ActivationRule::Quadratic,
        _ => ActivationRule::LeastSquares {
            degree: DEGREES[rung - 1],
        },
    };
    let chosen = rungs
        .iter()
        .map(|(&id, &rung)| (graph.node(id).name.clone(), rule(rung)));
    ApproximateOptions {
        overrides: options.overrides.iter().cloned().chain(chosen).collect(),
        ..options.clone()
    }
}

/// The first fitted samples, at most so many.
fn part(samples: &Samples, most: usize) -> Samples {
    let kept = samples
        .iter()
        .enumerate()
        .filter(|&(index, _)| !is_held_back(index))
        .take(most);
    let values = kept.flat_map(|(_, sample)| sample.to_vec()).collect();
    Samples::new(samples.shape(), values).expect("they are whole samples")
}

/// The open activations that do the most harm, each by itself in the exact network.
fn blame(graph: &Graph<Op>, samples: &Samples, fitted: &BTreeMap<NodeId, Fitted>, open: &[NodeId]) -> Vec<NodeId> {
    let samples = part(samples, BLAME_SAMPLES);
    let exact = outputs(graph, &samples, &BTreeMap::new());
    let harm_of = |id: &NodeId| {
        let replacement = fitted.get(id)?.replacement.clone();
        let found = outputs(graph, &samples, &BTreeMap::from([(*id, replacement)]));
        let pairs = found.iter().flatten().zip(exact.iter().flatten());
        Some((
            *id,
            pairs
                .map(|(found, exact)| (found - exact) * (found - exact))
                .sum::<f64>(),
        ))
    };
    let harm: Vec<(NodeId, f64)> = open.iter().filter_map(harm_of).collect();
    let worst = harm.iter().map(|&(_, harm)| harm).fold(0.0, f64::max);
    let guilty = harm
        .iter()
        .filter(|&&(_, harm)| harm >= SHARED_BLAME * SHARED_BLAME * worst);
    guilty.map(|&(id, _)| id).collect()
}
