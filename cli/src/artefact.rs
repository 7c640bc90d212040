//! What commands say of the files that they write.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use heron_runtime::files::{FileError, Overwrite};
use serde::Serialize;

use crate::terminal::Terminal;

/// The option that replaces what exists.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct ForceOption {
    /// Replace what is already there
    #[arg(long)]
    pub(crate) force: bool,
}

impl ForceOption {
    /// For callers within the program that write where nothing is.
    pub(crate) const REFUSE: Self = Self { force: false };

    /// What to do when something is already there.
    pub(crate) fn overwrite(self) -> Overwrite {
        if self.force {
            Overwrite::Replace
        } else {
            Overwrite::Refuse
        }
    }

    /// Refuses before the work what writing would refuse after it.
    ///
    /// # Errors
    /// [`FileError::Exists`].
    pub(crate) fn check(self, path: &Path) -> Result<(), FileError> {
        match self.overwrite() {
            Overwrite::Refuse if path.symlink_metadata().is_ok() => Err(FileError::Exists {
                path: path.to_path_buf(),
            }),
            Overwrite::Refuse | Overwrite::Replace => Ok(()),
        }
    }
}

/// A file or directory that a command has written.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Written {
    /// Where.
    pub(crate) path: PathBuf,
    /// How large, with everything in it.
    pub(crate) bytes: u64,
    /// How long the whole command took.
    pub(crate) seconds: f64,
}

impl Written {
    /// Measures what was written since a time.
    pub(crate) fn since(path: &Path, started: Instant) -> Self {
        Self {
            path: path.to_path_buf(),
            bytes: bytes_at(path),
            seconds: started.elapsed().as_secs_f64(),
        }
    }

    /// Says so on stderr.
    pub(crate) fn announce(&self, terminal: Terminal) {
        terminal.wrote(self.path.display(), self.bytes, Duration::from_secs_f64(self.seconds));
    }
}

/// Size of a file, or of everything in a directory; 0 for what cannot be read.
pub(crate) fn bytes_at(path: &Path) -> u64 {
    let Ok(metadata) = path.metadata() else { return 0 };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let entries = path.read_dir().into_iter().flatten().flatten();
    entries.map(|entry| bytes_at(&entry.path())).sum()
}
