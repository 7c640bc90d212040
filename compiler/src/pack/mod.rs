//! Tensors get slot layouts; dense layers and convolutions become linear maps on slots.
//!
//! ```text
//! %1 = dense(%0)    →    %1 = linear(%0, diagonals, baby and giant steps, fold) + bias, spread over the slots
//! %1 = conv(%0)     →    the same: one level for any kernel, stride, dilation, padding and grouping
//! ```
//!
//! The rows of a convolution's matrix are permuted so that its result is already multiplexed: nothing is masked or
//! collected. Reshapes disappear. Pools and pads have become convolutions before.
//!
//! # Source
//! A. Ebel, K. Garimella, B. Reagen, *Orion* (ASPLOS 2025), section 4: single-shot multiplexing.

mod assign;
mod layout;
mod rotations;

use std::convert::Infallible;

use heron_params::Slots;
use heron_plan::{ConstEntry, ConstId, Constant, SlotPolynomial, VectorLayout, Weights};
use ndarray::ArcArray1;

use crate::error::UnsupportedNode;
use crate::graph::{Graph, GraphBuilder, Node, NodeId};
use crate::he;
use crate::nn::{self, Affine, Chebyshev, Granularity};
use crate::slots::{Compute, Op, Packed};
use assign::{assign, geometry};
use rotations::plan_map;

/// A node whose vectors need more slots than there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooFewSlots {
    /// Name of the ONNX node.
    pub node: String,
    /// How many slots it needs at least.
    pub needed: usize,
}

/// The nodes of a network that cannot be packed, whatever is approximated before.
pub fn unpackable(graph: &Graph<nn::Op>) -> Vec<UnsupportedNode> {
    graph.iter().filter_map(|(_, node)| refuse(node)).collect()
}

fn refuse(node: &Node<nn::Op>) -> Option<UnsupportedNode> {
    let (op, reason, advice) = match node.op {
        nn::Op::MaxPool(_) => (
            "MaxPool",
            "a maximum has no polynomial of low degree",
            crate::approximate::MAXIMUM_ADVICE,
        ),
        nn::Op::Pad(_) => (
            "Pad",
            "it pads with a value other than zero, or a tensor that is no image",
            "pad images with zeros",
        ),
        nn::Op::Select(_) => (
            "Select",
            "it moves elements in a way that is no convolution, and as a matrix it is too large",
            "use a smaller tensor there, or export the network with channels first (NCHW)",
        ),
        nn::Op::AveragePool(_)
        | nn::Op::GlobalAveragePool
        | nn::Op::Input
        | nn::Op::Dense { .. }
        | nn::Op::Conv(_)
        | nn::Op::BatchNorm(_)
        | nn::Op::Affine(_)
        | nn::Op::Add
        | nn::Op::Sub
        | nn::Op::Mul
        | nn::Op::Activation(_)
        | nn::Op::Square
        | nn::Op::Pow(_)
        | nn::Op::Polynomial(_)
        | nn::Op::Chebyshev(_)
        | nn::Op::Reshape
        | nn::Op::Identity => return None,
    };
    Some(UnsupportedNode {
        node: node.name.clone(),
        op: op.to_owned(),
        reason: reason.to_owned(),
        advice: advice.to_owned(),
    })
}

/// Packs a network that has nothing [`unpackable`] in it into vectors of `slots`.
///
/// # Errors
/// The first node whose operand or result does not fit the slots.
///
/// # Panics
/// On a node that is not packable.
pub fn pack(graph: &Graph<he::Op>, slots: Slots) -> Result<Packed, TooFewSlots> {
    let layouts = assign(graph, slots)?.layouts;
    let mut packer = Packer {
        source: graph,
        slots,
        layouts,
        weights: Weights::default(),
        constants: Vec::new(),
    };
    let packed: Result<_, Infallible> = graph.rebuild(|out, id, node, args| Ok(packer.node(out, id, node, args)));
    let Ok(graph) = packed;
    Ok(Packed {
        graph,
        slots,
        weights: packer.weights,
        constants: packer.constants,
    })
}

struct Packer<'a> {
    source: &'a Graph<he::Op>,
    slots: Slots,
    layouts: Vec<VectorLayout>,
    weights: Weights,
    constants: Vec<ConstEntry>,
}

