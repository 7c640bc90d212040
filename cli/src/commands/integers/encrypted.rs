//! Keys, ciphertexts and runs of exact integers.

use std::num::NonZeroUsize;
use std::time::Instant;

use anyhow::{Context as _, Result};
use heron_plan::tfhe::{ClientFile, TfheClientSpec};
use heron_runtime::files::{
    KeyFiles, PlanBundle, check_tfhe_room, read_tfhe_evaluation_keys, read_tfhe_inputs, read_tfhe_outputs,
    read_tfhe_secret_key, write_tensor, write_tfhe_inputs, write_tfhe_keys, write_tfhe_outputs,
};
use heron_runtime::samples::{RangePolicy, Samples, prepare};
use heron_runtime::tfhe::{
    TfheClient, TfheProgress, TfheRandomness, TfheSecretKey, TfheServer, integer_program, tfhe_program,
};
use serde::Serialize;

use crate::answers::{Answer, agreement, classes};
use crate::artefact::{Written, bytes_at};
use crate::commands::decrypt::{DecryptArgs, Decrypted, network_outputs};
use crate::commands::encrypt::{EncryptArgs, Encrypted};
use crate::commands::keygen::{KeygenArgs, KeysWritten};
use crate::commands::run::{Ran, RunArgs, SampleTimes};
use crate::commands::verify::VerifyArgs;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::network::{Network, read_labels};
use crate::table::pairs;
use crate::units;

/// Makes the keys of a plan and writes them.
pub(in crate::commands) fn keygen(args: &KeygenArgs, spec: &TfheClientSpec, context: &Context) -> Result<KeysWritten> {
    let started = Instant::now();
    if args.public {
        let message = "a plan for exact integers has no public key";
        return Err(Failure::new(Exit::Usage, message).advise("leave out --public").into());
    }
    let overwrite = args.force.overwrite();
    check_tfhe_room(&args.output, &spec.params, overwrite)?;
    let step = context.terminal.step("making keys");
    let mut randomness = TfheRandomness::from_os();
    let secret = TfheSecretKey::generate(&spec.params, &mut randomness);
    let evaluation = secret.evaluation_keys(&mut randomness);
    drop(step);
    let files = write_tfhe_keys(&args.output, spec.plan_hash, &secret, &evaluation, overwrite)
        .with_context(|| format!("the keys in `{}` were not written", args.output.display()))?;
    Ok(KeysWritten {
        written: Written::since(&args.output, started),
        evaluation_bytes: bytes_at(&files.evaluation),
        rotations: 0,
    })
}

/// Encrypts samples and writes them.
pub(in crate::commands) fn encrypt(args: &EncryptArgs, spec: TfheClientSpec, context: &Context) -> Result<Encrypted> {
    let started = Instant::now();
    let shape = &spec.input.shape;
    let first = args.n.map_or(usize::MAX, NonZeroUsize::get);
    let tensor = args.input.read_samples(shape)?.first(first, shape);
    let samples = prepare(&spec.input, &tensor, policy(args.allow_out_of_range))?;
    let key = read_tfhe_secret_key(&KeyFiles::within(&args.keys).secret, &spec.params, spec.plan_hash)?;
    let n_samples = samples.values.len();
    let step = context.terminal.step("encrypting");
    let client = TfheClient::new(spec, key)?;
    let encrypting = Instant::now();
    let mut progress = |done: usize| step.progress(done as u64, n_samples as u64);
    let batch = client.encrypt(&samples, &mut TfheRandomness::from_os(), &mut progress)?;
    let seconds = encrypting.elapsed().as_secs_f64();
    write_tfhe_inputs(&args.output, &batch, args.force.overwrite())?;
    Ok(Encrypted {
        written: Written::since(&args.output, started),
        samples: n_samples,
        seconds_per_sample: seconds / n_samples as f64,
    })
}

