//! Heron: ckks.
