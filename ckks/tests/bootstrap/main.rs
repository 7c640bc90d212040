//! Bootstrapping against the clear: every order, real and complex vectors, full and sparse slots, on small insecure rings.

mod fixture;
mod variants;
