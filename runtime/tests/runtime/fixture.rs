//! A small secure plan, built by hand: 12 inputs, dense, square, dense, 3 outputs.

use std::sync::Arc;

use heron_ckks::{Context, Kernels, Rng};
use heron_params::bootstrap::BootstrapParams;
use heron_params::{ChainRequest, CkksParams, Rotation};
use heron_plan::{
    BabyGiant, CalibratedRange, ClientSpec, Constant, Digest, FORMAT_VERSION, Geometry, InputSpec, Instruction,
    LinearMap, Normalization, OutputSpec, Plan, Program, Provenance, VectorLayout,
};
use heron_runtime::conformance::{INSECURE_BOOTSTRAP, ProgramBuilder};
use heron_runtime::files::{Elements, PlanBundle, Tensor};
use heron_runtime::sessions::{KeySet, KeygenOptions, Security, keygen, open_context};

/// 128-bit secure, as small as it gets.
fn params() -> CkksParams {
    let request = ChainRequest {
        log_n: 13,
        levels: 3,
        log_scale: 30,
        log_q0: 40,
        digit_len: 1,
    };
    CkksParams::build(&request).expect("such primes exist")
}

fn numbers(seed: usize, n: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * 7 + seed * 5) % 23) as f64 / 23.0 - 0.5).collect()
}

fn layout(len: u32, period: u32) -> VectorLayout {
    VectorLayout::vector(len, period)
}

/// Weights and biases of both layers.
fn constants() -> [Vec<f64>; 4] {
    [numbers(1, 8 * 12), numbers(2, 8), numbers(3, 3 * 8), numbers(4, 3)]
}

/// The plan; its name changes its hash.
pub(crate) fn bundle(name: &str) -> PlanBundle {
    let mut builder = ProgramBuilder::new(params(), 1.0);
    let [w1, b1, w2, b2] = constants();
    let mut dense = |weights, rows: u32, cols: u32, periods: (u32, u32), fold: &[u32]| {
        let weights = builder.constant(&[rows as usize, cols as usize], weights);
        builder.map(LinearMap {
            geometry: Geometry::Dense { weights, rows, cols },
            input: layout(cols, periods.1),
            output: layout(rows, periods.0),
            steps: BabyGiant { baby: 4 },
            fold: fold.iter().copied().map(Rotation).collect(),
        })
    };
    let first = dense(w1, 8, 12, (8, 16), &[8]);
    let second = dense(w2, 3, 8, (4, 8), &[4]);
    let arg = builder.line(Instruction::Input);
    let arg = builder.line(Instruction::Linear { arg, map: first });
    let value: Constant = builder.vector(b1, 8);
    let arg = builder.line(Instruction::AddConst { arg, value });
    let arg = builder.line(Instruction::Rescale { arg });
    let arg = builder.line(Instruction::Square { arg });
    let arg = builder.line(Instruction::Rescale { arg });
    let arg = builder.line(Instruction::Linear { arg, map: second });
    let arg = builder.line(Instruction::Rescale { arg });
    let value = builder.vector(b2, 4);
    let arg = builder.line(Instruction::AddConst { arg, value });
    builder.line(Instruction::Output { arg });
    let (program, weights, constants) = builder.finish();
    let last = program.lines.last().expect("it has lines");
    let (bound, error) = (last.bound, last.error);
    let plan = Plan {
        format_version: FORMAT_VERSION,
        name: name.to_owned(),
        provenance: Provenance {
            compiler: "0.1.0".to_owned(),
            model: Digest::of(b"model"),
            calibration: Digest::of(b"calibration"),
            options: Vec::new(),
        },
        input: InputSpec {
            name: "image".to_owned(),
            shape: vec![3, 4],
            layout: layout(12, 16),
            normalization: Some(Normalization {
                scale: 1.0 / 255.0,
                mean: vec![0.5],
                std: vec![0.5],
            }),
            range: CalibratedRange { min: -1.0, max: 1.0 },
        },
        output: OutputSpec {
            name: "logits".to_owned(),
            shape: vec![3],
            layout: layout(3, 4),
            bound,
            error,
            tail: Vec::new(),
            class_names: Vec::new(),
        },
        program: Program::Ckks(program),
        constants,
    };
    PlanBundle::new(plan, weights)
}

/// A plan that squares 12 numbers after a bootstrap, on a ring that protects nothing.
pub(crate) fn insecure_bootstrap_bundle() -> PlanBundle {
    let variant = BootstrapParams::build_insecure_for_tests(&INSECURE_BOOTSTRAP).expect("a sound request");
    let (low, high) = (variant.input_level(), variant.output_level());
    let mut builder = ProgramBuilder::bootstrapping(variant, 1.0);
    let arg = builder.line(Instruction::Input);
    let arg = builder.drop_level(arg, low);
    let arg = builder.bootstrap(arg, high);
    let arg = builder.line(Instruction::Square { arg });
    let arg = builder.line(Instruction::Rescale { arg });
    builder.line(Instruction::Output { arg });
    let (program, weights, constants) = builder.finish();
    let mut plan = bundle("bootstrap").plan;
    let last = program.lines.last().expect("it has lines");
    (plan.output.bound, plan.output.error) = (last.bound, last.error);
    (plan.output.shape, plan.output.layout) = (vec![12], plan.input.layout);
    (plan.program, plan.constants) = (Program::Ckks(program), constants);
    PlanBundle::new(plan, weights)
}

/// The network by definition.
pub(crate) fn network(x: &[f64]) -> Vec<f64> {
    let [w1, b1, w2, b2] = constants();
    let dense = |w: &[f64], b: &[f64], x: &[f64]| -> Vec<f64> {
        let row = |(row, b): (&[f64], &f64)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + b;
        w.chunks(x.len()).zip(b).map(row).collect()
    };
    let hidden: Vec<f64> = dense(&w1, &b1, x).iter().map(|y| y * y).collect();
    dense(&w2, &b2, &hidden)
}

/// Samples within the calibrated range.
pub(crate) fn floats(n: usize) -> Tensor {
    let values = numbers(9, 12 * n).iter().map(|x| 2.0 * x).collect();
    Tensor {
        shape: vec![n, 3, 4],
        elements: Elements::F64(values),
    }
}

/// The plan's ring.
pub(crate) fn context(spec: &ClientSpec) -> Arc<Context> {
    open_context(&spec.params, Kernels::best(), Security::Required).expect("the parameters are secure")
}

/// Keys that anyone can predict.
pub(crate) fn keys(spec: &ClientSpec, context: &Context, public: bool) -> KeySet {
    let options = KeygenOptions { public };
    keygen(spec, context, options, &mut rng(), &mut |_| {}).expect("the plan's keys fit its parameters")
}

/// Randomness that anyone can predict.
pub(crate) fn rng() -> Rng {
    Rng::insecure_deterministic(11)
}
