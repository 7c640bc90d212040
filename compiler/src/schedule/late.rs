//! Where values are bootstrapped, and one way to choose: as late as possible.
//!
//! ```text
//! %3 = linear(%2)      ; level 4    →    %3 = linear(%2)      ; level 3, the lowest that a bootstrap takes
//! %4 = square(%3)      ; no level        %4 = bootstrap %3    ; level 14
//! ```
//!
//! The walk goes through the network in order and counts the levels that every value has used up since its operands were
//! fresh. Where an operation finds too few, its operands are bootstrapped, each for all that read it; where an operand
//! cannot be, since its values are too large, those before it are. Branches that join are bootstrapped after the sum, if at
//! all: a sum takes no level. What leads to the output without another bootstrap may use the levels that a bootstrap would
//! need.

use heron_params::Level;

use crate::graph::{Graph, NodeId};
use crate::slots::{Compute, Op};

/// What a bootstrap offers a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refresh {
    /// The lowest level of an operand.
    pub(crate) input_level: Level,
    /// The highest level of a result.
    pub(crate) output_level: Level,
    /// The level of a fresh ciphertext.
    pub(crate) top: Level,
}

/// The lowest level of a value at the scale of a product's rescale, where `q_0` has a single bit more than the scale.
pub(crate) const LOWEST: u32 = 1;

/// Which values are bootstrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    refreshed: Vec<bool>,
    /// Absent where nothing is bootstrapped.
    refresh: Option<Refresh>,
}

impl Placement {
    /// No bootstraps: the modulus carries the longest chain.
    pub(crate) fn none(graph: &Graph<Op>) -> Self {
        Self {
            refreshed: vec![false; graph.len()],
            refresh: None,
        }
    }

    /// Bootstraps of the given nodes' results.
    pub(crate) fn with(refreshed: Vec<bool>, refresh: Refresh) -> Self {
        Self {
            refreshed,
            refresh: Some(refresh),
        }
    }

    /// How many bootstraps there are.
    pub(crate) fn n_bootstraps(&self) -> usize {
        self.refreshed.iter().filter(|&&refreshed| refreshed).count()
    }

    /// Whether a node's result is bootstrapped.
    pub(crate) fn is_refreshed(&self, id: NodeId) -> bool {
        self.refreshed[id.index()]
    }

    /// Whether a level is one that bootstraps reach, or nothing is bootstrapped.
    pub(crate) fn reaches(&self, level: u32) -> bool {
        self.refresh.is_none_or(|refresh| level <= refresh.output_level.0)
    }

    /// The level of the output.
    pub(crate) fn floor(&self) -> u32 {
        self.refresh.map_or(0, |_| LOWEST)
    }

    /// The level of a fresh ciphertext.
    ///
    /// # Panics
    /// Where nothing is bootstrapped: the input is then where its readers need it.
    pub(crate) fn top(&self) -> Level {
        self.refresh.expect("a placement with bootstraps").top
    }

    /// The level that a bootstrap goes to whose readers need this one: it goes up.
    pub(crate) fn refreshed_to(&self, needed: u32) -> u32 {
        self.refresh
            .map_or(needed, |refresh| needed.max(refresh.input_level.0 + 1))
    }

    /// The level at which a node is computed whose readers find it at `levels`; `None` for an input that is to be dropped
    /// from the top.
    pub(crate) fn computed_at(&self, id: NodeId, levels: &[u32]) -> Option<Level> {
        let found = Level(levels[id.index()]);
        match self.refresh {
            None => Some(found),
            Some(_) if id.index() == 0 => None,
            Some(refresh) if self.is_refreshed(id) => Some(refresh.input_level),
            Some(_) => Some(found),
        }
    }
}

