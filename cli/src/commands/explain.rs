//! `heron explain`: why a layer has its levels, who spends a level, and why a parameter is what it is.
//!
//! Everything was worked out by `compile` and is read from the plan's report.

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;
use heron_compiler::report::Report;
use heron_compiler::schedule::{Candidate, LayerCause, Saving};
use heron_runtime::files::read_report;
use serde::Serialize;

use super::integers;
use super::report::parse_report;
use crate::context::Context;
use crate::failure::{Exit, Failure, Problem};
use crate::table::{Align, Table, wrap};
use crate::units;

const AFTER_HELP: &str = "\
Needs no key. What a layer would save is planned again without its levels, at
the same scale: fewer levels, perhaps a smaller ring.

Example:
  heron explain digits.plan --param log_n
  heron explain digits.plan --level 2
  heron explain digits.plan --node fc1";

/// Shorter than the list of questions that clap would make of it.
const USAGE: &str = "heron explain <PLAN> --node|--level|--bootstrap|--param <WHAT>";

/// At most this many savings are shown in a table.
const SHOWN_SAVINGS: usize = 5;

/// Options of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, override_usage = USAGE)]
pub(crate) struct ExplainArgs {
    /// The plan directory
    plan: PathBuf,
    #[command(flatten)]
    question: Question,
}

/// What to explain.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Question {
    /// A node of the network: who wants its levels
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// A level: who spends it
    #[arg(long, value_name = "N")]
    level: Option<u32>,
    /// A bootstrap, counted from 1: what it is for
    #[arg(long, value_name = "K")]
    bootstrap: Option<usize>,
    /// A parameter: what drives it, and what lost against it
    #[arg(long, value_enum, value_name = "NAME")]
    param: Option<Parameter>,
}

/// A parameter that has causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
enum Parameter {
    /// Base-2 logarithm of the ring degree
    LogN,
    /// How many levels there are
    Levels,
    /// Base-2 logarithm of the scale
    LogScale,
    /// Primes of a key-switching digit
    DigitLen,
}

/// What there is to say.
#[derive(Debug, PartialEq, Serialize)]
struct Answer {
    /// In a sentence or two.
    summary: String,
    /// Each wanted by the next.
    chain: Vec<LayerCause>,
    /// Parameter sets that were tried for it.
    candidates: Vec<Candidate>,
    /// What would be saved, the most first.
    savings: Vec<Saving>,
}

impl ExplainArgs {
    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Result<()> {
        let bytes = read_report(&self.plan)?;
        if integers::tfhe_report(&bytes).is_some() {
            let message = "a plan of exact integers has no levels to explain";
            return Err(Failure::new(Exit::Usage, message)
                .advise("`heron report` says what decides its parameters")
                .into());
        }
        let report = parse_report(&bytes, &self.plan)?;
        if report.causes.layers.is_empty() {
            let message = format!("`{}` was compiled before reports held causes", self.plan.display());
            return Err(Failure::new(Exit::Usage, message)
                .advise("compile the model again")
                .into());
        }
        let answer = self.question.answer(&report)?;
        context.terminal.result(&answer, |width| text(&answer, &report, width))
    }
}

impl Question {
    fn answer(&self, report: &Report) -> Result<Answer, Failure> {
        match (&self.node, self.level, self.bootstrap, self.param) {
            (Some(node), _, _, _) => of_node(report, node),
            (None, Some(level), _, _) => of_level(report, level),
            (None, None, Some(bootstrap), _) => of_bootstrap(report, bootstrap),
            (None, None, None, Some(parameter)) => Ok(of_parameter(report, parameter)),
            (None, None, None, None) => {
                Err(Failure::new(Exit::Usage, "say what to explain")
                    .advise("use --node, --level, --bootstrap or --param"))
            }
        }
    }
}

fn of_node(report: &Report, name: &str) -> Result<Answer, Failure> {
    let layers = &report.causes.layers;
    let Some(layer) = layers.iter().find(|layer| layer.node == name) else {
        return Err(no_such_node(layers, name));
    };
    let place = if layer.critical {
        "it is on a longest chain: a level more here is a level more before it"
    } else {
        "it is beside the longest chain"
    };
    let summary = format!(
        "`{name}` takes {} and {} of the time of all key switches; {place}",
        spends(layer),
        units::percent(layer.time_share)
    );
    Ok(Answer {
        summary,
        chain: chain_from(layers, layer),
        candidates: Vec::new(),
        savings: savings_of(report, |saving| saving.node == name),
    })
}

