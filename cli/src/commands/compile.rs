//! `heron compile`: from a model and calibration data to a plan.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use heron_compiler::calibrate::Samples;
use heron_compiler::options::{AccuracyGate, ActivationRule, CompileOptions};
use heron_compiler::quantize::BitsChoice;
use heron_compiler::report::Report;
use heron_compiler::schedule::Timing;
use heron_compiler::{CompileInput, Compiled, compile_stored, simplify_until};
use heron_plan::Normalization;
use heron_runtime::files::write_plan;
use serde::Serialize;

use super::integers::{self, BitsOption, FailureOption, Target};
use super::report::cost_card;
use crate::arguments::{FitArgs, NodeRule, NormalizeOption, TensorRef};
use crate::artefact::{ForceOption, Written};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::fit_cache::FitCacheOption;
use crate::network::{Network, read_labels};
use crate::polynomials::{GranularityOption, calibration_samples};
use crate::table::pairs;

const AFTER_HELP: &str = "\
Samples are .npy or .npz; an array of an .npz is named after a colon. Calibrate
on data that the network will meet, never on data that it is evaluated on.

Example:
  heron compile models/digits_mlp_relu/model.onnx \\
      --data models/data/digits.npz:calib \\
      --labels models/data/digits.npz:calib_labels \\
      -o digits.plan";

/// Options of `compile`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CompileArgs {
    /// The ONNX file
    pub(super) model: PathBuf,
    /// Calibration samples
    #[arg(long, value_name = "FILE[:ARRAY]", required_unless_present = "stop_after")]
    pub(super) data: Option<TensorRef>,
    /// Labels of the calibration samples: accuracies are then measured against them
    #[arg(long, value_name = "FILE[:ARRAY]")]
    pub(super) labels: Option<TensorRef>,
    /// For integer samples: (x * scale - mean) / std; a mean and a std for all or for each channel
    #[arg(long, value_name = "SCALE,MEAN..,STD..", allow_hyphen_values = true)]
    pub(super) normalize: Option<NormalizeOption>,
    /// Names of the classes, in the order of the outputs
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(super) class_names: Vec<String>,
    /// How activations become polynomials
    ///
    /// quadratic, least-squares:DEGREE, chebyshev:DEGREE, tolerance:BITS, composite:ALPHA, ola:LEVELS or auto
    #[arg(long, value_name = "RULE", default_value_t = ActivationRule::Quadratic)]
    pub(super) activation: ActivationRule,
    /// Another rule for one activation; may be given several times
    #[arg(long = "act", value_name = "NODE=RULE")]
    pub(super) overrides: Vec<NodeRule>,
    #[command(flatten)]
    pub(super) fit: FitArgs,
    /// What one polynomial covers
    #[arg(long, value_enum, value_name = "PART", default_value_t = GranularityOption::Channel)]
    pub(super) granularity: GranularityOption,
    /// Bits of precision that the encrypted result must have
    #[arg(long, value_name = "BITS", default_value_t = DEFAULT_PRECISION_BITS)]
    pub(super) precision: f64,
    /// Largest ring that may be used, as a power of two
    #[arg(long, value_name = "LOG", default_value_t = DEFAULT_MAX_LOG_N)]
    pub(super) max_log_n: u32,
    /// Levels that may follow one another without a bootstrap, at most
    #[arg(long, value_name = "LEVELS")]
    pub(super) max_depth: Option<u32>,
    /// When to bootstrap: cheapest, or late to compare with
    #[arg(long, value_enum, value_name = "TIMING", default_value_t = TimingOption::Cheapest)]
    pub(super) bootstraps: TimingOption,
    /// Go on where the polynomial network disagrees with the original too often
    #[arg(long)]
    pub(super) accept_accuracy: bool,
    /// Print the graph after a pass and stop
    #[arg(long, value_name = "PASS", conflicts_with = "output")]
    pub(super) stop_after: Option<String>,
    /// What to compile for
    #[arg(long, value_enum, value_name = "TARGET", default_value_t = Target::Ckks)]
    pub(super) target: Target,
    /// For tfhe: bits of weights and activations, 2 to 8 or auto
    #[arg(long, value_name = "BITS", default_value = "auto")]
    pub(super) bits: BitsOption,
    /// For tfhe: how likely a run may have a wrong look-up
    #[arg(long, value_name = "PROBABILITY", default_value = "2^-40")]
    pub(super) failure: FailureOption,
    #[command(flatten)]
    pub(super) cache: FitCacheOption,
    /// The plan directory to write
    #[arg(short, long, value_name = "PLAN", required_unless_present = "stop_after")]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) force: ForceOption,
}

/// When to bootstrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum TimingOption {
    /// Where it costs least in all
    Cheapest,
    /// When the levels run out
    Late,
}

impl TimingOption {
    fn timing(self) -> Timing {
        match self {
            Self::Cheapest => Timing::Cheapest,
            Self::Late => Timing::Late,
        }
    }
}

const DEFAULT_PRECISION_BITS: f64 = 12.0;
const DEFAULT_MAX_LOG_N: u32 = 16;
const DEFAULT_LOG2_FAILURE: f64 = -40.0;

