//! The same network in every form: onnxruntime's outputs, our clear evaluation, the polynomial network, the packed one slot
//! by slot, with predicted noise, and encrypted at 128 bits.

use heron_compiler::evaluate;
use heron_compiler::gate::Accuracy;
use heron_runtime::conformance::{Bench, Case, CkksBench, ClearBench, NoisyBench, check};
use heron_runtime::interpreter::{Fusion, run};
use heron_tests::ShippedModel;

use crate::plans::{Planned, SHIPPED, planned};

/// Rounding of float32, relative to the largest output.
const F32_TOLERANCE: f64 = 1e-4;
/// The polynomial network may lose this much top-1 accuracy.
const MAX_ACCURACY_LOSS: f64 = 0.02;
/// Samples that are run on every machine.
const N_SAMPLES: usize = 2;

#[track_caller]
fn check_against_onnxruntime(model: &ShippedModel) {
    let largest = model
        .expected
        .iter()
        .flatten()
        .fold(0.0f64, |largest, y| largest.max(y.abs()));
    for (index, (input, expected)) in model.inputs.iter().zip(&model.expected).enumerate() {
        let ours = evaluate(&model.imported.graph, input);
        assert_eq!(ours.len(), expected.len(), "{}", model.name);
        let pairs = ours.iter().zip(expected);
        let difference = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(
            difference <= F32_TOLERANCE * largest,
            "{} sample {index}: {difference:.2e} of {largest}",
            model.name
        );
    }
}

/// What the exact machine gives for samples.
fn packed_outputs(planned: &Planned, samples: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let plan = &planned.compiled.plan;
    let program = plan.program.ckks().expect("a CKKS plan");
    let mut bench = ClearBench::open(program);
    let slots = program.params.slots().0 as usize;
    let output = |sample: &Vec<f64>| {
        let input = bench.put(&plan.input.layout.spread(sample, slots));
        let weights = &planned.compiled.weights;
        let values = run(
            program,
            weights,
            bench.machine(),
            Fusion::None,
            vec![input],
            &mut |_, _| {},
        );
        let value = values.expect("a verified plan runs").remove(0);
        plan.output.layout.gather(&bench.get(&value))
    };
    samples.iter().map(output).collect()
}

/// The plan as a case of the conformance suite: every machine must give the exact outputs within the plan's own errors.
fn as_case(planned: &Planned, n_samples: usize) -> Case {
    let plan = &planned.compiled.plan;
    let program = plan.program.ckks().expect("a CKKS plan");
    let samples = &planned.model.inputs[..n_samples];
    let slots = program.params.slots().0 as usize;
    Case {
        name: "a shipped model",
        program: program.clone(),
        weights: planned.compiled.weights.clone(),
        inputs: samples
            .iter()
            .map(|sample| plan.input.layout.spread(sample, slots))
            .collect(),
        expected: packed_outputs(planned, samples),
    }
}

#[track_caller]
fn check_on<B: Bench>(name: &'static str, n_samples: usize) {
    let planned = planned(name);
    if let Err(failure) = check::<B>(&as_case(&planned, n_samples)) {
        panic!("{name}: {failure}");
    }
}

#[test]
fn clear_evaluation_gives_what_onnxruntime_gives() {
    for name in SHIPPED {
        check_against_onnxruntime(&planned(name).model);
    }
}

#[test]
fn polynomial_networks_keep_their_accuracy_on_the_whole_test_set() {
    for name in SHIPPED {
        let planned = planned(name);
        let test = &planned.model.test;
        let clear: Vec<Vec<f64>> = test
            .samples
            .iter()
            .map(|x| evaluate(&planned.model.imported.graph, x))
            .collect();
        let packed = packed_outputs(&planned, &test.samples);
        let accuracy = Accuracy::of(&clear, &packed, Some(&test.labels));
        let (clear, polynomial) = accuracy.clear.zip(accuracy.polynomial).expect("there are labels");
        assert!(
            clear - polynomial <= MAX_ACCURACY_LOSS,
            "{name}: clear {clear:.4}, polynomial {polynomial:.4}"
        );
    }
}

#[test]
fn predicted_noise_stays_within_the_stated_errors() {
    for name in SHIPPED {
        check_on::<NoisyBench>(name, N_SAMPLES);
    }
}

#[test]
fn encrypted_digits_stay_within_the_stated_errors() {
    check_on::<CkksBench>("digits_mlp_relu", N_SAMPLES);
    check_on::<CkksBench>("digits_mlp_tanh", N_SAMPLES);
}

#[test]
fn encrypted_diagnoses_stay_within_the_stated_errors() {
    check_on::<CkksBench>("breast_cancer_mlp_sigmoid", N_SAMPLES);
}

#[test]
fn encrypted_convolutions_stay_within_the_stated_errors() {
    check_on::<CkksBench>("digits_cnn_avgpool", 1);
    check_on::<CkksBench>("digits_cnn_residual", 1);
}

#[test]
fn every_gate_of_the_compiler_has_compared_something() {
    for name in SHIPPED {
        let gates = &planned(name).compiled.report.gates;
        assert!(gates.len() >= 3, "{name}: {gates:?}");
        assert!(
            gates
                .iter()
                .all(|gate| gate.samples > 0 && gate.difference <= gate.tolerance),
            "{name}: {gates:?}"
        );
    }
}
