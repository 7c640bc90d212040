//! What every node of a packed network takes, whatever level it is placed at: levels, and key switches.

use heron_params::{CkksParams, Level};
use heron_plan::{Instruction, OpCounts};

use crate::graph::Graph;
use crate::schedule::levels::Drafts;
use crate::schedule::parameters::{key_switch_transforms, key_switches};
use crate::slots::{Compute, Op, Packed};

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
    /// How far above the result's level these are priced.
    pub(crate) priced_above: u32,
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
        Self::of_graph(packed.slots.0.ilog2() + 1, &packed.graph)
    }

    /// Counts the nodes of a network over the slots of a ring.
    pub(crate) fn of_graph(log_n: u32, graph: &Graph<Op>) -> Self {
        let nodes = graph.iter().map(|(_, node)| NodeCost {
            name: node.name.clone(),
            args: node.args.iter().map(|arg| arg.index()).collect(),
            depth: node.op.compute.levels(),
            key_switches: key_switches(counts(&node.op.compute)),
            priced_above: match &node.op.compute {
                // Most of its products are at the lower of its levels.
                Compute::Polynomial(_) => 0,
                compute => compute.levels(),
            },
        });
        Self {
            log_n,
            nodes: nodes.collect(),
        }
    }

    /// The same network, in which the nodes of a name take no levels.
    pub(crate) fn without_levels_of(&self, name: &str) -> Self {
        let mut costs = self.clone();
        for node in costs.nodes.iter_mut().filter(|node| node.name == name) {
            (node.depth, node.priced_above) = (0, 0);
        }
        costs
    }

    /// The levels of a network that is not bootstrapped: every result is as low as its readers allow, the output at 0.
    pub(crate) fn levels(&self) -> NodeLevels {
        let mut levels = vec![0; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate().rev() {
            for &arg in &node.args {
                levels[arg] = levels[arg].max(levels[index] + node.depth);
            }
        }
        let nodes = levels.iter().zip(&self.nodes);
        nodes.map(|(&level, node)| (level + node.depth, level, None)).collect()
    }

    /// The levels that the lines of a program have.
    pub(crate) fn levels_of(&self, drafts: &Drafts) -> NodeLevels {
        let nodes = drafts.results.iter().zip(&self.nodes).map(|(result, node)| {
            let line = &drafts.lines[result.index()];
            match line.op {
                Instruction::Bootstrap { arg } => {
                    let computed = drafts.lines[arg.index()].level.0;
                    (computed + node.depth, computed, Some(line.level.0))
                }
                _ => (line.level.0 + node.depth, line.level.0, None),
            }
        });
        nodes.collect()
    }

    /// For every node the reader that takes its result highest, the first of equals; none for the output.
    pub(crate) fn deciding_readers(&self, levels: &NodeLevels) -> Vec<Option<usize>> {
        let mut readers: Vec<Option<usize>> = vec![None; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for &arg in &node.args {
                if readers[arg].is_none_or(|other| levels.operand[index] > levels.operand[other]) {
                    readers[arg] = Some(index);
                }
            }
        }
        readers
    }

    /// Whether each node's operands are at the highest level that they could have: a level more there is one more before.
    pub(crate) fn critical_nodes(&self, levels: &NodeLevels) -> Vec<bool> {
        let mut highest: Vec<u32> = Vec::with_capacity(self.nodes.len());
        let mut critical = Vec::with_capacity(self.nodes.len());
        for (index, node) in self.nodes.iter().enumerate() {
            let operand = node.args.iter().map(|&arg| highest[arg]).min();
            let operand = operand.unwrap_or(levels.operand[index]);
            critical.push(operand == levels.operand[index]);
            highest.push(levels.refreshed[index].unwrap_or(operand.saturating_sub(node.depth)));
        }
        critical
    }

    /// The key switches of one node whose result is computed at a level, in transforms of one limb.
    pub(crate) fn node_transforms(&self, index: usize, computed: Level, params: &CkksParams) -> f64 {
        let node = &self.nodes[index];
        node.key_switches * key_switch_transforms(params, Level(computed.0 + node.priced_above))
    }

    /// The key switches of all nodes.
    pub(crate) fn transforms(&self, levels: &NodeLevels, params: &CkksParams) -> f64 {
        (0..self.nodes.len())
            .map(|index| self.node_transforms(index, Level(levels.computed[index]), params))
            .sum()
    }
}

/// The levels of every node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeLevels {
    /// Of its operands.
    pub(crate) operand: Vec<u32>,
    /// Of its result, as computed.
    pub(crate) computed: Vec<u32>,
    /// To which its result is bootstrapped.
    pub(crate) refreshed: Vec<Option<u32>>,
}

impl NodeLevels {
    /// The highest level of all operands and results.
    pub(crate) fn highest(&self) -> u32 {
        self.operand.iter().copied().max().unwrap_or(0)
    }

    /// How many results are bootstrapped.
    pub(crate) fn n_bootstraps(&self) -> usize {
        self.refreshed.iter().flatten().count()
    }
}

impl FromIterator<(u32, u32, Option<u32>)> for NodeLevels {
    fn from_iter<I: IntoIterator<Item = (u32, u32, Option<u32>)>>(nodes: I) -> Self {
        let mut levels = Self::default();
        for (operand, computed, refreshed) in nodes {
            levels.operand.push(operand);
            levels.computed.push(computed);
            levels.refreshed.push(refreshed);
        }
        levels
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
