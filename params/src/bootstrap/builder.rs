//! Chooses a bootstrap for a request: every combination of splits, reductions and corrections is built, those that are secure,
//! precise and small enough are kept, and the cheapest is taken.

use std::collections::BTreeMap;

use crate::bootstrap::cost::Cost;
use crate::bootstrap::ephemeral::{EPHEMERAL_WEIGHT, max_ephemeral_log_qp};
use crate::bootstrap::eval_mod::{Correction, EvalMod};
use crate::bootstrap::overflow::overflow_interval;
use crate::bootstrap::request::{BootstrapError, BootstrapRequest, SlotValues, TransformOrder};
use crate::bootstrap::transform::{Factor, split};
use crate::bootstrap::variant::BootstrapParams;
use crate::{CkksParams, Level, ParamsError, max_log_qp, ntt_primes_near};

/// Special primes and `q_0` are as large as primes may be.
const LARGE_PRIME_BITS: u32 = 50;
/// By how many bits the special primes exceed a digit at least: its part of a key switch's noise is then below the rounding's.
const SPECIAL_MARGIN_BITS: f64 = 4.0;
/// Conversions start from at most this many primes; see the chain's own limits.
const MAX_DIGIT_LEN: usize = 14;
/// No table row has room for more levels of 30 bits.
const MAX_LEVELS: u32 = 110;
/// Digits of a set that no table limits.
const INSECURE_DIGITS: usize = 3;
/// Bits that the truncation of the cosine lies below the asked precision.
const TRUNCATION_MARGIN_BITS: f64 = 3.0;
/// The amplifications of the cosine's operand that are tried: the free one, and one at the price of a level.
const AMPLIFICATIONS: [f64; 2] = [2.0, 8.0];
/// By how much raised messages may exceed 1 before they leave the interval of the reduction.
const MESSAGE_ROOM: f64 = 2.0;
/// Factors of one transform, at most.
pub(crate) const MAX_PARTS: u32 = 4;
/// The degrees of the cosine that are tried.
pub(crate) const MAX_DEGREE: u32 = 62;

/// Whether a set must be in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Table,
    /// For tests on small rings.
    None,
}

/// How the baby steps of a factor are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Babies {
    Fastest,
    FewestKeys,
}

impl BootstrapParams {
    /// The cheapest variant that meets a request, with 128 bits of security for both secrets.
    ///
    /// Deterministic: the same request gives the same parameters.
    ///
    /// # Errors
    /// [`BootstrapError`] with the reason: the modulus, the sparse secret, the precision or the key bytes.
    pub fn build(request: &BootstrapRequest) -> Result<Self, BootstrapError> {
        let params = search(request, Limit::Table)?;
        params.check_secure()?;
        Ok(params)
    }

    /// [`build`](Self::build) without any security, for tests on small rings: nothing encrypted under such a set is protected.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_insecure_for_tests(request: &BootstrapRequest) -> Result<Self, BootstrapError> {
        search(request, Limit::None)
    }
}

fn search(request: &BootstrapRequest, limit: Limit) -> Result<BootstrapParams, BootstrapError> {
    check(request, limit)?;
    let (reductions, parts) = (reductions(request), transform_parts(request));
    let deepest = reductions
        .iter()
        .flat_map(|r| parts.iter().map(|&p| total_levels(request, r, p)))
        .max();
    let primes = Primes::new(request, deepest.unwrap_or(0).min(MAX_LEVELS))?;
    let splits = [Babies::Fastest, Babies::FewestKeys].map(|babies| {
        let plain = splits(request.log_slots, babies);
        (with_raised_factors(&plain, request, babies), plain)
    });
    let mut chains = BTreeMap::new();
    let mut found = Found::default();
    for reduction in reductions {
        for &(to_slots, to_coeffs) in &parts {
            let levels = total_levels(request, &reduction, (to_slots, to_coeffs));
            if levels > MAX_LEVELS {
                continue;
            }
            let chain = chains
                .entry(levels)
                .or_insert_with(|| primes.chain(request, levels, limit));
            match chain {
                Ok(chain) => {
                    for (slots_splits, coeffs_splits) in &splits {
                        let factors = (
                            slots_splits[to_slots as usize].as_slice(),
                            coeffs_splits[to_coeffs as usize].as_slice(),
                        );
                        found.offer(request, variant(request, chain, reduction, factors));
                    }
                }
                Err(error) => found.refuse(error),
            }
        }
    }
    found.best(request)
}

