//! What every node of a packed network takes, whatever level it is placed at: levels, and key switches.

use heron_params::{CkksParams, Level};
use heron_plan::OpCounts;

use crate::schedule::parameters::{key_switch_transforms, key_switches};
use crate::slots::{Compute, Packed};

/// What one node takes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NodeCost {
    /// Name of the ONNX node.
    pub(crate) name: String,
    /// The nodes that it reads.
    pub(crate) args: Vec<usize>,
    /// Levels from its operands to its result.
    pub(crate) depth: u32,
    /// Key switches, in rotations with a decomposition of their own.
    pub(crate) key_switches: f64,
}

/// What all nodes take, in order of evaluation; the last one is the output.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NodeCosts {
    /// Base-2 logarithm of the ring degree that the network was packed for.
    pub(crate) log_n: u32,
    /// By node.
    pub(crate) nodes: Vec<NodeCost>,
}

impl NodeCosts {
    /// Counts the nodes of a packed network.
    pub(crate) fn of(packed: &Packed) -> Self {
        let nodes = packed.graph.iter().map(|(_, node)| NodeCost {
            name: node.name.clone(),
            args: node.args.iter().map(|arg| arg.index()).collect(),
            depth: node.op.compute.levels(),
            key_switches: key_switches(counts(&node.op.compute)),
        });
        Self {
            log_n: packed.slots.0.ilog2() + 1,
            nodes: nodes.collect(),
        }
    }

    /// The same network, in which the nodes of a name take no levels.
    pub(crate) fn without_levels_of(&self, name: &str) -> Self {
        let mut costs = self.clone();
        for node in costs.nodes.iter_mut().filter(|node| node.name == name) {
            node.depth = 0;
        }
        costs
    }

    /// The level of every result: the highest at which a reader takes it, 0 for the output.
    pub(crate) fn result_levels(&self) -> Vec<u32> {
        let mut levels = vec![0; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate().rev() {
            for &arg in &node.args {
                levels[arg] = levels[arg].max(levels[index] + node.depth);
            }
        }
        levels
    }

    /// Levels of the longest chain.
    pub(crate) fn depth(&self) -> u32 {
        self.result_levels().into_iter().max().unwrap_or(0)
    }

    /// For every node the reader that takes its result highest, the first of equals; none for the output.
    pub(crate) fn deciding_readers(&self, levels: &[u32]) -> Vec<Option<usize>> {
        let mut readers: Vec<Option<usize>> = vec![None; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for &arg in &node.args {
                if levels[index] + node.depth == levels[arg] && readers[arg].is_none() {
                    readers[arg] = Some(index);
                }
            }
        }
        readers
    }

    /// Whether each node is on a longest chain from the input to the output.
    pub(crate) fn critical_nodes(&self, levels: &[u32]) -> Vec<bool> {
        let mut before = vec![0; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            let operands = node.args.iter().map(|&arg| before[arg]).max();
            before[index] = operands.unwrap_or(0) + node.depth;
        }
        let depth = levels.iter().copied().max().unwrap_or(0);
        before
            .iter()
            .zip(levels)
            .map(|(before, after)| before + after == depth)
            .collect()
    }

    /// The key switches of one node, in transforms of one limb.
    pub(crate) fn node_transforms(&self, index: usize, operand: Level, params: &CkksParams) -> f64 {
        self.nodes[index].key_switches * key_switch_transforms(params, operand)
    }

    /// The key switches of all nodes.
    pub(crate) fn transforms(&self, params: &CkksParams) -> f64 {
        let levels = self.result_levels();
        let node = |index: usize| {
            let operand = Level(levels[index] + self.nodes[index].depth);
            self.node_transforms(index, operand, params)
        };
        (0..self.nodes.len()).map(node).sum()
    }
}

fn counts(compute: &Compute) -> OpCounts {
    match compute {
        Compute::Linear { map, .. } => map.counts(),
        Compute::Polynomial(poly) => poly.counts(),
        Compute::Mul | Compute::Square => OpCounts {
            ciphertext_products: 1,
            ..OpCounts::default()
        },
        Compute::Input | Compute::Scale { .. } | Compute::Shift(_) | Compute::Add | Compute::Sub => OpCounts::default(),
    }
}
