//! `heron doctor`: what this machine offers, and how fast it is beside the one that estimates are made for.

mod calibrate;
mod chains;
mod clock;
mod grid;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use heron_plan::cost::{Operation, OperationTable};
use heron_runtime::files::write_bytes;
use serde::Serialize;

use super::bench::Machine;
use crate::artefact::{ForceOption, Written};
use crate::context::Context;
use crate::table::pairs;
use crate::units;
use calibrate::calibrate;
use chains::Chain;

const AFTER_HELP: &str = "\
Estimates of `heron report` come from a table of measured operations. Without
--machine it is the one that is built in; --calibrate writes this machine's.
With --threads 1 the processor's time counts: other programs disturb little.

Example:
  heron doctor
  heron doctor --calibrate -o machine.json --threads 1
  heron report digits.plan --machine machine.json";

/// Where Linux tells how much memory there is.
const MEMORY_INFO: &str = "/proc/meminfo";

/// Options of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DoctorArgs {
    /// Measure the operations of all rings and write the table
    #[arg(long, requires = "output")]
    calibrate: bool,
    /// The table to write
    #[arg(short, long, value_name = "FILE", requires = "calibrate")]
    output: Option<PathBuf>,
    /// How long to measure each operation, in milliseconds
    #[arg(long, default_value_t = 100, value_name = "MS")]
    time: u64,
    #[command(flatten)]
    force: ForceOption,
}

/// What this machine offers.
#[derive(Debug, Serialize)]
struct Diagnosis {
    #[serde(flatten)]
    machine: Machine,
    /// Memory that a program could get; missing where the system does not tell.
    available_bytes: Option<u64>,
    /// Milliseconds of a rotation at `log_n`.
    rotation_ms: f64,
    log_n: u32,
    limbs: u32,
    /// The same, by the table that is built in.
    built_in_ms: f64,
    /// The processor that it was measured on.
    built_in_cpu: String,
}

impl DoctorArgs {
    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Result<()> {
        let budget = Duration::from_millis(self.time);
        match &self.output {
            Some(output) => self.write_table(output, budget, context),
            None => {
                let diagnosis = diagnose(budget, context)?;
                context.terminal.result(&diagnosis, |width| text(&diagnosis, width))?;
                context
                    .terminal
                    .next("heron doctor --calibrate -o machine.json --threads 1");
                Ok(())
            }
        }
    }

    fn write_table(&self, output: &std::path::Path, budget: Duration, context: &Context) -> Result<()> {
        let started = Instant::now();
        self.force.check(output)?;
        let table = calibrate(budget, context)?;
        write_bytes(output, &table.to_json()?, self.force.overwrite())?;
        let written = Written::since(output, started);
        context.terminal.result(&written, |_| String::new())?;
        written.announce(context.terminal);
        context
            .terminal
            .next(format_args!("heron report PLAN --machine {}", output.display()));
        Ok(())
    }
}

fn diagnose(budget: Duration, context: &Context) -> Result<Diagnosis> {
    let step = context.terminal.step("measuring a rotation");
    let chain = Chain::SMALL;
    let measured = chain.measure(chain.top(), budget, context)?;
    drop(step);
    let built_in = OperationTable::built_in();
    Ok(Diagnosis {
        machine: Machine::this(context.kernels),
        available_bytes: std::fs::read_to_string(MEMORY_INFO)
            .ok()
            .and_then(|info| available_bytes(&info)),
        rotation_ms: measured.ms.get(&Operation::Rotation).copied().unwrap_or_default(),
        log_n: measured.shape.log_n,
        limbs: measured.shape.limbs,
        built_in_ms: built_in.ms(Operation::Rotation, measured.shape),
        built_in_cpu: built_in.cpu.clone(),
    })
}

fn available_bytes(info: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn text(diagnosis: &Diagnosis, width: usize) -> String {
    let Diagnosis {
        machine,
        available_bytes,
        rotation_ms,
        log_n,
        limbs,
        built_in_ms,
        built_in_cpu,
    } = diagnosis;
    let memory = available_bytes.map_or_else(|| "unknown".to_owned(), units::bytes);
    let rotation = format!(
        "{} at N = 2^{log_n} with {limbs} limbs; {} on the {built_in_cpu} that estimates are made for",
        units::seconds(rotation_ms / 1e3),
        units::seconds(built_in_ms / 1e3),
    );
    let entries = [
        ("processor", machine.cpu.clone()),
        ("kernels", machine.kernels.to_owned()),
        ("threads", machine.threads.to_string()),
        ("memory", format!("{memory} available")),
        ("rotation", rotation),
    ];
    pairs(&entries, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_bytes() {
        let info = "MemTotal:       32784 kB\nMemAvailable:   1024 kB\n";
        assert_eq!(available_bytes(info), Some(1 << 20));
        assert_eq!(available_bytes("MemTotal: 5 kB"), None);
    }
}
