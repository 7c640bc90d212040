//! The commands in the README do what it says.
//!
//! Every line of a block that opens with ```` ```sh try ```` runs in one folder, in order, from the repository's root as
//! the README assumes it; `cargo run --release --` and a leading `heron` stand for the binary under test.

use std::process::Command;

use crate::artefacts::scratch;
use crate::heron::{Outcome, binary, repository};

fn commands(readme: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut inside = false;
    let joined = readme.replace("\\\n", " ");
    for line in joined.lines() {
        match line.trim() {
            "```sh try" => inside = true,
            "```" => inside = false,
            command if inside && !command.is_empty() => commands.push(command.to_owned()),
            _ => {}
        }
    }
    commands
}

#[test]
fn every_command_of_the_readme_works() {
    let readme = std::fs::read_to_string(repository("README.md")).expect("there is a README");
    let commands = commands(&readme);
    assert!(commands.len() >= 8, "only {} commands found", commands.len());
    let folder = scratch("readme");
    let models = repository("models").display().to_string();
    for command in commands {
        let words = command
            .strip_prefix("cargo run --release -- ")
            .or_else(|| command.strip_prefix("heron "));
        let words = words.unwrap_or_else(|| panic!("not a heron command: {command}"));
        let arguments = words.split_whitespace().map(|word| match word.strip_prefix("models/") {
            Some(file) => format!("{models}/{file}"),
            None => word.to_owned(),
        });
        let output = Command::new(binary())
            .args(arguments)
            .current_dir(&folder)
            .output()
            .expect("it starts");
        Outcome::of(&command, &output).succeeds();
    }
}
