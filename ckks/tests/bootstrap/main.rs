//! Bootstrapping against the clear: every order, real and complex vectors, full and sparse slots, on small insecure rings; and a named
//! preset behind `HERON_SLOW_TESTS=1`.

mod bytes;
mod fixture;
mod presets;
mod variants;
