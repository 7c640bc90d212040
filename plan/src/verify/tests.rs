//! Broken plans, each with the errors it must give.

use heron_params::{Level, Rotation, ScalePower};

use super::*;
use crate::{Constant, Instruction, Parity, SlotPolynomial, ValueId, sample};

/// Breaks the sample plan; checks all errors by place and rule.
#[track_caller]
fn check(break_it: impl FnOnce(&mut Plan), expected: &[(&str, Rule)]) {
    let mut plan = sample::plan();
    break_it(&mut plan);
    let errors = verify(&plan).err().map_or(Vec::new(), |e| e.errors);
    let place = |place: &Place| match place {
        Place::Line(value, _) => value.to_string(),
        other => other.to_string(),
    };
    let found: Vec<(String, Rule)> = errors.iter().map(|e| (place(&e.place), e.rule)).collect();
    let expected: Vec<(String, Rule)> = expected.iter().map(|&(place, rule)| (place.to_owned(), rule)).collect();
    assert_eq!(found, expected, "{errors:#?}");
}

fn program(plan: &mut Plan) -> &mut CkksProgram {
    let Program::Ckks(program) = &mut plan.program else {
        panic!("a CKKS plan");
    };
    program
}

fn rename_args(op: &mut Instruction, rename: impl Fn(ValueId) -> ValueId) {
    match op {
        Instruction::Input => {}
        Instruction::Linear { arg, .. }
        | Instruction::Rotate { arg, .. }
        | Instruction::AddConst { arg, .. }
        | Instruction::MulConst { arg, .. }
        | Instruction::Square { arg }
        | Instruction::Polynomial { arg, .. }
        | Instruction::Rescale { arg }
        | Instruction::DropLevel { arg }
        | Instruction::Bootstrap { arg }
        | Instruction::Output { arg } => *arg = rename(*arg),
        Instruction::Add { lhs, rhs } | Instruction::Sub { lhs, rhs } | Instruction::Mul { lhs, rhs } => {
            *lhs = rename(*lhs);
            *rhs = rename(*rhs);
        }
    }
}

/// Removes a line; later operands move up, and those that read it read its operand.
fn remove(plan: &mut Plan, index: usize) {
    let program = program(plan);
    let removed = program.lines.remove(index);
    let instead = removed.op.args().next().expect("it has an operand");
    for line in &mut program.lines[index..] {
        rename_args(&mut line.op, |arg| match arg.index().cmp(&index) {
            std::cmp::Ordering::Less => arg,
            std::cmp::Ordering::Equal => instead,
            std::cmp::Ordering::Greater => ValueId(arg.0 - 1),
        });
    }
}

#[test]
fn accepts_the_sample() {
    check(|_| {}, &[]);
}

/// Breaks the polynomial of a plan; the rules that are broken.
#[track_caller]
fn check_polynomial(break_it: impl FnOnce(&mut Plan, &mut SlotPolynomial), expected: &[(&str, Rule)]) {
    let mut plan = sample::polynomial_plan();
    let Instruction::Polynomial { mut poly, .. } = program(&mut plan).lines[1].op else {
        panic!("the second line is a polynomial");
    };
    break_it(&mut plan, &mut poly);
    program(&mut plan).lines[1].op = Instruction::Polynomial { arg: ValueId(0), poly };
    let errors = verify(&plan).err().map_or(Vec::new(), |e| e.errors);
    let found: Vec<(String, Rule)> = errors.iter().map(|e| (e.place.to_string(), e.rule)).collect();
    let expected: Vec<(String, Rule)> = expected
        .iter()
        .map(|&(place, rule)| (format!("{place} (node)"), rule))
        .collect();
    assert_eq!(found, expected, "{errors:#?}");
}

#[test]
fn accepts_a_polynomial_and_rejects_what_it_cannot_be() {
    check_polynomial(|_, _| {}, &[]);
    check_polynomial(
        |_, poly| poly.degree = 4,
        &[("%1", Rule::Level), ("%1", Rule::Polynomial)],
    );
    check_polynomial(
        |_, poly| poly.degree = 0,
        &[("%1", Rule::Level), ("%1", Rule::Polynomial)],
    );
    check_polynomial(|_, poly| poly.parity = Parity::General, &[("%1", Rule::Constant)]);
    check_polynomial(|_, poly| poly.layout = None, &[("%1", Rule::Constant)]);
    check_polynomial(
        |_, poly| poly.degree = 1,
        &[("%1", Rule::Level), ("%1", Rule::Constant)],
    );
}

#[test]
fn rejects_a_polynomial_outside_its_interval() {
    check_polynomial(
        |plan, _| program(plan).lines[0].bound = 1.5,
        &[("%1", Rule::Polynomial)],
    );
}

