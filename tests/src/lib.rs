//! Heron: tests.
