//! Tries one ring after the other, without bootstraps and with them.

use heron_params::Slots;
use heron_plan::ValueId;

use super::bootstrapped::{self, Bootstrapped, Refreshing, programs};
use super::division::{divided, exponents};
use super::levels::{Drafts, place_levels};
use super::node_costs::NodeCosts;
use super::parameters::{Candidate, Choice, Search};
use super::values::{LineValues, View, line_values};
use super::{ScheduleOptions, bounds, noise_samples, refuse};
use crate::calibrate::Samples;
use crate::error::Infeasible;
use crate::graph::Graph;
use crate::he;
use crate::pack::pack;
use crate::slots::Packed;

/// How many programs are named that bootstrap and are costlier than the one that was taken.
const RUNNERS_UP: usize = 5;

/// The network in one ring.
pub(super) struct Ring {
    log_n: u32,
    packed: Packed,
    /// Without bootstraps.
    drafts: Drafts,
}

/// Everything that a program is made of.
pub(super) struct Chosen {
    pub(super) packed: Packed,
    pub(super) drafts: Drafts,
    pub(super) bounds: Vec<f64>,
    pub(super) choice: Choice,
    pub(super) refreshing: Option<Refreshing>,
    pub(super) largest_output: f64,
    pub(super) outputs: Vec<Vec<f64>>,
}

/// A program that bootstraps, and the network that it computes.
struct Contender {
    packed: Packed,
    exponents: Vec<i32>,
    program: Bootstrapped,
}

/// What was tried on the way to a program.
#[derive(Default)]
pub(super) struct Tried {
    /// Parameter sets, in order.
    pub(super) candidates: Vec<Candidate>,
    /// What the network takes in each ring that it was packed for.
    pub(super) rings: Vec<NodeCosts>,
}

/// What is known after some rings.
pub(super) struct Trials<'a> {
    graph: &'a Graph<he::Op>,
    samples: &'a Samples,
    options: &'a ScheduleOptions,
    /// The first ring's lines and their values: those of all others follow.
    known: Option<(Drafts, LineValues)>,
    contenders: Vec<Contender>,
    pub(super) tried: Tried,
    pub(super) refusal: Option<Infeasible>,
}

impl<'a> Trials<'a> {
    pub(super) fn new(graph: &'a Graph<he::Op>, samples: &'a Samples, options: &'a ScheduleOptions) -> Self {
        Self {
            graph,
            samples,
            options,
            known: None,
            contenders: Vec::new(),
            tried: Tried::default(),
            refusal: None,
        }
    }

    /// Packs the network for a ring; `None` where its vectors do not fit.
    pub(super) fn ring(&mut self, log_n: u32) -> Option<Ring> {
        match pack(self.graph, Slots(1 << (log_n - 1))) {
            Ok(packed) => {
                self.tried.rings.push(NodeCosts::of(&packed));
                let drafts = place_levels(&packed);
                if self.known.is_none() {
                    let values = line_values(&drafts, &packed.weights, self.samples);
                    self.known = Some((drafts.clone(), values));
                }
                Some(Ring { log_n, packed, drafts })
            }
            Err(small) => {
                self.tried.candidates.push(Candidate {
                    log_n,
                    log_scale: None,
                    digit_len: None,
                    log_qp: None,
                    precision_bits: None,
                    rotations: None,
                    bootstraps: None,
                    verdict: format!("`{}` needs {} slots", small.node, small.needed),
                });
                self.refusal = Some(Infeasible::slots(&small, self.options.max_log_n));
                None
            }
        }
    }

    /// A program in this ring that is good enough; in the largest with bootstraps, the cheapest of all that were put off.
    pub(super) fn chosen_in(&mut self, ring: &Ring) -> Option<Chosen> {
        let last = self.options.max_log_n.min(*bootstrapped::LOG_N.end());
        if ring.log_n < last || !bootstrapped::LOG_N.contains(&ring.log_n) {
            let chosen = self.without_bootstraps(ring);
            if chosen.is_none() && bootstrapped::LOG_N.contains(&ring.log_n) {
                self.put_off(ring);
            }
            return chosen;
        }
        self.put_off(ring);
        let leveled = self.least_cost(ring);
        let cheaper = self
            .contenders
            .partition_point(|contender| contender.program.rotations < leveled);
        let dearer = self.contenders.split_off(cheaper);
        let mut chosen = self.with_bootstraps().or_else(|| self.without_bootstraps(ring));
        self.contenders.extend(dearer);
        if chosen.is_none() {
            chosen = self.with_bootstraps();
        }
        let beaten = self.contenders.iter().take(RUNNERS_UP);
        self.tried
            .candidates
            .extend(beaten.map(|contender| contender.program.costlier()));
        chosen
    }

    /// Whether a program without bootstraps is allowed so many levels.
    fn allows(&self, drafts: &Drafts) -> bool {
        self.options.max_depth.is_none_or(|most| drafts.depth() <= most)
    }

    fn known(&self) -> (&Drafts, &LineValues) {
        let (drafts, values) = self.known.as_ref().expect("a ring was packed before");
        (drafts, values)
    }

