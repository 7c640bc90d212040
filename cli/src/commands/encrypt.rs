//! `heron encrypt`: inputs to ciphertexts.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use heron_ckks::Rng;
use heron_plan::ClientSpec;
use heron_plan::tfhe::ClientFile;
use heron_runtime::files::{KeyFiles, read_client_file, read_public_key, read_secret_key, write_ciphertexts};
use heron_runtime::samples::{RangePolicy, Samples, prepare};
use heron_runtime::sessions::{CiphertextBatch, Client, PublicClient, Security, open_context};
use serde::Serialize;

use super::integers;
use crate::arguments::TensorRef;
use crate::artefact::{ForceOption, Written};
use crate::context::Context;
use crate::units;

const AFTER_HELP: &str = "\
A leading dimension n gives n ciphertexts in one file. Where the keys directory
has no secret.key, its public.key encrypts.

Example:
  heron encrypt digits.plan/client.json --keys keys \\
      -i models/digits_mlp_relu/inputs.npy -o x.ct";

/// Options of `encrypt`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, override_usage = "heron encrypt CLIENT.json --keys KEYS -i X.npy -o X.ct [OPTIONS]")]
pub(crate) struct EncryptArgs {
    /// client.json, or the plan directory that holds it
    #[arg(value_name = "CLIENT.json")]
    pub(super) spec: PathBuf,
    /// The directory of the keys
    #[arg(long, value_name = "KEYS")]
    pub(super) keys: PathBuf,
    /// Inputs
    #[arg(short, long, value_name = "FILE[:ARRAY]")]
    pub(super) input: TensorRef,
    /// Encrypt the first N inputs only
    #[arg(long, value_name = "N")]
    pub(super) n: Option<NonZeroUsize>,
    /// Encrypt values outside the calibrated range: results may mean nothing
    #[arg(long)]
    pub(super) allow_out_of_range: bool,
    /// The ciphertext file to write
    #[arg(short, long, value_name = "X.ct")]
    pub(super) output: PathBuf,
    #[command(flatten)]
    pub(super) force: ForceOption,
}

/// The ciphertexts that were written.
#[derive(Debug, Serialize)]
pub(super) struct Encrypted {
    #[serde(flatten)]
    pub(super) written: Written,
    /// How many samples there are.
    pub(super) samples: usize,
    /// Encryption alone, for one sample.
    pub(super) seconds_per_sample: f64,
}

impl EncryptArgs {
    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Result<()> {
        let encrypted = self.execute(context)?;
        let terminal = context.terminal;
        terminal.result(&encrypted, |_| String::new())?;
        terminal.say(format_args!(
            "encrypted {}, {} each",
            units::count(encrypted.samples, "sample"),
            units::seconds(encrypted.seconds_per_sample)
        ));
        encrypted.written.announce(terminal);
        let (keys, ciphertexts) = (KeyFiles::within(&self.keys).evaluation, self.output.display());
        let keys = keys.display();
        terminal.next(format_args!("heron run PLAN --keys {keys} -i {ciphertexts} -o y.ct"));
        Ok(())
    }

    /// Encrypts and writes.
    pub(super) fn execute(&self, context: &Context) -> Result<Encrypted> {
        let started = Instant::now();
        self.force.check(&self.output)?;
        let spec = match read_client_file(&self.spec)? {
            ClientFile::Ckks(spec) => spec,
            ClientFile::Tfhe(spec) => return integers::encrypt(self, spec, context),
        };
        let policy = if self.allow_out_of_range {
            RangePolicy::AllowOutOfRange
        } else {
            RangePolicy::Refuse
        };
        let shape = &spec.input.shape;
        let first = self.n.map_or(usize::MAX, NonZeroUsize::get);
        let tensor = self.input.read_samples(shape)?.first(first, shape);
        let samples = prepare(&spec.input, &tensor, policy)?;
        let n_samples = samples.values.len();
        let (batch, seconds) = self.encrypt(context, spec, &samples)?;
        write_ciphertexts(&self.output, &batch, self.force.overwrite())?;
        Ok(Encrypted {
            written: Written::since(&self.output, started),
            samples: n_samples,
            seconds_per_sample: seconds / n_samples as f64,
        })
    }

    fn encrypt(&self, context: &Context, spec: ClientSpec, samples: &Samples) -> Result<(CiphertextBatch, f64)> {
        let ring = open_context(&spec.params, context.kernels, Security::Required)?;
        let files = KeyFiles::within(&self.keys);
        let (hash, total) = (spec.plan_hash, samples.values.len() as u64);
        let mut rng = Rng::from_os()?;
        let step = context.terminal.step("encrypting");
        let mut progress = |done: usize| step.progress(done as u64, total);
        let public_only = !files.secret.exists() && files.public.exists();
        if public_only {
            let key = read_public_key(&files.public, &ring, hash)?;
            let client = PublicClient::new(spec, ring, key)?;
            let started = Instant::now();
            return Ok((
                client.encrypt(samples, &mut rng, &mut progress)?,
                started.elapsed().as_secs_f64(),
            ));
        }
        let key = read_secret_key(&files.secret, &ring, hash)?;
        let client = Client::new(spec, ring, key)?;
        let started = Instant::now();
        Ok((
            client.encrypt(samples, &mut rng, &mut progress)?,
            started.elapsed().as_secs_f64(),
        ))
    }
}
