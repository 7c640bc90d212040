//! Small plans for the tests of this crate.

use heron_params::bootstrap::{BootstrapParams, BootstrapRequest, SlotValues, TransformOrder};
use heron_params::{ChainRequest, CkksParams, Level, Rotation, ScalePower};

use crate::{
    BabyGiant, CalibratedRange, CkksProgram, ConstId, Constant, Digest, FORMAT_VERSION, Geometry, InputSpec,
    Instruction, Line, LinearMap, MapId, OpCounts, OutputSpec, Parity, Plan, Program, Provenance, SlotPolynomial,
    ValueId, VectorLayout, Weights,
};

/// What the first map of [`plan`] costs: 8 diagonals in 2 giants of 4, folded once.
pub(crate) const FIRST_MAP_COUNTS: OpCounts = OpCounts {
    hoisted_rotations: 3,
    full_rotations: 2,
    plaintext_products: 8,
    ciphertext_products: 0,
    rescales: 0,
    level_drops: 0,
    bootstraps: 0,
};

/// A layout.
pub(crate) fn layout(len: u32, period: u32) -> VectorLayout {
    VectorLayout::vector(len, period)
}

/// A line with a generous bound.
pub(crate) fn line(op: Instruction, level: u32, power: ScalePower) -> Line {
    Line {
        op,
        level: Level(level),
        power,
        bound: 4.0,
        error: 1e-4,
        node: "node".to_owned(),
        note: String::new(),
    }
}

/// A dense map with layouts, baby steps and folds.
pub(crate) fn map(weights: u32, input: VectorLayout, output: VectorLayout, baby: u32, fold: &[u32]) -> LinearMap {
    LinearMap {
        geometry: Geometry::Dense {
            weights: ConstId(weights),
            rows: output.len,
            cols: input.len,
        },
        input,
        output,
        steps: BabyGiant { baby },
        fold: fold.iter().copied().map(Rotation).collect(),
    }
}

/// 128-bit parameters with 4096 slots and three levels.
pub(crate) fn params() -> CkksParams {
    CkksParams::build(&ChainRequest {
        log_n: 13,
        levels: 3,
        log_scale: 30,
        log_q0: 40,
        digit_len: 1,
    })
    .expect("such primes exist")
}

/// A valid plan: 12 elements to 8, squared, to 3; and its constants.
pub(crate) fn plan_and_weights() -> (Plan, Weights) {
    let mut weights = Weights::default();
    let mut constants = Vec::new();
    for (name, shape) in [
        ("fc1.weight", &[8, 12][..]),
        ("fc1.bias", &[8]),
        ("fc2.weight", &[3, 8]),
        ("fc2.bias", &[3]),
    ] {
        let len: usize = shape.iter().product();
        let values = (0..len).map(|i| ((i * 7 + 3) % 11) as f64 / 16.0 - 0.3).collect();
        constants.push(weights.push(name, shape, values).1);
    }
    let plan = Plan {
        format_version: FORMAT_VERSION,
        name: "sample".to_owned(),
        provenance: Provenance {
            compiler: "0.1.0".to_owned(),
            model: Digest::of(b"model"),
            calibration: Digest::of(b"calibration"),
            options: vec!["activation=quadratic".to_owned()],
        },
        input: InputSpec {
            name: "input".to_owned(),
            shape: vec![3, 4],
            layout: layout(12, 16),
            normalization: None,
            range: CalibratedRange { min: -1.0, max: 2.0 },
        },
        output: OutputSpec {
            name: "logits".to_owned(),
            shape: vec![3],
            layout: layout(3, 4),
            bound: 4.0,
            error: 1e-4,
            tail: Vec::new(),
            class_names: ["a", "b", "c"].map(str::to_owned).to_vec(),
        },
        program: Program::Ckks(program()),
        constants,
    };
    (plan, weights)
}

/// The plan of [`plan_and_weights`].
pub(crate) fn plan() -> Plan {
    plan_and_weights().0
}

