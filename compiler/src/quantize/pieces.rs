//! Cuts a network where it is not linear: every piece is an affine map of earlier tensors, then a function of each element.
//!
//! The rows of a map are read off by evaluating its nodes on unit vectors, so that convolutions, pools, normalizations and
//! sums of branches need no geometry here, and consecutive ones are one map.

use std::collections::BTreeMap;

use crate::error::UnsupportedNode;
use crate::evaluate::evaluate_node;
use crate::graph::{Graph, Node, NodeId};
use crate::nn::{Affine, Conv, Op, Pad};

/// Largest product of elements of a map's two sides: what a matrix may take in a plan.
const MAX_ENTRIES: usize = 1 << 26;

/// An affine map of earlier tensors, then a function.
pub(super) struct Piece {
    /// Name of the node that the affine map ends in.
    pub(super) affine_node: String,
    /// Shape of the map's result.
    pub(super) shape: Vec<usize>,
    /// The tensors that it reads.
    pub(super) sources: Vec<Source>,
    /// One number a row.
    pub(super) bias: Vec<f64>,
    /// The node with the function; none for a network that ends in its map.
    pub(super) function: Option<NodeId>,
}

/// The part of a map that reads one tensor.
pub(super) struct Source {
    /// Which: 0 is the input, `i` the result of piece `i - 1`.
    pub(super) tensor: usize,
    /// Column and weight of what is not zero, by row.
    pub(super) rows: Vec<Vec<(usize, f64)>>,
}

