//! The files of exact integers: keys in the frames of all keys, ciphertexts in records that begin with another byte than
//! those of CKKS.
//!
//! `secret.key` holds one byte for each bit of both keys. `eval.key` holds the bootstrap key's seed and words, then the
//! key-switching key's. A record of an input begins with 2, one of an output with 3.

use std::io::{Read, Write};
use std::path::Path;

use heron_ckks::ReadError;
use heron_params::tfhe::TfheParams;
use heron_plan::Digest;
use zeroize::Zeroizing;

use super::atomic::{Access, Overwrite, check_output_path, write_directory, write_file};
use super::container::ContainerWriter;
use super::keys::{KeyFiles, container_error, open_container, read_stream, write_stream};
use super::stream::parse_record;
use super::{ContainerError, FileError, FileKind, require_free};
use crate::tfhe::{EncryptedInput, EncryptedOutput, SeededKeys, SeededVector, TfheBatch, TfheSecretKey, Vector};

const INPUT_FORM: u8 = 2;
const OUTPUT_FORM: u8 = 3;
/// What the files have beyond their keys, generously.
const FRAME_BYTES: u64 = 1 << 20;

/// Refuses before any key is made what [`write_tfhe_keys`] would refuse after.
///
/// # Errors
/// [`FileError::Exists`], [`FileError::NoSpace`], [`FileError::Io`].
pub fn check_tfhe_room(directory: &Path, params: &TfheParams, overwrite: Overwrite) -> Result<(), FileError> {
    check_output_path(directory, overwrite)?;
    require_free(directory, params.key_file_bytes() + FRAME_BYTES)
}

/// Writes a directory of keys, all of them or nothing.
///
/// # Errors
/// [`FileError::Exists`], [`FileError::NotReplaceable`], [`FileError::DiskFull`], [`FileError::Io`].
pub fn write_tfhe_keys(
    directory: &Path,
    plan_hash: Digest,
    secret: &TfheSecretKey,
    evaluation: &SeededKeys,
    overwrite: Overwrite,
) -> Result<KeyFiles, FileError> {
    write_directory(directory, Access::Owner, overwrite, |partial| {
        let files = KeyFiles::within(partial);
        write_stream(&files.secret, FileKind::SecretKey, plan_hash, |out| {
            out.write_all(&secret.bits())
        })?;
        write_stream(&files.evaluation, FileKind::EvaluationKeys, plan_hash, |out| {
            out.write_all(&evaluation.bootstrap_seed.to_le_bytes())?;
            evaluation
                .bootstrap
                .iter()
                .try_for_each(|word| out.write_all(&word.to_le_bytes()))?;
            out.write_all(&evaluation.switch_seed.to_le_bytes())?;
            evaluation
                .switch
                .iter()
                .try_for_each(|word| out.write_all(&word.to_le_bytes()))
        })
    })?;
    Ok(KeyFiles::within(directory))
}

/// Reads `secret.key`.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::Container`], [`FileError::OtherPlan`], [`FileError::Io`].
pub fn read_tfhe_secret_key(path: &Path, params: &TfheParams, plan_hash: Digest) -> Result<TfheSecretKey, FileError> {
    read_stream(path, FileKind::SecretKey, plan_hash, |input| {
        let len = params.small_dimension as usize + params.ring_dimension();
        let mut bits = Zeroizing::new(vec![0; len]);
        input.read_exact(&mut bits)?;
        TfheSecretKey::from_bits(params, &bits).ok_or(ReadError::Malformed {
            what: "secret key",
            reason: "it holds something else than bits",
        })
    })
}

/// Reads `eval.key`.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::Container`], [`FileError::OtherPlan`], [`FileError::Io`].
pub fn read_tfhe_evaluation_keys(path: &Path, params: &TfheParams, plan_hash: Digest) -> Result<SeededKeys, FileError> {
    let (bootstrap_len, switch_len) = SeededKeys::lengths(params);
    read_stream(path, FileKind::EvaluationKeys, plan_hash, |input| {
        Ok(SeededKeys {
            params: *params,
            bootstrap_seed: u128::from_le_bytes(bytes(input)?),
            bootstrap: words(input, bootstrap_len, u64::from_le_bytes)?,
            switch_seed: u128::from_le_bytes(bytes(input)?),
            switch: words(input, switch_len, u32::from_le_bytes)?,
        })
    })
}

