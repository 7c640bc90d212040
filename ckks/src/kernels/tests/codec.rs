//! The key stream against the cipher's definition, and the butterflies of every set against the portable ones.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::vector_sets;
use crate::kernels::Kernels;
use crate::kernels::chacha::{CHUNK_WORDS, ChaChaStream};
use crate::kernels::codec::Turns;

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
