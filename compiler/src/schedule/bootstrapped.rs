//! Programs that bootstrap: for every number of levels between two bootstraps, the cheapest variant that leaves them, and
//! the lines that follow.
//!
//! More levels between two bootstraps mean fewer of them, each of a larger modulus, and costlier operations in between. All
//! numbers that the ring allows are priced, each with its cheapest places, at the precision of each kind; noise is
//! predicted later, from the cheapest on.

use heron_params::Level;
use heron_params::bootstrap::{BootstrapParams, BootstrapRequest, SlotValues, TransformOrder};

use crate::graph::{Node, NodeId};
use crate::schedule::late::{Placement, Refresh, as_late_as_possible};
use crate::schedule::levels::{Drafts, place};
use crate::schedule::node_costs::{NodeCosts, NodeLevels};
use crate::schedule::parameters::{Bootstraps, Candidate, REFERENCE_ROTATION, in_rotations};
use crate::schedule::planned::{Prices, as_cheap_as_possible, cheapest_levels, cost};
use crate::slots::{Compute, Op, Packed};

/// A kind of bootstrap that is tried in a ring.
struct Kind {
    log_n: u32,
    log_scale: u32,
    worst_bits: f64,
    levels: std::ops::RangeInclusive<u32>,
}

/// The kinds of the named presets, with other numbers of levels.
const KINDS: [Kind; 3] = [
    Kind {
        log_n: 15,
        log_scale: 42,
        worst_bits: 11.5,
        levels: 2..=5,
    },
    Kind {
        log_n: 16,
        log_scale: 49,
        worst_bits: 12.0,
        levels: 5..=13,
    },
    Kind {
        log_n: 16,
        log_scale: 49,
        worst_bits: 19.5,
        levels: 5..=12,
    },
];
/// The rings that have bootstraps, as logarithms.
pub(crate) const LOG_N: std::ops::RangeInclusive<u32> = 15..=16;
/// Bytes of a bootstrap's keys in memory, at most.
const MAX_KEY_BYTES: u64 = 8 << 30;

/// When values are bootstrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Where the whole program is cheapest.
    Cheapest,
    /// When the levels run out.
    Late,
}

/// A variant of a bootstrap, and the nodes whose results it takes.
#[derive(Clone, Debug)]
pub(crate) struct Refreshing {
    pub(crate) variant: BootstrapParams,
    pub(crate) eligible: Vec<bool>,
}

impl Refreshing {
    /// One bootstrap, in transforms of one limb: it is priced in rotations of its own ring.
    pub(crate) fn transforms(&self) -> f64 {
        REFERENCE_ROTATION * self.variant.cost_in_rotations()
    }

    fn refresh(&self) -> Refresh {
        Refresh {
            input_level: self.variant.input_level(),
            output_level: self.variant.output_level(),
            top: self.variant.top_level(),
        }
    }

    /// Runs with the prices of operations and bootstraps, in transforms of one limb.
    fn with_prices<R>(&self, costs: &NodeCosts, run: impl FnOnce(&Prices<'_>) -> R) -> R {
        let operation = |node: usize, operand: Level| {
            let computed = Level(operand.0 - costs.nodes[node].depth);
            costs.node_transforms(node, computed, self.variant.chain())
        };
        run(&Prices {
            operation: &operation,
            bootstrap: self.transforms(),
        })
    }

    /// The cheapest levels of a network of as many nodes, and what they cost in transforms of one limb.
    pub(crate) fn cheapest_levels(&self, costs: &NodeCosts) -> Option<(f64, NodeLevels)> {
        self.with_prices(costs, |prices| {
            cheapest_levels(costs, self.refresh(), &self.eligible, prices)
        })
    }
}

/// A program whose noise is not predicted yet.
pub(crate) struct Bootstrapped {
    pub(crate) refreshing: Refreshing,
    pub(crate) drafts: Drafts,
    pub(crate) n_bootstraps: usize,
    /// What it costs in all, in rotations of `N = 2^16` at 24 limbs.
    pub(crate) rotations: f64,
    /// What it would cost with bootstraps as late as possible; absent where that leaves too few levels.
    pub(crate) late_rotations: Option<f64>,
}

impl Bootstrapped {
    /// Its bootstraps in a few numbers.
    pub(crate) fn bootstraps(&self) -> Bootstraps {
        let offer = self.refreshing.variant.offer();
        Bootstraps {
            count: self.n_bootstraps,
            levels_between: offer.levels,
            worst_bits: offer.worst_bits,
            late_rotations: self.late_rotations,
        }
    }

