//! The commands on plans for exact integers; those for CKKS come here once they know the plan's scheme.

mod compile;
#[cfg(feature = "tfhe")]
mod encrypted;
#[cfg(not(feature = "tfhe"))]
#[path = "without.rs"]
mod encrypted;
mod report;
mod targets;

pub(super) use compile::{BitsOption, FailureOption, Target, compile};
use encrypted::seconds_per_sample;
pub(super) use encrypted::{decrypt, encrypt, keygen, run, verify};
pub(super) use report::{outputs, report_text, tfhe_report};
pub(super) use targets::compare_targets;
