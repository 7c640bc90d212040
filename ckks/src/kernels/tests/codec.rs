//! The key stream against the cipher's definition, and the butterflies of every set against the portable ones.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::{primes_below, vector_sets};
use crate::kernels::chacha::{CHUNK_WORDS, ChaChaStream};
use crate::kernels::codec::Turns;
use crate::kernels::{Kernels, NttPrime};

#[test]
fn every_set_gives_the_words_of_the_cipher() {
    let key = std::array::from_fn(|i| i as u8 * 7 + 3);
    for stream in [0, 1, 5 << 32 | 9, u64::MAX] {
        let mut want = vec![0u64; 5 * CHUNK_WORDS];
        let mut cipher = ChaCha20Rng::from_seed(key);
        cipher.set_stream(stream);
        want.iter_mut().for_each(|word| *word = cipher.next_u64());
        for kernels in vector_sets().into_iter().chain([Kernels::portable()]) {
            let mut got = vec![0; want.len()];
            let mut source = ChaChaStream::new(&key, stream);
            let (first, rest) = got.split_at_mut(CHUNK_WORDS);
            kernels.chacha_blocks(&mut source, first);
            kernels.chacha_blocks(&mut source, rest);
            assert_eq!(got, want, "{kernels:?} stream {stream}");
        }
    }
}

#[test]
fn every_set_gives_the_same_butterflies() {
    for half in [1, 2, 4, 8, 32, 256] {
        let turn = |j: usize| (j as f64 * 0.37).sin();
        let turns = Turns {
            cos: (0..half).map(turn).collect(),
            sin: (0..half).map(|j| turn(j + 11)).collect(),
        };
        let values = |seed: f64| {
            (0..512)
                .map(|i| libm::sin(seed + 1.7 * f64::from(i)) * 1e9)
                .collect::<Vec<f64>>()
        };
        let run = |kernels: Kernels| {
            let (mut re, mut im) = (values(0.1), values(0.2));
            kernels.butterflies(&turns, &mut re, &mut im);
            kernels.inverse_butterflies(&turns, &mut re, &mut im);
            re.iter().chain(&im).map(|x| x.to_bits()).collect::<Vec<u64>>()
        };
        let want = run(Kernels::portable());
        for kernels in vector_sets() {
            assert_eq!(run(kernels), want, "{kernels:?}");
        }
    }
}

#[test]
fn every_set_counts_the_thresholds_above() {
    let thresholds = [3, 3, 1 << 40, (1 << 63) - 1];
    let above = |word: u64| thresholds.iter().filter(|&&t| word & !(1 << 63) < t).count() as u64;
    let words: Vec<u64> = (0..100)
        .map(|i| [i, 1 << 40 | i, u64::MAX - i, (1 << 63) - i, 1 << 63 | i][i as usize % 5])
        .collect();
    let want: Vec<u64> = words.iter().map(|&word| word & 1 << 63 | above(word)).collect();
    for kernels in vector_sets().into_iter().chain([Kernels::portable()]) {
        let mut got = words.clone();
        kernels.count_above(&thresholds, &mut got);
        assert_eq!(got, want, "{kernels:?}");
    }
}

#[test]
fn every_set_gives_the_upper_products_and_the_least_lower_one() {
    let words: Vec<u64> = (0..1000u64)
        .map(|i| match i % 5 {
            0 => u64::MAX - i,
            1 => i << 32 | (u64::from(u32::MAX) - i),
            _ => i.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        })
        .collect();
    for factor in [
        3,
        (1 << 26) - 5,
        (1 << 50) - 27,
        u64::MAX,
        (1 << 32) - 1,
        1 << 63 | 1 << 61,
    ] {
        let products = || words.iter().map(|&word| u128::from(word) * u128::from(factor));
        let upper: Vec<u64> = products().map(|product| (product >> 64) as u64).collect();
        let least = products().map(|product| product as u64).min();
        for kernels in vector_sets().into_iter().chain([Kernels::portable()]) {
            let mut got = vec![0; words.len()];
            assert_eq!(
                Some(kernels.upper_products(&words, factor, &mut got)),
                least,
                "{kernels:?}"
            );
            assert_eq!(got, upper, "{kernels:?} times {factor}");
        }
    }
}

#[test]
fn every_set_reduces_all_integers_of_8_bits() {
    for bits in [26, 50] {
        let q = primes_below(bits, 10, 1)[0];
        let input: Vec<i8> = (0..1 << 10).map(|i| i as u8 as i8).collect();
        let residues = input.iter().map(|&x| i64::from(x).rem_euclid(q as i64) as u64);
        let want: Vec<u64> = residues.collect();
        for kernels in vector_sets().into_iter().chain([Kernels::portable()]) {
            let mut got = vec![0; want.len()];
            let prime = NttPrime::new(kernels, 10, q).expect("a prime of this ring");
            prime.reduce_small(&input, &mut got);
            assert_eq!(got, want, "{kernels:?} modulo {q}");
        }
    }
}
