//! Runs the binary as a user does, and what every failure must look like.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Lines and columns of the terminal that an error message must fit.
const SCREEN_LINES: usize = 24;
const SCREEN_COLUMNS: usize = 80;

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Outcome {
    command: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `heron` with words separated by spaces, in a directory.
#[track_caller]
pub(crate) fn heron(directory: &Path, arguments: &str) -> Outcome {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let mut command = Command::new(binary());
    command.args(&words).current_dir(directory).env_remove("HERON_KERNELS");
    Outcome::of(arguments, &command.output().expect("the binary starts"))
}

/// Path of the binary under test.
pub(crate) fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_heron")
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("the crate lies in a folder of the workspace").join(path)
}

/// A file of the shipped models, as an argument.
pub(crate) fn shipped(path: &str) -> String {
    repository("models").join(path).display().to_string()
}

impl Outcome {
    /// From a finished process.
    pub(crate) fn of(arguments: &str, output: &Output) -> Self {
        Self {
            command: arguments.to_owned(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// It must have succeeded.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}{}", self.command, self.stdout, self.stderr);
        self
    }

    /// It must have failed with this exit code and a message of one screen that has all these words in it.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &[&str]) -> Self {
        let shown = format!("{}\n{}{}", self.command, self.stdout, self.stderr);
        assert_eq!(self.code, Some(code), "{shown}");
        assert!(!self.stderr.contains("panicked"), "{shown}");
        assert!(
            self.stderr.lines().count() <= SCREEN_LINES,
            "more than a screen: {shown}"
        );
        // JSON is for programs, and a path is not broken.
        let is_text = !self.stderr.starts_with('{');
        let too_long = |line: &&str| line.chars().count() > SCREEN_COLUMNS && !line.contains('/');
        assert!(
            !is_text || !self.stderr.lines().any(|line| too_long(&line)),
            "a line is too long: {shown}"
        );
        let said = self.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(said.contains(word), "`{word}` is not in the message: {shown}");
        }
        self
    }

    /// The result as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{}: {e}\n{}", self.command, self.stdout))
    }
}

/// Names in a directory, sorted.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("the directory can be listed");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names
}
