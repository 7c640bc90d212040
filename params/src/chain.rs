//! CKKS parameter sets: prime chains, canonical scales, key-switching digits.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{Level, MAX_LOG_N, ScalePower, Slots, is_prime, max_log_qp, ntt_primes_near};

/// Primes stay below this many bits, so that 52-bit multipliers can carry lazily reduced values.
const MAX_PRIME_BITS: u32 = 50;
/// The smallest ring that the arithmetic supports (tests only: it is not secure).
const MIN_LOG_N: u32 = 4;
const MAX_PRIMES: usize = 128;
/// How many primes a base conversion can start from: those of a digit, or the special primes and one more.
const MAX_CONVERTED_PRIMES: usize = 15;
/// Bits that a special prime may have beyond what its digit needs; more would gain less than a hundredth of a bit.
const SPARE_SPECIAL_BITS: u32 = 6;

/// A CKKS parameter set: ring degree, ciphertext primes, special primes, digits.
///
/// `q_0` is the last prime standing; a ciphertext at level `l` lives modulo `q_0 · … · q_l`. Rescaling from level `l`
/// drops `q_l`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CkksParams {
    /// Base-2 logarithm of the ring degree `N`.
    pub log_n: u32,
    /// Base-2 logarithm of the canonical scale at the top level.
    pub log_scale: u32,
    /// Ciphertext primes `q_0 … q_L`.
    pub q: Vec<u64>,
    /// Special primes of hybrid key switching.
    pub p: Vec<u64>,
    /// How many ciphertext primes one key-switching digit holds.
    pub digit_len: u32,
}

/// Why a parameter set cannot be built or used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ParamsError {
    /// The ring degree is outside what the arithmetic supports.
    #[error("ring degree 2^{0} is not supported (2^{MIN_LOG_N} to 2^{MAX_LOG_N})")]
    RingDegree(u32),
    /// A modulus is not a usable prime.
    #[error("modulus {0} is not a prime below 2^{MAX_PRIME_BITS} congruent to 1 modulo 2N")]
    NotAnNttPrime(u64),
    /// The same prime appears twice.
    #[error("modulus {0} appears twice")]
    RepeatedPrime(u64),
    /// Not enough primes of the asked size exist.
    #[error("there are not {wanted} primes near 2^{bits} for ring degree 2^{log_n}")]
    TooFewPrimes {
        /// Base-2 logarithm of the ring degree.
        log_n: u32,
        /// Their size in bits.
        bits: u32,
        /// How many were asked for.
        wanted: usize,
    },
    /// Empty chains, empty digits, too many primes, special primes smaller than a digit.
    #[error("malformed parameter set: {0}")]
    Malformed(&'static str),
    /// `log2(QP)` is over the table.
    #[error("log2(QP) = {log_qp:.1} is over the 128-bit limit of {limit} for ring degree 2^{log_n}")]
    Insecure {
        /// Base-2 logarithm of the ring degree.
        log_n: u32,
        /// Base-2 logarithm of all moduli together.
        log_qp: f64,
        /// The table's limit; 0 where the table has no row.
        limit: u32,
    },
}

/// What to build a prime chain from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainRequest {
    /// Base-2 logarithm of the ring degree.
    pub log_n: u32,
    /// How many rescales the chain must allow.
    pub levels: u32,
    /// Bits of the canonical scale, hence of every prime that a rescale drops.
    pub log_scale: u32,
    /// Bits of `q_0`.
    pub log_q0: u32,
    /// Primes per key-switching digit.
    pub digit_len: u32,
}

impl CkksParams {
    /// Builds the chain that a request asks for. Deterministic: the same request gives the same primes.
    ///
    /// Each `q_l` is the free prime nearest to `Δ_l² / 2^log_scale`, which steers every canonical scale back to
    /// `2^log_scale`: the drift stays within half a prime gap. Special primes exceed every digit in product by at least one
    /// bit, and by up to six bits each as far as the security table has room: every bit halves what the
    /// digits add to the noise of a key switch, and costs nothing else.
    ///
    /// # Errors
    /// [`ParamsError::TooFewPrimes`], [`ParamsError::RingDegree`], [`ParamsError::Malformed`]. Security is not checked
    /// here: see [`CkksParams::check_secure`].
    pub fn build(request: &ChainRequest) -> Result<Self, ParamsError> {
        let ChainRequest {
            log_n,
            levels,
            log_scale,
            log_q0,
            digit_len,
        } = *request;
        if !(MIN_LOG_N..=MAX_LOG_N).contains(&log_n) {
            return Err(ParamsError::RingDegree(log_n));
        }
        if digit_len == 0 || log_scale.max(log_q0) >= MAX_PRIME_BITS || levels as usize >= MAX_PRIMES {
            return Err(ParamsError::Malformed("digits, levels or prime sizes out of range"));
        }
        let mut used: Vec<u64> = Vec::new();
        let mut take = |target: f64, bits: u32| {
            let prime = ntt_primes_near(log_n, target).find(|p| !used.contains(p));
            let prime = prime.filter(|&p| (log2(p) - f64::from(bits)).abs() < 0.5);
            let prime = prime.ok_or(ParamsError::TooFewPrimes {
                log_n,
                bits,
                wanted: levels as usize + 1,
            })?;
            used.push(prime);
            Ok(prime)
        };
        let wanted = exp2(log_scale);
        let (mut q, mut scale) = (Vec::new(), wanted);
        for _ in 0..levels {
            let prime = take(scale * scale / wanted, log_scale)?;
            scale = scale * scale / prime as f64;
            q.push(prime);
        }
        q.push(take(exp2(log_q0), log_q0)?);
        q.reverse();
        let mut params = Self {
            log_n,
            log_scale,
            q,
            p: Vec::new(),
            digit_len,
        };
        let (n_special, bits) = params.special_primes();
        for _ in 0..n_special {
            params.p.push(take(exp2(bits), bits)?);
        }
        params.validate()?;
        Ok(params)
    }

