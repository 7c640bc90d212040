//! The approximation of the modular reduction: a scaled cosine, double angles, and a correction of the sine.
//!
//! `[x]_1 ≈ sin(2πx) / 2π` for `x` near an integer, and `sin(2πx) = cos(2π(x - 1/4))`. With `w = (x - 1/4) / B` in
//! `[-1, 1]` the cosine of the `2^r`-th part of the angle, `cos(2πB w / 2^r)`, is an even polynomial in `w` of low degree;
//! `r` times `cos 2θ = 2 cos²θ - 1` give back the angle.
//!
//! # Source
//! K. Han, D. Ki, *Better bootstrapping for approximate homomorphic encryption* (ePrint 2019/688), section 5, for the
//! cosine with double angles; Y. Lee et al. (ePrint 2020/552) for the arcsine. The factors that are folded into the
//! polynomial, so that the last double angle gives the message at its scale: J.-P. Bossuat et al. (ePrint 2020/1203), section 5.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// What follows the sine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Correction {
    /// Nothing: `sin y ≈ y`.
    None,
    /// The first two terms of the arcsine, `y + y³/6`: two levels.
    Arcsine,
}

impl Correction {
    /// How many levels it takes.
    pub fn depth(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Arcsine => 2,
        }
    }
}

/// The approximation of `x -> x mod 1` near the integers of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalMod {
    /// `|x|` stays below this.
    pub bound: f64,
    /// Degree of the cosine's polynomial, even.
    pub degree: u32,
    /// Double angles.
    pub doublings: u32,
    /// Base-2 logarithm of the ratio of `q_0` to the largest message coefficient.
    pub log_ratio: f64,
    /// What follows the sine.
    pub correction: Correction,
    /// What the operand of the cosine is multiplied by, so that the noise of the first powers counts for less: 2, which is
    /// free, or more for one more level.
    pub amplification: f64,
}

impl EvalMod {
    /// How many levels it takes.
    pub fn depth(&self) -> u32 {
        let delay = u32::from(self.amplification > 2.0);
        (u32::BITS - self.degree.leading_zeros()) + delay + self.doublings + self.correction.depth()
    }

    /// `B`: half the width of the interval of `x - 1/4`.
    pub fn half_width(&self) -> f64 {
        self.bound + 0.25
    }

    fn angle(&self) -> f64 {
        2.0 * PI * self.half_width() / libm::exp2(f64::from(self.doublings))
    }

    /// What the sine is multiplied by, so that it gives the message: `2^log_ratio / 2π`.
    pub fn gain(&self) -> f64 {
        libm::exp2(self.log_ratio) / (2.0 * PI)
    }

    /// `λ_0 … λ_r` such that `y_(i+1) = y_i² - λ_(i+1)` takes `λ_0 cos θ` to `λ_r cos(2^r θ)`, with `λ_r` the given one.
    pub fn factors(&self, last: f64) -> Vec<f64> {
        let mut factors = vec![last];
        for _ in 0..self.doublings {
            let next = factors[factors.len() - 1];
            factors.push(libm::sqrt(2.0 * next));
        }
        factors.reverse();
        factors
    }

    /// The Chebyshev coefficients of `cos(2πB w / 2^r)` on `[-1, 1]`: `J_0(a) + 2 Σ (-1)^k J_2k(a) T_2k(w)`.
    pub fn coefficients(&self) -> Vec<f64> {
        let coefficient = |k: u32| match (k, k % 4) {
            (0, _) => libm::jn(0, self.angle()),
            (_, 0) => 2.0 * libm::jn(k as i32, self.angle()),
            (_, 2) => -2.0 * libm::jn(k as i32, self.angle()),
            _ => 0.0,
        };
        (0..=self.degree).map(coefficient).collect()
    }

    /// By how much the double angles multiply an error of the polynomial, at most: `2^r / sin(π / 2^(r+1))`, reached next to `x = 0`.
    pub fn doubling_gain(&self) -> f64 {
        let parts = libm::exp2(f64::from(self.doublings));
        parts / libm::sin(PI / (2.0 * parts))
    }

