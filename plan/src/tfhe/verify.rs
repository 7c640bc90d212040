//! Checks a plan for exact integers from the plan alone: structure, security, steps, noise and failure.
//!
//! What needs the weights, the exact range of every element and the noise of linear maps, is in [`super::ranges`].

use heron_params::Slots;
use heron_params::tfhe::add_log2;

use super::{QuantizedInput, QuantizedOutput, TfheClientSpec, TfheInstruction, TfheLine, TfheProgram};
use crate::verify::{Place, Report, Rule, VerifyErrors, interface};
use crate::{Plan, ValueId};

/// Most elements of a value.
const MAX_LEN: u32 = 1 << 20;
/// Most lines.
const MAX_LINES: usize = 1 << 12;
/// Most elements of all lines together.
const MAX_ELEMENTS: u64 = 1 << 23;
/// Most steps of a turn: beyond, rounding of the encoding is no longer negligible.
const MAX_STEPS: u64 = 1 << 44;
/// Largest integer of an input.
const MAX_INPUT: i64 = 1 << 20;
/// How much of a logarithm may be lost when it is computed again.
pub(super) const LOG_SLACK: f64 = 1e-6;
/// A vector has no slots to fit.
const ANY_SLOTS: Slots = Slots(u32::MAX);

/// Checks the program of a plan and what surrounds it.
pub(crate) fn verify_program(report: &mut Report, plan: &Plan, program: &TfheProgram) {
    interface::check_text(report, &Place::Plan, [&plan.name, &plan.provenance.compiler]);
    interface::check_text(report, &Place::Plan, &plan.provenance.options);
    interface::check_names(report, plan);
    interface::check_input(report, &plan.input, ANY_SLOTS);
    interface::check_output(report, &plan.output, ANY_SLOTS);
    check_input(report, &program.input, plan.input.layout.len);
    check_output(report, &program.output, plan.output.layout.len);
    if let Err(error) = program.params.check_secure() {
        report.add(
            Place::Plan,
            Rule::Security,
            error,
            "a set that the 128-bit curve covers",
        );
        return;
    }
    let elements: u64 = program.lines.iter().map(|line| u64::from(line.len)).sum();
    if program.lines.len() > MAX_LINES || elements > MAX_ELEMENTS {
        let found = format!("{} lines of {elements} elements", program.lines.len());
        report.add(
            Place::Plan,
            Rule::Limits,
            found,
            format!("at most {MAX_LINES} and {MAX_ELEMENTS}"),
        );
        return;
    }
    check_interface(report, plan, program);
    for (index, line) in program.lines.iter().enumerate() {
        Check {
            report,
            plan,
            program,
            line,
            id: ValueId(index as u32),
        }
        .run();
    }
    check_failure(report, program);
}

/// Checks what encryption and decryption rely on.
pub(crate) fn verify_client(client: &TfheClientSpec) -> Result<(), VerifyErrors> {
    let mut report = Report::default();
    interface::check_text(&mut report, &Place::Plan, [&client.name]);
    interface::check_input(&mut report, &client.input, ANY_SLOTS);
    interface::check_output(&mut report, &client.output, ANY_SLOTS);
    check_input(&mut report, &client.quantized_input, client.input.layout.len);
    check_output(&mut report, &client.quantized_output, client.output.layout.len);
    if let Err(error) = client.params.check_secure() {
        report.add(
            Place::Plan,
            Rule::Security,
            error,
            "a set that the 128-bit curve covers",
        );
    }
    report.into_result()
}

fn check_input(report: &mut Report, input: &QuantizedInput, len: u32) {
    let whole = input.min.len() == len as usize && input.max.len() == len as usize && len <= MAX_LEN;
    let ordered = input
        .min
        .iter()
        .zip(&input.max)
        .all(|(min, max)| min <= max && *min >= -MAX_INPUT && *max <= MAX_INPUT);
    let positive = input.scale.iter().all(|scale| scale.is_finite() && *scale > 0.0);
    let numbers = positive && input.offset.iter().all(|x| x.is_finite());
    let whole = whole && input.scale.len() == len as usize && input.offset.len() == len as usize;
    let steps = !input.steps.is_empty() && input.steps.iter().all(|steps| (2..=MAX_STEPS).contains(steps));
    if !(whole && ordered && numbers && steps && input.steps.len() <= MAX_LINES) {
        let found = format!("{} ranges of integers, {} scales", input.min.len(), input.scale.len());
        let expected = format!("{len} ranges in order up to {MAX_INPUT}, positive scales, and steps");
        report.add(Place::Input, Rule::Client, found, expected);
    }
}

