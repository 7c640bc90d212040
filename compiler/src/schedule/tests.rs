//! Tests of scheduling: levels, bounds, parameters, predicted noise, refusals.

use heron_params::Slots;
use ndarray::{Array1, Array2};

use super::*;
use crate::graph::{GraphBuilder, NodeId};
use crate::he::Op;
use crate::pack::pack;
use crate::schedule::node_costs::NodeCosts;

const OPTIONS: ScheduleOptions = ScheduleOptions {
    margin: 1.25,
    precision_bits: 12.0,
    max_log_n: 16,
    max_depth: None,
    timing: Timing::Cheapest,
};

fn dense(rows: usize, cols: usize, seed: f64) -> Op {
    let weight = |(r, c): (usize, usize)| ((r * cols + c) as f64 * 12.9898 + seed).sin() * 2.0 / (cols as f64).sqrt();
    let bias = Array1::from_shape_fn(rows, |r| (r as f64 + seed).cos() * 0.1);
    Op::Dense {
        weights: Array2::from_shape_fn((rows, cols), weight).into_shared(),
        bias: bias.into_shared(),
    }
}

/// A chain of dense layers of the given widths, squares in between.
fn network(widths: &[usize]) -> Graph<Op> {
    let mut out = GraphBuilder::default();
    let mut last = out.push("x", Op::Input, &[], &widths[..1]);
    for (layer, pair) in widths.windows(2).enumerate() {
        if layer > 0 {
            last = out.push(&format!("act{layer}"), Op::Square, &[last], &pair[..1]);
        }
        last = out.push(
            &format!("fc{layer}"),
            dense(pair[1], pair[0], layer as f64),
            &[last],
            &pair[1..],
        );
    }
    out.finish(last)
}

fn samples(len: usize) -> Samples {
    let values = (0..16 * len).map(|i| (i as f64 * 7.31).sin()).collect();
    Samples::new(&[len], values).expect("whole samples")
}

fn scheduled(graph: &Graph<Op>) -> Scheduled {
    let len = graph.iter().next().map_or(0, |(_, node)| node.len());
    schedule(graph, &samples(len), &BTreeMap::new(), &OPTIONS).expect("it fits")
}

/// A line as `op level power`.
fn listing(scheduled: &Scheduled) -> String {
    let line = |line: &Line| {
        let op = serde_json::to_value(&line.op).expect("instructions are plain data");
        format!(
            "{} {} {} {}\n",
            op["op"].as_str().unwrap_or_default(),
            line.node,
            line.level,
            line.power
        )
    };
    scheduled.program.lines.iter().map(line).collect()
}