fn of_level(report: &Report, level: u32) -> Result<Answer, Failure> {
    let layers = &report.causes.layers;
    let (top, all) = (network_levels(report), report.parameters.levels);
    if level > all {
        let message = format!("the plan has levels 0 to {all}, and none of {level}");
        return Err(Failure::new(Exit::Usage, message));
    }
    if level > top {
        let message = format!("level {level} is spent inside of bootstraps: the network has levels up to {top}");
        return Err(Failure::new(Exit::Usage, message).advise("ask for --bootstrap 1"));
    }
    let spenders: Vec<&LayerCause> = layers
        .iter()
        .filter(|layer| layer.level_in.0 >= level && layer.level_out.0 < level)
        .collect();
    let critical = spenders.iter().find(|layer| layer.critical);
    let names: Vec<String> = spenders.iter().map(|layer| format!("`{}`", layer.node)).collect();
    let summary = match critical {
        Some(_) => format!("level {level} is spent by {}", names.join(", ")),
        None => format!("level {level} is the lowest: the result is left at it"),
    };
    Ok(Answer {
        summary,
        chain: critical.map_or_else(Vec::new, |layer| chain_from(layers, layer)),
        candidates: Vec::new(),
        savings: savings_of(report, |saving| spenders.iter().any(|layer| layer.node == saving.node)),
    })
}

fn of_bootstrap(report: &Report, bootstrap: usize) -> Result<Answer, Failure> {
    let layers = &report.causes.layers;
    let lines = report
        .bootstraps
        .as_ref()
        .map_or(&[][..], |bootstraps| &bootstraps.lines);
    let Some(line) = bootstrap.checked_sub(1).and_then(|index| lines.get(index)) else {
        let count = units::count(lines.len(), "bootstrap");
        let message = format!("the plan has {count}, and no number {bootstrap}");
        return Err(Failure::new(Exit::Usage, message));
    };
    let layer = layers.iter().find(|layer| layer.node == line.node);
    let summary = format!(
        "bootstrap {bootstrap} of {} takes the result of `{}` from level {} to {}, for what follows up to the next one{}",
        lines.len(),
        line.node,
        line.level_in.0,
        line.level_out.0,
        against_late(report)
    );
    let candidates = report.candidates.iter();
    Ok(Answer {
        summary,
        chain: layer.map_or_else(Vec::new, |layer| up_to_bootstrap(chain_from(layers, layer))),
        candidates: candidates
            .filter(|candidate| candidate.bootstraps.is_some())
            .cloned()
            .collect(),
        savings: savings_of(report, |saving| saving.bootstraps < lines.len()),
    })
}

/// What the plan costs, and what it would with the same bootstraps as late as possible.
fn against_late(report: &Report) -> String {
    let chosen = report.candidates.iter().find(|candidate| candidate.verdict == "chosen");
    let late = chosen.and_then(|chosen| chosen.bootstraps?.late_rotations);
    match chosen.and_then(|chosen| chosen.rotations).zip(late) {
        Some((rotations, late)) => format!(
            "; the plan costs as much as {rotations:.0} rotations of N = 2^16, with bootstraps as late as possible {late:.0}"
        ),
        None => String::new(),
    }
}

/// The start of a chain, up to the next result that is bootstrapped.
fn up_to_bootstrap(mut chain: Vec<LayerCause>) -> Vec<LayerCause> {
    let next = chain.iter().skip(1).position(|layer| layer.refreshed.is_some());
    chain.truncate(next.map_or(chain.len(), |index| index + 2));
    chain
}