fn check(request: &BootstrapRequest, limit: Limit) -> Result<(), BootstrapError> {
    if !(6..=crate::MAX_LOG_N).contains(&request.log_n) {
        return Err(ParamsError::RingDegree(request.log_n).into());
    }
    if request.log_slots < 2 || request.log_slots >= request.log_n {
        return Err(BootstrapError::Malformed(
            "slots must number at least 4 and at most half the ring degree",
        ));
    }
    if !(30..LARGE_PRIME_BITS).contains(&request.log_scale) || request.levels == 0 {
        return Err(BootstrapError::Malformed(
            "the scale must have 30 to 49 bits, and a level must be left",
        ));
    }
    if !(1.0..40.0).contains(&request.worst_bits) {
        return Err(BootstrapError::Malformed(
            "a precision of 1 to 40 bits can be asked for",
        ));
    }
    // Any special prime makes it twice the size of `q_0`.
    if limit == Limit::Table && max_ephemeral_log_qp(request.log_n).is_none() {
        return Err(BootstrapError::Ephemeral {
            log_n: request.log_n,
            log_qp: f64::from(2 * LARGE_PRIME_BITS),
            limit: 0,
        });
    }
    Ok(())
}

/// The reductions that are precise enough on their own, each with the smallest degree.
fn reductions(request: &BootstrapRequest) -> Vec<EvalMod> {
    // Room for noise, and for both parts of complex slots where coefficients mix them.
    let message = |log_ratio: f64| MESSAGE_ROOM * libm::exp2(-log_ratio);
    let ratios: Vec<f64> = match request.order {
        TransformOrder::SlotsToCoeffsFirst => (8..=28).map(|half| f64::from(half) / 2.0).collect(),
        // The slots' own scale decides.
        TransformOrder::CoeffsToSlotsFirst => vec![f64::from(LARGE_PRIME_BITS) - f64::from(request.log_scale)],
    };
    let allowed = libm::exp2(-request.worst_bits);
    let truncation_bits = match request.order {
        TransformOrder::SlotsToCoeffsFirst => TRUNCATION_MARGIN_BITS,
        // Slots then add up the errors of all coefficients.
        TransformOrder::CoeffsToSlotsFirst => TRUNCATION_MARGIN_BITS + f64::from(request.log_slots),
    };
    let precise = |reduction: &EvalMod| {
        reduction.sine_error() < allowed && reduction.truncation_error() < allowed * libm::exp2(-truncation_bits)
    };
    let mut reductions = Vec::new();
    for log_ratio in ratios.into_iter().filter(|&log_ratio| message(log_ratio) < 0.5) {
        let bound = overflow_interval(EPHEMERAL_WEIGHT, 2 << request.log_slots, message(log_ratio));
        for correction in [Correction::None, Correction::Arcsine] {
            for doublings in 2..=5 {
                let with_degree = |degree| EvalMod {
                    bound,
                    degree,
                    doublings,
                    log_ratio,
                    correction,
                    amplification: AMPLIFICATIONS[0],
                };
                let Some(plain) = (4..=MAX_DEGREE).step_by(2).map(with_degree).find(precise) else {
                    continue;
                };
                reductions.extend(AMPLIFICATIONS.map(|amplification| EvalMod { amplification, ..plain }));
            }
        }
    }
    reductions
}

/// Numbers of factors of the transform to slots and of the one to coefficients.
fn transform_parts(request: &BootstrapRequest) -> Vec<(u32, u32)> {
    let most = request.log_slots.min(MAX_PARTS);
    (2.min(most)..=most)
        .flat_map(|to_slots| (2.min(most)..=most).map(move |to_coeffs| (to_slots, to_coeffs)))
        .collect()
}

