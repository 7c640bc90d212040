//! Tests of networks of integers: shipped models, and networks that nothing carries.

use heron_plan::PlanFiles;
use ndarray::{arr1, arr2};

use super::*;
use crate::calibrate::Samples;
use crate::error::ErrorKind;
use crate::graph::GraphBuilder;
use crate::nn::Activation;
use crate::options::CompileOptions;

const MODEL: &[u8] = include_bytes!("../../../models/digits_mlp_relu/model.onnx");
const INPUTS: &[u8] = include_bytes!("../../../models/digits_mlp_relu/inputs.npy");

/// The values of a `.npy` file of f32 in C order, version 1.0.
fn values(npy: &[u8]) -> Vec<f64> {
    let header = 10 + usize::from(u16::from_le_bytes([npy[8], npy[9]]));
    npy[header..]
        .chunks_exact(4)
        .map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
        .collect()
}

fn compiled(bits: u32, log2_failure: f64) -> Result<CompiledIntegers, CompileError> {
    let samples = Samples::new(&[64], values(INPUTS)).expect("whole samples");
    let mut options = CompileOptions::new("digits");
    options.accuracy = AccuracyGate::Accept;
    compile_integers(
        CompileInput {
            model: MODEL,
            calibration: &samples,
            labels: None,
            options: &options,
        },
        &IntegerOptions {
            bits: BitsChoice::Fixed(bits),
            log2_failure,
        },
    )
}

#[test]
fn a_network_of_two_layers_takes_two_look_ups_a_neuron_and_verifies() {
    let compiled = compiled(4, -6.65).expect("it compiles");
    assert_eq!(compiled.report.lookups, 64);
    let files = PlanFiles::encode(&compiled.plan, &compiled.weights).expect("a valid plan");
    assert_eq!(files.decode(), Ok((compiled.plan, compiled.weights)));
}

#[test]
fn compiling_twice_gives_the_same_bytes() {
    let bytes = || {
        let compiled = compiled(3, -6.65).expect("it compiles");
        let files = PlanFiles::encode(&compiled.plan, &compiled.weights).expect("a valid plan");
        (files, serde_json::to_string(&compiled.report).expect("plain data"))
    };
    assert!(bytes() == bytes());
}

