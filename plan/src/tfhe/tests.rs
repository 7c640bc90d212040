//! A small plan for exact integers, and what verification says of it and of broken ones.

use heron_params::tfhe::{Decomposition, TfheParams, log2_tail};

use super::{
    ClientFile, QuantizedInput, QuantizedOutput, TfheInstruction, TfheLine, TfheProgram, integer_ranges, verify_ranges,
};
use crate::verify::Rule;
use crate::{
    CalibratedRange, ConstId, Digest, FORMAT_VERSION, InputSpec, OutputSpec, Plan, PlanFiles, Program, Provenance,
    ValueId, VectorLayout, Weights, verify, verify_with_weights,
};

const FLOOR: u64 = 5;
const ENTRIES: u64 = 8;
const STEPS: u64 = 2 * FLOOR * ENTRIES;
const OUT_STEPS: u64 = 64;

fn params() -> TfheParams {
    TfheParams {
        small_dimension: 850,
        ring_rank: 1,
        log_degree: 11,
        bootstrap: Decomposition {
            base_log: 15,
            levels: 2,
        },
        switch: Decomposition { base_log: 3, levels: 5 },
    }
}

fn line(op: TfheInstruction, len: u32, steps: u64, range: (i64, i64), variance: f64) -> TfheLine {
    TfheLine {
        op,
        len,
        steps,
        min: range.0,
        max: range.1,
        log2_variance: libm::log2(variance),
        log2_failure: None,
        node: "node".to_owned(),
        note: String::new(),
    }
}

/// `y = floor((x0 + 2 x1 - 3 x2 + 9) / 5)²` for `x` in `0..=3`, of one row, and its negative.
#[expect(clippy::too_many_lines, reason = "a plan written out line by line")]
fn plan_and_weights() -> (Plan, Weights) {
    let mut weights = Weights::default();
    let squares: Vec<f64> = (0..ENTRIES).map(|x| (x * x) as f64).collect();
    let constants = [
        ("w", vec![2usize, 3], vec![1.0, 2.0, -3.0, -1.0, -2.0, 3.0]),
        ("b", vec![2], vec![9.0; 2]),
        ("t", vec![1, ENTRIES as usize], squares),
    ];
    let constants = constants.map(|(name, shape, values)| weights.push(name, &shape, values).1);
    let p = params();
    let (ring, boot) = (p.ring_variance(), p.bootstrap_variance());
    let arg = ValueId;
    let mut lines = vec![
        line(TfheInstruction::Input, 3, STEPS, (0, 3), ring),
        line(
            TfheInstruction::Linear {
                arg: arg(0),
                weights: ConstId(0),
                bias: ConstId(1),
            },
            2,
            STEPS,
            (0, 18),
            14.0 * ring,
        ),
        line(
            TfheInstruction::Floor { arg: arg(1), by: FLOOR },
            2,
            STEPS / FLOOR,
            (0, 3),
            14.0 * ring + boot,
        ),
        line(
            TfheInstruction::Lookup {
                arg: arg(2),
                table: ConstId(2),
            },
            2,
            OUT_STEPS,
            (0, 9),
            boot,
        ),
        line(TfheInstruction::Output { arg: arg(3) }, 2, OUT_STEPS, (0, 9), boot),
    ];
    let scaled = 14.0 * ring * ((STEPS / FLOOR) as f64).powi(2);
    lines[2].log2_failure = Some(p.log2_misread(scaled, FLOOR) + 1.0);
    lines[3].log2_failure = Some(p.log2_misread(14.0 * ring + boot, ENTRIES) + 1.0);
    lines[4].log2_failure = Some(log2_tail(0.5 / OUT_STEPS as f64 / boot.sqrt()) + 1.0);
    let plan = Plan {
        format_version: FORMAT_VERSION,
        name: "sample".to_owned(),
        provenance: Provenance {
            compiler: "0.1.0".to_owned(),
            model: Digest::of(b"model"),
            calibration: Digest::of(b"calibration"),
            options: Vec::new(),
        },
        input: InputSpec {
            name: "input".to_owned(),
            shape: vec![3],
            layout: VectorLayout::vector(3, 3),
            normalization: None,
            range: CalibratedRange { min: 0.0, max: 1.5 },
        },
        output: OutputSpec {
            name: "y".to_owned(),
            shape: vec![2],
            layout: VectorLayout::vector(2, 2),
            bound: 9.0,
            error: 0.5,
            tail: Vec::new(),
            class_names: Vec::new(),
        },
        program: Program::Tfhe(TfheProgram {
            params: p,
            log2_failure: -30.0,
            bits: 2,
            input: QuantizedInput {
                scale: vec![0.5; 3],
                offset: vec![0.0; 3],
                min: vec![0; 3],
                max: vec![3; 3],
                steps: vec![STEPS],
            },
            output: QuantizedOutput {
                parts: vec![1],
                scale: vec![1.0; 2],
                offset: vec![0.0; 2],
                steps: OUT_STEPS,
                min: 0,
            },
            lines,
        }),
        constants: constants.to_vec(),
    };
    (plan, weights)
}

