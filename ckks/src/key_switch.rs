//! Hybrid key switching: from `c · s'` to a pair under `s`, through digits and special primes.
//!
//! A polynomial is cut into digits by ranges of primes; each digit is carried to the whole basis (ModUp), multiplied by its
//! part of the key, and the sum is divided by the product of the special primes (ModDown).
//!
//! Source: K. Han, D. Ki, *Better bootstrapping for approximate homomorphic encryption* (ePrint 2019/688), section 3. Keys
//! hold `P` modulo the primes of their digit and 0 modulo the others, which makes a key valid at every lower level.

use heron_params::Level;

use crate::context::Context;
use crate::kernels::{MAX_TERMS, NttPrime};
use crate::lazy_sum::{Fill, LazySum, LimbRefs};
use crate::memory::Words;
use crate::parallel::for_each_limb;
use crate::poly::Poly;
use crate::stack::{Row, Stack};

/// A key that switches from one secret to another, at its level and below.
pub(crate) struct SwitchKey {
    pub(crate) level: Level,
    /// For each half, one polynomial per digit over the basis of the level.
    pub(crate) halves: [Vec<Poly>; 2],
}

/// A polynomial in evaluation form, with its digits ready to be carried to any prime.
pub(crate) struct Decomposition<'a> {
    ctx: &'a Context,
    level: Level,
    /// The polynomial itself: its own residues are those of its digits.
    own: &'a Poly,
    prepared: Poly,
}

/// The digits of a decomposition modulo one prime of the basis.
pub(crate) struct ExtendedDigits<'a> {
    extended: Words,
    own: Option<(usize, &'a [u64])>,
    n: usize,
    n_digits: usize,
}

impl ExtendedDigits<'_> {
    fn digit(&self, index: usize) -> &[u64] {
        match self.own {
            Some((own, limb)) if own == index => limb,
            Some(_) | None => &self.extended[index * self.n..][..self.n],
        }
    }
}

impl<'a> Decomposition<'a> {
    /// Decomposes a polynomial of a level.
    pub(crate) fn new(ctx: &'a Context, level: Level, own: &'a Poly) -> Self {
        let mut prepared = Poly::from_pool(&ctx.pool, ctx.n(), level.limbs());
        let digits = &ctx.level(level).digits;
        for_each_limb(&mut prepared, |i, out| {
            let digit = &digits[i / ctx.params().digit_len as usize];
            digit.prepare(i, ctx.prime(i), own.limb(i), out);
        });
        Self {
            ctx,
            level,
            own,
            prepared,
        }
    }

    /// Carries all digits to the prime at a position of the basis.
    pub(crate) fn extend(&self, position: usize) -> ExtendedDigits<'_> {
        let (ctx, n) = (self.ctx, self.ctx.n());
        let digits = &ctx.level(self.level).digits;
        let mut extended = ctx.pool.take(digits.len() * n);
        let mut own = None;
        for (index, digit) in digits.iter().enumerate() {
            let mut prepared = LimbRefs::new();
            digit.limbs.clone().for_each(|i| prepared.push(self.prepared.limb(i)));
            let out = &mut extended[index * n..][..n];
            if !digit.extend(
                position,
                ctx.basis_prime(self.level, position),
                prepared.as_slice(),
                out,
            ) {
                own = Some((index, self.own.limb(position)));
            }
        }
        ExtendedDigits {
            extended,
            own,
            n,
            n_digits: digits.len(),
        }
    }

    /// The products with a key over the basis: a stack of the two halves, still times the special primes.
    pub(crate) fn switch(&self, key: &SwitchKey) -> Stack {
        let ctx = self.ctx;
        let mut out = Stack::from_pool(&ctx.pool, ctx.n(), ctx.basis_len(self.level), 2);
        out.for_each_row(|position, mut row: Row<'_>| {
            let prime = ctx.basis_prime(self.level, position);
            key.inner_product(
                ctx,
                self.level,
                position,
                prime,
                &self.extend(position),
                row.pair_mut(0),
            );
        });
        out
    }
}

impl SwitchKey {
    /// `out[h] = Σ digit_d · half_h,d` modulo one prime of the basis of a level at or below the key's.
    pub(crate) fn inner_product(
        &self,
        ctx: &Context,
        level: Level,
        position: usize,
        prime: &NttPrime,
        digits: &ExtendedDigits<'_>,
        out: [&mut [u64]; 2],
    ) {
        let key_position = if position < level.limbs() {
            position
        } else {
            position - level.limbs() + self.level.limbs()
        };
        let [out0, out1] = out;
        for start in (0..digits.n_digits).step_by(MAX_TERMS) {
            let mut sum = LazySum::new();
            for d in start..digits.n_digits.min(start + MAX_TERMS) {
                sum.push(
                    digits.digit(d),
                    [0, 1].map(|half| self.halves[half][d].limb(key_position)),
                );
            }
            sum.finish(prime, &ctx.pool, Fill::of_chunk(start), [&mut *out0, &mut *out1]);
        }
    }
}
