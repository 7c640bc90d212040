//! Where values are bootstrapped: where the whole program is cheapest.

use heron_params::Level;

use crate::graph::{Graph, NodeId};
use crate::schedule::late::{LOWEST, Placement, Refresh};
use crate::schedule::levels::levels;
use crate::schedule::node_costs::{NodeCosts, NodeLevels};
use crate::schedule::planner::{self, LevelGraph};
use crate::slots::Op;

/// Units of the planner's whole numbers in a price of 1: what is rounded away decides nothing.
const UNITS: f64 = 1024.0;

/// What operations and bootstraps cost.
pub(crate) struct Prices<'a> {
    /// An operation, by its node and the level of its operands, which is not below its depth.
    pub(crate) operation: &'a dyn Fn(usize, Level) -> f64,
    /// A bootstrap, whatever level it goes to.
    pub(crate) bootstrap: f64,
}

/// The cheapest placement; `eligible` says of every node whether its result can be bootstrapped. `None` if nothing can be
/// bootstrapped where it would be needed.
///
/// # Cost
/// The cube of the levels for every operation.
pub(crate) fn as_cheap_as_possible(
    costs: &NodeCosts,
    refresh: Refresh,
    eligible: &[bool],
    prices: &Prices<'_>,
) -> Option<Placement> {
    let (_, levels) = cheapest_levels(costs, refresh, eligible, prices)?;
    let refreshed = levels.refreshed.iter().map(Option::is_some);
    Some(Placement::with(refreshed.collect(), refresh))
}

/// What the cheapest placement costs, and its levels.
pub(crate) fn cheapest_levels(
    costs: &NodeCosts,
    refresh: Refresh,
    eligible: &[bool],
    prices: &Prices<'_>,
) -> Option<(f64, NodeLevels)> {
    let placed = level_graph(costs, refresh, eligible, prices).cheapest()?;
    let layers = placed.layers.iter().zip(&costs.nodes);
    let levels = layers.map(|(layer, node)| (layer.operand, layer.operand - node.depth, layer.refreshed));
    Some((placed.time as f64 / UNITS, levels.collect()))
}

fn level_graph(costs: &NodeCosts, refresh: Refresh, eligible: &[bool], prices: &Prices<'_>) -> LevelGraph {
    let (from, top) = (refresh.input_level.0, refresh.output_level.0);
    let layers = costs.nodes.iter().zip(eligible).enumerate();
    let layers = layers.map(|(index, (node, &refreshable))| {
        // No operand is below the depth of what reads it: the first times are never paid. What reads nothing is fresh.
        let time = |operand: u32| match node.args[..] {
            [] => 0,
            _ => (UNITS * (prices.operation)(index, Level(operand.max(node.depth)))) as u64,
        };
        planner::Layer {
            args: node.args.clone(),
            depth: node.depth,
            times: (0..=top).map(time).collect(),
            refreshable,
        }
    });
    let one = (UNITS * prices.bootstrap) as u64;
    LevelGraph {
        layers: layers.collect(),
        top,
        output: LOWEST,
        refresh: planner::Refresh {
            from,
            times: (0..=top).map(|level| (level > from).then_some(one)).collect(),
        },
    }
}

/// What the lines of a placement cost; infinite where an operation lacks levels.
pub(crate) fn cost(graph: &Graph<Op>, placement: &Placement, prices: &Prices<'_>) -> f64 {
    let levels = levels(graph, placement);
    let operation = |id: NodeId, depth: u32| {
        let computed = placement.computed_at(id, &levels)?;
        Some((prices.operation)(id.index(), Level(computed.0 + depth)))
    };
    let operations = graph
        .iter()
        .filter_map(|(id, node)| operation(id, node.op.compute.levels()));
    if levels.iter().all(|&level| placement.reaches(level)) {
        operations.sum::<f64>() + prices.bootstrap * placement.n_bootstraps() as f64
    } else {
        f64::INFINITY
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::late::as_late_as_possible;
    use crate::schedule::late::tests::{REFRESH, blocks};

    const PRICES: Prices<'static> = Prices {
        operation: &price,
        bootstrap: 40.0,
    };

    /// An operation's cost, different for every node and growing with the level.
    fn price(node: usize, level: Level) -> f64 {
        (1.0 + (node * 7 % 5) as f64) * f64::from(level.0 * level.0) / 16.0
    }

    fn planned(graph: &Graph<Op>, eligible: &[bool]) -> Option<Placement> {
        as_cheap_as_possible(&NodeCosts::of_graph(15, graph), REFRESH, eligible, &PRICES)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_set_of_bootstraps_has_cheaper_lines(
            lengths in prop::collection::vec((0usize..6, 0usize..4), 1..4),
            hidden in prop::collection::vec(0u8..4, 16),
        ) {
            let graph = blocks(&lengths);
            prop_assume!(graph.len() <= 16);
            let eligible: Vec<bool> = (0..graph.len()).map(|i| i > 0 && hidden[i % hidden.len()] > 0).collect();
            let subsets = (0u32..1 << graph.len()).filter(|set| (0..graph.len()).all(|i| set >> i & 1 == 0 || eligible[i]));
            let placements = subsets.map(|set| Placement::with((0..graph.len()).map(|i| set >> i & 1 == 1).collect(), REFRESH));
            let least = placements.map(|placement| cost(&graph, &placement, &PRICES)).fold(f64::INFINITY, f64::min);
            match planned(&graph, &eligible) {
                Some(placement) => {
                    let found = cost(&graph, &placement, &PRICES);
                    prop_assert!((found - least).abs() < 1e-9, "{found} instead of {least}");
                }
                None => prop_assert!(least.is_infinite(), "{least} was not found"),
            }
        }
    }

    #[test]
    fn no_residual_network_is_costlier_than_as_late_as_possible_and_some_are_cheaper() {
        let mut cheaper = 0;
        for (main, skip) in (1..=6).flat_map(|main| (0..=2).map(move |skip| (main, skip))) {
            let graph = blocks(&[(main, skip); 12]);
            let eligible: Vec<bool> = (0..graph.len()).map(|i| i > 0).collect();
            let late = as_late_as_possible(&graph, REFRESH, &eligible).expect("everything is eligible");
            let late = cost(&graph, &late, &PRICES);
            let least = cost(
                &graph,
                &planned(&graph, &eligible).expect("everything is eligible"),
                &PRICES,
            );
            assert!(
                least <= late * (1.0 + 1e-12),
                "{main} and {skip}: {least} against {late}"
            );
            cheaper += usize::from(least < 0.95 * late);
        }
        assert!(cheaper > 0, "none of them");
    }
}
