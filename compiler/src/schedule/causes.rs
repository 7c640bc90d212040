//! Why a plan's levels and parameters are what they are: who asks for each level, and what would be saved if a layer took none.
//!
//! Savings are planned again, with the layer's levels gone and everything else as it is. Without bootstraps, levels are derived anew, and
//! the smallest ring that is secure for them at the plan's scale is taken with its cheapest digits; with bootstraps, the same variant of
//! them is placed anew. Fewer levels never make a plan of the same scale less precise, so that its precision is not predicted again.

use std::collections::BTreeMap;

use heron_params::{ChainRequest, CkksParams, Level};
use serde::{Deserialize, Serialize};

use crate::schedule::bootstrapped::Refreshing;
use crate::schedule::levels::Drafts;
use crate::schedule::node_costs::{NodeCosts, NodeLevels};

/// Why a plan is what it is, as `heron explain` shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Causes {
    /// What each layer takes and who asks for it, in order of evaluation.
    pub layers: Vec<LayerCause>,
    /// What would be saved without the levels of a layer, the most first; only layers of which something would.
    pub savings: Vec<Saving>,
    /// What the rings up to the plan's have room for, the smallest first; those without room for a level are left out.
    pub room: Vec<Room>,
}

/// How many levels of the plan's scale a ring has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Base-2 logarithm of the ring degree.
    pub log_n: u32,
    /// Levels, with the digits that leave the most room.
    pub levels: u32,
}

/// The levels of one ONNX node, and why it has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerCause {
    /// Name of the ONNX node.
    pub node: String,
    /// Level of its operands.
    pub level_in: Level,
    /// Level of its result.
    pub level_out: Level,
    /// The level to which its result is bootstrapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refreshed: Option<Level>,
    /// The layer that takes the result highest; `None` for the output.
    pub wanted_by: Option<String>,
    /// Whether it is on a longest chain of levels, from the input or a bootstrap on: if it took one more, so would the chain.
    pub critical: bool,
    /// Its share of the time of all key switches, those of bootstraps among them.
    pub time_share: f64,
}

/// The plan, if a layer took no levels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saving {
    /// Name of the ONNX node.
    pub node: String,
    /// Levels that the plan would have.
    pub levels: u32,
    /// Base-2 logarithm of the ring degree it would have.
    pub log_n: u32,
    /// `log2(QP)` that it would have.
    pub log_qp: f64,
    /// How many bootstraps it would have.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bootstraps: usize,
    /// Time of its key switches, as a share of those of the plan.
    pub time: f64,
}

/// What a report leaves out.
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Explains the lines that were taken, of a network that was packed for several rings.
pub(crate) fn causes(
    rings: &[NodeCosts],
    drafts: &Drafts,
    params: &CkksParams,
    refreshing: Option<&Refreshing>,
) -> Causes {
    let Some(costs) = rings.iter().find(|ring| ring.log_n == params.log_n) else {
        return Causes::default();
    };
    explained(
        rings,
        &Taken {
            costs,
            levels: costs.levels_of(drafts),
            params,
            refreshing,
        },
    )
}

/// The plan that is explained.
struct Taken<'a> {
    costs: &'a NodeCosts,
    levels: NodeLevels,
    params: &'a CkksParams,
    refreshing: Option<&'a Refreshing>,
}

impl Taken<'_> {
    /// One bootstrap, in transforms of one limb.
    fn one_bootstrap(&self) -> f64 {
        self.refreshing.map_or(0.0, Refreshing::transforms)
    }

    /// All key switches, in transforms of one limb.
    fn transforms(&self) -> f64 {
        let bootstraps = self.levels.n_bootstraps() as f64 * self.one_bootstrap();
        (self.costs.transforms(&self.levels, self.params) + bootstraps).max(f64::MIN_POSITIVE)
    }
}

fn explained(rings: &[NodeCosts], taken: &Taken<'_>) -> Causes {
    let mut chains = Chains {
        like: taken.params,
        built: BTreeMap::new(),
    };
    let savings = match taken.refreshing {
        Some(refreshing) => savings(taken, |name| placed_again(taken, refreshing, name)),
        None => savings(taken, |name| {
            let without = rings.iter().map(|ring| ring.without_levels_of(name));
            without.filter_map(|ring| chains.saving(name, &ring, taken)).next()
        }),
    };
    let room = match taken.refreshing {
        Some(_) => Vec::new(),
        None => {
            let depth = taken.levels.highest();
            rings.iter().filter_map(|ring| chains.room(ring.log_n, depth)).collect()
        }
    };
    Causes {
        layers: layers(taken),
        savings,
        room,
    }
}

