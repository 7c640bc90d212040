//! The vocabulary after approximation: what homomorphic encryption can evaluate.
//!
//! Only sums, products and linear maps are left. An activation cannot be written down in it.

use ndarray::{ArcArray1, ArcArray2};

use crate::evaluate;
use crate::graph::Graph;
use crate::nn::{self, Affine, Chebyshev, Conv, Pad, Pool, Select};
use crate::{evaluate_nodes, evaluate_samples};

/// An operation that homomorphic encryption can evaluate. Shapes are in [`Node::shape`](crate::graph::Node).
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// The network's input.
    Input,
    /// `y = W x + b`.
    Dense {
        /// `[out, in]`.
        weights: ArcArray2<f64>,
        /// `[out]`.
        bias: ArcArray1<f64>,
    },
    /// Two-dimensional convolution.
    Conv(Conv),
    /// `y = scale ⊙ x + shift`. Costs no level where every scale is one.
    Affine(Affine),
    /// Mean over windows.
    AveragePool(Pool),
    /// Mean over all positions, per channel.
    GlobalAveragePool,
    /// Constant padding.
    Pad(Pad),
    /// Elements in another order, some of them, or some several times.
    Select(Select),
    /// Element-wise sum.
    Add,
    /// Element-wise difference.
    Sub,
    /// Element-wise product.
    Mul,
    /// `x²`.
    Square,
    /// A polynomial of each element, in the Chebyshev basis on `[-1, 1]`.
    Polynomial(Chebyshev),
    /// The same elements in the node's shape.
    Reshape,
}

impl Op {
    /// The same operation of an imported network, which is what defines its meaning.
    pub fn to_nn(&self) -> nn::Op {
        match self {
            Self::Input => nn::Op::Input,
            Self::Dense { weights, bias } => nn::Op::Dense {
                weights: weights.clone(),
                bias: bias.clone(),
            },
            Self::Conv(op) => nn::Op::Conv(op.clone()),
            Self::Affine(op) => nn::Op::Affine(op.clone()),
            Self::AveragePool(op) => nn::Op::AveragePool(op.clone()),
            Self::GlobalAveragePool => nn::Op::GlobalAveragePool,
            Self::Pad(op) => nn::Op::Pad(op.clone()),
            Self::Select(op) => nn::Op::Select(op.clone()),
            Self::Add => nn::Op::Add,
            Self::Sub => nn::Op::Sub,
            Self::Mul => nn::Op::Mul,
            Self::Square => nn::Op::Square,
            Self::Polynomial(op) => nn::Op::Chebyshev(op.clone()),
            Self::Reshape => nn::Op::Reshape,
        }
    }

    /// What to call it in a message.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input => "Input",
            Self::Dense { .. } => "Dense",
            Self::Conv(_) => "Conv",
            Self::Affine(_) => "Affine",
            Self::AveragePool(_) => "AveragePool",
            Self::GlobalAveragePool => "GlobalAveragePool",
            Self::Pad(_) => "Pad",
            Self::Select(_) => "Select",
            Self::Add => "Add",
            Self::Sub => "Sub",
            Self::Mul => "Mul",
            Self::Square => "Square",
            Self::Polynomial(_) => "Polynomial",
            Self::Reshape => "Reshape",
        }
    }
}

/// A polynomial network that can be evaluated in clear.
#[derive(Clone, Debug)]
pub struct ClearPolynomial {
    graph: Graph<nn::Op>,
}

impl ClearPolynomial {
    /// The evaluator of a graph.
    pub fn new(graph: &Graph<Op>) -> Self {
        let rule = graph.rebuild(|out, _, node, args| {
            Ok::<_, std::convert::Infallible>(out.push(&node.name, node.op.to_nn(), args, &node.shape))
        });
        let Ok(graph) = rule;
        Self { graph }
    }

    /// The network's output for one sample.
    ///
    /// # Panics
    /// If `input` has another length than the graph's input.
    pub fn output(&self, input: &[f64]) -> Vec<f64> {
        evaluate(&self.graph, input)
    }

    /// The network's outputs for many samples, on all threads.
    ///
    /// # Panics
    /// If a sample has another length than the graph's input.
    pub fn outputs<S: AsRef<[f64]> + Sync>(&self, samples: &[S]) -> Vec<Vec<f64>> {
        evaluate_samples(&self.graph, samples)
    }

    /// The values of every node for one sample, by [`NodeId::index`](crate::graph::NodeId::index).
    ///
    /// # Panics
    /// If `input` has another length than the graph's input.
    pub fn nodes(&self, input: &[f64]) -> Vec<Vec<f64>> {
        evaluate_nodes(&self.graph, input)
    }
}
