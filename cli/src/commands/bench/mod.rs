//! `heron bench`: how fast this machine computes on ciphertexts.

mod bootstrap;
mod machine;
mod ops;
mod stopwatch;

use anyhow::Result;
use clap::Subcommand;

use crate::context::Context;

pub(super) use machine::Machine;

const AFTER_HELP: &str = "\
Example:
  heron bench ops --log-n 15 --limbs 14 --threads 1
  heron bench bootstrap --log-n 16 --log-slots 15 --threads 1";

/// Options of `bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct BenchArgs {
    /// What to measure.
    #[command(subcommand)]
    what: What,
}

/// What to measure.
#[derive(Debug, Subcommand)]
enum What {
    /// Time the single operations on ciphertexts
    Ops(ops::BenchOpsArgs),
    /// Time bootstraps, and measure their precision and memory
    Bootstrap(bootstrap::BenchBootstrapArgs),
}

impl BenchArgs {
    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Result<()> {
        match &self.what {
            What::Ops(args) => args.run(context),
            What::Bootstrap(args) => args.run(context),
        }
    }
}
