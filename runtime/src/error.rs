//! Every error of the runtime, and who can act on it.

use crate::files::FileError;
use crate::interpreter::RunError;
use crate::sessions::SessionError;

/// Who can act on an error. The command line maps each kind to one exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// Input of the wrong shape or type, NaN, an unreadable format: exit code 2.
    BadInput,
    /// The model cannot be handled: 3.
    Unsupported,
    /// The constraints cannot be met: 4.
    Infeasible,
    /// A check or an assertion failed: 5.
    VerificationFailed,
    /// A value is outside what the plan was calibrated for: 6.
    OutOfRange,
    /// A damaged artefact, or artefacts that do not belong together: 7.
    Damaged,
    /// The file system refused: 8.
    Io,
    /// Our own defect: 1.
    Internal,
}

/// Any error of the runtime.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing an artefact failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// Running a program failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Running a program failed on one of several samples.
    #[error("sample {sample}")]
    Sample {
        /// Which sample, from 0.
        sample: usize,
        /// Why.
        source: RunError,
    },
    /// A session refused.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl Error {
    /// Who can act on it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(error) => error.kind(),
            Self::Run(error) | Self::Sample { source: error, .. } => error.kind(),
            Self::Session(error) => error.kind(),
        }
    }
}