fn layers(taken: &Taken<'_>) -> Vec<LayerCause> {
    let (costs, levels) = (taken.costs, &taken.levels);
    let readers = costs.deciding_readers(levels);
    let critical = costs.critical_nodes(levels);
    let all = taken.transforms();
    let mut layers: Vec<LayerCause> = Vec::new();
    for (index, node) in costs.nodes.iter().enumerate() {
        let refresh = levels.refreshed[index].map_or(0.0, |_| taken.one_bootstrap());
        let time_share = (costs.node_transforms(index, Level(levels.computed[index]), taken.params) + refresh) / all;
        let cause = LayerCause {
            node: node.name.clone(),
            level_in: Level(levels.operand[index]),
            level_out: Level(levels.computed[index]),
            refreshed: levels.refreshed[index].map(Level),
            wanted_by: readers[index].map(|reader| costs.nodes[reader].name.clone()),
            critical: critical[index],
            time_share,
        };
        match layers.iter_mut().find(|layer| layer.node == node.name) {
            // A node that became several: its own parts read each other.
            Some(layer) => {
                *layer = LayerCause {
                    level_in: layer.level_in,
                    refreshed: cause.refreshed.or(layer.refreshed),
                    critical: layer.critical || cause.critical,
                    time_share: layer.time_share + cause.time_share,
                    ..cause
                };
            }
            None => layers.push(cause),
        }
    }
    layers
}

/// What each layer that takes levels would save, the most first.
fn savings(taken: &Taken<'_>, mut saving: impl FnMut(&str) -> Option<Saving>) -> Vec<Saving> {
    let mut names: Vec<&str> = Vec::new();
    for node in taken.costs.nodes.iter().filter(|node| node.depth > 0) {
        if !names.contains(&node.name.as_str()) {
            names.push(&node.name);
        }
    }
    let mut savings: Vec<Saving> = names.into_iter().filter_map(&mut saving).collect();
    savings.retain(|saving| saving.time < 1.0);
    savings.sort_by(|a, b| a.time.total_cmp(&b.time));
    savings
}

/// The same variant of bootstraps, placed for a network in which a layer takes no levels.
fn placed_again(taken: &Taken<'_>, refreshing: &Refreshing, name: &str) -> Option<Saving> {
    let without = taken.costs.without_levels_of(name);
    let (time, levels) = refreshing.cheapest_levels(&without)?;
    Some(Saving {
        node: name.to_owned(),
        levels: levels.highest(),
        log_n: taken.params.log_n,
        log_qp: taken.params.log_qp(),
        bootstraps: levels.n_bootstraps(),
        time: time / taken.transforms(),
    })
}

/// Butterflies of a transform.
fn transform_work(log_n: u32) -> f64 {
    libm::exp2(f64::from(log_n)) * f64::from(log_n)
}

/// Chains of the scale of given parameters, each built once.
struct Chains<'a> {
    like: &'a CkksParams,
    /// By ring, levels and digit length; `None` where they are not secure.
    built: BTreeMap<(u32, u32, u32), Option<CkksParams>>,
}

impl Chains<'_> {
    /// The plan in a ring in which a layer takes no levels, if there are secure parameters for it: those with the cheapest key
    /// switches.
    fn saving(&mut self, name: &str, without: &NodeCosts, taken: &Taken<'_>) -> Option<Saving> {
        let (set, work) = self.cheapest(without)?;
        Some(Saving {
            node: name.to_owned(),
            levels: set.max_level().0,
            log_n: set.log_n,
            log_qp: set.log_qp(),
            bootstraps: 0,
            time: work / (taken.transforms() * transform_work(taken.params.log_n)),
        })
    }

    /// The secure parameters of a ring with the cheapest key switches, and what these cost.
    fn cheapest(&mut self, costs: &NodeCosts) -> Option<(CkksParams, f64)> {
        let levels = costs.levels();
        let depth = levels.highest();
        let sets = (1..=depth + 1).filter_map(|digit_len| self.secure(costs.log_n, depth, digit_len));
        let priced = sets.map(|set| {
            let work = costs.transforms(&levels, &set) * transform_work(set.log_n);
            (set, work)
        });
        priced.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The most levels that a ring has room for, at most as many as asked for.
    fn room(&mut self, log_n: u32, wanted: u32) -> Option<Room> {
        let mut fits = |levels: u32| (1..=levels + 1).any(|digit_len| self.secure(log_n, levels, digit_len).is_some());
        let levels = (1..=wanted).rev().find(|&levels| fits(levels))?;
        Some(Room { log_n, levels })
    }

    fn secure(&mut self, log_n: u32, levels: u32, digit_len: u32) -> Option<CkksParams> {
        let request = ChainRequest {
            log_n,
            levels,
            log_scale: self.like.log_scale,
            log_q0: libm::log2(self.like.q[0] as f64).round() as u32,
            digit_len,
        };
        let set = self.built.entry((log_n, levels, digit_len));
        set.or_insert_with(|| secure(&request)).clone()
    }
}