#[test]
fn an_accumulator_that_nothing_carries_is_named_with_the_ways_out() {
    let refused = compiled(8, -120.0)
        .map(|_| ())
        .expect_err("8 bits at 2^-120 are too much");
    assert_eq!(refused.kind(), ErrorKind::Infeasible);
    let text = refused.to_string();
    for words in ["/0/Gemm", "values", "--bits", "--failure", "--target ckks"] {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn what_is_neither_linear_nor_a_function_is_named() {
    let mut builder = GraphBuilder::default();
    let x = builder.push("x", Op::Input, &[], &[2]);
    let relu = builder.push("relu", Op::Activation(Activation::Relu), &[x], &[2]);
    let product = builder.push("product", Op::Mul, &[x, relu], &[2]);
    let refused = pieces(&builder.finish(product))
        .map(|_| ())
        .expect_err("a product of values");
    assert_eq!(refused[0].node, "product");
}

#[test]
fn rows_of_a_chain_of_maps_are_those_of_their_product() {
    let mut builder = GraphBuilder::default();
    let x = builder.push("x", Op::Input, &[], &[2]);
    let dense = |weights: [[f64; 2]; 2], bias: [f64; 2]| Op::Dense {
        weights: arr2(&weights).into_shared(),
        bias: arr1(&bias).into_shared(),
    };
    let first = builder.push("a", dense([[1.0, 2.0], [0.0, -1.0]], [0.5, 1.0]), &[x], &[2]);
    let second = builder.push("b", dense([[3.0, 0.0], [1.0, 1.0]], [0.0, 10.0]), &[first], &[2]);
    let sum = builder.push("sum", Op::Add, &[second, x], &[2]);
    let relu = builder.push("relu", Op::Activation(Activation::Relu), &[sum], &[2]);
    let pieces = pieces(&builder.finish(relu)).expect("linear and a function");
    assert_eq!(pieces.len(), 1);
    // B (A x + a) + b + x = (BA + 1) x + B a + b
    assert_eq!(
        pieces[0].sources[0].rows,
        [vec![(0, 4.0), (1, 6.0)], vec![(0, 1.0), (1, 2.0)]]
    );
    assert_eq!(pieces[0].bias, [1.5, 11.5]);
}

#[test]
fn a_skip_connection_reads_two_tensors_at_equal_steps() {
    let mut builder = GraphBuilder::default();
    let x = builder.push("x", Op::Input, &[], &[2]);
    let relu = builder.push("relu", Op::Activation(Activation::Relu), &[x], &[2]);
    let tanh = builder.push("tanh", Op::Activation(Activation::Tanh), &[relu], &[2]);
    let sum = builder.push("sum", Op::Sub, &[tanh, relu], &[2]);
    let last = builder.push("last", Op::Activation(Activation::Sigmoid), &[sum], &[2]);
    let graph = builder.finish(last);
    let values = (0..64)
        .flat_map(|i| [f64::from(i) / 16.0 - 2.0, f64::from(i % 7) / 3.0 - 1.0])
        .collect();
    let samples = Samples::new(&[2], values).expect("64 samples");
    let best = searched(&graph, &samples, 6);
    let adds = best.program.lines().iter().filter(|line| line.op.name() == "add");
    assert_eq!(adds.count(), 1);
    // Three roundings of values up to 2 to one of 63 steps each, through slopes of at most 1.
    let worst = largest_difference(&graph, &samples, &best.program);
    assert!(worst < 3.0 * 2.0 / 63.0 * 1.5, "{worst}");
}

/// The best candidate for a graph that no file has.
fn searched(graph: &Graph<Op>, samples: &Samples, bits: u32) -> Candidate {
    let Lowered { graph, parts } = lower_maxima(graph);
    let ranges = calibrate(&graph, samples).expect("finite samples");
    let options = CompileOptions::new("network");
    let input = CompileInput {
        model: MODEL,
        calibration: samples,
        labels: None,
        options: &options,
    };
    let imported = import(MODEL).expect("a shipped model");
    let network = Network {
        input,
        imported: &imported,
        graph: &graph,
        maxima: &parts,
        ranges: &ranges,
        pieces: &pieces(&graph).expect("linear and functions"),
        options: &IntegerOptions {
            bits: BitsChoice::Fixed(bits),
            log2_failure: -20.0,
        },
        reference: Reference::of(input, &graph),
    };
    network.search().expect("it compiles").0
}

fn largest_difference(graph: &Graph<Op>, samples: &Samples, program: &IntegerProgram) -> f64 {
    let differences = samples.iter().flat_map(|sample| {
        let (clear, integers) = (evaluate(graph, sample), program.output_of(sample));
        let pairs = clear.into_iter().zip(integers);
        pairs
            .map(|(clear, integer)| (clear - integer).abs())
            .collect::<Vec<f64>>()
    });
    differences.fold(0.0, f64::max)
}

#[test]
fn a_maximum_of_windows_loses_nothing_against_its_operand() {
    let mut builder = GraphBuilder::default();
    let x = builder.push("x", Op::Input, &[], &[1, 4, 4]);
    let relu = builder.push("relu", Op::Activation(Activation::Relu), &[x], &[1, 4, 4]);
    let pool = crate::nn::Pool {
        kernel: [2, 2],
        strides: [2, 2],
        pads: [0; 4],
        count_include_pad: false,
    };
    let max = builder.push("max", Op::MaxPool(pool), &[relu], &[1, 2, 2]);
    let graph = builder.finish(max);
    let values = (0..16 * 64).map(|i| f64::from(i * 37 % 101) / 25.0 - 2.0).collect();
    let samples = Samples::new(&[1, 4, 4], values).expect("64 samples");
    let best = searched(&graph, &samples, 5);
    // Four windows of four elements: three differences each, and a range of its own; 16 look-ups of the operand.
    let lookups = best.program.lines().iter().filter(|line| line.op.name() == "lookup");
    assert_eq!(lookups.map(|line| line.len).sum::<u32>() % 4, 0);
    // One rounding of the input and one of the operand, of values that span 4, to 31 steps.
    let worst = largest_difference(&graph, &samples, &best.program);
    assert!(worst < 4.0 / 31.0 * 1.1, "{worst}");
}
