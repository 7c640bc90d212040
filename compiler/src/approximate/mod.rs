//! Every non-polynomial node becomes a polynomial, and every polynomial sums and products.
//!
//! ```text
//! %1 = dense(%0)        %1 = dense(%0)     rows scaled by g, d added to the bias
//! %2 = relu(%1)      →  %2 = square(%1)
//! %3 = dense(%2)        %3 = dense(%2)     columns scaled by σ, W·k added to the bias
//! ```
//!
//! Layers are fitted in evaluation order: operands are what the polynomial network gives so far, targets are what the
//! exact network gives, so that each layer makes up for the errors of those before it.

mod absorb_affine;
mod fit_layer;
mod form;
mod least_squares;
mod lower_polynomials;

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

pub use fit_layer::Form;

use crate::calibrate::{Interval, Samples};
use crate::error::UnsupportedNode;
use crate::evaluate;
use crate::evaluate::evaluate_node;
use crate::graph::{Graph, GraphBuilder, Node, NodeId};
use crate::he;
use crate::nn::{self, Granularity, Polynomial};
use absorb_affine::absorb_affine;
use fit_layer::{LayerSamples, coefficient_ranges, fit_layer};
use form::is_foldable;
use lower_polynomials::Site;

/// What to fit, and under which measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ApproximateOptions {
    /// What one polynomial covers.
    pub granularity: Granularity,
    /// Length of the guard's interval over the largest operand.
    pub margin: f64,
    /// Weight of the guard.
    pub guard: f64,
}

/// A polynomial network and how it came about.
#[derive(Clone, Debug)]
pub struct Approximated {
    /// The network.
    pub graph: Graph<he::Op>,
    /// Its activations, in evaluation order.
    pub activations: Vec<ActivationReport>,
}

/// The range of one coefficient over a layer's polynomials.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoefficientRange {
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
}

/// How one activation became a polynomial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActivationReport {
    /// Name of the ONNX node.
    pub node: String,
    /// The function.
    pub function: String,
    /// How its coefficients were found.
    pub rule: String,
    /// What one polynomial covers.
    pub granularity: String,
    /// How many polynomials there are.
    pub polynomials: usize,
    /// The widest interval that a polynomial was fitted on.
    pub interval: Interval,
    /// Coefficients from the constant term up: their ranges over the polynomials.
    pub coefficients: Vec<CoefficientRange>,
    /// Mean squared error against the exact network's activations on the samples fitted.
    pub mse: f64,
    /// Largest error against the function on the intervals.
    pub max_error: f64,
    /// Fraction of held-back operands outside their interval.
    pub exceedance: f64,
    /// How the polynomial is evaluated.
    pub form: Form,
    /// Why so.
    pub reason: String,
}

impl ActivationReport {
    /// The polynomial in a few words, as a note beside the line that computes it.
    pub fn note(&self) -> String {
        let single = |form: &str| format!("{} {form}", self.node);
        let many = if self.polynomials == 1 {
            ""
        } else {
            ", one polynomial a channel"
        };
        match (self.form, self.coefficients.as_slice()) {
            (Form::Folded, [c0, c1, c2]) if self.polynomials == 1 => {
                let folded = form::fold([c0.min, c1.min, c2.min]);
                let sign = if folded.sign < 0.0 { "-" } else { "" };
                single(&format!(
                    "as {sign}({:.3}x{:+.3})²{:+.3}, folded into its neighbours",
                    folded.g, folded.d, folded.k
                ))
            }
            (Form::Folded, _) => single(&format!("as one square, folded into its neighbours{many}")),
            (Form::Linear, _) => single("as a line, merged into its neighbours"),
            (Form::TwoLevel, _) => single(&format!("as x(c2 x + c1) + c0{many}")),
            (Form::Products, _) => single("by products of powers"),
        }
    }
}

