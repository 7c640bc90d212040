//! From a plan to outputs, on a machine: one interpreter, the machines it drives, the two sides of an encrypted run, and
//! the files that travel between them.
#![forbid(unsafe_code)]

mod error;
pub mod files;
pub mod interpreter;
pub mod machine;
pub mod machines;
pub mod outputs;
pub mod samples;
pub mod sessions;

pub use error::{Error, ErrorKind};