/// Runs a plan and writes the results.
pub(in crate::commands) fn run(args: &RunArgs, bundle: &PlanBundle, context: &Context) -> Result<Ran> {
    let started = Instant::now();
    let params = tfhe_program(&bundle.plan)?.params;
    let inputs = read_tfhe_inputs(&args.input, bundle.hash)?;
    let step = context.terminal.step("loading keys");
    let loading = Instant::now();
    let keys = read_tfhe_evaluation_keys(&args.keys, &params, bundle.hash)?.expand();
    drop(step);
    let seconds_loading_keys = loading.elapsed().as_secs_f64();
    let preparing = Instant::now();
    let server = TfheServer::new(bundle, keys)?;
    let seconds_preparing = preparing.elapsed().as_secs_f64();
    let step = context.terminal.step("running");
    let mut times = SampleTimes::start();
    let outputs = server.run(&inputs, &mut |progress: TfheProgress<'_>| {
        let done = progress.sample * progress.total + progress.index + 1;
        step.progress(done as u64, (progress.n_samples * progress.total) as u64);
        if progress.index + 1 == progress.total {
            times.lap();
        }
    })?;
    drop(step);
    write_tfhe_outputs(&args.output, &outputs, args.force.overwrite())?;
    Ok(Ran {
        written: Written::since(&args.output, started),
        samples: outputs.samples.len(),
        seconds_loading_keys,
        seconds_preparing,
        seconds_cold: times.cold(),
        seconds_warm: times.warm(),
        layers: Vec::new(),
    })
}

/// Decrypts results and writes them. Decryption rounds to integers, so that what is written carries no noise.
///
/// # Errors
/// [`Exit::Usage`] for options that could have no effect.
pub(in crate::commands) fn decrypt(args: &DecryptArgs, spec: TfheClientSpec, _: &Context) -> Result<Decrypted> {
    let started = Instant::now();
    refuse_without_effect(
        args.share,
        "--share",
        "integers are decrypted without noise: there is nothing to round away before others see them",
    )?;
    refuse_without_effect(
        args.allow_out_of_range,
        "--allow-out-of-range",
        "a plan for exact integers proves the range of its outputs: none can be above its bound",
    )?;
    let key = read_tfhe_secret_key(&KeyFiles::within(&args.keys).secret, &spec.params, spec.plan_hash)?;
    let batch = read_tfhe_outputs(&args.input, spec.plan_hash)?;
    let client = TfheClient::new(spec, key)?;
    let values = client.decrypt(&batch)?;
    let (shape, flat) = network_outputs(&client.spec().output, &values);
    write_tensor(&args.output, &shape, &flat, args.force.overwrite())?;
    let names = &client.spec().output.class_names;
    Ok(Decrypted {
        written: Written::since(&args.output, started),
        shape,
        answers: values.iter().map(|values| Answer::of(values, names)).collect(),
        values,
    })
}

/// What was found by running a plan with a fresh key beside the exact integers.
#[derive(Debug, Serialize)]
struct VerifiedIntegers {
    samples: usize,
    /// Samples whose integers are all exact.
    exact: usize,
    /// `log2` of the stated probability that a sample is not.
    log2_failure: f64,
    seconds_per_sample: f64,
    encrypted_top1: Option<f64>,
    clear_top1: Option<f64>,
    agrees_with_model: Option<f64>,
}

/// Compares encrypted integers with the exact ones, sample by sample.
///
/// # Errors
/// [`Exit::Verification`] where any differs; [`Exit::Usage`] for options that could have no effect.
pub(in crate::commands) fn verify(args: &VerifyArgs, bundle: &PlanBundle, context: &Context) -> Result<()> {
    refuse_without_effect(
        args.layers,
        "--layers",
        "exact integers are compared at the output: a wrong look-up before it shows there, or changes nothing",
    )?;
    let shape = &bundle.plan.input.shape;
    let tensor = args.input.read_samples(shape)?;
    let labels = args
        .labels
        .as_ref()
        .map(|labels| read_labels(labels, tensor.n_samples(shape)));
    let labels = labels.transpose()?;
    let tensor = tensor.first(args.n.get(), shape);
    let samples = prepare(&bundle.plan.input, &tensor, policy(args.allow_out_of_range))?;
    let exact = integer_program(&bundle.plan, &bundle.weights)?;
    let (integers, seconds) = encrypted_integers(bundle, &samples, context)?;
    let wanted = samples
        .values
        .iter()
        .map(|sample| exact.evaluate(&exact.input().quantize(sample)));
    let n_exact = wanted.zip(&integers).filter(|(wanted, found)| wanted == *found).count();
    let outputs: Vec<Vec<f64>> = integers
        .iter()
        .map(|sample| exact.output().dequantize(sample))
        .collect();
    let network = args.model.as_ref().map(|model| Network::read(model)).transpose()?;
    let clear = network.map(|network| network.outputs(&samples.values)).transpose()?;
    let answers = classes(&outputs);
    let right = |answers: &[usize]| labels.as_ref().map(|labels| agreement(answers, labels));
    let verified = VerifiedIntegers {
        samples: integers.len(),
        exact: n_exact,
        log2_failure: exact.program().log2_failure,
        seconds_per_sample: seconds / integers.len() as f64,
        encrypted_top1: right(&answers),
        clear_top1: clear.as_deref().and_then(|clear| right(&classes(clear))),
        agrees_with_model: clear.as_deref().map(|clear| agreement(&answers, &classes(clear))),
    };
    context
        .terminal
        .result(&verified, |width| pairs(&verified.entries(), width))?;
    if verified.exact == verified.samples {
        return Ok(());
    }
    let message = format!(
        "{} of {} samples have an integer that is not exact; each may with probability 2^{:.1}",
        verified.samples - verified.exact,
        verified.samples,
        verified.log2_failure
    );
    Err(Failure::new(Exit::Verification, message)
        .advise("run it again; if that happens more often than stated, please report it")
        .into())
}

