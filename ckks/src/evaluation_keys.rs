//! The evaluation keys: relinearization and rotations, each only as deep as it is used.

use std::collections::BTreeMap;
use std::sync::Arc;

use heron_params::{KeySpec, Level, Rotation};
use zeroize::Zeroize;

use crate::context::Context;
use crate::error::EvalError;
use crate::kernels::Automorphism;
use crate::key_switch::SwitchKey;
use crate::keys::{SecretKey, encrypt_zero, uniform};
use crate::parallel::{for_each_limb, map_each, n_threads};
use crate::poly::Poly;
use crate::random::{Rng, Seed};

/// The evaluation keys of one secret. The server holds these and no secret.
pub struct EvaluationKeys {
    pub(crate) relinearize: Option<SeededSwitchKey>,
    pub(crate) rotations: BTreeMap<Rotation, RotationKey>,
}

/// A switch key with the seed that its uniform halves were expanded from.
pub(crate) struct SeededSwitchKey {
    pub(crate) seed: Seed,
    pub(crate) key: SwitchKey,
}

/// The key of a left rotation by `k`, which is the automorphism `σ = X -> X^(5^k)`.
///
/// It switches from `σ(s)` to `s`. Permuted by `σ`, the digits of a ciphertext serve every rotation, and meet keys and
/// diagonals in the order in which these are stored.
pub(crate) struct RotationKey {
    pub(crate) switch: SeededSwitchKey,
    pub(crate) automorphism: Arc<Automorphism>,
}

impl EvaluationKeys {
    /// Generates all keys that `spec` asks for, each from randomness of its own, on the threads of the pool: as many rotation keys at
    /// a time as there are threads.
    ///
    /// `progress` is told the bytes done so far, in memory, after every key; [`KeySpec::bytes`] is the total.
    ///
    /// # Errors
    /// [`EvalError::NoSuchLevel`] and [`EvalError::RotationTooLarge`] where the spec does not fit the parameters.
    pub fn generate(
        ctx: &Context,
        secret: &SecretKey,
        spec: &KeySpec,
        rng: &mut Rng,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, EvalError> {
        check_spec(ctx, spec)?;
        let mut keys = Self {
            relinearize: None,
            rotations: BTreeMap::new(),
        };
        let mut done = 0;
        let mut finished = |key: &SeededSwitchKey| {
            done += key.bytes();
            progress(done);
        };
        if let Some(level) = spec.relinearize {
            let mut square = secret.poly.clone();
            for (i, limb) in square.limbs_mut().enumerate() {
                ctx.primes()[i].mul_assign(limb, secret.poly.limb(i));
            }
            let key = SeededSwitchKey::generate(ctx, level, &square, &secret.poly, &mut rng.fork());
            square.zeroize();
            finished(&key);
            keys.relinearize = Some(key);
        }
        let rotations: Vec<(Rotation, Level)> = spec.rotations.iter().map(|(&r, &level)| (r, level)).collect();
        for batch in rotations.chunks(n_threads()) {
            let tasks = batch.iter().map(|&(rotation, level)| (rotation, level, rng.fork()));
            let made = map_each(tasks.collect(), |(rotation, level, mut rng)| {
                (rotation, RotationKey::generate(ctx, rotation, level, secret, &mut rng))
            });
            for (rotation, key) in made {
                finished(&key.switch);
                keys.rotations.insert(rotation, key);
            }
        }
        Ok(keys)
    }

    /// Which keys there are.
    pub fn spec(&self) -> KeySpec {
        KeySpec {
            relinearize: self.relinearize.as_ref().map(|key| key.key.level),
            rotations: self
                .rotations
                .iter()
                .map(|(&rotation, key)| (rotation, key.switch.key.level))
                .collect(),
        }
    }

    /// Checks that there is every key of a spec, deep enough.
    pub(crate) fn check_covers(&self, spec: &KeySpec) -> Result<(), EvalError> {
        if let Some(level) = spec.relinearize {
            self.relinearize_key(level)?;
        }
        let mut rotations = spec.rotations.iter();
        rotations.try_for_each(|(&rotation, &level)| self.rotation_key(rotation, level).map(drop))
    }

    pub(crate) fn relinearize_key(&self, level: Level) -> Result<&SwitchKey, EvalError> {
        let key = self
            .relinearize
            .as_ref()
            .map(|key| &key.key)
            .filter(|key| key.level >= level);
        key.ok_or(EvalError::MissingRelinearizeKey { level })
    }

    pub(crate) fn rotation_key(&self, rotation: Rotation, level: Level) -> Result<&RotationKey, EvalError> {
        let key = self
            .rotations
            .get(&rotation)
            .filter(|key| key.switch.key.level >= level);
        key.ok_or(EvalError::MissingRotationKey { rotation, level })
    }
}

/// Whether a spec fits the parameters.
pub(crate) fn check_spec(ctx: &Context, spec: &KeySpec) -> Result<(), EvalError> {
    let (max, slots) = (ctx.params().max_level(), ctx.params().slots().0 as usize);
    if let Some(level) = spec.levels().find(|&level| level > max) {
        return Err(EvalError::NoSuchLevel { from: max, to: level });
    }
    match spec.rotations.keys().find(|rotation| rotation.0 as usize >= slots) {
        Some(&rotation) => Err(EvalError::RotationTooLarge { rotation, slots }),
        None => Ok(()),
    }
}

/// `X -> X^(5^k)`, which rotates the slots to the left by `k`.
pub(crate) fn rotation_automorphism(ctx: &Context, rotation: Rotation) -> Automorphism {
    let order = 2 * ctx.n() as u64;
    let galois_element = (0..rotation.0).fold(1, |power, _| power * 5 % order);
    Automorphism::new(ctx.params().log_n, galois_element)
}

impl RotationKey {
    fn generate(ctx: &Context, rotation: Rotation, level: Level, secret: &SecretKey, rng: &mut Rng) -> Self {
        let automorphism = rotation_automorphism(ctx, rotation);
        // A switch key takes its source modulo the primes of its digits alone.
        let mut source = Poly::from_pool(&ctx.pool, ctx.n(), level.limbs());
        for_each_limb(&mut source, |i, out| automorphism.apply(secret.poly.limb(i), out));
        let switch = SeededSwitchKey::generate(ctx, level, &source, &secret.poly, rng);
        source.zeroize();
        Self {
            switch,
            automorphism: Arc::new(automorphism),
        }
    }

