//! How far the raise overflows: the distribution of the multiples of `q_0` that it adds.
//!
//! A raised coefficient is `c_0 + Σ ±c_1,j` over the non-zero coefficients of the secret, with `h` terms that are uniform in
//! `[-q_0/2, q_0/2)` and `c_0` the one remainder that makes it `t` modulo `q_0`. Divided by `q_0` it is `I + ε` with the
//! message `ε`; it is `x` exactly where the `h` terms lie within `1/2` of `x`, hence with the density at `x` of a
//! sum of `h + 1` uniforms in `[-1/2, 1/2)`. The raise overflows in steps: nothing lies between `12 + ε` and `13 + ε`.

/// What a bootstrap may fail with: base-2 logarithm.
pub(crate) const MAX_FAILURE_LOG2: f64 = -40.0;

/// Base-2 logarithm of the probability that one of `coefficients` raised coefficients leaves `[-bound, bound] · q_0`, for a
/// secret of weight `weight` and messages of at most the bound's fractional part, which is below one half.
///
/// `2 Σ_k f(K + 1 - m + k)` over `k >= 0` for `bound = K + m` and the density `f`, times the number of coefficients. It holds
/// for every message up to `m`, since the density falls.
///
/// # Source
/// The Irwin-Hall distribution; its use here: J.-P. Bossuat, J. Troncoso-Pastoriza, J.-P. Hubaux, *Bootstrapping for
/// approximate homomorphic encryption with negligible failure-probability by using sparse-secret encapsulation*
/// (ePrint 2022/024), section 2, with an integral where the sum over the lattice is meant.
pub fn overflow_failure_log2(weight: u32, coefficients: u64, bound: f64) -> f64 {
    let most = f64::from(weight + 1) / 2.0;
    let first = 2.0 * libm::floor(bound) + 1.0 - bound;
    let outside = (0..).map(|k| first + f64::from(k)).take_while(|&x| x < most);
    let one_side: f64 = outside.map(|x| libm::exp2(density_log2(weight + 1, x))).sum();
    (libm::log2(one_side) + 1.0 + libm::log2(coefficients as f64)).min(0.0)
}

/// Base-2 logarithm of the density at `x >= 0` of a sum of `n` uniforms in `[-1/2, 1/2)`:
/// `Σ_k (-1)^k C(n, k) (y - k)^(n-1) / (n-1)!` over `k < y`, with `y = n/2 - x`.
fn density_log2(n: u32, x: f64) -> f64 {
    let (terms, y) = (f64::from(n), f64::from(n) / 2.0 - x);
    if y <= 0.0 {
        return f64::NEG_INFINITY;
    }
    // Relative to the first term, which is the largest in the tail.
    let (mut binomial, mut sum, mut k) = (1.0, 1.0, 1.0);
    while k < y {
        binomial *= -(terms - k + 1.0) / k;
        sum += binomial * libm::pow((y - k) / y, terms - 1.0);
        k += 1.0;
    }
    let log2_factorial: f64 = (1..n).map(|i| libm::log2(f64::from(i))).sum();
    (terms - 1.0) * libm::log2(y) - log2_factorial + libm::log2(sum.max(f64::MIN_POSITIVE))
}

/// The smallest bound that raised coefficients leave with probability at most 2^-40 a bootstrap, when messages are at most
/// `message` (in units of `q_0`, below one half): a whole number of overflows, plus a message.
pub fn overflow_interval(weight: u32, coefficients: u64, message: f64) -> f64 {
    // The exact sum loses its digits where the tail is not small; the interval never lies there.
    let candidates = (weight / 8..weight).map(|overflows| f64::from(overflows) + message);
    let mut candidates = candidates.filter(|&b| overflow_failure_log2(weight, coefficients, b) <= MAX_FAILURE_LOG2);
    candidates.next().unwrap_or(f64::from(weight) + message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_few_uniforms_is_known() {
        // One coefficient of a secret of weight 2: the density of three uniforms at 1 is (1/2)^2 / 2, on both sides.
        assert!((overflow_failure_log2(2, 1, 0.0) - libm::log2(2.0 / 8.0)).abs() < 1e-12);
        // With messages up to 1/4 it is the density at 3/4.
        assert!((overflow_failure_log2(2, 1, 0.25) - libm::log2(0.5625)).abs() < 1e-12);
        assert_eq!(overflow_failure_log2(2, 1, 1.25), f64::NEG_INFINITY);
    }

    #[test]
    fn the_density_sums_to_one_over_the_lattice() {
        for offset in [0.0, 0.1, 0.45] {
            let sum: f64 = (-4..=4)
                .map(|k| libm::exp2(density_log2(9, (f64::from(k) + offset).abs())))
                .sum();
            assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        }
    }

    #[test]
    fn the_interval_is_the_smallest_with_the_stated_failure() {
        for log_n in 10..=16 {
            let bound = overflow_interval(32, 1 << log_n, 1.0 / 64.0);
            assert!(overflow_failure_log2(32, 1 << log_n, bound) <= -40.0);
            assert!(overflow_failure_log2(32, 1 << log_n, bound - 1.0) > -40.0);
            assert!((11.0..13.0).contains(&bound), "{bound}");
        }
    }

    #[test]
    fn samples_follow_the_tail() {
        // A deterministic generator; 200,000 coefficients under a secret of weight 8 exceed one overflow as often as predicted.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        let (n_samples, message) = (200_000_u32, 1.0 / 32.0);
        let mut raised = || {
            let sum = (0..8).map(|_| uniform()).sum::<f64>();
            sum + libm::remainder(message - sum, 1.0)
        };
        let outside = (0..n_samples).filter(|_| raised().abs() > 1.5).count();
        // Messages of one sign: one side is nearer.
        let sides = [2.0 - message, 2.0 + message]
            .map(|x| libm::exp2(density_log2(9, x)) + libm::exp2(density_log2(9, x + 1.0)));
        let ratio = outside as f64 / (f64::from(n_samples) * (sides[0] + sides[1]));
        assert!((0.9..1.1).contains(&ratio), "{outside}: {ratio}");
        let bound = libm::exp2(overflow_failure_log2(8, 1, 1.0 + message));
        assert!(f64::from(n_samples) * bound > outside as f64);
    }
}
