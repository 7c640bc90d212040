//! What a plan for exact integers costs, in tables; and its evaluation in clear.

use anyhow::Result;
use heron_compiler::quantize::TfheReport;
use heron_runtime::files::PlanBundle;
use heron_runtime::samples::Samples;
use heron_runtime::tfhe::integer_program;

use crate::table::{Align, Table, pairs, wrap};
use crate::units;

/// The report, if the bytes are one of a plan for exact integers.
pub(in crate::commands) fn tfhe_report(bytes: &[u8]) -> Option<TfheReport> {
    serde_json::from_slice(bytes)
        .ok()
        .filter(|report: &TfheReport| report.scheme == "tfhe")
}

/// The report as text.
pub(in crate::commands) fn report_text(report: &TfheReport, width: usize) -> String {
    let mut table = Table::new(&[
        ("layer", Align::Text),
        ("values", Align::Number),
        ("look-ups", Align::Number),
        ("entries", Align::Text),
        ("wrong", Align::Number),
    ]);
    for layer in &report.layers {
        let entries: Vec<String> = layer.entries.iter().map(u64::to_string).collect();
        table.row([
            layer.node.clone(),
            layer.width.to_string(),
            if layer.lookups == 0 {
                String::new()
            } else {
                layer.lookups.to_string()
            },
            entries.join(" · "),
            layer
                .log2_failure
                .map_or(String::new(), |failure| format!("2^{failure:.1}")),
        ]);
    }
    let mut text = format!(
        "{}: {} to {}\n\n{}\n{}",
        report.name,
        units::shape(&report.model.input_shape),
        units::shape(&report.model.output_shape),
        table.render(width),
        pairs(&cost_card(report), width)
    );
    let warnings = report
        .warnings
        .iter()
        .flat_map(|warning| wrap(&format!("warning: {warning}"), width));
    for line in warnings {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// What a plan costs and how good it is, in a few lines.
pub(super) fn cost_card(report: &TfheReport) -> Vec<(&'static str, String)> {
    let params = &report.params;
    let (bootstrap, switch) = (params.bootstrap, params.switch);
    let accuracy = &report.accuracy;
    let mut agreement = format!(
        "{} of {} held-back samples get the clear network's answer",
        accuracy.agreeing, accuracy.samples
    );
    if let (Some(clear), Some(integers)) = (accuracy.clear, accuracy.polynomial) {
        let (clear, integers) = (units::percent(clear), units::percent(integers));
        agreement.push_str(&format!("; top-1 clear {clear}, integers {integers}"));
    }
    vec![
        (
            "parameters",
            format!(
                "n = {}, k = {}, N = 2^{}, bootstrap {} x {} bits, key switch {} x {}",
                params.small_dimension,
                params.ring_rank,
                params.log_degree,
                bootstrap.levels,
                bootstrap.base_log,
                switch.levels,
                switch.base_log
            ),
        ),
        ("bits", format!("{} for weights and activations", report.bits)),
        (
            "work",
            format!(
                "{}, about {} on one thread",
                units::count(report.lookups as usize, "look-up"),
                units::seconds(report.predicted_ms / 1e3)
            ),
        ),
        (
            "keys",
            format!(
                "{} in a file, {} in memory",
                units::bytes(report.key_file_bytes),
                units::bytes(report.key_memory_bytes)
            ),
        ),
        (
            "exactness",
            format!(
                "equal to the integers in clear but for 2^{:.1} a run, at most",
                report.log2_failure
            ),
        ),
        ("accuracy", agreement),
        (
            "security",
            format!(
                "{} bits, by the published curve of the tfhe crate (binary secrets)",
                report.security_bits
            ),
        ),
    ]
}

/// The outputs of a plan's integers in clear: what an encrypted run gives.
pub(in crate::commands) fn outputs(bundle: &PlanBundle, samples: &Samples) -> Result<Vec<Vec<f64>>> {
    let program = integer_program(&bundle.plan, &bundle.weights)?;
    Ok(samples.values.iter().map(|sample| program.output_of(sample)).collect())
}
