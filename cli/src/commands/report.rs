//! `heron report`: what a plan costs, layer by layer, and how secure it is.

use std::path::{Path, PathBuf};

use anyhow::Result;
use heron_compiler::approximate::{ActivationReport, Form};
use heron_compiler::gate::Accuracy;
use heron_compiler::report::{BootstrapReport, Report};
use heron_params::SecurityCard;
use heron_runtime::files::{read_plan, read_report};
use heron_runtime::sessions::ckks_program;
use serde::Serialize;

use super::estimate::{BudgetOption, CostEstimate, MachineOption};
use super::integers;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::security_card;
use crate::table::{Align, Table, pairs, wrap};
use crate::units;

const AFTER_HELP: &str = "\
Needs no key. The levels say where the modulus goes, rotations and products
where the time goes. Times are estimates from measured operations; layers may
share keys.

Example:
  heron report digits.plan
  heron report digits.plan --format json
  heron report digits.plan --compare-targets digits4.plan";

/// Options of `report`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ReportArgs {
    /// The plan directory
    plan: PathBuf,
    /// A plan of the same model for the other target: run both once, and say which to take
    #[arg(long, value_name = "PLAN")]
    compare_targets: Option<PathBuf>,
    #[command(flatten)]
    machine: MachineOption,
    #[command(flatten)]
    budget: BudgetOption,
}

/// A report with what the plan will cost.
#[derive(Debug, Serialize)]
struct Estimated {
    #[serde(flatten)]
    report: Report,
    estimate: CostEstimate,
}

impl ReportArgs {
    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Result<()> {
        if let Some(other) = &self.compare_targets {
            return integers::compare_targets(&self.plan, other, context);
        }
        let bytes = read_report(&self.plan)?;
        if let Some(report) = integers::tfhe_report(&bytes) {
            let text = |width| integers::report_text(&report, width);
            context.terminal.result(&report, text)?;
            let plan = self.plan.display();
            context
                .terminal
                .next(format_args!("heron keygen {plan}/client.json -o keys"));
            return Ok(());
        }
        let report = parse_report(&bytes, &self.plan)?;
        let bundle = read_plan(&self.plan)?;
        let estimate = CostEstimate::of(ckks_program(&bundle.plan)?, &self.machine.table()?, self.budget);
        let estimated = Estimated { report, estimate };
        context
            .terminal
            .result(&estimated, |width| text(&estimated.report, &estimated.estimate, width))?;
        let plan = self.plan.display();
        context
            .terminal
            .next(format_args!("heron keygen {plan}/client.json -o keys"));
        Ok(())
    }
}

/// The report of a plan for CKKS.
pub(super) fn parse_report(bytes: &[u8], plan: &Path) -> Result<Report, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        let message = format!("`{}` is damaged: {error}", plan.join("report.json").display());
        Failure::new(Exit::Damaged, message).advise("compile the model again")
    })
}

fn text(report: &Report, estimate: &CostEstimate, width: usize) -> String {
    let mut costs = costs(report);
    costs.extend(estimate.entries());
    let mut sections = vec![
        format!(
            "{}: {} to {}\n",
            report.name,
            units::shape(&report.model.input_shape),
            units::shape(&report.model.output_shape)
        ),
        layer_table(report, estimate).render(width),
        pairs(&costs, width),
        pairs(&security_card::entries(&report.security), width),
    ];
    if !report.activations.is_empty() {
        sections.insert(2, activation_table(&report.activations).render(width));
    }
    if let Some(bootstraps) = &report.bootstraps {
        sections.insert(2, bootstrap_table(bootstraps).render(width));
        sections.push(pairs(&bootstrap_entries(bootstraps), width));
    }
    if !report.warnings.is_empty() {
        let lines: Vec<String> = report
            .warnings
            .iter()
            .flat_map(|w| wrap(&format!("warning: {w}"), width))
            .collect();
        sections.push(lines.join("\n") + "\n");
    }
    sections.join("\n")
}

fn layer_table(report: &Report, estimate: &CostEstimate) -> Table {
    let mut table = Table::new(&[
        ("layer", Align::Text),
        ("in", Align::Number),
        ("out", Align::Number),
        ("depth", Align::Number),
        ("rotations", Align::Number),
        ("ct·ct", Align::Number),
        ("ct·pt", Align::Number),
        ("keys", Align::Number),
        ("plaintexts", Align::Number),
        ("ms", Align::Number),
    ]);
    let count = |n: u64| if n == 0 { String::new() } else { n.to_string() };
    let size = |bytes: u64| if bytes == 0 { String::new() } else { units::bytes(bytes) };
    for (layer, cost) in report.layers.iter().zip(&estimate.layers) {
        table.row([
            layer.node.clone(),
            layer.level_in.0.to_string(),
            layer.level_out.0.to_string(),
            count(u64::from(layer.depth)),
            count(layer.rotations),
            count(layer.counts.ciphertext_products),
            count(layer.counts.plaintext_products),
            size(layer.key_bytes),
            size(cost.plaintext_bytes),
            format!("{:.1}", cost.ms),
        ]);
    }
    let totals = &report.totals;
    table.row([
        "all".to_owned(),
        String::new(),
        String::new(),
        report.layers.iter().map(|layer| layer.depth).sum::<u32>().to_string(),
        totals.rotations.to_string(),
        totals.counts.ciphertext_products.to_string(),
        totals.counts.plaintext_products.to_string(),
        units::bytes(totals.key_memory_bytes),
        size(estimate.memory.plaintexts),
        format!("{:.1}", estimate.seconds * 1e3),
    ]);
    table
}