fn check_output(report: &mut Report, output: &QuantizedOutput, len: u32) {
    let lengths = output.scale.len() == len as usize && output.offset.len() == len as usize;
    let numbers = output.scale.iter().chain(&output.offset).all(|x| x.is_finite());
    let parts = (1..=8).contains(&output.parts.len()) && output.parts.iter().all(|part| part.abs() <= 1 << 20);
    let steps = (2..=MAX_STEPS).contains(&output.steps) && output.min.unsigned_abs() <= MAX_STEPS;
    if !(lengths && numbers && parts && steps) {
        let found = format!("{} scales, {} parts", output.scale.len(), output.parts.len());
        let expected = format!("{len} finite scales and offsets, 1 to 8 parts, and steps");
        report.add(Place::Output, Rule::Client, found, expected);
    }
}

fn check_interface(report: &mut Report, plan: &Plan, program: &TfheProgram) {
    let inputs = program.lines.iter().filter(|line| line.op == TfheInstruction::Input);
    let steps: Vec<u64> = inputs.clone().map(|line| line.steps).collect();
    if steps != program.input.steps || inputs.clone().any(|line| line.len != plan.input.layout.len) {
        let expected = format!("one for each of {:?} steps", program.input.steps);
        report.add(
            Place::Input,
            Rule::Interface,
            format!("input lines of {steps:?} steps"),
            expected,
        );
    }
    let outputs = program
        .lines
        .iter()
        .filter(|line| matches!(line.op, TfheInstruction::Output { .. }));
    let wanted = plan.output.layout.len as usize * program.output.parts.len();
    let last = program.lines.last();
    let whole = last.is_some_and(|line| {
        matches!(line.op, TfheInstruction::Output { .. })
            && line.len as usize == wanted
            && line.steps == program.output.steps
            && line.min >= program.output.min
            && line.max.abs_diff(program.output.min) < line.steps
    });
    if outputs.count() != 1 || !whole {
        let expected = format!(
            "one at the end, of {wanted} elements and {} steps",
            program.output.steps
        );
        report.add(Place::Output, Rule::Interface, "its output line", expected);
    }
}

/// The probabilities of all lines add up to what the plan promises.
fn check_failure(report: &mut Report, program: &TfheProgram) {
    let stated = program.lines.iter().filter_map(|line| line.log2_failure);
    let total = stated.fold(f64::NEG_INFINITY, add_log2_from);
    let promised = program.log2_failure;
    if !(promised.is_finite() && promised < 0.0 && total <= promised + LOG_SLACK) {
        let found = format!("2^{total:.2} over all lines");
        report.add(
            Place::Plan,
            Rule::Failure,
            found,
            format!("at most the promised 2^{promised:.2}"),
        );
    }
}

fn add_log2_from(sum: f64, next: f64) -> f64 {
    if sum == f64::NEG_INFINITY {
        next
    } else {
        add_log2(sum, next)
    }
}

/// The checks of one line.
struct Check<'a> {
    report: &'a mut Report,
    plan: &'a Plan,
    program: &'a TfheProgram,
    line: &'a TfheLine,
    id: ValueId,
}

