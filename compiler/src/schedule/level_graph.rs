//! Where values are bootstrapped: where the whole program is cheapest.
//!
//! Every region of the network between two values has a matrix: what it costs at least to deliver its result at level `b`
//! from an operand at level `a`.
//!
//! ```text
//! an operation          cost at level b + its levels        if a is not below that; or, bootstrapped, cost at the lowest level and a bootstrap
//! one after the other   least sum over the level between
//! beside each other     sum
//! ```
//!
//! A residual network is one region in the end, and its matrix holds the optimum for all placements; walking back gives the
//! bootstraps. Costs of operations grow with the level, so that the lines, which go as low as they can, cost what the
//! matrix says. Networks that are not series-parallel have no such matrix: there, bootstraps come [as late as
//! possible](super::late).
//!
//! # Source
//! The level graph with collapsed residual regions: A. Ebel, K. Garimella, B. Reagen, *Orion* (ASPLOS 2025), section 6.

use heron_params::Level;

use crate::graph::{Graph, NodeId};
use crate::schedule::late::{LOWEST, Placement, Refresh};
use crate::schedule::levels::levels;
use crate::schedule::series_parallel::{Region, decompose};
use crate::slots::Op;

/// What operations and bootstraps cost.
pub(crate) struct Prices<'a> {
    /// An operation at the level of its operands.
    pub(crate) operation: &'a dyn Fn(NodeId, Level) -> f64,
    pub(crate) bootstrap: f64,
}

/// The least cost by level of the operand and level of the result.
#[derive(Clone)]
struct Matrix {
    levels: usize,
    cells: Vec<f64>,
}

/// A region with its costs.
struct Priced {
    matrix: Matrix,
    parts: Parts,
}

enum Parts {
    /// The value itself, to a reader that has other operands too.
    Same,
    Operation(NodeId),
    Series(Box<Priced>, Box<Priced>),
    Parallel(Box<Priced>, Box<Priced>),
}

impl Matrix {
    fn new(levels: usize, cost: impl Fn(usize, usize) -> f64) -> Self {
        let cells = (0..levels * levels)
            .map(|cell| cost(cell / levels, cell % levels))
            .collect();
        Self { levels, cells }
    }

    fn at(&self, operand: usize, result: usize) -> f64 {
        self.cells[operand * self.levels + result]
    }
}

/// The level between two regions at which both together are cheapest; the lowest of equals.
fn cheapest_between(first: &Matrix, second: &Matrix, (operand, result): (usize, usize)) -> (usize, f64) {
    let sums = (0..first.levels).map(|middle| (middle, first.at(operand, middle) + second.at(middle, result)));
    sums.fold((0, f64::INFINITY), |best, sum| if sum.1 < best.1 { sum } else { best })
}

/// The cheapest placement and its cost; `None` where the network is not series-parallel, or cannot be bootstrapped enough.
///
/// # Cost
/// The cube of the levels for every operation.
pub(crate) fn cheapest(
    graph: &Graph<Op>,
    refresh: Refresh,
    eligible: &[bool],
    prices: &Prices<'_>,
) -> Option<(Placement, f64)> {
    let (edges, kinds) = edges(graph);
    let region = decompose(&edges, 0, graph.output().index())?;
    let pricing = Pricing {
        graph,
        refresh,
        eligible,
        prices,
        kinds: &kinds,
    };
    let priced = pricing.region(&region);
    let ends = (refresh.output_level.0 as usize, LOWEST as usize);
    let cost = priced.matrix.at(ends.0, ends.1);
    let mut refreshed = vec![false; graph.len()];
    cost.is_finite().then(|| {
        pricing.walk(&priced, ends, &mut refreshed);
        (Placement::with(refreshed, refresh), cost)
    })
}

/// What the lines of a placement cost; infinite where an operation lacks levels.
pub(crate) fn cost(graph: &Graph<Op>, placement: &Placement, prices: &Prices<'_>) -> f64 {
    let levels = levels(graph, placement);
    let operations = graph.iter().filter_map(|(id, node)| {
        let computed = placement.computed_at(id, &levels)?;
        Some((prices.operation)(id, Level(computed.0 + node.op.compute.levels())))
    });
    if levels.iter().all(|&level| placement.reaches(level)) {
        operations.sum::<f64>() + prices.bootstrap * placement.n_bootstraps() as f64
    } else {
        f64::INFINITY
    }
}

/// Edges between values, and which operation each stands for: `None` for an operand of a node with several.
fn edges(graph: &Graph<Op>) -> (Vec<(usize, usize)>, Vec<Option<NodeId>>) {
    let (mut edges, mut kinds) = (Vec::new(), Vec::new());
    for (id, node) in graph.iter() {
        if let [arg] = node.args[..] {
            edges.push((arg.index(), id.index()));
            kinds.push(Some(id));
            continue;
        }
        // Operands meet in a vertex of their own.
        let meeting = graph.len() + id.index();
        for arg in &node.args {
            edges.push((arg.index(), meeting));
            kinds.push(None);
        }
        if !node.args.is_empty() {
            edges.push((meeting, id.index()));
            kinds.push(Some(id));
        }
    }
    (edges, kinds)
}

struct Pricing<'a> {
    graph: &'a Graph<Op>,
    refresh: Refresh,
    eligible: &'a [bool],
    prices: &'a Prices<'a>,
    kinds: &'a [Option<NodeId>],
}

