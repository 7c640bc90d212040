//! Places levels, rescales and level drops: the program without parameters.
//!
//! ```text
//! %1 = linear %0, m0 + bias    →    %1 = linear %0, m0        ; L3 Δ²
//!                                   %2 = rescale %1           ; L2 Δ
//!                                   %3 = add_const %2, bias   ; L2 Δ
//! ```
//!
//! A value is computed at the lowest level that its readers allow: what is cheap is what has few limbs. Readers that need
//! it lower still drop it, once for all of them. The bias of a linear map is added after its rescale: a machine can then do
//! map and rescale in one division, and rounding the bias at `Δ` is far below what the rescale itself rounds away, by about
//! the square root of the secret's weight. The output is at the lowest level; the input is as deep as the longest chain of products,
//! or, where values are bootstrapped on the way, as the longest chain up to the first of these.

use std::collections::BTreeMap;

use heron_params::{Level, ScalePower};
use heron_plan::{Constant, Instruction, LinearMap, MapId, ValueId, VectorLayout};

use crate::graph::{Graph, Node, NodeId};
use crate::schedule::late::Placement;
use crate::slots::{Compute, Op, Packed};

/// A line without bound and error.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Draft {
    pub(crate) op: Instruction,
    pub(crate) level: Level,
    pub(crate) power: ScalePower,
    pub(crate) layout: VectorLayout,
    pub(crate) node: String,
    /// The node of the packed network that the line belongs to.
    pub(crate) source: NodeId,
}

/// A program without parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drafts {
    pub(crate) lines: Vec<Draft>,
    pub(crate) maps: Vec<LinearMap>,
    /// The line with the result of each node, as its readers find it.
    pub(crate) results: Vec<ValueId>,
}

impl Drafts {
    /// How many rescales the longest chain has.
    pub(crate) fn depth(&self) -> u32 {
        self.lines.iter().map(|line| line.level.0).max().unwrap_or(0)
    }
}

/// Places the levels of a packed network whose longest chain the modulus carries.
pub(crate) fn place_levels(packed: &Packed) -> Drafts {
    place(packed, &Placement::none(&packed.graph))
}

/// Places the levels of a packed network, some of whose values are bootstrapped.
pub(crate) fn place(packed: &Packed, placement: &Placement) -> Drafts {
    let levels = levels(&packed.graph, placement);
    let mut placer = Placer {
        lines: Vec::new(),
        maps: Vec::new(),
        drops: BTreeMap::new(),
        source: packed.graph.output(),
    };
    let mut values: Vec<ValueId> = Vec::with_capacity(packed.graph.len());
    for (id, node) in packed.graph.iter() {
        placer.source = id;
        let Some(level) = placement.computed_at(id, &levels) else {
            values.push(placer.bootstrapped_input(node, placement, Level(levels[id.index()])));
            continue;
        };
        let before = Level(level.0 + node.op.compute.levels());
        let args: Vec<ValueId> = node
            .args
            .iter()
            .map(|arg| placer.at_level(values[arg.index()], before))
            .collect();
        let mut value = placer.node(node, &args, level, before);
        if placement.is_refreshed(id) {
            let state = (Level(levels[id.index()]), ScalePower::One);
            value = placer.push(Instruction::Bootstrap { arg: value }, state, node);
        }
        values.push(value);
    }
    let output = packed.graph.output();
    let (arg, node) = (values[output.index()], packed.graph.node(output));
    placer.source = output;
    let state = (Level(levels[output.index()]), ScalePower::One);
    placer.push(Instruction::Output { arg }, state, node);
    Drafts {
        lines: placer.lines,
        maps: placer.maps,
        results: values,
    }
}

/// The level at which readers find every node's result: the highest at which one of them takes it.
pub(super) fn levels(graph: &Graph<Op>, placement: &Placement) -> Vec<u32> {
    let mut levels = vec![0; graph.len()];
    levels[graph.output().index()] = placement.floor();
    for (id, node) in graph.iter().rev() {
        if placement.is_refreshed(id) {
            let level = &mut levels[id.index()];
            *level = placement.refreshed_to(*level);
        }
        let computed = placement.computed_at(id, &levels).map_or(0, |level| level.0);
        let operand = computed + node.op.compute.levels();
        for arg in &node.args {
            let level: &mut u32 = &mut levels[arg.index()];
            *level = operand.max(*level);
        }
    }
    levels
}