fn program() -> CkksProgram {
    use ScalePower::{One, Two};
    let arg = ValueId;
    let bias = |id, layout| Constant::Vector {
        data: ConstId(id),
        layout,
    };
    let lines = vec![
        line(Instruction::Input, 3, One),
        line(
            Instruction::Linear {
                arg: arg(0),
                map: MapId(0),
            },
            3,
            Two,
        ),
        line(Instruction::Rescale { arg: arg(1) }, 2, One),
        line(
            Instruction::AddConst {
                arg: arg(2),
                value: bias(1, layout(8, 8)),
            },
            2,
            One,
        ),
        line(Instruction::Square { arg: arg(3) }, 2, Two),
        line(Instruction::Rescale { arg: arg(4) }, 1, One),
        line(
            Instruction::Linear {
                arg: arg(5),
                map: MapId(1),
            },
            1,
            Two,
        ),
        line(Instruction::Rescale { arg: arg(6) }, 0, One),
        line(
            Instruction::AddConst {
                arg: arg(7),
                value: bias(3, layout(3, 4)),
            },
            0,
            One,
        ),
        line(Instruction::Output { arg: arg(8) }, 0, One),
    ];
    CkksProgram {
        params: params(),
        bootstrap: None,
        maps: vec![
            map(0, layout(12, 16), layout(8, 8), 4, &[8]),
            map(2, layout(8, 8), layout(3, 4), 2, &[4]),
        ],
        lines,
    }
}

/// A valid plan of one polynomial: an odd cubic with coefficients for each of 12 elements.
pub(crate) fn polynomial_plan() -> Plan {
    let mut plan = plan();
    let mut weights = Weights::default();
    let values = (0..24).map(|i| f64::from(i) / 32.0 - 0.3).collect();
    plan.constants = vec![weights.push("cubic", &[2, 12], values).1];
    plan.input.range = CalibratedRange { min: -1.0, max: 1.0 };
    plan.output.shape = plan.input.shape.clone();
    plan.output.layout = plan.input.layout;
    plan.output.class_names.clear();
    let poly = SlotPolynomial {
        coefficients: ConstId(0),
        degree: 3,
        parity: Parity::Odd,
        layout: Some(plan.input.layout),
    };
    let mut input = line(Instruction::Input, 3, ScalePower::One);
    input.bound = 1.0;
    let mut program = program();
    program.maps.clear();
    program.lines = vec![
        input,
        line(Instruction::Polynomial { arg: ValueId(0), poly }, 1, ScalePower::One),
        line(Instruction::Output { arg: ValueId(1) }, 1, ScalePower::One),
    ];
    plan.program = Program::Ckks(program);
    plan
}

/// A bootstrapped plan on a small ring that protects nothing.
pub(crate) fn insecure_bootstrap_plan() -> Plan {
    let request = BootstrapRequest {
        log_n: 10,
        log_scale: 46,
        log_slots: 8,
        values: SlotValues::Real,
        order: TransformOrder::SlotsToCoeffsFirst,
        levels: 3,
        worst_bits: 12.0,
        max_key_bytes: 1 << 40,
    };
    bootstrap_plan(BootstrapParams::build_insecure_for_tests(&request).expect("a sound request"))
}

/// A valid plan whose input goes down to the lowest level and is bootstrapped.
pub(crate) fn bootstrap_plan(variant: BootstrapParams) -> Plan {
    use ScalePower::One;
    let mut plan = polynomial_plan();
    plan.constants.clear();
    let (top, low, high) = (variant.top_level().0, variant.input_level().0, variant.output_level().0);
    let mut program = program();
    program.params = variant.chain().clone();
    program.bootstrap = Some(variant);
    program.maps.clear();
    program.lines = vec![
        line(Instruction::Input, top, One),
        line(Instruction::DropLevel { arg: ValueId(0) }, low, One),
        line(Instruction::Bootstrap { arg: ValueId(1) }, high, One),
        line(Instruction::Output { arg: ValueId(2) }, high, One),
    ];
    program.lines.iter_mut().for_each(|line| line.bound = 1.0);
    plan.program = Program::Ckks(program);
    plan
}

/// `%2 = %0 + rot(%0, 16)`: a value that is read twice.
pub(crate) fn skip_program() -> CkksProgram {
    use ScalePower::One;
    CkksProgram {
        params: params(),
        bootstrap: None,
        maps: Vec::new(),
        lines: vec![
            line(Instruction::Input, 3, One),
            line(
                Instruction::Rotate {
                    arg: ValueId(0),
                    by: Rotation(16),
                },
                3,
                One,
            ),
            line(
                Instruction::Add {
                    lhs: ValueId(0),
                    rhs: ValueId(1),
                },
                3,
                One,
            ),
            line(Instruction::Output { arg: ValueId(2) }, 3, One),
        ],
    }
}
