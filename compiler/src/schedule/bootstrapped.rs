//! Programs that bootstrap: for every number of levels between two bootstraps, the cheapest variant that leaves them, and
//! the lines that follow.
//!
//! More levels between two bootstraps mean fewer of them, each of a larger modulus, and costlier operations in between. All
//! numbers that the ring allows are priced, each with its cheapest places, at the precision of each kind; noise is
//! predicted later, from the cheapest on.

use heron_params::Level;
use heron_params::bootstrap::{BootstrapParams, BootstrapRequest, SlotValues, TransformOrder};

use crate::graph::{Node, NodeId};
use crate::schedule::late::{Refresh, as_late_as_possible};
use crate::schedule::level_graph::{Prices, cheapest, cost};
use crate::schedule::levels::{Drafts, place};
use crate::schedule::node_costs::NodeCosts;
use crate::schedule::parameters::{Bootstraps, Candidate, REFERENCE_ROTATION, in_rotations};
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
/// A program whose noise is not predicted yet.
pub(crate) struct Bootstrapped {
    pub(crate) variant: BootstrapParams,
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
        let offer = self.variant.offer();
        Bootstraps {
            count: self.n_bootstraps,
            levels_between: offer.levels,
            worst_bits: offer.worst_bits,
            late_rotations: self.late_rotations,
        }
    }

    /// What is said of a program that another one beats before its noise is predicted.
    pub(crate) fn costlier(&self) -> Candidate {
        let chain = self.variant.chain();
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
pub(crate) fn programs(packed: &Packed, bounds: &[f64], max_depth: u32) -> Vec<Bootstrapped> {
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
            programs.extend(program(packed, &costs, &eligible, &request));
        }
    }
    programs.sort_by(|a, b| a.rotations.total_cmp(&b.rotations));
    programs
}

fn program(packed: &Packed, costs: &NodeCosts, eligible: &[bool], request: &BootstrapRequest) -> Option<Bootstrapped> {
    let variant = BootstrapParams::build(request).ok()?;
    let refresh = Refresh {
        input_level: variant.input_level(),
        output_level: variant.output_level(),
        top: variant.top_level(),
    };
    let graph = &packed.graph;
    let operation = |id: NodeId, level: Level| {
        // A polynomial's products are priced where it ends, all else where its operand is.
        let levels = match graph.node(id).op.compute {
            Compute::Polynomial(poly) => poly.depth(),
            _ => 0,
        };
        costs.node_transforms(id.index(), Level(level.0 - levels), variant.chain())
    };
    let prices = Prices {
        operation: &operation,
        bootstrap: REFERENCE_ROTATION * variant.cost_in_rotations(),
    };
    let late = as_late_as_possible(graph, refresh, eligible).ok();
    let late = late.map(|placement| (cost(graph, &placement, &prices), placement));
    let late_rotations = late.as_ref().map(|(cost, _)| in_rotations(request.log_n, *cost));
    let best = cheapest(graph, refresh, eligible, &prices).map(|(placement, cost)| (cost, placement));
    let (transforms, placement) = best.or(late)?;
    Some(Bootstrapped {
        drafts: place(packed, &placement),
        n_bootstraps: placement.n_bootstraps(),
        rotations: in_rotations(request.log_n, transforms),
        late_rotations,
        variant,
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
