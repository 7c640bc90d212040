//! Plan directories: `plan.json`, `weights.bin`, `client.json` and `report.json`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use heron_plan::tfhe::ClientFile;
use heron_plan::{ClientSpec, Digest, Plan, PlanFiles, Weights};

use super::FileError;
use super::atomic::{Access, Overwrite, write_bytes, write_directory};

/// Name of the file with everything that `report` shows.
const REPORT_JSON: &str = "report.json";
/// Largest `report.json`.
const REPORT_LIMIT_BYTES: usize = 64 << 20;

/// A verified plan with its constants.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanBundle {
    /// The plan.
    pub plan: Plan,
    /// Its constants.
    pub weights: Weights,
    /// What keys and ciphertexts of the plan carry.
    pub hash: Digest,
}

impl PlanBundle {
    /// A plan that has just been compiled.
    pub fn new(plan: Plan, weights: Weights) -> Self {
        let hash = plan.hash();
        Self { plan, weights, hash }
    }
}

/// Reads a file of at most `limit` bytes.
pub(super) fn read_limited(path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
    let failed = |source| FileError::io("read", path, source);
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > limit {
        return Err(FileError::TooLarge {
            path: path.to_path_buf(),
            limit_bytes: limit as u64,
        });
    }
    Ok(bytes)
}

/// Reads a plan directory and verifies the plan.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::TooLarge`], [`FileError::Plan`], [`FileError::Io`].
pub fn read_plan(directory: &Path) -> Result<PlanBundle, FileError> {
    let read = |name: &str, limit| read_limited(&directory.join(name), limit);
    let files = PlanFiles {
        client_json: read(PlanFiles::CLIENT_JSON, PlanFiles::CLIENT_LIMIT_BYTES)?,
        plan_json: read(PlanFiles::PLAN_JSON, PlanFiles::PLAN_LIMIT_BYTES)?,
        weights_bin: read(PlanFiles::WEIGHTS_BIN, PlanFiles::WEIGHTS_LIMIT_BYTES)?,
    };
    let (plan, weights) = files.decode().map_err(|source| FileError::plan(directory, source))?;
    Ok(PlanBundle {
        plan,
        weights,
        hash: Digest::of(&files.plan_json),
    })
}

/// Where the client description is: the path itself, or in the plan directory that it names.
pub fn client_path(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join(PlanFiles::CLIENT_JSON)
    } else {
        path.to_path_buf()
    }
}

/// Reads `client.json`, or that of a plan directory.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::TooLarge`], [`FileError::Plan`], [`FileError::Io`].
pub fn read_client(path: &Path) -> Result<ClientSpec, FileError> {
    let path = client_path(path);
    let bytes = read_limited(&path, PlanFiles::CLIENT_LIMIT_BYTES)?;
    ClientSpec::from_json(&bytes).map_err(|source| FileError::plan(&path, source))
}

/// Reads the `client.json` of either scheme, or that of a plan directory.
///
/// # Errors
/// Those of [`read_client`].
pub fn read_client_file(path: &Path) -> Result<ClientFile, FileError> {
    let path = client_path(path);
    let bytes = read_limited(&path, PlanFiles::CLIENT_LIMIT_BYTES)?;
    ClientFile::from_json(&bytes).map_err(|source| FileError::plan(&path, source))
}

/// Reads `report.json` of a plan directory.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::TooLarge`], [`FileError::Io`].
pub fn read_report(directory: &Path) -> Result<Vec<u8>, FileError> {
    read_limited(&directory.join(REPORT_JSON), REPORT_LIMIT_BYTES)
}

/// Writes a plan directory, all of it or nothing.
///
/// # Errors
/// [`FileError::Plan`] for a plan that does not verify, [`FileError::Exists`], [`FileError::NotReplaceable`],
/// [`FileError::DiskFull`], [`FileError::Io`].
pub fn write_plan(
    directory: &Path,
    plan: &Plan,
    weights: &Weights,
    report_json: &[u8],
    overwrite: Overwrite,
) -> Result<(), FileError> {
    let files = PlanFiles::encode(plan, weights).map_err(|source| FileError::plan(directory, source))?;
    write_directory(directory, Access::Mask, overwrite, |partial| {
        let contents = [
            (PlanFiles::PLAN_JSON, files.plan_json.as_slice()),
            (PlanFiles::WEIGHTS_BIN, &files.weights_bin),
            (PlanFiles::CLIENT_JSON, &files.client_json),
            (REPORT_JSON, report_json),
        ];
        contents
            .iter()
            .try_for_each(|(name, bytes)| write_bytes(&partial.join(name), bytes, Overwrite::Refuse))
    })
}