/// What a node is to a network of integers.
enum Kind {
    Input,
    Linear,
    Function,
    Unsupported(&'static str),
}

fn kind(op: &Op) -> Kind {
    match op {
        Op::Input => Kind::Input,
        Op::Dense { .. }
        | Op::Conv(_)
        | Op::BatchNorm(_)
        | Op::Affine(_)
        | Op::AveragePool(_)
        | Op::GlobalAveragePool
        | Op::Pad(_)
        | Op::Select(_)
        | Op::Add
        | Op::Sub
        | Op::Reshape
        | Op::Identity => Kind::Linear,
        Op::Activation(_) | Op::Square | Op::Pow(_) | Op::Polynomial(_) | Op::Chebyshev(_) => Kind::Function,
        Op::MaxPool(_) => Kind::Unsupported("a maximum is lowered before networks are cut"),
        Op::Mul => Kind::Unsupported("a product of two encrypted values is not compiled to integers"),
    }
}

/// The pieces of a network, in order of evaluation; the last gives the output.
///
/// # Errors
/// All nodes that are neither linear nor a function of one element.
pub(super) fn pieces(graph: &Graph<Op>) -> Result<Vec<Piece>, Vec<UnsupportedNode>> {
    let unsupported: Vec<UnsupportedNode> = graph
        .iter()
        .filter_map(|(_, node)| match kind(&node.op) {
            Kind::Unsupported(reason) => Some(UnsupportedNode {
                node: node.name.clone(),
                op: if node.op == Op::Mul { "Mul" } else { "MaxPool" }.to_owned(),
                reason: reason.to_owned(),
                advice: "average instead, or compile for `--target ckks`".to_owned(),
            }),
            Kind::Input | Kind::Linear | Kind::Function => None,
        })
        .collect();
    if !unsupported.is_empty() {
        return Err(unsupported);
    }
    let homogeneous = without_constants(graph);
    let mut tensors: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut pieces = Vec::new();
    for (id, node) in graph.iter() {
        match kind(&node.op) {
            Kind::Input => {
                tensors.insert(id, 0);
            }
            Kind::Function => {
                pieces.push(piece(graph, &homogeneous, &tensors, node.args[0], Some(id))?);
                tensors.insert(id, pieces.len());
            }
            Kind::Linear | Kind::Unsupported(_) => {}
        }
    }
    if !tensors.contains_key(&graph.output()) || pieces.is_empty() {
        pieces.push(piece(graph, &homogeneous, &tensors, graph.output(), None)?);
    }
    Ok(pieces)
}

/// The network with every bias zero: its maps are linear, and its rows exact.
fn without_constants(graph: &Graph<Op>) -> Graph<Op> {
    let zeros = |op: &Affine| Affine {
        shift: op.shift.mapv(|_| 0.0).into_shared(),
        ..op.clone()
    };
    let op = |node: &Node<Op>| match &node.op {
        Op::Dense { weights, bias } => Op::Dense {
            weights: weights.clone(),
            bias: bias.mapv(|_| 0.0).into_shared(),
        },
        Op::Conv(conv) => Op::Conv(Conv {
            bias: conv.bias.mapv(|_| 0.0).into_shared(),
            ..conv.clone()
        }),
        Op::BatchNorm(affine) => Op::BatchNorm(zeros(affine)),
        Op::Affine(affine) => Op::Affine(zeros(affine)),
        Op::Pad(pad) => Op::Pad(Pad {
            value: 0.0,
            ..pad.clone()
        }),
        other => other.clone(),
    };
    let rebuilt = graph.rebuild(|out, _, node, args| {
        Ok::<_, std::convert::Infallible>(out.push(&node.name, op(node), args, &node.shape))
    });
    let Ok(rebuilt) = rebuilt;
    rebuilt
}

fn piece(
    graph: &Graph<Op>,
    homogeneous: &Graph<Op>,
    tensors: &BTreeMap<NodeId, usize>,
    root: NodeId,
    function: Option<NodeId>,
) -> Result<Piece, Vec<UnsupportedNode>> {
    let node = graph.node(root);
    let members = members(graph, tensors, root);
    let inputs: Vec<NodeId> = members.iter().copied().filter(|id| tensors.contains_key(id)).collect();
    if let Some(&wide) = inputs
        .iter()
        .find(|id| graph.node(**id).len() * node.len() > MAX_ENTRIES)
    {
        return Err(vec![UnsupportedNode {
            node: node.name.clone(),
            op: "linear map".to_owned(),
            reason: format!("{} times {} entries are too many", node.len(), graph.node(wide).len()),
            advice: "make the layer smaller, or compile for `--target ckks`".to_owned(),
        }]);
    }
    let zeros: BTreeMap<NodeId, Vec<f64>> = inputs
        .iter()
        .map(|id| (*id, vec![0.0; graph.node(*id).len()]))
        .collect();
    let source = |id: &NodeId| {
        let mut rows = vec![Vec::new(); node.len()];
        let mut values = zeros.clone();
        for column in 0..graph.node(*id).len() {
            values.entry(*id).and_modify(|unit| unit[column] = 1.0);
            for (row, weight) in rows.iter_mut().zip(run(homogeneous, &members, &values, root)) {
                if weight != 0.0 {
                    row.push((column, weight));
                }
            }
            values.entry(*id).and_modify(|unit| unit[column] = 0.0);
        }
        let tensor = tensors[id];
        Source { tensor, rows }
    };
    Ok(Piece {
        affine_node: node.name.clone(),
        shape: node.shape.clone(),
        sources: inputs.iter().map(source).collect(),
        bias: run(graph, &members, &zeros, root),
        function,
    })
}

/// The nodes that a root depends on without passing a tensor, with those tensors, in order of evaluation.
fn members(graph: &Graph<Op>, tensors: &BTreeMap<NodeId, usize>, root: NodeId) -> Vec<NodeId> {
    let mut needed = vec![false; graph.len()];
    needed[root.index()] = true;
    let mut members = Vec::new();
    for (id, node) in graph.iter().rev() {
        if needed[id.index()] {
            members.push(id);
            if !tensors.contains_key(&id) {
                node.args.iter().for_each(|arg| needed[arg.index()] = true);
            }
        }
    }
    members.reverse();
    members
}

/// The value of a root from the values of the tensors that it reads.
fn run(graph: &Graph<Op>, members: &[NodeId], tensors: &BTreeMap<NodeId, Vec<f64>>, root: NodeId) -> Vec<f64> {
    let mut values = tensors.clone();
    for id in members {
        if !values.contains_key(id) {
            let node = graph.node(*id);
            let args: Vec<&[f64]> = node.args.iter().map(|arg| values[arg].as_slice()).collect();
            let value = evaluate_node(graph, node, &args);
            values.insert(*id, value);
        }
    }
    values.remove(&root).expect("the root is a member")
}
