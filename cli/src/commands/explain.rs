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

/// At most this many savings are shown in a table.
const SHOWN_SAVINGS: usize = 5;

/// Options of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
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
        if report.bootstraps.is_some() {
            let message = format!(
                "`{}` bootstraps, and only plans without bootstraps are explained",
                self.plan.display()
            );
            return Err(Failure::new(Exit::Unsupported, message)
                .advise("`heron report` shows every bootstrap; report.json names the programs that lost")
                .into());
        }
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
        match (&self.node, self.level, self.param) {
            (Some(node), _, _) => of_node(report, node),
            (None, Some(level), _) => of_level(report, level),
            (None, None, Some(parameter)) => Ok(of_parameter(report, parameter)),
            (None, None, None) => {
                Err(Failure::new(Exit::Usage, "say what to explain").advise("use --node, --level or --param"))
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
        "it is on a longest chain: a level more here is a level more for the plan"
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
    let top = report.parameters.levels;
    if level > top {
        let message = format!("the plan has levels 0 to {top}, and none of {level}");
        return Err(Failure::new(Exit::Usage, message));
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

fn of_parameter(report: &Report, parameter: Parameter) -> Answer {
    let parameters = &report.parameters;
    let longest = longest_chain(&report.causes.layers);
    let takers = longest.iter().filter(|layer| layer.level_in > layer.level_out).count();
    let in_ring = |candidate: &Candidate| candidate.log_n == parameters.log_n;
    let (summary, chosen): (String, Vec<&Candidate>) = match parameter {
        Parameter::LogN => (
            format!(
                "N = 2^{}: the smallest ring with room for {} at 2^{}, for the vectors and for {} bits of precision{}",
                parameters.log_n,
                units::count(parameters.levels as usize, "level"),
                parameters.log_scale,
                report.precision.wanted_bits,
                room(report)
            ),
            report.candidates.iter().collect(),
        ),
        Parameter::Levels => (
            format!(
                "{}, spent by the {} of the longest chain",
                units::count(parameters.levels as usize, "level"),
                units::count(takers, "layer"),
            ),
            Vec::new(),
        ),
        Parameter::LogScale => (
            format!(
                "a scale of 2^{}: the largest that N = 2^{} has room for at 128 bits; {:.1} bits of precision are predicted",
                parameters.log_scale, parameters.log_n, report.precision.predicted_bits
            ),
            report
                .candidates
                .iter()
                .filter(|candidate| in_ring(candidate))
                .collect(),
        ),
        Parameter::DigitLen => (
            format!(
                "{} of a key switch at the top level: the cheapest of those that are precise enough",
                units::count(parameters.digits, "digit")
            ),
            report
                .candidates
                .iter()
                .filter(|candidate| in_ring(candidate))
                .collect(),
        ),
    };
    Answer {
        summary,
        chain: match parameter {
            Parameter::LogN | Parameter::Levels => longest,
            Parameter::LogScale | Parameter::DigitLen => Vec::new(),
        },
        candidates: chosen.into_iter().cloned().collect(),
        savings: savings_of(report, |saving| match parameter {
            Parameter::LogN => saving.log_n < parameters.log_n,
            Parameter::Levels => saving.levels < parameters.levels,
            Parameter::LogScale | Parameter::DigitLen => false,
        }),
    }
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
        let because = match &layer.wanted_by {
            Some(reader) => format!("{reader} reads it at {}", layer.level_out.0),
            None => "it is the output".to_owned(),
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
        ("key switches", Align::Number),
    ]);
    for saving in savings.iter().take(SHOWN_SAVINGS) {
        table.row([
            saving.node.clone(),
            saving.levels.to_string(),
            format!("2^{}", saving.log_n),
            format!("{:.0}", saving.log_qp),
            units::percent(saving.time),
        ]);
    }
    table.row([
        "the plan as it is".to_owned(),
        report.parameters.levels.to_string(),
        format!("2^{}", report.parameters.log_n),
        format!("{:.0}", report.parameters.log_qp),
        units::percent(1.0),
    ]);
    table
}