/// Every bootstrap: whose result, and from which level to which.
fn bootstrap_table(bootstraps: &BootstrapReport) -> Table {
    let mut table = Table::new(&[
        ("bootstrap", Align::Text),
        ("of", Align::Text),
        ("in", Align::Number),
        ("out", Align::Number),
    ]);
    for bootstrap in &bootstraps.lines {
        table.row([
            bootstrap.line.to_string(),
            bootstrap.node.clone(),
            bootstrap.level_in.0.to_string(),
            bootstrap.level_out.0.to_string(),
        ]);
    }
    table
}

/// What all bootstraps have in common.
fn bootstrap_entries(bootstraps: &BootstrapReport) -> Vec<(&'static str, String)> {
    let b = bootstraps;
    vec![
        (
            "bootstraps",
            format!(
                "{} of {} real slots, from level {} to {}: {:.0} bits each",
                b.lines.len(),
                b.slots,
                b.input_level.0,
                b.output_level.0,
                b.bits_left
            ),
        ),
        (
            "each keeps",
            format!(
                "{:.1} bits in the worst slot, {:.1} on average, of values in [-1, 1]",
                b.worst_bits, b.mean_bits
            ),
        ),
        (
            "each costs",
            format!(
                "{:.0} rotations at 24 limbs; {} of keys in memory",
                b.rotations,
                units::bytes(b.key_bytes)
            ),
        ),
        (
            "fails",
            format!("with a probability of at most 2^{:.1} each", b.failure_log2),
        ),
        (
            "sparse secret",
            format!(
                "weight 32, only for raises: log QP {:.1} of at most {} for 128 bits",
                b.sparse_log_qp, b.sparse_max_log_qp
            ),
        ),
    ]
}

fn activation_table(activations: &[ActivationReport]) -> Table {
    let mut table = Table::new(&[
        ("activation", Align::Text),
        ("function", Align::Text),
        ("as", Align::Text),
        ("on", Align::Number),
        ("polynomials", Align::Number),
        ("rms error", Align::Number),
    ]);
    for activation in activations {
        let interval = activation.interval;
        table.row([
            activation.node.clone(),
            activation.function.clone(),
            form_name(activation.form).to_owned(),
            format!("{:.2} to {:.2}", interval.min, interval.max),
            activation.polynomials.to_string(),
            format!("{:.4}", activation.mse.sqrt()),
        ]);
    }
    table
}

fn form_name(form: Form) -> &'static str {
    match form {
        Form::Folded => "one square",
        Form::Linear => "a line",
        Form::TwoLevel => "two products",
        Form::Products => "products",
        Form::Chebyshev => "a polynomial",
        Form::Composite => "a composite sign",
    }
}

/// What a plan costs and how good it is, in a few lines.
pub(super) fn costs(report: &Report) -> Vec<(&'static str, String)> {
    let (parameters, totals) = (&report.parameters, &report.totals);
    vec![
        (
            "parameters",
            format!(
                "N = 2^{}, {} levels, scale 2^{}, log QP {:.0}",
                parameters.log_n, parameters.levels, parameters.log_scale, parameters.log_qp
            ),
        ),
        (
            "work",
            format!(
                "{}, {} of two ciphertexts, {} with plaintexts",
                units::count(totals.rotations as usize, "rotation"),
                units::count(totals.counts.ciphertext_products as usize, "product"),
                totals.counts.plaintext_products
            ),
        ),
        (
            "keys",
            format!(
                "{} for rotations; {} in a file, {} in memory",
                totals.rotation_keys,
                units::bytes(totals.key_file_bytes),
                units::bytes(totals.key_memory_bytes)
            ),
        ),
        (
            "precision",
            format!(
                "at least {:.1} bits predicted, {} asked for",
                report.precision.predicted_bits, report.precision.wanted_bits
            ),
        ),
        ("accuracy", accuracy(&report.accuracy)),
    ]
}

/// Costs, and how secure the plan is in one line.
pub(super) fn cost_card(report: &Report) -> Vec<(&'static str, String)> {
    let SecurityCard {
        security_bits,
        log_qp,
        max_log_qp,
        log_n,
        ..
    } = &report.security;
    let security = format!("{security_bits} bits: log QP {log_qp:.1} of at most {max_log_qp} for N = 2^{log_n}");
    let mut entries = costs(report);
    entries.push(("security", security));
    entries
}

fn accuracy(accuracy: &Accuracy) -> String {
    let mut text = format!(
        "{} of {} held-back samples get the clear network's answer",
        accuracy.agreeing, accuracy.samples
    );
    if let (Some(clear), Some(polynomial)) = (accuracy.clear, accuracy.polynomial) {
        text.push_str(&format!(
            "; top-1 clear {}, polynomial {}",
            units::percent(clear),
            units::percent(polynomial)
        ));
    }
    text
}
