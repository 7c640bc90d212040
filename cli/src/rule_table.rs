//! Several rules for activations beside each other: levels, accuracy, and whether outputs stay finite.

use heron_compiler::approximate::Approximated;
use heron_compiler::he::ClearPolynomial;
use serde::Serialize;

use crate::answers::{agreement, classes};
use crate::table::{Align, Table};
use crate::units;

/// What one rule makes of a network.
#[derive(Debug, Serialize)]
pub(crate) struct RuleRow {
    rule: String,
    /// Levels an activation, on average.
    levels: Option<f64>,
    /// Fraction of samples with the right class.
    top1: Option<f64>,
    /// Fraction of samples with the class that the original network names.
    agreement: Option<f64>,
    /// Fraction of samples on which the outputs stay finite.
    finite: Option<f64>,
    /// Why there is no polynomial network by this rule.
    refused: Option<String>,
}

impl RuleRow {
    /// The row of a polynomial network.
    ///
    /// # Shapes
    /// `clear`, `labels`: one for each of `samples`.
    pub(crate) fn of(
        rule: String,
        network: &Approximated,
        samples: &[Vec<f64>],
        (clear, labels): (&[usize], Option<&[usize]>),
    ) -> Self {
        let outputs = ClearPolynomial::new(&network.graph).outputs(samples);
        let found = classes(&outputs);
        Self {
            rule,
            levels: Some(mean_levels(network)),
            top1: labels.map(|labels| agreement(&found, labels)),
            agreement: Some(agreement(&found, clear)),
            finite: Some(finite_share(&outputs)),
            refused: None,
        }
    }

    /// The row of a rule that does not apply.
    pub(crate) fn refused(rule: String, reason: String) -> Self {
        Self {
            rule,
            levels: None,
            top1: None,
            agreement: None,
            finite: None,
            refused: Some(reason),
        }
    }
}

fn mean_levels(network: &Approximated) -> f64 {
    let total: u32 = network.activations.iter().map(|activation| activation.depth).sum();
    f64::from(total) / network.activations.len().max(1) as f64
}

/// The fraction of samples without a number that is infinite or none.
pub(crate) fn finite_share(outputs: &[Vec<f64>]) -> f64 {
    let finite = outputs.iter().filter(|output| output.iter().all(|y| y.is_finite()));
    finite.count() as f64 / outputs.len().max(1) as f64
}

/// The table of all rules, under the original network's accuracy.
pub(crate) fn rule_table(clear: Option<f64>, rows: &[RuleRow], width: usize) -> String {
    let mut table = Table::new(&[
        ("rule", Align::Text),
        ("levels each", Align::Number),
        ("top-1 accuracy", Align::Number),
        ("same answer as clear", Align::Number),
        ("finite outputs", Align::Number),
    ]);
    let cell = |rate: Option<f64>| rate.map_or("-".to_owned(), units::percent);
    table.row([
        "clear".to_owned(),
        "-".to_owned(),
        cell(clear),
        "-".to_owned(),
        "-".to_owned(),
    ]);
    for row in rows {
        table.row([
            row.rule.clone(),
            row.levels.map_or("-".to_owned(), |levels| format!("{levels:.2}")),
            cell(row.top1),
            cell(row.agreement),
            row.refused.as_ref().map_or(cell(row.finite), |_| "refused".to_owned()),
        ]);
    }
    let mut text = table.render(width);
    for row in rows {
        if let Some(reason) = &row.refused {
            text.push_str(&format!("{}: {reason}\n", row.rule));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_that_overflowed_is_not_finite() {
        let outputs = [
            vec![1.0, 2.0],
            vec![f64::INFINITY, 0.0],
            vec![0.0, f64::NAN],
            vec![0.0; 2],
        ];
        assert_eq!(finite_share(&outputs), 0.5);
    }

    #[test]
    fn a_rule_that_does_not_apply_says_why() {
        let rows = [RuleRow::refused(
            "composite:10".to_owned(),
            "`tanh`: it has no sign".to_owned(),
        )];
        let text = rule_table(Some(0.5), &rows, 100);
        assert!(
            text.contains("refused") && text.ends_with("composite:10: `tanh`: it has no sign\n"),
            "{text}"
        );
    }
}