fn packs_parts(request: &BootstrapRequest) -> bool {
    let has_parts = request.values == SlotValues::Complex || request.order == TransformOrder::CoeffsToSlotsFirst;
    has_parts && request.log_slots + 1 < request.log_n
}

fn total_levels(request: &BootstrapRequest, reduction: &EvalMod, (to_slots, to_coeffs): (u32, u32)) -> u32 {
    to_slots + reduction.depth() + u32::from(packs_parts(request)) + to_coeffs + request.levels
}

/// The primes that all chains of one request are cut from.
struct Primes {
    /// Primes that steer every canonical scale back to the asked one, from the top of the chain down.
    scaled: Vec<u64>,
    /// Primes of nearly 50 bits, largest first. The first is a special prime, the second is `q_0`: the ephemeral key is
    /// switched by a special prime that is not smaller than `q_0`.
    large: Vec<u64>,
}

impl Primes {
    fn new(request: &BootstrapRequest, levels: u32) -> Result<Self, ParamsError> {
        let too_few = |bits: u32, wanted: usize| ParamsError::TooFewPrimes {
            log_n: request.log_n,
            bits,
            wanted,
        };
        let n_large = MAX_DIGIT_LEN + 1;
        let below = libm::exp2(f64::from(LARGE_PRIME_BITS));
        let large: Vec<u64> = ntt_primes_near(request.log_n, below).take(n_large).collect();
        if large.len() < n_large {
            return Err(too_few(LARGE_PRIME_BITS, n_large));
        }
        let wanted = libm::exp2(f64::from(request.log_scale));
        let (mut scaled, mut scale) = (Vec::new(), wanted);
        for _ in 0..levels {
            let mut near = ntt_primes_near(request.log_n, scale * scale / wanted);
            let prime = near.find(|p| !large.contains(p) && !scaled.contains(p));
            let prime = prime.ok_or_else(|| too_few(request.log_scale, levels as usize))?;
            scale = scale * scale / prime as f64;
            scaled.push(prime);
        }
        Ok(Self { scaled, large })
    }

    /// The chain with as few key-switching digits as the table allows.
    fn chain(&self, request: &BootstrapRequest, levels: u32, limit: Limit) -> Result<CkksParams, BootstrapError> {
        let limbs = levels as usize + 1;
        let mut smallest = f64::INFINITY;
        let digits = match limit {
            Limit::Table => 1..=limbs,
            Limit::None => INSECURE_DIGITS..=limbs,
        };
        let lengths = digits.map(|digits| limbs.div_ceil(digits));
        for digit_len in lengths.filter(|&len| len <= MAX_DIGIT_LEN) {
            let Some(chain) = self.with_digits(request, limbs, digit_len) else {
                continue;
            };
            smallest = smallest.min(chain.log_qp());
            if limit == Limit::None || chain.check_secure().is_ok() {
                return Ok(chain);
            }
        }
        Err(BootstrapError::Modulus {
            log_n: request.log_n,
            levels: request.levels,
            log_scale: request.log_scale,
            needed: smallest,
            limit: max_log_qp(request.log_n).unwrap_or(0),
        })
    }

    /// The chain with digits of a length, unless that needs more special primes than a conversion takes.
    fn with_digits(&self, request: &BootstrapRequest, limbs: usize, digit_len: usize) -> Option<CkksParams> {
        let log2_of = |primes: &[u64]| primes.iter().map(|&q| libm::log2(q as f64)).sum::<f64>();
        let mut q = vec![self.large[1]];
        q.extend(self.scaled[..limbs - 1].iter().rev());
        let largest = q.chunks(digit_len).map(log2_of).fold(0.0, f64::max);
        let special = [&self.large[..1], &self.large[2..]].concat();
        let n_special = (1..=special.len()).find(|&n| log2_of(&special[..n]) >= largest + SPECIAL_MARGIN_BITS)?;
        Some(CkksParams {
            log_n: request.log_n,
            log_scale: request.log_scale,
            q,
            p: special[..n_special].to_vec(),
            digit_len: digit_len as u32,
        })
    }
}

