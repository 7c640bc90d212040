//! The runtime from outside: machines, sessions and files.

mod bootstraps;
mod files;
mod fixture;
mod machines;
mod noise;
mod sessions;
