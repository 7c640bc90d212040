//! `heron simulate`: a plan or a model evaluated without encryption.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use heron_compiler::approximate::{ActivationReport, Approximated};
use heron_compiler::calibrate::Samples as Calibration;
use heron_compiler::divergences;
use heron_compiler::he::ClearPolynomial;
use heron_plan::InputSpec;
use heron_runtime::files::{PlanBundle, read_plan, write_tensor};
use heron_runtime::samples::{RangePolicy, Samples, prepare};
use heron_runtime::sessions::SessionError;
use heron_runtime::simulate::{Exceedance, Noise, Stopped, simulate};
use serde::Serialize;

use super::integers;
use crate::answers::{agreement, classes, largest_difference, largest_magnitude};
use crate::arguments::{NormalizeOption, TensorRef};
use crate::artefact::{ForceOption, Written};
use crate::context::Context;
use crate::diverged::Diverged;
use crate::network::{Network, read_labels};
use crate::polynomials::{PolynomialArgs, calibration_samples};
use crate::rule_table::{RuleRow, finite_share, rule_table};
use crate::table::{Align, Table, pairs};
use crate::units;

const AFTER_HELP: &str = "\
With a plan: evaluates it slot by slot, exactly and with predicted noise added.
With a model: evaluates the network in clear, and with --activation the same with
polynomials, several rules beside each other where they are given. With labels:
top-1 accuracies side by side.

Example:
  heron simulate digits.plan -i models/data/digits.npz:test \\
      --model models/digits_mlp_relu/model.onnx \\
      --labels models/data/digits.npz:test_labels";

/// The noise of a simulation is the same every time.
const NOISE_SEED: u64 = 1;

/// Options of `simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct SimulateArgs {
    /// The plan directory
    #[arg(required_unless_present = "model")]
    plan: Option<PathBuf>,
    /// Inputs
    #[arg(short, long, value_name = "FILE[:ARRAY]")]
    input: TensorRef,
    /// The ONNX file to compare with, or to evaluate where no plan is given
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// Labels of the inputs
    #[arg(long, value_name = "FILE[:ARRAY]")]
    labels: Option<TensorRef>,
    /// For integer inputs where no plan is given: (x * scale - mean) / std
    #[arg(
        long,
        value_name = "SCALE,MEAN,STD",
        allow_hyphen_values = true,
        conflicts_with = "plan"
    )]
    normalize: Option<NormalizeOption>,
    /// Use the first N inputs only
    #[arg(long, value_name = "N")]
    n: Option<NonZeroUsize>,
    /// Write the outputs to a .npy file
    #[arg(short, long, value_name = "Y.npy")]
    output: Option<PathBuf>,
    #[command(flatten)]
    polynomials: PolynomialArgs,
    #[command(flatten)]
    force: ForceOption,
}

/// One number for each network that was evaluated.
#[derive(Debug, Default, Serialize)]
struct PerNetwork {
    /// The original network.
    clear: Option<f64>,
    /// The network with polynomials in place of its activations.
    polynomial: Option<f64>,
    /// That with the noise of encryption as predicted.
    simulated: Option<f64>,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Simulated {
    samples: usize,
    /// Inputs beyond what the plan was calibrated for.
    out_of_range: usize,
    /// Fraction of samples with the right class.
    top1: PerNetwork,
    /// Fraction of samples with the class that the original network names.
    agreement: PerNetwork,
    /// Largest difference to the polynomial network's outputs.
    predicted_noise: Option<f64>,
    predicted_precision_bits: Option<f64>,
    /// Lines of the plan whose values left their bounds: an encrypted run could overflow there.
    exceeded: Vec<ExceededLine>,
    /// Samples that a bootstrap refused: an encrypted run would give nothing.
    stopped: Vec<StoppedSample>,
    /// Fraction of samples on which the polynomial network stays finite.
    finite: Option<f64>,
    /// Inputs on which the original network's values diverge.
    diverged: Vec<Diverged>,
    /// Levels of the activations, where polynomials were fitted.
    levels: Option<Vec<ActivationLevels>>,
    /// Where several rules were given, what each makes of the network.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<RuleRow>,
    output: Option<Written>,
    #[serde(skip)]
    seconds: f64,
}

/// A line whose values left its bound.
#[derive(Debug, Serialize)]
struct ExceededLine {
    line: u32,
    node: String,
    largest: f64,
    bound: f64,
    samples: usize,
}

/// A sample that a bootstrap refused.
#[derive(Debug, Serialize)]
struct StoppedSample {
    sample: usize,
    line: u32,
    node: String,
}

/// How many levels an activation takes.
#[derive(Debug, Serialize)]
struct ActivationLevels {
    node: String,
    rule: String,
    levels: u32,
}

fn activation_levels(polynomials: &Approximated) -> Vec<ActivationLevels> {
    let of = |activation: &ActivationReport| ActivationLevels {
        node: activation.node.clone(),
        rule: activation.rule.clone(),
        levels: activation.depth,
    };
    polynomials.activations.iter().map(of).collect()
}

/// The outputs of each network.
#[derive(Debug, Default)]
struct Outputs {
    clear: Option<Vec<Vec<f64>>>,
    polynomial: Option<Vec<Vec<f64>>>,
    simulated: Option<Vec<Vec<f64>>>,
    exceeded: Vec<Exceedance>,
    stopped: Vec<Stopped>,
}

impl SimulateArgs {
    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Result<()> {
        let simulated = self.execute(context)?;
        let terminal = context.terminal;
        terminal.result(&simulated, |width| simulated.text(width))?;
        if let Some(written) = &simulated.output {
            written.announce(terminal);
        }
        match &self.plan {
            Some(plan) => terminal.next(format_args!("heron keygen {} -o keys", plan.display())),
            None => terminal.say(format_args!("evaluated in {}", units::seconds(simulated.seconds))),
        }
        Ok(())
    }