    /// How many special primes the ciphertext primes need, and of how many bits.
    fn special_primes(&self) -> (u32, u32) {
        let needed = self.largest_digit_log2() + 1.0;
        let n_special = (needed / f64::from(MAX_PRIME_BITS - 1)).ceil();
        let least = (needed / n_special).ceil() as u32;
        // A prime may be half a bit above its nominal size at most.
        let room = f64::from(max_log_qp(self.log_n).unwrap_or(0)) - self.log_q(self.max_level()) - 0.5;
        let affordable = (room / n_special).floor().max(0.0) as u32;
        let most = (least + SPARE_SPECIAL_BITS).min(MAX_PRIME_BITS - 1);
        (n_special as u32, affordable.clamp(least, most.max(least)))
    }

    /// Checks that the arithmetic can use this set: primes, their sizes, distinctness, digits. Not security.
    ///
    /// # Errors
    /// The first defect.
    pub fn validate(&self) -> Result<(), ParamsError> {
        if !(MIN_LOG_N..=MAX_LOG_N).contains(&self.log_n) {
            return Err(ParamsError::RingDegree(self.log_n));
        }
        let n_primes = self.q.len().saturating_add(self.p.len());
        if self.q.is_empty() || self.p.is_empty() || n_primes > MAX_PRIMES || self.digit_len == 0 {
            return Err(ParamsError::Malformed(
                "no ciphertext primes, no special primes, too many primes or empty digits",
            ));
        }
        if self.digit_len as usize > MAX_CONVERTED_PRIMES || self.p.len() >= MAX_CONVERTED_PRIMES {
            return Err(ParamsError::Malformed(
                "too many primes in a digit, or too many special primes",
            ));
        }
        if !(10..MAX_PRIME_BITS).contains(&self.log_scale) {
            return Err(ParamsError::Malformed("scale out of range"));
        }
        let mut seen: Vec<u64> = Vec::new();
        for &prime in self.q.iter().chain(&self.p) {
            if prime >= 1 << MAX_PRIME_BITS || prime % (2u64 << self.log_n) != 1 || !is_prime(prime) {
                return Err(ParamsError::NotAnNttPrime(prime));
            }
            if seen.contains(&prime) {
                return Err(ParamsError::RepeatedPrime(prime));
            }
            seen.push(prime);
        }
        if self.p.iter().map(|&p| log2(p)).sum::<f64>() < self.largest_digit_log2() {
            return Err(ParamsError::Malformed("the special primes are smaller than a digit"));
        }
        Ok(())
    }

    /// Checks [`validate`](Self::validate) and that the set is 128-bit secure, every modulus counted.
    ///
    /// # Errors
    /// [`ParamsError::Insecure`] and those of `validate`.
    pub fn check_secure(&self) -> Result<(), ParamsError> {
        self.validate()?;
        let (log_qp, limit) = (self.log_qp(), max_log_qp(self.log_n).unwrap_or(0));
        if log_qp <= f64::from(limit) {
            return Ok(());
        }
        Err(ParamsError::Insecure {
            log_n: self.log_n,
            log_qp,
            limit,
        })
    }

    /// The ring degree.
    pub fn n(&self) -> usize {
        1 << self.log_n
    }

    /// How many values one ciphertext holds: `N / 2`.
    pub fn slots(&self) -> Slots {
        Slots(1 << (self.log_n - 1))
    }

    /// The level of a fresh ciphertext.
    pub fn max_level(&self) -> Level {
        Level(self.q.len() as u32 - 1)
    }

    /// The canonical scale of a level: `Δ_L = 2^log_scale`, `Δ_{l-1} = Δ_l² / q_l`.
    pub fn scale(&self, level: Level) -> f64 {
        let dropped = &self.q[level.limbs()..];
        dropped
            .iter()
            .rev()
            .fold(exp2(self.log_scale), |scale, &q| scale * scale / q as f64)
    }

