//! Measures every operation on rings and levels as plans use them.

use std::time::Duration;

use anyhow::Result;
use heron_plan::cost::OperationTable;

use super::chains::Chain;
use crate::commands::bench::Machine;
use crate::context::Context;

/// The table of this machine.
pub(super) fn calibrate(budget: Duration, context: &Context) -> Result<OperationTable> {
    let step = context.terminal.step("measuring");
    let Machine { cpu, kernels, threads } = Machine::this(context.kernels);
    let mut rows = Vec::new();
    for (done, chain) in (0..).zip(&Chain::ALL) {
        step.progress(done, Chain::ALL.len() as u64);
        for level in chain.levels() {
            rows.push(chain.measure(level, budget, context)?);
        }
    }
    Ok(OperationTable {
        cpu,
        kernels: kernels.to_owned(),
        threads,
        rows,
    })
}