fn bytes<const N: usize>(input: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads words one by one: what the file does not hold is never allocated.
fn words<const N: usize, T>(input: &mut impl Read, len: usize, word: fn([u8; N]) -> T) -> Result<Vec<T>, ReadError> {
    let mut words = Vec::new();
    for _ in 0..len {
        words.push(word(bytes(input)?));
    }
    Ok(words)
}

/// Writes encrypted inputs.
///
/// # Errors
/// [`FileError::Exists`], [`FileError::DiskFull`], [`FileError::Io`].
pub fn write_tfhe_inputs(
    path: &Path,
    batch: &TfheBatch<EncryptedInput>,
    overwrite: Overwrite,
) -> Result<(), FileError> {
    write_records(path, batch, overwrite, |input| {
        let mut payload = vec![INPUT_FORM];
        payload.extend((input.lines.len() as u32).to_le_bytes());
        for line in &input.lines {
            payload.extend(line.seed.to_le_bytes());
            payload.extend((line.bodies.len() as u32).to_le_bytes());
            payload.extend(line.bodies.iter().flat_map(|word| word.to_le_bytes()));
        }
        payload
    })
}

/// Writes encrypted outputs.
///
/// # Errors
/// [`FileError::Exists`], [`FileError::DiskFull`], [`FileError::Io`].
pub fn write_tfhe_outputs(
    path: &Path,
    batch: &TfheBatch<EncryptedOutput>,
    overwrite: Overwrite,
) -> Result<(), FileError> {
    write_records(path, batch, overwrite, |output| {
        let mut payload = vec![OUTPUT_FORM];
        payload.extend((output.vector.size as u32).to_le_bytes());
        payload.extend((output.vector.len() as u32).to_le_bytes());
        payload.extend(output.vector.words.iter().flat_map(|word| word.to_le_bytes()));
        payload
    })
}

fn write_records<T>(
    path: &Path,
    batch: &TfheBatch<T>,
    overwrite: Overwrite,
    payload: impl Fn(&T) -> Vec<u8>,
) -> Result<(), FileError> {
    write_file(path, Access::Mask, overwrite, |writer| {
        let mut container = ContainerWriter::new(writer, FileKind::Ciphertexts, batch.plan_hash)?;
        batch
            .samples
            .iter()
            .try_for_each(|sample| container.record(&payload(sample)))?;
        container.finish()
    })
}

/// Reads encrypted inputs of a plan.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::Container`], [`FileError::OtherPlan`], [`FileError::Io`].
pub fn read_tfhe_inputs(path: &Path, plan_hash: Digest) -> Result<TfheBatch<EncryptedInput>, FileError> {
    read_records(path, plan_hash, |input| {
        expect_form(input, INPUT_FORM, "it is no input of a plan for exact integers")?;
        let n_lines = u32::from_le_bytes(bytes(input)?);
        let mut lines = Vec::new();
        for _ in 0..n_lines {
            let seed = u128::from_le_bytes(bytes(input)?);
            let len = u32::from_le_bytes(bytes(input)?);
            let bodies = words(input, len as usize, u64::from_le_bytes)?;
            lines.push(SeededVector { seed, bodies });
        }
        Ok(EncryptedInput { lines })
    })
}

/// Reads encrypted outputs of a plan.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::Container`], [`FileError::OtherPlan`], [`FileError::Io`].
pub fn read_tfhe_outputs(path: &Path, plan_hash: Digest) -> Result<TfheBatch<EncryptedOutput>, FileError> {
    read_records(path, plan_hash, |input| {
        expect_form(input, OUTPUT_FORM, "it is no output of a plan for exact integers")?;
        let size = u32::from_le_bytes(bytes(input)?) as usize;
        let len = u32::from_le_bytes(bytes(input)?) as usize;
        let total = size.checked_mul(len).filter(|_| size > 0);
        let total = total.ok_or(ReadError::Malformed {
            what: "ciphertext",
            reason: "its sizes mean nothing",
        })?;
        let words = words(input, total, u64::from_le_bytes)?;
        let vector = Vector { words, size };
        Ok(EncryptedOutput { vector })
    })
}

fn expect_form(input: &mut &[u8], wanted: u8, reason: &'static str) -> Result<(), ReadError> {
    let [form] = bytes(input)?;
    if form == wanted {
        return Ok(());
    }
    Err(ReadError::Malformed {
        what: "ciphertext",
        reason,
    })
}

fn read_records<T>(
    path: &Path,
    plan_hash: Digest,
    parse: impl Fn(&mut &[u8]) -> Result<T, ReadError>,
) -> Result<TfheBatch<T>, FileError> {
    let damaged = |source| container_error(path, FileKind::Ciphertexts, source);
    let mut container = open_container(path, FileKind::Ciphertexts, plan_hash)?;
    let mut samples = Vec::new();
    while let Some(payload) = container.record().map_err(damaged)? {
        let index = samples.len() as u64;
        samples.push(parse_record(index, &payload, &parse).map_err(damaged)?);
    }
    if samples.is_empty() {
        return Err(damaged(ContainerError::Records { found: 0, needed: 1 }));
    }
    Ok(TfheBatch { plan_hash, samples })
}
