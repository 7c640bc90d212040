//! From an error of any library to what the user reads: what is wrong, where, what to do.

use heron_compiler::ImportError;
use heron_compiler::calibrate::CalibrateError;
use heron_compiler::error::{CompileError, UnsupportedNode};
use heron_runtime::ErrorKind;
use heron_runtime::files::FileError;
use heron_runtime::interpreter::RunError;
use heron_runtime::sessions::SessionError;
use serde::Serialize;

use crate::failure::{Exit, Failure, Problem};
use crate::table::wrap;
use crate::terminal::Terminal;
use crate::units;

/// A message has at most one screen: so many single problems.
const MAX_PROBLEMS: usize = 12;

/// Sorts an error: its exit code, its message with all causes, its problems.
pub(crate) fn failure_of(error: &anyhow::Error) -> Failure {
    let mut failure = error.chain().find_map(known_failure).unwrap_or_else(|| {
        let advice = "this is a defect of heron: please report it with the command you typed";
        Failure::new(Exit::Internal, "").advise(advice)
    });
    if failure.message.is_empty() {
        failure.message = message_of(error);
    }
    failure
}

/// A failure for the errors whose kind is known; where its message is empty, it is what [`message_of`] says.
fn known_failure(cause: &(dyn std::error::Error + 'static)) -> Option<Failure> {
    if let Some(failure) = cause.downcast_ref::<Failure>() {
        return Some(failure.clone());
    }
    let runtime = cause.downcast_ref().map(heron_runtime::Error::kind);
    let runtime = runtime.or_else(|| cause.downcast_ref().map(FileError::kind));
    let runtime = runtime.or_else(|| cause.downcast_ref().map(SessionError::kind));
    let runtime = runtime.or_else(|| cause.downcast_ref().map(RunError::kind));
    if let Some(kind) = runtime {
        return Some(Failure::new(exit_of(kind), ""));
    }
    if let Some(error) = cause.downcast_ref::<CompileError>() {
        return Some(compile_failure(error));
    }
    if let Some(error) = cause.downcast_ref::<ImportError>() {
        return Some(import_failure(error));
    }
    if cause.is::<CalibrateError>() || cause.is::<heron_ckks::KernelsError>() {
        return Some(Failure::new(Exit::Usage, ""));
    }
    cause
        .downcast_ref::<std::io::Error>()
        .map(|_| Failure::new(Exit::InputOutput, ""))
}

fn compile_failure(error: &CompileError) -> Failure {
    use heron_compiler::error::ErrorKind;
    let exit = match error.kind() {
        ErrorKind::Input => Exit::Usage,
        ErrorKind::Unsupported => Exit::Unsupported,
        ErrorKind::Infeasible => Exit::Infeasible,
        ErrorKind::Verification => Exit::Verification,
        ErrorKind::Internal => Exit::Internal,
    };
    match error {
        CompileError::Import(error) => import_failure(error),
        CompileError::Unsupported(nodes) => {
            let message = format!(
                "the model cannot be compiled: {}",
                units::count(nodes.len(), "unsupported node")
            );
            let problems = nodes.iter().map(problem_of_node).collect();
            Failure {
                problems,
                ..Failure::new(exit, message)
            }
        }
        CompileError::Options(_)
        | CompileError::Calibration(_)
        | CompileError::Infeasible(_)
        | CompileError::SemanticGate(_)
        | CompileError::Accuracy(_)
        | CompileError::Diverges(_)
        | CompileError::InaccurateIntegers(_)
        | CompileError::Simplify(_)
        | CompileError::Bug(_) => Failure::new(exit, ""),
    }
}

fn problem_of_node(node: &UnsupportedNode) -> Problem {
    Problem {
        place: format!("{} ({})", node.node, node.op),
        reason: node.reason.clone(),
        advice: node.advice.clone(),
    }
}

fn import_failure(error: &ImportError) -> Failure {
    match error {
        ImportError::Unsupported(problems) => {
            let message = format!(
                "the model cannot be compiled: {}",
                units::count(problems.len(), "problem")
            );
            let problems = problems.iter().map(|problem| Problem {
                place: match &problem.attribute {
                    Some(attribute) => format!("{} ({}, {attribute})", problem.node, problem.op),
                    None => format!("{} ({})", problem.node, problem.op),
                },
                reason: problem.reason.clone(),
                advice: problem.remedy.clone(),
            });
            Failure {
                problems: problems.collect(),
                ..Failure::new(Exit::Unsupported, message)
            }
        }
        ImportError::Opset { .. } => Failure::new(Exit::Unsupported, ""),
        ImportError::NotOnnx { .. } | ImportError::ExternalData { .. } => Failure::new(Exit::Usage, ""),
    }
}

fn exit_of(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::BadInput => Exit::Usage,
        ErrorKind::Unsupported => Exit::Unsupported,
        ErrorKind::Infeasible => Exit::Infeasible,
        ErrorKind::VerificationFailed => Exit::Verification,
        ErrorKind::OutOfRange => Exit::OutOfRange,
        ErrorKind::Damaged => Exit::Damaged,
        ErrorKind::Io => Exit::InputOutput,
        ErrorKind::Internal => Exit::Internal,
    }
}

/// The error with its causes, each said once.
fn message_of(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if message.contains(&text) {
            continue;
        }
        if !message.is_empty() {
            message.push_str(": ");
        }
        message.push_str(&text);
    }
    message
}

#[derive(Serialize)]
struct JsonError<'a> {
    error: JsonFailure<'a>,
}

#[derive(Serialize)]
struct JsonFailure<'a> {
    exit_code: i32,
    #[serde(flatten)]
    failure: &'a Failure,
}

/// Writes a failure to stderr, even if quiet; its exit code.
pub(crate) fn explain(failure: &Failure, terminal: Terminal) -> Exit {
    let text = if terminal.is_json() {
        let error = JsonError {
            error: JsonFailure {
                exit_code: failure.exit.code(),
                failure,
            },
        };
        serde_json::to_string_pretty(&error).unwrap_or_else(|_| failure.message.clone())
    } else {
        text_of(failure, terminal.width())
    };
    eprintln!("{}", text.trim_end());
    failure.exit
}

fn text_of(failure: &Failure, width: usize) -> String {
    let mut lines = wrap(&format!("error: {}", failure.message), width);
    for problem in failure.problems.iter().take(MAX_PROBLEMS) {
        lines.extend(indented(&format!("{}: {}", problem.place, problem.reason), "  ", width));
        if !problem.advice.is_empty() {
            lines.extend(indented(&problem.advice, "    ", width));
        }
    }
    let hidden = failure.problems.len().saturating_sub(MAX_PROBLEMS);
    if hidden > 0 {
        lines.push(format!("  and {hidden} more: all of them with --format json"));
    }
    if !failure.advice.is_empty() {
        lines.extend(wrap(&failure.advice, width));
    }
    lines.join("\n")
}

fn indented(text: &str, indent: &str, width: usize) -> Vec<String> {
    let lines = wrap(text, width.saturating_sub(indent.len()));
    lines.into_iter().map(|line| format!("{indent}{line}")).collect()
}
