//! `heron ops`: the ONNX operators that are supported.

use anyhow::Result;
use heron_compiler::supported_ops;
use serde_json::{Value, json};

use crate::context::Context;
use crate::table::wrap;

const AFTER_HELP: &str = "\
Example:
  heron ops";

/// Options of `ops`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct OpsArgs {}

impl OpsArgs {
    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Result<()> {
        let ops = supported_ops();
        let entry =
            |op: &heron_compiler::SupportedOp| json!({"op": op.op, "attributes": op.attributes, "limits": op.limits});
        let value: Vec<Value> = ops.iter().map(entry).collect();
        context.terminal.result(&value, |width| {
            let longest = ops.iter().map(|op| op.op.len()).max().unwrap_or(0);
            let name_width = longest.min(width / 3);
            ops.iter()
                .map(|op| line(op.op, &described(op), name_width, width))
                .collect()
        })
    }
}

/// What is accepted, in words.
fn described(op: &heron_compiler::SupportedOp) -> String {
    match op.attributes {
        [] => op.limits.to_owned(),
        attributes => format!("{}. Attributes: {}", op.limits, attributes.join(", ")),
    }
}

/// A name, and beside it a text that wraps.
fn line(name: &str, text: &str, name_width: usize, width: usize) -> String {
    let room = width.saturating_sub(name_width + 2).max(10);
    let mut lines = wrap(text, room).into_iter();
    let mut out = format!("{name:name_width$}  {}\n", lines.next().unwrap_or_default());
    lines.for_each(|line| out.push_str(&format!("{:name_width$}  {line}\n", "")));
    out
}