    /// What is said of a program that another one beats before its noise is predicted.
    pub(crate) fn costlier(&self) -> Candidate {
        let chain = self.refreshing.variant.chain();
        Candidate {
            log_n: chain.log_n,
            log_scale: Some(chain.log_scale),
            digit_len: Some(chain.digit_len),
            log_qp: Some(chain.log_qp()),
            precision_bits: None,
            rotations: Some(self.rotations),
            bootstraps: Some(self.bootstraps()),
            verdict: "costlier".to_owned(),
        }
    }
}

/// The programs of a packed network in its ring, the cheapest first, with at most `max_depth` levels between two
/// bootstraps; `bounds` are the largest magnitudes of its nodes' values.
pub(crate) fn programs(packed: &Packed, bounds: &[f64], max_depth: u32, timing: Timing) -> Vec<Bootstrapped> {
    let log_n = packed.slots.0.ilog2() + 1;
    let eligible = eligible(packed, bounds);
    let periods = packed.graph.iter().filter(|(id, _)| eligible[id.index()]);
    let Some(largest) = periods.map(|(_, node)| node.op.layout.period).max() else {
        return Vec::new();
    };
    let costs = NodeCosts::of(packed);
    let mut programs: Vec<Bootstrapped> = Vec::new();
    for kind in KINDS.iter().filter(|kind| kind.log_n == log_n) {
        for levels in kind.levels.clone().filter(|&levels| levels <= max_depth) {
            let request = BootstrapRequest {
                log_n,
                log_scale: kind.log_scale,
                log_slots: largest.ilog2().max(2),
                values: SlotValues::Real,
                order: TransformOrder::SlotsToCoeffsFirst,
                levels,
                worst_bits: kind.worst_bits,
                max_key_bytes: MAX_KEY_BYTES,
            };
            let Ok(variant) = BootstrapParams::build(&request) else {
                continue;
            };
            let refreshing = Refreshing {
                variant,
                eligible: eligible.clone(),
            };
            programs.extend(program(packed, &costs, refreshing, timing));
        }
    }
    programs.sort_by(|a, b| a.rotations.total_cmp(&b.rotations));
    programs
}

fn program(packed: &Packed, costs: &NodeCosts, refreshing: Refreshing, timing: Timing) -> Option<Bootstrapped> {
    let (refresh, eligible, log_n) = (refreshing.refresh(), &refreshing.eligible, costs.log_n);
    let (placement, transforms, late) = refreshing.with_prices(costs, |prices| {
        let price = |placement: &Placement| cost(&packed.graph, placement, prices);
        let late = as_late_as_possible(&packed.graph, refresh, eligible).ok();
        let late_price = late.as_ref().map(price);
        let cheapest = match timing {
            Timing::Cheapest => as_cheap_as_possible(costs, refresh, eligible, prices),
            Timing::Late => None,
        };
        let placement = cheapest.or(late)?;
        let transforms = price(&placement);
        Some((placement, transforms, late_price))
    })?;
    Some(Bootstrapped {
        drafts: place(packed, &placement),
        n_bootstraps: placement.n_bootstraps(),
        rotations: in_rotations(log_n, transforms),
        late_rotations: late.map(|transforms| in_rotations(log_n, transforms)),
        refreshing,
    })
}

/// Which values a bootstrap takes: at most 1, repeated along all slots without a seam, and not the input, which is fresh.
fn eligible(packed: &Packed, bounds: &[f64]) -> Vec<bool> {
    let mut whole: Vec<bool> = Vec::with_capacity(packed.graph.len());
    for (_, node) in packed.graph.iter() {
        let arg = |arg: &NodeId| whole[arg.index()];
        let computed_whole = match &node.op.compute {
            Compute::Linear { map, .. } => map.slots_written(packed.slots) == packed.slots.0 as usize,
            Compute::Input
            | Compute::Scale { .. }
            | Compute::Shift(_)
            | Compute::Add
            | Compute::Sub
            | Compute::Mul
            | Compute::Square
            | Compute::Polynomial(_) => node.args.iter().all(arg),
        };
        whole.push(computed_whole);
    }
    let takes = |(id, node): (NodeId, &Node<Op>)| {
        let fresh = matches!(node.op.compute, Compute::Input);
        !fresh && whole[id.index()] && bounds[id.index()] <= 1.0 && node.op.layout.period.is_power_of_two()
    };
    packed.graph.iter().map(takes).collect()
}
