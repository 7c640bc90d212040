//! The runtime from outside: machines, sessions and files.

mod files;
mod fixture;
mod machines;
mod noise;
mod sessions;