/// The plan that was written.
#[derive(Debug, Serialize)]
pub(super) struct PlanWritten {
    #[serde(flatten)]
    pub(super) written: Written,
    /// What there is to say about it.
    pub(super) report: Report,
}

impl CompileArgs {
    /// A compilation with the usual options.
    pub(super) fn usual(model: PathBuf, data: TensorRef, output: PathBuf) -> Self {
        Self {
            model,
            data: Some(data),
            labels: None,
            normalize: None,
            class_names: Vec::new(),
            activation: ActivationRule::Quadratic,
            overrides: Vec::new(),
            fit: FitArgs::USUAL,
            granularity: GranularityOption::Channel,
            precision: DEFAULT_PRECISION_BITS,
            max_log_n: DEFAULT_MAX_LOG_N,
            max_depth: None,
            bootstraps: TimingOption::Cheapest,
            accept_accuracy: false,
            target: Target::Ckks,
            bits: BitsOption(BitsChoice::Auto),
            failure: FailureOption(DEFAULT_LOG2_FAILURE),
            stop_after: None,
            cache: FitCacheOption { no_cache: true },
            output: Some(output),
            force: ForceOption::REFUSE,
        }
    }

    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Result<()> {
        match (&self.stop_after, &self.data, &self.output) {
            (Some(pass), _, _) => self.print_graph(pass, context),
            (None, Some(data), Some(output)) if self.target == Target::Tfhe => {
                let started = Instant::now();
                let (network, calibration, labels) = self.read(data, output)?;
                let options = self.options(output);
                let input = CompileInput {
                    model: &network.bytes,
                    calibration: &calibration,
                    labels: labels.as_deref(),
                    options: &options,
                };
                integers::compile(self, input, output, started, context)
            }
            (None, Some(data), Some(output)) => {
                let plan = self.execute(data, output, context)?;
                let terminal = context.terminal;
                terminal.result(&plan, |width| pairs(&cost_card(&plan.report), width))?;
                for warning in &plan.report.warnings {
                    terminal.say(format_args!("warning: {warning}"));
                }
                plan.written.announce(terminal);
                terminal.next(format_args!("heron report {}", output.display()));
                Ok(())
            }
            (None, ..) => unreachable!("the command line requires data and output"),
        }
    }

    /// Compiles and writes.
    pub(super) fn execute(&self, data: &TensorRef, output: &Path, context: &Context) -> Result<PlanWritten> {
        let started = Instant::now();
        let (network, calibration, labels) = self.read(data, output)?;
        let options = self.options(output);
        let step = context.terminal.step("compiling");
        let input = CompileInput {
            model: &network.bytes,
            calibration: &calibration,
            labels: labels.as_deref(),
            options: &options,
        };
        let Compiled { plan, weights, report } = compile_stored(input, &self.cache.open())?;
        drop(step);
        let report_json = serde_json::to_string_pretty(&report)? + "\n";
        write_plan(output, &plan, &weights, report_json.as_bytes(), self.force.overwrite())?;
        Ok(PlanWritten {
            written: Written::since(output, started),
            report,
        })
    }

    /// The model, its calibration samples and their labels.
    fn read(&self, data: &TensorRef, output: &Path) -> Result<(Network, Samples, Option<Vec<i64>>)> {
        self.force.check(output)?;
        let network = Network::read(&self.model)?;
        let calibration = calibration_samples(data, &network, self.normalization())?;
        let labels = self
            .labels
            .as_ref()
            .map(|labels| read_labels(labels, calibration.len()))
            .transpose()?;
        let labels = labels.map(|labels| labels.iter().map(|&label| label as i64).collect());
        Ok((network, calibration, labels))
    }

    fn normalization(&self) -> Option<Normalization> {
        self.normalize.as_ref().map(|option| option.0.clone())
    }

    fn options(&self, output: &Path) -> CompileOptions {
        let name = output.file_stem().map_or("plan".into(), |stem| stem.to_string_lossy());
        CompileOptions {
            activation: self.activation,
            overrides: self
                .overrides
                .iter()
                .map(|NodeRule(node, rule)| (node.clone(), *rule))
                .collect(),
            fit: self.fit.options(),
            granularity: self.granularity.granularity(),
            precision_bits: self.precision,
            max_log_n: self.max_log_n,
            max_depth: self.max_depth,
            timing: self.bootstraps.timing(),
            accuracy: if self.accept_accuracy {
                AccuracyGate::Accept
            } else {
                AccuracyGate::Enforce
            },
            normalization: self.normalization(),
            class_names: self.class_names.clone(),
            ..CompileOptions::new(&name)
        }
    }

    fn print_graph(&self, pass: &str, context: &Context) -> Result<()> {
        let network = Network::read(&self.model)?;
        let graph = simplify_until(pass, &network.imported.graph)
            .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        let listing = graph.to_string();
        context
            .terminal
            .result(&serde_json::json!({"pass": pass, "graph": listing}), |_| {
                listing.clone()
            })
    }
}
