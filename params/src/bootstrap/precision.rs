//! The errors of a bootstrap, predicted, and where they come from.
//!
//! All figures are in message units. Measured against predicted: `ckks/tests/bootstrap`.

use crate::bootstrap::request::TransformOrder;
use crate::bootstrap::variant::BootstrapParams;
use crate::{ERROR_STD_DEV, Level, NoiseModel};

/// Deviations that the worst of some ten million slots stays within: a thousand bootstraps of `2^14` slots.
///
/// Rounding errors are Gaussian times the size of the secret in a slot, which for one key differs from slot to slot as a complex
/// Gaussian does: over all slots the product has a Laplace distribution, and leaves `k` deviations with probability `e^(-k √2)`. A
/// quarter of the slots have the stated deviation, those without overflow; of `2^24` slots, 0.2 are expected beyond 12.
const WORST_DEVIATIONS: f64 = 12.0;
/// How far errors that are not the largest fall behind, on average over the overflows.
const MEAN_SHARE: f64 = 0.6;
/// Rescaled sums that a polynomial's result carries beyond the noise of its powers, in deviations of one rescale.
const POLYNOMIAL_RESCALES: f64 = 2.0;

/// What is predicted of one variant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BootstrapPrecision {
    /// Standard deviation of the error of a slot's real part where the raise did not overflow, which is where it is largest.
    pub deviation: f64,
    /// Errors that depend on the message alone, at most: the sine for its argument, the polynomial for the cosine.
    pub bias: f64,
}

impl BootstrapPrecision {
    pub(crate) fn of(params: &BootstrapParams) -> Self {
        let (eval_mod, chain) = (params.eval_mod(), params.chain());
        let noise = NoiseModel::new(chain);
        let ratio = libm::exp2(eval_mod.log_ratio);
        let rescale = |level: Level| noise.rescale(level);
        // A slot and its conjugate are added, and so are their errors.
        let to_slots = 2.0 * rescale(params.mod_level()) / eval_mod.amplification * eval_mod.half_width() * ratio;
        let factors = eval_mod.factors(eval_mod.gain());
        let powers = eval_mod.powers_gain() * rescale(params.mod_level());
        let polynomial =
            POLYNOMIAL_RESCALES * rescale(params.mod_level()) * eval_mod.doubling_gain() * eval_mod.gain() / factors[0];
        let doublings: f64 = factors[1..]
            .iter()
            .rev()
            .scan(1.0, |gain, factor| {
                let error = *gain * rescale(params.unpack_level());
                *gain *= 2.0 * libm::sqrt(*factor);
                Some(error * error)
            })
            .sum();
        let switched = libm::sqrt(chain.n() as f64 / 12.0) * ERROR_STD_DEV * chain.q[0] as f64 / chain.p[0] as f64;
        let raise = switched * ratio / chain.q[0] as f64;
        let reduced =
            libm::sqrt(to_slots * to_slots + powers * powers + polynomial * polynomial + doublings + raise * raise);
        let truncation = eval_mod.truncation_error();
        match params.order() {
            TransformOrder::SlotsToCoeffsFirst => Self {
                deviation: reduced,
                bias: eval_mod.sine_error() + truncation,
            },
            TransformOrder::CoeffsToSlotsFirst => Self {
                // Every slot is a sum over all coefficients.
                deviation: reduced * libm::exp2(f64::from(params.log_slots()) / 2.0),
                // The cubes of coefficients whose squares sum to 2 at most; and an error that is the same in all coefficients
                // adds up to `4 / π` per slot in the slots next to it.
                bias: 2.0 * eval_mod.sine_error() + 1.3 * truncation * libm::exp2(f64::from(params.log_slots())),
            },
        }
    }

    /// Bits that the worst of many slots keeps.
    pub fn worst_bits(&self) -> f64 {
        -libm::log2(self.bias + WORST_DEVIATIONS * self.deviation)
    }

    /// Bits of the mean absolute error for messages uniform in `[-1, 1]`, for which a cubic bias has a quarter of its largest
    /// value.
    pub fn mean_bits(&self) -> f64 {
        let noise = MEAN_SHARE * self.deviation * libm::sqrt(2.0 / std::f64::consts::PI);
        -libm::log2(noise + self.bias / 4.0)
    }
}