    /// The scale of a value with the given power of its level's canonical scale.
    pub fn scale_of(&self, level: Level, power: ScalePower) -> f64 {
        let scale = self.scale(level);
        match power {
            ScalePower::One => scale,
            ScalePower::Two => scale * scale,
        }
    }

    /// `log2(q_0 · … · q_l)`.
    pub fn log_q(&self, level: Level) -> f64 {
        self.q[..level.limbs()].iter().map(|&q| log2(q)).sum()
    }

    /// `log2` of the product of the special primes.
    pub fn log_p(&self) -> f64 {
        self.p.iter().map(|&p| log2(p)).sum()
    }

    /// `log2(QP)`: every modulus that a key lives under.
    pub fn log_qp(&self) -> f64 {
        self.log_q(self.max_level()) + self.log_p()
    }

    /// The key-switching digits of a level: ranges of ciphertext primes.
    pub fn digits(&self, level: Level) -> impl ExactSizeIterator<Item = Range<usize>> {
        let (limbs, len) = (level.limbs(), self.digit_len as usize);
        (0..limbs.div_ceil(len)).map(move |d| d * len..((d + 1) * len).min(limbs))
    }

    fn largest_digit_log2(&self) -> f64 {
        let digit_log2 = |r: Range<usize>| self.q[r].iter().map(|&q| log2(q)).sum();
        self.digits(self.max_level()).map(digit_log2).fold(0.0, f64::max)
    }
}

fn exp2(bits: u32) -> f64 {
    (1u64 << bits) as f64
}

/// `log2` of a prime, the same on every platform.
pub(crate) fn log2(prime: u64) -> f64 {
    libm::log2(prime as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(log_n: u32, log_scale: u32, levels: u32) -> ChainRequest {
        ChainRequest {
            log_n,
            levels,
            log_scale,
            log_q0: log_scale + 8,
            digit_len: 2,
        }
    }

    #[test]
    fn canonical_scales_stay_near_the_asked_scale() {
        for (log_n, log_scale, limit) in [(13, 26, -7.0), (14, 34, -10.0), (15, 40, -10.0), (16, 40, -10.0)] {
            let params = CkksParams::build(&request(log_n, log_scale, 8)).expect("primes exist");
            for level in 0..=8 {
                let drift = (params.scale(Level(level)) / exp2(log_scale) - 1.0).abs();
                assert!(
                    drift.log2() < limit,
                    "2^{log_n}, scale 2^{log_scale}, level {level}: 2^{}",
                    drift.log2()
                );
            }
        }
    }

    #[test]
    fn special_primes_cover_the_largest_digit() {
        for digit_len in 1..5 {
            let params = CkksParams::build(&ChainRequest {
                digit_len,
                ..request(15, 40, 9)
            })
            .expect("primes exist");
            assert!(params.log_p() > params.largest_digit_log2());
        }
    }

    #[test]
    fn refuses_what_the_arithmetic_cannot_carry() {
        let params = CkksParams::build(&request(10, 40, 3)).expect("primes exist");
        let malformed = |change: fn(&mut CkksParams)| {
            let mut params = params.clone();
            change(&mut params);
            params.validate().is_err()
        };
        assert!(malformed(|params| params.digit_len = 0));
        assert!(malformed(|params| params.digit_len = 16));
        assert!(malformed(|params| params.q.clear()));
        assert!(malformed(|params| params.p.clear()));
        assert!(malformed(|params| params.q[1] = params.q[0]));
        assert!(malformed(|params| params.q[1] += 2));
        assert!(malformed(|params| params.log_n = 18));
        assert!(malformed(|params| params.log_scale = 50));
    }

    #[test]
    fn spare_room_in_the_table_goes_to_the_special_primes() {
        let tight = CkksParams::build(&ChainRequest {
            digit_len: 1,
            ..request(13, 28, 5)
        })
        .expect("primes exist");
        assert_eq!(tight.check_secure(), Ok(()));
        assert!(tight.log_p() < tight.largest_digit_log2() + 1.1);
        let roomy = CkksParams::build(&ChainRequest {
            digit_len: 1,
            ..request(13, 28, 4)
        })
        .expect("primes exist");
        assert_eq!(roomy.check_secure(), Ok(()));
        assert!(roomy.log_p() > roomy.largest_digit_log2() + 6.0);
    }

    #[test]
    fn refuses_what_is_over_the_table() {
        let params = CkksParams::build(&request(13, 40, 5)).expect("primes exist");
        assert!(matches!(
            params.check_secure(),
            Err(ParamsError::Insecure { limit: 214, .. })
        ));
        let params = CkksParams::build(&request(14, 40, 5)).expect("primes exist");
        assert_eq!(params.check_secure(), Ok(()));
    }
}
