//! Why an artefact cannot be read or written. Every message names the path and says what to do; none carries contents.

use std::io;
use std::path::{Path, PathBuf};

use heron_plan::{Digest, FileFault, PlanFileError};

use super::container::ContainerError;
use super::tensors::TensorError;
use crate::ErrorKind;

/// Why an artefact cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Nothing is there.
    #[error("there is no file `{}`", path.display())]
    Missing {
        /// Where.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The disk became full while writing. What was written has been removed.
    #[error("the disk is full: `{}` was not written; free some space and run the command again", path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },
    /// The disk has too little space for what is about to be written.
    #[error(
        "`{}` needs {} MiB, {} MiB are free there; free some space or choose another disk",
        path.display(), needed_bytes.div_ceil(1 << 20), free_bytes >> 20
    )]
    NoSpace {
        /// Where.
        path: PathBuf,
        /// What will be written.
        needed_bytes: u64,
        /// What is free.
        free_bytes: u64,
    },
    /// Something is already there, and replacing it was not asked for.
    #[error("`{}` already exists; choose another name, or replace it with --force", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// A directory holds something that is not ours, so it is not replaced as a whole.
    #[error("`{}` also holds `{found}`, which heron did not write, and is not replaced; choose another name", path.display())]
    NotReplaceable {
        /// The directory.
        path: PathBuf,
        /// What was found in it.
        found: String,
    },
    /// Something that is no regular file is where a file should go.
    #[error("`{}` is no regular file and is not replaced; choose another name", path.display())]
    NotAFile {
        /// Where.
        path: PathBuf,
    },
    /// The directory to write in does not exist.
    #[error("there is no directory `{}` to write in; create it first", path.display())]
    NoDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The process is being ended.
    #[error("interrupted")]
    Interrupted,
    /// A file is larger than anything of its kind can be.
    #[error("`{}` has more than the {limit_bytes} bytes that such a file may have; check the path", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit_bytes: u64,
    },
    /// A binary file is not what it should be.
    #[error("`{}` cannot be used: {source}; {advice}", path.display())]
    Container {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ContainerError,
        /// What to do.
        advice: &'static str,
    },
    /// A file belongs to another plan.
    #[error(
        "`{}` belongs to plan {found}, not to plan {needed}; {advice}",
        path.display(), found = short(found), needed = short(needed)
    )]
    OtherPlan {
        /// The file.
        path: PathBuf,
        /// The plan it was made for.
        found: Digest,
        /// The plan it is used with.
        needed: Digest,
        /// What to do.
        advice: &'static str,
    },
    /// The files of a plan cannot be used.
    #[error("`{}` cannot be used", path.display())]
    Plan {
        /// The plan directory or the client file.
        path: PathBuf,
        /// Why.
        source: PlanFileError,
    },
    /// None of our files.
    #[error(
        "`{}` is no file of heron and no array; plans, client.json, keys, ciphertexts, .npy and .npz are read",
        path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// A tensor file cannot be used.
    #[error("`{}` cannot be used", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TensorError,
    },
}

/// The first digits of a digest: enough to tell plans apart.
fn short(digest: &Digest) -> String {
    digest.to_string()[..12].to_owned()
}

impl FileError {
    /// Sorts an error of the operating system.
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound if action == "read" => Self::Missing { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { action, path, source },
        }
    }

    /// Wraps an error of the plan's own format.
    pub(super) fn plan(path: &Path, source: PlanFileError) -> Self {
        Self::Plan {
            path: path.to_path_buf(),
            source,
        }
    }

    /// Who can act on it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing { .. } | Self::Exists { .. } | Self::NotReplaceable { .. } | Self::Tensor { .. } => {
                ErrorKind::BadInput
            }
            Self::TooLarge { .. } | Self::Unknown { .. } | Self::NotAFile { .. } | Self::NoDirectory { .. } => {
                ErrorKind::BadInput
            }
            Self::Io { .. } | Self::DiskFull { .. } | Self::NoSpace { .. } | Self::Interrupted => ErrorKind::Io,
            Self::Container { source, .. } => source.kind(),
            Self::OtherPlan { .. } => ErrorKind::Damaged,
            Self::Plan { source, .. } => match source.fault() {
                FileFault::BadInput => ErrorKind::BadInput,
                FileFault::Damaged => ErrorKind::Damaged,
                FileFault::Invalid => ErrorKind::VerificationFailed,
            },
        }
    }
}
