//! Base conversion: from the residues modulo the primes of a digit to those modulo other primes.

use super::modular::{Scalar, inverse_mod, mul_mod};
use super::prime::{MAX_TERMS, NttPrime};
use crate::memory::with_scratch;

/// Which representative a base conversion extends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// One of magnitude at most `k Q / 2` for `k` primes, of mean zero: cheapest, for ModUp, where the special primes
    /// divide the difference away.
    Approximate,
    /// The centred one, up to a relative error of 2^-45 in where the interval ends: for ModDown and rescale, where the
    /// difference would be rounding noise.
    Centred,
}

/// The constants of the conversion from one set of primes to another, in coefficient form.
///
/// With `Q` the product of the source primes and `h_i = (q_i - 1) / 2`, sources are *prepared* as
/// `y_i = x_i (Q / q_i)^-1 + h_i mod q_i`; then `x = sum (y_i - h_i) Q / q_i - v Q` for an integer `v`. The shift by `h_i`
/// makes the sum of mean zero at no cost, since its part is one constant per target. [`Rounding::Centred`] computes `v`
/// from `sum y_i / q_i`, in f64 and in the order of the sources, hence with the same result on every machine, and treats
/// it as one more source.
///
/// # Source
/// J. H. Cheon et al., *A full RNS variant of approximate homomorphic encryption* (ePrint 2018/931), section 4; the
/// correction by floating point: S. Halevi, Y. Polyakov, V. Shoup (ePrint 2018/117), section 2.
pub struct BaseConversion {
    sources: Vec<Source>,
    targets: Vec<TargetConstants>,
    rounding: Rounding,
    /// `1 / q_i`, and what the sum of `y_i / q_i` starts from.
    quotients: Vec<f64>,
    quotient_start: f64,
}

/// Where a conversion goes, up to the first pass of the forward transform.
pub(crate) struct ColumnTarget<'a> {
    /// Index of the target in the conversion.
    pub(crate) index: usize,
    pub(crate) prime: &'a NttPrime,
    /// The buffer between the passes.
    pub(crate) middle: &'a mut [u64],
}

/// How a source is prepared.
struct Source {
    q: u64,
    /// `(Q / q_i)^-1 mod q_i`.
    factor: Scalar,
    /// `h_i`.
    offset: u64,
}

/// The constants modulo one target prime.
pub(super) struct TargetConstants {
    q: u64,
    /// `Q / q_i` for every source, then `-Q` when rounding is centred.
    pub(super) factors: Vec<u64>,
    /// What the sum starts from: the shifts' part.
    pub(super) start: u64,
}

impl BaseConversion {
    /// The conversion from the product of `sources` to each of `targets`.
    ///
    /// # Panics
    /// When there is no source, more than 15, or two that are equal; or when the ring degrees differ.
    pub fn new(sources: &[&NttPrime], targets: &[&NttPrime], rounding: Rounding) -> Self {
        assert!(
            (1..MAX_TERMS).contains(&sources.len()),
            "{} source primes",
            sources.len()
        );
        let mut all = sources.iter().chain(targets);
        assert!(all.all(|prime| prime.log_n() == sources[0].log_n()), "one ring degree");
        let primes: Vec<u64> = sources.iter().map(|prime| prime.q()).collect();
        let quotients: Vec<f64> = primes.iter().map(|&q| 1.0 / q as f64).collect();
        let shift: f64 = primes
            .iter()
            .zip(&quotients)
            .map(|(&q, inverse)| (q / 2) as f64 * inverse)
            .sum();
        Self {
            sources: (0..primes.len()).map(|i| Source::new(&primes, i)).collect(),
            targets: targets
                .iter()
                .map(|target| TargetConstants::new(&primes, target.q(), rounding))
                .collect(),
            rounding,
            // Above zero for all residues, so that rounding down is truncation.
            quotient_start: primes.len() as f64 + 0.5 - shift,
            quotients,
        }
    }

    /// Number of source primes.
    pub fn n_sources(&self) -> usize {
        self.sources.len()
    }

    /// Number of limbs that [`BaseConversion::convert`] reads: one for each source, and one more when rounding is centred.
    pub fn n_prepared(&self) -> usize {
        match self.rounding {
            Rounding::Approximate => self.sources.len(),
            Rounding::Centred => self.sources.len() + 1,
        }
    }

    /// Source limb `index`, from evaluation form to what [`BaseConversion::convert`] reads.
    ///
    /// # Panics
    /// When `prime` is not source `index`, or a limb has not `N` words.
    pub fn prepare(&self, index: usize, prime: &NttPrime, evaluations: &[u64], prepared: &mut [u64]) {
        let source = &self.sources[index];
        assert_eq!(prime.q(), source.q, "source prime {index}");
        prime.inverse_into(evaluations, source.factor, source.offset, prepared);
    }

    /// Fills the last limb of the prepared sources, when rounding is centred: the multiple of `Q` to subtract.
    ///
    /// # Panics
    /// When rounding is not centred, there is not one limb per source, or a limb has not `N` words.
    pub fn prepare_overflow(&self, prime: &NttPrime, prepared: &[&[u64]], overflow: &mut [u64]) {
        assert_eq!(
            self.rounding,
            Rounding::Centred,
            "only centred rounding has an overflow"
        );
        assert_eq!(prepared.len(), self.sources.len(), "one limb per source");
        prime.check(prepared);
        prime.check(&[overflow]);
        (prime.kernels.0.overflow)(prepared, &self.quotients, self.quotient_start, overflow);
    }