    fn execute(&self, context: &Context) -> Result<Simulated> {
        let started = Instant::now();
        if let Some(output) = &self.output {
            self.force.check(output)?;
        }
        let network = self.model.as_ref().map(|model| Network::read(model)).transpose()?;
        let bundle = self.plan.as_ref().map(|plan| read_plan(plan)).transpose()?;
        let spec = match (&bundle, &network) {
            (Some(bundle), _) => bundle.plan.input.clone(),
            (None, Some(network)) => network.input_spec(self.normalize.as_ref().map(|option| option.0.clone())),
            (None, None) => unreachable!("the command line requires one of them"),
        };
        let (mut samples, out_of_range) = self.samples(&spec)?;
        let n_given = samples.values.len();
        let labels = self
            .labels
            .as_ref()
            .map(|labels| read_labels(labels, n_given))
            .transpose()?;
        samples.values.truncate(self.n.map_or(usize::MAX, NonZeroUsize::get));
        let mut outputs = Outputs::of(network.as_ref(), bundle.as_ref(), &samples, context)?;
        let rules = match self.polynomials.activation.as_slice() {
            [_, _, ..] => self.each_rule(network.as_ref(), (&outputs, &samples, labels.as_deref()), context)?,
            _ => Vec::new(),
        };
        let polynomials = self.polynomials(network.as_ref(), context)?;
        if let Some(polynomials) = &polynomials {
            let _step = context.terminal.step("evaluating with polynomials");
            outputs.polynomial = Some(ClearPolynomial::new(&polynomials.graph).outputs(&samples.values));
        }
        let diverged = self.diverged(network.as_ref(), &outputs, &samples)?;
        let output = self.write(&outputs, started)?;
        Ok(Simulated {
            output,
            diverged,
            seconds: started.elapsed().as_secs_f64(),
            levels: polynomials.map(|polynomials| activation_levels(&polynomials)),
            rules,
            ..outputs.compare(samples.values.len(), out_of_range, labels.as_deref())
        })
    }

    /// The network with polynomials, if there is to be one.
    fn polynomials(&self, network: Option<&Network>, context: &Context) -> Result<Option<Approximated>> {
        let (Some(network), &[rule]) = (network, self.polynomials.activation.as_slice()) else {
            return Ok(None);
        };
        let _step = context.terminal.step("fitting polynomials");
        let Some(calibration) = self.calibration(network)? else {
            return Ok(None);
        };
        Ok(Some(self.polynomials.network(network, &calibration, rule)?))
    }

    fn calibration(&self, network: &Network) -> Result<Option<Calibration>> {
        let normalization = self.normalize.as_ref().map(|option| option.0.clone());
        self.polynomials.calibration(network, normalization)
    }

