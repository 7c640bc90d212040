//! Where to bootstrap, and at which level each layer computes: the cheapest placement over the graph of layers and levels.
//!
//! ```text
//! operand ──(depth of the layer, time at this level)── result ──(at most the result's level)── operand of a reader
//!    i                                                   s
//! ```
//!
//! Each layer has two variables: the level `i` of its operands, and the level `s` up to which readers may take its result. Without a
//! bootstrap `s` is what the layer's depth leaves of `i`; with one, it is any level that the bootstrap reaches. A reader's `i` is at most
//! the `s` of all that it reads. Time is a sum over pairs of variables, and [`elimination`] finds its smallest value.
//!
//! One bootstrap serves all readers of a result: refreshing it for one of them alone costs the same, and leaves the others where they
//! were. So the branches of a residual sum are refreshed before they fork, each by itself, or where they join, whichever is
//! cheapest, and no special case says so. Times rise with levels, so that every layer also gets the lowest level that its readers
//! allow.
//!
//! # Source
//! Levels as nodes of a graph with residual regions collapsed: Orion (ASPLOS 2025), section 5; bootstraps to any level: ReSBM (ASPLOS
//! 2025). Here all of it is in tables of the same sum.

mod elimination;
mod price;

use elimination::{PriceSum, at_least};
use price::{Price, PriceTable};

/// A layer, by the index of its result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layer {
    /// The layers whose results it reads, all of them earlier; none for the input.
    pub(crate) args: Vec<usize>,
    /// Levels from the operands to the result.
    pub(crate) depth: u32,
    /// Time by the level of the operands.
    pub(crate) times: Vec<u64>,
    /// Whether its result can be bootstrapped.
    pub(crate) refreshable: bool,
}

/// A bootstrap, as the placement sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refresh {
    /// The lowest level that its operand may have.
    pub(crate) from: u32,
    /// Time by the level of the result; `None` where it does not reach.
    pub(crate) times: Vec<Option<u64>>,
}

/// A network to place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LevelGraph {
    /// The layers; the last one's result is the output.
    pub(crate) layers: Vec<Layer>,
    /// The highest level of a value.
    pub(crate) top: u32,
    /// The lowest level of the output.
    pub(crate) output: u32,
    /// The bootstrap that there is.
    pub(crate) refresh: Refresh,
}

/// What became of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Level of the operands.
    pub(crate) operand: u32,
    /// The level to which its result is bootstrapped.
    pub(crate) refreshed: Option<u32>,
}

/// A network that was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// By layer.
    pub(crate) layers: Vec<Placed>,
    /// Time of everything.
    pub(crate) time: u64,
}

impl LevelGraph {
    /// The cheapest placement; `None` if the levels are too few.
    ///
    /// # Cost
    /// The cube of the number of levels for every layer, if the graph is series-parallel.
    pub(crate) fn cheapest(&self) -> Option<Placement> {
        let n_levels = self.top as usize + 1;
        let mut sum = PriceSum::new(n_levels);
        let mut variables: Vec<(usize, usize)> = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let is_output = index + 1 == self.layers.len();
            let lowest = if is_output { self.output as usize } else { 0 };
            let (operand, result) = (sum.variable(0), sum.variable(lowest));
            let price = |operand, result| self.price(layer, operand, result);
            sum.pair(operand, result, PriceTable::of(n_levels, price));
            for &arg in &layer.args {
                sum.pair(variables[arg].1, operand, PriceTable::of(n_levels, at_least));
            }
            variables.push((operand, result));
        }
        let (price, levels) = sum.minimum()?;
        let placed = |(layer, &(operand, result)): (&Layer, &(usize, usize))| {
            let (operand, result) = (levels[operand] as u32, levels[result] as u32);
            Placed {
                operand,
                refreshed: (operand < result + layer.depth).then_some(result),
            }
        };
        Some(Placement {
            layers: self.layers.iter().zip(&variables).map(placed).collect(),
            time: price.time,
        })
    }

    /// From a level of a layer's operands to one of its result: bootstrapped where that is above what the layer leaves.
    fn price(&self, layer: &Layer, operand: usize, result: usize) -> Price {
        let Some(left) = operand.checked_sub(layer.depth as usize) else {
            return Price::IMPOSSIBLE;
        };
        let computed = Price {
            time: layer.times[operand],
            bootstraps: 0,
            levels: (operand + result) as u32,
        };
        if result <= left {
            return computed;
        }
        match self.refresh.times[result] {
            Some(time) if layer.refreshable && left >= self.refresh.from as usize => {
                computed
                    + Price {
                        time,
                        bootstraps: 1,
                        levels: 0,
                    }
            }
            _ => Price::IMPOSSIBLE,
        }
    }
}

#[cfg(test)]
mod tests;
