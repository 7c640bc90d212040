//! ONNX bytes to a plan. Pure: opens no file, reads no clock, prints nothing; the same input gives the same bytes.

pub mod approximate;
pub mod calibrate;
mod compile;
mod divergence;
pub mod error;
mod evaluate;
pub mod gate;
pub mod graph;
pub mod he;
mod import;
mod listing;
pub mod nn;
pub mod options;
pub mod pack;
mod packed_clear;
mod polynomial_network;
pub mod quantize;
pub mod report;
pub mod schedule;
mod simplify;
pub mod slots;
mod tune;

pub use compile::{CompileInput, Compiled, compile, compile_stored};
pub use divergence::{DIVERGENCE, Divergence, divergences};
pub use evaluate::{evaluate, evaluate_nodes, evaluate_samples, gradients};
pub use import::{ImportError, Imported, OnnxClear, OracleError, Problem, SupportedOp, import, supported_ops};
pub use packed_clear::evaluate_packed;
pub use polynomial_network::{polynomial_network, polynomial_network_stored};
pub use simplify::{PASSES, Pass, SimplifyError, simplify, simplify_until, simplify_with};
pub use tune::{TunePoint, tune};
