//! Checks what surrounds the lines: the declared input and output, constants, names.

use heron_params::Slots;

use super::{Place, Report, Rule};
use crate::{
    CkksProgram, ClientSpec, ClientTail, ConstId, InputSpec, Instruction, Normalization, OutputSpec, Plan, VectorLayout,
};

/// Longest name or note, in bytes.
const MAX_TEXT_BYTES: usize = 1024;
/// Largest dimension count of a shape.
const MAX_RANK: usize = 8;

/// Checks the names of a plan, its declared input and output, and the range against the program's input line.
pub(super) fn check(report: &mut Report, plan: &Plan, program: &CkksProgram) {
    check_text(report, &Place::Plan, [&plan.name, &plan.provenance.compiler]);
    check_text(report, &Place::Plan, &plan.provenance.options);
    check_names(report, plan);
    check_input(report, &plan.input, program.params.slots());
    check_output(report, &plan.output, program.params.slots());
    let range = plan.input.range;
    let largest = range.min.abs().max(range.max.abs());
    let line = program.lines.iter().find(|line| matches!(line.op, Instruction::Input));
    // Range and bound come from the same samples by different sums: the last digits may differ.
    if let Some(line) = line.filter(|line| line.bound * (1.0 + 1e-9) < largest) {
        let found = format!("a calibrated range that reaches {largest}");
        report.add(
            Place::Input,
            Rule::Bound,
            found,
            format!("at most the line's bound {}", line.bound),
        );
    }
}

/// Checks the names of the constants.
pub(crate) fn check_names(report: &mut Report, plan: &Plan) {
    for (index, entry) in plan.constants.iter().enumerate() {
        check_text(report, &Place::Constant(ConstId(index as u32)), [&entry.name]);
    }
}

/// Names end up on terminals: they are short and hold no control characters.
pub(crate) fn check_text<'a>(report: &mut Report, place: &Place, texts: impl IntoIterator<Item = &'a String>) {
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
pub(crate) fn check_constant(report: &mut Report, plan: &Plan, place: Place, id: ConstId, shape: &[usize]) {
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

fn check_shape(report: &mut Report, place: &Place, shape: &[usize], layout: VectorLayout, slots: Slots) {
    if !layout.fits(slots) {
        let expected = format!("1 <= elements <= period <= {slots} slots");
        report.add(place.clone(), Rule::Layout, layout, expected);
    }
    let elements = shape.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
    if shape.len() > MAX_RANK || elements != Some(layout.len as usize) {
        let expected = format!("at most {MAX_RANK} dimensions and {} elements", layout.len);
        report.add(place.clone(), Rule::Shape, format!("{shape:?}"), expected);
    }
}

/// Checks the declared input.
pub(crate) fn check_input(report: &mut Report, input: &InputSpec, slots: Slots) {
    check_text(report, &Place::Input, [&input.name]);
    check_shape(report, &Place::Input, &input.shape, input.layout, slots);
    let range = input.range;
    if !(range.min.is_finite() && range.max.is_finite() && range.min <= range.max) {
        let found = format!("a calibrated range from {} to {}", range.min, range.max);
        report.add(Place::Input, Rule::Client, found, "finite numbers in order");
    }
    if let Some(normalization) = &input.normalization {
        check_normalization(report, input, normalization);
    }
}

fn check_normalization(report: &mut Report, input: &InputSpec, normalization: &Normalization) {
    let channels = input.shape.first().copied().unwrap_or(1);
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

/// Checks the declared output.
pub(crate) fn check_output(report: &mut Report, output: &OutputSpec, slots: Slots) {
    check_text(report, &Place::Output, [&output.name]);
    check_text(report, &Place::Output, &output.class_names);
    check_shape(report, &Place::Output, &output.shape, output.layout, slots);
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

/// Checks that the keys of a client are ones that its parameters have.
pub(super) fn check_keys(report: &mut Report, client: &ClientSpec) {
    let (top, slots) = (client.params.max_level(), client.params.slots());
    if client.keys.levels().any(|level| level > top) {
        report.add(
            Place::Plan,
            Rule::Level,
            "a key above the chain",
            format!("at most {top}"),
        );
    }
    let bootstrap = client.bootstrap.as_ref().filter(|variant| variant.validate().is_ok());
    if bootstrap.is_some_and(|variant| !client.keys.covers(&variant.key_spec().evaluation)) {
        let found = "keys that lack what the bootstrap shares with them";
        report.add(Place::Plan, Rule::Bootstrap, found, "every rotation of its transforms");
    }
    for &rotation in client.keys.rotations.keys() {
        if rotation.0 == 0 || rotation.0 >= slots.0 {
            report.add(Place::Plan, Rule::Rotation, rotation, format!("1 to {}", slots.0 - 1));
        }
    }
}