/// Fits every activation and writes the network in the vocabulary of homomorphic encryption.
///
/// # Errors
/// Every node that has no polynomial.
pub fn approximate(
    graph: &Graph<nn::Op>,
    samples: &Samples,
    options: &ApproximateOptions,
) -> Result<Approximated, Vec<UnsupportedNode>> {
    let unsupported: Vec<UnsupportedNode> = graph.iter().filter_map(|(_, node)| unsupported(node)).collect();
    if !unsupported.is_empty() {
        return Err(unsupported);
    }
    let fitted = fit_activations(graph, samples, options);
    let lowered =
        graph.rebuild(|out, id, node, args| Ok::<_, std::convert::Infallible>(lower(out, node, args, fitted.get(&id))));
    let Ok(lowered) = lowered;
    let activations = fitted.into_values().map(|fitted| fitted.report).collect();
    Ok(Approximated {
        graph: absorb_affine(&lowered),
        activations,
    })
}

/// How much each activation's polynomial alone changes the outputs, relative to the largest: the worst first.
///
/// The other activations stay exact.
pub fn contributions(graph: &Graph<nn::Op>, samples: &Samples, options: &ApproximateOptions) -> Vec<(String, f64)> {
    let exact: Vec<Vec<f64>> = samples.iter().map(|sample| evaluate(graph, sample)).collect();
    let largest = Interval::of(exact.iter().flatten().copied())
        .magnitude()
        .max(f64::MIN_POSITIVE);
    let alone = |id: NodeId, fitted: &Fitted| {
        let replaced = graph.rebuild(|out, other, node, args| {
            let polynomial = nn::Op::Polynomial(fitted.polynomial.clone());
            let op = if other == id { polynomial } else { node.op.clone() };
            Ok::<_, std::convert::Infallible>(out.push(&node.name, op, args, &node.shape))
        });
        let Ok(replaced) = replaced;
        let changed = samples.iter().zip(&exact).map(|(sample, exact)| {
            let outputs = evaluate(&replaced, sample);
            Interval::of(outputs.iter().zip(exact).map(|(found, exact)| found - exact)).magnitude()
        });
        changed.fold(0.0, f64::max) / largest
    };
    let fitted = fit_activations(graph, samples, options);
    let mut contributions: Vec<(String, f64)> = fitted
        .iter()
        .map(|(&id, fitted)| (fitted.report.node.clone(), alone(id, fitted)))
        .collect();
    contributions.sort_by(|a, b| b.1.total_cmp(&a.1));
    contributions
}

fn unsupported(node: &Node<nn::Op>) -> Option<UnsupportedNode> {
    matches!(node.op, nn::Op::MaxPool(_)).then(|| UnsupportedNode {
        node: node.name.clone(),
        op: "MaxPool".to_owned(),
        reason: "a maximum has no polynomial of low degree".to_owned(),
        advice: "train the network with AveragePool in its place".to_owned(),
    })
}

/// A polynomial in place of a node, and how it is evaluated.
struct Fitted {
    polynomial: Polynomial,
    form: Form,
    report: ActivationReport,
}

/// What a node is worth on every sample, in the exact and in the polynomial network.
#[derive(Clone, Default)]
struct Values {
    exact: Vec<Vec<f64>>,
    polynomial: Vec<Vec<f64>>,
}

