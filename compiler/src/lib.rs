//! ONNX bytes to a plan. Pure: opens no file, reads no clock, prints nothing; the same input gives the same bytes.

pub mod approximate;
pub mod calibrate;
pub mod error;
mod evaluate;
pub mod graph;
pub mod he;
mod import;
pub mod nn;
pub mod pack;
mod packed_clear;
pub mod schedule;
pub mod slots;

pub use evaluate::{evaluate, evaluate_nodes};
pub use import::{ImportError, Imported, OnnxClear, OracleError, Problem, SupportedOp, import, supported_ops};
pub use packed_clear::evaluate_packed;
