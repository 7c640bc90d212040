//! Checks what surrounds the lines: the declared input and output, constants, names.

use super::{Place, Report, Rule};
use crate::{ClientTail, ConstId, Instruction, Normalization, Plan, Program, VectorLayout};

/// Longest name or note, in bytes.
const MAX_TEXT_BYTES: usize = 1024;
/// Largest dimension count of a shape.
const MAX_RANK: usize = 8;

/// Checks names, the declared input and the declared output.
pub(super) fn check(report: &mut Report, plan: &Plan) {
    check_text(report, &Place::Plan, [&plan.name, &plan.provenance.compiler]);
    check_text(report, &Place::Plan, &plan.provenance.options);
    check_text(report, &Place::Input, [&plan.input.name]);
    check_text(report, &Place::Output, [&plan.output.name]);
    check_text(report, &Place::Output, &plan.output.class_names);
    for (index, entry) in plan.constants.iter().enumerate() {
        check_text(report, &Place::Constant(ConstId(index as u32)), [&entry.name]);
    }
    check_shape(report, &Place::Input, plan, &plan.input.shape, plan.input.layout);
    check_shape(report, &Place::Output, plan, &plan.output.shape, plan.output.layout);
    check_input(report, plan);
    check_output(report, plan);
}

/// Names end up on terminals: they are short and hold no control characters.
pub(super) fn check_text<'a>(report: &mut Report, place: &Place, texts: impl IntoIterator<Item = &'a String>) {
    for text in texts {
        if text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control) {
            let shown: String = text.chars().take(40).collect();
            let found = format!("`{}` ({} bytes)", shown.escape_debug(), text.len());
            let expected = format!("at most {MAX_TEXT_BYTES} bytes without control characters");
            report.add(place.clone(), Rule::Text, found, expected);
        }
    }
}

/// Checks that a constant exists with a shape.
pub(super) fn check_constant(report: &mut Report, plan: &Plan, place: Place, id: ConstId, shape: &[usize]) {
    match plan.constants.get(id.index()) {
        None => report.add(
            place,
            Rule::Constant,
            id,
            format!("one of the {} constants", plan.constants.len()),
        ),
        Some(entry) if entry.shape != shape => {
            report.add(
                place,
                Rule::Constant,
                format!("{id} of shape {:?}", entry.shape),
                format!("{shape:?}"),
            );
        }
        Some(_) => {}
    }
}

fn check_shape(report: &mut Report, place: &Place, plan: &Plan, shape: &[usize], layout: VectorLayout) {
    let Program::Ckks(program) = &plan.program;
    if !layout.fits(program.params.slots()) {
        let expected = format!("1 <= elements <= period <= {} slots", program.params.slots());
        report.add(place.clone(), Rule::Layout, layout, expected);
    }
    let elements = shape.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
    if shape.len() > MAX_RANK || elements != Some(layout.len as usize) {
        let expected = format!("at most {MAX_RANK} dimensions and {} elements", layout.len);
        report.add(place.clone(), Rule::Shape, format!("{shape:?}"), expected);
    }
}

fn check_input(report: &mut Report, plan: &Plan) {
    let Program::Ckks(program) = &plan.program;
    let range = plan.input.range;
    if !(range.min.is_finite() && range.max.is_finite() && range.min <= range.max) {
        let found = format!("a calibrated range from {} to {}", range.min, range.max);
        report.add(Place::Input, Rule::Client, found, "finite numbers in order");
    }
    let line = program.lines.iter().find(|line| matches!(line.op, Instruction::Input));
    let largest = range.min.abs().max(range.max.abs());
    if let Some(line) = line.filter(|line| line.bound < largest) {
        let found = format!("a calibrated range that reaches {largest}");
        report.add(
            Place::Input,
            Rule::Bound,
            found,
            format!("at most the line's bound {}", line.bound),
        );
    }
    if let Some(normalization) = &plan.input.normalization {
        check_normalization(report, plan, normalization);
    }
}

fn check_normalization(report: &mut Report, plan: &Plan, normalization: &Normalization) {
    let channels = plan.input.shape.first().copied().unwrap_or(1);
    let Normalization { scale, mean, std } = normalization;
    let numbers = mean.iter().chain(std).chain([scale]);
    let finite = numbers.copied().all(f64::is_finite) && !std.contains(&0.0) && *scale != 0.0;
    let lengths = mean.len() == std.len() && (mean.len() == 1 || mean.len() == channels);
    if !(finite && lengths) {
        let found = format!("a normalization with {} means and {} deviations", mean.len(), std.len());
        let expected = format!("1 or {channels} of each, finite, no zero scale or deviation");
        report.add(Place::Input, Rule::Client, found, expected);
    }
}

fn check_output(report: &mut Report, plan: &Plan) {
    let output = &plan.output;
    for (rule, value) in [(Rule::Bound, output.bound), (Rule::Error, output.error)] {
        if !(value.is_finite() && value > 0.0) {
            report.add(Place::Output, rule, value, "a finite positive number");
        }
    }
    let classes = output.class_names.len();
    if classes != 0 && classes != output.layout.len as usize {
        let expected = format!("none or {}", output.layout.len);
        report.add(Place::Output, Rule::Client, format!("{classes} class names"), expected);
    }
    let known = [
        &[][..],
        &[ClientTail::Softmax],
        &[ClientTail::ArgMax],
        &[ClientTail::Softmax, ClientTail::ArgMax],
    ];
    if !known.contains(&output.tail.as_slice()) {
        let found = format!("a tail of {} steps", output.tail.len());
        report.add(
            Place::Output,
            Rule::Client,
            found,
            "softmax at most once, then argmax at most once",
        );
    }
}
