//! The contract between the compiler and the machines: what a plan is, what it means, and how it is checked and stored.
//!
//! A plan is a straight line of instructions over slot vectors. Each line states its level, scale, bound and predicted
//! error; nothing is decided at run time. This crate opens no file: plans go to bytes and come from bytes.

mod client;
mod client_file;
pub mod cost;
mod counts;
mod coverage;
mod file_error;
mod files;
mod ids;
mod instruction;
mod json;
mod keys;
mod layout;
mod linear_map;
mod listing;
mod liveness;
mod polynomial;
mod program;
#[cfg(test)]
mod sample;
mod summary;
pub mod tfhe;
mod verify;
mod weights;
mod weights_file;

pub use client::{CalibratedRange, ClientSpec, ClientTail, InputSpec, Normalization, OutputSpec};
pub use counts::{OpCounts, ProgramCounts};
pub use file_error::{FileFault, PlanFileError};
pub use files::PlanFiles;
pub use ids::{ConstId, Digest, MapId, ValueId};
pub use instruction::{Constant, Instruction, Line};
pub use layout::{Image, VectorLayout};
pub use linear_map::{BabyGiant, Convolution, Diagonals, Geometry, GiantStep, LinearMap};
pub use liveness::Liveness;
pub use polynomial::{MAX_POLYNOMIAL_DEGREE, Parity, SlotPolynomial};
pub use program::{CkksProgram, FORMAT_VERSION, Plan, Program, Provenance};
pub use verify::{Place, Rule, VerifyError, VerifyErrors, verify, verify_insecure, verify_with_weights};
pub use weights::{ConstEntry, Weights};
