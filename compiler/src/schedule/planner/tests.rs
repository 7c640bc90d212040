//! Placements against every placement there is, on small random networks.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A part of a network between two values.
#[derive(Clone, Debug)]
enum Part {
    Layer(Layer),
    /// The sum of two branches; the second may be empty.
    Residual(Vec<Part>, Vec<Part>, Layer),
}

/// Appends parts after the last layer of a network.
fn append(layers: &mut Vec<Layer>, parts: &[Part], mut from: usize) -> usize {
    for part in parts {
        let (layer, args) = match part {
            Part::Layer(layer) => (layer, vec![from]),
            Part::Residual(left, right, join) => {
                let left = append(layers, left, from);
                (join, vec![left, append(layers, right, from)])
            }
        };
        layers.push(Layer { args, ..layer.clone() });
        from = layers.len() - 1;
    }
    from
}

/// Layers without operands so far.
fn layer(top: u32) -> impl Strategy<Value = Layer> {
    let times = vec(0..20u64, top as usize + 1);
    (0..=2u32, times, proptest::bool::weighted(0.8)).prop_map(|(depth, times, refreshable)| Layer {
        args: Vec::new(),
        depth,
        times,
        refreshable,
    })
}

fn parts(top: u32) -> impl Strategy<Value = Vec<Part>> {
    let leaf = layer(top).prop_map(Part::Layer);
    let part = leaf.prop_recursive(2, 5, 2, move |inner| {
        let branch = || vec(inner.clone(), 0..3);
        (branch(), branch(), layer(top)).prop_map(|(left, right, join)| Part::Residual(left, right, join))
    });
    vec(part, 1..4)
}

fn refresh(top: u32) -> impl Strategy<Value = Refresh> {
    let times = vec(proptest::option::weighted(0.8, 0..40u64), top as usize + 1);
    (0..2u32, times).prop_map(|(from, times)| Refresh { from, times })
}

/// The input takes nothing and may have any level.
fn input(top: u32) -> Layer {
    Layer {
        args: Vec::new(),
        depth: 0,
        times: vec![0; top as usize + 1],
        refreshable: false,
    }
}

fn network(layers: Vec<Layer>, top: u32, refresh: Refresh) -> LevelGraph {
    let output = 1;
    LevelGraph {
        layers,
        top,
        output,
        refresh,
    }
}

/// At most so many layers, or there are too many placements to see them all.
const MOST_LAYERS: usize = 6;

fn series_parallel() -> impl Strategy<Value = LevelGraph> {
    (2..4u32).prop_flat_map(|top| {
        (parts(top), refresh(top)).prop_map(move |(parts, refresh)| {
            let mut layers = vec![input(top)];
            append(&mut layers, &parts, 0);
            layers.truncate(MOST_LAYERS);
            network(layers, top, refresh)
        })
    })
}

/// Networks in which every layer reads any two before it.
fn tangled(n_layers: usize) -> impl Strategy<Value = LevelGraph> {
    let top = 2;
    let readers = vec((layer(top), any::<[prop::sample::Index; 2]>()), n_layers - 1);
    (readers, refresh(top)).prop_map(move |(readers, refresh)| {
        let mut layers = vec![input(top)];
        for (layer, args) in readers {
            let args = args.iter().map(|arg| arg.index(layers.len())).collect();
            layers.push(Layer { args, ..layer });
        }
        network(layers, top, refresh)
    })
}

/// Time of every placement of the layers from one on, where those before have the `available` levels.
fn all_placements(graph: &LevelGraph, available: &mut Vec<u32>, so_far: u64, visit: &mut impl FnMut(u64)) {
    let Some(layer) = graph.layers.get(available.len()) else {
        if available.last() >= Some(&graph.output) {
            visit(so_far);
        }
        return;
    };
    let highest = layer.args.iter().map(|&arg| available[arg]).min().unwrap_or(graph.top);
    for operand in layer.depth..=highest {
        let (left, time) = (operand - layer.depth, so_far + layer.times[operand as usize]);
        let mut go_on = |level, time| {
            available.push(level);
            all_placements(graph, available, time, visit);
            available.pop();
        };
        go_on(left, time);
        if !layer.refreshable || left < graph.refresh.from {
            continue;
        }
        for (level, refresh) in graph.refresh.times.iter().enumerate() {
            if let Some(refresh) = refresh {
                go_on(level as u32, time + refresh);
            }
        }
    }
}

