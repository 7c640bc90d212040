//! The command line: every command and the options they share.

use std::num::NonZeroUsize;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::commands::{
    BenchArgs, CheckArgs, CompileArgs, DecryptArgs, DemoArgs, DoctorArgs, EncryptArgs, ExplainArgs, FitCommandArgs,
    InspectArgs, KeygenArgs, OpsArgs, ReportArgs, RunArgs, SimulateArgs, TuneArgs, VerifyArgs,
};
use crate::context::Context;
use crate::terminal::{Format, Verbosity};

const AFTER_HELP: &str = "\
Who uses what:
  author    check, ops, fit, compile, report, explain, simulate
  client    keygen, encrypt, decrypt
  server    run
  everyone  demo, verify, inspect, bench, doctor

Exit codes:
  0 ok                          5 verification failed
  1 internal                    6 outside the calibrated range
  2 usage or bad input          7 damaged, or not belonging together
  3 unsupported model           8 input or output
  4 infeasible                  130 interrupted

Start with:
  heron demo";

/// Compiles neural networks to homomorphic encryption and runs them on encrypted inputs.
#[derive(Debug, Parser)]
#[command(name = "heron", version, max_term_width = 80, after_help = AFTER_HELP, propagate_version = true)]
pub(crate) struct Options {
    /// With --version: the licences of what is inside
    #[arg(long)]
    pub(crate) licenses: bool,
    /// Options of every command.
    #[command(flatten)]
    pub(crate) shared: SharedOptions,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct SharedOptions {
    /// How results are written to stdout
    #[arg(long, global = true, value_enum, default_value = "table", value_name = "FORMAT")]
    pub(crate) format: Format,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say on stderr what each step took
    #[arg(short, long, global = true, action = ArgAction::SetTrue)]
    verbose: bool,
    /// Threads to compute with [default: one for each core]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
}

impl SharedOptions {
    /// How much to say on stderr.
    pub(crate) fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Normal,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say whether a model can be compiled, and what it consists of
    Check(CheckArgs),
    /// List the ONNX operators that are supported
    Ops(OpsArgs),
    /// Fit one function by itself: its polynomial, errors and a plot
    Fit(FitCommandArgs),
    /// Compile a model to a plan
    Compile(CompileArgs),
    /// Show what a plan costs, layer by layer, and how secure it is
    Report(ReportArgs),
    /// Say why a layer, a level or a parameter of a plan is what it is
    Explain(ExplainArgs),
    /// Evaluate a plan or a model without encryption, no keys needed
    Simulate(SimulateArgs),
    /// Show what accuracy costs: degrees chosen layer by layer, for several budgets of levels
    Tune(TuneArgs),
    /// Make the keys of a plan
    Keygen(KeygenArgs),
    /// Encrypt inputs
    Encrypt(EncryptArgs),
    /// Run a plan on encrypted inputs; needs no secret
    Run(RunArgs),
    /// Decrypt outputs
    Decrypt(DecryptArgs),
    /// Compile a shipped model and run it encrypted on real samples
    Demo(DemoArgs),
    /// Compare a plan's encrypted results with the exact ones
    Verify(VerifyArgs),
    /// Say what a file is
    Inspect(InspectArgs),
    /// Measure how fast this machine computes on ciphertexts
    Bench(BenchArgs),
    /// Say what this machine offers, and measure it for estimates
    Doctor(DoctorArgs),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// What `explain` sorts.
    pub(crate) fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Check(args) => args.run(context),
            Self::Ops(args) => args.run(context),
            Self::Fit(args) => args.run(context),
            Self::Compile(args) => args.run(context),
            Self::Report(args) => args.run(context),
            Self::Explain(args) => args.run(context),
            Self::Simulate(args) => args.run(context),
            Self::Tune(args) => args.run(context),
            Self::Keygen(args) => args.run(context),
            Self::Encrypt(args) => args.run(context),
            Self::Run(args) => args.run(context),
            Self::Decrypt(args) => args.run(context),
            Self::Demo(args) => args.run(context),
            Self::Verify(args) => args.run(context),
            Self::Inspect(args) => args.run(context),
            Self::Bench(args) => args.run(context),
            Self::Doctor(args) => args.run(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Options::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                help.contains(&format!("heron {}", command.get_name())),
                "{}",
                command.get_name()
            );
        }
    }
}