impl Pricing<'_> {
    fn matrix(&self, cost: impl Fn(usize, usize) -> f64) -> Matrix {
        let levels = self.refresh.output_level.limbs();
        // Nothing is delivered below the lowest level.
        Matrix::new(levels, |operand, result| {
            if result < LOWEST as usize {
                f64::INFINITY
            } else {
                cost(operand, result)
            }
        })
    }

    fn region(&self, region: &Region) -> Priced {
        match region {
            Region::Edge(edge) => match self.kinds[*edge] {
                None => Priced {
                    matrix: self.matrix(|operand, result| if operand >= result { 0.0 } else { f64::INFINITY }),
                    parts: Parts::Same,
                },
                Some(id) => Priced {
                    matrix: self.matrix(|operand, result| {
                        let ways = (self.computed(id, operand, result), self.bootstrapped(id, operand));
                        ways.0.min(ways.1)
                    }),
                    parts: Parts::Operation(id),
                },
            },
            Region::Series(first, second) => {
                let (first, second) = (self.region(first), self.region(second));
                let between = |ends: (usize, usize)| cheapest_between(&first.matrix, &second.matrix, ends).1;
                Priced {
                    matrix: self.matrix(|operand, result| between((operand, result))),
                    parts: Parts::Series(Box::new(first), Box::new(second)),
                }
            }
            Region::Parallel(first, second) => {
                let (first, second) = (self.region(first), self.region(second));
                let sum = |operand, result| first.matrix.at(operand, result) + second.matrix.at(operand, result);
                Priced {
                    matrix: self.matrix(sum),
                    parts: Parts::Parallel(Box::new(first), Box::new(second)),
                }
            }
        }
    }

    /// The cost of an operation whose result stays at the level at which it is computed.
    fn computed(&self, id: NodeId, operand: usize, result: usize) -> f64 {
        let needed = result as u32 + self.graph.node(id).op.compute.levels();
        if operand as u32 >= needed {
            (self.prices.operation)(id, Level(needed))
        } else {
            f64::INFINITY
        }
    }

    /// The cost of an operation whose result is bootstrapped, to any level.
    fn bootstrapped(&self, id: NodeId, operand: usize) -> f64 {
        let needed = self.refresh.input_level.0 + self.graph.node(id).op.compute.levels();
        if self.eligible[id.index()] && operand as u32 >= needed {
            (self.prices.operation)(id, Level(needed)) + self.prices.bootstrap
        } else {
            f64::INFINITY
        }
    }

    /// Finds the bootstraps of the optimum between two levels.
    fn walk(&self, priced: &Priced, ends: (usize, usize), refreshed: &mut [bool]) {
        match &priced.parts {
            Parts::Same => {}
            Parts::Operation(id) => {
                refreshed[id.index()] = self.bootstrapped(*id, ends.0) < self.computed(*id, ends.0, ends.1);
            }
            Parts::Series(first, second) => {
                let (middle, _) = cheapest_between(&first.matrix, &second.matrix, ends);
                self.walk(first, (ends.0, middle), refreshed);
                self.walk(second, (middle, ends.1), refreshed);
            }
            Parts::Parallel(first, second) => {
                self.walk(first, ends, refreshed);
                self.walk(second, ends, refreshed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::late::as_late_as_possible;
    use crate::schedule::late::tests::{REFRESH, blocks};

    const BOOTSTRAP: f64 = 40.0;

    /// An operation's cost, different for every node and growing with the level.
    fn price(id: NodeId, level: Level) -> f64 {
        (1.0 + (id.index() * 7 % 5) as f64) * f64::from(level.0 * level.0) / 16.0
    }

    const PRICES: Prices<'static> = Prices {
        operation: &price,
        bootstrap: BOOTSTRAP,
    };

    fn optimum(graph: &Graph<Op>, eligible: &[bool]) -> Option<(Placement, f64)> {
        cheapest(graph, REFRESH, eligible, &PRICES)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_placement_is_cheaper(
            lengths in prop::collection::vec((0usize..6, 0usize..4), 1..4),
            hidden in prop::collection::vec(0u8..4, 16),
        ) {
            let graph = blocks(&lengths);
            prop_assume!(graph.len() <= 16);
            let eligible: Vec<bool> = (0..graph.len()).map(|i| i > 0 && hidden[i % hidden.len()] > 0).collect();
            let subsets = (0u32..1 << graph.len()).filter(|set| (0..graph.len()).all(|i| set >> i & 1 == 0 || eligible[i]));
            let placements = subsets.map(|set| Placement::with((0..graph.len()).map(|i| set >> i & 1 == 1).collect(), REFRESH));
            let least = placements.map(|placement| cost(&graph, &placement, &PRICES)).fold(f64::INFINITY, f64::min);
            match optimum(&graph, &eligible) {
                Some((placement, stated)) => {
                    prop_assert!((cost(&graph, &placement, &PRICES) - stated).abs() < 1e-9, "the walk costs something else");
                    prop_assert!((stated - least).abs() < 1e-9, "{stated} instead of {least}");
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
            let (_, least) = optimum(&graph, &eligible).expect("series and parallel");
            assert!(
                least <= late * (1.0 + 1e-12),
                "{main} and {skip}: {least} against {late}"
            );
            cheaper += usize::from(least < 0.95 * late);
        }
        assert!(cheaper > 0, "none of them");
    }
}
