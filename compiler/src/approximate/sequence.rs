//! Fits the activations of a network one after the other, in evaluation order.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use crate::approximate::domain::Domain;
use crate::approximate::entries::{LayerSamples, coefficient_ranges};
use crate::approximate::fit_degree::{fit_degree, fit_tolerance, interpolate};
use crate::approximate::fit_layer::{Form, fit_layer};
use crate::approximate::fit_options::Targets;
use crate::approximate::form::is_foldable;
use crate::approximate::minimax::fit_composite;
use crate::approximate::ranges::{RangeAlarm, Reach, propagate, reach_of};
use crate::approximate::replacement::{Replacement, depth_of};
use crate::approximate::report::{ActivationReport, function_name, granularity_name};
use crate::approximate::{ApproximateError, ApproximateOptions};
use crate::calibrate::{Interval, Samples};
use crate::error::UnsupportedNode;
use crate::evaluate::evaluate_node;
use crate::graph::{Graph, Node, NodeId};
use crate::nn::{self, Activation, Polynomial};
use crate::options::ActivationRule;

/// What takes the place of a node, and what there is to say about it.
#[derive(Clone, Debug)]
pub(crate) struct Fitted {
    pub(crate) replacement: Replacement,
    pub(crate) report: ActivationReport,
}

/// What a node is worth on every sample, in the exact and in the polynomial network.
#[derive(Clone, Default)]
struct Values {
    exact: Vec<Vec<f64>>,
    polynomial: Vec<Vec<f64>>,
}

/// Fits the activations in evaluation order. Values are dropped after their last reader.
///
/// # Errors
/// Every node whose rule does not apply to it; a polynomial network that leaves its intervals far behind.
pub(crate) fn fit_activations(
    graph: &Graph<nn::Op>,
    samples: &Samples,
    options: &ApproximateOptions,
) -> Result<BTreeMap<NodeId, Fitted>, ApproximateError> {
    let (mut fitted, mut refused) = (BTreeMap::new(), Vec::new());
    let mut readers = graph.use_counts();
    let mut values: Vec<Values> = vec![Values::default(); graph.len()];
    for (id, node) in graph.iter() {
        let result = if node.args.is_empty() {
            let exact: Vec<Vec<f64>> = samples.iter().map(<[f64]>::to_vec).collect();
            Values {
                polynomial: exact.clone(),
                exact,
            }
        } else {
            let exact = evaluate_all(graph, node, samples.len(), |arg| &values[arg.index()].exact);
            let operand = &values[node.args[0].index()];
            let operands = &operand.polynomial;
            let fitted_to = match options.fit.targets {
                Targets::Exact | Targets::Local => operands,
                Targets::OneShot => &operand.exact,
            };
            let replaced = replace(node, fitted_to, &exact, options).unwrap_or_else(|problem| {
                refused.push(problem);
                None
            });
            let polynomial = match replaced {
                Some(mut replaced) => {
                    replaced.report.reach = check_reach(&replaced, operands, node)?;
                    let apply = |x: &Vec<f64>| replaced.replacement.apply(x, &node.shape);
                    let result = operands.par_iter().map(apply).collect();
                    fitted.insert(id, replaced);
                    result
                }
                None => evaluate_all(graph, node, samples.len(), |arg| &values[arg.index()].polynomial),
            };
            Values { exact, polynomial }
        };
        values[id.index()] = result;
        for arg in &node.args {
            readers[arg.index()] -= 1;
            if readers[arg.index()] == 0 {
                values[arg.index()] = Values::default();
            }
        }
    }
    if !refused.is_empty() {
        return Err(ApproximateError::Unsupported(refused));
    }
    guarantee_ranges(graph, samples, options.margin, &mut fitted);
    Ok(fitted)
}

/// How far the polynomial network takes an operand.
///
/// # Errors
/// [`ApproximateError::Diverges`].
fn check_reach(fitted: &Fitted, operands: &[Vec<f64>], node: &Node<nn::Op>) -> Result<Reach, ApproximateError> {
    let reach = reach_of(&fitted.replacement, operands, &node.shape, fitted.report.interval);
    let alarm = RangeAlarm {
        node: node.name.clone(),
        reach,
    };
    if alarm.has_diverged() {
        return Err(ApproximateError::Diverges(alarm));
    }
    Ok(reach)
}

