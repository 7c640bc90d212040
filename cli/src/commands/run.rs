//! `heron run`: a plan on encrypted inputs.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use heron_runtime::files::{read_ciphertexts, read_evaluation_keys, read_plan, write_ciphertexts};
use heron_runtime::sessions::{RunProgress, Security, Server, ServerOptions, ckks_program, open_context};
use serde::Serialize;

use super::estimate::BudgetOption;
use super::integers;
use crate::artefact::{ForceOption, Written, bytes_at};
use crate::context::Context;
use crate::layer_clock::{LayerClock, LayerTime, LineWork};
use crate::units;

const AFTER_HELP: &str = "\
Reads no secret: plan, evaluation keys and ciphertexts are all that a server
has. With --format json it says how long every layer took.

Example:
  heron run digits.plan --keys keys/eval.key -i x.ct -o y.ct";

/// Options of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, override_usage = "heron run PLAN --keys EVAL.key -i X.ct -o Y.ct [OPTIONS]")]
pub(crate) struct RunArgs {
    /// The plan directory
    pub(super) plan: PathBuf,
    /// The evaluation keys
    #[arg(long, value_name = "EVAL.key")]
    pub(super) keys: PathBuf,
    /// Encrypted inputs
    #[arg(short, long, value_name = "X.ct")]
    pub(super) input: PathBuf,
    /// The ciphertext file to write
    #[arg(short, long, value_name = "Y.ct")]
    pub(super) output: PathBuf,
    #[command(flatten)]
    pub(super) budget: BudgetOption,
    #[command(flatten)]
    pub(super) force: ForceOption,
}

/// The results that were written.
#[derive(Debug, Serialize)]
pub(super) struct Ran {
    #[serde(flatten)]
    pub(super) written: Written,
    /// How many samples were run.
    pub(super) samples: usize,
    /// Reading and expanding the evaluation keys.
    pub(super) seconds_loading_keys: f64,
    /// Encoding the plan's plaintexts, once for all samples.
    pub(super) seconds_preparing: f64,
    /// The first sample, memory being touched for the first time.
    pub(super) seconds_cold: f64,
    /// The median of the others; missing where there is only one.
    pub(super) seconds_warm: Option<f64>,
    /// The layers of the last sample.
    pub(super) layers: Vec<LayerTime>,
}

impl RunArgs {
    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Result<()> {
        let ran = self.execute(context)?;
        let terminal = context.terminal;
        terminal.result(&ran, |_| String::new())?;
        let first = units::seconds(ran.seconds_cold);
        let others = ran
            .seconds_warm
            .map(|s| format!(", then {} each", units::seconds(s)))
            .unwrap_or_default();
        terminal.say(format_args!(
            "ran {}: keys loaded in {}, plaintexts encoded in {}, the first sample in {first}{others}",
            units::count(ran.samples, "sample"),
            units::seconds(ran.seconds_loading_keys),
            units::seconds(ran.seconds_preparing),
        ));
        ran.written.announce(terminal);
        let output = self.output.display();
        terminal.next(format_args!(
            "heron decrypt CLIENT.json --keys KEYS -i {output} -o y.npy"
        ));
        Ok(())
    }

    /// Runs the plan and writes the results.
    pub(super) fn execute(&self, context: &Context) -> Result<Ran> {
        let started = Instant::now();
        self.force.check(&self.output)?;
        let bundle = read_plan(&self.plan)?;
        if bundle.plan.program.tfhe().is_some() {
            return integers::run(self, &bundle, context);
        }
        let program = ckks_program(&bundle.plan)?;
        let ring = open_context(&program.params, context.kernels, Security::Required)?;
        let inputs = read_ciphertexts(&self.input, &ring, bundle.hash)?;
        let step = context.terminal.step("loading keys");
        let loading = Instant::now();
        let total = bytes_at(&self.keys);
        let mut progress = |done: u64| step.bytes(done, total);
        let variant = program.bootstrap.as_ref();
        let keys = read_evaluation_keys(&self.keys, &ring, bundle.hash, variant, &mut progress)?;
        drop(step);
        let mut server = Server::new(
            bundle,
            ring,
            keys,
            ServerOptions {
                cache_bytes: self.budget.mem_budget.0,
            },
        )?;
        let seconds_loading_keys = loading.elapsed().as_secs_f64();
        let step = context.terminal.step("encoding plaintexts");
        let preparing = Instant::now();
        server.prepare()?;
        let seconds_preparing = preparing.elapsed().as_secs_f64();
        drop(step);
        let step = context.terminal.step("running");
        let work = LineWork::of(ckks_program(server.plan())?);
        let (mut times, mut layers) = (SampleTimes::start(), LayerClock::start());
        let outputs = server.run(&inputs, &mut |progress| {
            let RunProgress {
                sample,
                n_samples,
                step: line,
            } = progress;
            step.progress(
                sample as u64 * work.total() + work.after(line.id),
                n_samples as u64 * work.total(),
            );
            step.says(&line.line.node);
            layers.lap(&line.line.node);
            if line.id.index() + 1 == line.total {
                times.lap();
                if sample + 1 < n_samples {
                    layers.restart();
                }
            }
        })?;
        drop(step);
        write_ciphertexts(&self.output, &outputs, self.force.overwrite())?;
        Ok(Ran {
            written: Written::since(&self.output, started),
            samples: outputs.ciphertexts.len(),
            seconds_loading_keys,
            seconds_preparing,
            seconds_cold: times.cold(),
            seconds_warm: times.warm(),
            layers: layers.into_layers(),
        })
    }
}

/// How long each sample took.
#[derive(Debug)]
pub(super) struct SampleTimes {
    last: Instant,
    seconds: Vec<f64>,
}

impl SampleTimes {
    /// Begins with the first sample.
    pub(super) fn start() -> Self {
        Self {
            last: Instant::now(),
            seconds: Vec::new(),
        }
    }

    /// Ends a sample and begins the next.
    pub(super) fn lap(&mut self) {
        let now = Instant::now();
        self.seconds.push((now - self.last).as_secs_f64());
        self.last = now;
    }

    /// The first sample.
    pub(super) fn cold(&self) -> f64 {
        self.seconds.first().copied().unwrap_or(0.0)
    }

    /// The median of all but the first.
    pub(super) fn warm(&self) -> Option<f64> {
        let mut warm = self.seconds.get(1..).unwrap_or_default().to_vec();
        warm.sort_unstable_by(f64::total_cmp);
        warm.get(warm.len() / 2).copied()
    }
}
