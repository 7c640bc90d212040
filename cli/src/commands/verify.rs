//! `heron verify`: encrypted results against exact ones, with a fresh key in one process.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Result;
use heron_ckks::Rng;
use heron_plan::CkksProgram;
use heron_runtime::compare::{Comparison, Detail, LineCheck, compare};
use heron_runtime::files::{PlanBundle, read_plan};
use heron_runtime::samples::{RangePolicy, Samples, prepare};
use heron_runtime::sessions::{Security, ckks_program, open_context};
use serde::Serialize;

use super::integers;
use crate::answers::{agreement, classes, largest_magnitude};
use crate::arguments::TensorRef;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::network::{Network, read_labels};
use crate::table::{Align, Table, pairs};
use crate::units;

const AFTER_HELP: &str = "\
Precision in bits is -log2(max|encrypted - polynomial| / max|polynomial|), the
worst over all inputs. Exit code 5 if an error exceeds what the plan states.

Example:
  heron verify digits.plan -i models/digits_mlp_relu/inputs.npy \\
      --labels models/digits_mlp_relu/labels.npy --layers";

/// Options of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct VerifyArgs {
    /// The plan directory
    plan: PathBuf,
    /// Inputs
    #[arg(short, long, value_name = "FILE[:ARRAY]")]
    pub(super) input: TensorRef,
    /// The ONNX file to compare with
    #[arg(long, value_name = "MODEL")]
    pub(super) model: Option<PathBuf>,
    /// Labels of the inputs
    #[arg(long, value_name = "FILE[:ARRAY]")]
    pub(super) labels: Option<TensorRef>,
    /// Compare after every line of the plan
    #[arg(long)]
    pub(super) layers: bool,
    /// How many inputs to run
    #[arg(long, value_name = "N", default_value = "16")]
    pub(super) n: NonZeroUsize,
    /// Run inputs outside the calibrated range too
    #[arg(long)]
    pub(super) allow_out_of_range: bool,
}

/// What was measured, and what the plan states.
#[derive(Debug, Serialize)]
struct Verified {
    samples: usize,
    precision_bits: f64,
    measured_error: f64,
    stated_error: f64,
    /// How many times larger the stated error is.
    bound_ratio: f64,
    within_bound: bool,
    largest_output: f64,
    top1: Top1,
    #[serde(skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<VerifiedLine>>,
}

/// Fractions of the samples.
#[derive(Debug, Serialize)]
struct Top1 {
    /// Encrypted and polynomial network name the same class.
    agrees_with_polynomial: f64,
    /// Encrypted and original network do.
    agrees_with_model: Option<f64>,
    /// The encrypted network is right.
    encrypted: Option<f64>,
    /// The polynomial network is right.
    polynomial: Option<f64>,
    /// The original network is right.
    clear: Option<f64>,
}

/// What one line was measured to be off, and what its plan states.
#[derive(Debug, Serialize)]
struct VerifiedLine {
    line: u32,
    instruction: &'static str,
    node: String,
    level: u32,
    measured_error: f64,
    stated_error: f64,
    largest: f64,
    bound: f64,
    within_bound: bool,
}

impl VerifyArgs {
    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Result<()> {
        let bundle = read_plan(&self.plan)?;
        if bundle.plan.program.tfhe().is_some() {
            return integers::verify(self, &bundle, context);
        }
        let verified = self.execute(&bundle, context)?;
        context.terminal.result(&verified, |width| verified.text(width))?;
        verified.check()
    }

    fn execute(&self, bundle: &PlanBundle, context: &Context) -> Result<Verified> {
        let shape = &bundle.plan.input.shape;
        let tensor = self.input.read_samples(shape)?;
        let n_labels = tensor.n_samples(shape);
        let labels = self
            .labels
            .as_ref()
            .map(|labels| read_labels(labels, n_labels))
            .transpose()?;
        let policy = if self.allow_out_of_range {
            RangePolicy::AllowOutOfRange
        } else {
            RangePolicy::Refuse
        };
        let samples = prepare(&bundle.plan.input, &tensor.first(self.n.get(), shape), policy)?;
        let network = self.model.as_ref().map(|model| Network::read(model)).transpose()?;
        let clear = network.map(|network| network.outputs(&samples.values)).transpose()?;
        let comparison = self.compare(bundle, &samples, context)?;
        Ok(self.verified(
            bundle,
            ckks_program(&bundle.plan)?,
            &comparison,
            &Reference { clear, labels },
        ))
    }

