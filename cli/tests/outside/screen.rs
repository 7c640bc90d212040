//! What fits where: stdout for results, stderr for the rest, eighty columns and fewer.

use std::process::Command;

use crate::artefacts::DIGITS;
use crate::heron::{Outcome, binary, heron};

const COMMANDS: [&str; 13] = [
    "check", "ops", "compile", "report", "explain", "simulate", "keygen", "encrypt", "run", "decrypt", "demo",
    "verify", "inspect",
];

#[test]
fn help_fits_eighty_columns_and_has_an_example() {
    for command in COMMANDS {
        let help = heron(&DIGITS, &format!("{command} --help")).succeeds().stdout;
        assert!(
            help.contains("Example:") && help.contains(&format!("heron {command}")),
            "{help}"
        );
        let long = help.lines().find(|line| line.chars().count() > 80);
        assert_eq!(long, None, "{command}");
    }
}

#[test]
fn results_fit_eighty_columns_without_a_terminal() {
    for command in [
        "ops",
        "report digits.plan",
        "explain digits.plan --param log_n",
        "inspect digits.plan",
        "inspect x.ct",
        "inspect keys/eval.key",
    ] {
        let shown = heron(&DIGITS, command).succeeds().stdout;
        let long = shown.lines().find(|line| line.chars().count() > 80);
        assert_eq!(long, None, "{command}");
        assert!(!shown.contains('\x1b'), "colours without a terminal: {command}");
    }
}

#[test]
fn json_is_on_stdout_and_nothing_else() {
    for command in [
        "ops",
        "report digits.plan",
        "explain digits.plan --param log_n",
        "inspect digits.plan",
        "inspect x.ct",
        "inspect keys/eval.key",
    ] {
        heron(&DIGITS, &format!("{command} --format json")).succeeds().json();
    }
}

#[test]
fn quiet_means_that_stderr_is_empty() {
    let shown = heron(&DIGITS, "report digits.plan --quiet").succeeds();
    assert_eq!(shown.stderr, "");
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let piped = format!("'{}' ops | head -n 1", binary());
    let output = Command::new("sh").args(["-c", &piped]).output().expect("a shell");
    let outcome = Outcome::of("ops | head", &output).succeeds();
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}
