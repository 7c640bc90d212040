//! The machines: exact numbers, exact numbers with predicted noise, ciphertexts, and two machines side by side.

mod ckks;
mod clear;
mod noisy;
mod pair;

pub use ckks::CkksMachine;
pub use clear::{Clear, ClearValue};
pub use noisy::Noisy;
pub use pair::{Pair, PairValue};
