//! Noise of every CKKS operation, predicted.
//!
//! All figures are standard deviations of the real part of one slot, in message units (divided by the scale). An error
//! polynomial whose coefficients have variance `v` gives every slot's real part the variance `v · N / 2`.

use crate::{CkksParams, Level, ScalePower};

/// Standard deviation of the error distribution.
pub const ERROR_STD_DEV: f64 = 3.19;

/// Fraction of non-zero coefficients of a uniform ternary secret.
const TERNARY_DENSITY: f64 = 2.0 / 3.0;

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

    /// Variance of a coefficient of `r_0 + r_1 · s` for roundings `r_i` uniform in `[-1/2, 1/2)`.
    fn rounding_variance(&self) -> f64 {
        (1.0 + TERNARY_DENSITY * self.n()) / 12.0
    }

    /// A plaintext at power one: rounding to integer coefficients.
    pub fn encode(&self, level: Level) -> f64 {
        self.slot(1.0 / 12.0, level, ScalePower::One)
    }

    /// A fresh encryption under the secret key, encoding included.
    pub fn fresh(&self, level: Level) -> f64 {
        self.slot(ERROR_STD_DEV * ERROR_STD_DEV + 1.0 / 12.0, level, ScalePower::One)
    }

    /// A fresh encryption under the public key, made in `QP` and divided by `P`, encoding included.
    pub fn fresh_public(&self, level: Level) -> f64 {
        let under_key = ERROR_STD_DEV * ERROR_STD_DEV * (1.0 + 2.0 * TERNARY_DENSITY * self.n());
        let divided = under_key / exp2(2.0 * self.params.log_p());
        self.slot(divided + self.rounding_variance() + 1.0 / 12.0, level, ScalePower::One)
    }

    /// What a rescale adds; `level` is the level after it.
    pub fn rescale(&self, level: Level) -> f64 {
        self.slot(self.rounding_variance(), level, ScalePower::One)
    }

    /// What one key switch (rotation or relinearization) adds at a level and power.
    ///
    /// # Source
    /// Hybrid key switching, ePrint 2019/688 section 3: digits below `D` times errors, divided by `P`, plus the rounding
    /// of the division.
    pub fn key_switch(&self, level: Level, power: ScalePower) -> f64 {
        let digit_variance = |digit: std::ops::Range<usize>| {
            let log_digit: f64 = self.params.q[digit].iter().map(|&q| (q as f64).log2()).sum();
            exp2(2.0 * (log_digit - self.params.log_p())) / 12.0
        };
        let digits: f64 = self.params.digits(level).map(digit_variance).sum();
        self.slot(
            digits * self.n() * ERROR_STD_DEV * ERROR_STD_DEV + self.rounding_variance(),
            level,
            power,
        )
    }
}

fn exp2(x: f64) -> f64 {
    x.exp2()
}
