//! Decides the layout of every value.
//!
//! Values that meet element by element share a layout: the operands and results of sums, products, squares, affine maps
//! and reshapes form a class. A class takes the layout of whatever computes it first; all other linear maps into the class
//! arrange their results the same way, so that the branches of a residual network agree without a map of their own.

use heron_params::Slots;
use heron_plan::{ConstId, Convolution, Geometry, VectorLayout};

use super::TooFewSlots;
use super::layout::{GridPolicy, canonical, convolved, fresh_image, input_layout};
use super::rotations::plan_map;
use crate::graph::{Graph, Node, NodeId};
use crate::he::Op;
use crate::nn::Conv;

/// A layout for every node, and what the maps between them cost.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    pub(super) layouts: Vec<VectorLayout>,
    pub(super) cost: f64,
}

/// The cheapest assignment.
///
/// # Errors
/// The first value that does not fit, of the first policy.
pub(super) fn assign(graph: &Graph<Op>, slots: Slots) -> Result<Assignment, TooFewSlots> {
    let classes = Classes::of(graph);
    let images = graph.iter().any(|(_, node)| matches!(node.op, Op::Conv(_)));
    let policies = if images {
        &GridPolicy::ALL[..]
    } else {
        &GridPolicy::ALL[..1]
    };
    let mut best: Option<Assignment> = None;
    let mut refusal = None;
    for &policy in policies {
        match classes.assign(graph, slots, policy) {
            Ok(found) if best.as_ref().is_none_or(|best| found.cost < best.cost) => best = Some(found),
            Ok(_) => {}
            Err(small) => refusal = refusal.or(Some(small)),
        }
    }
    match (best, refusal) {
        (Some(best), _) => Ok(best),
        (None, Some(small)) => Err(small),
        (None, None) => unreachable!("there is a policy"),
    }
}

/// The classes of values that share a layout.
struct Classes {
    /// The first node of each node's class.
    of: Vec<usize>,
    /// Height and width that every convolution at the class sees, if they see the same.
    images: Vec<Option<[u32; 2]>>,
}

impl Classes {
    fn of(graph: &Graph<Op>) -> Self {
        let mut of: Vec<usize> = (0..graph.len()).collect();
        for (id, node) in graph.iter() {
            if is_map(&node.op) {
                continue;
            }
            for arg in &node.args {
                let (a, b) = (of[arg.index()], of[id.index()]);
                of.iter_mut()
                    .filter(|class| **class == a.max(b))
                    .for_each(|class| *class = a.min(b));
            }
        }
        let images = views(graph, &of);
        Self { of, images }
    }

    fn assign(&self, graph: &Graph<Op>, slots: Slots, policy: GridPolicy) -> Result<Assignment, TooFewSlots> {
        let mut layouts: Vec<Option<VectorLayout>> = vec![None; graph.len()];
        let mut cost = 0.0;
        for (id, node) in graph.iter() {
            let class = self.of[id.index()];
            let layout = match layouts[class] {
                Some(layout) => layout,
                None => {
                    let layout = self.first_layout(graph, slots, policy, (id, node), &layouts);
                    check_fits(node, layout, slots)?;
                    layout
                }
            };
            layouts[class] = Some(layout);
            if is_map(&node.op) && !node.args.is_empty() {
                let operand = layouts[self.of[node.args[0].index()]].expect("operands come first");
                let shape = &graph.node(node.args[0]).shape;
                cost += geometry(node, shape, ConstId(0))
                    .and_then(|geometry| plan_map(geometry, operand, layout, slots))
                    .ok_or_else(|| TooFewSlots {
                        node: node.name.clone(),
                        needed: operand.period.max(layout.period) as usize,
                    })?
                    .cost;
            }
        }
        let of_node = |id: usize| layouts[self.of[id]].expect("every class has a first node");
        Ok(Assignment {
            layouts: (0..graph.len()).map(of_node).collect(),
            cost,
        })
    }