fn of_parameter(report: &Report, parameter: Parameter) -> Answer {
    let parameters = &report.parameters;
    let longest = longest_chain(&report.causes.layers);
    let in_ring = |candidate: &Candidate| candidate.log_n == parameters.log_n;
    let candidates = report.candidates.iter();
    let chosen: Vec<&Candidate> = match parameter {
        Parameter::LogN => candidates.collect(),
        Parameter::Levels => Vec::new(),
        Parameter::LogScale | Parameter::DigitLen => candidates.filter(|candidate| in_ring(candidate)).collect(),
    };
    Answer {
        summary: summary_of(report, parameter, &longest),
        chain: match parameter {
            Parameter::LogN | Parameter::Levels => longest,
            Parameter::LogScale | Parameter::DigitLen => Vec::new(),
        },
        candidates: chosen.into_iter().cloned().collect(),
        savings: savings_of(report, |saving| match parameter {
            Parameter::LogN => saving.log_n < parameters.log_n,
            Parameter::Levels => saving.levels < network_levels(report) || saving.bootstraps < n_bootstraps(report),
            Parameter::LogScale | Parameter::DigitLen => false,
        }),
    }
}

fn summary_of(report: &Report, parameter: Parameter, longest: &[LayerCause]) -> String {
    let parameters = &report.parameters;
    let (log_n, log_scale) = (parameters.log_n, parameters.log_scale);
    let levels = units::count(parameters.levels as usize, "level");
    let spent = match n_bootstraps(report) {
        0 => levels,
        _ => {
            let top = units::count(network_levels(report) as usize, "level");
            format!("{levels} ({top} of the network, the others inside of bootstraps)")
        }
    };
    match parameter {
        Parameter::LogN => format!(
            "N = 2^{log_n}: the smallest ring with room for {spent} at 2^{log_scale}, for the vectors and for {} bits of precision{}",
            report.precision.wanted_bits,
            room(report)
        ),
        Parameter::Levels => {
            let takers = longest.iter().filter(|layer| layer.level_in > layer.level_out);
            let takers = units::count(takers.count(), "layer");
            format!("{spent}, spent by the {takers} of the longest chain")
        }
        Parameter::LogScale => {
            let why = match n_bootstraps(report) {
                0 => format!("the largest that N = 2^{log_n} has room for at 128 bits"),
                _ => "that of its bootstraps".to_owned(),
            };
            let bits = report.precision.predicted_bits;
            format!("a scale of 2^{log_scale}: {why}; {bits:.1} bits of precision are predicted")
        }
        Parameter::DigitLen => format!(
            "{} of a key switch at the top level: the cheapest of those that are precise enough",
            units::count(parameters.digits, "digit")
        ),
    }
}

fn n_bootstraps(report: &Report) -> usize {
    report
        .bootstraps
        .as_ref()
        .map_or(0, |bootstraps| bootstraps.lines.len())
}

/// The levels of the network: without those that are spent inside of bootstraps.
fn network_levels(report: &Report) -> u32 {
    let operands = report.causes.layers.iter().map(|layer| layer.level_in.0);
    operands.max().unwrap_or(0)
}

/// What the next smaller ring has room for.
fn room(report: &Report) -> String {
    let smaller = report
        .causes
        .room
        .iter()
        .rev()
        .find(|room| room.log_n < report.parameters.log_n);
    smaller.map_or_else(String::new, |room| {
        format!(
            "; N = 2^{} has room for {} at that scale",
            room.log_n,
            units::count(room.levels as usize, "level")
        )
    })
}

fn savings_of(report: &Report, of_interest: impl Fn(&Saving) -> bool) -> Vec<Saving> {
    let savings = report.causes.savings.iter();
    savings.filter(|saving| of_interest(saving)).cloned().collect()
}

/// A layer, the one that wants its result, and so on to the output.
fn chain_from(layers: &[LayerCause], first: &LayerCause) -> Vec<LayerCause> {
    let mut chain = vec![first.clone()];
    // Readers come later in the order of evaluation, so that a damaged report cannot lead in circles.
    for layer in layers.iter().skip_while(|layer| layer.node != first.node).skip(1) {
        if chain.last().and_then(|last| last.wanted_by.as_ref()) == Some(&layer.node) {
            chain.push(layer.clone());
        }
    }
    chain
}

/// The longest chain from the input on.
fn longest_chain(layers: &[LayerCause]) -> Vec<LayerCause> {
    let first = layers.iter().find(|layer| layer.critical);
    first.map_or_else(Vec::new, |layer| chain_from(layers, layer))
}

fn no_such_node(layers: &[LayerCause], name: &str) -> Failure {
    let mut failure = Failure::new(Exit::Usage, format!("the plan has no node `{name}`"));
    failure.problems = layers
        .iter()
        .filter(|layer| layer.node.contains(name) || name.contains(&layer.node))
        .map(|layer| Problem {
            place: layer.node.clone(),
            reason: "is one".to_owned(),
            advice: String::new(),
        })
        .collect();
    failure.advise("`heron report` lists the nodes")
}

