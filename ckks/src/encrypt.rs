//! Encryption under the secret and under the public key, and decryption.

use heron_params::Level;
use zeroize::Zeroize;

use crate::ciphertext::{Ciphertext, Plaintext, SeededCiphertext};
use crate::context::Context;
use crate::keys::{PublicKey, SecretKey, secret_poly};
use crate::memory::wipe_scratch;
use crate::parallel::for_each_limb;
use crate::poly::Poly;
use crate::random::{Rng, Seed};
use crate::samplers::ternary;
use crate::stack::{Row, Stack};

/// Encrypts under the secret key. The uniform half is a seed: expand it with [`SeededCiphertext::expand`].
pub fn encrypt_secret(ctx: &Context, secret: &SecretKey, plaintext: &Plaintext, rng: &mut Rng) -> SeededCiphertext {
    let level = plaintext.level;
    let seed = rng.seed();
    let c1 = uniform_half(ctx, level, &seed);
    let error = ctx.gaussian.sample(rng, ctx.n());
    let mut c0 = Poly::from_pool(&ctx.pool, ctx.n(), level.limbs());
    for_each_limb(&mut c0, |i, limb| {
        let prime = ctx.prime(i);
        // m - (a s + e): the sign of an error means nothing.
        prime.reduce_small(&error, limb);
        prime.forward(limb);
        prime.mul_add_assign(limb, c1.limb(i), secret.poly.limb(i));
        prime.neg_assign(limb);
        prime.add_assign(limb, plaintext.poly.limb(i));
        // Whoever knows the error and the message knows the secret.
        wipe_scratch();
    });
    SeededCiphertext {
        level,
        power: plaintext.power,
        c0,
        seed,
    }
}

/// Encrypts under the public key: samples over the basis with the special primes and divides by them, so that the noise
/// is little more than that of one rounding.
pub fn encrypt_public(ctx: &Context, public: &PublicKey, plaintext: &Plaintext, rng: &mut Rng) -> Ciphertext {
    let level = plaintext.level;
    let n = ctx.n();
    let mut mask = secret_poly(ctx, level, &ternary(rng, n));
    let mut errors = [0, 1].map(|_| secret_poly(ctx, level, &ctx.gaussian.sample(rng, n)));
    let mut raised = Stack::from_pool(&ctx.pool, n, ctx.basis_len(level), 2);
    raised.for_each_row(|position, mut row: Row<'_>| {
        let index = ctx.basis_index(level, position);
        for (out, (key, error)) in row
            .pair_mut(0)
            .into_iter()
            .zip([&public.c0, &public.c1].into_iter().zip(&errors))
        {
            out.copy_from_slice(error.limb(position));
            ctx.primes()[index].mul_add_assign(out, key.limb(index), mask.limb(position));
        }
    });
    mask.zeroize();
    errors.iter_mut().for_each(Zeroize::zeroize);
    let division = &ctx.level(level).mod_down;
    let prime = |position| ctx.basis_prime(level, position);
    let (mut c0, c1) = division.divide_pair(&ctx.pool, prime, |half, position| raised.limb(position, half));
    for_each_limb(&mut c0, |i, limb| ctx.prime(i).add_assign(limb, plaintext.poly.limb(i)));
    Ciphertext {
        level,
        power: plaintext.power,
        c0,
        c1,
    }
}

/// Decrypts to a plaintext of the same level and scale; [`Encoder::decode`](crate::Encoder::decode) gives the values.
pub fn decrypt(ctx: &Context, secret: &SecretKey, ciphertext: &Ciphertext) -> Plaintext {
    let mut poly = ciphertext.c0.clone();
    for_each_limb(&mut poly, |i, limb| {
        ctx.prime(i)
            .mul_add_assign(limb, ciphertext.c1.limb(i), secret.poly.limb(i));
    });
    Plaintext {
        level: ciphertext.level,
        power: ciphertext.power,
        poly,
    }
}

impl SeededCiphertext {
    /// The ciphertext, with its uniform half expanded.
    pub fn expand(&self, ctx: &Context) -> Ciphertext {
        let (level, power) = (self.level, self.power);
        Ciphertext {
            level,
            power,
            c0: self.c0.clone(),
            c1: uniform_half(ctx, level, &self.seed),
        }
    }
}

fn uniform_half(ctx: &Context, level: Level, seed: &Seed) -> Poly {
    let mut poly = Poly::from_pool(&ctx.pool, ctx.n(), level.limbs());
    for_each_limb(&mut poly, |i, limb| {
        seed.expand(ctx.kernels(), i as u64, ctx.prime(i).q(), limb);
    });
    poly
}
