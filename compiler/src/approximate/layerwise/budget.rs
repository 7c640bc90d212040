//! Chooses one option for every layer so that the variances add up to the least within a budget.
//!
//! # Source
//! arXiv 2310.10349: dynamic programming over layers; here with levels, or any whole numbers, as costs.

/// One way of evaluating a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Levels, or any other cost in whole numbers.
    pub cost: u32,
    /// Variance that it adds to the output.
    pub variance: f64,
}

/// The options with the least total variance whose costs are at most `budget`; the index of one for every layer. `None` if
/// even the cheapest cost more.
///
/// Of equal variances the lower cost is taken, then the earlier option.
///
/// # Cost
/// `O(layers · options · budget)`.
pub fn cheapest_choices(layers: &[Vec<Choice>], budget: u32) -> Option<Vec<usize>> {
    let width = budget as usize + 1;
    // After each layer: for every cost spent exactly, the least variance and the last layer's option.
    let mut spent: Vec<Option<f64>> = vec![None; width];
    spent[0] = Some(0.0);
    let mut options: Vec<Vec<usize>> = Vec::with_capacity(layers.len());
    for layer in layers {
        let mut next = vec![None; width];
        let mut chosen = vec![usize::MAX; width];
        for (before, variance) in spent.iter().enumerate() {
            let Some(variance) = variance else { continue };
            for (index, option) in layer.iter().enumerate() {
                let after = before + option.cost as usize;
                let total = variance + option.variance;
                if after < width && next[after].is_none_or(|least| total < least) {
                    next[after] = Some(total);
                    chosen[after] = index;
                }
            }
        }
        spent = next;
        options.push(chosen);
    }
    let reached = spent
        .iter()
        .enumerate()
        .filter_map(|(cost, variance)| Some((cost, (*variance)?)));
    let (mut cost, _) = reached.min_by(|a, b| a.1.total_cmp(&b.1))?;
    let mut found = vec![0; layers.len()];
    for (layer, chosen) in options.iter().enumerate().rev() {
        found[layer] = chosen[cost];
        cost -= layers[layer][found[layer]].cost as usize;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn total(layers: &[Vec<Choice>], options: &[usize]) -> (u32, f64) {
        let chosen = layers.iter().zip(options).map(|(layer, &option)| layer[option]);
        chosen.fold((0, 0.0), |(cost, variance), choice| {
            (cost + choice.cost, variance + choice.variance)
        })
    }

    /// The least variance of all combinations.
    fn brute_force(layers: &[Vec<Choice>], budget: u32) -> Option<f64> {
        let Some((layer, rest)) = layers.split_first() else {
            return Some(0.0);
        };
        let affordable = layer.iter().filter(|option| option.cost <= budget);
        let variances =
            affordable.filter_map(|option| Some(option.variance + brute_force(rest, budget - option.cost)?));
        variances.min_by(f64::total_cmp)
    }

    proptest! {
        #[test]
        fn no_combination_is_better(
            layers in prop::collection::vec(
                prop::collection::vec((0u32..7, 0u32..1000).prop_map(|(cost, variance)| Choice {
                    cost,
                    variance: f64::from(variance),
                }), 1..6),
                1..6,
            ),
            budget in 0u32..30,
        ) {
            let found = cheapest_choices(&layers, budget);
            prop_assert_eq!(found.is_some(), brute_force(&layers, budget).is_some());
            if let Some(found) = found {
                let (cost, variance) = total(&layers, &found);
                prop_assert!(cost <= budget);
                // Whole numbers: sums are exact in any order.
                prop_assert_eq!(Some(variance), brute_force(&layers, budget));
            }
        }
    }

    #[test]
    fn the_sensitive_layer_gets_the_levels() {
        let layer = |sensitivity: f64| {
            let option = |cost: u32, error: f64| Choice {
                cost,
                variance: sensitivity * error,
            };
            vec![option(1, 1.0), option(3, 0.2), option(4, 0.05)]
        };
        assert_eq!(cheapest_choices(&[layer(1.0), layer(100.0)], 5), Some(vec![0, 2]));
        assert_eq!(cheapest_choices(&[layer(1.0), layer(1.0)], 1), None);
    }
}