    /// The bounds of a placement's lines.
    fn bounds(&self, packed: &Packed, drafts: &Drafts, exponents: &[i32]) -> Vec<f64> {
        let (reference, values) = self.known();
        let view = View::new(values, reference, drafts, exponents);
        bounds(drafts, &view, &packed.weights, self.options.margin)
    }

    /// Runs a search over the lines of a placement.
    fn search<R>(
        &self,
        (packed, drafts, exponents): (&Packed, &Drafts, &[i32]),
        bounds: &[f64],
        run: impl FnOnce(&Search<'_>) -> R,
    ) -> R {
        let (reference, values) = self.known();
        let view = View::new(values, reference, drafts, exponents);
        run(&Search {
            drafts,
            largest_output: view.largest(output_of(drafts)),
            noise_values: &view.thinned(noise_samples(drafts)),
            weights: &packed.weights,
            bounds,
            wanted_bits: self.options.precision_bits,
        })
    }

    fn least_cost(&self, ring: &Ring) -> f64 {
        if !self.allows(&ring.drafts) {
            return f64::INFINITY;
        }
        let exponents = vec![0; ring.packed.graph.len()];
        let bounds = self.bounds(&ring.packed, &ring.drafts, &exponents);
        let (reference, values) = self.known();
        let view = View::new(values, reference, &ring.drafts, &exponents);
        let search = Search {
            drafts: &ring.drafts,
            largest_output: view.largest(output_of(&ring.drafts)),
            noise_values: values,
            weights: &ring.packed.weights,
            bounds: &bounds,
            wanted_bits: self.options.precision_bits,
        };
        search.least_cost(ring.log_n)
    }

    fn without_bootstraps(&mut self, ring: &Ring) -> Option<Chosen> {
        let exponents = vec![0; ring.packed.graph.len()];
        let bounds = self.bounds(&ring.packed, &ring.drafts, &exponents);
        let mut tried = Vec::new();
        let parts = (&ring.packed, &ring.drafts, exponents.as_slice());
        let choice = if self.allows(&ring.drafts) {
            self.search(parts, &bounds, |search| search.in_ring(ring.log_n, &mut tried))
        } else {
            None
        };
        self.tried.candidates.extend(tried);
        let Some(choice) = choice else {
            self.refusal = Some(refuse(&ring.packed, &ring.drafts, &self.tried.candidates, self.options));
            return None;
        };
        Some(self.assembled(
            ring.packed.clone(),
            ring.drafts.clone(),
            &exponents,
            bounds,
            (choice, None),
        ))
    }

    /// Prices the programs of a ring that bootstrap.
    fn put_off(&mut self, ring: &Ring) {
        let undivided = vec![0; ring.packed.graph.len()];
        let lines = self.bounds(&ring.packed, &ring.drafts, &undivided);
        let of_node: Vec<f64> = ring.drafts.results.iter().map(|line| lines[line.index()]).collect();
        let exponents = exponents(&ring.packed.graph, &of_node);
        let packed = divided(&ring.packed, &exponents);
        let scaled = of_node.iter().zip(&exponents);
        let scaled: Vec<f64> = scaled.map(|(bound, &e)| bound * libm::exp2(-f64::from(e))).collect();
        let most = self.options.max_depth.unwrap_or(u32::MAX);
        let programs = programs(&packed, &scaled, most, self.options.timing);
        self.contenders.extend(programs.into_iter().map(|program| Contender {
            packed: packed.clone(),
            exponents: exponents.clone(),
            program,
        }));
        self.contenders
            .sort_by(|a, b| a.program.rotations.total_cmp(&b.program.rotations));
    }

    /// The cheapest program that bootstraps and is precise enough; costlier ones stay.
    fn with_bootstraps(&mut self) -> Option<Chosen> {
        let mut contenders = std::mem::take(&mut self.contenders).into_iter();
        let mut chosen = None;
        for Contender {
            packed,
            exponents,
            program,
        } in contenders.by_ref()
        {
            let bounds = self.bounds(&packed, &program.drafts, &exponents);
            let mut tried = Vec::new();
            let parts = (&packed, &program.drafts, exponents.as_slice());
            let choice = self.search(parts, &bounds, |search| search.with_bootstraps(&program, &mut tried));
            self.tried.candidates.extend(tried);
            if let Some(choice) = choice {
                let refreshing = Some(program.refreshing);
                chosen = Some(self.assembled(packed, program.drafts, &exponents, bounds, (choice, refreshing)));
                break;
            }
        }
        self.contenders = contenders.collect();
        chosen
    }

    fn assembled(
        &self,
        packed: Packed,
        drafts: Drafts,
        exponents: &[i32],
        bounds: Vec<f64>,
        (choice, refreshing): (Choice, Option<Refreshing>),
    ) -> Chosen {
        let (reference, values) = self.known();
        let view = View::new(values, reference, &drafts, exponents);
        let output = output_of(&drafts);
        Chosen {
            largest_output: view.largest(output),
            outputs: view.of(output),
            packed,
            drafts,
            bounds,
            choice,
            refreshing,
        }
    }
}

fn output_of(drafts: &Drafts) -> ValueId {
    ValueId(drafts.lines.len() as u32 - 1)
}