/// Bootstraps as late as possible; `eligible` says of every node whether its values are small enough, and their layout is
/// one that a bootstrap takes.
///
/// # Errors
/// The first node before which nothing can be bootstrapped that would be needed.
pub(crate) fn as_late_as_possible(graph: &Graph<Op>, refresh: Refresh, eligible: &[bool]) -> Result<Placement, NodeId> {
    let mut walk = Walk {
        graph,
        eligible,
        between: refresh.output_level.0 - refresh.input_level.0,
        to_the_end: refresh.output_level.0 - LOWEST,
        remaining: remaining(graph),
        used: vec![0; graph.len()],
        refreshed: vec![false; graph.len()],
    };
    while let Some(short) = walk.first_short() {
        if !walk.refresh_operands(short) {
            return Err(short);
        }
    }
    Ok(Placement::with(walk.refreshed, refresh))
}

/// The levels from every node's result to the output.
fn remaining(graph: &Graph<Op>) -> Vec<u32> {
    let mut remaining: Vec<u32> = vec![0; graph.len()];
    for (id, node) in graph.iter().rev() {
        let before = remaining[id.index()] + node.op.compute.levels();
        for arg in &node.args {
            remaining[arg.index()] = before.max(remaining[arg.index()]);
        }
    }
    remaining
}

struct Walk<'a> {
    graph: &'a Graph<Op>,
    eligible: &'a [bool],
    /// Levels between two bootstraps.
    between: u32,
    /// Levels from a bootstrap to the output.
    to_the_end: u32,
    remaining: Vec<u32>,
    /// Levels that each node's computation has used since its operands were fresh.
    used: Vec<u32>,
    refreshed: Vec<bool>,
}

impl Walk<'_> {
    /// The levels that readers of a value find used.
    fn found(&self, id: NodeId) -> u32 {
        if self.refreshed[id.index()] {
            0
        } else {
            self.used[id.index()]
        }
    }

    fn count(&mut self, id: NodeId) {
        let node = self.graph.node(id);
        let operands = node.args.iter().map(|&arg| self.found(arg)).max();
        self.used[id.index()] = operands.unwrap_or(0) + node.op.compute.levels();
    }

    /// Counts from the input on; the first node that has used more levels than there are.
    fn first_short(&mut self) -> Option<NodeId> {
        self.graph.iter().map(|(id, _)| id).find(|&id| {
            self.count(id);
            !self.suffices(id)
        })
    }

    /// What is bootstrapped itself cannot use the levels of the last stretch.
    fn suffices(&self, id: NodeId) -> bool {
        let used = self.used[id.index()];
        let ends = !self.refreshed[id.index()] && used + self.remaining[id.index()] <= self.to_the_end;
        used <= self.between || ends
    }

    /// Bootstraps the operands that leave too few levels; whether there was anything to bootstrap.
    fn refresh_operands(&mut self, id: NodeId) -> bool {
        let node = self.graph.node(id);
        let allowed = self.between.saturating_sub(node.op.compute.levels());
        let short: Vec<NodeId> = node
            .args
            .iter()
            .copied()
            .filter(|&arg| self.found(arg) > allowed)
            .collect();
        let mut any = false;
        for arg in short {
            any |= self.refresh(arg);
        }
        any
    }

    /// Bootstraps a value, or what it is computed from.
    fn refresh(&mut self, id: NodeId) -> bool {
        if self.refreshed[id.index()] {
            return false;
        }
        if self.eligible[id.index()] {
            self.refreshed[id.index()] = true;
            return true;
        }
        let args = self.graph.node(id).args.clone();
        let mut any = false;
        for arg in args {
            let is_input = matches!(self.graph.node(arg).op.compute, Compute::Input);
            any |= !is_input && self.refresh(arg);
        }
        any
    }
}

#[cfg(test)]
pub(super) mod tests {
    use heron_plan::VectorLayout;
    use proptest::prelude::*;

    use super::*;
    use crate::graph::GraphBuilder;
    use crate::schedule::levels::levels;

    pub(crate) const REFRESH: Refresh = Refresh {
        input_level: Level(3),
        output_level: Level(9),
        top: Level(20),
    };

