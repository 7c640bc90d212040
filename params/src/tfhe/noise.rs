//! Variances of ciphertexts, in squared turns, and the probability that a reading goes wrong.
//!
//! # Source
//! The curve is the one that `tfhe` 1.8.2 publishes for 132 bits and Gaussian noise
//! (`core_crypto::commons::noise_formulas`), as are the variances of a key switch and of a bootstrap, with the constant that
//! was fitted to the error of f64 transforms. The rounding with a centred correction follows Bergerat et al., *New
//! Secret Keys for Enhanced Performance in (T)FHE*, ePrint 2023/979.

use super::{RING_BITS, SMALL_BITS, TfheParams};

/// Bits of the mantissa of f64.
const MANTISSA_BITS: f64 = 53.0;

/// Least variance of fresh noise that offers 132 bits for a binary secret of a dimension, modulo `2^bits`; in squared turns.
pub fn lwe_variance(dimension: usize, bits: u32) -> f64 {
    libm::exp2(5.314_691_876_750_68 - 0.049_782_913_165_266_1 * dimension as f64)
        + libm::exp2(4.0 - 2.0 * f64::from(bits))
}

/// `log2` of the probability that a centred normal variable leaves `±deviations` standard deviations.
pub fn log2_tail(deviations: f64) -> f64 {
    let tail = libm::erfc(deviations / std::f64::consts::SQRT_2);
    if tail > 1e-280 {
        return libm::log2(tail);
    }
    // erfc(x) <= exp(-x²), and no plan tells 2^-900 from less.
    (-0.5 * deviations * deviations * std::f64::consts::LOG2_E).max(-4000.0)
}

/// `log2(2^a + 2^b)`.
pub fn add_log2(a: f64, b: f64) -> f64 {
    let (large, small) = if a >= b { (a, b) } else { (b, a) };
    large + libm::log2(1.0 + libm::exp2(small - large))
}

impl TfheParams {
    /// Variance of a fresh ciphertext under the small key.
    pub fn small_variance(&self) -> f64 {
        lwe_variance(self.small_dimension as usize, SMALL_BITS)
    }

    /// Variance of a fresh ciphertext under the ring key.
    pub fn ring_variance(&self) -> f64 {
        lwe_variance(self.ring_dimension(), RING_BITS)
    }

    /// Variance that a key switch from the ring key to the small key adds.
    pub fn switch_variance(&self) -> f64 {
        let (dimension, levels) = (self.ring_dimension() as f64, f64::from(self.switch.levels));
        let base = libm::exp2(f64::from(self.switch.base_log));
        let key = levels * dimension * self.small_variance() * (base * base / 12.0 + 1.0 / 6.0);
        let cut = dimension / 24.0 * libm::exp2(-2.0 * f64::from(self.switch.base_log * self.switch.levels));
        key + cut + libm::exp2(-2.0 * f64::from(SMALL_BITS)) / 12.0
    }

    /// Variance that the rounding to positions of the ring's `2N` adds, with the mask's mean rounding error corrected.
    pub fn rounding_variance(&self) -> f64 {
        let position = 0.5 / self.degree() as f64;
        (f64::from(self.small_dimension) / 48.0 + 1.0 / 12.0) * position * position
    }

    /// Variance of a look-up's result.
    pub fn bootstrap_variance(&self) -> f64 {
        let (n, k) = (f64::from(self.small_dimension), f64::from(self.ring_rank));
        let (degree, levels) = (self.degree() as f64, f64::from(self.bootstrap.levels));
        let base_bits = f64::from(self.bootstrap.base_log);
        let base = libm::exp2(base_bits);
        let lost_bits = (f64::from(RING_BITS) - MANTISSA_BITS).max(0.0);
        let transform = 0.00705
            * libm::exp2(2.0 * lost_bits + 2.0 * base_bits - 2.0 * f64::from(RING_BITS))
            * libm::pow(levels, 1.01827)
            * libm::pow(k, 1.22003)
            * libm::pow(degree, 2.22003)
            * libm::pow(k + 1.0, 1.01827);
        let key = levels * degree * self.ring_variance() * (base * base / 12.0 + 1.0 / 6.0) * (k + 1.0);
        let cut = libm::exp2(-2.0 * base_bits * levels) * (0.5 * k * degree + 1.0) / 24.0;
        n * (transform + key + cut)
    }

    /// Variance of what a look-up reads from a value of the given variance.
    pub fn read_variance(&self, value: f64) -> f64 {
        value + self.switch_variance() + self.rounding_variance()
    }

    /// `log2` of the probability that a look-up with `entries` positions on half the circle reads a wrong one.
    pub fn log2_misread(&self, value: f64, entries: u64) -> f64 {
        let tolerance = 0.25 / entries as f64 - 0.25 / self.degree() as f64;
        if tolerance <= 0.0 {
            return 0.0;
        }
        log2_tail(tolerance / self.read_variance(value).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_those_of_the_normal_distribution() {
        assert!((libm::exp2(log2_tail(1.959_964)) - 0.05).abs() < 1e-6);
        assert!((log2_tail(7.0) + 38.5).abs() < 0.1);
        assert!(log2_tail(200.0) < -1000.0 && log2_tail(1e9).is_finite());
    }

    #[test]
    fn sums_of_logarithms_keep_both() {
        assert_eq!(add_log2(-3.0, -3.0), -2.0);
        assert_eq!(add_log2(-3.0, -4000.0), -3.0);
    }
}
