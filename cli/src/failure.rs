//! Exit codes, and what a command says when it fails.

use std::fmt;

use serde::Serialize;

/// Why the process ends unsuccessfully; the number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Exit {
    /// A defect of this program.
    Internal = 1,
    /// A usage error, bad input or an unreadable format.
    Usage = 2,
    /// The model has something that is not supported.
    Unsupported = 3,
    /// Nothing satisfies the constraints.
    Infeasible = 4,
    /// A check of the result failed.
    Verification = 5,
    /// A value outside what the plan was calibrated for.
    OutOfRange = 6,
    /// A damaged file, or files that do not belong together.
    Damaged = 7,
    /// The operating system refused: disk full, no permission, no such file.
    InputOutput = 8,
}

impl Exit {
    /// The number given to the shell.
    pub(crate) fn code(self) -> i32 {
        self as i32
    }
}

/// One of several things that are wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    /// Where: a node, a line, a file.
    pub(crate) place: String,
    /// What is wrong there.
    pub(crate) reason: String,
    /// What to do about it; empty where nothing is known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) advice: String,
}

/// A failure that knows its exit code, everything that is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    /// Decides the exit code.
    #[serde(rename = "kind")]
    pub(crate) exit: Exit,
    /// What is wrong, in one sentence.
    pub(crate) message: String,
    /// The single problems, where there is more to say than the message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) problems: Vec<Problem>,
    /// What to do; empty where the message says it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) advice: String,
}

impl Failure {
    /// A failure of which the message says everything.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            problems: Vec::new(),
            advice: String::new(),
        }
    }

    /// The same with what to do about it.
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