    pub(crate) fn new(ctx: &Context, rotation: Rotation, switch: SeededSwitchKey) -> Self {
        let automorphism = rotation_automorphism(ctx, rotation);
        Self {
            switch,
            automorphism: Arc::new(automorphism),
        }
    }
}

impl SeededSwitchKey {
    /// The key from one secret, over the primes of the level at least, to another over all primes.
    pub(crate) fn generate(ctx: &Context, level: Level, from: &Poly, to: &Poly, rng: &mut Rng) -> Self {
        let seed = rng.seed();
        let mut halves = [Vec::new(), Vec::new()];
        for (d, limbs) in ctx.params().digits(level).enumerate() {
            let [mut c0, c1] = encrypt_zero(ctx, level, (&seed, d as u32), to, rng);
            for i in limbs {
                ctx.prime(i)
                    .mul_scalar_add_assign(c0.limb_mut(i), from.limb(i), ctx.special_product(i));
            }
            halves[0].push(c0);
            halves[1].push(c1);
        }
        Self {
            seed,
            key: SwitchKey { level, halves },
        }
    }

    /// The key with its uniform halves expanded again.
    pub(crate) fn expand(ctx: &Context, level: Level, seed: Seed, c0: Vec<Poly>) -> Self {
        let c1 = (0..c0.len()).map(|d| uniform(ctx, level, &seed, d as u32)).collect();
        Self {
            seed,
            key: SwitchKey {
                level,
                halves: [c0, c1],
            },
        }
    }

    fn bytes(&self) -> u64 {
        let polys = self.key.halves.iter().flatten();
        polys
            .map(|poly| (poly.n_limbs() * poly.n() * size_of::<u64>()) as u64)
            .sum()
    }
}
