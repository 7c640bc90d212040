//! The keys of the raise: from the secret to an ephemeral sparse one, modulo `q_0` and one special prime; and back from there, over
//! the whole basis, under the identity and under the rotations of the transform that reads the raised ciphertext first. The way back reads
//! a ciphertext whose coefficients are below `q_0`, so that one digit holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use heron_params::bootstrap::EPHEMERAL_WEIGHT;
use heron_params::{CkksParams, Level, Rotation};
use zeroize::Zeroize;

use super::sparse_secret::sparse_ternary;
use crate::context::Context;
use crate::error::EvalError;
use crate::evaluation_keys::{RotationKey, SeededSwitchKey, rotation_automorphism};
use crate::key_switch::SwitchKey;
use crate::keys::{SecretKey, encrypt_zero, secret_poly};
use crate::parallel::{for_each_limb, map_each};
use crate::poly::Poly;
use crate::random::Rng;

/// The keys of the raise, and the ring that the first of them works in.
pub(super) struct RaiseKeys {
    pub(super) to_sparse: SeededSwitchKey,
    /// From the rotated sparse secret, one digit each.
    pub(super) from_sparse: BTreeMap<Rotation, RotationKey>,
    /// The ring of `q_0` and one special prime.
    pub(super) ephemeral: Arc<Context>,
}

impl RaiseKeys {
    /// Generates all keys around a fresh sparse secret, which is wiped before this returns. The raised ciphertext, at level `to`, can
    /// be read under the given rotations.
    pub(super) fn generate(
        ctx: &Context,
        secret: &SecretKey,
        to: Level,
        rotations: &BTreeSet<Rotation>,
        rng: &mut Rng,
    ) -> Result<Self, EvalError> {
        let ephemeral = ephemeral_ring(ctx)?;
        let mut sparse = SecretKey::from_coefficients(&ephemeral, sparse_ternary(rng, ctx.n(), EPHEMERAL_WEIGHT));
        let mut dense = secret_poly(&ephemeral, Level(0), secret.coefficients());
        let to_sparse = SeededSwitchKey::generate(&ephemeral, Level(0), &dense, &sparse.poly, rng);
        let mut raised_sparse = secret_poly(ctx, to, sparse.coefficients());
        let tasks = rotations.iter().map(|&rotation| (rotation, rng.fork()));
        let from_sparse = map_each(tasks.collect(), |(rotation, mut rng)| {
            let automorphism = rotation_automorphism(ctx, rotation);
            let mut source = Poly::from_pool(&ctx.pool, ctx.n(), to.limbs());
            for_each_limb(&mut source, |i, out| automorphism.apply(raised_sparse.limb(i), out));
            let switch = single_digit_key(ctx, to, &source, secret, &mut rng);
            source.zeroize();
            let automorphism = Arc::new(automorphism);
            (rotation, RotationKey { switch, automorphism })
        });
        [&mut dense, &mut raised_sparse, &mut sparse.poly]
            .into_iter()
            .for_each(Zeroize::zeroize);
        Ok(Self {
            to_sparse,
            from_sparse: from_sparse.into_iter().collect(),
            ephemeral,
        })
    }

    /// The key under which the raised ciphertext is read with a rotation.
    pub(super) fn lifted_key(&self, rotation: Rotation, level: Level) -> Result<&RotationKey, EvalError> {
        let key = self.from_sparse.get(&rotation);
        key.ok_or(EvalError::MissingRotationKey { rotation, level })
    }
}

/// The ring of `q_0` and the first special prime.
pub(super) fn ephemeral_ring(ctx: &Context) -> Result<Arc<Context>, EvalError> {
    let chain = ctx.params();
    let params = CkksParams {
        log_n: chain.log_n,
        log_scale: chain.log_scale,
        q: chain.q[..1].to_vec(),
        p: chain.p[..1].to_vec(),
        digit_len: 1,
    };
    Context::new(params, ctx.kernels()).map_err(|_| EvalError::OtherParameters)
}

/// A key for polynomials with coefficients below one prime: `P · from` modulo every ciphertext prime.
fn single_digit_key(ctx: &Context, level: Level, from: &Poly, to: &SecretKey, rng: &mut Rng) -> SeededSwitchKey {
    let seed = rng.seed();
    let [mut c0, c1] = encrypt_zero(ctx, level, (&seed, 0), &to.poly, rng);
    for i in 0..level.limbs() {
        ctx.prime(i)
            .mul_scalar_add_assign(c0.limb_mut(i), from.limb(i), ctx.special_product(i));
    }
    SeededSwitchKey {
        seed,
        key: SwitchKey {
            level,
            halves: [vec![c0], vec![c1]],
        },
    }
}
