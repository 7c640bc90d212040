//! House rules that a machine can check, each with a test that it fires.

use std::sync::LazyLock;

use heron_tests::{Source, repository_root, rust_sources, tracked_files};

static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| rust_sources().expect("the sources can be read"));

/// Longest Rust file.
const MAX_FILE_LINES: usize = 600;
/// Longest architecture overview.
const MAX_ARCHITECTURE_LINES: usize = 300;

/// Reports every `path:line` of every source for which `offends(path, line)` holds.
#[track_caller]
fn check_lines(rule: &str, offends: impl Fn(&str, &str) -> bool) {
    let offences: Vec<String> = SOURCES
        .iter()
        .flat_map(|source| {
            let lines = source.text.lines().enumerate();
            let bad = lines.filter(|(_, line)| offends(&source.path, line));
            bad.map(|(index, line)| format!("{}:{}: {}", source.path, index + 1, line.trim()))
        })
        .collect();
    assert!(offences.is_empty(), "{rule}:\n{}", offences.join("\n"));
}

/// Reports every source for which `offends` holds.
#[track_caller]
fn check_files(rule: &str, offends: impl Fn(&Source) -> bool) {
    let offences: Vec<&str> = SOURCES.iter().filter(|s| offends(s)).map(|s| s.path.as_str()).collect();
    assert!(offences.is_empty(), "{rule}:\n{}", offences.join("\n"));
}

/// This file names what it forbids.
fn is_this(path: &str) -> bool {
    path == "tests/tests/outside/tidy.rs"
}

fn code_of(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

#[test]
fn the_walk_sees_every_crate() {
    for folder in ["params", "plan", "ckks", "compiler", "runtime", "cli", "tests"] {
        assert!(
            SOURCES.iter().any(|s| s.path.starts_with(&format!("{folder}/src/"))),
            "{folder}"
        );
    }
}

#[test]
fn tract_stays_in_the_importer() {
    check_lines("`tract_` belongs to compiler/src/import", |path, line| {
        !is_this(path) && code_of(line).contains("tract_") && !path.starts_with("compiler/src/import")
    });
}

#[test]
fn only_the_file_module_and_the_command_line_touch_files() {
    let libraries = ["params/src", "plan/src", "ckks/src", "compiler/src", "runtime/src"];
    check_lines("`std::fs` belongs to runtime/src/files", |path, line| {
        let in_library = libraries.iter().any(|library| path.starts_with(library));
        in_library && !path.starts_with("runtime/src/files") && code_of(line).contains("std::fs")
    });
}

#[test]
fn the_environment_the_clock_and_stdout_belong_to_the_command_line() {
    let libraries = ["params/src", "plan/src", "ckks/src", "compiler/src", "runtime/src"];
    let words = [
        "std::env",
        "Instant::now",
        "SystemTime",
        "println!",
        "print!(",
        "process::exit",
    ];
    check_lines(
        "libraries read no clock, no environment and print nothing",
        |path, line| {
            let in_library = libraries.iter().any(|library| path.starts_with(library));
            // Tests say when they skip something.
            let in_tests = path.contains("/tests/") || path.ends_with("/tests.rs");
            in_library && !in_tests && words.iter().any(|word| code_of(line).contains(word))
        },
    );
}

#[test]
fn unsafe_stays_in_the_kernels_and_the_memory_file() {
    check_lines(
        "`unsafe` belongs to ckks/src/kernels and ckks/src/memory.rs",
        |path, line| {
            let allowed = path.starts_with("ckks/src/kernels") || path == "ckks/src/memory.rs" || is_this(path);
            let mut words = code_of(line).split(|c: char| !c.is_alphanumeric() && c != '_');
            !allowed && words.any(|word| word == "unsafe")
        },
    );
}

#[test]
fn every_file_says_what_it_does() {
    check_files("a file opens with `//!`", |source| !source.text.starts_with("//! "));
}

#[test]
fn files_are_short_and_have_names_that_say_something() {
    check_files("at most 600 lines", |source| {
        source.text.lines().count() > MAX_FILE_LINES
    });
    check_files("no utils, helpers, common or misc", |source| {
        let mut parts = source.path.trim_end_matches(".rs").split('/');
        parts.any(|part| ["utils", "util", "helpers", "helper", "common", "misc"].contains(&part))
    });
}

#[test]
fn nothing_is_left_for_later() {
    let words = [
        "TODO",
        "FIXME",
        "XXX:",
        "dbg!",
        "todo!(",
        "unimplemented!(",
        "#[ignore",
        "should_panic",
    ];
    check_lines("finish it or leave it out", |path, line| {
        !is_this(path) && words.iter().any(|word| line.contains(word))
    });
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    check_lines("use `#[expect(lint, reason = \"...\")]`", |path, line| {
        let code = code_of(line).trim_start();
        !is_this(path) && (code.starts_with("#[allow(") || code.starts_with("#![allow("))
    });
}

#[test]
fn a_pass_is_named_as_its_file() {
    let passes = SOURCES
        .iter()
        .filter(|s| s.path.starts_with("compiler/src/") && s.text.contains("const PASS: Pass"));
    let mut n_passes = 0;
    for source in passes {
        let file = source.path.rsplit('/').next().unwrap_or_default();
        let expected = file.trim_end_matches(".rs").replace('_', "-");
        let named = source.text.contains(&format!("\"{expected}\""));
        assert!(named, "{}: the pass is not called `{expected}`", source.path);
        n_passes += 1;
    }
    assert!(n_passes > 0, "no pass found");
}

#[test]
fn no_path_of_one_machine_is_in_the_repository() {
    let texts = ["rs", "md", "toml", "json", "snap", "yml", "sh"];
    let files = tracked_files().expect("the repository can be listed");
    let root = repository_root();
    // Written in pieces: this file is read as well.
    let paths = [
        ["/", "work/"].concat(),
        ["/", "root/"].concat(),
        ["/", "home/"].concat(),
        ["/", "Users/"].concat(),
    ];
    let mut offences = Vec::new();
    for file in files
        .iter()
        .filter(|f| texts.contains(&f.rsplit('.').next().unwrap_or_default()) || *f == ".ci/run")
    {
        let text = std::fs::read_to_string(root.join(file)).expect("a text file is UTF-8");
        let bad = text
            .lines()
            .enumerate()
            .filter(|(_, line)| paths.iter().any(|path| line.contains(path)));
        offences.extend(bad.map(|(index, line)| format!("{file}:{}: {}", index + 1, line.trim())));
    }
    assert!(offences.is_empty(), "paths of one machine:\n{}", offences.join("\n"));
}

#[test]
fn the_architecture_overview_stays_an_overview() {
    let text = std::fs::read_to_string(repository_root().join("ARCHITECTURE.md")).expect("it is there");
    assert!(text.lines().count() <= MAX_ARCHITECTURE_LINES);
}
