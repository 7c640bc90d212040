//! The `heron` command: a thin shell over the compiler and the runtime.
//!
//! Only this crate writes to stdout, reads the clock and the environment, and decides exit codes.

mod answers;
mod arguments;
mod artefact;
mod commands;
mod context;
mod diverged;
mod explain;
mod failure;
mod fit_cache;
mod interrupt;
mod layer_clock;
mod licenses;
mod network;
mod options;
mod picture;
mod plot;
mod polynomials;
mod process;
mod rule_table;
mod security_card;
mod shipped;
mod table;
mod terminal;
mod units;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::context::Context;
use crate::explain::{explain, failure_of};
use crate::failure::{Exit, Failure};
use crate::options::Options;
use crate::terminal::{Format, Terminal, Verbosity};

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => return refuse(&error),
    };
    let terminal = Terminal::new(options.shared.format, options.shared.verbosity());
    interrupt::clean_up_on_ctrl_c();
    report_panics();
    // A panic is a defect of ours; the hook has said so.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let context = Context::new(&options.shared, terminal)?;
        options.command.run(&context)
    }));
    interrupt::yield_to_handler();
    let exit = match outcome {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(error)) => explain(&failure_of(&error), terminal),
        Err(_) => Exit::Internal,
    };
    ExitCode::from(exit.code() as u8)
}

/// What clap answers: help and version on stdout, the rest as an error in the format that was asked for.
fn refuse(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed pipe is no error.
            let _ = error.print();
            let asked = std::env::args_os().any(|argument| argument == licenses::FLAG);
            if asked && error.kind() == ErrorKind::DisplayVersion {
                let _ = std::io::Write::write_all(&mut std::io::stdout(), licenses::text().as_bytes());
            }
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let arguments: Vec<_> = std::env::args_os().collect();
    let json = arguments
        .windows(2)
        .any(|pair| pair[0] == "--format" && pair[1] == "json")
        || arguments.iter().any(|argument| argument == "--format=json");
    if json {
        let terminal = Terminal::new(Format::Json, Verbosity::Normal);
        let message = error.to_string();
        explain(
            &Failure::new(Exit::Usage, message.trim_start_matches("error: ").trim_end()),
            terminal,
        );
    } else {
        let _ = error.print();
    }
    ExitCode::from(Exit::Usage.code() as u8)
}

fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        eprintln!("internal error: {info}");
        eprintln!("this is a defect of heron: please report it with the command you typed");
    }));
}
