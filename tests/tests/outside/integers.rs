//! Exact integers on shipped models: encrypted results equal the integers in clear, and those keep the network's accuracy.
//!
//! The smallest network is always run; the others, seconds to a minute a sample, where `HERON_SLOW_TESTS` is 1.

use heron_compiler::evaluate;
use heron_compiler::quantize::{BitsChoice, CompiledIntegers, IntegerOptions};
use heron_plan::tfhe::{ClientFile, IntegerProgram};
use heron_runtime::files::PlanBundle;
use heron_runtime::samples::Samples;
use heron_runtime::tfhe::{TfheClient, TfheRandomness, TfheSecretKey, TfheServer};
use heron_tests::ShippedModel;

/// A run of 20 samples fails with probability 2e-5 at this promise for each: what differs is a defect.
const LOG2_FAILURE: f64 = -20.0;
const SAMPLES: usize = 20;
/// What the integers may lose against the network on the test set: one point.
const ACCURACY_LOSS: f64 = 0.01;

fn compiled(model: &ShippedModel, bits: BitsChoice) -> (CompiledIntegers, IntegerProgram) {
    let options = IntegerOptions {
        bits,
        log2_failure: LOG2_FAILURE,
    };
    let compiled = model.compile_integers(&options).expect("it compiles");
    let program = IntegerProgram::new(&compiled.plan, &compiled.weights).expect("a verified plan");
    (compiled, program.expect("a plan for exact integers"))
}

fn top1(outputs: &[Vec<f64>], labels: &[i64]) -> f64 {
    let class = |y: &Vec<f64>| (0..y.len()).fold(0, |best, i| if y[i] > y[best] { i } else { best });
    let right = outputs
        .iter()
        .zip(labels)
        .filter(|(y, label)| class(y) as i64 == **label);
    right.count() as f64 / labels.len() as f64
}

#[track_caller]
fn check_accuracy(model: &ShippedModel, program: &IntegerProgram) {
    let samples = &model.test.samples;
    let clear: Vec<Vec<f64>> = samples.iter().map(|x| evaluate(&model.imported.graph, x)).collect();
    let integers: Vec<Vec<f64>> = samples.iter().map(|x| program.output_of(x)).collect();
    let (clear, integers) = (top1(&clear, &model.test.labels), top1(&integers, &model.test.labels));
    println!("{}: top-1 clear {clear:.4}, integers {integers:.4}", model.name);
    assert!(
        integers >= clear - ACCURACY_LOSS,
        "{}: {integers} instead of {clear}",
        model.name
    );
}

#[track_caller]
fn check_encrypted(model: &ShippedModel, compiled: CompiledIntegers, program: &IntegerProgram) {
    let bundle = PlanBundle::new(compiled.plan, compiled.weights);
    let ClientFile::Tfhe(spec) = bundle.plan.client_file() else {
        panic!("a plan for exact integers");
    };
    let mut randomness = TfheRandomness::insecure_deterministic(3);
    let secret = TfheSecretKey::generate(&spec.params, &mut randomness);
    let server = TfheServer::new(&bundle, secret.evaluation_keys(&mut randomness).expand()).expect("keys of the plan");
    let client = TfheClient::new(spec, secret).expect("the key of the plan");
    let samples = Samples {
        values: model.test.samples[..SAMPLES].to_vec(),
    };
    let inputs = client
        .encrypt(&samples, &mut randomness, &mut |_| {})
        .expect("samples of the model");
    let outputs = server.run(&inputs, &mut |_| {}).expect("inputs of the plan");
    let integers = client.decrypt_integers(&outputs).expect("outputs of the plan");
    for (index, (sample, found)) in samples.values.iter().zip(&integers).enumerate() {
        let wanted = program.evaluate(&program.input().quantize(sample));
        assert_eq!(*found, wanted, "{}, sample {index}", model.name);
    }
}

#[track_caller]
fn check(name: &str, bits: BitsChoice) {
    let model = ShippedModel::load(name).expect("it ships");
    let (compiled, program) = compiled(&model, bits);
    println!(
        "{name}: {} bits, {} look-ups",
        program.program().bits,
        program.program().lookups()
    );
    check_accuracy(&model, &program);
    check_encrypted(&model, compiled, &program);
}

/// Whether tests of minutes are run; says so where they are not.
fn slow(name: &str) -> bool {
    let run = std::env::var("HERON_SLOW_TESTS").is_ok_and(|value| value == "1");
    if !run {
        println!("{name} is not run encrypted: set HERON_SLOW_TESTS=1");
    }
    run
}

#[test]
fn breast_cancer_is_exact_on_twenty_samples() {
    check("breast_cancer_mlp_relu", BitsChoice::Auto);
}

#[test]
fn digits_with_relu_are_exact_on_twenty_samples() {
    if slow("digits_mlp_relu") {
        check("digits_mlp_relu", BitsChoice::Fixed(4));
    }
}

#[test]
fn digits_with_sigmoid_are_exact_on_twenty_samples() {
    if slow("digits_mlp_sigmoid") {
        check("digits_mlp_sigmoid", BitsChoice::Auto);
    }
}

#[test]
fn a_convolutional_network_is_exact_on_twenty_samples() {
    if slow("digits_cnn_avgpool") {
        check("digits_cnn_avgpool", BitsChoice::Auto);
    }
}

#[test]
fn a_wide_network_is_exact_on_twenty_samples() {
    if slow("mlp_mnist") {
        check("mlp_mnist", BitsChoice::Auto);
    }
}

#[test]
fn integers_of_every_network_keep_its_accuracy() {
    for (name, bits) in [
        ("digits_mlp_relu", BitsChoice::Fixed(4)),
        ("digits_mlp_relu", BitsChoice::Auto),
        ("digits_mlp_sigmoid", BitsChoice::Auto),
        ("digits_cnn_avgpool", BitsChoice::Auto),
    ] {
        let model = ShippedModel::load(name).expect("it ships");
        check_accuracy(&model, &compiled(&model, bits).1);
    }
}
