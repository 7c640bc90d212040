//! `heron report --compare-targets`: two plans of one network, approximate and exact, side by side.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use heron_ckks::Rng;
use heron_compiler::gate::Accuracy;
use heron_plan::Plan;
use heron_runtime::compare::{Detail, compare};
use heron_runtime::files::{PlanBundle, read_plan, read_report};
use heron_runtime::interpreter::Step;
use heron_runtime::samples::Samples;
use heron_runtime::sessions::{Security, ckks_program, open_context};
use serde::Serialize;

use super::{seconds_per_sample, tfhe_report};
use crate::commands::report::parse_report;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::table::{Align, Table, wrap};
use crate::units;

/// Accuracies that are closer than a point are equal: held-back samples tell no more.
const EQUAL_ACCURACY: f64 = 0.01;

/// What one plan costs and offers.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Side {
    target: &'static str,
    /// One sample, warm, on this machine with the threads of this run.
    seconds_per_sample: f64,
    key_file_bytes: u64,
    key_memory_bytes: u64,
    /// Fraction of held-back samples with the right answer, or with the clear network's where there are no labels.
    accuracy: f64,
    exactness: String,
}

/// Both, and which to take.
#[derive(Debug, PartialEq, Serialize)]
struct Targets {
    ckks: Side,
    tfhe: Side,
    recommended: &'static str,
    reason: String,
}

/// Measures both plans and says which to take.
///
/// # Errors
/// Plans of one target, or of two networks; whatever running them gives.
pub(in crate::commands) fn compare_targets(one: &Path, other: &Path, context: &Context) -> Result<()> {
    let (one_bundle, other_bundle) = (read_plan(one)?, read_plan(other)?);
    if one_bundle.plan.provenance.model != other_bundle.plan.provenance.model {
        let message = format!("`{}` and `{}` are plans of two models", one.display(), other.display());
        return Err(Failure::new(Exit::Usage, message)
            .advise("compile one model with `--target ckks` and with `--target tfhe`")
            .into());
    }
    let exact = |bundle: &PlanBundle| bundle.plan.program.tfhe().is_some();
    let ((ckks, ckks_bundle), (tfhe, tfhe_bundle)) = match (exact(&one_bundle), exact(&other_bundle)) {
        (false, true) => ((one, one_bundle), (other, other_bundle)),
        (true, false) => ((other, other_bundle), (one, one_bundle)),
        (true, true) | (false, false) => {
            let message = format!("`{}` and `{}` are plans for one target", one.display(), other.display());
            return Err(Failure::new(Exit::Usage, message)
                .advise("compile the model with the other `--target` too")
                .into());
        }
    };
    let (ckks, tfhe) = (
        approximate(ckks, &ckks_bundle, context)?,
        exact_side(tfhe, &tfhe_bundle, context)?,
    );
    let (recommended, reason) = recommendation(&ckks, &tfhe);
    let targets = Targets {
        ckks,
        tfhe,
        recommended,
        reason,
    };
    context.terminal.result(&targets, |width| targets.text(width))?;
    Ok(())
}

/// The sample in the middle of the calibrated range, twice: time does not depend on values, the second is warm.
fn middle(plan: &Plan) -> Samples {
    let range = plan.input.range;
    let len = plan.input.shape.iter().product();
    Samples {
        values: vec![vec![(range.min + range.max) / 2.0; len]; 2],
    }
}

fn approximate(directory: &Path, bundle: &PlanBundle, context: &Context) -> Result<Side> {
    let report = parse_report(&read_report(directory)?, directory)?;
    let program = ckks_program(&bundle.plan)?;
    let ring = open_context(&program.params, context.kernels, Security::Required)?;
    let step = context.terminal.step("running for ckks");
    let mut ends = Vec::new();
    let mut progress = |_: usize, line: Step<'_>| {
        if line.id.index() + 1 == line.total {
            ends.push(Instant::now());
        }
    };
    let samples = middle(&bundle.plan);
    compare(
        bundle,
        &ring,
        &samples,
        Detail::Outputs,
        &mut Rng::from_os()?,
        &mut progress,
    )?;
    drop(step);
    let seconds = match ends.as_slice() {
        [.., first, second] => second.duration_since(*first).as_secs_f64(),
        _ => return Err(Failure::new(Exit::Internal, "two samples did not end twice").into()),
    };
    Ok(Side {
        target: "ckks",
        seconds_per_sample: seconds,
        key_file_bytes: report.totals.key_file_bytes,
        key_memory_bytes: report.totals.key_memory_bytes,
        accuracy: rate(&report.accuracy),
        exactness: format!("at least {:.1} bits", report.precision.predicted_bits),
    })
}