    fn compare(&self, bundle: &PlanBundle, samples: &Samples, context: &Context) -> Result<Comparison> {
        let program = ckks_program(&bundle.plan)?;
        let ring = open_context(&program.params, context.kernels, Security::Required)?;
        let detail = if self.layers {
            Detail::EveryLine
        } else {
            Detail::Outputs
        };
        let step = context.terminal.step("running encrypted and in clear");
        let total = (samples.values.len() * program.lines.len()) as u64;
        let mut progress = |sample: usize, line: heron_runtime::interpreter::Step<'_>| {
            step.progress((sample * line.total + line.id.index() + 1) as u64, total);
        };
        Ok(compare(
            bundle,
            &ring,
            samples,
            detail,
            &mut Rng::from_os()?,
            &mut progress,
        )?)
    }

    fn verified(
        &self,
        bundle: &PlanBundle,
        program: &CkksProgram,
        comparison: &Comparison,
        reference: &Reference,
    ) -> Verified {
        let (measured_error, stated_error) = (comparison.output_error(), bundle.plan.output.error);
        let (answers, polynomial) = (classes(&comparison.encrypted), classes(&comparison.clear));
        let right = |answers: &[usize]| reference.labels.as_ref().map(|labels| agreement(answers, labels));
        let clear = reference.clear.as_deref().map(classes);
        let line = |check: &LineCheck| VerifiedLine::of(check, program);
        Verified {
            samples: answers.len(),
            precision_bits: comparison.precision_bits(),
            measured_error,
            stated_error,
            bound_ratio: stated_error / measured_error,
            within_bound: measured_error <= stated_error,
            largest_output: largest_magnitude(&comparison.clear),
            top1: Top1 {
                agrees_with_polynomial: agreement(&answers, &polynomial),
                agrees_with_model: clear.as_ref().map(|clear| agreement(&answers, clear)),
                encrypted: right(&answers),
                polynomial: right(&polynomial),
                clear: clear.as_ref().and_then(|clear| right(clear)),
            },
            layers: self.layers.then(|| comparison.lines.iter().map(line).collect()),
        }
    }
}

/// What the results are compared with beside the polynomial network.
struct Reference {
    clear: Option<Vec<Vec<f64>>>,
    labels: Option<Vec<usize>>,
}

impl VerifiedLine {
    fn of(check: &LineCheck, program: &CkksProgram) -> Self {
        let line = &program.lines[check.line.index()];
        Self {
            line: check.line.0,
            instruction: line.op.mnemonic(),
            node: check.node.clone(),
            level: line.level.0,
            measured_error: check.measured_error,
            stated_error: check.stated_error,
            largest: check.largest,
            bound: check.bound,
            within_bound: check.error_holds() && check.bound_holds(),
        }
    }
}

impl Verified {
    fn text(&self, width: usize) -> String {
        let mut text = String::new();
        if let Some(layers) = &self.layers {
            text.push_str(&layer_table(layers).render(width));
            text.push('\n');
        }
        let within = if self.within_bound { "within" } else { "OUTSIDE" };
        let mut entries = vec![
            ("samples", self.samples.to_string()),
            (
                "precision",
                format!("{:.1} bits, worst over all samples", self.precision_bits),
            ),
            (
                "largest error",
                format!("{:.3e}, outputs up to {:.3}", self.measured_error, self.largest_output),
            ),
            (
                "stated error",
                format!(
                    "{:.3e}, {:.1} times the measured: {within}",
                    self.stated_error, self.bound_ratio
                ),
            ),
            (
                "same answer",
                units::percent(self.top1.agrees_with_polynomial) + " as the polynomial network",
            ),
        ];
        if let Some(agreement) = self.top1.agrees_with_model {
            entries.push(("", units::percent(agreement) + " as the original network"));
        }
        let right = [
            ("clear", self.top1.clear),
            ("polynomial", self.top1.polynomial),
            ("encrypted", self.top1.encrypted),
        ];
        let right: Vec<String> = right
            .iter()
            .filter_map(|(name, top1)| top1.map(|top1| format!("{name} {}", units::percent(top1))))
            .collect();
        if !right.is_empty() {
            entries.push(("top-1 accuracy", right.join(", ")));
        }
        text.push_str(&pairs(&entries, width));
        text
    }

    /// The bound holds on every line that was compared and on the outputs.
    fn check(&self) -> Result<()> {
        let beyond = self.layers.iter().flatten().find(|line| !line.within_bound);
        if let Some(line) = beyond {
            let message = format!(
                "line %{} ({}) is the first beyond what the plan states: error {:.3e} of {:.3e}, values up to {:.3e} of {:.3e}",
                line.line, line.node, line.measured_error, line.stated_error, line.largest, line.bound
            );
            return Err(Failure::new(Exit::Verification, message).advise(ADVICE).into());
        }
        if self.within_bound {
            return Ok(());
        }
        let message = format!(
            "the error {:.3e} exceeds the {:.3e} that the plan states",
            self.measured_error, self.stated_error
        );
        Err(Failure::new(Exit::Verification, message).advise(ADVICE).into())
    }
}

const ADVICE: &str = "the inputs may be unlike the calibration data: compare `heron simulate` on both; if the plan was \
                      just compiled from data like these, please report this";

fn layer_table(layers: &[VerifiedLine]) -> Table {
    let mut table = Table::new(&[
        ("line", Align::Number),
        ("instruction", Align::Text),
        ("node", Align::Text),
        ("level", Align::Number),
        ("largest error", Align::Number),
        ("stated", Align::Number),
    ]);
    for line in layers {
        table.row([
            format!("%{}", line.line),
            line.instruction.to_owned(),
            line.node.clone(),
            line.level.to_string(),
            format!("{:.2e}", line.measured_error),
            format!("{:.2e}", line.stated_error),
        ]);
    }
    table
}
