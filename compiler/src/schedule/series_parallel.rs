//! Takes a graph with one source and one sink apart into series and parallel compositions of its edges.
//!
//! ```text
//! a → b → c, a → c    →    Parallel(Series(a→b, b→c), a→c)
//! ```
//!
//! Edges between the same vertices are merged, and so are the two edges of a vertex that has no others, until one edge is
//! left. The order of these steps does not matter for whether it works.
//!
//! # Source
//! J. Valdes, R. Tarjan, E. Lawler, *The recognition of series parallel digraphs*, SIAM J. Comput. 11 (1982).

/// A graph between two vertices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    /// The edge of this number.
    Edge(usize),
    /// One region after the other.
    Series(Box<Region>, Box<Region>),
    /// Two regions between the same vertices.
    Parallel(Box<Region>, Box<Region>),
}

struct Merged {
    from: usize,
    to: usize,
    region: Region,
}

/// The region of all edges; `None` for graphs that are not series-parallel.
pub(crate) fn decompose(edges: &[(usize, usize)], source: usize, sink: usize) -> Option<Region> {
    let edge = |(index, &(from, to)): (usize, &(usize, usize))| Merged {
        from,
        to,
        region: Region::Edge(index),
    };
    let mut left: Vec<Merged> = edges.iter().enumerate().map(edge).collect();
    while left.len() > 1 {
        let pair = parallel(&left).or_else(|| series(&left, source, sink))?;
        merge(&mut left, pair);
    }
    let last = left.pop()?;
    ((last.from, last.to) == (source, sink)).then_some(last.region)
}

/// How two edges compose, and which: the first comes first in a series.
enum Pair {
    Series(usize, usize),
    Parallel(usize, usize),
}

fn parallel(left: &[Merged]) -> Option<Pair> {
    let same = |a: &Merged, b: &Merged| (a.from, a.to) == (b.from, b.to);
    left.iter().enumerate().find_map(|(i, edge)| {
        let other = left[i + 1..].iter().position(|other| same(edge, other))?;
        Some(Pair::Parallel(i, i + 1 + other))
    })
}

fn series(left: &[Merged], source: usize, sink: usize) -> Option<Pair> {
    left.iter().enumerate().find_map(|(i, edge)| {
        let middle = edge.to;
        let only_way_in = left.iter().filter(|other| other.to == middle).count() == 1;
        let mut out = left.iter().enumerate().filter(|(_, other)| other.from == middle);
        let next = out.next()?.0;
        (only_way_in && out.next().is_none() && middle != source && middle != sink).then_some(Pair::Series(i, next))
    })
}

fn merge(left: &mut Vec<Merged>, pair: Pair) {
    let (first, second) = match pair {
        Pair::Series(first, second) | Pair::Parallel(first, second) => (first, second),
    };
    // The later one first, so that the other keeps its place.
    let high = left.remove(first.max(second));
    let low = left.remove(first.min(second));
    let (a, b) = if first < second { (low, high) } else { (high, low) };
    let (from, to) = (a.from, b.to);
    let parts = (Box::new(a.region), Box::new(b.region));
    let region = match pair {
        Pair::Series(..) => Region::Series(parts.0, parts.1),
        Pair::Parallel(..) => Region::Parallel(parts.0, parts.1),
    };
    left.insert(first.min(second), Merged { from, to, region });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The edges of a region, in order.
    fn edges(region: &Region) -> Vec<usize> {
        match region {
            Region::Edge(edge) => vec![*edge],
            Region::Series(a, b) | Region::Parallel(a, b) => [edges(a), edges(b)].concat(),
        }
    }

    #[test]
    fn a_chain_is_a_series_in_order() {
        let region = decompose(&[(2, 3), (0, 1), (1, 2)], 0, 3).expect("a chain");
        assert_eq!(edges(&region), [1, 2, 0]);
    }

    #[test]
    fn nested_branches_are_taken_apart() {
        // 0 → 1, 1 → 2 → 4 beside 1 → 3 → 4 with 1 → 4, 4 → 5.
        let all = [(0, 1), (1, 2), (2, 4), (1, 3), (3, 4), (1, 4), (4, 5)];
        let region = decompose(&all, 0, 5).expect("series and parallel");
        let mut found = edges(&region);
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_bridge_between_branches_is_refused() {
        let bridge = [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)];
        assert_eq!(decompose(&bridge, 0, 3), None);
    }

    #[test]
    fn loose_ends_are_refused() {
        assert_eq!(decompose(&[(0, 1), (2, 1)], 0, 1), None);
        assert_eq!(decompose(&[], 0, 1), None);
    }
}