impl Check<'_> {
    fn run(mut self) {
        let line = self.line;
        interface::check_text(self.report, &self.place(), [&line.node, &line.note]);
        if line.op.args().any(|arg| arg >= self.id) {
            return self.broken(
                Rule::OperandOrder,
                "an operand that is no earlier line",
                "earlier lines",
            );
        }
        if !((1..=MAX_LEN).contains(&line.len) && (2..=MAX_STEPS).contains(&line.steps)) {
            let found = format!("{} elements, {} steps", line.len, line.steps);
            return self.broken(Rule::Limits, found, format!("1 to {MAX_LEN}, 2 to {MAX_STEPS}"));
        }
        if line.min > line.max || line.max.abs_diff(line.min) >= line.steps {
            let found = format!("integers from {} to {}", line.min, line.max);
            self.broken(
                Rule::Range,
                found,
                format!("fewer than the {} steps of a turn", line.steps),
            );
        }
        self.state();
        self.noise();
    }

    fn place(&self) -> Place {
        Place::Line(self.id, self.line.node.clone())
    }

    fn broken(&mut self, rule: Rule, found: impl std::fmt::Display, expected: impl std::fmt::Display) {
        self.report.add(self.place(), rule, found, expected);
    }

    fn arg(&self, id: ValueId) -> &TfheLine {
        &self.program.lines[id.index()]
    }

    /// Lengths and steps follow the instruction.
    fn state(&mut self) {
        let (len, steps) = (self.line.len, self.line.steps);
        let (wanted_len, wanted_steps) = match self.line.op {
            TfheInstruction::Input => return,
            TfheInstruction::Linear { arg, weights, bias } => {
                let cols = self.arg(arg).len as usize;
                self.constant(weights, &[len as usize, cols]);
                self.constant(bias, &[len as usize]);
                (len, self.arg(arg).steps)
            }
            TfheInstruction::Add { lhs, rhs } => {
                let (left, right) = (self.arg(lhs), self.arg(rhs));
                if (left.len, left.steps) != (right.len, right.steps) {
                    let found = format!(
                        "{} of {} and {} of {} steps",
                        left.len, left.steps, right.len, right.steps
                    );
                    self.broken(Rule::EqualStates, found, "equal lengths and steps");
                    return;
                }
                (left.len, left.steps)
            }
            TfheInstruction::Floor { arg, by } => {
                let from = self.arg(arg).steps;
                if by < 3 || by.is_multiple_of(2) || !from.is_multiple_of(by) {
                    let expected = format!("an odd divisor of {from} steps, at least 3");
                    self.broken(Rule::Steps, format!("a division by {by}"), expected);
                    return;
                }
                (self.arg(arg).len, from / by)
            }
            TfheInstruction::Lookup { arg, table } => {
                let (from, half) = (self.arg(arg).len, self.arg(arg).steps / 2);
                if self.arg(arg).steps % 2 == 1 {
                    self.broken(
                        Rule::Steps,
                        format!("{} steps", self.arg(arg).steps),
                        "an even number of steps",
                    );
                }
                let rows = self
                    .plan
                    .constants
                    .get(table.index())
                    .and_then(|entry| entry.shape.first());
                let rows = if rows == Some(&1) { 1 } else { from as usize };
                self.constant(table, &[rows, half as usize]);
                (from, steps)
            }
            TfheInstruction::Output { arg } => (self.arg(arg).len, self.arg(arg).steps),
        };
        if (len, steps) != (wanted_len, wanted_steps) {
            let found = format!("{len} elements of {steps} steps");
            self.broken(Rule::Steps, found, format!("{wanted_len} of {wanted_steps}"));
        }
    }

    fn constant(&mut self, id: crate::ConstId, shape: &[usize]) {
        let place = self.place();
        interface::check_constant(self.report, self.plan, place, id, shape);
    }

    /// What the line states of noise and failure is no better than what follows from its operands' statements.
    fn noise(&mut self) {
        let (stated, params) = (self.line.log2_variance, &self.program.params);
        let variance = |id: ValueId| libm::exp2(self.arg(id).log2_variance);
        let (least, failure) = match self.line.op {
            TfheInstruction::Input => (params.ring_variance(), None),
            TfheInstruction::Linear { .. } => (0.0, None),
            TfheInstruction::Add { lhs, rhs } => {
                let deviation = variance(lhs).sqrt() + variance(rhs).sqrt();
                (deviation * deviation, None)
            }
            TfheInstruction::Floor { arg, by } => {
                let factor = (self.arg(arg).steps / by.max(1)) as f64;
                let failure = params.log2_misread(variance(arg) * factor * factor, by);
                (variance(arg) + params.bootstrap_variance(), Some(failure))
            }
            TfheInstruction::Lookup { arg, .. } => {
                let failure = params.log2_misread(variance(arg), self.arg(arg).steps / 2);
                (params.bootstrap_variance(), Some(failure))
            }
            TfheInstruction::Output { arg } => {
                let deviations = 0.5 / self.line.steps as f64 / variance(arg).sqrt();
                (variance(arg), Some(heron_params::tfhe::log2_tail(deviations)))
            }
        };
        if !stated.is_finite() || stated < libm::log2(least.max(1e-300)) - LOG_SLACK {
            let expected = format!("at least 2^{:.3}", libm::log2(least));
            self.broken(Rule::Variance, format!("2^{stated:.3}"), expected);
        }
        let wanted = failure.map(|each| each + libm::log2(f64::from(self.line.len)));
        let honest = match (self.line.log2_failure, wanted) {
            (None, None) => true,
            (Some(stated), Some(wanted)) => stated.is_finite() && stated >= wanted - LOG_SLACK,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !honest {
            let show = |failure: Option<f64>| failure.map_or("none".to_owned(), |failure| format!("2^{failure:.2}"));
            self.broken(
                Rule::Failure,
                show(self.line.log2_failure),
                format!("at least {}", show(wanted)),
            );
        }
    }
}
