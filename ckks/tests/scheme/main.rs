//! The scheme from outside: what operations do to slots, how much noise they add, what bytes they read.

mod fixture;
mod slots;
