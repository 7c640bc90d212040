//! `heron compile --target tfhe`.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

use anyhow::Result;
use clap::ValueEnum;
use heron_compiler::CompileInput;
use heron_compiler::quantize::{BitsChoice, IntegerOptions, TfheReport, compile_integers};
use heron_runtime::files::write_plan;
use serde::Serialize;

use super::report::cost_card;
use crate::artefact::Written;
use crate::commands::compile::CompileArgs;
use crate::context::Context;
use crate::table::pairs;

/// What to compile for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// Approximate arithmetic on vectors
    Ckks,
    /// Exact integers, by look-ups
    Tfhe,
}

/// Bits of weights and activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BitsOption(pub(crate) BitsChoice);

/// `log2` of a probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FailureOption(pub(crate) f64);

impl FromStr for BitsOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self(BitsChoice::Auto));
        }
        match text.parse() {
            Ok(bits) if (2..=8).contains(&bits) => Ok(Self(BitsChoice::Fixed(bits))),
            _ => Err("2 to 8, or auto".to_owned()),
        }
    }
}

impl FromStr for FailureOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let log2 = match text.strip_prefix("2^") {
            Some(exponent) => exponent.parse().ok(),
            None => text.parse::<f64>().ok().map(f64::log2),
        };
        match log2 {
            Some(log2) if (-128.0..0.0).contains(&log2) => Ok(Self(log2)),
            _ => Err("a probability below 1, such as 0.01 or 2^-40".to_owned()),
        }
    }
}

impl fmt::Display for FailureOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "2^{}", self.0)
    }
}

/// The plan that was written.
#[derive(Debug, Serialize)]
struct IntegersWritten {
    #[serde(flatten)]
    written: Written,
    report: TfheReport,
}

/// Compiles, writes, and says what it costs.
pub(in crate::commands) fn compile(
    args: &CompileArgs,
    input: CompileInput<'_>,
    output: &Path,
    started: Instant,
    context: &Context,
) -> Result<()> {
    let options = IntegerOptions {
        bits: args.bits.0,
        log2_failure: args.failure.0,
    };
    let step = context.terminal.step("compiling");
    let compiled = compile_integers(input, &options)?;
    drop(step);
    let report_json = serde_json::to_string_pretty(&compiled.report)? + "\n";
    let overwrite = args.force.overwrite();
    write_plan(
        output,
        &compiled.plan,
        &compiled.weights,
        report_json.as_bytes(),
        overwrite,
    )?;
    let written = IntegersWritten {
        written: Written::since(output, started),
        report: compiled.report,
    };
    let terminal = context.terminal;
    terminal.result(&written, |width| pairs(&cost_card(&written.report), width))?;
    for warning in &written.report.warnings {
        terminal.say(format_args!("warning: {warning}"));
    }
    written.written.announce(terminal);
    terminal.next(format_args!("heron report {}", output.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_powers_of_two_or_plain() {
        assert_eq!("2^-40".parse(), Ok(FailureOption(-40.0)));
        assert_eq!("0.25".parse(), Ok(FailureOption(-2.0)));
        for bad in ["1", "0", "2^4", "-0.1", "often", "2^-1000", "nan"] {
            assert!(bad.parse::<FailureOption>().is_err(), "{bad}");
        }
    }

    #[test]
    fn bits_are_a_number_or_auto() {
        assert_eq!("auto".parse(), Ok(BitsOption(BitsChoice::Auto)));
        assert_eq!("4".parse(), Ok(BitsOption(BitsChoice::Fixed(4))));
        assert!("1".parse::<BitsOption>().is_err() && "9".parse::<BitsOption>().is_err());
    }
}