/// How many levels each node takes, on the longest chain: names of the nodes on it, from the input on.
pub(crate) fn longest_chain(graph: &Graph<Op>) -> Vec<NodeId> {
    let levels = levels(graph, &Placement::none(graph));
    let on_chain = |id: NodeId, node: &Node<Op>| {
        let operand = levels[id.index()] + node.op.compute.levels();
        node.args.iter().any(|arg| levels[arg.index()] == operand)
    };
    let takers = graph
        .iter()
        .filter(|(id, node)| node.op.compute.levels() > 0 && on_chain(*id, node));
    takers.map(|(id, _)| id).collect()
}

struct Placer {
    lines: Vec<Draft>,
    maps: Vec<LinearMap>,
    drops: BTreeMap<(ValueId, Level), ValueId>,
    /// The node whose lines are placed.
    source: NodeId,
}

impl Placer {
    fn push(&mut self, op: Instruction, (level, power): (Level, ScalePower), node: &Node<Op>) -> ValueId {
        let id = ValueId(self.lines.len() as u32);
        self.lines.push(Draft {
            op,
            level,
            power,
            layout: node.op.layout,
            node: node.name.clone(),
            source: self.source,
        });
        id
    }

    /// A fresh ciphertext is at the top of the chain, whose upper levels belong to bootstraps.
    fn bootstrapped_input(&mut self, node: &Node<Op>, placement: &Placement, level: Level) -> ValueId {
        let input = self.push(Instruction::Input, (placement.top(), ScalePower::One), node);
        self.at_level(input, level)
    }

    /// A value at a level that is not above its own.
    fn at_level(&mut self, value: ValueId, level: Level) -> ValueId {
        let line = &self.lines[value.index()];
        if line.level == level {
            return value;
        }
        if let Some(&dropped) = self.drops.get(&(value, level)) {
            return dropped;
        }
        let dropped = Draft {
            op: Instruction::DropLevel { arg: value },
            level,
            source: self.source,
            ..line.clone()
        };
        let id = ValueId(self.lines.len() as u32);
        self.lines.push(dropped);
        self.drops.insert((value, level), id);
        id
    }

    /// The lines of a node, whose operands are at level `before`; the result is at `after`.
    fn node(&mut self, node: &Node<Op>, args: &[ValueId], after: Level, before: Level) -> ValueId {
        let done = (after, ScalePower::One);
        let op = match &node.op.compute {
            Compute::Input => Instruction::Input,
            Compute::Add => Instruction::Add {
                lhs: args[0],
                rhs: args[1],
            },
            Compute::Sub => Instruction::Sub {
                lhs: args[0],
                rhs: args[1],
            },
            Compute::Shift(shift) => add_const(args[0], shift.clone()),
            Compute::Polynomial(poly) => Instruction::Polynomial {
                arg: args[0],
                poly: *poly,
            },
            Compute::Linear { map, bias } => {
                let id = MapId(self.maps.len() as u32);
                self.maps.push(map.as_ref().clone());
                let product = self.product(Instruction::Linear { arg: args[0], map: id }, before, node);
                let value = Constant::Vector {
                    data: *bias,
                    layout: map.output,
                };
                add_const(self.rescale(product, after, node), value)
            }
            Compute::Scale { factor, shift } => {
                let op = Instruction::MulConst {
                    arg: args[0],
                    value: factor.clone(),
                };
                let scaled = self.product(op, before, node);
                let sum = self.product(add_const(scaled, shift.clone()), before, node);
                return self.rescale(sum, after, node);
            }
            Compute::Mul => {
                let op = Instruction::Mul {
                    lhs: args[0],
                    rhs: args[1],
                };
                let product = self.product(op, before, node);
                return self.rescale(product, after, node);
            }
            Compute::Square => {
                let product = self.product(Instruction::Square { arg: args[0] }, before, node);
                return self.rescale(product, after, node);
            }
        };
        self.push(op, done, node)
    }

    /// A line whose result is at `Δ²`.
    fn product(&mut self, op: Instruction, level: Level, node: &Node<Op>) -> ValueId {
        self.push(op, (level, ScalePower::Two), node)
    }

    fn rescale(&mut self, arg: ValueId, after: Level, node: &Node<Op>) -> ValueId {
        self.push(Instruction::Rescale { arg }, (after, ScalePower::One), node)
    }
}

fn add_const(arg: ValueId, value: Constant) -> Instruction {
    Instruction::AddConst { arg, value }
}
