//! The cheapest levels of many variables whose prices are sums of tables over pairs of them, by taking variables out one by
//! one.
//!
//! ```text
//! leaf        a ── b             b's own prices take in the cheapest a for each b
//! series      a ── b ── c        a ──── c        the cheapest b for each pair: a product of tables
//! parallel    a ══ b             a ── b          a sum of tables
//! ```
//!
//! Chains, residual sums within each other, and whatever else is series-parallel goes to nothing that way, exactly. Where something is
//! left (dense blocks, nets of skip connections), some variables are fixed, so that the rest is series-parallel: up to
//! [`MOST_ENUMERATED`] of them at all levels, which is exact too. More are fixed at one level and then improved one at a time, until
//! none can be: that is not always the cheapest placement, and finds none at all where it starts from none.
//!
//! # Source
//! Non-serial dynamic programming: U. Bertelè, F. Brioschi, 1972. Residual regions as tables between two levels: Orion
//! (ASPLOS 2025), section 5, where the branches of a region are paths between layers; here any graph of treewidth two.

use std::collections::BTreeSet;

use petgraph::graph::NodeIndex;
use petgraph::stable_graph::StableUnGraph;

use crate::schedule::planner::price::{Price, PriceTable, cheapest};

/// Variables that are tried at all levels where the graph is not series-parallel.
const MOST_ENUMERATED: usize = 2;

/// A sum of prices to be made as small as possible. Variables are numbered from 0.
#[derive(Clone, Debug)]
pub(crate) struct PriceSum {
    n_levels: usize,
    graph: StableUnGraph<Vec<Price>, Pair>,
}

/// What two variables cost together.
#[derive(Clone, Debug)]
struct Pair {
    /// The variable whose levels are the table's rows.
    first: NodeIndex,
    table: PriceTable,
}

/// How a variable that was taken out follows from those that stayed.
enum Taken {
    /// Always at a level.
    At { variable: NodeIndex, level: usize },
    /// By the level of another.
    Leaf {
        variable: NodeIndex,
        at: NodeIndex,
        levels: Vec<usize>,
    },
    /// By the levels of two others, in the order of a table.
    Between {
        variable: NodeIndex,
        ends: (NodeIndex, NodeIndex),
        levels: Vec<usize>,
    },
}

impl PriceSum {
    /// The sum over no variables, each of which will have levels from 0 to `n_levels - 1`.
    pub(crate) fn new(n_levels: usize) -> Self {
        Self {
            n_levels,
            graph: StableUnGraph::default(),
        }
    }

    /// Adds a variable, which costs nothing by itself, and is never below a level.
    pub(crate) fn variable(&mut self, lowest: usize) -> usize {
        let price = |level: usize| at_least(level, lowest);
        self.graph.add_node((0..self.n_levels).map(price).collect()).index()
    }

    /// Adds a table over two different variables.
    pub(crate) fn pair(&mut self, first: usize, second: usize, table: PriceTable) {
        self.connect(NodeIndex::new(first), NodeIndex::new(second), table);
    }

    fn connect(&mut self, first: NodeIndex, second: NodeIndex, table: PriceTable) {
        match self.graph.find_edge(first, second) {
            Some(edge) => {
                let pair = &mut self.graph[edge];
                let table = if pair.first == first { table } else { table.exchanged() };
                pair.table = pair.table.beside(&table);
            }
            None => {
                self.graph.add_edge(first, second, Pair { first, table });
            }
        }
    }

    /// The cheapest level of every variable and the price of all together; `None` if every choice is impossible.
    ///
    /// # Cost
    /// The cube of the number of levels for every variable, if the graph is series-parallel.
    pub(crate) fn minimum(mut self) -> Option<(Price, Vec<usize>)> {
        let mut levels = vec![0; self.graph.node_count()];
        let (price, taken) = self.reduce();
        let fixed = self.variables_to_fix();
        let (rest, taken_later) = self.cheapest_fixed(&fixed)?;
        for step in taken.iter().chain(&taken_later).rev() {
            step.write(&mut levels, self.n_levels);
        }
        Some((price + rest, levels)).filter(|(price, _)| price.is_possible())
    }

    /// Takes out everything with at most two neighbours.
    fn reduce(&mut self) -> (Price, Vec<Taken>) {
        let (mut price, mut taken) = (Price::FREE, Vec::new());
        let mut waiting: BTreeSet<NodeIndex> = self.graph.node_indices().collect();
        while let Some(variable) = waiting.pop_first() {
            let mut neighbours: Vec<NodeIndex> = self.graph.neighbors(variable).collect();
            neighbours.sort_unstable();
            match neighbours[..] {
                [] => price = price + self.take_alone(variable, &mut taken),
                [at] => self.take_leaf(variable, at, &mut taken),
                [from, to] => self.take_between(variable, (from, to), &mut taken),
                _ => continue,
            }
            waiting.extend(neighbours);
        }
        (price, taken)
    }

    fn take_alone(&mut self, variable: NodeIndex, taken: &mut Vec<Taken>) -> Price {
        let prices = self.graph.remove_node(variable).expect("it is in the graph");
        let (price, level) = cheapest(|level| prices[level], self.n_levels);
        taken.push(Taken::At { variable, level });
        price
    }

