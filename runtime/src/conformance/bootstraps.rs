//! The cases that bootstrap, and what a bootstrap must refuse: on a ring that protects nothing.

use heron_params::Level;
use heron_params::bootstrap::{BootstrapParams, BootstrapRequest, SlotValues, TransformOrder};
use heron_plan::{CkksProgram, Constant, Instruction, ValueId};

use super::cases::numbers;
use super::{Bench, Case, Failure, ProgramBuilder};
use crate::machine::{Machine, MachineError};

/// The smallest ring whose transforms have several factors; values repeat four times in it.
pub const INSECURE_BOOTSTRAP: BootstrapRequest = BootstrapRequest {
    log_n: 10,
    log_scale: 46,
    log_slots: 7,
    values: SlotValues::Real,
    order: TransformOrder::SlotsToCoeffsFirst,
    levels: 3,
    worst_bits: 12.0,
    max_key_bytes: 1 << 40,
};

fn variant() -> BootstrapParams {
    BootstrapParams::build_insecure_for_tests(&INSECURE_BOOTSTRAP).expect("a sound request")
}

/// A program with the given middle, and its results slot by slot.
fn case(
    name: &'static str,
    build: impl Fn(&mut ProgramBuilder, &BootstrapParams, ValueId) -> ValueId,
    result: impl Fn(f64) -> f64,
) -> Case {
    let variant = variant();
    let (slots, period) = (variant.chain().slots().0 as usize, 1 << variant.log_slots());
    let mut builder = ProgramBuilder::bootstrapping(variant.clone(), 1.0);
    let input = builder.line(Instruction::Input);
    let last = build(&mut builder, &variant, input);
    builder.line(Instruction::Output { arg: last });
    let (program, weights, _) = builder.finish();
    let vectors = [numbers(1, period), vec![1.0; period], vec![-1.0; period]];
    let repeat = |values: Vec<f64>| values.iter().copied().cycle().take(slots).collect::<Vec<f64>>();
    let inputs: Vec<Vec<f64>> = vectors.into_iter().map(repeat).collect();
    let expected = inputs.iter().map(|x| x.iter().map(|&x| result(x)).collect()).collect();
    Case {
        name,
        program,
        weights,
        inputs,
        expected,
    }
}

pub(super) fn bootstrap_cases() -> Vec<Case> {
    let lowest = |b: &mut ProgramBuilder, v: &BootstrapParams, x| {
        let low = b.drop_level(x, v.input_level());
        b.bootstrap(low, v.output_level())
    };
    let lower_target = |b: &mut ProgramBuilder, v: &BootstrapParams, x| {
        let low = b.drop_level(x, Level(v.input_level().0 + 1));
        b.bootstrap(low, Level(v.output_level().0 - 1))
    };
    let computed_with = |b: &mut ProgramBuilder, v: &BootstrapParams, x| {
        let low = b.drop_level(x, v.input_level());
        let arg = b.bootstrap(low, v.output_level());
        let square = b.line(Instruction::Square { arg });
        let arg = b.line(Instruction::Rescale { arg: square });
        let arg = b.drop_level(arg, v.input_level());
        let arg = b.bootstrap(arg, v.output_level());
        b.line(Instruction::AddConst {
            arg,
            value: Constant::Scalar(0.25),
        })
    };
    vec![
        case("a bootstrap keeps the values", lowest, |x| x),
        case("a bootstrap goes from any level to any", lower_target, |x| x),
        case("a square between two bootstraps", computed_with, |x| x * x + 0.25),
    ]
}

/// A program of one bootstrap, for machines that are called by hand.
pub(super) fn one_bootstrap() -> CkksProgram {
    bootstrap_cases().swap_remove(0).program
}

/// Checks that a machine refuses to bootstrap from below the input level and above the output level, and products.
///
/// # Errors
/// [`Failure::Accepted`].
pub(super) fn check_refusals<B: Bench>() -> Result<(), Failure> {
    let (program, variant) = (one_bootstrap(), variant());
    let mut bench = B::open(&program);
    let top = bench.put(&[0.5, -0.5]);
    let machine = bench.machine();
    let target = variant.output_level();
    let refused: [(&str, Result<_, MachineError>); 2] = [
        ("a bootstrap below the input level", {
            let low = machine.drop_level(&top, Level(variant.input_level().0 - 1));
            low.and_then(|low| machine.bootstrap(&low, &variant, target))
        }),
        ("a bootstrap of a product", {
            let product = machine.square(&top);
            product.and_then(|product| machine.bootstrap(&product, &variant, target))
        }),
    ];
    let accepted = refused.iter().find(|(_, result)| result.is_ok());
    accepted.map_or(Ok(()), |(what, _)| Err(Failure::Accepted(what)))
}
