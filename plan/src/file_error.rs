//! Why the files of a plan cannot be used.

use crate::VerifyErrors;

/// Who has to act on a [`PlanFileError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// The file is something else, or from a newer version: exit code 2.
    BadInput,
    /// The file was ours and is not what was written, or belongs to another plan: exit code 7.
    Damaged,
    /// The files are whole, and the plan in them breaks rules: exit code 5.
    Invalid,
}

/// Why the files of a plan cannot be read or written. Says the file, what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanFileError {
    /// The bytes are something else.
    #[error("{file} is not a plan file of heron ({reason}); check the path, or compile the model again")]
    Unreadable {
        /// Which file.
        file: &'static str,
        /// What gave it away.
        reason: String,
    },
    /// Written by a later version.
    #[error("{file} has format version {found} and this build reads version {supported}; use a newer heron")]
    NewerVersion {
        /// Which file.
        file: &'static str,
        /// Its version.
        found: u32,
        /// The version that this crate reads.
        supported: u32,
    },
    /// Over a limit that no real plan reaches.
    #[error("{file} has {bytes} bytes and {limit} are allowed; check the path, or split the model")]
    TooLarge {
        /// Which file.
        file: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Recognised, and not as it was written.
    #[error("{file} is damaged ({what}); copy it again from where it was made, or compile the model again")]
    Damaged {
        /// Which file.
        file: &'static str,
        /// What does not hold.
        what: String,
    },
    /// Two whole files of different plans, or one of them changed.
    #[error(
        "{file} does not belong to {other} ({what}); use the files of one compilation together, or compile the model again"
    )]
    Mismatched {
        /// The file that does not fit.
        file: &'static str,
        /// What it was compared with.
        other: &'static str,
        /// What differs.
        what: String,
    },
    /// The plan breaks rules.
    #[error("{file} is whole, but {errors}\nthis is a bug of the program that wrote it: please report it")]
    Invalid {
        /// Which file.
        file: &'static str,
        /// All of them.
        errors: VerifyErrors,
    },
}

impl PlanFileError {
    /// Who has to act.
    pub fn fault(&self) -> FileFault {
        match self {
            Self::Unreadable { .. } | Self::NewerVersion { .. } | Self::TooLarge { .. } => FileFault::BadInput,
            Self::Damaged { .. } | Self::Mismatched { .. } => FileFault::Damaged,
            Self::Invalid { .. } => FileFault::Invalid,
        }
    }
}
