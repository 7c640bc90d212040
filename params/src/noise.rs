//! Noise of every CKKS operation, predicted.
//!
//! All figures are standard deviations of the real part of one slot, in message units (divided by the scale). An error
//! polynomial with independent coefficients of variance `v` gives every slot's real part the variance `v · N / 2`. The
//! rounding of a real vector is no such polynomial: its coefficients come in pairs `x_(N-k) = -x_k`, so that the whole
//! error lies in the real part, with variance `v · N`.
//!
//! Measured against predicted: `ckks/tests/scheme/noise.rs`.

use std::ops::Range;

use crate::chain::log2;
use crate::{CkksParams, Level, ScalePower};

/// Standard deviation of the error distribution.
pub const ERROR_STD_DEV: f64 = 3.19;

/// Fraction of non-zero coefficients of a uniform ternary secret.
const TERNARY_DENSITY: f64 = 2.0 / 3.0;
/// Variance of a rounding error, uniform in `[-1/2, 1/2)`.
const ROUNDING: f64 = 1.0 / 12.0;

/// Noise predictions for one parameter set.
#[derive(Clone, Copy, Debug)]
pub struct NoiseModel<'a> {
    params: &'a CkksParams,
}

impl<'a> NoiseModel<'a> {
    /// A model of the given parameters.
    pub fn new(params: &'a CkksParams) -> Self {
        Self { params }
    }

    fn n(&self) -> f64 {
        self.params.n() as f64
    }

    /// From the variance of a coefficient to the standard deviation of a slot.
    fn slot(&self, coefficient_variance: f64, level: Level, power: ScalePower) -> f64 {
        (coefficient_variance * self.n() / 2.0).sqrt() / self.params.scale_of(level, power)
    }

    /// Variance of a coefficient of `r_0 + r_1 · s` for rounding errors `r_i`.
    fn rounding_variance(&self) -> f64 {
        ROUNDING * (1.0 + TERNARY_DENSITY * self.n())
    }

    /// A real vector encoded at power one: rounding to integer coefficients.
    ///
    /// This is also what every diagonal and every vector constant carries: a product adds it times the slot value that it
    /// multiplies.
    pub fn encode(&self, level: Level) -> f64 {
        self.slot(2.0 * ROUNDING, level, ScalePower::One)
    }

    /// A real vector that repeats with a period that divides the slots, encoded at power one.
    ///
    /// Such a vector lies in the subring of the polynomials in `X^(N / 2 period)`: only `2 period - 1` coefficients are not
    /// zero, and only they are rounded.
    pub fn encode_periodic(&self, level: Level, period: u32) -> f64 {
        let slots = self.params.slots().0;
        let rounded = if slots.is_multiple_of(period) { period } else { slots };
        self.encode(level) * ((2.0 * f64::from(rounded) - 1.0) / self.n()).sqrt()
    }

    /// One value for all slots at power one: rounding to one integer. A product adds it times the slot value.
    pub fn encode_const(&self, level: Level) -> f64 {
        ROUNDING.sqrt() / self.params.scale(level)
    }

    /// A fresh encryption under the secret key, encoding included.
    pub fn fresh(&self, level: Level) -> f64 {
        self.slot(ERROR_STD_DEV * ERROR_STD_DEV + 2.0 * ROUNDING, level, ScalePower::One)
    }

    /// A fresh encryption under the public key, made in `QP` and divided by `P`, encoding included.
    pub fn fresh_public(&self, level: Level) -> f64 {
        let under_key = ERROR_STD_DEV * ERROR_STD_DEV * (1.0 + 2.0 * TERNARY_DENSITY * self.n());
        let divided = under_key * libm::exp2(-2.0 * self.params.log_p());
        self.slot(
            divided + self.rounding_variance() + 2.0 * ROUNDING,
            level,
            ScalePower::One,
        )
    }

    /// What a rescale adds; `level` is the level after it. A drop to a lower level adds the same.
    pub fn rescale(&self, level: Level) -> f64 {
        self.slot(self.rounding_variance(), level, ScalePower::One)
    }

    /// What one key switch (rotation or relinearization) adds at a level and power: digits, and the rounding of the division
    /// by the special primes.
    pub fn key_switch(&self, level: Level, power: ScalePower) -> f64 {
        self.slot(self.digits_variance(level) + self.rounding_variance(), level, power)
    }

    /// What one key switch adds when its division by the special primes is left for later: the baby steps of a linear
    /// transform. The division then comes after the products with the diagonals, where [`mod_down`](Self::mod_down) at power
    /// two says what it adds.
    pub fn hoisted_key_switch(&self, level: Level, power: ScalePower) -> f64 {
        self.slot(self.digits_variance(level), level, power)
    }

    /// What one division by the special primes adds.
    pub fn mod_down(&self, level: Level, power: ScalePower) -> f64 {
        self.slot(self.rounding_variance(), level, power)
    }

    /// Variance of a coefficient of what the errors of a key add, multiplied by the digits and divided by `P`.
    ///
    /// # Source
    /// Hybrid key switching, ePrint 2019/688 section 3. A digit of `k` primes with product `D` is a sum of `k` terms that are
    /// uniform in `[-D/2, D/2)`.
    fn digits_variance(&self, level: Level) -> f64 {
        let digit_variance = |digit: Range<usize>| {
            let log_digit: f64 = self.params.q[digit.clone()].iter().map(|&q| log2(q)).sum();
            digit.len() as f64 * ROUNDING * libm::exp2(2.0 * (log_digit - self.params.log_p()))
        };
        let digits: f64 = self.params.digits(level).map(digit_variance).sum();
        digits * self.n() * ERROR_STD_DEV * ERROR_STD_DEV
    }
}
