//! The runtime from outside: machines, sessions and files.

mod machines;
