//! What needs the `tfhe` crate, in a build without it: refused with the way out.

use anyhow::Result;
use heron_plan::tfhe::TfheClientSpec;
use heron_runtime::files::PlanBundle;
use heron_runtime::samples::Samples;

use crate::commands::decrypt::{DecryptArgs, Decrypted};
use crate::commands::encrypt::{EncryptArgs, Encrypted};
use crate::commands::keygen::{KeygenArgs, KeysWritten};
use crate::commands::run::{Ran, RunArgs};
use crate::commands::verify::VerifyArgs;
use crate::context::Context;
use crate::failure::{Exit, Failure};

fn absent<T>() -> Result<T> {
    Err(Failure::new(
        Exit::Unsupported,
        "this build of heron has no machine for exact integers",
    )
    .advise("build it with the feature `tfhe`, which is on by default")
    .into())
}

/// Refuses to make keys.
pub(in crate::commands) fn keygen(_: &KeygenArgs, _: &TfheClientSpec, _: &Context) -> Result<KeysWritten> {
    absent()
}

/// Refuses to encrypt.
pub(in crate::commands) fn encrypt(_: &EncryptArgs, _: TfheClientSpec, _: &Context) -> Result<Encrypted> {
    absent()
}

/// Refuses to run.
pub(in crate::commands) fn run(_: &RunArgs, _: &PlanBundle, _: &Context) -> Result<Ran> {
    absent()
}

/// Refuses to decrypt.
pub(in crate::commands) fn decrypt(_: &DecryptArgs, _: TfheClientSpec, _: &Context) -> Result<Decrypted> {
    absent()
}

/// Refuses to measure.
pub(super) fn seconds_per_sample(_: &PlanBundle, _: &Samples, _: &Context) -> Result<f64> {
    absent()
}

/// Refuses to verify.
pub(in crate::commands) fn verify(_: &VerifyArgs, _: &PlanBundle, _: &Context) -> Result<()> {
    absent()
}
