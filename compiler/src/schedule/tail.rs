//! How far an error strays: the quantiles of errors that depend on the values of a key.
//!
//! The rounding of a rescale leaves `r_0 + r_1 s`. In slot `j` that is `r_1(ζ_j) s(ζ_j)`: under one secret the slot's
//! deviation is proportional to `|s(ζ_j)|`, whose square is exponentially distributed over keys and slots. Such an error is
//! no normal but a Laplace variable; so is each product of a digit with a key's own error. What a linear map sums depends on
//! many such values, and is the more normal the less any of them weighs.
//!
//! An error is therefore described by its variance `v` and by the largest part `m` of it that one value of a key scales. Its
//! cumulant generating function is at most that of `v / m` equal parts (the variance-gamma law), `-v/m · ln(1 - m λ²/2)`,
//! since `-ln(1 - x)/x` grows with `x`. The probability of a tail is the saddle-point estimate of that law.
//!
//! # Source
//! R. Lugannani, S. Rice, *Saddle point approximation for the distribution of the sum of independent random variables*,
//! 1980 (its leading term); D. Madan, E. Seneta, *The variance gamma model*, 1990, for the law.

use std::f64::consts::{LN_2, PI};

use heron_params::Slots;

/// The probability that any slot of a line leaves the line's error bound in one run, over keys and noise, as a logarithm to
/// base 2.
pub(crate) const EXCEEDED_LOG2: f64 = -20.0;
/// Halvings of the interval of the saddle point: more than an f64 has bits.
const STEPS: u32 = 60;
/// Steps of the table for each doubling of the number of parts.
const PER_OCTAVE: f64 = 16.0;
/// Up to 2^30 parts, which are normal for every purpose.
const TABLE_LEN: u32 = 30 * 16 + 1;

/// Quantiles for all slots of a ciphertext.
pub(crate) struct Tail {
    /// How many deviations a sum of `2^(i / PER_OCTAVE)` parts strays.
    deviations: Vec<f64>,
}

impl Tail {
    /// The quantiles of so many slots.
    pub(crate) fn new(slots: Slots) -> Self {
        let log_probability = EXCEEDED_LOG2 * LN_2 - libm::log(f64::from(slots.0));
        let parts = |index: u32| libm::exp2(f64::from(index) / PER_OCTAVE);
        Self {
            deviations: (0..TABLE_LEN).map(|i| deviations(parts(i), log_probability)).collect(),
        }
    }

    /// The error that none of the slots exceeds but with the probability of [`EXCEEDED_LOG2`], if each has at most the
    /// variance `variance`, of which one value of a key scales at most the part `share`.
    pub(crate) fn bound(&self, variance: f64, share: f64) -> f64 {
        if variance <= 0.0 {
            return 0.0;
        }
        // Fewer parts than there are stray further: the index is rounded down.
        let index = PER_OCTAVE * libm::log2(variance / share);
        let index = (index.max(0.0) as usize).min(self.deviations.len() - 1);
        variance.sqrt() * self.deviations[index]
    }
}

/// Which multiple of its deviation the sum of `parts` equal Laplace-like parts exceeds, in magnitude, with a probability.
fn deviations(parts: f64, log_probability: f64) -> f64 {
    // The saddle point lies between 0 and the pole of the generating function; tails get rarer towards the pole.
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..STEPS {
        let middle = 0.5 * (low + high);
        let (_, log_tail) = tail(parts, middle);
        if log_tail > log_probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    tail(parts, high).0
}

/// The deviation of which `position · √(2 parts)` is the saddle point, and the logarithm of the probability to exceed it on
/// either side.
fn tail(parts: f64, position: f64) -> (f64, f64) {
    let saddle = position * (2.0 * parts).sqrt();
    let rest = 1.0 - position * position;
    let deviation = saddle / rest;
    let cumulant = -parts * libm::log1p(-position * position);
    let curvature = 1.0 / rest + saddle * saddle / (parts * rest * rest);
    let log_prefactor = libm::log(saddle * (2.0 * PI * curvature).sqrt());
    (deviation, LN_2 + cumulant - saddle * deviation - log_prefactor)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The saddle-point estimate is off by a tenth of the probability at six deviations, and by less further out.
    const TOLERANCE: f64 = 0.03;

    #[test]
    fn many_parts_are_normal() {
        // Two-sided tails of the normal law from its tables.
        for (deviation, probability) in [(4.0f64, 6.334e-5f64), (5.0, 5.733e-7), (7.0, 2.560e-12)] {
            let found = deviations(1e9, probability.ln());
            assert!((found / deviation - 1.0).abs() < TOLERANCE, "{found} for {deviation}");
        }
    }

    #[test]
    fn one_part_is_a_laplace_variable() {
        for deviation in [6.0f64, 10.0, 16.0] {
            let found = deviations(1.0, -deviation * 2f64.sqrt());
            assert!((found / deviation - 1.0).abs() < TOLERANCE, "{found} for {deviation}");
        }
    }

    #[test]
    fn fewer_parts_stray_further() {
        let log_probability = -25.0;
        let found: Vec<f64> = [1.0, 2.0, 5.0, 20.0, 1e3, 1e9]
            .map(|parts| deviations(parts, log_probability))
            .to_vec();
        assert!(found.windows(2).all(|pair| pair[0] > pair[1]), "{found:?}");
    }

    #[test]
    fn without_variance_there_is_no_error() {
        assert_eq!(Tail::new(Slots(4096)).bound(0.0, 0.0).to_bits(), 0f64.to_bits());
    }

    #[test]
    fn a_share_of_any_size_is_bounded_from_above() {
        let tail = Tail::new(Slots(4096));
        let log_probability = EXCEEDED_LOG2 * LN_2 - 4096f64.ln();
        for share in [0.0f64, 1e-12, 1e-3, 0.03, 0.4, 0.99, 1.0] {
            let exact = 3.0 * deviations(1.0 / share.max(1e-12), log_probability);
            let bound = tail.bound(9.0, 9.0 * share);
            assert!(
                (1.0 - 1e-6..1.05).contains(&(bound / exact)),
                "{share}: {bound} for {exact}"
            );
        }
    }
}
