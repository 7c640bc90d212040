//! `heron decrypt`: ciphertexts to outputs.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use heron_plan::OutputSpec;
use heron_plan::tfhe::ClientFile;
use heron_runtime::files::{KeyFiles, read_ciphertexts, read_client_file, read_secret_key, write_tensor};
use heron_runtime::outputs::{Rounding, TailValue, apply_tail};
use heron_runtime::samples::RangePolicy;
use heron_runtime::sessions::{Client, DecryptOptions, Security, open_context};
use serde::Serialize;

use super::integers;
use crate::answers::Answer;
use crate::artefact::{ForceOption, Written};
use crate::context::Context;
use crate::table::{Align, Table};

const AFTER_HELP: &str = "\
Decrypted values carry noise that depends on the secret key. Before anyone else
sees them, round it away with --share.

Example:
  heron decrypt digits.plan/client.json --keys keys -i y.ct -o y.npy";

/// Options of `decrypt`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, override_usage = "heron decrypt CLIENT.json --keys KEYS -i Y.ct -o Y.npy [OPTIONS]")]
pub(crate) struct DecryptArgs {
    /// client.json, or the plan directory that holds it
    #[arg(value_name = "CLIENT.json")]
    pub(super) spec: PathBuf,
    /// The directory of the keys
    #[arg(long, value_name = "KEYS")]
    pub(super) keys: PathBuf,
    /// Encrypted outputs
    #[arg(short, long, value_name = "Y.ct")]
    pub(super) input: PathBuf,
    /// Round to what the plan's stated error leaves: for values that others see
    #[arg(long)]
    pub(super) share: bool,
    /// Accept outputs above the plan's bound
    #[arg(long)]
    pub(super) allow_out_of_range: bool,
    /// The .npy file to write
    #[arg(short, long, value_name = "Y.npy")]
    pub(super) output: PathBuf,
    #[command(flatten)]
    pub(super) force: ForceOption,
}

/// The outputs that were written.
#[derive(Debug, Serialize)]
pub(super) struct Decrypted {
    #[serde(flatten)]
    pub(super) written: Written,
    /// Shape of the array, samples first.
    pub(super) shape: Vec<usize>,
    /// One per sample.
    pub(super) answers: Vec<Answer>,
    /// The decrypted values of each sample, before anything that the client computes after them.
    #[serde(skip)]
    pub(super) values: Vec<Vec<f64>>,
}

impl DecryptArgs {
    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Result<()> {
        let decrypted = self.execute(context)?;
        let terminal = context.terminal;
        terminal.result(&decrypted, |width| decrypted.table().render(width))?;
        decrypted.written.announce(terminal);
        terminal.next(format_args!("heron inspect {}", self.output.display()));
        Ok(())
    }

    /// Decrypts and writes.
    pub(super) fn execute(&self, context: &Context) -> Result<Decrypted> {
        let started = Instant::now();
        self.force.check(&self.output)?;
        let spec = match read_client_file(&self.spec)? {
            ClientFile::Ckks(spec) => spec,
            ClientFile::Tfhe(spec) => return integers::decrypt(self, spec, context),
        };
        let ring = open_context(&spec.params, context.kernels, Security::Required)?;
        let secret = read_secret_key(&KeyFiles::within(&self.keys).secret, &ring, spec.plan_hash)?;
        let batch = read_ciphertexts(&self.input, &ring, spec.plan_hash)?;
        let options = DecryptOptions {
            range: if self.allow_out_of_range {
                RangePolicy::AllowOutOfRange
            } else {
                RangePolicy::Refuse
            },
            rounding: if self.share {
                Rounding::ToStatedError
            } else {
                Rounding::Keep
            },
        };
        let client = Client::new(spec, ring, secret)?;
        let outputs = client.decrypt(&batch, options)?;
        let (shape, flat) = network_outputs(&client.spec().output, &outputs.values);
        write_tensor(&self.output, &shape, &flat, self.force.overwrite())?;
        Ok(Decrypted {
            written: Written::since(&self.output, started),
            shape,
            answers: outputs
                .values
                .iter()
                .map(|values| Answer::of(values, &client.spec().output.class_names))
                .collect(),
            values: outputs.values,
        })
    }
}

impl Decrypted {
    fn table(&self) -> Table {
        let mut table = Table::new(&[
            ("sample", Align::Number),
            ("answer", Align::Text),
            ("largest output", Align::Number),
        ]);
        for (index, answer) in self.answers.iter().enumerate() {
            table.row([index.to_string(), answer.name.clone(), format!("{:.4}", answer.value)]);
        }
        table
    }
}

/// What the network itself would give: the decrypted values after the nodes that belong on the client.
pub(super) fn network_outputs(output: &OutputSpec, values: &[Vec<f64>]) -> (Vec<usize>, Vec<f64>) {
    let mut flat = Vec::new();
    let mut shape = vec![values.len()];
    let ends_in_index = matches!(output.tail.last(), Some(heron_plan::ClientTail::ArgMax));
    if !ends_in_index {
        shape.extend(&output.shape);
    }
    for sample in values {
        match apply_tail(&output.tail, sample) {
            TailValue::Values(values) => flat.extend(values),
            TailValue::Index(index) => flat.push(index as f64),
        }
    }
    (shape, flat)
}
