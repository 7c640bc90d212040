//! The raise against its stated distribution: how often so many multiples of `q_0` are added, counted over whole polynomials.

use std::collections::BTreeSet;
use std::sync::Arc;

use heron_params::bootstrap::{
    BootstrapParams, BootstrapPreset, BootstrapRequest, EPHEMERAL_WEIGHT, SlotValues, TransformOrder,
    overflow_failure_log2,
};
use heron_params::{KeySpec, Level, Rotation, ScalePower};

use super::raise::raise;
use super::raise_keys::RaiseKeys;
use crate::ciphertext::Plaintext;
use crate::context::Context;
use crate::encrypt::{decrypt, encrypt_secret};
use crate::evaluation_keys::EvaluationKeys;
use crate::evaluator::Evaluator;
use crate::kernels::Kernels;
use crate::keys::SecretKey;
use crate::random::Rng;

const INSECURE_TINY: BootstrapRequest = BootstrapRequest {
    log_n: 10,
    log_scale: 46,
    log_slots: 9,
    values: SlotValues::Complex,
    order: TransformOrder::SlotsToCoeffsFirst,
    levels: 2,
    worst_bits: 14.0,
    max_key_bytes: 1 << 40,
};
/// Below these the closed form of the distribution loses its digits.
const FIRST_COUNT: usize = 2;
/// Counts are compared where so many are expected at least.
const LEAST_EXPECTED: f64 = 30.0;
/// How far a count may be off, in deviations of a Poisson variable.
const DEVIATIONS: f64 = 6.0;

/// How many raised coefficients of zero have absolute overflows 0, 1, 2 and so on, under `keys` fresh sparse secrets.
fn overflow_counts(params: &BootstrapParams, keys: u64, raises_a_key: usize) -> Vec<u64> {
    let ctx = Context::new(params.chain().clone(), Kernels::best()).expect("a valid chain");
    let identity = BTreeSet::from([Rotation(0)]);
    let mut counts = vec![0; EPHEMERAL_WEIGHT as usize + 1];
    for seed in 0..keys {
        let mut rng = Rng::insecure_deterministic(seed);
        let secret = SecretKey::generate(&ctx, &mut rng);
        let raise_keys =
            RaiseKeys::generate(&ctx, &secret, params.top_level(), &identity, &mut rng).expect("keys of this ring");
        let none = EvaluationKeys::generate(&ctx, &secret, &KeySpec::default(), &mut rng, &mut |_| ());
        let eval = Evaluator::new(ctx.clone(), Arc::new(none.expect("an empty spec")));
        let zero = eval
            .encoder()
            .encode(&[], Level(0), ScalePower::One)
            .expect("zero fits");
        for _ in 0..raises_a_key {
            let a = encrypt_secret(&ctx, &secret, &zero, &mut rng).expand(&ctx);
            let raised = raise(&eval, &raise_keys, &a, params.top_level()).expect("a key");
            for overflow in overflows(&ctx, &decrypt(&ctx, &secret, &raised)) {
                counts[overflow as usize] += 1;
            }
        }
    }
    counts
}

/// `|I|` of every coefficient `t + q_0 I`, from its residues modulo `q_0`, which are those of `t`, and modulo `q_1`.
fn overflows(ctx: &Context, raised: &Plaintext) -> Vec<u64> {
    let (q0, q1) = (ctx.prime(0), ctx.prime(1));
    let [low, high] = [0, 1].map(|i| {
        let mut limb = raised.poly.limb(i).to_vec();
        ctx.prime(i).inverse(&mut limb);
        limb
    });
    let inverse = q1.inverse_of(q0.q());
    let pairs = low.into_iter().zip(high);
    pairs
        .map(|(low, high)| {
            // `t`, centred, modulo q_1.
            let t = if low > q0.q() / 2 {
                q1.q() - (q0.q() - low) % q1.q()
            } else {
                low % q1.q()
            };
            let overflow = q1.product((high + q1.q() - t) % q1.q(), inverse);
            overflow.min(q1.q() - overflow)
        })
        .collect()
}

/// Compares how many coefficients overflow more than `k` times with how many are predicted, for every `k` that can be counted.
#[track_caller]
fn check_counts(counts: &[u64]) {
    let all: u64 = counts.iter().sum();
    let mut checked = 0;
    for k in FIRST_COUNT..counts.len() {
        let beyond: u64 = counts[k + 1..].iter().sum();
        let expected = all as f64 * libm::exp2(overflow_failure_log2(EPHEMERAL_WEIGHT, 1, k as f64));
        if expected < 1e-3 && beyond == 0 {
            break;
        }
        println!("more than {k}: {beyond} of {all}, {expected:.3} expected");
        if expected >= LEAST_EXPECTED {
            let deviations = (beyond as f64 - expected) / expected.sqrt();
            assert!(
                deviations.abs() < DEVIATIONS,
                "more than {k}: {beyond}, {expected:.1} expected"
            );
            checked += 1;
        }
    }
    assert!(checked >= 2, "{checked} counts were large enough");
    let most = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
    // What is stated for one bootstrap, at the overflow that this many coefficients reach.
    let reached = overflow_failure_log2(EPHEMERAL_WEIGHT, all, most as f64 - 1.0);
    assert!(
        reached > -20.0,
        "an overflow of {most} was expected once in 2^{:.0} such counts",
        -reached
    );
}

#[test]
fn overflows_in_a_small_ring_follow_the_stated_distribution() {
    let params = BootstrapParams::build_insecure_for_tests(&INSECURE_TINY).expect("a sound request");
    check_counts(&overflow_counts(&params, 40, 20));
}

#[test]
fn overflows_of_the_presets_follow_the_stated_distribution() {
    if std::env::var("HERON_SLOW_TESTS").is_err() {
        println!("skipped: set HERON_SLOW_TESTS=1 to count overflows at N = 2^15 and 2^16");
        return;
    }
    for name in ["small", "fast"] {
        let preset = BootstrapPreset::named(name).expect("a preset of that name");
        check_counts(&overflow_counts(&preset.build().expect("it builds"), 5, 20));
    }
}