fn exact_side(directory: &Path, bundle: &PlanBundle, context: &Context) -> Result<Side> {
    let bytes = read_report(directory)?;
    let report = tfhe_report(&bytes).ok_or_else(|| {
        let message = format!("`{}` is damaged", directory.join("report.json").display());
        Failure::new(Exit::Damaged, message).advise("compile the model again")
    })?;
    Ok(Side {
        target: "tfhe",
        seconds_per_sample: seconds_per_sample(bundle, &middle(&bundle.plan), context)?,
        key_file_bytes: report.key_file_bytes,
        key_memory_bytes: report.key_memory_bytes,
        accuracy: rate(&report.accuracy),
        exactness: format!("exact but for 2^{:.1} a run", report.log2_failure),
    })
}

fn rate(accuracy: &Accuracy) -> f64 {
    accuracy.polynomial.unwrap_or(accuracy.agreement())
}

/// The more accurate; of equal ones the faster, and exactness where that costs no time.
fn recommendation(ckks: &Side, tfhe: &Side) -> (&'static str, String) {
    let ahead = tfhe.accuracy - ckks.accuracy;
    if ahead.abs() > EQUAL_ACCURACY {
        let (better, worse) = if ahead > 0.0 { (tfhe, ckks) } else { (ckks, tfhe) };
        let (right, other) = (units::percent(better.accuracy), units::percent(worse.accuracy));
        let reason = format!("its answers are right more often: {right} against {other}");
        return (better.target, reason);
    }
    if tfhe.seconds_per_sample <= ckks.seconds_per_sample {
        let reason = "as accurate, no slower, and its results are exact";
        return (tfhe.target, reason.to_owned());
    }
    let times = tfhe.seconds_per_sample / ckks.seconds_per_sample;
    let mut reason = format!(
        "as accurate and {times:.1} times as fast; take tfhe where results have to be those of the integers in clear"
    );
    if tfhe.key_file_bytes < ckks.key_file_bytes {
        let keys = units::bytes(ckks.key_file_bytes);
        reason.push_str(&format!(", or where {keys} of keys are too much"));
    }
    (ckks.target, reason)
}

impl Targets {
    fn text(&self, width: usize) -> String {
        let mut table = Table::new(&[("", Align::Text), ("ckks", Align::Number), ("tfhe", Align::Number)]);
        let mut row = |name: &str, of: &dyn Fn(&Side) -> String| {
            table.row([name.to_owned(), of(&self.ckks), of(&self.tfhe)]);
        };
        row("a sample", &|side| units::seconds(side.seconds_per_sample));
        row("keys in a file", &|side| units::bytes(side.key_file_bytes));
        row("keys in memory", &|side| units::bytes(side.key_memory_bytes));
        row("accuracy", &|side| units::percent(side.accuracy));
        row("results", &|side| side.exactness.clone());
        let advice = wrap(&format!("recommended: {}: {}", self.recommended, self.reason), width);
        format!("{}\n{}\n", table.render(width), advice.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(target: &'static str, seconds_per_sample: f64, accuracy: f64) -> Side {
        Side {
            target,
            seconds_per_sample,
            key_file_bytes: 1 << 20,
            key_memory_bytes: 1 << 21,
            accuracy,
            exactness: String::new(),
        }
    }

    #[test]
    fn accuracy_comes_before_time_and_exactness_breaks_ties() {
        let of = |ckks: (f64, f64), tfhe: (f64, f64)| {
            recommendation(&side("ckks", ckks.0, ckks.1), &side("tfhe", tfhe.0, tfhe.1)).0
        };
        assert_eq!(of((0.1, 0.97), (5.0, 0.99)), "tfhe");
        assert_eq!(of((9.0, 0.99), (5.0, 0.97)), "ckks");
        assert_eq!(of((0.1, 0.97), (5.0, 0.975)), "ckks");
        assert_eq!(of((5.0, 0.97), (5.0, 0.965)), "tfhe");
    }

    #[test]
    fn keys_speak_for_integers_only_where_theirs_are_smaller() {
        let (ckks, tfhe) = (side("ckks", 0.1, 0.97), side("tfhe", 5.0, 0.97));
        let with_keys = |key_file_bytes: u64| {
            let tfhe = Side {
                key_file_bytes,
                ..tfhe.clone()
            };
            recommendation(&ckks, &tfhe).1
        };
        assert!(
            with_keys(1 << 10).contains("1.0 MiB of keys are too much"),
            "{}",
            with_keys(1 << 10)
        );
        assert!(!with_keys(1 << 30).contains("keys"), "{}", with_keys(1 << 30));
    }
}
