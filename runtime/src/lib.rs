//! From a plan to outputs, on a machine: one interpreter, the machines it drives, the two sides of an encrypted run, and
//! the files that travel between them.
//!
//! ```text
//! client                                                server
//! spec = files::read_client                             bundle = files::read_plan (verified)
//! context = sessions::open_context (128 bits checked)   context = sessions::open_context
//! files::KeyFiles::check_room, sessions::keygen, files::write_keys ─ eval.key → files::read_evaluation_keys
//! samples::prepare (files::read_tensor)                 sessions::Server::new
//! sessions::Client::encrypt, files::write_ciphertexts ─── x.ct → files::read_ciphertexts
//! sessions::Client::decrypt ← y.ct ────────────────────── sessions::Server::run
//! outputs::apply_tail, files::write_tensor
//!
//! plans for exact integers: the same on both sides with `tfhe::TfheClient`, `tfhe::TfheServer` and `files::*_tfhe_*`
//!
//! neither: simulate::simulate (clear, or with predicted noise), compare::compare (both machines, line by line, fresh keys),
//! files::inspect (what a file is), files::remove_partial_files (for a handler of Ctrl-C)
//! ```
//!
//! **The runtime decides nothing**: levels, scales, rotations and their order are in the plan. **A server takes no secret
//! key**: no function of [`sessions::Server`] has a parameter that could hold one. Every error says who can act on it
//! ([`ErrorKind`], one exit code each).
#![forbid(unsafe_code)]

pub mod compare;
pub mod conformance;
mod error;
pub mod files;
pub mod interpreter;
pub mod machine;
pub mod machines;
pub mod outputs;
pub mod samples;
pub mod sessions;
pub mod simulate;
pub mod tfhe;

pub use error::{Error, ErrorKind};
