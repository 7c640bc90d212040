//! Heron: runtime.
