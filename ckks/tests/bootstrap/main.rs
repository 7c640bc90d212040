//! Bootstrapping against the clear: every order, real and complex vectors, full and sparse slots, on small insecure rings; and the
//! named presets behind `HERON_SLOW_TESTS=1`.

mod bytes;
mod fixture;
mod statistics;
mod variants;
