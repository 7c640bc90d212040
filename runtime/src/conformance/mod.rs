//! What every machine must do: small programs with known results, run on any machine.
//!
//! A new machine is done when [`check`] accepts all [`cases`] and [`check_refusals`] finds nothing. The tolerance of
//! every comparison is the error that the program's own line states.

mod benches;
mod bootstraps;
mod builder;
mod cases;

use heron_params::ChainRequest;
use heron_plan::{CkksProgram, ValueId, Weights};

use crate::interpreter::{Fusion, RunError, run};
use crate::machine::{Machine, MachineError};

pub use benches::{CkksBench, ClearBench, NoisyBench};
pub use bootstraps::INSECURE_BOOTSTRAP;
pub use builder::ProgramBuilder;
pub use cases::cases;

/// A ring that protects nothing: small, so that every case takes milliseconds.
pub const INSECURE_SMALL_RING: ChainRequest = ChainRequest {
    log_n: 8,
    levels: 4,
    log_scale: 30,
    log_q0: 40,
    digit_len: 2,
};

/// A program with known results.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is about.
    pub name: &'static str,
    /// The program: one input, one output.
    pub program: CkksProgram,
    /// Its constants.
    pub weights: Weights,
    /// The slots of each sample.
    pub inputs: Vec<Vec<f64>>,
    /// The first slots of each result.
    pub expected: Vec<Vec<f64>>,
}

/// A machine, and the way of values into it and out of it.
pub trait Bench {
    /// The machine.
    type Machine: Machine;

    /// A machine that can run a program.
    fn open(program: &CkksProgram) -> Self;

    /// The machine.
    fn machine(&mut self) -> &mut Self::Machine;

    /// A fresh value at the top level.
    fn put(&mut self, slots: &[f64]) -> <Self::Machine as Machine>::Value;

    /// The slots of a value.
    fn get(&self, value: &<Self::Machine as Machine>::Value) -> Vec<f64>;
}

/// How a machine fails a case.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A program did not run to its end.
    #[error("{case}: the program stopped")]
    Stopped {
        /// The case.
        case: &'static str,
        /// Why.
        source: RunError,
    },
    /// A result is wrong.
    #[error("{case}, {fusion:?}: slot {slot} of sample {sample} is off by {found:e}, {allowed:e} are allowed")]
    Wrong {
        /// The case.
        case: &'static str,
        /// How it was run.
        fusion: Fusion,
        /// Which sample.
        sample: usize,
        /// Which slot.
        slot: usize,
        /// The difference.
        found: f64,
        /// The error that the output line states.
        allowed: f64,
    },
    /// What must be refused was accepted.
    #[error("{0} was accepted")]
    Accepted(&'static str),
}

/// Runs a case on a machine, sample by sample, with and without fusion.
///
/// # Errors
/// The first result that is not what it should be.
pub fn check<B: Bench>(case: &Case) -> Result<(), Failure> {
    let mut bench = B::open(&case.program);
    let last = ValueId(case.program.lines.len() as u32 - 1);
    let allowed = case.program.lines[last.index()].error;
    for fusion in [Fusion::None, Fusion::WithRescale] {
        for (sample, (input, expected)) in case.inputs.iter().zip(&case.expected).enumerate() {
            let value = bench.put(input);
            let results = run(
                &case.program,
                &case.weights,
                bench.machine(),
                fusion,
                vec![value],
                &mut |_, _| {},
            );
            let results = results.map_err(|source| Failure::Stopped {
                case: case.name,
                source,
            })?;
            let slots = bench.get(&results[0]);
            for (slot, (a, b)) in slots.iter().zip(expected).enumerate() {
                let found = (a - b).abs();
                if found.is_nan() || found > allowed {
                    return Err(Failure::Wrong {
                        case: case.name,
                        fusion,
                        sample,
                        slot,
                        found,
                        allowed,
                    });
                }
            }
        }
    }
    Ok(())
}

/// Checks that a machine refuses operands of unequal states, wrong scales, and levels that do not exist, and what cannot be
/// bootstrapped.
///
/// # Errors
/// [`Failure::Accepted`].
pub fn check_refusals<B: Bench>() -> Result<(), Failure> {
    let program = cases::one_square();
    let mut bench = B::open(&program);
    let top = bench.put(&[1.0, 2.0]);
    let machine = bench.machine();
    let square = |machine: &mut B::Machine, x: &<B::Machine as Machine>::Value| machine.square(x);
    let product = square(machine, &top).map_err(|_| Failure::Accepted("nothing: a square was refused"))?;
    let lower = machine
        .rescale(&product)
        .map_err(|_| Failure::Accepted("nothing: a rescale was refused"))?;
    let level_of = |machine: &B::Machine, x| machine.state(x).level;
    let (above, below) = (level_of(machine, &top), heron_params::Level(0));
    let bottom = machine
        .drop_level(&lower, below)
        .map_err(|_| Failure::Accepted("nothing: a drop was refused"))?;
    let refused = [
        ("a sum of unequal levels", machine.add(&top, &lower)),
        ("a difference of unequal levels", machine.sub(&top, &lower)),
        ("a product of unequal levels", machine.mul(&top, &lower)),
        ("a sum of unequal scales", machine.add(&top, &product)),
        ("a difference of unequal scales", machine.sub(&product, &top)),
        ("a square of a product", square(machine, &product)),
        ("a product of a product", machine.mul(&product, &product)),
        ("a constant product of a product", machine.mul_const(&product, TWICE)),
        ("a rescale of what is no product", machine.rescale(&top)),
        ("a drop upwards", machine.drop_level(&lower, above)),
        ("a rescale below level 0", rescaled_product(machine, &bottom)),
    ];
    let accepted = refused.iter().find(|(_, result)| result.is_ok());
    accepted.map_or(Ok(()), |(what, _)| Err(Failure::Accepted(what)))?;
    bootstraps::check_refusals::<B>()
}

const TWICE: crate::machine::ResolvedConstant<'static> = crate::machine::ResolvedConstant::Scalar(2.0);

fn rescaled_product<M: Machine>(machine: &mut M, value: &M::Value) -> Result<M::Value, MachineError> {
    let product = machine.mul_const(value, TWICE)?;
    machine.rescale(&product)
}
