//! The keys of a bootstrap.
//!
//! Besides relinearization and rotations there are three: conjugation; from the secret to an ephemeral sparse one, modulo `q_0` and one
//! special prime; and back from there, over the whole basis. The last reads a ciphertext whose coefficients are below
//! `q_0`, so that one digit holds it.

use std::sync::Arc;

use heron_params::bootstrap::{BootstrapParams, EPHEMERAL_WEIGHT};
use heron_params::{CkksParams, Level};
use zeroize::Zeroize;

use super::sparse_secret::sparse_ternary;
use crate::context::Context;
use crate::error::EvalError;
use crate::evaluation_keys::{EvaluationKeys, RotationKey, SeededSwitchKey};
use crate::kernels::Automorphism;
use crate::key_switch::SwitchKey;
use crate::keys::{SecretKey, encrypt_zero, secret_poly};
use crate::poly::Poly;
use crate::random::Rng;

/// The keys of one bootstrap variant. The server holds these and no secret.
pub struct BootstrapKeys {
    pub(super) evaluation: Arc<EvaluationKeys>,
    pub(super) conjugation: RotationKey,
    pub(super) to_sparse: SwitchKey,
    pub(super) from_sparse: SwitchKey,
    /// The ring of `q_0` and one special prime, in which `to_sparse` works.
    pub(super) ephemeral: Arc<Context>,
}

impl BootstrapKeys {
    /// Generates the keys of a variant; `ctx` is the ring of its chain. The ephemeral secret is wiped before this returns.
    ///
    /// `progress` is told the bytes done so far, in memory; [`heron_params::bootstrap::BootstrapKeySpec::bytes`] is the total.
    ///
    /// # Errors
    /// [`EvalError::OtherParameters`] if the ring is another one.
    pub fn generate(
        ctx: &Context,
        secret: &SecretKey,
        params: &BootstrapParams,
        rng: &mut Rng,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, EvalError> {
        if ctx.params() != params.chain() {
            return Err(EvalError::OtherParameters);
        }
        let spec = params.key_spec();
        let evaluation = EvaluationKeys::generate(ctx, secret, &spec.evaluation, rng, progress)?;
        let conjugation = conjugation_key(ctx, secret, spec.conjugation, rng);
        let ephemeral = ephemeral_ring(ctx)?;
        let mut sparse = SecretKey::from_coefficients(&ephemeral, sparse_ternary(rng, ctx.n(), EPHEMERAL_WEIGHT));
        let mut dense = secret_poly(&ephemeral, Level(0), secret.coefficients());
        let to_sparse = SeededSwitchKey::generate(&ephemeral, Level(0), &dense, &sparse.poly, rng).key;
        let mut raised_sparse = secret_poly(ctx, spec.raise, sparse.coefficients());
        let from_sparse = single_digit_key(ctx, spec.raise, &raised_sparse, secret, rng);
        [&mut dense, &mut raised_sparse, &mut sparse.poly]
            .into_iter()
            .for_each(Zeroize::zeroize);
        progress(spec.bytes(ctx.params(), false));
        Ok(Self {
            evaluation: Arc::new(evaluation),
            conjugation,
            to_sparse,
            from_sparse,
            ephemeral,
        })
    }

    /// Relinearization and rotations.
    pub fn evaluation(&self) -> &Arc<EvaluationKeys> {
        &self.evaluation
    }
}

/// The ring of `q_0` and the first special prime.
fn ephemeral_ring(ctx: &Context) -> Result<Arc<Context>, EvalError> {
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

fn conjugation_key(ctx: &Context, secret: &SecretKey, level: Level, rng: &mut Rng) -> RotationKey {
    let automorphism = Automorphism::new(ctx.params().log_n, 2 * ctx.n() as u64 - 1);
    let mut source = secret.poly.clone();
    for (out, limb) in source.limbs_mut().zip(secret.poly.limbs()) {
        automorphism.apply(limb, out);
    }
    let switch = SeededSwitchKey::generate(ctx, level, &source, &secret.poly, rng);
    source.zeroize();
    RotationKey {
        switch,
        automorphism: Arc::new(automorphism),
    }
}

/// A key for polynomials with coefficients below one prime: `P · from` modulo every ciphertext prime.
fn single_digit_key(ctx: &Context, level: Level, from: &Poly, to: &SecretKey, rng: &mut Rng) -> SwitchKey {
    let seed = rng.seed();
    let [mut c0, c1] = encrypt_zero(ctx, level, (&seed, 0), &to.poly, rng);
    for i in 0..level.limbs() {
        ctx.prime(i)
            .mul_scalar_add_assign(c0.limb_mut(i), from.limb(i), ctx.special_product(i));
    }
    SwitchKey {
        level,
        halves: [vec![c0], vec![c1]],
    }
}
