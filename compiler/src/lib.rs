//! ONNX bytes to a plan. Pure: opens no file, reads no clock, prints nothing; the same input gives the same bytes.

mod evaluate;
pub mod graph;
pub mod nn;

pub use evaluate::{evaluate, evaluate_nodes};