/// Encrypts, runs and decrypts with a fresh key; seconds of the runs alone.
fn encrypted_integers(bundle: &PlanBundle, samples: &Samples, context: &Context) -> Result<(Vec<Vec<i64>>, f64)> {
    let ClientFile::Tfhe(spec) = bundle.plan.client_file() else {
        return Err(Failure::new(Exit::Internal, "a plan for exact integers has another client").into());
    };
    let step = context.terminal.step("making keys");
    let mut randomness = TfheRandomness::from_os();
    let secret = TfheSecretKey::generate(&spec.params, &mut randomness);
    let server = TfheServer::new(bundle, secret.evaluation_keys(&mut randomness).expand())?;
    drop(step);
    let client = TfheClient::new(spec, secret)?;
    let inputs = client.encrypt(samples, &mut randomness, &mut |_| {})?;
    let step = context.terminal.step("running encrypted");
    let started = Instant::now();
    let outputs = server.run(&inputs, &mut |progress: TfheProgress<'_>| {
        let done = progress.sample * progress.total + progress.index + 1;
        step.progress(done as u64, (progress.n_samples * progress.total) as u64);
    })?;
    drop(step);
    let seconds = started.elapsed().as_secs_f64();
    Ok((client.decrypt_integers(&outputs)?, seconds))
}

/// Seconds that a sample takes with a fresh key.
pub(super) fn seconds_per_sample(bundle: &PlanBundle, samples: &Samples, context: &Context) -> Result<f64> {
    let (_, seconds) = encrypted_integers(bundle, samples, context)?;
    Ok(seconds / samples.values.len().max(1) as f64)
}

/// Refuses an option of the other target, so that nobody relies on what it does not do.
fn refuse_without_effect(given: bool, option: &str, reason: &str) -> Result<()> {
    if !given {
        return Ok(());
    }
    Err(
        Failure::new(Exit::Usage, format!("{option} has no effect here: {reason}"))
            .advise(format!("leave out {option}"))
            .into(),
    )
}

/// Values outside the calibrated range, where they are allowed, become the nearest integers that the plan takes.
fn policy(allow_out_of_range: bool) -> RangePolicy {
    if allow_out_of_range {
        RangePolicy::AllowOutOfRange
    } else {
        RangePolicy::Refuse
    }
}

impl VerifiedIntegers {
    fn entries(&self) -> Vec<(&'static str, String)> {
        let mut entries = vec![
            ("exact", format!("{} of {} samples", self.exact, self.samples)),
            ("failure", format!("2^{:.1} a sample, at most", self.log2_failure)),
            ("time", format!("{} a sample", units::seconds(self.seconds_per_sample))),
        ];
        let rates = [
            ("encrypted", self.encrypted_top1),
            ("clear", self.clear_top1),
            ("same answer", self.agrees_with_model),
        ];
        let shown = rates
            .into_iter()
            .filter_map(|(name, rate)| Some((name, units::percent(rate?))));
        entries.extend(shown);
        entries
    }
}
