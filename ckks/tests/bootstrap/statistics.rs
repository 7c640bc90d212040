//! Many bootstraps: every slot of every one against what the variant states, on random and extreme vectors and in chains.
//!
//! The named presets are slow, behind `HERON_SLOW_TESTS=1`, and print what they measured; small rings are their fast siblings.

use heron_params::bootstrap::{BootstrapParams, BootstrapPreset, SlotValues};

use crate::fixture::{Fixture, Slots};
use crate::variants::INSECURE_FULL;

/// Bytes of encoded diagonals that are kept between the runs.
const CACHE_BYTES: u64 = 4 << 30;
/// Bootstraps of each extreme vector, each of a fresh encryption.
const EXTREME_RUNS: u64 = 5;

/// After so many bootstraps a series says what it found so far.
const TOLD_EVERY: u64 = 10;

/// The smallest precision of any slot, and that of the mean error.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bits {
    worst: f64,
    mean: f64,
}

/// Bootstraps a vector that `vector` gives for each run; what all runs together kept. Long series tell how far they are.
fn bits_of(f: &mut Fixture, runs: u64, mut vector: impl FnMut(&Fixture, u64) -> Slots) -> Bits {
    let level = f.params().input_level();
    let (mut worst, mut sum): (f64, f64) = (0.0, 0.0);
    for run in 0..runs {
        let slots = vector(f, run);
        let a = f.encrypt(&slots, level);
        let (largest, mean) = f.errors(&f.boot.bootstrap(&a).expect("levels and keys"), &slots);
        worst = worst.max(largest);
        sum += mean;
        if (run + 1) % TOLD_EVERY == 0 {
            println!("{} of {runs} vectors: {:.2} bits so far", run + 1, -worst.log2());
        }
    }
    Bits {
        worst: -worst.log2(),
        mean: -(sum / runs as f64).log2(),
    }
}

/// Bootstraps each extreme vector, and then random ones; no slot may keep less than stated.
#[track_caller]
fn check_vectors(name: &str, f: &mut Fixture, random_runs: u64, stated: f64) -> Bits {
    for (kind, slots) in f.extremes() {
        let found = bits_of(f, EXTREME_RUNS, |_, _| slots.clone());
        println!(
            "{name}: {EXTREME_RUNS} times {kind}: {:.2} bits, {:.2} on average",
            found.worst, found.mean
        );
        assert!(
            found.worst >= stated,
            "{name}, {kind}: {found:?}, {stated} bits are stated"
        );
    }
    let random = bits_of(f, random_runs, Fixture::random);
    println!(
        "{name}: {random_runs} random vectors: {:.2} bits, {:.2} on average",
        random.worst, random.mean
    );
    assert!(random.worst >= stated, "{name}: {random:?}, {stated} bits are stated");
    random
}

/// A named preset at its full size; `None` unless slow tests are wanted.
fn slow_preset(name: &str) -> Option<Fixture> {
    if std::env::var("HERON_SLOW_TESTS").is_err() {
        println!("skipped: set HERON_SLOW_TESTS=1 to bootstrap with the preset `{name}`");
        return None;
    }
    let preset = BootstrapPreset::named(name).expect("a preset of that name");
    let params = preset.build().expect("it builds");
    params.check_secure().expect("both secrets offer 128 bits");
    Some(Fixture::new(params, CACHE_BYTES))
}

#[track_caller]
fn check_preset(name: &str, random_runs: u64, least_bits: f64, least_mean: f64) {
    let Some(mut f) = slow_preset(name) else { return };
    // What the issue of presets is held to, and what the variant itself predicts.
    let stated = least_bits.max(f.params().precision().worst_bits());
    let random = check_vectors(name, &mut f, random_runs, stated);
    assert!(random.mean >= least_mean, "{name}: {random:?}");
}

#[test]
fn a_hundred_bootstraps_of_fast_keep_11_bits() {
    check_preset("fast", 100, 11.0, 13.0);
}

#[test]
fn a_hundred_bootstraps_of_precise_keep_19_bits() {
    check_preset("precise", 100, 19.0, 22.0);
}