impl Packer<'_> {
    fn node(&mut self, out: &mut GraphBuilder<Op>, id: NodeId, node: &Node<he::Op>, args: &[NodeId]) -> NodeId {
        let layout = self.layouts[id.index()];
        let compute = match &node.op {
            he::Op::Input => Compute::Input,
            he::Op::Dense { weights, bias } => {
                let shape = [weights.nrows(), weights.ncols()];
                self.linear(node, layout, (&shape, weights.iter().copied()), bias.iter().copied())
            }
            he::Op::Conv(conv) => {
                let (outputs, per_group, height, width) = conv.weights.dim();
                let shape = [outputs, per_group, height, width];
                let bias = (0..node.len()).map(|element| conv.bias[Granularity::Channel.entry(element, &node.shape)]);
                self.linear(node, layout, (&shape, conv.weights.iter().copied()), bias)
            }
            he::Op::Affine(affine) => self.affine(node, layout, affine),
            he::Op::Add => Compute::Add,
            he::Op::Sub => Compute::Sub,
            he::Op::Mul => Compute::Mul,
            he::Op::Square => Compute::Square,
            he::Op::Polynomial(polynomial) => self.polynomial(node, layout, polynomial),
            he::Op::Reshape => return args[0],
            he::Op::AveragePool(_) | he::Op::GlobalAveragePool | he::Op::Pad(_) | he::Op::Select(_) => {
                unreachable!("{} is not packable", node.name)
            }
        };
        let op = Op {
            compute,
            layout,
            value: id,
        };
        out.push(&node.name, op, args, &node.shape)
    }

    fn linear(
        &mut self,
        node: &Node<he::Op>,
        output: VectorLayout,
        (shape, weights): (&[usize], impl Iterator<Item = f64>),
        bias: impl Iterator<Item = f64>,
    ) -> Compute {
        let operand = node.args[0];
        let weights = self.constant(&format!("{}.weights", node.name), shape, weights);
        let bias = self.constant(&format!("{}.bias", node.name), &[node.len()], bias);
        let planned = geometry(node, &self.source.node(operand).shape, weights)
            .and_then(|geometry| plan_map(geometry, self.layouts[operand.index()], output, self.slots))
            .expect("layouts are assigned where the map fits");
        Compute::Linear {
            map: Box::new(planned.map),
            bias,
        }
    }

    fn affine(&mut self, node: &Node<he::Op>, layout: VectorLayout, affine: &Affine) -> Compute {
        let entry = |element: usize| affine.granularity.entry(element, &node.shape);
        let spread = |values: &ArcArray1<f64>| (0..node.len()).map(|e| values[entry(e)]).collect::<Vec<f64>>();
        let (scale, shift) = (spread(&affine.scale), spread(&affine.shift));
        let data = self.constant(&format!("{}.shift", node.name), &[node.len()], shift);
        let shift = Constant::Vector { data, layout };
        if scale.iter().all(|&s| s == 1.0) {
            return Compute::Shift(shift);
        }
        // One factor for all may also meet the slots without an element: they are zero.
        let factor = if scale.iter().all(|&s| s == scale[0]) {
            Constant::Scalar(scale[0])
        } else {
            let data = self.constant(&format!("{}.scale", node.name), &[node.len()], scale);
            Constant::Vector { data, layout }
        };
        Compute::Scale { factor, shift }
    }

    /// Coefficients for every element, or once where all elements have the same.
    fn polynomial(&mut self, node: &Node<he::Op>, layout: VectorLayout, polynomial: &Chebyshev) -> Compute {
        let shared = polynomial.coefficients.nrows() == 1;
        let elements = if shared { 1 } else { node.len() };
        let entry = |element: usize| polynomial.granularity.entry(element, &node.shape);
        let terms = polynomial.parity.terms(polynomial.degree());
        let rows = terms.flat_map(|k| (0..elements).map(move |element| (k, element)));
        let values: Vec<f64> = rows
            .map(|(k, element)| polynomial.coefficients[[entry(element), k]])
            .collect();
        let mut poly = SlotPolynomial {
            coefficients: ConstId(0),
            degree: polynomial.degree(),
            parity: polynomial.parity,
            layout: (!shared).then_some(layout),
        };
        poly.coefficients = self.constant(&format!("{}.coefficients", node.name), &poly.shape(), values);
        Compute::Polynomial(poly)
    }

    fn constant(&mut self, name: &str, shape: &[usize], values: impl IntoIterator<Item = f64>) -> ConstId {
        let (id, entry) = self.weights.push(name, shape, values.into_iter().collect());
        self.constants.push(entry);
        id
    }
}

#[cfg(test)]
mod tests;