/// Adds to the reports how far operands could go at worst.
fn guarantee_ranges(graph: &Graph<nn::Op>, samples: &Samples, margin: f64, fitted: &mut BTreeMap<NodeId, Fitted>) {
    let mut inputs = vec![Interval::EMPTY; samples.get(0).len()];
    for sample in samples.iter() {
        inputs
            .iter_mut()
            .zip(sample)
            .for_each(|(interval, &x)| interval.include(x));
    }
    let inputs: Vec<Interval> = inputs.into_iter().map(|interval| interval.widened(margin)).collect();
    let polynomials = fitted
        .iter()
        .map(|(&id, fitted)| (id, (fitted.replacement.clone(), fitted.report.interval)));
    for (id, distance) in propagate(graph, &inputs, &polynomials.collect()) {
        if let Some(fitted) = fitted.get_mut(&id) {
            fitted.report.reach.guaranteed = distance;
        }
    }
}

/// A node's values on every sample. Samples are independent of each other, so the number of threads changes nothing.
fn evaluate_all<'a>(
    graph: &Graph<nn::Op>,
    node: &Node<nn::Op>,
    n_samples: usize,
    values: impl Fn(NodeId) -> &'a Vec<Vec<f64>> + Sync,
) -> Vec<Vec<f64>> {
    let of_sample = |sample: usize| {
        let args: Vec<&[f64]> = node.args.iter().map(|&arg| values(arg)[sample].as_slice()).collect();
        evaluate_node(graph, node, &args)
    };
    (0..n_samples).into_par_iter().map(of_sample).collect()
}

/// The network's outputs on every sample, with replacements in the place of some nodes.
pub(crate) fn outputs(
    graph: &Graph<nn::Op>,
    samples: &Samples,
    replacements: &BTreeMap<NodeId, Replacement>,
) -> Vec<Vec<f64>> {
    let inputs: Vec<&[f64]> = samples.iter().collect();
    let output = |input: &&[f64]| {
        let mut values: Vec<Vec<f64>> = Vec::with_capacity(graph.len());
        for (id, node) in graph.iter() {
            let args: Vec<&[f64]> = node.args.iter().map(|arg| values[arg.index()].as_slice()).collect();
            let value = match (replacements.get(&id), args.first()) {
                (_, None) => input.to_vec(),
                (Some(replacement), Some(x)) => replacement.apply(x, &node.shape),
                (None, Some(_)) => evaluate_node(graph, node, &args),
            };
            values.push(value);
        }
        values.swap_remove(graph.output().index())
    };
    inputs.par_iter().map(output).collect()
}

/// The polynomial that stands for a node, if it needs one.
fn replace(
    node: &Node<nn::Op>,
    operands: &[Vec<f64>],
    exact: &[Vec<f64>],
    options: &ApproximateOptions,
) -> Result<Option<Fitted>, UnsupportedNode> {
    match &node.op {
        nn::Op::Activation(function) => {
            let layer = LayerSamples {
                operands,
                targets: exact,
                shape: &node.shape,
            };
            replace_activation(node, *function, layer, options).map(Some)
        }
        nn::Op::Polynomial(polynomial) => Ok(Some(exact_polynomial(node, polynomial, operands, exact))),
        nn::Op::Input
        | nn::Op::Dense { .. }
        | nn::Op::Conv(_)
        | nn::Op::BatchNorm(_)
        | nn::Op::Affine(_)
        | nn::Op::AveragePool(_)
        | nn::Op::MaxPool(_)
        | nn::Op::GlobalAveragePool
        | nn::Op::Pad(_)
        | nn::Op::Select(_)
        | nn::Op::Add
        | nn::Op::Sub
        | nn::Op::Mul
        | nn::Op::Square
        | nn::Op::Pow(_)
        | nn::Op::Chebyshev(_)
        | nn::Op::Reshape
        | nn::Op::Identity => Ok(None),
    }
}

