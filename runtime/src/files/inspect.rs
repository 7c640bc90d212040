//! What a file is: kind, version, plan, sizes, and whether its checksums hold. Needs no key and no plan.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use heron_plan::tfhe::ClientFile;
use heron_plan::{Digest, FORMAT_VERSION, Program};

use super::ciphertexts::parse_prefix;
use super::container::MAGIC;
use super::keys::{container_error, open_any};
use super::{ContainerError, FileError, FileKind, read_client_file, read_plan, read_tensor};
use crate::machine::State;

/// What a file or directory is.
#[derive(Clone, Debug, PartialEq)]
pub enum FileInfo {
    /// A plan directory, verified.
    Plan {
        /// Name of the plan.
        name: String,
        /// Version of the format.
        version: u32,
        /// Its hash.
        plan_hash: Digest,
        /// How many lines the program has.
        lines: usize,
        /// How many levels a fresh ciphertext has.
        levels: u32,
        /// Base-2 logarithm of the ring degree.
        log_n: u32,
    },
    /// A plan directory for exact integers, verified.
    TfhePlan {
        /// Name of the plan.
        name: String,
        /// Version of the format.
        version: u32,
        /// Its hash.
        plan_hash: Digest,
        /// How many lines the program has.
        lines: usize,
        /// Key switches and bootstraps of one run.
        lookups: u64,
        /// Bits of weights and activations.
        bits: u32,
    },
    /// A client description, checked.
    Client {
        /// Name of the plan.
        name: String,
        /// Version of the format.
        version: u32,
        /// The plan's hash.
        plan_hash: Digest,
        /// Shape of one input sample.
        input_shape: Vec<usize>,
        /// Shape of one output sample.
        output_shape: Vec<usize>,
        /// Bytes of the evaluation keys in a file.
        evaluation_key_bytes: u64,
    },
    /// A binary file, every checksum checked.
    Binary {
        /// What it holds.
        kind: FileKind,
        /// Version of the format.
        version: u32,
        /// The plan that it belongs to.
        plan_hash: Digest,
        /// Its length.
        file_bytes: u64,
        /// How many records it has.
        records: u64,
        /// The states of its ciphertexts, in order; empty for keys and
        /// for exact integers.
        states: Vec<State>,
    },
    /// An array, or an archive's only array.
    Tensor {
        /// Its shape.
        shape: Vec<usize>,
        /// Its element type, as NumPy writes it.
        element_type: &'static str,
    },
}

/// Says what a file or a directory is.
///
/// # Errors
/// What reading it gives: a damaged file is an error that says where.
pub fn inspect(path: &Path) -> Result<FileInfo, FileError> {
    if path.is_dir() {
        return inspect_plan(path);
    }
    let failed = |source| FileError::io("read", path, source);
    let mut magic = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(8)
        .read_to_end(&mut magic)
        .map_err(failed)?;
    if magic == MAGIC {
        return inspect_binary(path);
    }
    if magic.first() == Some(&b'{') {
        return inspect_client(path);
    }
    if magic.starts_with(b"\x93NUM") || magic.starts_with(b"PK") {
        let tensor = read_tensor(path, None)?;
        return Ok(FileInfo::Tensor {
            element_type: tensor.element_type(),
            shape: tensor.shape,
        });
    }
    Err(FileError::Unknown {
        path: path.to_path_buf(),
    })
}

fn inspect_plan(path: &Path) -> Result<FileInfo, FileError> {
    let bundle = read_plan(path)?;
    Ok(match &bundle.plan.program {
        Program::Ckks(program) => FileInfo::Plan {
            version: FORMAT_VERSION,
            plan_hash: bundle.hash,
            lines: program.lines.len(),
            levels: program.params.max_level().0,
            log_n: program.params.log_n,
            name: bundle.plan.name,
        },
        Program::Tfhe(program) => FileInfo::TfhePlan {
            version: FORMAT_VERSION,
            plan_hash: bundle.hash,
            lines: program.lines.len(),
            lookups: program.lookups(),
            bits: program.bits,
            name: bundle.plan.name,
        },
    })
}

fn inspect_client(path: &Path) -> Result<FileInfo, FileError> {
    Ok(match read_client_file(path)? {
        ClientFile::Ckks(spec) => FileInfo::Client {
            version: spec.format_version,
            plan_hash: spec.plan_hash,
            evaluation_key_bytes: spec.key_bytes(true),
            name: spec.name,
            input_shape: spec.input.shape,
            output_shape: spec.output.shape,
        },
        ClientFile::Tfhe(spec) => FileInfo::Client {
            version: spec.format_version,
            plan_hash: spec.plan_hash,
            evaluation_key_bytes: spec.params.key_file_bytes(),
            name: spec.name,
            input_shape: spec.input.shape,
            output_shape: spec.output.shape,
        },
    })
}

fn inspect_binary(path: &Path) -> Result<FileInfo, FileError> {
    let mut container = open_any(path)?;
    let header = *container.header();
    let damaged = |source| container_error(path, header.kind, source);
    let mut states = Vec::new();
    let mut index = 0;
    while let Some(payload) = container.record().map_err(damaged)? {
        // Ciphertexts of exact integers begin with other bytes, and have no level.
        let of_integers = matches!(payload.first(), Some(2 | 3));
        if header.kind == FileKind::Ciphertexts && !of_integers {
            let reason = "its first bytes mean nothing".to_owned();
            let prefix = parse_prefix(&payload).ok_or(ContainerError::Content { index, reason });
            states.push(prefix.map_err(damaged)?.1);
        }
        index += 1;
    }
    Ok(FileInfo::Binary {
        kind: header.kind,
        version: header.version,
        plan_hash: header.plan_hash,
        file_bytes: header.file_bytes,
        records: header.n_records,
        states,
    })
}