fn variant(
    request: &BootstrapRequest,
    chain: &CkksParams,
    mut eval_mod: EvalMod,
    (to_slots, to_coeffs): (&[Factor], &[Factor]),
) -> BootstrapParams {
    if request.order == TransformOrder::CoeffsToSlotsFirst {
        eval_mod.log_ratio = libm::log2(chain.q[0] as f64 / chain.scale(Level(0)));
    }
    BootstrapParams {
        chain: chain.clone(),
        log_slots: request.log_slots,
        values: request.values,
        order: request.order,
        levels: request.levels,
        coeffs_to_slots: to_slots.iter().rev().copied().collect(),
        slots_to_coeffs: to_coeffs.to_vec(),
        eval_mod,
    }
}

/// The factors of a transform in every number of parts, by that number; shortest butterflies first.
fn splits(log_slots: u32, babies: Babies) -> Vec<Vec<Factor>> {
    let factors = |parts| {
        let factors = split(log_slots, parts).into_iter();
        factors.map(|factor| with_babies(factor, log_slots, babies)).collect()
    };
    let none = std::iter::once(Vec::new());
    none.chain((1..=log_slots.min(MAX_PARTS)).map(factors)).collect()
}

/// A giant step costs about four hoisted baby steps (measured at `N = 2^16`).
fn with_babies(factor: Factor, log_slots: u32, babies: Babies) -> Factor {
    let weigh = |factor: &Factor| {
        let (n_babies, n_giants) = factor.rotations(log_slots);
        match babies {
            Babies::Fastest => n_babies.len() + 4 * n_giants.len(),
            Babies::FewestKeys => 2 * (n_babies.len() + n_giants.len()) + n_giants.len() / 4,
        }
    };
    let candidates = (0..=factor.stages() + 1).map(|log_baby| Factor { log_baby, ..factor });
    // The first of equals: fewer baby steps take less memory.
    candidates.min_by_key(weigh).unwrap_or(factor)
}

/// The splits of the transform to slots: where the first factor to be applied, the longest, is applied to the raised ciphertext, its
/// baby steps cost an eighth of a giant step, and keys of one digit.
fn with_raised_factors(splits: &[Vec<Factor>], request: &BootstrapRequest, babies: Babies) -> Vec<Vec<Factor>> {
    let mut splits = splits.to_vec();
    if request.log_slots + 2 < request.log_n {
        return splits;
    }
    for factor in splits.iter_mut().filter_map(|factors| factors.last_mut()) {
        let weigh = |factor: &Factor| {
            let (n_babies, n_giants) = factor.rotations(request.log_slots);
            match babies {
                Babies::Fastest => n_babies.len() + 8 * n_giants.len(),
                Babies::FewestKeys => n_babies.len() + 4 * n_giants.len(),
            }
        };
        let candidates = (0..=factor.stages() + 1).map(|log_baby| Factor { log_baby, ..*factor });
        *factor = candidates.min_by_key(weigh).unwrap_or(*factor);
    }
    splits
}

/// The best variant so far, and for a refusal the nearest miss of every kind.
#[derive(Default)]
struct Found {
    best: Option<(f64, BootstrapParams)>,
    most_bits: Option<f64>,
    least_bytes: Option<u64>,
    refused: Option<BootstrapError>,
}

impl Found {
    fn offer(&mut self, request: &BootstrapRequest, params: BootstrapParams) {
        let bits = params.precision().worst_bits();
        self.most_bits = Some(self.most_bits.map_or(bits, |most| most.max(bits)));
        if bits < request.worst_bits {
            return;
        }
        let bytes = params.key_spec().bytes(params.chain(), false);
        self.least_bytes = Some(self.least_bytes.map_or(bytes, |least| least.min(bytes)));
        let cost = Cost::of(&params).rotations();
        let better = self.best.as_ref().is_none_or(|(least, _)| cost < *least);
        if bytes <= request.max_key_bytes && better {
            self.best = Some((cost, params));
        }
    }