#[test]
fn rejects_a_polynomial_of_slots_that_hold_anything() {
    // A period of 24 leaves a repetition that is cut short, and a rotation what has come around.
    let cut = |plan: &mut Plan, poly: &mut SlotPolynomial| {
        let layout = sample::layout(12, 24);
        (plan.input.layout, plan.output.layout, poly.layout) = (layout, layout, Some(layout));
        let lines = &mut program(plan).lines;
        let by = Rotation(24);
        lines[0] = sample::line(Instruction::Input, 3, ScalePower::One);
        lines[0].bound = 1.0;
        let mut turned = lines[0].clone();
        turned.op = Instruction::Rotate { arg: ValueId(0), by };
        lines.insert(1, turned);
        lines[3].op = Instruction::Output { arg: ValueId(2) };
    };
    let mut plan = sample::polynomial_plan();
    let Instruction::Polynomial { mut poly, .. } = program(&mut plan).lines[1].op else {
        panic!("the second line is a polynomial");
    };
    cut(&mut plan, &mut poly);
    program(&mut plan).lines[2].op = Instruction::Polynomial { arg: ValueId(1), poly };
    let errors = verify(&plan).expect_err("slots hold anything").errors;
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert_eq!(errors[0].rule, Rule::Layout, "{errors:#?}");
}

#[test]
fn rejects_a_missing_rescale() {
    // %2 = rescale is gone: the constant is added at Δ² one level up, and the square reads Δ².
    check(|plan| remove(plan, 2), &[("%2", Rule::Level), ("%2", Rule::Power)]);
    check(|plan| remove(plan, 5), &[("%5", Rule::Power), ("%5", Rule::Level)]);
}

#[test]
fn rejects_a_level_below_zero() {
    let rescale_again = |plan: &mut Plan| {
        let lines = &mut program(plan).lines;
        lines[8] = sample::line(
            Instruction::MulConst {
                arg: ValueId(7),
                value: Constant::Scalar(1.0),
            },
            0,
            ScalePower::Two,
        );
        lines[9] = sample::line(Instruction::Rescale { arg: ValueId(8) }, 0, ScalePower::One);
        lines.push(sample::line(
            Instruction::Output { arg: ValueId(9) },
            0,
            ScalePower::One,
        ));
    };
    check(rescale_again, &[("%8", Rule::Overflow), ("%9", Rule::Level)]);
}

#[test]
fn rejects_a_level_above_the_chain() {
    check(
        |plan| program(plan).lines[0].level = Level(9),
        &[("%0", Rule::Level), ("%0", Rule::Level), ("%1", Rule::Level)],
    );
}

#[test]
fn rejects_unequal_states_in_sums_and_products() {
    let sum = |op: fn(ValueId, ValueId) -> Instruction| {
        move |plan: &mut Plan| program(plan).lines[3].op = op(ValueId(2), ValueId(1))
    };
    check(
        sum(|lhs, rhs| Instruction::Add { lhs, rhs }),
        &[("%3", Rule::EqualStates)],
    );
    check(
        sum(|lhs, rhs| Instruction::Sub { lhs, rhs }),
        &[("%3", Rule::EqualStates)],
    );
    check(
        sum(|lhs, rhs| Instruction::Mul { lhs, rhs }),
        &[("%3", Rule::EqualStates), ("%3", Rule::Power)],
    );
}

#[test]
fn rejects_a_drop_that_does_not_go_down() {
    let drop_to = |level| {
        move |plan: &mut Plan| {
            program(plan).lines[8] = sample::line(Instruction::DropLevel { arg: ValueId(7) }, level, ScalePower::One);
        }
    };
    check(drop_to(0), &[("%8", Rule::Level)]);
    check(drop_to(1), &[("%8", Rule::Level), ("%9", Rule::Level)]);
}

#[test]
fn rejects_operands_that_are_not_earlier_lines() {
    check(
        |plan| program(plan).lines[4].op = Instruction::Square { arg: ValueId(4) },
        &[("%4", Rule::OperandOrder)],
    );
    check(
        |plan| program(plan).lines[9].op = Instruction::Output { arg: ValueId(u32::MAX) },
        &[("%9", Rule::OperandOrder)],
    );
}

#[test]
fn rejects_values_that_leave_less_than_two_bits() {
    let bits = |bits: i32| move |plan: &mut Plan| program(plan).lines[7].bound = 2f64.powi(bits);
    // At level 0, 40 bits of modulus hold a 30-bit scale, a sign, two spare bits and seven bits of value.
    check(bits(6), &[]);
    check(bits(7), &[("%7", Rule::Overflow)]);
}

#[test]
fn rejects_bounds_and_errors_that_are_no_positive_numbers() {
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        check(|plan| program(plan).lines[2].bound = value, &[("%2", Rule::Bound)]);
        check(|plan| program(plan).lines[2].error = value, &[("%2", Rule::Error)]);
        check(|plan| plan.output.bound = value, &[("output", Rule::Bound)]);
    }
}

#[test]
fn rejects_constants_that_are_missing_or_misshapen() {
    check(|plan| plan.constants[0].shape = vec![12, 8], &[("m0", Rule::Constant)]);
    check(
        |plan| plan.constants.truncate(2),
        &[("m1", Rule::Constant), ("%8", Rule::Constant)],
    );
    let scalar = |plan: &mut Plan| {
        program(plan).lines[8].op = Instruction::AddConst {
            arg: ValueId(7),
            value: Constant::Scalar(f64::NAN),
        };
    };
    check(scalar, &[("%8", Rule::Constant)]);
}

