//! Ciphertext files: one record per sample.
//!
//! A record is one byte for the form (0 seeded, 1 full), the level (4 bytes), the scale's power (1 byte), and the
//! ciphertext as the scheme writes it.

use std::path::Path;

use heron_ckks::{Ciphertext, Context, ReadError, SeededCiphertext};
use heron_params::{Level, ScalePower};
use heron_plan::Digest;

use super::atomic::{Access, Overwrite, write_file};
use super::container::ContainerWriter;
use super::keys::{container_error, open_container};
use super::stream::parse_record;
use super::{ContainerError, FileError, FileKind};
use crate::machine::State;
use crate::sessions::{CiphertextBatch, StoredCiphertext};

const PREFIX_BYTES: usize = 6;

/// Writes a ciphertext file.
///
/// # Errors
/// [`FileError::Exists`], [`FileError::DiskFull`], [`FileError::Io`].
pub fn write_ciphertexts(path: &Path, batch: &CiphertextBatch, overwrite: Overwrite) -> Result<(), FileError> {
    write_file(path, Access::Mask, overwrite, |writer| {
        let mut container = ContainerWriter::new(writer, FileKind::Ciphertexts, batch.plan_hash)?;
        for stored in &batch.ciphertexts {
            let mut payload = prefix(stored).to_vec();
            match stored {
                StoredCiphertext::Seeded(fresh) => fresh.write_to(&mut payload)?,
                StoredCiphertext::Full(full) => full.write_to(&mut payload)?,
            }
            container.record(&payload)?;
        }
        container.finish()
    })
}

fn prefix(stored: &StoredCiphertext) -> [u8; PREFIX_BYTES] {
    let form = match stored {
        StoredCiphertext::Seeded(_) => 0,
        StoredCiphertext::Full(_) => 1,
    };
    let State { level, power } = stored.state();
    let power = match power {
        ScalePower::One => 1,
        ScalePower::Two => 2,
    };
    let [a, b, c, d] = level.0.to_le_bytes();
    [form, a, b, c, d, power]
}

/// What a record says of itself: its form and state.
pub(super) fn parse_prefix(payload: &[u8]) -> Option<(u8, State, &[u8])> {
    let (&[form, a, b, c, d, power], rest) = payload.split_first_chunk::<PREFIX_BYTES>()?;
    let power = match power {
        1 => ScalePower::One,
        2 => ScalePower::Two,
        _ => return None,
    };
    let level = Level(u32::from_le_bytes([a, b, c, d]));
    (form <= 1).then_some((form, State { level, power }, rest))
}

/// Reads a ciphertext file of a plan.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::Container`], [`FileError::OtherPlan`], [`FileError::Io`].
pub fn read_ciphertexts(path: &Path, context: &Context, plan_hash: Digest) -> Result<CiphertextBatch, FileError> {
    let damaged = |source| container_error(path, FileKind::Ciphertexts, source);
    let mut container = open_container(path, FileKind::Ciphertexts, plan_hash)?;
    let mut ciphertexts = Vec::new();
    while let Some(payload) = container.record().map_err(damaged)? {
        let index = ciphertexts.len() as u64;
        ciphertexts.push(parse(index, &payload, context).map_err(damaged)?);
    }
    if ciphertexts.is_empty() {
        return Err(damaged(ContainerError::Records { found: 0, needed: 1 }));
    }
    Ok(CiphertextBatch { plan_hash, ciphertexts })
}

fn parse(index: u64, payload: &[u8], context: &Context) -> Result<StoredCiphertext, ContainerError> {
    let malformed = |reason| ReadError::Malformed {
        what: "ciphertext",
        reason,
    };
    parse_record(index, payload, |bytes| {
        let (form, state, rest) = parse_prefix(bytes).ok_or(malformed("its first bytes mean nothing"))?;
        *bytes = rest;
        let stored = if form == 0 {
            StoredCiphertext::Seeded(SeededCiphertext::read_from(bytes, context)?)
        } else {
            StoredCiphertext::Full(Ciphertext::read_from(bytes, context)?)
        };
        if stored.state() == state {
            Ok(stored)
        } else {
            Err(malformed("it states its level twice, differently"))
        }
    })
}
