//! The special Fourier transform between slots and coefficients, in portable f64 arithmetic of a fixed order.
//!
//! Slot `j` of a real polynomial `m` of degree below `N` is `m(ζ^(5^j))` with `ζ = exp(iπ/N)` and `j` in `0..N/2`; the other
//! primitive roots give the conjugates. As `ζ^(5^j · N/2) = i`, the coefficient `k` and the coefficient `k + N/2` enter as the
//! real and the imaginary part of one complex number, and the transform is one of length `N/2`.
//!
//! The same input gives the same bytes on every platform: twiddles come from `libm`, sums have one order, and nothing is
//! contracted to fused operations.
//!
//! Source: J. H. Cheon, A. Kim, M. Kim, Y. Song, *Homomorphic encryption for arithmetic of approximate numbers*,
//! ASIACRYPT 2017 (ePrint 2016/421), section 3.2.

use std::f64::consts::PI;

use crate::kernels::{Kernels, Turns};

/// Twiddle factors of the transform of one length.
///
/// Coefficients are in bit-reversed order, which whoever reads or writes them fuses with an order of his own: see
/// [`reversed`].
pub(crate) struct SpecialFft {
    kernels: Kernels,
    /// One stage per butterfly length `2, 4, …, n`, shortest first.
    stages: Vec<Turns>,
}

/// For butterflies of length `len`: `exp(2πi · (5^j mod 4 len) / (4 len))` for `j` in `0..len / 2`.
pub(crate) fn turns(len: usize) -> Turns {
    let period = 4 * len;
    let mut power = 1;
    let (mut cos, mut sin) = (Vec::with_capacity(len / 2), Vec::with_capacity(len / 2));
    for _ in 0..len / 2 {
        let angle = 2.0 * PI * power as f64 / period as f64;
        cos.push(libm::cos(angle));
        sin.push(libm::sin(angle));
        power = power * 5 % period;
    }
    Turns { cos, sin }
}

/// Where the transform of `n` values keeps coefficient `index` of the real or of the imaginary parts.
pub(crate) fn reversed(index: usize, n: usize) -> usize {
    if n < 2 {
        return index;
    }
    index.reverse_bits() >> (usize::BITS - n.trailing_zeros())
}

impl SpecialFft {
    /// The transform of `n` complex values (a power of two, at least 2): `n = N/2` for ring degree `N`.
    pub(crate) fn new(kernels: Kernels, n: usize) -> Self {
        Self {
            kernels,
            stages: (1..=n.trailing_zeros()).map(|log_len| turns(1 << log_len)).collect(),
        }
    }

    fn check(&self, re: &[f64], im: &[f64]) {
        let len = 1 << self.stages.len();
        assert!(re.len() == len && im.len() == len, "the transform has one length");
    }

    /// Coefficients, bit-reversed, to slots, in place.
    pub(crate) fn to_slots(&self, re: &mut [f64], im: &mut [f64]) {
        self.check(re, im);
        for stage in &self.stages {
            self.kernels.butterflies(stage, re, im);
        }
    }

    /// Slots to coefficients, bit-reversed, in place, times `n`: the caller divides.
    pub(crate) fn to_coefficients(&self, re: &mut [f64], im: &mut [f64]) {
        self.check(re, im);
        for stage in self.stages.iter().rev() {
            self.kernels.inverse_butterflies(stage, re, im);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pseudo_random(n: usize, seed: f64) -> Vec<f64> {
        (0..n).map(|i| libm::sin(seed + 12.9898 * i as f64) * 3.0).collect()
    }

    /// The definition: `m(ζ^(5^j))`, one root at a time.
    fn naive_slots(coefficients: &[f64]) -> Vec<(f64, f64)> {
        let degree = coefficients.len();
        let mut power = 1;
        let mut slots = Vec::new();
        for _ in 0..degree / 2 {
            let angle = |k: usize| PI * ((power * k) % (2 * degree)) as f64 / degree as f64;
            let re = coefficients
                .iter()
                .enumerate()
                .map(|(k, c)| c * libm::cos(angle(k)))
                .sum();
            let im = coefficients
                .iter()
                .enumerate()
                .map(|(k, c)| c * libm::sin(angle(k)))
                .sum();
            slots.push((re, im));
            power = power * 5 % (2 * degree);
        }
        slots
    }

    #[test]
    fn slots_are_values_at_the_powers_of_five() {
        for log_n in 1..8 {
            let n = 1 << log_n;
            let coefficients = pseudo_random(2 * n, 1.0);
            let part = |from: usize| {
                (0..n)
                    .map(|k| coefficients[from + reversed(k, n)])
                    .collect::<Vec<f64>>()
            };
            let (mut re, mut im) = (part(0), part(n));
            SpecialFft::new(Kernels::best(), n).to_slots(&mut re, &mut im);
            for (j, (want_re, want_im)) in naive_slots(&coefficients).into_iter().enumerate() {
                assert!(
                    (re[j] - want_re).abs() < 1e-10 && (im[j] - want_im).abs() < 1e-10,
                    "n={n} slot {j}"
                );
            }
        }
    }

    #[test]
    fn the_inverse_undoes_the_transform() {
        let n = 1 << 12;
        let fft = SpecialFft::new(Kernels::best(), n);
        let (re, im) = (pseudo_random(n, 0.3), pseudo_random(n, 0.7));
        let (mut re_back, mut im_back) = (re.clone(), im.clone());
        fft.to_coefficients(&mut re_back, &mut im_back);
        fft.to_slots(&mut re_back, &mut im_back);
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a / n as f64 - b).abs() < 1e-12);
        assert!(close(&re_back, &re) && close(&im_back, &im));
    }
}
