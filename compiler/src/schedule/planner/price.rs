//! What a placement costs, in an order without ties that matter, and tables of prices by the levels of two values.
//!
//! Prices are whole numbers: sums do not depend on their order, so that the same network gets the same plan however its
//! graph was taken apart.

use std::ops::Add;

/// A price. Compared by time, then by the number of bootstraps, then by the sum of all levels: of what takes the same time,
/// what refreshes less is more precise, and what is lower needs less memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Price {
    /// Time, in the unit of the caller.
    pub(crate) time: u64,
    /// Bootstraps.
    pub(crate) bootstraps: u32,
    /// Sum of levels.
    pub(crate) levels: u32,
}

impl Price {
    /// Of what does nothing.
    pub(crate) const FREE: Self = Self {
        time: 0,
        bootstraps: 0,
        levels: 0,
    };
    /// Of what cannot be done: more than everything that can.
    pub(crate) const IMPOSSIBLE: Self = Self {
        time: u64::MAX,
        bootstraps: u32::MAX,
        levels: u32::MAX,
    };

    /// Whether it can be done.
    pub(crate) fn is_possible(self) -> bool {
        self.time < u64::MAX
    }
}

impl Add for Price {
    type Output = Self;

    /// What is impossible stays so: the sum saturates.
    fn add(self, other: Self) -> Self {
        Self {
            time: self.time.saturating_add(other.time),
            bootstraps: self.bootstraps.saturating_add(other.bootstraps),
            levels: self.levels.saturating_add(other.levels),
        }
    }
}

/// Prices by the levels of two variables: a matrix over the semiring of minimum and sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PriceTable {
    n_levels: usize,
    /// By the level of the first variable, then of the second.
    prices: Vec<Price>,
}

impl PriceTable {
    /// The table of `price(first, second)`.
    pub(crate) fn of(n_levels: usize, price: impl Fn(usize, usize) -> Price) -> Self {
        let pairs = (0..n_levels).flat_map(|first| (0..n_levels).map(move |second| (first, second)));
        Self {
            n_levels,
            prices: pairs.map(|(first, second)| price(first, second)).collect(),
        }
    }

    /// The price of a pair of levels.
    pub(crate) fn at(&self, first: usize, second: usize) -> Price {
        self.prices[first * self.n_levels + second]
    }

    /// The same with the variables exchanged.
    pub(crate) fn exchanged(&self) -> Self {
        Self::of(self.n_levels, |first, second| self.at(second, first))
    }

    /// Both tables' prices together: two parallel connections of the same variables.
    pub(crate) fn beside(&self, other: &Self) -> Self {
        Self::of(self.n_levels, |first, second| {
            self.at(first, second) + other.at(first, second)
        })
    }

    /// The cheapest way from the first variable of `self` over a middle one, which has prices of its own, to the second of
    /// `next`; and for every pair the level of the middle.
    ///
    /// # Cost
    /// The cube of the number of levels.
    pub(crate) fn over(&self, middle: &[Price], next: &Self) -> (Self, Vec<usize>) {
        let mut by_pair = Vec::with_capacity(self.prices.len());
        let entered = |first: usize| (0..self.n_levels).map(move |level| self.at(first, level) + middle[level]);
        for first in 0..self.n_levels {
            let entered: Vec<Price> = entered(first).collect();
            for second in 0..self.n_levels {
                by_pair.push(cheapest(|level| entered[level] + next.at(level, second), self.n_levels));
            }
        }
        let (prices, levels) = by_pair.into_iter().unzip();
        let n_levels = self.n_levels;
        (Self { n_levels, prices }, levels)
    }
}

/// The lowest of the cheapest levels, and its price.
pub(crate) fn cheapest(price: impl Fn(usize) -> Price, n_levels: usize) -> (Price, usize) {
    let mut best = (Price::IMPOSSIBLE, 0);
    for level in 0..n_levels {
        let price = price(level);
        if price < best.0 {
            best = (price, level);
        }
    }
    best
}
