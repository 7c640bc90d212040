//! Key files: `secret.key` (mode 0600), `eval.key` (streamed), `public.key`.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heron_ckks::bootstrap::BootstrapKeys;
use heron_ckks::{Context, EvaluationKeys, PublicKey, ReadError, SecretKey};
use heron_params::bootstrap::BootstrapParams;
use heron_plan::{ClientSpec, Digest};

use super::atomic::{Access, Overwrite, check_output_path, write_directory, write_file};
use super::container::{ContainerReader, ContainerWriter};
use super::meter::Meter;
use super::stream::{StreamReader, StreamWriter};
use super::{ContainerError, FileError, FileKind, require_free};
use crate::sessions::{KeySet, KeygenOptions, ServerKeys};

/// What each of the three files has beyond its keys, generously.
const FRAME_BYTES: u64 = 64 << 10;

/// Where the files of a key directory are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFiles {
    /// Stays with the client.
    pub secret: PathBuf,
    /// Goes to the server.
    pub evaluation: PathBuf,
    /// Goes to whom may encrypt; need not exist.
    pub public: PathBuf,
}

impl KeyFiles {
    /// The files of a directory.
    pub fn within(directory: &Path) -> Self {
        let file = |name| directory.join(name);
        Self {
            secret: file("secret.key"),
            evaluation: file("eval.key"),
            public: file("public.key"),
        }
    }

    /// Bytes that the files of a plan will take.
    pub fn bytes(spec: &ClientSpec, options: KeygenOptions) -> u64 {
        let n = spec.params.n() as u64;
        let public = if options.public {
            8 * n * (spec.params.q.len() + spec.params.p.len()) as u64
        } else {
            0
        };
        let keys = spec.key_bytes(true) + n + public;
        keys + keys / 1024 + 3 * FRAME_BYTES
    }

    /// Refuses before any key is made what [`write_keys`] would refuse after: a directory that exists, a full disk.
    ///
    /// # Errors
    /// [`FileError::Exists`], [`FileError::NoSpace`], [`FileError::Io`].
    pub fn check_room(
        directory: &Path,
        spec: &ClientSpec,
        options: KeygenOptions,
        overwrite: Overwrite,
    ) -> Result<(), FileError> {
        check_output_path(directory, overwrite)?;
        require_free(directory, Self::bytes(spec, options))
    }
}

/// Writes a directory of keys, all of them or nothing; `progress` is told the bytes of `eval.key`, of which there will be
/// [`ClientSpec::key_bytes`], at every mebibyte.
///
/// # Errors
/// [`FileError::Exists`], [`FileError::NotReplaceable`], [`FileError::DiskFull`], [`FileError::Io`].
pub fn write_keys(
    directory: &Path,
    plan_hash: Digest,
    keys: &KeySet,
    overwrite: Overwrite,
    progress: &mut dyn FnMut(u64),
) -> Result<KeyFiles, FileError> {
    write_directory(directory, Access::Owner, overwrite, |partial| {
        let files = KeyFiles::within(partial);
        write_stream(&files.secret, FileKind::SecretKey, plan_hash, |out| {
            keys.secret.write_to(out)
        })?;
        write_stream(&files.evaluation, FileKind::EvaluationKeys, plan_hash, |out| {
            let out = &mut Meter::new(out, progress);
            keys.server.evaluation.write_to(out)?;
            keys.server.bootstrap.iter().try_for_each(|keys| keys.write_to(out))
        })?;
        let Some(public) = &keys.public else { return Ok(()) };
        write_stream(&files.public, FileKind::PublicKey, plan_hash, |out| {
            public.write_to(out)
        })
    })?;
    Ok(KeyFiles::within(directory))
}

pub(super) type Stream<'a> = StreamWriter<'a, std::io::BufWriter<File>>;

