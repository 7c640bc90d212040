//! `heron demo`: a shipped model, compiled and run encrypted on real samples.
//!
//! It does what the commands do, on files, in two directories: what is in `server` a server has, what is in `client` only
//! the client has.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use heron_plan::ClientSpec;
use heron_runtime::files::{Overwrite, read_client, read_plan, write_bytes};
use heron_runtime::outputs::arg_max;
use heron_runtime::samples::{RangePolicy, prepare};
use heron_runtime::simulate::{Noise, simulate};
use serde::Serialize;

use super::compile::{CompileArgs, PlanWritten};
use super::decrypt::{DecryptArgs, Decrypted};
use super::encrypt::{EncryptArgs, Encrypted};
use super::estimate::BudgetOption;
use super::keygen::{KeygenArgs, KeysWritten};
use super::report::costs;
use super::run::{Ran, RunArgs};
use crate::answers::{class_name, largest_difference, largest_magnitude};
use crate::arguments::{NormalizeOption, TensorRef};
use crate::artefact::ForceOption;
use crate::context::Context;
use crate::network::{Network, read_labels};
use crate::picture::{columns, draw};
use crate::security_card;
use crate::shipped::{Manifest, Shipped};
use crate::table::{pairs, wrap};
use crate::units;

const AFTER_HELP: &str = "\
Example:
  heron demo
  heron demo --model mlp_mnist --n 3";

/// What to try after the first demo.
const NEXT_MODEL: &str = "mlp_mnist";
const NEXT_DEMO: &str = "heron demo --model mlp_mnist";

/// Between a picture and its caption.
const GAP: &str = "   ";

/// Options of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DemoArgs {
    /// A model that ships with heron
    #[arg(long, value_name = "NAME", default_value = "digits_mlp_relu")]
    model: String,
    /// How many samples to run
    #[arg(long, value_name = "N", default_value = "5")]
    n: NonZeroUsize,
    /// Keep the client's and the server's directory in a new directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// One sample, and what became of it.
#[derive(Debug, Serialize)]
struct Shown {
    label: String,
    clear: String,
    encrypted: String,
    /// Between the encrypted and the polynomial network's outputs.
    largest_difference: f64,
    /// The largest output of the polynomial network.
    largest_output: f64,
    #[serde(skip)]
    pixels: Vec<f64>,
}

/// Everything that happened.
#[derive(Debug, Serialize)]
struct Demonstrated {
    model: &'static str,
    samples: Vec<Shown>,
    /// Bits, the worst over the samples.
    precision_bits: f64,
    compiled: PlanWritten,
    keys: KeysWritten,
    encrypted: Encrypted,
    ran: Ran,
}

impl DemoArgs {
    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Result<()> {
        let model = Shipped::named(&self.model)?;
        let manifest = model.manifest()?;
        let terminal = context.terminal;
        terminal.piece(&format!("{}: {}\n\n", model.name, manifest.title))?;
        let demonstrated = match &self.keep {
            Some(directory) => {
                ForceOption::REFUSE.check(directory)?;
                let parties = Parties::create(directory)?;
                self.demonstrate(model, &manifest, &parties, context)?
            }
            None => {
                let directory = tempfile::Builder::new().prefix("heron-demo-").tempdir()?;
                crate::interrupt::remove_on_ctrl_c(directory.path());
                let parties = Parties::create(directory.path())?;
                let demonstrated = self.demonstrate(model, &manifest, &parties, context)?;
                directory.close()?;
                demonstrated
            }
        };
        terminal.result(&demonstrated, |width| {
            demonstrated.text(manifest.picture, terminal.has_colour(), width)
        })?;
        if let Some(directory) = &self.keep {
            terminal.say(format_args!("kept {0}/client and {0}/server", directory.display()));
        }
        terminal.next(if self.model == NEXT_MODEL {
            "heron compile --help"
        } else {
            NEXT_DEMO
        });
        Ok(())
    }

    /// Author, client and server, one after the other.
    fn demonstrate(
        &self,
        model: Shipped,
        manifest: &Manifest,
        parties: &Parties,
        context: &Context,
    ) -> Result<Demonstrated> {
        parties.unpack(model)?;
        let compiled = parties.compile(model, manifest, context)?;
        let keys = parties.make_keys(context)?;
        let encrypted = parties.encrypt(self.n, context)?;
        let ran = parties.run(context)?;
        let decrypted = parties.decrypt(context)?;
        let (samples, precision_bits) = parties.compare(&decrypted, manifest)?;
        Ok(Demonstrated {
            model: model.name,
            samples,
            precision_bits,
            compiled,
            keys,
            encrypted,
            ran,
        })
    }
}