    /// Keeps the refusal of the smallest chain.
    fn refuse(&mut self, error: &BootstrapError) {
        let needed = |error: &BootstrapError| match error {
            BootstrapError::Modulus { needed, .. } => *needed,
            BootstrapError::Malformed(_)
            | BootstrapError::Params(_)
            | BootstrapError::Ephemeral { .. }
            | BootstrapError::Precision { .. }
            | BootstrapError::KeyBytes { .. } => f64::INFINITY,
        };
        if self.refused.as_ref().is_none_or(|known| needed(error) < needed(known)) {
            self.refused = Some(error.clone());
        }
    }

    fn best(self, request: &BootstrapRequest) -> Result<BootstrapParams, BootstrapError> {
        if let Some((_, params)) = self.best {
            return Ok(params);
        }
        if let Some(needed) = self.least_bytes {
            return Err(BootstrapError::KeyBytes {
                needed,
                allowed: request.max_key_bytes,
            });
        }
        let wanted = request.worst_bits;
        match (self.most_bits, self.refused) {
            (Some(reached), _) => Err(BootstrapError::Precision { wanted, reached }),
            (None, Some(refused)) => Err(refused),
            (None, None) => Err(BootstrapError::Precision { wanted, reached: 0.0 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: BootstrapRequest = BootstrapRequest {
        log_n: 16,
        log_scale: 49,
        log_slots: 15,
        values: SlotValues::Complex,
        order: TransformOrder::SlotsToCoeffsFirst,
        levels: 11,
        worst_bits: 11.0,
        max_key_bytes: 8 << 30,
    };

    #[test]
    fn a_full_ring_is_bootstrapped_under_both_limits() {
        let params = BootstrapParams::build(&FULL).expect("it fits");
        assert!(params.bits_left() > 500.0);
        assert!(params.main_security().holds() && params.ephemeral_security().holds());
        assert!(params.failure_log2() <= -40.0);
        assert!(params.precision().worst_bits() >= 11.0);
        assert_eq!(params.output_level().0 - params.input_level().0, FULL.levels);
        assert_eq!(params.unpack_level(), params.output_level());
    }

    #[test]
    fn refusals_say_what_is_too_much() {
        let refuse = |change: fn(&mut BootstrapRequest)| {
            let mut request = FULL;
            change(&mut request);
            BootstrapParams::build(&request).expect_err("too much is asked")
        };
        assert!(matches!(
            refuse(|r| r.levels = 30),
            BootstrapError::Modulus { limit: 1747, .. }
        ));
        assert!(matches!(refuse(|r| r.log_n = 14), BootstrapError::Malformed(_)));
        assert!(matches!(
            refuse(|r| (r.log_n, r.log_slots) = (14, 13)),
            BootstrapError::Ephemeral { limit: 0, .. }
        ));
        assert!(matches!(
            refuse(|r| r.worst_bits = 30.0),
            BootstrapError::Precision { .. }
        ));
        assert!(matches!(
            refuse(|r| r.max_key_bytes = 1 << 30),
            BootstrapError::KeyBytes { .. }
        ));
        assert!(matches!(refuse(|r| r.log_slots = 16), BootstrapError::Malformed(_)));
    }

    #[test]
    fn fewer_keys_are_chosen_when_bytes_are_short() {
        let roomy = BootstrapParams::build(&FULL).expect("it fits");
        let bytes = roomy.key_spec().bytes(roomy.chain(), false);
        let tight = BootstrapParams::build(&BootstrapRequest {
            max_key_bytes: bytes - 1,
            ..FULL
        })
        .expect("there are variants with fewer keys");
        assert!(tight.key_spec().bytes(tight.chain(), false) < bytes);
        assert!(tight.cost_in_rotations() >= roomy.cost_in_rotations());
    }

    #[test]
    fn the_same_request_gives_the_same_parameters() {
        assert_eq!(BootstrapParams::build(&FULL), BootstrapParams::build(&FULL));
    }
}
