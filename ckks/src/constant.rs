//! One value for all slots: an integer at some scale, multiplied or added residue by residue.

use heron_params::{Level, ScalePower};

use crate::context::Context;
use crate::encoder::available_bits;
use crate::error::EncodeError;
use crate::kernels::{NttPrime, Scalar};

/// Integers above this may not be exact in what follows.
const MAX_BITS: f64 = 120.0;

/// A constant polynomial with an integer coefficient.
pub(crate) struct Constant(i128);

impl Constant {
    /// A value at the scale of a level, rounded.
    pub(crate) fn new(ctx: &Context, value: f64, level: Level, power: ScalePower) -> Result<Self, EncodeError> {
        if !value.is_finite() {
            return Err(EncodeError::NotFinite { slot: 0 });
        }
        let scaled = value * ctx.params().scale_of(level, power);
        let available_bits = available_bits(ctx, level)?.min(MAX_BITS);
        let magnitude_bits = libm::log2(scaled.abs());
        if magnitude_bits >= available_bits {
            return Err(EncodeError::TooLarge {
                magnitude_bits,
                available_bits,
                level,
            });
        }
        Ok(Self::integer(scaled))
    }

    /// A value below 2^120, rounded to an integer.
    pub(crate) fn integer(value: f64) -> Self {
        Self(value.round_ties_even() as i128)
    }

    /// The residue modulo a prime.
    pub(crate) fn residue(&self, prime: &NttPrime) -> Scalar {
        prime.scalar(self.0.rem_euclid(i128::from(prime.q())) as u64)
    }
}
