//! Samplers of secrets and errors: uniform ternary and discrete Gaussian, with constant-time inner loops.
//!
//! Every sample does the same work whatever its value: no branch, no table index and no rejection depends on it.

use heron_params::ERROR_STD_DEV;
use zeroize::Zeroizing;

use crate::kernels::Kernels;
use crate::random::Rng;

/// Magnitudes above this have probability below 2^-64: 9.4 standard deviations.
const TAIL: usize = 30;
const BLOCK: usize = 512;

/// Coefficients uniform in `{-1, 0, 1}`; off by at most 2^-62 in probability.
pub(crate) fn ternary(rng: &mut Rng, n: usize) -> Zeroizing<Vec<i8>> {
    let mut out = Zeroizing::new(vec![0i8; n]);
    let mut words = Zeroizing::new([0u64; BLOCK]);
    for block in out.chunks_mut(BLOCK) {
        rng.fill_words(&mut words[..block.len()]);
        for (x, &word) in block.iter_mut().zip(words.iter()) {
            *x = ((u128::from(word) * 3) >> 64) as i8 - 1;
        }
    }
    out
}

/// The discrete Gaussian of standard deviation [`ERROR_STD_DEV`], by its cumulative table.
pub(crate) struct Gaussian {
    /// `thresholds[k]` is `2^63 · P(|x| <= k)`: a uniform 63-bit word is at least this with `P(|x| > k)`.
    thresholds: [u64; TAIL],
    kernels: Kernels,
}

impl Gaussian {
    pub(crate) fn new(kernels: Kernels) -> Self {
        let weight = |k: usize| {
            let density = libm::exp(-((k * k) as f64) / (2.0 * ERROR_STD_DEV * ERROR_STD_DEV));
            if k == 0 { density } else { 2.0 * density }
        };
        // From the tail inwards, so that small weights are not lost against large ones.
        let total: f64 = (0..=TAIL).rev().map(weight).sum();
        let mut thresholds = [0; TAIL];
        let mut above = 0.0;
        for k in (0..TAIL).rev() {
            above += weight(k + 1);
            thresholds[k] = (1 << 63) - (above / total * 2f64.powi(63)) as u64;
        }
        Self { thresholds, kernels }
    }

    /// `n` samples.
    pub(crate) fn sample(&self, rng: &mut Rng, n: usize) -> Zeroizing<Vec<i8>> {
        let mut out = Zeroizing::new(vec![0i8; n]);
        let mut words = Zeroizing::new([0u64; BLOCK]);
        for block in out.chunks_mut(BLOCK) {
            rng.fill_words(&mut words[..block.len()]);
            self.look_up(block, &mut words[..block.len()]);
        }
        out
    }

    /// The top bit of a word is the sign, the rest is compared with every threshold.
    fn look_up(&self, samples: &mut [i8], words: &mut [u64]) {
        self.kernels.count_above(&self.thresholds, words);
        for (sample, &word) in samples.iter_mut().zip(words.iter()) {
            let magnitude = TAIL as i8 - (word & 0xff) as i8;
            let negate = ((word >> 63) as i8).wrapping_neg();
            *sample = (magnitude ^ negate) - negate;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: usize = 1 << 18;

    fn moments(samples: &[i8]) -> (f64, f64) {
        let n = samples.len() as f64;
        let mean = samples.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        (
            mean,
            samples.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n,
        )
    }

    #[test]
    fn ternary_has_a_third_of_each_value() {
        let samples = ternary(&mut Rng::insecure_deterministic(1), SAMPLES);
        for value in -1..=1 {
            let share = samples.iter().filter(|&&x| x == value).count() as f64 / SAMPLES as f64;
            assert!((share - 1.0 / 3.0).abs() < 0.005, "{value}: {share}");
        }
    }

    #[test]
    fn gaussian_has_the_stated_deviation_and_no_bias() {
        let samples = Gaussian::new(Kernels::best()).sample(&mut Rng::insecure_deterministic(2), SAMPLES);
        let (mean, variance) = moments(&samples);
        let fourth = samples.iter().map(|&x| f64::from(x).powi(4)).sum::<f64>() / SAMPLES as f64;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!(
            (variance.sqrt() / ERROR_STD_DEV - 1.0).abs() < 0.01,
            "{}",
            variance.sqrt()
        );
        assert!(
            (fourth / (3.0 * variance * variance) - 1.0).abs() < 0.05,
            "kurtosis {fourth}"
        );
    }

    #[test]
    fn gaussian_look_up_covers_zero_to_the_tail() {
        let gaussian = Gaussian::new(Kernels::best());
        let mut samples = [1; 3];
        gaussian.look_up(&mut samples, &mut [0, u64::MAX >> 1, u64::MAX]);
        let [smallest, largest, opposite] = samples;
        assert_eq!((smallest, opposite), (0, -largest));
        // The last thresholds are closer to 2^63 than one word can be.
        assert!((TAIL as i8 - 2..=TAIL as i8).contains(&largest));
        assert!(gaussian.thresholds.windows(2).all(|w| w[0] <= w[1]));
    }
}