    /// What each of several rules makes of the network. A rule that does not apply is a row, and no error.
    fn each_rule(
        &self,
        network: Option<&Network>,
        (outputs, samples, labels): (&Outputs, &Samples, Option<&[usize]>),
        context: &Context,
    ) -> Result<Vec<RuleRow>> {
        let (Some(network), Some(clear)) = (network, &outputs.clear) else {
            return Ok(Vec::new());
        };
        let Some(calibration) = self.calibration(network)? else {
            return Ok(Vec::new());
        };
        let (clear, rules) = (classes(clear), &self.polynomials.activation);
        let labels = labels.map(|labels| &labels[..clear.len()]);
        let step = context.terminal.step("fitting and evaluating");
        let mut rows = Vec::new();
        for (done, &rule) in rules.iter().enumerate() {
            rows.push(match self.polynomials.network(network, &calibration, rule) {
                Ok(found) => RuleRow::of(rule.to_string(), &found, &samples.values, (&clear, labels)),
                Err(error) => RuleRow::refused(rule.to_string(), error.to_string()),
            });
            step.progress(done as u64 + 1, rules.len() as u64);
        }
        Ok(rows)
    }

    /// Inputs on which the network diverges: against calibration samples if there are some, else those without an answer.
    fn diverged(&self, network: Option<&Network>, outputs: &Outputs, samples: &Samples) -> Result<Vec<Diverged>> {
        let Some(network) = network.filter(|_| self.plan.is_none()) else {
            return Ok(Vec::new());
        };
        let calibration = self.polynomials.calibration.as_ref();
        let normalization = self.normalize.as_ref().map(|option| option.0.clone());
        let calibration = calibration
            .map(|calibration| calibration_samples(calibration, network, normalization))
            .transpose()?;
        let answers = outputs.clear.as_deref().unwrap_or_default();
        if calibration.is_none() && finite_share(answers) == 1.0 {
            return Ok(Vec::new());
        }
        let found = divergences(&network.imported.graph, calibration.as_ref(), &samples.values);
        Ok(found.into_iter().map(Diverged::from).collect())
    }

    /// The samples, and how many of them the plan's client would refuse.
    fn samples(&self, spec: &InputSpec) -> Result<(Samples, usize)> {
        let tensor = self.input.read_samples(&spec.shape)?;
        match prepare(spec, &tensor, RangePolicy::Refuse) {
            Err(SessionError::OutOfRange { samples, .. }) => {
                Ok((prepare(spec, &tensor, RangePolicy::AllowOutOfRange)?, samples))
            }
            prepared => Ok((prepared?, 0)),
        }
    }

    /// Writes what an encrypted run would give, or the model where there is no plan.
    fn write(&self, outputs: &Outputs, started: Instant) -> Result<Option<Written>> {
        let (Some(path), Some(values)) = (&self.output, outputs.simulated.as_ref().or(outputs.clear.as_ref())) else {
            return Ok(None);
        };
        let shape = [values.len(), values.first().map_or(0, Vec::len)];
        write_tensor(path, &shape, &values.concat(), self.force.overwrite())?;
        Ok(Some(Written::since(path, started)))
    }
}

impl Outputs {
    fn of(
        network: Option<&Network>,
        bundle: Option<&PlanBundle>,
        samples: &Samples,
        context: &Context,
    ) -> Result<Self> {
        let mut outputs = Self {
            clear: network.map(|network| network.outputs(&samples.values)).transpose()?,
            ..Self::default()
        };
        let Some(bundle) = bundle else { return Ok(outputs) };
        if bundle.plan.program.tfhe().is_some() {
            outputs.simulated = Some(integers::outputs(bundle, samples)?);
            return Ok(outputs);
        }
        let total = samples.values.len() as u64;
        let step = context.terminal.step("evaluating exactly");
        let exact = simulate(bundle, samples, Noise::None, &mut |done| {
            step.progress(done as u64, total);
        })?;
        drop(step);
        let step = context.terminal.step("evaluating with noise");
        let noise = Noise::Seeded(NOISE_SEED);
        let noisy = simulate(bundle, samples, noise, &mut |done| step.progress(done as u64, total))?;
        outputs.polynomial = Some(exact.outputs);
        outputs.exceeded = exact.exceeded;
        outputs.stopped = exact.stopped;
        outputs.simulated = Some(noisy.outputs);
        Ok(outputs)
    }

