//! ONNX bytes to a plan. Pure: opens no file, reads no clock, prints nothing; the same input gives the same bytes.

pub mod graph;
pub mod nn;
