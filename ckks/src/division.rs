//! Exact division with rounding in residue form: rescale, ModDown, and both at once.

use crate::kernels::{BaseConversion, ColumnTarget, NttPrime, Rounding, Scalar};
use crate::memory::Pool;
use crate::parallel::{for_each_limb, for_each_limb_group, join};
use crate::poly::Poly;

/// The division of polynomials over some basis by the product `D` of a few of its primes, to the nearest integer.
///
/// `x -> (x - [x]_D) / D` with the centred remainder `[x]_D`: the rounding error is uniform in `[-1/2, 1/2]`.
///
/// # Source
/// J. H. Cheon et al., *A full RNS variant of approximate homomorphic encryption* (ePrint 2018/931), section 4.1; with
/// the exact remainder of ePrint 2018/117, section 2.
pub(crate) struct Division {
    /// Positions of the divided-away primes in the basis.
    divisors: Vec<usize>,
    remainder: Remainder,
    /// For every remaining prime, which come first in the basis: `1 / D`.
    inverses: Vec<Scalar>,
}

/// How the remainder is carried to the remaining primes.
enum Remainder {
    /// One divisor: the centred remainder is at hand.
    Single,
    /// Several divisors: by base conversion.
    Converted(BaseConversion),
}

impl Division {
    /// Division by the primes at `divisors`, which are the last ones of the basis.
    pub(crate) fn new(basis: &[&NttPrime], divisors: &[usize]) -> Self {
        let kept = &basis[..divisors[0]];
        let sources: Vec<&NttPrime> = divisors.iter().map(|&position| basis[position]).collect();
        let inverse = |prime: &&NttPrime| {
            let product = sources
                .iter()
                .fold(1, |product, source| prime.product(product, source.q()));
            prime.scalar(prime.inverse_of(product))
        };
        let remainder = match sources.len() {
            1 => Remainder::Single,
            _ => Remainder::Converted(BaseConversion::new(&sources, kept, Rounding::Centred)),
        };
        Self {
            divisors: divisors.to_vec(),
            remainder,
            inverses: kept.iter().map(inverse).collect(),
        }
    }

    /// How many limbs remain.
    pub(crate) fn n_kept(&self) -> usize {
        self.inverses.len()
    }

    /// Divides one polynomial in evaluation form, whose limb at a position of the basis is `limb(position)` modulo
    /// `prime(position)`.
    pub(crate) fn divide<'a>(
        &self,
        pool: &Pool,
        prime: impl Fn(usize) -> &'a NttPrime + Sync,
        limb: impl Fn(usize) -> &'a [u64] + Sync,
    ) -> Poly {
        let prepared = self.prepare(pool, &prime, &limb);
        let prepared: Vec<&[u64]> = prepared.limbs().collect();
        let (n, middle_words) = (prime(0).degree(), prime(0).middle_words());
        let mut out = Poly::from_pool(pool, n, self.n_kept());
        for_each_limb_group(&mut out, self.group_len(), |first, limbs| {
            let mut middles = pool.take(limbs.len() * middle_words);
            match &self.remainder {
                Remainder::Single => {
                    for (slot, middle) in middles.chunks_exact_mut(middle_words).enumerate() {
                        prime(first + slot).reduce_centred_columns(prime(self.divisors[0]), prepared[0], middle);
                    }
                }
                Remainder::Converted(conversion) => {
                    let target = |(slot, middle)| ColumnTarget {
                        index: first + slot,
                        prime: prime(first + slot),
                        middle,
                    };
                    let targets = middles.chunks_exact_mut(middle_words).enumerate();
                    conversion.convert_columns(&prepared, &mut targets.map(target).collect::<Vec<_>>());
                }
            }
            let remainders = middles.chunks_exact(middle_words);
            for (i, (out, remainder)) in (first..).zip(limbs.into_limbs().zip(remainders)) {
                prime(i).divide(remainder, limb(i), self.inverses[i], out);
            }
        });
        out
    }

    /// How many limbs to work on at once: conversions read their sources once for two primes; larger groups would push what
    /// they share out of the second-level cache (measured equal or slower from 4 on, at `N = 2^15` and `2^16`).
    fn group_len(&self) -> usize {
        match &self.remainder {
            Remainder::Single => 1,
            Remainder::Converted(_) => 2,
        }
    }

    /// The remainder in coefficient form, as the conversion reads it.
    fn prepare<'a>(
        &self,
        pool: &Pool,
        prime: &(impl Fn(usize) -> &'a NttPrime + Sync),
        limb: &(impl Fn(usize) -> &'a [u64] + Sync),
    ) -> Poly {
        let n = prime(0).degree();
        match &self.remainder {
            Remainder::Single => {
                let position = self.divisors[0];
                let mut prepared = Poly::from_pool(pool, n, 1);
                prime(position).inverse_into(limb(position), prime(position).scalar(1), 0, prepared.limb_mut(0));
                prepared
            }
            Remainder::Converted(conversion) => {
                let mut prepared = Poly::from_pool(pool, n, conversion.n_prepared());
                for_each_limb(&mut prepared, |i, out| {
                    if let Some(&position) = self.divisors.get(i) {
                        conversion.prepare(i, prime(position), limb(position), out);
                    }
                });
                let (sources, overflow) = prepared.split_last_limb_mut();
                conversion.prepare_overflow(prime(0), &sources, overflow);
                prepared
            }
        }
    }

    /// Divides two polynomials, on two threads where there are two.
    pub(crate) fn divide_pair<'a>(
        &self,
        pool: &Pool,
        prime: impl Fn(usize) -> &'a NttPrime + Sync,
        limb: impl Fn(usize, usize) -> &'a [u64] + Sync,
    ) -> (Poly, Poly) {
        join(
            || self.divide(pool, &prime, |position| limb(0, position)),
            || self.divide(pool, &prime, |position| limb(1, position)),
        )
    }
}