/// The least time of all placements.
fn least(graph: &LevelGraph) -> Option<u64> {
    let mut least: Option<u64> = None;
    all_placements(graph, &mut Vec::new(), 0, &mut |time| {
        least = Some(least.map_or(time, |least| least.min(time)));
    });
    least
}

/// Whether every layer has the levels that it takes, and the time is theirs.
fn holds(graph: &LevelGraph, placement: &Placement) -> bool {
    let mut available: Vec<u32> = Vec::new();
    let mut time = 0;
    for (layer, placed) in graph.layers.iter().zip(&placement.layers) {
        let reachable = layer.args.iter().all(|&arg| placed.operand <= available[arg]);
        if placed.operand > graph.top || placed.operand < layer.depth || !reachable {
            return false;
        }
        time += layer.times[placed.operand as usize];
        let mut level = placed.operand - layer.depth;
        if let Some(refreshed) = placed.refreshed {
            let refresh = graph.refresh.times[refreshed as usize];
            if !layer.refreshable || level < graph.refresh.from || refresh.is_none() {
                return false;
            }
            (level, time) = (refreshed, time + refresh.unwrap_or(0));
        }
        available.push(level);
    }
    available.last() >= Some(&graph.output) && placement.layers.len() == graph.layers.len() && time == placement.time
}

/// The planner's placement is one, and as cheap as the cheapest.
fn check(graph: &LevelGraph) -> Result<(), TestCaseError> {
    let found = graph.cheapest();
    if let Some(placement) = &found {
        prop_assert!(holds(graph, placement), "{placement:?}");
    }
    prop_assert_eq!(found.map(|placement| placement.time), least(graph));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn series_parallel_networks_get_the_cheapest_of_all_placements(graph in series_parallel()) {
        check(&graph)?;
    }

    #[test]
    fn so_do_tangled_ones_of_few_layers(graph in tangled(5)) {
        check(&graph)?;
    }

    #[test]
    fn the_same_network_gets_the_same_placement(graph in series_parallel()) {
        prop_assert_eq!(graph.cheapest(), graph.clone().cheapest());
    }
}

/// A residual network of blocks of two layers each, three levels a layer, as deep as ResNets are.
fn residual_network(blocks: usize, top: u32) -> LevelGraph {
    let taking = |depth: u32, args: Vec<usize>| Layer {
        args,
        depth,
        times: (0..=u64::from(top))
            .map(|level| 10 * u64::from(depth) * (level + 4))
            .collect(),
        refreshable: true,
    };
    let mut layers = vec![input(top)];
    for _ in 0..blocks {
        let from = layers.len() - 1;
        for depth in [1, 2, 1] {
            layers.push(taking(depth, vec![layers.len() - 1]));
        }
        layers.push(taking(0, vec![layers.len() - 1, from]));
        layers.push(taking(2, vec![layers.len() - 1]));
    }
    let times = (0..=top).map(|level| (level > 3).then_some(4_000)).collect();
    network(layers, top, Refresh { from: 3, times })
}

#[test]
fn a_network_of_110_layers_is_placed() {
    let graph = residual_network(55, 16);
    let placement = graph.cheapest().expect("bootstraps reach far enough");
    assert!(holds(&graph, &placement));
    // 6 levels a block, 13 levels from one bootstrap to the next: two blocks need one.
    let n_bootstraps = placement
        .layers
        .iter()
        .filter(|placed| placed.refreshed.is_some())
        .count();
    assert!((26..=28).contains(&n_bootstraps), "{n_bootstraps}");
}

#[test]
fn too_few_levels_are_no_placement() {
    let mut graph = residual_network(2, 16);
    graph.layers.iter_mut().for_each(|layer| layer.refreshable = false);
    assert_eq!(graph.cheapest().map(|placement| placement.layers.len()), Some(11));
    graph.top = 11;
    assert_eq!(graph.cheapest(), None);
}

/// Every layer reads the four before it: neither series-parallel nor close to it.
#[test]
fn a_dense_network_gets_a_placement_too() {
    let mut graph = residual_network(2, 8);
    for index in 1..graph.layers.len() {
        graph.layers[index].args = (index.saturating_sub(4)..index).collect();
    }
    let placement = graph.cheapest().expect("bootstraps reach far enough");
    assert!(holds(&graph, &placement));
}