/// The directories of the two sides.
struct Parties {
    client: PathBuf,
    server: PathBuf,
}

impl Parties {
    fn create(directory: &Path) -> Result<Self> {
        let parties = Self {
            client: directory.join("client"),
            server: directory.join("server"),
        };
        for side in [&parties.client, &parties.server] {
            std::fs::create_dir_all(side).with_context(|| format!("creating `{}`", side.display()))?;
        }
        Ok(parties)
    }

    fn plan(&self) -> PathBuf {
        self.server.join("model.plan")
    }

    /// The model's owner runs the server; samples are the client's.
    fn unpack(&self, model: Shipped) -> Result<()> {
        write_bytes(&self.server.join("model.onnx"), model.onnx, Overwrite::Refuse)?;
        write_bytes(
            &self.server.join("calibration.npz"),
            model.calibration,
            Overwrite::Refuse,
        )?;
        write_bytes(&self.client.join("inputs.npy"), model.inputs, Overwrite::Refuse)?;
        write_bytes(&self.client.join("labels.npy"), model.labels, Overwrite::Refuse)?;
        Ok(())
    }

    fn compile(&self, model: Shipped, manifest: &Manifest, context: &Context) -> Result<PlanWritten> {
        let calibration = |member: &str| TensorRef {
            path: self.server.join("calibration.npz"),
            member: Some(member.to_owned()),
        };
        let data = calibration(&manifest.calibration.samples);
        let compile = CompileArgs {
            labels: Some(calibration(&manifest.calibration.labels)),
            normalize: manifest.normalization.clone().map(NormalizeOption),
            class_names: manifest.class_names.clone(),
            ..CompileArgs::usual(self.server.join("model.onnx"), data.clone(), self.plan())
        };
        let compiled = compile.execute(&data, &self.plan(), context)?;
        context.terminal.say(format_args!(
            "author   compiled {} ({}) in {}",
            model.name,
            units::bytes(compiled.written.bytes),
            units::seconds(compiled.written.seconds)
        ));
        hand_over(&self.plan().join("client.json"), &self.client.join("client.json"))?;
        Ok(compiled)
    }

    fn make_keys(&self, context: &Context) -> Result<KeysWritten> {
        let keygen = KeygenArgs {
            spec: self.client.join("client.json"),
            output: self.client.join("keys"),
            public: false,
            force: ForceOption::REFUSE,
        };
        let keys = keygen.execute(context)?;
        context.terminal.say(format_args!(
            "client   made keys: {} for the server, in {}",
            units::bytes(keys.evaluation_bytes),
            units::seconds(keys.written.seconds)
        ));
        hand_over(&self.client.join("keys/eval.key"), &self.server.join("eval.key"))?;
        Ok(keys)
    }

    fn encrypt(&self, n: NonZeroUsize, context: &Context) -> Result<Encrypted> {
        let encrypt = EncryptArgs {
            spec: self.client.join("client.json"),
            keys: self.client.join("keys"),
            input: TensorRef::whole(&self.client.join("inputs.npy")),
            n: Some(n),
            allow_out_of_range: false,
            output: self.client.join("x.ct"),
            force: ForceOption::REFUSE,
        };
        let encrypted = encrypt.execute(context)?;
        context.terminal.say(format_args!(
            "client   encrypted {} ({}), {} each",
            units::count(encrypted.samples, "sample"),
            units::bytes(encrypted.written.bytes),
            units::seconds(encrypted.seconds_per_sample)
        ));
        hand_over(&self.client.join("x.ct"), &self.server.join("x.ct"))?;
        Ok(encrypted)
    }

    fn run(&self, context: &Context) -> Result<Ran> {
        let run = RunArgs {
            plan: self.plan(),
            keys: self.server.join("eval.key"),
            input: self.server.join("x.ct"),
            output: self.server.join("y.ct"),
            budget: BudgetOption::USUAL,
            force: ForceOption::REFUSE,
        };
        let ran = run.execute(context)?;
        let warm = ran
            .seconds_warm
            .map(|s| format!(", then {} each", units::seconds(s)))
            .unwrap_or_default();
        context.terminal.say(format_args!(
            "server   loaded keys in {}, encoded plaintexts in {}\nserver   ran the network encrypted: the first in {}{warm}",
            units::seconds(ran.seconds_loading_keys),
            units::seconds(ran.seconds_preparing),
            units::seconds(ran.seconds_cold)
        ));
        hand_over(&self.server.join("y.ct"), &self.client.join("y.ct"))?;
        Ok(ran)
    }

