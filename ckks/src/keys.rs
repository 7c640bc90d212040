//! The secret key and the public key.

use heron_params::Level;
use zeroize::{Zeroize, Zeroizing};

use crate::context::Context;
use crate::kernels::coefficient_index;
use crate::memory::wipe_scratch;
use crate::parallel::{for_each_limb, for_each_limb_pair};
use crate::poly::Poly;
use crate::random::{Rng, Seed};
use crate::samplers::ternary;

/// A uniform ternary secret. Wiped when dropped; has no `Debug`.
pub struct SecretKey {
    /// The coefficients, in the order of the kernels.
    coefficients: Zeroizing<Vec<i8>>,
    /// In evaluation form, modulo all primes.
    pub(crate) poly: Poly,
}

impl SecretKey {
    /// A fresh secret.
    pub fn generate(ctx: &Context, rng: &mut Rng) -> Self {
        Self::from_coefficients(ctx, ternary(rng, ctx.n()))
    }

    pub(crate) fn from_coefficients(ctx: &Context, coefficients: Zeroizing<Vec<i8>>) -> Self {
        let poly = secret_poly(ctx, ctx.params().max_level(), &coefficients);
        Self { coefficients, poly }
    }

    /// The coefficients, in the order of the kernels.
    pub(crate) fn coefficients(&self) -> &[i8] {
        &self.coefficients
    }

    /// The coefficients of `X^0, X^1, …`.
    pub(crate) fn natural_coefficients(&self) -> Zeroizing<Vec<i8>> {
        let log_n = self.poly.n().trailing_zeros();
        Zeroizing::new(
            (0..self.poly.n())
                .map(|i| self.coefficients[coefficient_index(log_n, i)])
                .collect(),
        )
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.poly.zeroize();
    }
}

/// A public key: an encryption of zero over the largest basis, its uniform half kept as a seed.
pub struct PublicKey {
    /// In evaluation form, over the basis of the top level.
    pub(crate) c0: Poly,
    pub(crate) c1: Poly,
    pub(crate) seed: Seed,
}

impl PublicKey {
    /// A fresh public key of a secret.
    pub fn generate(ctx: &Context, secret: &SecretKey, rng: &mut Rng) -> Self {
        let level = ctx.params().max_level();
        let seed = rng.seed();
        let [c0, c1] = encrypt_zero(ctx, level, (&seed, 0), &secret.poly, rng);
        Self { c0, c1, seed }
    }
}

/// Small secret coefficients in evaluation form over the basis of a level.
pub(crate) fn secret_poly(ctx: &Context, level: Level, coefficients: &[i8]) -> Poly {
    let mut poly = Poly::zeroed(ctx.n(), ctx.basis_len(level));
    for_each_limb(&mut poly, |position, limb| {
        let prime = ctx.basis_prime(level, position);
        prime.reduce_small(coefficients, limb);
        prime.forward(limb);
        wipe_scratch();
    });
    poly
}

/// The uniform polynomial of a seed over the basis of a level; `stream` tells the polynomials of one seed apart.
pub(crate) fn uniform(ctx: &Context, level: Level, seed: &Seed, stream: u32) -> Poly {
    let mut poly = Poly::zeroed(ctx.n(), ctx.basis_len(level));
    for_each_limb(&mut poly, |position, limb| {
        let index = ctx.basis_index(level, position);
        seed.expand(
            ctx.kernels(),
            u64::from(stream) << 32 | index as u64,
            ctx.primes()[index].q(),
            limb,
        );
    });
    poly
}

/// A fresh encryption of zero over the basis of a level, for a secret over all primes: its halves, the second expanded from
/// a stream of the seed.
pub(crate) fn encrypt_zero(
    ctx: &Context,
    level: Level,
    (seed, stream): (&Seed, u32),
    secret: &Poly,
    rng: &mut Rng,
) -> [Poly; 2] {
    let error = ctx.gaussian.sample(rng, ctx.n());
    let [mut c0, mut c1] = [0, 1].map(|_| Poly::zeroed(ctx.n(), ctx.basis_len(level)));
    for_each_limb_pair(&mut c0, &mut c1, |position, c0, c1| {
        let index = ctx.basis_index(level, position);
        let prime = &ctx.primes()[index];
        seed.expand(ctx.kernels(), u64::from(stream) << 32 | index as u64, prime.q(), c1);
        // -(a s + e): the sign of an error means nothing.
        prime.reduce_small(&error, c0);
        prime.forward(c0);
        wipe_scratch();
        prime.mul_add_assign(c0, c1, secret.limb(index));
        prime.neg_assign(c0);
    });
    [c0, c1]
}
