//! The kernels against naive references on small rings, and every kernel set against the portable one on all rings.

mod agreement;
mod codec;
mod reference;

use super::{Kernels, NttPrime};

/// Residues of every kind of input that has broken a transform: random, extreme, and alternating.
fn inputs(q: u64, n: usize, seed: u64) -> Vec<Vec<u64>> {
    let largest_power = 1 << q.ilog2();
    let powers = |i: usize| (1u64 << (i as u32 % (q.ilog2() + 1))).wrapping_sub(i as u64 % 3) % q;
    vec![
        random(q, n, seed),
        vec![0; n],
        vec![q - 1; n],
        (0..n).map(|i| if i % 2 == 0 { 0 } else { q - 1 }).collect(),
        (0..n).map(|i| if i % 16 < 8 { q - 1 } else { 0 }).collect(),
        (0..n).map(|i| if i < n / 2 { q - 1 } else { 0 }).collect(),
        vec![largest_power - 1; n],
        (0..n).map(powers).collect(),
        (0..n).map(|i| if i % 2 == 0 { q / 2 } else { q / 2 + 1 }).collect(),
    ]
}

/// Random residues from a linear congruential generator: tests must not depend on a sampler.
fn random(q: u64, n: usize, seed: u64) -> Vec<u64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state ^ (state >> 29)
    };
    (0..n).map(|_| next() % q).collect()
}

/// The `count` largest primes below `2^bits` for rings of degree `2^log_n`.
fn primes_below(bits: u32, log_n: u32, count: usize) -> Vec<u64> {
    let step = 2u64 << log_n;
    let candidates = (1..(1u64 << bits) / step).rev().map(|k| k * step + 1);
    let primes: Vec<u64> = candidates
        .filter(|&q| q < 1 << bits && heron_params::is_prime(q))
        .take(count)
        .collect();
    assert_eq!(primes.len(), count, "enough primes of {bits} bits for degree 2^{log_n}");
    primes
}

/// Every set but the portable one that this machine runs; says which are left out.
fn vector_sets() -> Vec<Kernels> {
    let sets = ["avx2", "ifma"]
        .into_iter()
        .filter_map(|name| match Kernels::named(name) {
            Ok(kernels) => Some(kernels),
            Err(error) => {
                println!("not tested here: {error}");
                None
            }
        });
    sets.collect()
}

fn portable(log_n: u32, q: u64) -> NttPrime {
    NttPrime::new(Kernels::portable(), log_n, q).expect("a prime of this ring")
}
