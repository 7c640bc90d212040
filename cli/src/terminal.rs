//! What the user sees: results on stdout, progress and errors on stderr.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::table::wrap;
use crate::units;

/// Work shorter than this shows no bar.
const BAR_AFTER: Duration = Duration::from_secs(1);
/// Width where there is no terminal to ask.
const DEFAULT_WIDTH: usize = 80;
/// Wider lines are hard to read.
const MAX_WIDTH: usize = 120;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// How much is said on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Errors only.
    Quiet,
    /// What was written and what comes next.
    Normal,
    /// Each step with its time.
    Verbose,
}

/// The two output streams and how to write on them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    format: Format,
    verbosity: Verbosity,
    colour: bool,
}

impl Terminal {
    /// The terminal that the options ask for; colours only where stdout is a terminal and `NO_COLOR` is unset or empty.
    pub(crate) fn new(format: Format, verbosity: Verbosity) -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            format,
            verbosity,
            colour: io::stdout().is_terminal() && !no_colour && !dumb,
        }
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Whether results may have colours.
    pub(crate) fn has_colour(self) -> bool {
        self.colour
    }

    /// Columns to write in.
    pub(crate) fn width(self) -> usize {
        let of_terminal = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        of_terminal.unwrap_or(DEFAULT_WIDTH).clamp(20, MAX_WIDTH)
    }

    /// Writes a command's result to stdout: `value` as JSON, or the text.
    ///
    /// # Errors
    /// What stdout answers; a closed pipe is no error.
    pub(crate) fn result(self, value: &impl Serialize, text: impl FnOnce(usize) -> String) -> anyhow::Result<()> {
        match self.format {
            Format::Table => write_out(&text(self.width())),
            Format::Json => write_out(&(serde_json::to_string_pretty(value)? + "\n")),
        }
    }

    /// Writes a piece of a result that grows: text only, nothing with `--format json`.
    ///
    /// # Errors
    /// What stdout answers; a closed pipe is no error.
    pub(crate) fn piece(self, text: &str) -> anyhow::Result<()> {
        match self.format {
            Format::Table => write_out(text),
            Format::Json => Ok(()),
        }
    }

    /// Writes one of several results as a line of JSON; nothing as text.
    ///
    /// # Errors
    /// What stdout answers; a closed pipe is no error.
    pub(crate) fn json_line(self, value: &impl Serialize) -> anyhow::Result<()> {
        match self.format {
            Format::Table => Ok(()),
            Format::Json => write_out(&(serde_json::to_string(value)? + "\n")),
        }
    }

    /// Says something on stderr unless quiet.
    pub(crate) fn say(self, text: impl Display) {
        if self.verbosity >= Verbosity::Normal {
            self.write_err(&text.to_string());
        }
    }

    /// Says what was written, how large it is and how long the whole took.
    pub(crate) fn wrote(self, path: impl Display, bytes: u64, time: Duration) {
        let time = units::duration(time);
        self.say(format_args!("wrote {path} ({}) in {time}", units::bytes(bytes)));
    }

    /// Says which command to type next.
    pub(crate) fn next(self, command: impl Display) {
        if self.verbosity >= Verbosity::Normal {
            // Not wrapped: it is there to be copied.
            let _ = writeln!(io::stderr(), "next: {command}");
        }
    }

    /// Starts a piece of work: its bar appears on a terminal after a second, its time with `-v`.
    pub(crate) fn step(self, label: &str) -> Step {
        Step::start(self, label)
    }

    fn write_err(self, text: &str) {
        let width = self.width();
        for line in wrap(text, width) {
            // Nothing sensible is left to do where stderr is gone.
            let _ = writeln!(io::stderr(), "{line}");
        }
    }
}

fn write_out(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// A piece of work under way; ends when dropped.
#[derive(Debug)]
pub(crate) struct Step {
    terminal: Terminal,
    label: String,
    started: Instant,
    bar: ProgressBar,
    timer: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Step {
    fn start(terminal: Terminal, label: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(spinner());
        bar.set_message(label.to_owned());
        let shown = terminal.verbosity > Verbosity::Quiet && io::stderr().is_terminal();
        Self {
            terminal,
            label: label.to_owned(),
            started: Instant::now(),
            timer: shown.then(|| show_later(bar.clone())),
            bar,
        }
    }

    /// Tells how much of how much is done.
    pub(crate) fn progress(&self, done: u64, total: u64) {
        self.advance(done, total, counted);
    }

    /// Tells how many bytes of how many are done.
    pub(crate) fn bytes(&self, done: u64, total: u64) {
        self.advance(done, total, measured);
    }

    fn advance(&self, done: u64, total: u64, style: fn() -> ProgressStyle) {
        if self.bar.length() != Some(total) {
            self.bar.set_length(total);
            self.bar.set_style(style());
        }
        self.bar.set_position(done);
    }

    /// Tells what is being done within the step.
    pub(crate) fn says(&self, detail: &str) {
        const SHOWN: usize = 32;
        let shown: String = detail.chars().take(SHOWN).collect();
        self.bar.set_message(format!("{}: {shown}", self.label));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some((stop, timer)) = self.timer.take() {
            drop(stop);
            let _ = timer.join();
        }
        self.bar.finish_and_clear();
        if self.terminal.verbosity >= Verbosity::Verbose {
            let time = units::duration(self.started.elapsed());
            self.terminal.say(format_args!("{}: {time}", self.label));
        }
    }
}

/// Shows the bar once the work has lasted, unless the sender is dropped before.
fn show_later(bar: ProgressBar) -> (Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = channel::<()>();
    let timer = std::thread::spawn(move || {
        if stopped.recv_timeout(BAR_AFTER) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(Duration::from_millis(100));
        }
    });
    (stop, timer)
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn measured() -> ProgressStyle {
    ProgressStyle::with_template("{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn counted() -> ProgressStyle {
    ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}").unwrap_or_else(|_| ProgressStyle::default_bar())
}