    /// By how much the noise of one rescale in each power `T_2, T_4, T_8 …` grows in a message, at most.
    ///
    /// Next to `x = 0`, where all of them are near 1 in absolute value, a message depends on `T_2` with the derivative
    /// `B² 2^log_ratio`, and on each next power with a quarter of the one before; `T_k` is computed times
    /// `2 (amplification / 2)^k`, and times 2 from `T_8` on.
    pub fn powers_gain(&self) -> f64 {
        let first = self.half_width() * self.half_width() * libm::exp2(self.log_ratio);
        let log_degree = u32::BITS - self.degree.leading_zeros();
        let terms = (1..log_degree).map(|log_k| {
            let k = libm::exp2(f64::from(log_k));
            let size = if log_k < 3 {
                2.0 * libm::pow(self.amplification / 2.0, k)
            } else {
                2.0
            };
            let gain = first / libm::exp2(f64::from(2 * (log_k - 1))) / size;
            gain * gain
        });
        libm::sqrt(terms.sum())
    }

    /// What the truncation of the polynomial adds to a message of size 1, at most.
    pub fn truncation_error(&self) -> f64 {
        // Bessel functions fall faster than geometrically above their argument.
        let tail: f64 = (1..=8)
            .map(|k| 2.0 * libm::fabs(libm::jn((self.degree + 2 * k) as i32, self.angle())))
            .sum();
        tail * self.doubling_gain() * self.gain()
    }

    /// What is left of the difference between a sine and its argument, for a message of size 1.
    pub fn sine_error(&self) -> f64 {
        let y = libm::exp2(-self.log_ratio) * 2.0 * PI;
        match self.correction {
            Correction::None => y * y / 6.0,
            // 3/40 y^5 of the arcsine's series, and what squares of the correction leave.
            Correction::Arcsine => 0.1 * y * y * y * y,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduce(eval_mod: &EvalMod, x: f64) -> f64 {
        let w = (x - 0.25) / eval_mod.half_width();
        let factors = eval_mod.factors(eval_mod.gain());
        let cosine: f64 = eval_mod
            .coefficients()
            .iter()
            .enumerate()
            .map(|(k, c)| c * libm::cos(k as f64 * libm::acos(w)))
            .sum();
        let y = factors[1..]
            .iter()
            .fold(factors[0] * cosine, |y, factor| y * y - factor);
        match eval_mod.correction {
            Correction::None => y,
            Correction::Arcsine => y + y * y * y / (6.0 * eval_mod.gain() * eval_mod.gain()),
        }
    }

    #[test]
    fn the_message_comes_back_within_the_stated_errors() {
        for (degree, doublings) in [(14, 4), (26, 3), (46, 2)] {
            for correction in [Correction::None, Correction::Arcsine] {
                let eval_mod = EvalMod {
                    bound: 12.5,
                    degree,
                    doublings,
                    log_ratio: 8.0,
                    correction,
                    amplification: 2.0,
                };
                let allowed = eval_mod.truncation_error() + eval_mod.sine_error() + 1e-10;
                for overflow in -12..=12 {
                    for message in [-1.0, -0.4, 0.0, 0.7, 1.0] {
                        let x = f64::from(overflow) + message / 256.0;
                        let error = (reduce(&eval_mod, x) - message).abs();
                        assert!(error <= allowed, "{eval_mod:?} at {x}: {error} over {allowed}");
                    }
                }
            }
        }
    }

    #[test]
    fn depth_counts_the_polynomial_the_doublings_and_the_correction() {
        let eval_mod = EvalMod {
            bound: 12.0,
            degree: 30,
            doublings: 3,
            log_ratio: 8.0,
            correction: Correction::Arcsine,
            amplification: 2.0,
        };
        assert_eq!(eval_mod.depth(), 5 + 3 + 2);
        let amplified = EvalMod {
            amplification: 8.0,
            ..eval_mod
        };
        assert_eq!(amplified.depth(), 6 + 3 + 2);
    }
}
