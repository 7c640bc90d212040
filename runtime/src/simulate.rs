//! Runs a plan in clear, exactly or with the noise that its encryption would have, and says where values leave their bounds.

use heron_plan::{CkksProgram, ValueId};

use crate::Error;
use crate::files::PlanBundle;
use crate::interpreter::{Fusion, RunError, Step, run};
use crate::machine::{Machine, MachineError};
use crate::machines::{Clear, ClearValue, Noisy};
use crate::samples::Samples;
use crate::sessions::ckks_program;

/// Rounding of f64 sums in another order than the compiler's.
const F64_SLACK: f64 = 1.0 + 1e-9;

/// Whether to add noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    /// Exact.
    None,
    /// As the noise model predicts it; the same seed gives the same noise.
    Seeded(u64),
}

/// A line whose values left its bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Exceedance {
    /// The line.
    pub line: ValueId,
    /// Its ONNX node.
    pub node: String,
    /// The plan's bound.
    pub bound: f64,
    /// The largest magnitude over all samples.
    pub largest: f64,
    /// How many samples left the bound.
    pub samples: usize,
    /// The first of them.
    pub first_sample: usize,
}

/// A sample that a bootstrap refused: its values left what a bootstrap takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Which sample.
    pub sample: usize,
    /// The line that refused.
    pub line: ValueId,
    /// Its ONNX node.
    pub node: String,
}

/// What a simulation found.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulation {
    /// The elements of each output, row-major; no numbers for samples that stopped.
    pub outputs: Vec<Vec<f64>>,
    /// The samples that did not come to their end.
    pub stopped: Vec<Stopped>,
    /// The lines whose values left their bounds, in order of the program.
    pub exceeded: Vec<Exceedance>,
}

/// Runs a plan in clear on samples; `progress` is told how many are done. Samples that a bootstrap refuses are named, and the
/// others go on.
///
/// # Errors
/// [`RunError`] for a plan that was not verified.
pub fn simulate(
    bundle: &PlanBundle,
    samples: &Samples,
    noise: Noise,
    progress: &mut dyn FnMut(usize),
) -> Result<Simulation, Error> {
    let program = ckks_program(&bundle.plan)?;
    Ok(match noise {
        Noise::None => simulate_on(&mut Clear::new(&program.params), bundle, program, samples, progress)?,
        Noise::Seeded(seed) => simulate_on(
            &mut Noisy::new(&program.params, seed),
            bundle,
            program,
            samples,
            progress,
        )?,
    })
}

fn simulate_on<M: Machine<Value = ClearValue>>(
    machine: &mut M,
    bundle: &PlanBundle,
    program: &CkksProgram,
    samples: &Samples,
    progress: &mut dyn FnMut(usize),
) -> Result<Simulation, RunError> {
    let n_slots = program.params.slots().0 as usize;
    let exact = Clear::new(&program.params);
    let mut watch = BoundWatch {
        found: vec![None; program.lines.len()],
    };
    let mut outputs = Vec::with_capacity(samples.values.len());
    let mut stopped = Vec::new();
    for (sample, elements) in samples.values.iter().enumerate() {
        let slots = bundle.plan.input.layout.spread(elements, n_slots);
        let input = exact.fresh(slots).map_err(|source| RunError::Input { source })?;
        let mut observe = |step: Step<'_>, value: &ClearValue| watch.line(sample, step, &value.slots);
        let results = run(
            program,
            &bundle.weights,
            machine,
            Fusion::None,
            vec![input],
            &mut observe,
        );
        let layout = bundle.plan.output.layout;
        match results {
            Ok(results) => outputs.extend(results.iter().map(|result| layout.gather(&result.slots))),
            Err(RunError::Machine {
                line,
                node,
                source: MachineError::OverBound,
            }) => {
                stopped.push(Stopped { sample, line, node });
                outputs.push(vec![f64::NAN; layout.len as usize]);
            }
            Err(error) => return Err(error),
        }
        progress(sample + 1);
    }
    Ok(Simulation {
        outputs,
        stopped,
        exceeded: watch.found.into_iter().flatten().collect(),
    })
}

/// Collects the lines whose values leave their bounds.
struct BoundWatch {
    found: Vec<Option<Exceedance>>,
}

impl BoundWatch {
    fn line(&mut self, sample: usize, step: Step<'_>, slots: &[f64]) {
        let largest = largest_magnitude(slots);
        let bound = step.line.bound;
        if largest <= bound * F64_SLACK {
            return;
        }
        let found = self.found[step.id.index()].get_or_insert_with(|| Exceedance {
            line: step.id,
            node: step.line.node.clone(),
            bound,
            largest,
            samples: 0,
            first_sample: sample,
        });
        found.largest = found.largest.max(largest);
        found.samples += 1;
    }
}

/// The largest magnitude; infinite if any value is NaN.
pub(crate) fn largest_magnitude(slots: &[f64]) -> f64 {
    let magnitude = |x: &f64| if x.is_nan() { f64::INFINITY } else { x.abs() };
    slots.iter().map(magnitude).fold(0.0, f64::max)
}
