//! The keys of a bootstrap beyond relinearization and rotations, which a network shares: conjugation, and the raise.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use heron_params::Level;
use heron_params::bootstrap::BootstrapParams;
use zeroize::Zeroize;

use super::raise_keys::{RaiseKeys, ephemeral_ring};
use crate::context::Context;
use crate::error::{EvalError, ReadError};
use crate::evaluation_keys::{RotationKey, SeededSwitchKey};
use crate::kernels::Automorphism;
use crate::keys::SecretKey;
use crate::random::Rng;
use crate::serial::{read_digits, read_switch_key, write_switch_key};

/// The keys that one bootstrap variant needs beside [`EvaluationKeys`](crate::EvaluationKeys). The server holds these and no secret.
pub struct BootstrapKeys {
    pub(super) conjugation: RotationKey,
    pub(super) raise: RaiseKeys,
}

impl BootstrapKeys {
    /// Generates the keys of a variant; `ctx` is the ring of its chain. The ephemeral secret is wiped before this returns.
    ///
    /// The relinearization and rotation keys are those of [`key_spec`](BootstrapParams::key_spec), generated for themselves, together with
    /// what the network needs.
    ///
    /// # Cost
    /// [`own_bytes`](heron_params::bootstrap::BootstrapKeySpec::own_bytes).
    ///
    /// # Errors
    /// [`EvalError::OtherParameters`] if the ring is another one.
    pub fn generate(
        ctx: &Context,
        secret: &SecretKey,
        params: &BootstrapParams,
        rng: &mut Rng,
    ) -> Result<Self, EvalError> {
        if ctx.params() != params.chain() {
            return Err(EvalError::OtherParameters);
        }
        let spec = params.key_spec();
        Ok(Self {
            conjugation: conjugation_key(ctx, secret, spec.conjugation, &mut rng.fork()),
            raise: RaiseKeys::generate(ctx, secret, spec.raise, &spec.raised, &mut rng.fork())?,
        })
    }

    /// Writes the keys: of conjugation, to the sparse secret, from it by ascending rotations; each its seed and the limbs of its first
    /// halves.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, out: &mut impl Write) -> std::io::Result<()> {
        let raise = &self.raise;
        let from_sparse = raise.from_sparse.values().map(|key| &key.switch);
        let mut keys = [&self.conjugation.switch, &raise.to_sparse]
            .into_iter()
            .chain(from_sparse);
        keys.try_for_each(|key| write_switch_key(out, key))
    }

    /// Reads the keys of a variant, whose ring is `ctx`.
    ///
    /// # Errors
    /// [`ReadError`]: the source fails or ends, the variant is of another ring, a residue is not below its prime.
    pub fn read_from(input: &mut impl Read, ctx: &Context, params: &BootstrapParams) -> Result<Self, ReadError> {
        let other_ring = ReadError::Malformed {
            what: "bootstrap keys",
            reason: "they are of another ring",
        };
        if ctx.params() != params.chain() {
            return Err(other_ring);
        }
        let spec = params.key_spec();
        let ephemeral = ephemeral_ring(ctx).map_err(|_| other_ring)?;
        let switch = read_switch_key(input, ctx, spec.conjugation)?;
        let conjugation = RotationKey {
            switch,
            automorphism: Arc::new(conjugation(ctx)),
        };
        let to_sparse = read_switch_key(input, &ephemeral, Level(0))?;
        let mut from_sparse = BTreeMap::new();
        for &rotation in &spec.raised {
            let switch = read_digits(input, ctx, spec.raise, 1)?;
            from_sparse.insert(rotation, RotationKey::new(ctx, rotation, switch));
        }
        Ok(Self {
            conjugation,
            raise: RaiseKeys {
                to_sparse,
                from_sparse,
                ephemeral,
            },
        })
    }
}

/// `X -> X^-1`.
fn conjugation(ctx: &Context) -> Automorphism {
    Automorphism::new(ctx.params().log_n, 2 * ctx.n() as u64 - 1)
}

fn conjugation_key(ctx: &Context, secret: &SecretKey, level: Level, rng: &mut Rng) -> RotationKey {
    let automorphism = conjugation(ctx);
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
