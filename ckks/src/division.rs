//! Exact division with rounding in residue form: rescale, ModDown, and both at once.

use crate::kernels::{BaseConversion, NttPrime, Rounding, Scalar};
use crate::memory::Pool;
use crate::parallel::{for_each_limb, join};
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
        let n = prime(0).degree();
        let mut out = Poly::from_pool(pool, n, self.n_kept());
        for_each_limb(&mut out, |i, out| {
            let mut remainder = pool.take(n);
            match &self.remainder {
                Remainder::Single => {
                    prime(i).reduce_centred(prime(self.divisors[0]), prepared[0], &mut remainder);
                    prime(i).forward(&mut remainder);
                }
                Remainder::Converted(conversion) => {
                    conversion.convert_forward(i, prime(i), &prepared, &mut remainder);
                }
            }
            out.copy_from_slice(limb(i));
            prime(i).sub_mul_scalar_assign(out, &remainder, self.inverses[i]);
        });
        out
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
