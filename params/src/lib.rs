//! What 128 bits allow: security tables, prime chains, key-switching digits and noise formulas, as data and arithmetic.
//!
//! [`tfhe`] has the same for exact integers. Nothing here touches a key or a ciphertext. The compiler reads this crate to choose parameters, `heron-ckks` to build
//! rings from them, and `heron-plan` to check both.

pub mod bootstrap;
mod chain;
mod chebyshev;
mod key_spec;
mod noise;
mod primes;
mod security;
pub mod tfhe;
mod units;

pub use chain::{ChainRequest, CkksParams, ParamsError};
pub use chebyshev::{ChebyshevSplit, OperationNoise, chebyshev_derivative, chebyshev_value, polynomial_depth};
pub use key_spec::KeySpec;
pub use noise::{ERROR_STD_DEV, NoiseModel};
pub use primes::{is_prime, ntt_primes_near};
pub use security::{MAX_LOG_N, MIN_SECURE_LOG_N, SECURITY_BITS, SecurityCard, max_log_qp};
pub use units::{Bits, Level, LogScale, Rotation, ScalePower, Slots};
