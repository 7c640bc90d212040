//! The program from outside: every test runs the binary as a user does.

mod arrays;
mod artefacts;
mod bench;
mod bootstraps;
mod composite;
mod demo;
mod determinism;
mod doctor;
mod errors;
mod explain;
mod fit;
mod heron;
#[cfg(feature = "tfhe")]
mod integers;
#[cfg(unix)]
mod interrupt;
mod main_path;
mod onnx_bytes;
mod overwriting;
mod readme;
mod refusals;
mod screen;
mod secrets;
