//! `heron inspect`: what a file is, to which plan it belongs, and whether it is whole.

use std::path::PathBuf;

use anyhow::Result;
use heron_runtime::files::{FileInfo, inspect};
use serde_json::{Value, json};

use crate::artefact::bytes_at;
use crate::context::Context;
use crate::table::pairs;
use crate::units;

const AFTER_HELP: &str = "\
Checks every checksum on the way: exit code 7 for what is damaged.

Example:
  heron inspect keys/eval.key
  heron inspect digits.plan";

/// Options of `inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct InspectArgs {
    /// A plan directory, client.json, key, ciphertext or array file
    file: PathBuf,
}

impl InspectArgs {
    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Result<()> {
        let mut entries = entries(&inspect(&self.file)?);
        entries.push(("bytes", json!(bytes_at(&self.file))));
        let value: serde_json::Map<String, Value> = entries
            .iter()
            .map(|(name, value)| (name.replace(' ', "_"), value.clone()))
            .collect();
        context.terminal.result(&value, |width| {
            let shown: Vec<(&str, String)> = entries.iter().map(|(name, value)| (*name, text(name, value))).collect();
            pairs(&shown, width)
        })
    }
}

fn entries(info: &FileInfo) -> Vec<(&'static str, Value)> {
    match info {
        FileInfo::Plan {
            name,
            version,
            plan_hash,
            lines,
            levels,
            log_n,
        } => vec![
            ("kind", json!("plan, verified")),
            ("name", json!(name)),
            ("version", json!(version)),
            ("plan hash", json!(plan_hash.to_string())),
            ("lines", json!(lines)),
            ("levels", json!(levels)),
            ("log n", json!(log_n)),
        ],
        FileInfo::TfhePlan {
            name,
            version,
            plan_hash,
            lines,
            lookups,
            bits,
        } => vec![
            ("kind", json!("plan for exact integers, verified")),
            ("name", json!(name)),
            ("version", json!(version)),
            ("plan hash", json!(plan_hash.to_string())),
            ("lines", json!(lines)),
            ("look-ups", json!(lookups)),
            ("bits", json!(bits)),
        ],
        FileInfo::Client {
            name,
            version,
            plan_hash,
            input_shape,
            output_shape,
            evaluation_key_bytes,
        } => vec![
            ("kind", json!("client description")),
            ("name", json!(name)),
            ("version", json!(version)),
            ("plan hash", json!(plan_hash.to_string())),
            ("input shape", json!(input_shape)),
            ("output shape", json!(output_shape)),
            ("evaluation key bytes", json!(evaluation_key_bytes)),
        ],
        FileInfo::Binary {
            kind,
            version,
            plan_hash,
            file_bytes: _,
            records,
            states,
        } => {
            let mut entries = vec![
                ("kind", json!(kind.to_string())),
                ("version", json!(version)),
                ("plan hash", json!(plan_hash.to_string())),
                ("records", json!(records)),
            ];
            if let Some(first) = states.first() {
                entries.push(("ciphertexts", json!(states.len())));
                entries.push(("level", json!(first.level)));
                entries.push(("scale", json!(first.power)));
            }
            entries
        }
        FileInfo::Tensor { shape, element_type } => {
            vec![
                ("kind", json!("array")),
                ("shape", json!(shape)),
                ("type", json!(element_type)),
            ]
        }
    }
}

/// A value as people read it.
fn text(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(axes) => {
            let axes: Vec<usize> = axes
                .iter()
                .filter_map(|axis| axis.as_u64().map(|axis| axis as usize))
                .collect();
            units::shape(&axes)
        }
        Value::Number(number) if name.ends_with("bytes") => number.as_u64().map_or(value.to_string(), units::bytes),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
