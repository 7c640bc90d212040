//! Pseudo-random signs for the probes of the noise prediction: the same ones in every compilation.
//!
//! # Source
//! G. Steele, D. Lea, C. Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014 (SplitMix64).

/// A stream of signs.
pub(crate) struct Signs {
    state: u64,
    /// Bits not yet used, below a marker bit.
    bits: u64,
}

impl Signs {
    /// The one stream that there is.
    pub(crate) fn new() -> Self {
        Self { state: 0, bits: 1 }
    }

    /// 1 or -1.
    pub(crate) fn next(&mut self) -> f64 {
        if self.bits == 1 {
            self.bits = self.word() | 1 << 63;
        }
        let sign = if self.bits & 1 == 0 { 1.0 } else { -1.0 };
        self.bits >>= 1;
        sign
    }

    fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_balanced_and_uncorrelated() {
        let mut signs = Signs::new();
        let drawn: Vec<f64> = (0..100_000).map(|_| signs.next()).collect();
        let limit = 5.0 * (drawn.len() as f64).sqrt();
        assert!(drawn.iter().sum::<f64>().abs() < limit);
        for lag in 1..64 {
            let products = drawn.iter().zip(&drawn[lag..]).map(|(a, b)| a * b);
            assert!(products.sum::<f64>().abs() < limit, "lag {lag}");
        }
    }
}
