//! What a plan will cost, by a table of measured operations: time and memory, in all and layer by layer.

use std::path::{Path, PathBuf};

use anyhow::Result;
use heron_plan::CkksProgram;
use heron_plan::cost::{Estimate, LayerEstimate, MemoryEstimate, OperationTable};
use serde::Serialize;

use crate::arguments::ByteCount;
use crate::failure::{Exit, Failure};
use crate::units;

/// How much memory encoded diagonals may take.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct BudgetOption {
    /// Keep encoded diagonals up to this many bytes; more are encoded again in every run
    #[arg(long, value_name = "BYTES", default_value_t = BudgetOption::USUAL.mem_budget)]
    pub(super) mem_budget: ByteCount,
}

impl BudgetOption {
    /// Enough for small networks.
    pub(super) const USUAL: Self = Self {
        mem_budget: ByteCount(4 << 30),
    };
}

/// Which table to estimate by.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct MachineOption {
    /// Estimate for the machine of this table, from `heron doctor --calibrate` [default: the built-in table]
    #[arg(long, value_name = "FILE")]
    machine: Option<PathBuf>,
}

impl MachineOption {
    /// The table that was asked for.
    pub(super) fn table(&self) -> Result<OperationTable> {
        match &self.machine {
            Some(path) => read_table(path),
            None => Ok(OperationTable::built_in().clone()),
        }
    }
}

fn read_table(path: &Path) -> Result<OperationTable> {
    let bytes = std::fs::read(path).map_err(|error| {
        let message = format!("cannot read the table `{}`: {error}", path.display());
        Failure::new(Exit::InputOutput, message).advise("write it with `heron doctor --calibrate -o FILE`")
    })?;
    OperationTable::parse(&bytes).map_err(|error| {
        let message = format!("`{}` is no table to estimate by: {error}", path.display());
        Failure::new(Exit::Damaged, message).into()
    })
}

/// What a plan will cost.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CostEstimate {
    /// One run, with the diagonals encoded that memory is given for.
    pub(super) seconds: f64,
    /// Encoding them.
    pub(super) seconds_preparing: f64,
    /// Peak memory of `heron run`.
    pub(super) peak_bytes: u64,
    /// What it consists of.
    pub(super) memory: MemoryEstimate,
    /// Threads of the measurements.
    pub(super) threads: usize,
    /// The processor that they were taken on.
    pub(super) cpu: String,
    /// The layers, in the order of the report's.
    pub(super) layers: Vec<LayerEstimate>,
}

impl CostEstimate {
    /// By a table, with a budget for encoded diagonals.
    pub(super) fn of(program: &CkksProgram, table: &OperationTable, budget: BudgetOption) -> Self {
        let estimate: Estimate = program.estimate(table, budget.mem_budget.0);
        Self {
            seconds: estimate.run_ms / 1e3,
            seconds_preparing: estimate.prepare_ms / 1e3,
            peak_bytes: estimate.memory.total(),
            memory: estimate.memory,
            threads: table.threads,
            cpu: table.cpu.clone(),
            layers: estimate.layers(program),
        }
    }

    /// Time and memory in a line each.
    pub(super) fn entries(&self) -> [(&'static str, String); 2] {
        let MemoryEstimate { keys, plaintexts, .. } = self.memory;
        let time = format!(
            "about {} a run on {} of {}, after {} of encoding",
            units::seconds(self.seconds),
            units::count(self.threads, "thread"),
            self.cpu,
            units::seconds(self.seconds_preparing),
        );
        let memory = format!(
            "about {} at the peak; {} of it for keys, {} for encoded diagonals",
            units::bytes(self.peak_bytes),
            units::bytes(keys),
            units::bytes(plaintexts),
        );
        [("time", time), ("memory", memory)]
    }
}