    fn op(compute: Compute) -> Op {
        let value = GraphBuilder::<()>::default().push("", (), &[], &[]);
        Op {
            compute,
            layout: VectorLayout::vector(8, 8),
            value,
        }
    }

    /// A chain of residual blocks: so many squares on the main branch, so many on the other.
    pub(crate) fn blocks(lengths: &[(usize, usize)]) -> Graph<Op> {
        let mut out = GraphBuilder::default();
        let mut push = |compute, args: &[NodeId]| out.push("node", op(compute), args, &[8]);
        let mut last = push(Compute::Input, &[]);
        for &(main, skip) in lengths {
            let mut branch = |length| (0..length).fold(last, |x, _| push(Compute::Square, &[x]));
            let ends = [branch(main), branch(skip)];
            last = push(Compute::Add, &ends);
        }
        out.finish(last)
    }

    /// Checks that every operation finds the levels that it takes.
    #[track_caller]
    fn check(graph: &Graph<Op>, placement: &Placement, eligible: &[bool]) {
        let levels = levels(graph, placement);
        for (id, node) in graph.iter().skip(1) {
            let computed = placement.computed_at(id, &levels).expect("no input").0;
            assert!(
                levels[id.index()] <= REFRESH.output_level.0,
                "{id} at {}",
                levels[id.index()]
            );
            assert!(!placement.is_refreshed(id) || eligible[id.index()], "{id} is too large");
            for arg in &node.args {
                assert!(
                    levels[arg.index()] >= computed + node.op.compute.levels(),
                    "{arg} for {id}"
                );
            }
        }
        assert!(levels[0] <= REFRESH.output_level.0, "the input at {}", levels[0]);
    }

    #[test]
    fn a_chain_has_as_few_bootstraps_as_its_length_needs() {
        for length in 1..60usize {
            let graph = blocks(&[(length, 0)]);
            let eligible = vec![true; graph.len()];
            let placement = as_late_as_possible(&graph, REFRESH, &eligible).expect("everything is eligible");
            check(&graph, &placement, &eligible);
            // The last stretch has the levels of a bootstrap's input as well; the sum with the input is one node more.
            let needed = length.saturating_sub(8).div_ceil(6);
            let found = placement.n_bootstraps();
            assert!((needed..=needed + 1).contains(&found), "{found} for {length}");
        }
    }

    #[test]
    fn what_fits_is_not_bootstrapped() {
        let graph = blocks(&[(2, 1), (4, 0)]);
        let placement = as_late_as_possible(&graph, REFRESH, &vec![true; graph.len()]).expect("it fits");
        assert_eq!(placement.n_bootstraps(), 0);
    }

    #[test]
    fn branches_are_bootstrapped_once_after_their_sum() {
        let graph = blocks(&[(6, 6), (6, 0)]);
        let placement = as_late_as_possible(&graph, REFRESH, &vec![true; graph.len()]).expect("everything is eligible");
        let sum = graph.iter().find(|(_, node)| matches!(node.op.compute, Compute::Add));
        assert!(placement.is_refreshed(sum.expect("a sum").0));
        assert_eq!(placement.n_bootstraps(), 1);
    }

    #[test]
    fn nothing_to_bootstrap_names_the_node() {
        let graph = blocks(&[(20, 1)]);
        let refused = as_late_as_possible(&graph, REFRESH, &vec![false; graph.len()]);
        assert!(refused.is_err());
    }

    proptest! {
        #[test]
        fn every_operation_finds_its_levels(
            lengths in prop::collection::vec((0usize..9, 0usize..9), 1..8),
            hidden in prop::collection::vec(0u8..4, 200),
        ) {
            let graph = blocks(&lengths);
            let eligible: Vec<bool> = (0..graph.len()).map(|i| i > 0 && hidden[i % hidden.len()] > 0).collect();
            if let Ok(placement) = as_late_as_possible(&graph, REFRESH, &eligible) {
                check(&graph, &placement, &eligible);
            }
        }
    }
}