    fn take_leaf(&mut self, variable: NodeIndex, at: NodeIndex, taken: &mut Vec<Taken>) {
        let table = self.table(variable, at);
        let prices = self.graph.remove_node(variable).expect("it is in the graph");
        let best = (0..self.n_levels).map(|there| cheapest(|own| prices[own] + table.at(own, there), self.n_levels));
        let (added, levels): (Vec<Price>, Vec<usize>) = best.unzip();
        for (price, added) in self.graph[at].iter_mut().zip(added) {
            *price = *price + added;
        }
        taken.push(Taken::Leaf { variable, at, levels });
    }

    fn take_between(&mut self, variable: NodeIndex, ends: (NodeIndex, NodeIndex), taken: &mut Vec<Taken>) {
        let (before, after) = (self.table(ends.0, variable), self.table(variable, ends.1));
        let prices = self.graph.remove_node(variable).expect("it is in the graph");
        let (table, levels) = before.over(&prices, &after);
        self.connect(ends.0, ends.1, table);
        taken.push(Taken::Between { variable, ends, levels });
    }

    /// What two neighbours cost together, with the first one's levels as rows.
    fn table(&self, first: NodeIndex, second: NodeIndex) -> PriceTable {
        let edge = self.graph.find_edge(first, second).expect("they are neighbours");
        let pair = &self.graph[edge];
        if pair.first == first {
            pair.table.clone()
        } else {
            pair.table.exchanged()
        }
    }

    /// Variables without which the graph goes to nothing: that of most neighbours, again and again.
    fn variables_to_fix(&self) -> Vec<NodeIndex> {
        let mut shape = self.graph.map(|_, _| (), |_, _| ());
        let mut fixed = Vec::new();
        loop {
            let neighbours = |variable: &NodeIndex| shape.neighbors(*variable).count();
            let Some(least) = shape.node_indices().min_by_key(neighbours) else {
                return fixed;
            };
            if neighbours(&least) <= 2 {
                let ends: Vec<NodeIndex> = shape.neighbors(least).collect();
                if let [from, to] = ends[..] {
                    shape.update_edge(from, to, ());
                }
                shape.remove_node(least);
            } else {
                let most = shape
                    .node_indices()
                    .rev()
                    .max_by_key(neighbours)
                    .expect("it is not empty");
                shape.remove_node(most);
                fixed.push(most);
            }
        }
    }

    /// The cheapest levels of what is left; exact for few variables to fix.
    fn cheapest_fixed(&self, fixed: &[NodeIndex]) -> Option<(Price, Vec<Taken>)> {
        let levels = if fixed.len() <= MOST_ENUMERATED {
            self.all_levels(fixed.len())
                .min_by_key(|levels| self.with_fixed(fixed, levels).0)
        } else {
            self.improved(fixed)
        };
        let (price, taken) = self.with_fixed(fixed, &levels?);
        price.is_possible().then_some((price, taken))
    }

    /// Every combination of levels.
    fn all_levels(&self, n_variables: usize) -> impl Iterator<Item = Vec<usize>> {
        let n_levels = self.n_levels;
        let digits = move |number: usize| {
            let digit = |variable: usize| number / n_levels.pow(variable as u32) % n_levels;
            (0..n_variables).map(digit).collect()
        };
        (0..n_levels.pow(n_variables as u32)).map(digits)
    }

    /// Starts from the best level for all, and changes one at a time.
    fn improved(&self, fixed: &[NodeIndex]) -> Option<Vec<usize>> {
        let price = |levels: &Vec<usize>| self.with_fixed(fixed, levels).0;
        let mut best = (0..self.n_levels)
            .map(|level| vec![level; fixed.len()])
            .min_by_key(price)?;
        loop {
            let before = price(&best);
            for index in 0..fixed.len() {
                let changed = (0..self.n_levels).map(|level| {
                    let mut levels = best.clone();
                    levels[index] = level;
                    levels
                });
                best = changed.min_by_key(price).expect("there is a level");
            }
            if price(&best) >= before {
                return Some(best);
            }
        }
    }

    /// Fixes variables and takes out the others.
    fn with_fixed(&self, fixed: &[NodeIndex], levels: &[usize]) -> (Price, Vec<Taken>) {
        let mut rest = self.clone();
        let (mut price, mut taken) = (Price::FREE, Vec::new());
        for (&variable, &level) in fixed.iter().zip(levels) {
            let neighbours: Vec<NodeIndex> = rest.graph.neighbors(variable).collect();
            for at in neighbours {
                let table = rest.table(variable, at);
                for (other, own) in rest.graph[at].iter_mut().enumerate() {
                    *own = *own + table.at(level, other);
                }
            }
            let prices = rest.graph.remove_node(variable).expect("it is in the graph");
            price = price + prices[level];
            taken.push(Taken::At { variable, level });
        }
        let (others, later) = rest.reduce();
        taken.extend(later);
        (price + others, taken)
    }
}

/// The price of a level where lower ones than another are impossible.
pub(crate) fn at_least(level: usize, lowest: usize) -> Price {
    if level >= lowest {
        Price::FREE
    } else {
        Price::IMPOSSIBLE
    }
}

impl Taken {
    /// Writes the level of the variable; those that it follows from are written.
    fn write(&self, all: &mut [usize], n_levels: usize) {
        match self {
            Self::At { variable, level } => all[variable.index()] = *level,
            Self::Leaf { variable, at, levels } => all[variable.index()] = levels[all[at.index()]],
            Self::Between { variable, ends, levels } => {
                all[variable.index()] = levels[all[ends.0.index()] * n_levels + all[ends.1.index()]];
            }
        }
    }
}