    fn decrypt(&self, context: &Context) -> Result<Decrypted> {
        let decrypt = DecryptArgs {
            spec: self.client.join("client.json"),
            keys: self.client.join("keys"),
            input: self.client.join("y.ct"),
            share: false,
            allow_out_of_range: false,
            output: self.client.join("y.npy"),
            force: ForceOption::REFUSE,
        };
        let decrypted = decrypt.execute(context)?;
        context.terminal.say("client   decrypted the answers\n");
        Ok(decrypted)
    }

    /// What only someone on both sides can do: each decrypted answer beside the clear one.
    fn compare(&self, decrypted: &Decrypted, manifest: &Manifest) -> Result<(Vec<Shown>, f64)> {
        let spec: ClientSpec = read_client(&self.client.join("client.json"))?;
        let shape = &spec.input.shape;
        let tensor = TensorRef::whole(&self.client.join("inputs.npy")).read_samples(shape)?;
        let n_labels = tensor.n_samples(shape);
        let labels = read_labels(&TensorRef::whole(&self.client.join("labels.npy")), n_labels)?;
        let tensor = tensor.first(decrypted.values.len(), shape);
        let samples = prepare(&spec.input, &tensor, RangePolicy::Refuse)?;
        let clear = Network::read(&self.server.join("model.onnx"))?.outputs(&samples.values)?;
        let polynomial = simulate(&read_plan(&self.plan())?, &samples, Noise::None, &mut |_| {})?.outputs;
        let error = largest_difference(&decrypted.values, &polynomial);
        let precision_bits = -(error / largest_magnitude(&polynomial)).log2();
        let shown = samples.values.into_iter().enumerate().map(|(index, pixels)| Shown {
            label: class_name(labels[index], &manifest.class_names),
            clear: class_name(arg_max(&clear[index]), &manifest.class_names),
            encrypted: decrypted.answers[index].name.clone(),
            largest_difference: largest_difference(&decrypted.values[index..=index], &polynomial[index..=index]),
            largest_output: largest_magnitude(&polynomial[index..=index]),
            pixels,
        });
        Ok((shown.collect(), precision_bits))
    }
}

/// A file goes from one side to the other.
fn hand_over(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).with_context(|| format!("copying `{}` to `{}`", from.display(), to.display()))?;
    Ok(())
}

impl Demonstrated {
    fn text(&self, picture: Option<(usize, usize)>, colour: bool, width: usize) -> String {
        let mut text = String::new();
        for (index, sample) in self.samples.iter().enumerate() {
            text.push_str(&sample.text(index, picture, colour, width));
            text.push('\n');
        }
        let right = self
            .samples
            .iter()
            .filter(|sample| sample.encrypted == sample.label)
            .count();
        let same = self
            .samples
            .iter()
            .filter(|sample| sample.encrypted == sample.clear)
            .count();
        let n = self.samples.len();
        let mut entries = vec![
            ("answers", format!("{right} of {n} right, {same} of {n} as in clear")),
            (
                "measured",
                format!("{:.1} bits of precision, worst over all samples", self.precision_bits),
            ),
        ];
        entries.extend(costs(&self.compiled.report));
        text.push_str(&pairs(&entries, width));
        text.push('\n');
        text.push_str(&pairs(&security_card::entries(&self.compiled.report.security), width));
        text
    }
}

impl Shown {
    /// The picture with its caption beside it or, where the terminal is too narrow, below.
    fn text(&self, index: usize, picture: Option<(usize, usize)>, colour: bool, width: usize) -> String {
        let caption = [
            format!("sample {index}"),
            format!("label               {}", self.label),
            format!("clear answer        {}", self.clear),
            format!("encrypted answer    {}", self.encrypted),
            format!(
                "largest difference  {:.1e} of outputs up to {:.1}",
                self.largest_difference, self.largest_output
            ),
        ];
        let Some(size) = picture else {
            return caption.join("\n") + "\n";
        };
        let drawn = draw(&self.pixels, size, colour);
        let longest = caption.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        let columns = columns(size);
        if columns + GAP.len() + longest > width {
            let below: Vec<String> = caption.iter().flat_map(|line| wrap(line, width)).collect();
            return format!("{}\n{}\n", drawn.join("\n"), below.join("\n"));
        }
        let above = drawn.len().saturating_sub(caption.len()) / 2;
        let line = |row: usize| {
            let picture = drawn.get(row).map_or(" ".repeat(columns), Clone::clone);
            let said = row
                .checked_sub(above)
                .and_then(|row| caption.get(row))
                .map_or("", String::as_str);
            format!("{picture}{GAP}{said}").trim_end().to_owned() + "\n"
        };
        (0..drawn.len().max(caption.len())).map(line).collect()
    }
}