fn spends(layer: &LayerCause) -> String {
    match layer.level_in.0.saturating_sub(layer.level_out.0) {
        0 => format!("no level at {}", layer.level_out.0),
        depth => format!(
            "{} ({} to {})",
            units::count(depth as usize, "level"),
            layer.level_in.0,
            layer.level_out.0
        ),
    }
}

fn text(answer: &Answer, report: &Report, width: usize) -> String {
    let mut sections = vec![wrap(&answer.summary, width).join("\n") + "\n"];
    if !answer.chain.is_empty() {
        sections.push(chain_table(&answer.chain).render(width));
    }
    if !answer.candidates.is_empty() {
        sections.push(candidate_table(&answer.candidates).render(width));
    }
    if !answer.savings.is_empty() {
        sections.push(saving_table(&answer.savings, report).render(width));
    }
    sections.join("\n")
}

fn chain_table(chain: &[LayerCause]) -> Table {
    let mut table = Table::new(&[
        ("layer", Align::Text),
        ("in", Align::Number),
        ("out", Align::Number),
        ("time", Align::Number),
        ("because", Align::Text),
    ]);
    for layer in chain {
        let because = match (&layer.wanted_by, layer.refreshed) {
            (Some(reader), Some(level)) => format!("bootstrapped to {} for {reader}", level.0),
            (Some(reader), None) => format!("{reader} reads it at {}", layer.level_out.0),
            (None, _) => "it is the output".to_owned(),
        };
        table.row([
            layer.node.clone(),
            layer.level_in.0.to_string(),
            layer.level_out.0.to_string(),
            units::percent(layer.time_share),
            because,
        ]);
    }
    table
}

fn candidate_table(candidates: &[Candidate]) -> Table {
    let mut table = Table::new(&[
        ("N", Align::Text),
        ("digit", Align::Number),
        ("scale", Align::Text),
        ("log QP", Align::Number),
        ("bootstraps", Align::Number),
        ("rotations", Align::Number),
        ("verdict", Align::Text),
    ]);
    let alike = |a: &Candidate, b: &Candidate| {
        a.log_scale.is_none() && b.log_scale.is_none() && a.log_n == b.log_n && a.verdict == b.verdict
    };
    for run in candidates.chunk_by(alike) {
        let (first, last) = (&run[0], &run[run.len() - 1]);
        let digits = match (first.digit_len, last.digit_len) {
            (Some(from), Some(to)) if from < to => format!("{from} to {to}"),
            (Some(digit_len), _) => digit_len.to_string(),
            (None, _) => String::new(),
        };
        table.row([
            format!("2^{}", first.log_n),
            digits,
            first.log_scale.map_or_else(String::new, |log| format!("2^{log}")),
            first.log_qp.map_or_else(String::new, |log| format!("{log:.0}")),
            first.bootstraps.map_or_else(String::new, |bootstraps| {
                format!("{} every {}", bootstraps.count, bootstraps.levels_between)
            }),
            first
                .rotations
                .map_or_else(String::new, |rotations| format!("{rotations:.0}")),
            first.verdict.clone(),
        ]);
    }
    table
}

fn saving_table(savings: &[Saving], report: &Report) -> Table {
    let mut table = Table::new(&[
        ("if it took no level", Align::Text),
        ("levels", Align::Number),
        ("N", Align::Text),
        ("log QP", Align::Number),
        ("bootstraps", Align::Number),
        ("time", Align::Number),
    ]);
    let count = |n: usize| if n == 0 { String::new() } else { n.to_string() };
    for saving in savings.iter().take(SHOWN_SAVINGS) {
        table.row([
            saving.node.clone(),
            saving.levels.to_string(),
            format!("2^{}", saving.log_n),
            format!("{:.0}", saving.log_qp),
            count(saving.bootstraps),
            units::percent(saving.time),
        ]);
    }
    table.row([
        "the plan as it is".to_owned(),
        network_levels(report).to_string(),
        format!("2^{}", report.parameters.log_n),
        format!("{:.0}", report.parameters.log_qp),
        count(n_bootstraps(report)),
        units::percent(1.0),
    ]);
    table
}