#[test]
fn a_layer_is_a_map_a_rescale_and_a_bias() {
    insta::assert_snapshot!(listing(&scheduled(&network(&[16, 8, 4]))), @r"
    input x L3 Δ
    linear fc0 L3 Δ²
    rescale fc0 L2 Δ
    add_const fc0 L2 Δ
    square act1 L2 Δ²
    rescale act1 L1 Δ
    linear fc1 L1 Δ²
    rescale fc1 L0 Δ
    add_const fc1 L0 Δ
    output fc1 L0 Δ
    ");
}

#[test]
fn the_shorter_operand_is_dropped_to_the_level_of_the_longer() {
    let mut out = GraphBuilder::default();
    let x = out.push("x", Op::Input, &[], &[8]);
    let square = out.push("square", Op::Square, &[x], &[8]);
    let sum = out.push("sum", Op::Add, &[square, x], &[8]);
    let sub = out.push("sub", Op::Sub, &[sum, x], &[8]);
    insta::assert_snapshot!(listing(&scheduled(&out.finish(sub))), @r"
    input x L1 Δ
    square square L1 Δ²
    rescale square L0 Δ
    drop_level x L0 Δ
    add sum L0 Δ
    sub sub L0 Δ
    output sub L0 Δ
    ");
}

#[test]
fn parameters_are_secure_and_leave_headroom() {
    for widths in [&[16, 8, 4][..], &[784, 128, 128, 10], &[64, 32, 32, 32, 10]] {
        let scheduled = scheduled(&network(widths));
        let params = &scheduled.program.params;
        assert_eq!(params.check_secure(), Ok(()));
        assert!(scheduled.precision_bits >= OPTIONS.precision_bits);
        for line in &scheduled.program.lines {
            let needs = (line.bound * params.scale_of(line.level, line.power)).log2() + 3.0;
            assert!(needs < params.log_q(line.level), "{line:?}");
            assert!(line.error > 0.0 && line.error < line.bound, "{line:?}");
        }
    }
}

#[test]
fn the_smallest_ring_is_taken_and_the_others_say_why_not() {
    let scheduled = scheduled(&network(&[16, 8, 4]));
    let chosen: Vec<&Candidate> = scheduled
        .candidates
        .iter()
        .filter(|candidate| candidate.verdict == "chosen")
        .collect();
    assert_eq!(chosen.len(), 1);
    assert_eq!(chosen[0].log_n, scheduled.program.params.log_n);
    assert!(
        scheduled
            .candidates
            .iter()
            .all(|candidate| candidate.log_n <= chosen[0].log_n)
    );
}

#[test]
fn bounds_are_the_largest_values_with_margin() {
    let graph = network(&[16, 8, 4]);
    let polynomial = he::ClearPolynomial::new(&graph);
    let outputs: Vec<Vec<f64>> = samples(16).iter().map(|sample| polynomial.output(sample)).collect();
    let largest = outputs.iter().flatten().fold(0.0f64, |largest, x| largest.max(x.abs()));
    let line = scheduled(&graph).program.lines.pop().expect("an output line");
    assert!(
        (line.bound / (1.25 * largest) - 1.0).abs() < 1e-12,
        "{} for {largest}",
        line.bound
    );
}

#[test]
fn too_many_levels_name_the_chain_and_the_ways_out() {
    let graph = network(&[8; 40]);
    let options = ScheduleOptions {
        max_log_n: 13,
        ..OPTIONS
    };
    let refused = schedule(&graph, &samples(8), &BTreeMap::new(), &options).expect_err("77 levels");
    assert!(refused.needs.starts_with("77 levels"), "{refused:?}");
    assert!(refused.remedies[0].contains("2^14"), "{refused:?}");
}

#[test]
fn a_long_vector_names_its_layer() {
    let graph = network(&[5000, 4]);
    let options = ScheduleOptions {
        max_log_n: 13,
        ..OPTIONS
    };
    let refused = schedule(&graph, &samples(5000), &BTreeMap::new(), &options).expect_err("5000 elements");
    assert_eq!((refused.node.as_str(), refused.needs.as_str()), ("x", "8192 slots"));
}

/// How far a bound may lie above the largest error that keys and noise show.
const MOST_OVER_MEASURED: f64 = 16.0;

/// Adds pseudo-random noise of the predicted deviations line by line, element by element, under one secret after the other,
/// and compares the largest output errors with the prediction.
#[test]
fn no_key_and_no_noise_leave_the_predicted_bounds() {
    for widths in [&[16, 8, 4][..], &[64, 32, 10], &[64, 32, 32, 32, 10], &[2, 1, 8, 2]] {
        let scheduled = scheduled(&network(widths));
        let measured = injected(&scheduled, &samples(widths[0]), 256);
        let predicted = scheduled.program.lines.last().expect("an output line").error;
        let ratio = predicted / measured;
        assert!(
            (1.0..MOST_OVER_MEASURED).contains(&ratio),
            "{widths:?}: predicted {predicted:e}, measured {measured:e}"
        );
    }
}

/// A layer whose rows are all alike hands one error to the next layer many times over.
#[test]
fn errors_that_elements_share_add_up() {
    let alike = |rows: usize, cols: usize| Op::Dense {
        weights: Array2::from_elem((rows, cols), 1.0 / cols as f64).into_shared(),
        bias: Array1::zeros(rows).into_shared(),
    };
    let mut out = GraphBuilder::default();
    let x = out.push("x", Op::Input, &[], &[4]);
    let copies = out.push("copies", alike(64, 4), &[x], &[64]);
    let sum = out.push("sum", alike(1, 64), &[copies], &[1]);
    let scheduled = scheduled(&out.finish(sum));
    let params = &scheduled.program.params;
    // The mean of 64 equal means of four inputs has the error of one of them.
    let fresh = heron_params::NoiseModel::new(params).fresh_public(params.max_level()) / 2.0;
    let error = scheduled.program.lines.last().expect("an output line").error;
    assert!(error > 6.0 * fresh, "{error:e} for inputs of {fresh:e}");
}

/// The largest output error over samples and secrets when fresh, rescaling and relinearization noise is injected.
fn injected(scheduled: &Scheduled, samples: &Samples, secrets: usize) -> f64 {
    let params = &scheduled.program.params;
    let noise = heron_params::NoiseModel::new(params);
    let mut state = 1u64;
    let mut gaussian = move || {
        let mut sum = -6.0;
        for _ in 0..12 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            sum += (state >> 11) as f64 / (1u64 << 53) as f64;
        }
        sum
    };
    let exact: Vec<Vec<f64>> = samples
        .iter()
        .map(|sample| run(scheduled, sample, &mut |_, _| 0.0))
        .collect();
    let mut largest = 0.0f64;
    for _ in 0..secrets {
        let sizes: Vec<f64> = (0..64).map(|_| gaussian().hypot(gaussian()) / 2f64.sqrt()).collect();
        for (sample, exact) in samples.iter().zip(&exact) {
            let noisy = run(scheduled, sample, &mut |line: &Line, element| match line.op {
                Instruction::Input => noise.fresh_public(line.level) * sizes[element] * gaussian(),
                Instruction::Rescale { .. } => noise.rescale(line.level) * sizes[element] * gaussian(),
                Instruction::Square { .. } => noise.key_switch(line.level, line.power) * sizes[element] * gaussian(),
                _ => 0.0,
            });
            let errors = exact.iter().zip(&noisy).map(|(a, b)| (a - b).abs());
            largest = errors.fold(largest, f64::max);
        }
    }
    largest
}

/// Runs a chain of lines on elements, adding what `noise` says to each.
fn run(scheduled: &Scheduled, sample: &[f64], noise: &mut dyn FnMut(&Line, usize) -> f64) -> Vec<f64> {
    let mut x = sample.to_vec();
    let weights = &scheduled.packed.weights;
    for line in &scheduled.program.lines {
        match &line.op {
            Instruction::Linear { map, .. } => {
                let matrix = &scheduled.program.maps[map.index()].geometry;
                x = matrix.product(values::tensor(weights, matrix.weights()), &x);
            }
            Instruction::AddConst { value, .. } => {
                x.iter_mut()
                    .enumerate()
                    .for_each(|(e, x)| *x += values::constant_element(value, weights, e));
            }
            Instruction::Square { .. } => x.iter_mut().for_each(|x| *x *= *x),
            _ => {}
        }
        x.iter_mut().enumerate().for_each(|(e, x)| *x += noise(line, e));
    }
    x
}

#[test]
fn the_longest_chain_skips_what_takes_no_level() {
    let packed = pack(&network(&[16, 8, 4]), Slots(4096)).expect("it fits");
    let chain: Vec<NodeId> = longest_chain(&packed.graph);
    let names: Vec<&str> = chain
        .into_iter()
        .map(|id| packed.graph.node(id).name.as_str())
        .collect();
    assert_eq!(names, ["fc0", "act1", "fc1"]);
}

/// Dense layers and squares whose values stay between 4 and 40, as many layers as asked for.
fn deep_network(layers: usize) -> Graph<Op> {
    const WIDTH: usize = 4;
    let weights = |scale: f64| Array2::from_shape_fn((WIDTH, WIDTH), |(r, c)| scale * if r == c { 0.7 } else { 0.1 });
    let mut out = GraphBuilder::default();
    let mut last = out.push("x", Op::Input, &[], &[WIDTH]);
    for layer in 0..layers {
        // A value y between 0 and 1 becomes 4 + 2 y, its square 16 to 36, and y again.
        let (scale, shift) = if layer == 0 {
            (1.0, 5.0)
        } else {
            (2.0 / 20.0, 4.0 - 1.6)
        };
        let dense = Op::Dense {
            weights: weights(scale).into_shared(),
            bias: Array1::from_elem(WIDTH, shift).into_shared(),
        };
        last = out.push(&format!("fc{layer}"), dense, &[last], &[WIDTH]);
        last = out.push(&format!("act{layer}"), Op::Square, &[last], &[WIDTH]);
    }
    out.finish(last)
}

#[test]
fn a_network_deeper_than_any_ring_is_bootstrapped() {
    let graph = deep_network(55);
    let scheduled = scheduled(&graph);
    let program = &scheduled.program;
    let variant = program.bootstrap.as_ref().expect("it bootstraps");
    assert_eq!(variant.check_secure(), Ok(()));
    let chosen = scheduled
        .candidates
        .iter()
        .find(|candidate| candidate.verdict == "chosen");
    let bootstraps = chosen.and_then(|chosen| chosen.bootstraps).expect("it says so");
    assert_eq!(bootstraps.count, program.n_bootstraps());
    assert!(scheduled.precision_bits >= OPTIONS.precision_bits);
    for line in &program.lines {
        let Instruction::Bootstrap { arg } = line.op else {
            continue;
        };
        let operand = &program.lines[arg.index()];
        assert!(operand.bound <= 1.0 && operand.bound > 0.25, "{}", operand.bound);
        assert_eq!(operand.level, variant.input_level());
    }
    let sample: Vec<f64> = samples(4).iter().next().expect("a sample").to_vec();
    let exact = he::ClearPolynomial::new(&graph).output(&sample);
    for (ours, exact) in run(&scheduled, &sample, &mut |_, _| 0.0).iter().zip(&exact) {
        assert!((ours - exact).abs() <= 1e-9 * exact.abs(), "{ours} for {exact}");
    }
}

#[test]
fn a_bootstrapped_network_says_what_each_bootstrap_is_for() {
    let scheduled = scheduled(&deep_network(55));
    let Causes { layers, savings, .. } = &scheduled.causes;
    let refreshed = layers.iter().filter(|layer| layer.refreshed.is_some()).count();
    assert_eq!(refreshed, scheduled.program.n_bootstraps());
    for layer in layers {
        let found = layer.refreshed.unwrap_or(layer.level_out);
        let reader = layers
            .iter()
            .find(|reader| Some(&reader.node) == layer.wanted_by.as_ref());
        assert!(reader.is_none_or(|reader| reader.level_in <= found), "{layer:?}");
    }
    let all: f64 = layers.iter().map(|layer| layer.time_share).sum();
    assert!((all - 1.0).abs() < 1e-9, "{all}");
    // 110 levels: each is worth something, none is worth a tenth.
    assert!(!savings.is_empty());
    for saving in savings {
        assert!(saving.time < 1.0 && saving.time > 0.9, "{saving:?}");
        assert!(saving.bootstraps <= refreshed, "{saving:?}");
    }
}

#[test]
fn the_cheapest_bootstraps_cost_what_was_planned_and_never_more_than_late_ones() {
    let packed = pack(&deep_network(30), Slots(1 << 15)).expect("it fits");
    let (costs, bounds) = (NodeCosts::of(&packed), vec![0.5; packed.graph.len()]);
    let programs = |timing| bootstrapped::programs(&packed, &bounds, u32::MAX, timing);
    let cheapest = programs(Timing::Cheapest);
    for program in &cheapest {
        let (time, levels) = program.refreshing.cheapest_levels(&costs).expect("it was planned");
        let planned = parameters::in_rotations(16, time);
        // Prices are rounded down to a thousandth of a transform each.
        assert!(
            (program.rotations - planned).abs() < 1e-3 * planned,
            "{} for {planned}",
            program.rotations
        );
        assert_eq!(program.n_bootstraps, levels.n_bootstraps());
        assert!(program.late_rotations.is_none_or(|late| late >= program.rotations));
    }
    let late = programs(Timing::Late);
    assert!(
        !late.is_empty()
            && late
                .iter()
                .all(|program| program.late_rotations == Some(program.rotations))
    );
    assert!(cheapest[0].rotations < late[0].rotations);
}

#[test]
fn a_limit_of_levels_asks_for_bootstraps() {
    let options = ScheduleOptions {
        max_depth: Some(6),
        ..OPTIONS
    };
    let graph = deep_network(6);
    let limited = schedule(&graph, &samples(4), &BTreeMap::new(), &options).expect("it fits");
    assert!(limited.program.n_bootstraps() > 0);
    let variant = limited.program.bootstrap.expect("it bootstraps");
    assert!(variant.output_level().0 - variant.input_level().0 <= 6);
    assert_eq!(scheduled(&graph).program.n_bootstraps(), 0);
}

#[test]
fn dividing_values_makes_them_small_and_changes_no_bit_of_the_output() {
    let graph = deep_network(3);
    let packed = pack(&graph, Slots(4096)).expect("it fits");
    let bounds: Vec<f64> = (0..packed.graph.len())
        .map(|id| if id % 2 == 0 { 40.0 } else { 6.5 })
        .collect();
    let exponents = division::exponents(&packed.graph, &bounds);
    // The input and the output stay; a value of 6.5 is divided by 8, its square by 64.
    assert_eq!(exponents, [0, 3, 6, 3, 6, 0, 0]);
    let divided = division::divided(&packed, &exponents);
    let inputs = samples(4);
    let inputs: Vec<&[f64]> = inputs.iter().collect();
    let [before, after] = [&packed, &divided].map(|packed| crate::packed_clear::evaluate_packed(packed, &inputs));
    assert_eq!(before, after);
}

#[test]
fn values_that_cannot_be_divided_alike_stay() {
    let mut out = GraphBuilder::default();
    let x = out.push("x", Op::Input, &[], &[4]);
    let fc = out.push("fc", dense(4, 4, 1.0), &[x], &[4]);
    let square = out.push("square", Op::Square, &[fc], &[4]);
    let sum = out.push("sum", Op::Add, &[fc, square], &[4]);
    let last = out.push("last", dense(4, 4, 2.0), &[sum], &[4]);
    let packed = pack(&out.finish(last), Slots(4096)).expect("it fits");
    assert_eq!(division::exponents(&packed.graph, &[9.0; 5]), [0; 5]);
}
