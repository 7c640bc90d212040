//! `heron keygen`: the keys of a plan.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};
use heron_ckks::Rng;
use heron_plan::tfhe::ClientFile;
use heron_runtime::files::{KeyFiles, read_client_file, write_keys};
use heron_runtime::sessions::{KeygenOptions, Security, keygen, open_context};
use serde::Serialize;

use super::integers;
use crate::artefact::{ForceOption, Written, bytes_at};
use crate::context::Context;
use crate::units;

const AFTER_HELP: &str = "\
Writes secret.key, which stays with the client, and eval.key, which goes to the
server. What replaced keys have encrypted can never be decrypted again.

Example:
  heron keygen digits.plan/client.json -o keys";

/// Options of `keygen`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct KeygenArgs {
    /// client.json, or the plan directory that holds it
    #[arg(value_name = "CLIENT.json")]
    pub(super) spec: PathBuf,
    /// The directory to write
    #[arg(short, long, value_name = "KEYS")]
    pub(super) output: PathBuf,
    /// Also write public.key, with which others can encrypt
    #[arg(long)]
    pub(super) public: bool,
    #[command(flatten)]
    pub(super) force: ForceOption,
}

/// The keys that were written.
#[derive(Debug, Serialize)]
pub(super) struct KeysWritten {
    #[serde(flatten)]
    pub(super) written: Written,
    /// Bytes of `eval.key`.
    pub(super) evaluation_bytes: u64,
    /// How many rotation keys there are.
    pub(super) rotations: usize,
}

impl KeygenArgs {
    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Result<()> {
        let keys = self.execute(context)?;
        let terminal = context.terminal;
        terminal.result(&keys, |_| String::new())?;
        keys.written.announce(terminal);
        let size = units::bytes(keys.evaluation_bytes);
        terminal.say(format_args!(
            "{}/eval.key ({size}) goes to the server, secret.key stays here",
            self.output.display()
        ));
        let (spec, keys) = (self.spec.display(), self.output.display());
        terminal.next(format_args!("heron encrypt {spec} --keys {keys} -i X.npy -o x.ct"));
        Ok(())
    }

    /// Makes the keys and writes them.
    pub(super) fn execute(&self, context: &Context) -> Result<KeysWritten> {
        let started = Instant::now();
        let spec = match read_client_file(&self.spec)? {
            ClientFile::Ckks(spec) => spec,
            ClientFile::Tfhe(spec) => return integers::keygen(self, &spec, context),
        };
        let options = KeygenOptions { public: self.public };
        KeyFiles::check_room(&self.output, &spec, options, self.force.overwrite())?;
        let ring = open_context(&spec.params, context.kernels, Security::Required)?;
        let total = spec.key_bytes(false);
        let step = context.terminal.step("making keys");
        let mut progress = |done: u64| step.bytes(done, total);
        let keys = keygen(&spec, &ring, options, &mut Rng::from_os()?, &mut progress)?;
        drop(step);
        let total = spec.key_bytes(true);
        let step = context.terminal.step("writing keys");
        let mut progress = |done: u64| step.bytes(done, total);
        let overwrite = self.force.overwrite();
        let files = write_keys(&self.output, spec.plan_hash, &keys, overwrite, &mut progress)
            .with_context(|| format!("the keys in `{}` were not written", self.output.display()))?;
        drop(step);
        Ok(KeysWritten {
            written: Written::since(&self.output, started),
            evaluation_bytes: bytes_at(&files.evaluation),
            rotations: spec.keys.rotations.len(),
        })
    }
}