    /// `out` = the represented integers modulo target `index`, in coefficient form.
    ///
    /// # Panics
    /// When `prime` is not target `index`, there are not [`BaseConversion::n_prepared`] limbs, or one has not `N` words.
    pub fn convert(&self, index: usize, prime: &NttPrime, prepared: &[&[u64]], out: &mut [u64]) {
        let target = self.target(index, prime, prepared);
        prime.check(&[out]);
        (prime.kernels.0.convert)(prime, prepared, target, out);
    }

    /// [`BaseConversion::convert`] followed by [`NttPrime::forward`], tile by tile: what the transform reads is in the
    /// first-level cache.
    ///
    /// # Panics
    /// As [`BaseConversion::convert`].
    pub fn convert_forward(&self, index: usize, prime: &NttPrime, prepared: &[&[u64]], out: &mut [u64]) {
        let target = self.target(index, prime, prepared);
        prime.check(&[out]);
        let (shape, table) = (prime.shape, prime.kernels.0);
        with_scratch(shape.middle_words(), |middle| {
            // Until the second pass overwrites it, `out` serves as the place of one converted tile.
            let converted = &mut out[..shape.tile_words()];
            for (tile, middle) in middle
                .chunks_exact_mut(shape.middle_stride())
                .take(shape.tiles())
                .enumerate()
            {
                let mut sources: [&[u64]; MAX_TERMS] = [&[]; MAX_TERMS];
                for (source, limb) in sources.iter_mut().zip(prepared) {
                    *source = &limb[tile * shape.tile_words()..][..shape.tile_words()];
                }
                (table.convert)(prime, &sources[..prepared.len()], target, converted);
                (table.forward_tile)(prime, converted, &mut middle[..shape.tile_words()]);
            }
            prime.forward_rows(middle, out);
        });
    }

    /// The conversion to several targets, up to the first pass of their forward transforms: the sources are read tile by
    /// tile, once for all of them.
    ///
    /// # Panics
    /// As [`BaseConversion::convert`], or when a middle buffer is too short.
    pub(crate) fn convert_columns(&self, prepared: &[&[u64]], targets: &mut [ColumnTarget<'_>]) {
        let Some(first) = targets.first() else { return };
        let (shape, table) = (first.prime.shape, first.prime.kernels.0);
        let (tile_words, stride) = (shape.tile_words(), shape.middle_stride());
        for target in &*targets {
            self.target(target.index, target.prime, prepared);
        }
        with_scratch(2 * tile_words, |converted| {
            let (converted0, converted1) = converted.split_at_mut(tile_words);
            for tile in 0..shape.tiles() {
                let mut sources: [&[u64]; MAX_TERMS] = [&[]; MAX_TERMS];
                for (source, limb) in sources.iter_mut().zip(prepared) {
                    *source = &limb[tile * tile_words..][..tile_words];
                }
                let sources = &sources[..prepared.len()];
                for pair in targets.chunks_mut(2) {
                    match pair {
                        [a, b] => {
                            let constants = [&self.targets[a.index], &self.targets[b.index]];
                            let middle = [a, b].map(|t| (t.prime, &mut t.middle[tile * stride..][..tile_words]));
                            let [(prime0, middle0), (prime1, middle1)] = middle;
                            let converted = [&mut *converted0, &mut *converted1];
                            (table.convert_tiles)([prime0, prime1], sources, constants, converted, [middle0, middle1]);
                        }
                        [a] => {
                            (table.convert)(a.prime, sources, &self.targets[a.index], converted0);
                            (table.forward_tile)(a.prime, converted0, &mut a.middle[tile * stride..][..tile_words]);
                        }
                        _ => {}
                    }
                }
            }
        });
    }

    fn target(&self, index: usize, prime: &NttPrime, prepared: &[&[u64]]) -> &TargetConstants {
        let target = &self.targets[index];
        assert_eq!(prime.q(), target.q, "target prime {index}");
        assert_eq!(prepared.len(), self.n_prepared(), "all prepared limbs");
        prime.check(prepared);
        target
    }
}

/// The product of all `primes` but the one at `skipped`, modulo `m`.
fn product_except(primes: &[u64], skipped: usize, m: u64) -> u64 {
    let others = primes.iter().enumerate().filter(|&(k, _)| k != skipped);
    others.fold(1, |product, (_, &q)| mul_mod(product, q % m, m))
}

impl Source {
    fn new(primes: &[u64], index: usize) -> Self {
        let q = primes[index];
        let cofactor = product_except(primes, index, q);
        assert_ne!(cofactor, 0, "distinct source primes");
        Self {
            q,
            factor: Scalar::new(inverse_mod(cofactor, q), q),
            offset: q / 2,
        }
    }
}

impl TargetConstants {
    fn new(primes: &[u64], p: u64, rounding: Rounding) -> Self {
        let mut factors: Vec<u64> = (0..primes.len()).map(|i| product_except(primes, i, p)).collect();
        let shift = primes.iter().zip(&factors).fold(0, |sum, (&q, &factor)| {
            let part = mul_mod(q / 2 % p, factor, p);
            (sum + part) % p
        });
        let mut start = (p - shift) % p;
        if rounding == Rounding::Centred {
            let product = product_except(primes, primes.len(), p);
            // The overflow is stored with the number of sources added to it: see `quotient_start`.
            start = (start + mul_mod(primes.len() as u64 % p, product, p)) % p;
            factors.push((p - product) % p);
        }
        Self { q: p, factors, start }
    }
}