/// Fits the activations in evaluation order. Values are dropped after their last reader.
fn fit_activations(graph: &Graph<nn::Op>, samples: &Samples, options: &ApproximateOptions) -> BTreeMap<NodeId, Fitted> {
    let mut fitted = BTreeMap::new();
    let mut readers = graph.use_counts();
    let mut values: Vec<Values> = vec![Values::default(); graph.len()];
    for (id, node) in graph.iter() {
        let of_args = |network: fn(&Values) -> &Vec<Vec<f64>>, sample: usize| {
            let args: Vec<&[f64]> = node
                .args
                .iter()
                .map(|arg| network(&values[arg.index()])[sample].as_slice())
                .collect();
            evaluate_node(graph, node, &args)
        };
        let result = if node.args.is_empty() {
            let exact: Vec<Vec<f64>> = samples.iter().map(<[f64]>::to_vec).collect();
            Values {
                polynomial: exact.clone(),
                exact,
            }
        } else {
            let exact: Vec<Vec<f64>> = (0..samples.len()).map(|sample| of_args(|v| &v.exact, sample)).collect();
            let operands = &values[node.args[0].index()].polynomial;
            let polynomial = match replace(node, operands, &exact, options) {
                Some(replacement) => {
                    let result = operands
                        .iter()
                        .map(|x| apply(&replacement.polynomial, x, &node.shape))
                        .collect();
                    fitted.insert(id, replacement);
                    result
                }
                None => (0..samples.len())
                    .map(|sample| of_args(|v| &v.polynomial, sample))
                    .collect(),
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
    fitted
}

/// The polynomial that stands for a node, if it needs one.
fn replace(
    node: &Node<nn::Op>,
    operands: &[Vec<f64>],
    exact: &[Vec<f64>],
    options: &ApproximateOptions,
) -> Option<Fitted> {
    match &node.op {
        nn::Op::Activation(function) => {
            let layer = LayerSamples {
                operands,
                targets: exact,
                shape: &node.shape,
            };
            let fit = fit_layer(*function, layer, options);
            let report = ActivationReport {
                node: node.name.clone(),
                function: function_name(*function),
                rule: format!("guarded least squares of degree 2, guard {}", options.guard),
                granularity: granularity_name(options.granularity).to_owned(),
                polynomials: fit.polynomial.coefficients.nrows(),
                interval: fit.interval,
                coefficients: fit.coefficients,
                mse: fit.mse,
                max_error: fit.max_error,
                exceedance: fit.exceedance,
                form: fit.form,
                reason: fit.reason,
            };
            Some(Fitted {
                polynomial: fit.polynomial,
                form: fit.form,
                report,
            })
        }
        nn::Op::Polynomial(polynomial) => Some(exact_polynomial(node, polynomial, operands, exact)),
        nn::Op::Input
        | nn::Op::Dense { .. }
        | nn::Op::Conv(_)
        | nn::Op::BatchNorm(_)
        | nn::Op::Affine(_)
        | nn::Op::AveragePool(_)
        | nn::Op::MaxPool(_)
        | nn::Op::GlobalAveragePool
        | nn::Op::Pad(_)
        | nn::Op::Add
        | nn::Op::Sub
        | nn::Op::Mul
        | nn::Op::Square
        | nn::Op::Pow(_)
        | nn::Op::Chebyshev(_)
        | nn::Op::Reshape
        | nn::Op::Identity => None,
    }
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
        form,
        reason: reason.to_owned(),
    };
    let polynomial = Polynomial {
        granularity: polynomial.granularity,
        coefficients: coefficients.into_shared(),
    };
    Fitted {
        polynomial,
        form,
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

fn apply(polynomial: &Polynomial, x: &[f64], shape: &[usize]) -> Vec<f64> {
    let row = |element: usize| {
        polynomial
            .coefficients
            .row(polynomial.granularity.entry(element, shape))
    };
    x.iter()
        .enumerate()
        .map(|(element, &x)| row(element).iter().rev().fold(0.0, |sum, c| sum * x + c))
        .collect()
}

/// One node in the vocabulary of homomorphic encryption.
fn lower(out: &mut GraphBuilder<he::Op>, node: &Node<nn::Op>, args: &[NodeId], fitted: Option<&Fitted>) -> NodeId {
    if let Some(Fitted { polynomial, form, .. }) = fitted {
        let site = Site {
            out,
            name: &node.name,
            operand: args[0],
            shape: &node.shape,
        };
        return site.polynomial(polynomial, *form);
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

fn function_name(function: nn::Activation) -> String {
    match function {
        nn::Activation::Relu => "relu".to_owned(),
        nn::Activation::LeakyRelu { alpha } => format!("leaky relu, slope {alpha}"),
        nn::Activation::Elu { alpha } => format!("elu, alpha {alpha}"),
        nn::Activation::Sigmoid => "sigmoid".to_owned(),
        nn::Activation::Erf => "error function".to_owned(),
        nn::Activation::Tanh => "tanh".to_owned(),
        nn::Activation::Gelu(nn::Gelu::Erf) => "gelu".to_owned(),
        nn::Activation::Gelu(nn::Gelu::Tanh) => "gelu (tanh form)".to_owned(),
        nn::Activation::Silu => "silu".to_owned(),
        nn::Activation::Softplus => "softplus".to_owned(),
        nn::Activation::Clip { min, max } => format!("clip to [{min}, {max}]"),
    }
}

/// How a granularity is called in options and reports.
pub fn granularity_name(granularity: Granularity) -> &'static str {
    match granularity {
        Granularity::Tensor => "tensor",
        Granularity::Channel => "channel",
        Granularity::Element => "element",
    }
}

#[cfg(test)]
mod tests;