/// What stands for an activation, by the rule of its node.
pub(crate) fn replace_activation(
    node: &Node<nn::Op>,
    function: Activation,
    layer: LayerSamples<'_>,
    options: &ApproximateOptions,
) -> Result<Fitted, UnsupportedNode> {
    let rule = options.rule_of(&node.name);
    let refuse = |reason: &str| UnsupportedNode {
        node: node.name.clone(),
        op: function_name(function),
        reason: reason.to_owned(),
        advice: "choose another rule for it: `--act NODE=RULE`".to_owned(),
    };
    let seen = Interval::of(layer.operands.iter().flatten().copied());
    if let Some(defect) = Domain::of(function).defect(seen) {
        let mut refused = refuse(defect);
        refused.advice = "train the network so that its operand stays where the function is defined".to_owned();
        return Err(refused);
    }
    let fit = match rule {
        // What chooses automatically starts from here.
        ActivationRule::Quadratic | ActivationRule::Auto => fit_layer(function, layer, options),
        ActivationRule::LeastSquares { degree: 1 | 2 } => fit_layer(function, layer, options),
        ActivationRule::LeastSquares { degree } => fit_degree(function, layer, options, degree as usize),
        ActivationRule::Chebyshev { degree } => interpolate(function, layer, options, degree as usize),
        ActivationRule::Tolerance { bits } => {
            fit_tolerance(function, layer, options, bits).map_err(|reason| refuse(&reason))?
        }
        ActivationRule::Composite { alpha } => {
            fit_composite(function, layer, options, alpha).map_err(|reason| refuse(&reason))?
        }
        ActivationRule::Ola { .. } => {
            return Err(refuse(&format!("the rule `{rule}` has no polynomial for it")));
        }
    };
    let report = ActivationReport {
        node: node.name.clone(),
        function: function_name(function),
        rule: fit.rule,
        granularity: granularity_name(options.granularity).to_owned(),
        polynomials: fit.replacement.polynomials(),
        interval: fit.interval,
        coefficients: fit.coefficients,
        mse: fit.mse,
        max_error: fit.max_error,
        exceedance: fit.exceedance,
        reach: Reach::default(),
        form: fit.form,
        depth: fit.replacement.depth(),
        reason: fit.reason,
    };
    Ok(Fitted {
        replacement: fit.replacement,
        report,
    })
}

/// A polynomial that the model itself has: evaluated as it is, in the cheapest form.
fn exact_polynomial(node: &Node<nn::Op>, polynomial: &Polynomial, operands: &[Vec<f64>], exact: &[Vec<f64>]) -> Fitted {
    let largest = Interval::of(exact.iter().flatten().copied()).magnitude();
    let (coefficients, form, reason) = exact_form(&polynomial.coefficients.view(), largest);
    let report = ActivationReport {
        node: node.name.clone(),
        function: format!("polynomial of degree {}", coefficients.ncols() - 1),
        rule: "written in the model".to_owned(),
        granularity: granularity_name(polynomial.granularity).to_owned(),
        polynomials: coefficients.nrows(),
        interval: Interval::of(operands.iter().flatten().copied()),
        coefficients: coefficient_ranges(&coefficients),
        mse: 0.0,
        max_error: 0.0,
        exceedance: 0.0,
        reach: Reach::default(),
        form,
        depth: depth_of(form, coefficients.ncols() - 1),
        reason: reason.to_owned(),
    };
    let polynomial = Polynomial {
        granularity: polynomial.granularity,
        coefficients: coefficients.into_shared(),
    };
    Fitted {
        replacement: Replacement::Power(polynomial, form),
        report,
    }
}

/// The cheapest exact form of polynomials, their vanishing leading coefficients left out.
fn exact_form(coefficients: &ArrayView2<'_, f64>, largest: f64) -> (Array2<f64>, Form, &'static str) {
    let vanishes = |power: usize| coefficients.column(power).iter().all(|&c| c == 0.0);
    let degree = (1..coefficients.ncols())
        .rev()
        .find(|&power| !vanishes(power))
        .unwrap_or(1);
    let kept = Array2::from_shape_fn((coefficients.nrows(), degree + 1), |(entry, power)| {
        coefficients.row(entry).get(power).copied().unwrap_or(0.0)
    });
    let foldable = || {
        kept.rows()
            .into_iter()
            .all(|c| is_foldable([c[0], c[1], c[2]], largest))
    };
    let (form, reason) = match degree {
        1 => (Form::Linear, "it is of degree 1"),
        2 if foldable() => (Form::Folded, "every polynomial keeps its precision as one square"),
        2 => (Form::TwoLevel, "it would lose more than four bits as one square"),
        _ => (Form::Products, "its degree is above 2"),
    };
    (kept, form, reason)
}
