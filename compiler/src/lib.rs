//! Heron: compiler.