/// Changes the sample, and expects that the rule is broken, by the plan alone or with its weights.
#[track_caller]
fn check(change: impl FnOnce(&mut TfheProgram), rule: Rule) {
    let (mut plan, weights) = plan_and_weights();
    let Program::Tfhe(program) = &mut plan.program else {
        panic!("a plan for exact integers");
    };
    change(program);
    let errors = verify_with_weights(&plan, &weights).expect_err("a rule is broken");
    assert!(errors.errors.iter().any(|error| error.rule == rule), "{errors}");
}

#[test]
fn a_plan_comes_back_from_its_files() {
    let (plan, weights) = plan_and_weights();
    let files = PlanFiles::encode(&plan, &weights).expect("a valid plan");
    assert_eq!(files.decode(), Ok((plan.clone(), weights)));
    let client = ClientFile::from_json(&files.client_json).expect("its own file");
    assert_eq!(client, plan.client_file());
    assert!(matches!(client, ClientFile::Tfhe(_)));
    assert_eq!(plan.client_spec(), None);
}

#[test]
fn the_listing_shows_ranges_and_failures() {
    let text = plan_and_weights().0.to_string();
    assert!(
        text.starts_with("plan sample v1 tfhe  n=850  k=1  N=2^11  bits=2"),
        "{text}"
    );
    assert!(text.contains("%2 = floor %1, 5"), "{text}");
    assert!(text.contains("2 x [0, 18] of 80 steps"), "{text}");
    assert!(plan_and_weights().0.summary().contains("look-ups  4"));
}

#[test]
fn ranges_are_exact_for_every_element() {
    let (plan, weights) = plan_and_weights();
    let program = plan.program.tfhe().expect("a plan for exact integers");
    let ranges = integer_ranges(program, &weights).expect("a valid plan");
    let bounds = |line: usize| ranges[line].iter().map(|r| (r.min, r.max)).collect::<Vec<_>>();
    assert_eq!(bounds(1), [(0, 18), (0, 18)]);
    assert_eq!(bounds(3), [(0, 9), (0, 9)]);
    assert_eq!(verify_ranges(program, &weights), Ok(()));
}

#[test]
fn an_accumulator_that_leaves_its_range_is_found() {
    check(|program| program.lines[1].max = 17, Rule::Range);
    check(|program| program.input.max = vec![9; 3], Rule::Range);
}

#[test]
fn noise_below_what_follows_is_found() {
    for line in 0..5 {
        check(|program| program.lines[line].log2_variance -= 0.1, Rule::Variance);
    }
    check(|program| program.lines[1].log2_variance = f64::NAN, Rule::Variance);
}

#[test]
fn failures_below_what_follows_are_found() {
    for line in 2..5 {
        check(
            |program| program.lines[line].log2_failure = Some(-4500.0),
            Rule::Failure,
        );
        check(|program| program.lines[line].log2_failure = None, Rule::Failure);
    }
    check(|program| program.log2_failure = -4400.0, Rule::Failure);
}

#[test]
fn divisors_are_odd_and_divide_the_steps() {
    for by in [0, 1, 4, 7] {
        let op = TfheInstruction::Floor { arg: ValueId(1), by };
        check(|program| program.lines[2].op = op, Rule::Steps);
    }
}

#[test]
fn a_small_key_below_the_curve_is_insecure() {
    check(|program| program.params.small_dimension = 300, Rule::Security);
}

#[test]
fn operands_and_interfaces_are_checked() {
    check(
        |program| program.lines[1].op = TfheInstruction::Output { arg: ValueId(3) },
        Rule::OperandOrder,
    );
    check(|program| program.lines.truncate(4), Rule::Interface);
    check(|program| program.input.steps.push(4), Rule::Interface);
    check(|program| program.input.min.truncate(1), Rule::Client);
    check(|program| program.output.scale[0] = f64::INFINITY, Rule::Client);
    let (plan, _) = plan_and_weights();
    assert_eq!(verify(&plan), Ok(()));
}

#[test]
fn numbers_become_the_nearest_integers_and_come_back() {
    let (plan, _) = plan_and_weights();
    let program = plan.program.tfhe().expect("a plan for exact integers");
    assert_eq!(program.input.quantize(&[0.24, 0.26, 7.0]), [0, 1, 3]);
    assert_eq!(program.output.dequantize(&[4, 9]), [4.0, 9.0]);
}
