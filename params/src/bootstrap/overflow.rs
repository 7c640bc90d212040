//! How far the raise overflows: the distribution of the multiples of `q_0` that it adds.
//!
//! A raised coefficient is `c_0 + Σ ±c_1,j` over the non-zero coefficients of the secret, `h + 1` terms that are uniform
//! in `[-q_0/2, q_0/2)`. Divided by `q_0` it is a sum of `h + 1` uniforms in `[-1/2, 1/2)`.

/// What a bootstrap may fail with: base-2 logarithm.
pub(crate) const MAX_FAILURE_LOG2: f64 = -40.0;
/// Steps in which an interval is searched.
const STEP: f64 = 1.0 / 32.0;

/// Base-2 logarithm of the probability that one of `coefficients` raised coefficients leaves `[-bound, bound] · q_0`,
/// for a secret of weight `weight`.
///
/// The tail of the sum of `n` uniforms, exactly: `P(S > t) = Σ_k (-1)^k C(n, k) (y - k)^n / n!` over `k < y`, with
/// `y = n/2 - t`; then the union over coefficients and both sides.
///
/// # Source
/// The Irwin-Hall distribution; its use here: J.-P. Bossuat, J. Troncoso-Pastoriza, J.-P. Hubaux, *Bootstrapping for
/// approximate homomorphic encryption with negligible failure-probability by using sparse-secret encapsulation*
/// (ePrint 2022/024), section 2.
pub fn overflow_failure_log2(weight: u32, coefficients: u64, bound: f64) -> f64 {
    let n = f64::from(weight + 1);
    let y = n / 2.0 - bound;
    if y <= 0.0 {
        return f64::NEG_INFINITY;
    }
    // Relative to the first term, which is the largest in the tail.
    let mut ratio = 1.0;
    let (mut sum, mut k) = (1.0, 1.0);
    while k < y {
        ratio *= -(n - k + 1.0) / k;
        sum += ratio * libm::pow((y - k) / y, n);
        k += 1.0;
    }
    let log2_factorial: f64 = (1..=weight + 1).map(|i| libm::log2(f64::from(i))).sum();
    let one_side = n * libm::log2(y) - log2_factorial + libm::log2(sum.max(f64::MIN_POSITIVE));
    (one_side + 1.0 + libm::log2(coefficients as f64)).min(0.0)
}

/// The smallest bound (in steps of 1/32) that raised coefficients leave with probability at most 2^-40 a bootstrap.
pub fn overflow_interval(weight: u32, coefficients: u64) -> f64 {
    let most = f64::from(weight + 1) / 2.0;
    // The exact sum loses its digits where the tail is not small; the interval never lies there.
    let least = libm::floor(most / 2.0);
    let steps = libm::ceil((most - least) / STEP) as u32;
    let bounds = (0..steps).map(|i| least + f64::from(i) * STEP);
    bounds
        .into_iter()
        .find(|&bound| overflow_failure_log2(weight, coefficients, bound) <= MAX_FAILURE_LOG2)
        .unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_few_uniforms_is_known() {
        // Three uniforms: P(S > 1) = (1/2)^3 / 6, twice for both sides.
        let want = libm::log2(2.0 / 48.0);
        assert!((overflow_failure_log2(2, 1, 1.0) - want).abs() < 1e-12);
        // Two uniforms: P(S > 1/4) = (3/4)^2 / 2.
        assert!((overflow_failure_log2(1, 1, 0.25) - libm::log2(0.5625)).abs() < 1e-12);
        assert_eq!(overflow_failure_log2(2, 1, 1.5), f64::NEG_INFINITY);
    }

    #[test]
    fn the_interval_is_the_smallest_with_the_stated_failure() {
        for log_n in 10..=16 {
            let bound = overflow_interval(32, 1 << log_n);
            assert!(overflow_failure_log2(32, 1 << log_n, bound) <= -40.0);
            assert!(overflow_failure_log2(32, 1 << log_n, bound - STEP) > -40.0);
            assert!((11.0..13.0).contains(&bound), "{bound}");
        }
    }

    #[test]
    fn samples_follow_the_tail() {
        // A deterministic generator; 200,000 sums of 9 uniforms leave 2.0 about as often as predicted.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        let n_samples = 200_000_u32;
        let outside = (0..n_samples)
            .filter(|_| (0..9).map(|_| uniform()).sum::<f64>().abs() > 2.0)
            .count();
        let predicted = f64::from(n_samples) * libm::exp2(overflow_failure_log2(8, 1, 2.0));
        let ratio = outside as f64 / predicted;
        assert!((0.9..1.1).contains(&ratio), "{outside} against {predicted}");
    }
}
