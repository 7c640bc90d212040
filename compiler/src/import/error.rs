//! Why a file cannot be imported: every reason at once, each with the node, what was found and what to do.

use std::fmt;

/// One thing that a model has and the importer does not accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The ONNX node's name, or that of the tensor or graph input at fault.
    pub node: String,
    /// Its operator type; `input`, `output` or `initializer` where it is not a node.
    pub op: String,
    /// The attribute at fault, if it is one.
    pub attribute: Option<String>,
    /// What was found.
    pub reason: String,
    /// What would be accepted, or how to get there.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.node, self.op)?;
        if let Some(attribute) = &self.attribute {
            write!(f, ", {attribute}")?;
        }
        write!(f, "): {}; {}", self.reason, self.remedy)
    }
}

/// Why a file cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The bytes are no ONNX model, or not all of one.
    #[error(
        "this is not a complete ONNX model: {reason}; export the network again (in PyTorch: \
         `torch.onnx.export(model, sample, \"model.onnx\", opset_version=17)`) and check that the copy is complete"
    )]
    NotOnnx {
        /// What is wrong with the bytes.
        reason: String,
    },
    /// The weights are in other files.
    #[error(
        "the weights of {} are kept in external data files, which are not read; save the model in one file (in Python: \
         `onnx.save(onnx.load(\"model.onnx\"), \"single.onnx\")`)",
        list(tensors)
    )]
    ExternalData {
        /// The tensors concerned.
        tensors: Vec<String>,
    },
    /// The version of the operator set is not known here.
    #[error(
        "the model uses ONNX opset {found}, but opsets {lowest} to {highest} are read; export it with `opset_version=17`"
    )]
    Opset {
        /// The model's.
        found: i64,
        /// The lowest that is read.
        lowest: i64,
        /// The highest that is read.
        highest: i64,
    },
    /// Everything in the model that is not supported.
    #[error("{}", report(.0))]
    Unsupported(Vec<Problem>),
}

/// At most this many names or problems are spelled out; a screen holds no more.
const LISTED: usize = 24;

fn list(names: &[String]) -> String {
    let shown = names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len() {
        0..=3 => shown,
        count => format!("{shown} and {} more tensors", count - 3),
    }
}

fn report(problems: &[Problem]) -> String {
    let count = match problems.len() {
        1 => "one problem".to_owned(),
        count => format!("{count} problems"),
    };
    let mut text = format!("the model cannot be compiled, {count}:");
    for problem in problems.iter().take(LISTED) {
        text.push_str(&format!("\n  - {problem}"));
    }
    if problems.len() > LISTED {
        text.push_str(&format!("\n  - and {} more", problems.len() - LISTED));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_listed_with_its_remedy() {
        let problem = |node: &str, attribute: Option<&str>| Problem {
            node: node.to_owned(),
            op: "LSTM".to_owned(),
            attribute: attribute.map(str::to_owned),
            reason: "found".to_owned(),
            remedy: "remedy".to_owned(),
        };
        let error = ImportError::Unsupported(vec![problem("a", None), problem("b", Some("axis"))]);
        assert_eq!(
            error.to_string(),
            "the model cannot be compiled, 2 problems:\n  - a (LSTM): found; remedy\n  - b (LSTM, axis): found; remedy"
        );
    }

    #[test]
    fn a_long_list_fits_a_screen() {
        let problem = Problem {
            node: "a".to_owned(),
            op: "If".to_owned(),
            attribute: None,
            reason: "found".to_owned(),
            remedy: "remedy".to_owned(),
        };
        let text = ImportError::Unsupported(vec![problem; 1000]).to_string();
        assert_eq!(text.lines().count(), LISTED + 2);
    }
}
