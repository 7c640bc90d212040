//! Tensors get slot layouts; dense layers become linear maps on slots.
//!
//! ```text
//! %1 = dense(%0)    →    %1 = linear(%0, diagonals, baby and giant steps, fold) + bias, spread over the slots
//! ```
//!
//! Reshapes disappear: a tensor's elements lie in row-major order whatever its shape. Only vectors are packed so far:
//! everything that looks at positions in an image is refused by name.

mod layout;

use heron_params::Slots;
use heron_plan::{ConstEntry, ConstId, Constant, Geometry, LinearMap, SlotPolynomial, VectorLayout, Weights};
use ndarray::{ArcArray1, ArcArray2};

use crate::error::UnsupportedNode;
use crate::graph::{Graph, GraphBuilder, Node, NodeId};
use crate::he;
use crate::nn::{self, Affine, Chebyshev};
use crate::slots::{Compute, Op, Packed};
use layout::{canonical, input_layout, plan_dense};

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
    let images = "packing operations on images is not available yet";
    let (op, reason) = match node.op {
        nn::Op::Conv(_) => ("Conv", images),
        nn::Op::AveragePool(_) => ("AveragePool", images),
        nn::Op::GlobalAveragePool => ("GlobalAveragePool", images),
        nn::Op::Pad(_) => ("Pad", images),
        nn::Op::MaxPool(_) => ("MaxPool", "a maximum has no polynomial of low degree"),
        nn::Op::Input
        | nn::Op::Dense { .. }
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
        advice: "`heron check` and `heron simulate --model` work on this model; compile a network of dense layers"
            .to_owned(),
    })
}

/// Packs a network that has nothing [`unpackable`] in it into vectors of `slots`.
///
/// # Errors
/// The first node whose operand or result does not fit.
///
/// # Panics
/// On a node that is not packable.
pub fn pack(graph: &Graph<he::Op>, slots: Slots) -> Result<Packed, TooFewSlots> {
    let mut packer = Packer {
        source: graph,
        slots,
        weights: Weights::default(),
        constants: Vec::new(),
    };
    let graph = graph.rebuild(|out, id, node, args| packer.node(out, id, node, args))?;
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
    weights: Weights,
    constants: Vec<ConstEntry>,
}

impl Packer<'_> {
    fn node(
        &mut self,
        out: &mut GraphBuilder<Op>,
        id: NodeId,
        node: &Node<he::Op>,
        args: &[NodeId],
    ) -> Result<NodeId, TooFewSlots> {
        let layout = match node.op {
            he::Op::Input => self.input_layout(id, node)?,
            he::Op::Reshape => return Ok(args[0]),
            _ => args
                .first()
                .map_or_else(|| canonical(node.len()), |&arg| out.node(arg).op.layout),
        };
        let (compute, layout) = match &node.op {
            he::Op::Input => (Compute::Input, layout),
            he::Op::Dense { weights, bias } => self.dense(node, layout, weights, bias)?,
            he::Op::Affine(affine) => (self.affine(node, layout, affine), layout),
            he::Op::Add => (Compute::Add, layout),
            he::Op::Sub => (Compute::Sub, layout),
            he::Op::Mul => (Compute::Mul, layout),
            he::Op::Square => (Compute::Square, layout),
            he::Op::Polynomial(polynomial) => (self.polynomial(node, layout, polynomial), layout),
            he::Op::Reshape | he::Op::Conv(_) | he::Op::AveragePool(_) | he::Op::GlobalAveragePool | he::Op::Pad(_) => {
                unreachable!("{} is not packable", node.name)
            }
        };
        Ok(out.push(
            &node.name,
            Op {
                compute,
                layout,
                value: id,
            },
            args,
            &node.shape,
        ))
    }

    /// The input's layout: free to choose where only dense layers read it.
    fn input_layout(&self, input: NodeId, node: &Node<he::Op>) -> Result<VectorLayout, TooFewSlots> {
        let mut aliases = vec![input];
        let mut outputs = Vec::new();
        let mut dense_only = true;
        for (id, reader) in self.source.iter() {
            if !reader.args.iter().any(|arg| aliases.contains(arg)) {
                continue;
            }
            match reader.op {
                he::Op::Reshape => aliases.push(id),
                he::Op::Dense { .. } => outputs.push(canonical(reader.len())),
                _ => dense_only = false,
            }
        }
        let free = if dense_only {
            input_layout(node.len(), &outputs, self.slots)
        } else {
            None
        };
        let layout = free.unwrap_or_else(|| canonical(node.len()));
        self.check_fits(node, layout)?;
        Ok(layout)
    }

    fn check_fits(&self, node: &Node<he::Op>, layout: VectorLayout) -> Result<(), TooFewSlots> {
        if layout.period <= self.slots.0 {
            return Ok(());
        }
        Err(TooFewSlots {
            node: node.name.clone(),
            needed: layout.period as usize,
        })
    }

    fn dense(
        &mut self,
        node: &Node<he::Op>,
        input: VectorLayout,
        weights: &ArcArray2<f64>,
        bias: &ArcArray1<f64>,
    ) -> Result<(Compute, VectorLayout), TooFewSlots> {
        let output = canonical(node.len());
        self.check_fits(node, output)?;
        let needed = (output.period as usize).max(input.period as usize);
        let plan = plan_dense(input, output, self.slots).ok_or_else(|| TooFewSlots {
            node: node.name.clone(),
            needed,
        })?;
        let (rows, cols) = weights.dim();
        let weights = self.constant(
            &format!("{}.weights", node.name),
            &[rows, cols],
            weights.iter().copied(),
        );
        let bias = self.constant(&format!("{}.bias", node.name), &[rows], bias.iter().copied());
        let geometry = Geometry::Dense {
            weights,
            rows: rows as u32,
            cols: cols as u32,
        };
        let map = LinearMap {
            geometry,
            input,
            output,
            steps: plan.steps,
            fold: plan.fold,
        };
        Ok((
            Compute::Linear {
                map: Box::new(map),
                bias,
            },
            output,
        ))
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