    fn compare(&self, samples: usize, out_of_range: usize, labels: Option<&[usize]>) -> Simulated {
        let per_network = |reference: Option<&[usize]>| {
            let rate = |outputs: &Option<Vec<Vec<f64>>>| Some(agreement(&classes(outputs.as_ref()?), reference?));
            PerNetwork {
                clear: rate(&self.clear),
                polynomial: rate(&self.polynomial),
                simulated: rate(&self.simulated),
            }
        };
        let clear = self.clear.as_deref().map(classes);
        let noise = self
            .simulated
            .as_ref()
            .zip(self.polynomial.as_ref())
            .map(|(s, p)| (largest_difference(s, p), p));
        Simulated {
            samples,
            out_of_range,
            top1: per_network(labels),
            agreement: PerNetwork {
                clear: None,
                ..per_network(clear.as_deref())
            },
            predicted_noise: noise.map(|(noise, _)| noise),
            predicted_precision_bits: noise.map(|(noise, exact)| -(noise / largest_magnitude(exact)).log2()),
            exceeded: self.exceeded.iter().map(ExceededLine::of).collect(),
            stopped: self.stopped.iter().map(StoppedSample::of).collect(),
            finite: self.polynomial.as_deref().map(finite_share),
            levels: None,
            diverged: Vec::new(),
            rules: Vec::new(),
            output: None,
            seconds: 0.0,
        }
    }
}

impl ExceededLine {
    fn of(exceedance: &Exceedance) -> Self {
        Self {
            line: exceedance.line.0,
            node: exceedance.node.clone(),
            largest: exceedance.largest,
            bound: exceedance.bound,
            samples: exceedance.samples,
        }
    }
}

impl StoppedSample {
    fn of(stopped: &Stopped) -> Self {
        Self {
            sample: stopped.sample,
            line: stopped.line.0,
            node: stopped.node.clone(),
        }
    }
}

/// The samples that bootstraps refused, as many as a screen holds.
fn stopped_text(stopped: &[StoppedSample]) -> String {
    const SHOWN: usize = 8;
    let named = stopped.iter().take(SHOWN);
    let named: Vec<String> = named
        .map(|s| format!("{} at %{} ({})", s.sample, s.line, s.node))
        .collect();
    let more = match stopped.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("left what a bootstrap takes: {}{more}", named.join(", "))
}

impl Simulated {
    fn text(&self, width: usize) -> String {
        if !self.rules.is_empty() {
            return rule_table(self.top1.clear, &self.rules, width);
        }
        let mut table = Table::new(&[
            ("network", Align::Text),
            ("top-1 accuracy", Align::Number),
            ("same answer as clear", Align::Number),
        ]);
        let cell = |rate: Option<f64>| rate.map_or("-".to_owned(), units::percent);
        let rows = [
            ("clear", self.top1.clear, None),
            ("polynomial", self.top1.polynomial, self.agreement.polynomial),
            ("simulated", self.top1.simulated, self.agreement.simulated),
        ];
        for (name, top1, agreement) in rows {
            table.row([name.to_owned(), cell(top1), cell(agreement)]);
        }
        let mut entries = vec![("samples", self.samples.to_string())];
        if self.out_of_range > 0 {
            let text = format!(
                "{} are outside the calibrated range: `encrypt` refuses them",
                self.out_of_range
            );
            entries.push(("out of range", text));
        }
        if let Some(levels) = &self.levels {
            let total: u32 = levels.iter().map(|activation| activation.levels).sum();
            let mean = f64::from(total) / levels.len().max(1) as f64;
            let text = format!(
                "{total} for {}, {mean:.2} each",
                units::count(levels.len(), "activation")
            );
            entries.push(("levels", text));
        }
        if let Some(finite) = self.finite.filter(|&finite| finite < 1.0) {
            entries.push(("finite outputs", units::percent(finite)));
        }
        if !self.diverged.is_empty() {
            entries.push(("diverged", Diverged::list(&self.diverged)));
        }
        if let (Some(noise), Some(bits)) = (self.predicted_noise, self.predicted_precision_bits) {
            entries.push(("noise", format!("{noise:.2e} predicted, {bits:.1} bits of precision")));
        }
        if let Some(first) = self.exceeded.first() {
            let text = format!(
                "{} leave their bounds, first %{} ({}): {:.2} instead of {:.2}, on {}",
                units::count(self.exceeded.len(), "line"),
                first.line,
                first.node,
                first.largest,
                first.bound,
                units::count(first.samples, "sample")
            );
            entries.push(("out of bounds", text));
        }
        if !self.stopped.is_empty() {
            entries.push(("samples that stop", stopped_text(&self.stopped)));
        }
        format!("{}\n{}", table.render(width), pairs(&entries, width))
    }
}