fn secure(request: &ChainRequest) -> Option<CkksParams> {
    let limit = heron_params::max_log_qp(request.log_n)?;
    // Most chains that are too long are seen to be so before their primes are looked for.
    if request.log_q0 + request.levels * request.log_scale > limit {
        return None;
    }
    let set = CkksParams::build(request).ok()?;
    set.check_secure().is_ok().then_some(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::node_costs::NodeCost;

    fn node(name: &str, args: &[usize], depth: u32) -> NodeCost {
        NodeCost {
            name: name.to_owned(),
            args: args.to_vec(),
            depth,
            key_switches: if depth > 0 { 4.0 } else { 0.0 },
            priced_above: depth,
        }
    }

    /// A layer, a deep branch beside a shallow one, their sum, a layer.
    fn residual(log_n: u32) -> NodeCosts {
        let nodes = vec![
            node("x", &[], 0),
            node("first", &[0], 1),
            node("deep", &[1], 3),
            node("shallow", &[1], 1),
            node("sum", &[2, 3], 0),
            node("last", &[4], 1),
        ];
        NodeCosts { log_n, nodes }
    }

    /// The plan without bootstraps in the last of some rings.
    fn leveled(rings: &[NodeCosts], params: &CkksParams) -> Causes {
        let costs = rings.last().expect("a ring");
        explained(
            rings,
            &Taken {
                costs,
                levels: costs.levels(),
                params,
                refreshing: None,
            },
        )
    }

    fn params(log_n: u32, levels: u32, digit_len: u32) -> CkksParams {
        let request = ChainRequest {
            log_n,
            levels,
            log_scale: 30,
            log_q0: 40,
            digit_len,
        };
        secure(&request).expect("it is secure")
    }

    #[test]
    fn a_level_is_wanted_by_the_reader_that_takes_it_highest() {
        let causes = leveled(&[residual(14)], &params(14, 5, 2));
        let facts: Vec<(&str, u32, u32, Option<&str>, bool)> = causes
            .layers
            .iter()
            .map(|layer| {
                let wanted_by = layer.wanted_by.as_deref();
                (
                    layer.node.as_str(),
                    layer.level_in.0,
                    layer.level_out.0,
                    wanted_by,
                    layer.critical,
                )
            })
            .collect();
        assert_eq!(
            facts,
            [
                ("x", 5, 5, Some("first"), true),
                ("first", 5, 4, Some("deep"), true),
                ("deep", 4, 1, Some("sum"), true),
                ("shallow", 2, 1, Some("sum"), false),
                ("sum", 1, 1, Some("last"), true),
                ("last", 1, 0, None, true),
            ]
        );
        let all: f64 = causes.layers.iter().map(|layer| layer.time_share).sum();
        assert!((all - 1.0).abs() < 1e-12);
    }

    #[test]
    fn without_a_deep_layer_the_ring_is_smaller() {
        // 40 + 5·30 bits and a special prime of 40 or more are over the 218 bits of 2^13; two levels are not over its limit.
        let rings = [residual(13), residual(14)];
        let causes = leveled(&rings, &params(14, 5, 2));
        let deep = causes
            .savings
            .iter()
            .find(|saving| saving.node == "deep")
            .expect("it saves");
        assert_eq!((deep.levels, deep.log_n), (3, 13));
        assert!(deep.time < 0.5, "{deep:?}");
        let room: Vec<(u32, u32)> = causes.room.iter().map(|room| (room.log_n, room.levels)).collect();
        assert_eq!(room, [(13, 4), (14, 5)]);
        assert!(causes.savings.is_sorted_by(|a, b| a.time <= b.time));
    }

    #[test]
    fn a_layer_beside_the_longest_chain_saves_no_level() {
        let costs = residual(14);
        let best = Chains {
            like: &params(14, 5, 2),
            built: BTreeMap::new(),
        }
        .cheapest(&costs)
        .expect("secure");
        let causes = leveled(&[costs], &best.0);
        let shallow = causes.savings.iter().find(|saving| saving.node == "shallow");
        // It would itself run one level lower.
        assert!(shallow.is_some_and(|saving| saving.levels == 5 && saving.time > 0.8));
    }
}
