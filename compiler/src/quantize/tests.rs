//! Tests of networks of integers: shipped models, and networks that nothing carries.

use heron_plan::PlanFiles;

use super::*;
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
    assert!((64..=96).contains(&compiled.report.lookups));
    let files = PlanFiles::encode(&compiled.plan, &compiled.weights).expect("a valid plan");
    assert_eq!(files.decode(), Ok((compiled.plan, compiled.weights)));
    println!("{:?}", compiled.report);
}
