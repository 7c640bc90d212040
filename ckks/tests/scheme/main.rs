//! The scheme from outside: what operations do to slots, how much noise they add, what bytes they read.

mod bytes;
mod fixture;
mod noise;
mod polynomials;
mod refusals;
mod slots;
mod steady_state;
mod threads;