#[test]
fn a_hundred_real_bootstraps_of_fast_keep_11_bits() {
    check_preset("fast-real", 100, 11.0, 13.0);
}

#[test]
fn a_hundred_real_bootstraps_of_precise_keep_19_bits() {
    check_preset("precise-real", 100, 19.0, 22.0);
}

#[test]
fn a_thousand_small_bootstraps_keep_11_bits() {
    check_preset("small", 1000, 11.0, 13.0);
}

#[test]
fn sixty_bootstraps_in_a_small_ring_keep_what_is_predicted() {
    let mut f = Fixture::insecure(&INSECURE_FULL);
    let stated = f.params().precision().worst_bits();
    check_vectors("insecure", &mut f, 60, stated);
}

/// `z -> z - z²/4`.
///
/// A chain of squares alone says nothing: `z²/2` forgets every error, and `2 z² - 1` doubles most of them, in the clear too. Here
/// the derivative `1 - z/2` stays within `[1/2, 1]` in absolute value for the slots below and tends to 1, so that errors of all
/// bootstraps add up and none is forgotten or amplified.
fn step(f: &Fixture, a: &heron_ckks::Ciphertext) -> Result<heron_ckks::Ciphertext, heron_ckks::EvalError> {
    let eval = f.boot.evaluator();
    let quarter = eval.rescale(&eval.mul_const(a, 0.25)?)?;
    let square = eval.mul_rescale(&quarter, &eval.drop_level(a, quarter.level())?)?;
    eval.sub(&eval.drop_level(a, square.level())?, &square)
}

fn step_in_clear([re, im]: &Slots, f: &Fixture) -> Slots {
    f.slots(|i| {
        let (x, y) = (re[i], im[i]);
        (x - (x * x - y * y) / 4.0, y - x * y / 2.0)
    })
}

/// Bootstraps again and again with a square between; the bits of the worst slot in the end.
fn chained_bits(f: &mut Fixture, n_bootstraps: usize) -> f64 {
    let [re, im] = f.random(9);
    // In the petal of the fixed point 0: real parts are positive, imaginary ones at most half of them.
    let mut slots = f.slots(|i| {
        let x = 0.5 + re[i] / 2.0;
        (x, x * im[i] / 2.0)
    });
    let mut a = f.encrypt(&slots, f.params().output_level());
    for _ in 0..n_bootstraps {
        let next = step(f, &a).expect("two levels");
        a = f.boot.bootstrap(&next).expect("levels and keys");
        slots = step_in_clear(&slots, f);
    }
    let largest = slots[0].iter().copied().fold(0.0, f64::max);
    assert!(
        largest > 1.0 / n_bootstraps as f64,
        "the slots have not vanished: {largest}"
    );
    -f.errors(&a, &slots).0.log2()
}

#[test]
fn fifty_precise_bootstraps_with_squares_between_keep_12_bits() {
    let Some(mut f) = slow_preset("precise") else { return };
    let bits = chained_bits(&mut f, 50);
    println!("precise: 50 bootstraps in a chain: {bits:.2} bits");
    assert!(bits >= 12.0, "{bits}");
}

#[test]
fn chains_in_a_small_ring_lose_what_their_errors_add_up_to() {
    let mut f = Fixture::insecure(&INSECURE_FULL);
    assert_eq!(f.params().values(), SlotValues::Complex);
    let (n, stated) = (20, f.params().precision().worst_bits());
    let bits = chained_bits(&mut f, n);
    assert!(bits >= stated - (n as f64).log2(), "{bits}, one keeps {stated}");
}

#[test]
fn sparse_real_slots_keep_what_is_predicted_in_many_bootstraps() {
    let request = heron_params::bootstrap::BootstrapRequest {
        log_slots: 6,
        values: SlotValues::Real,
        ..INSECURE_FULL
    };
    let params = BootstrapParams::build_insecure_for_tests(&request).expect("a sound request");
    let stated = params.precision().worst_bits();
    let mut f = Fixture::new(params, CACHE_BYTES);
    check_vectors("insecure, sparse", &mut f, 60, stated);
}