    /// The layout that the first node of a class gives it.
    fn first_layout(
        &self,
        graph: &Graph<Op>,
        slots: Slots,
        policy: GridPolicy,
        (id, node): (NodeId, &Node<Op>),
        layouts: &[Option<VectorLayout>],
    ) -> VectorLayout {
        let image = self.images[self.of[id.index()]];
        match (&node.op, image) {
            (Op::Conv(conv), Some(_)) => {
                let operand = layouts[self.of[node.args[0].index()]].expect("operands come first");
                let conv = convolution(conv, &graph.node(node.args[0]).shape, &node.shape, ConstId(0));
                convolved(node.len(), &conv, operand, policy)
            }
            (_, Some(image)) => fresh_image(node.len(), image, policy),
            (Op::Input, None) => self
                .dense_readers(graph, id)
                .and_then(|outputs| input_layout(node.len(), &outputs, slots))
                .unwrap_or_else(|| canonical(node.len())),
            (_, None) => canonical(node.len()),
        }
    }

    /// The layouts of the dense maps that read the input, if nothing else does: it is then free to have any period.
    fn dense_readers(&self, graph: &Graph<Op>, input: NodeId) -> Option<Vec<VectorLayout>> {
        let class = self.of[input.index()];
        let mut outputs = Vec::new();
        for (id, node) in graph.iter() {
            let reads = node.args.iter().any(|arg| self.of[arg.index()] == class);
            match node.op {
                Op::Dense { .. } if reads => outputs.push(canonical(node.len())),
                Op::Reshape | Op::Input => {}
                _ if reads || self.of[id.index()] == class => return None,
                _ => {}
            }
        }
        Some(outputs)
    }
}

/// Whether the op's result has a layout of its own.
fn is_map(op: &Op) -> bool {
    match op {
        Op::Input
        | Op::Dense { .. }
        | Op::Conv(_)
        | Op::AveragePool(_)
        | Op::GlobalAveragePool
        | Op::Pad(_)
        | Op::Select(_) => true,
        Op::Affine(_) | Op::Add | Op::Sub | Op::Mul | Op::Square | Op::Polynomial(_) | Op::Reshape => false,
    }
}

fn views(graph: &Graph<Op>, of: &[usize]) -> Vec<Option<[u32; 2]>> {
    // Nothing seen yet, one size, or several.
    let mut seen: Vec<Option<Option<[u32; 2]>>> = vec![None; graph.len()];
    let mut see = |class: usize, shape: &[usize]| {
        let size = [shape[1] as u32, shape[2] as u32];
        seen[class] = match seen[class] {
            None => Some(Some(size)),
            Some(Some(other)) if other == size => Some(Some(size)),
            Some(_) => Some(None),
        };
    };
    for (id, node) in graph.iter() {
        if let Op::Conv(_) = node.op {
            see(of[node.args[0].index()], &graph.node(node.args[0]).shape);
            see(of[id.index()], &node.shape);
        }
    }
    seen.into_iter().map(Option::flatten).collect()
}

fn check_fits(node: &Node<Op>, layout: VectorLayout, slots: Slots) -> Result<(), TooFewSlots> {
    if layout.fits(slots) {
        return Ok(());
    }
    Err(TooFewSlots {
        node: node.name.clone(),
        needed: layout.period as usize,
    })
}

/// The matrix of a linear node, over a constant.
pub(super) fn geometry(node: &Node<Op>, operand: &[usize], weights: ConstId) -> Option<Geometry> {
    match &node.op {
        Op::Dense { weights: matrix, .. } => Some(Geometry::Dense {
            weights,
            rows: matrix.nrows() as u32,
            cols: matrix.ncols() as u32,
        }),
        Op::Conv(conv) => Some(Geometry::Convolution(convolution(conv, operand, &node.shape, weights))),
        Op::Input
        | Op::Affine(_)
        | Op::AveragePool(_)
        | Op::GlobalAveragePool
        | Op::Pad(_)
        | Op::Select(_)
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Square
        | Op::Polynomial(_)
        | Op::Reshape => None,
    }
}

fn convolution(conv: &Conv, operand: &[usize], result: &[usize], weights: ConstId) -> Convolution {
    let (outputs, per_group, height, width) = conv.weights.dim();
    let pair = |[y, x]: [usize; 2]| [y as u32, x as u32];
    Convolution {
        weights,
        kernel: [outputs, per_group, height, width].map(|size| size as u32),
        input: pair([operand[1], operand[2]]),
        output: pair([result[1], result[2]]),
        strides: pair(conv.strides),
        dilations: pair(conv.dilations),
        pads: pair([conv.pads[0], conv.pads[1]]),
        groups: conv.groups as u32,
    }
}
