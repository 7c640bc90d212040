//! The listing of a plan for exact integers.
//!
//! ```text
//! plan digits v1 tfhe  n=800  k=1  N=2^11  failure=2^-40.0  security=128
//!   %0 = input                        ; 64 x [0, 15] of 4606 steps   input
//!   %1 = linear %0, c0, c1            ; 32 x [0, 2211] of 4606 steps   /0/Gemm
//! ```

use std::fmt::Write as _;

use heron_params::SECURITY_BITS;

use super::{TfheInstruction, TfheLine, TfheProgram};
use crate::{Plan, ValueId};

impl TfheProgram {
    /// The listing under the header.
    pub(crate) fn listing(&self, plan: &Plan) -> String {
        let mut out = self.header(plan);
        out.push('\n');
        for (index, line) in self.lines.iter().enumerate() {
            let text = format!("{} = {}", ValueId(index as u32), instruction(&line.op));
            let row = format!("  {text:<33} ; {}", comment(line));
            let _ = writeln!(out, "{}", row.trim_end());
        }
        out
    }

    /// The first line of the listing.
    fn header(&self, plan: &Plan) -> String {
        let params = &self.params;
        let security = match params.check_secure() {
            Ok(bits) => {
                debug_assert_eq!(bits, SECURITY_BITS);
                bits.to_string()
            }
            Err(_) => "none".to_owned(),
        };
        format!(
            "plan {} v{} tfhe  n={}  k={}  N=2^{}  bits={}  failure=2^{:.1}  security={security}",
            plan.name,
            plan.format_version,
            params.small_dimension,
            params.ring_rank,
            params.log_degree,
            self.bits,
            self.log2_failure,
        )
    }

    /// The summary: the listing, what a run costs, and the keys.
    pub(crate) fn summary(&self, plan: &Plan) -> String {
        let params = &self.params;
        format!(
            "{}\nlook-ups  {}\nkeys  in memory {} bytes  in a file {} bytes\n",
            self.listing(plan),
            self.lookups(),
            params.key_memory_bytes(),
            params.key_file_bytes(),
        )
    }
}

fn instruction(op: &TfheInstruction) -> String {
    let name = op.name();
    match op {
        TfheInstruction::Input => name.to_owned(),
        TfheInstruction::Linear { arg, weights, bias } => format!("{name} {arg}, {weights}, {bias}"),
        TfheInstruction::Add { lhs, rhs } => format!("{name} {lhs}, {rhs}"),
        TfheInstruction::Floor { arg, by } => format!("{name} {arg}, {by}"),
        TfheInstruction::Lookup { arg, table } => format!("{name} {arg}, {table}"),
        TfheInstruction::Output { arg } => format!("{name} {arg}"),
    }
}

fn comment(line: &TfheLine) -> String {
    let failure = line.log2_failure.map(|failure| format!("  wrong 2^{failure:.1}"));
    format!(
        "{} x [{}, {}] of {} steps{}   {}",
        line.len,
        line.min,
        line.max,
        line.steps,
        failure.unwrap_or_default(),
        line.node
    )
}