#[test]
fn rejects_maps_whose_layouts_do_not_meet() {
    check(
        |plan| program(plan).maps[1].input.period = 16,
        &[("m1", Rule::Fold), ("%6", Rule::Layout)],
    );
    check(|plan| program(plan).maps[0].output.period = 0, &[("m0", Rule::Layout)]);
    check(|plan| plan.output.layout.period = 8, &[("%9", Rule::Layout)]);
}

#[test]
fn rejects_folds_that_meet_a_column_twice_or_not_at_all() {
    for fold in [&[][..], &[8, 16], &[16], &[4], &[8, 8]] {
        let fold = fold.iter().copied().map(Rotation).collect::<Vec<_>>();
        check(|plan| program(plan).maps[0].fold = fold, &[("m0", Rule::Fold)]);
    }
}

#[test]
fn rejects_maps_without_babies_and_lines_without_maps() {
    check(|plan| program(plan).maps[0].steps.baby = 0, &[("m0", Rule::Babies)]);
    check(|plan| program(plan).maps.truncate(1), &[("%6", Rule::Map)]);
}

#[test]
fn rejects_rotations_outside_the_slots() {
    for by in [0, 4096, u32::MAX] {
        check(
            |plan| {
                program(plan).lines[3].op = Instruction::Rotate {
                    arg: ValueId(2),
                    by: Rotation(by),
                }
            },
            &[("%3", Rule::Rotation)],
        );
    }
}

#[test]
fn wants_one_input_and_one_output() {
    let without_output = |plan: &mut Plan| {
        program(plan).lines.pop();
    };
    check(without_output, &[("plan", Rule::Interface)]);
    let two_outputs = |plan: &mut Plan| {
        let line = program(plan).lines[9].clone();
        program(plan).lines.push(line);
    };
    check(two_outputs, &[("plan", Rule::Interface)]);
}

#[test]
fn rejects_parameters_over_the_table_but_goes_on() {
    let insecure = |plan: &mut Plan| {
        let mut params = sample::params();
        params
            .p
            .extend(heron_params::ntt_primes_near(13, 2f64.powi(49)).take(3));
        program(plan).params = params;
        program(plan).lines[4].power = ScalePower::One;
    };
    check(
        insecure,
        &[("plan", Rule::Security), ("%4", Rule::Power), ("%5", Rule::Power)],
    );
    let mut plan = sample::plan();
    program(&mut plan)
        .params
        .p
        .extend(heron_params::ntt_primes_near(13, 2f64.powi(49)).take(3));
    assert_eq!(verify_insecure(&plan), Ok(()));
}

#[test]
fn rejects_parameters_that_are_no_primes() {
    check(|plan| program(plan).params.q[1] += 2, &[("plan", Rule::Parameters)]);
    check(|plan| program(plan).params.q.clear(), &[("plan", Rule::Parameters)]);
    check(|plan| program(plan).params.log_n = 63, &[("plan", Rule::Parameters)]);
}

#[test]
fn rejects_a_client_part_that_makes_no_sense() {
    check(|plan| plan.input.range.max = 5.0, &[("input", Rule::Bound)]);
    check(|plan| plan.input.range.min = f64::NAN, &[("input", Rule::Client)]);
    check(|plan| plan.output.class_names.truncate(2), &[("output", Rule::Client)]);
    check(
        |plan| plan.output.tail = vec![crate::ClientTail::ArgMax; 2],
        &[("output", Rule::Client)],
    );
    check(
        |plan| plan.input.shape = vec![usize::MAX, usize::MAX],
        &[("input", Rule::Shape)],
    );
    check(|plan| plan.name = "a\u{1b}[2J".to_owned(), &[("plan", Rule::Text)]);
    check(|plan| plan.format_version = 2, &[("plan", Rule::Version)]);
    let deviations = |std: Vec<f64>| {
        move |plan: &mut Plan| {
            plan.input.normalization = Some(crate::Normalization {
                scale: 1.0,
                mean: vec![0.0; std.len()],
                std,
            });
        }
    };
    check(deviations(vec![1.0; 3]), &[]);
    check(deviations(vec![1.0; 2]), &[("input", Rule::Client)]);
    check(deviations(vec![0.0]), &[("input", Rule::Client)]);
}

#[test]
fn names_every_error_at_once() {
    let everything = |plan: &mut Plan| {
        remove(plan, 2);
        program(plan).maps[1].fold.clear();
        plan.output.error = 0.0;
    };
    check(
        everything,
        &[
            ("output", Rule::Error),
            ("m1", Rule::Fold),
            ("%2", Rule::Level),
            ("%2", Rule::Power),
        ],
    );
    let mut plan = sample::plan();
    everything(&mut plan);
    let text = verify(&plan).expect_err("it is broken").to_string();
    assert!(
        text.starts_with("the plan breaks 4 rules\n  output: predicted error: found 0"),
        "{text}"
    );
    assert!(text.contains("%2 (node): scale power: found Δ, expected Δ²"), "{text}");
}