pub(super) fn write_stream(
    path: &Path,
    kind: FileKind,
    plan_hash: Digest,
    fill: impl FnOnce(&mut Stream<'_>) -> std::io::Result<()>,
) -> Result<(), FileError> {
    let access = if kind == FileKind::SecretKey {
        Access::Owner
    } else {
        Access::Mask
    };
    write_file(path, access, Overwrite::Refuse, |writer| {
        let mut stream = StreamWriter::new(ContainerWriter::new(writer, kind, plan_hash)?);
        fill(&mut stream)?;
        stream.finish()
    })
}

/// Reads `secret.key`.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::Container`], [`FileError::OtherPlan`], [`FileError::Io`].
pub fn read_secret_key(path: &Path, context: &Context, plan_hash: Digest) -> Result<SecretKey, FileError> {
    read_stream(path, FileKind::SecretKey, plan_hash, |input| {
        SecretKey::read_from(input, context)
    })
}

/// Reads `public.key`.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::Container`], [`FileError::OtherPlan`], [`FileError::Io`].
pub fn read_public_key(path: &Path, context: &Context, plan_hash: Digest) -> Result<PublicKey, FileError> {
    read_stream(path, FileKind::PublicKey, plan_hash, |input| {
        PublicKey::read_from(input, context)
    })
}

/// Reads `eval.key`, of a plan with the given bootstrap; `progress` is told the bytes that were read at every mebibyte.
///
/// # Cost
/// The keys in memory ([`heron_plan::ClientSpec::key_bytes`], both halves) and one record of the file.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::Container`], [`FileError::OtherPlan`], [`FileError::Io`].
pub fn read_evaluation_keys(
    path: &Path,
    context: &Context,
    plan_hash: Digest,
    bootstrap: Option<&BootstrapParams>,
    progress: &mut dyn FnMut(u64),
) -> Result<ServerKeys, FileError> {
    read_stream(path, FileKind::EvaluationKeys, plan_hash, |input| {
        let input = &mut Meter::new(input, progress);
        let evaluation = Arc::new(EvaluationKeys::read_from(input, context)?);
        let bootstrap = bootstrap.map(|variant| BootstrapKeys::read_from(input, context, variant));
        Ok(ServerKeys {
            evaluation,
            bootstrap: bootstrap.transpose()?.map(Arc::new),
        })
    })
}

pub(super) fn read_stream<T>(
    path: &Path,
    kind: FileKind,
    plan_hash: Digest,
    parse: impl FnOnce(&mut StreamReader<BufReader<File>>) -> Result<T, ReadError>,
) -> Result<T, FileError> {
    let container = open_container(path, kind, plan_hash)?;
    StreamReader::new(container)
        .parse(parse)
        .map_err(|source| container_error(path, kind, source))
}

/// Opens a binary file of any kind. What is damaged at its beginning is taken for ciphertexts, whose advice fits all.
pub(super) fn open_any(path: &Path) -> Result<ContainerReader<BufReader<File>>, FileError> {
    open(path, FileKind::Ciphertexts)
}

fn open(path: &Path, likely: FileKind) -> Result<ContainerReader<BufReader<File>>, FileError> {
    let failed = |source| FileError::io("read", path, source);
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let reader = BufReader::with_capacity(1 << 20, file);
    ContainerReader::new(reader, bytes).map_err(|source| container_error(path, likely, source))
}

/// Opens a binary file of one kind that belongs to a plan.
pub(super) fn open_container(
    path: &Path,
    needed: FileKind,
    plan_hash: Digest,
) -> Result<ContainerReader<BufReader<File>>, FileError> {
    let container = open(path, needed)?;
    let found = container.header();
    if found.kind != needed {
        return Err(container_error(
            path,
            needed,
            ContainerError::Kind {
                found: found.kind,
                needed,
            },
        ));
    }
    if found.plan_hash != plan_hash {
        return Err(FileError::OtherPlan {
            path: path.to_path_buf(),
            found: found.plan_hash,
            needed: plan_hash,
            advice: "use the keys and ciphertexts that were made for this plan, or make them again",
        });
    }
    Ok(container)
}

/// Names the file and what to do.
pub(super) fn container_error(path: &Path, kind: FileKind, source: ContainerError) -> FileError {
    match source {
        ContainerError::Io(source) => FileError::io("read", path, source),
        source => FileError::Container {
            path: path.to_path_buf(),
            source,
            advice: kind.advice(),
        },
    }
}
