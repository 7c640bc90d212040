//! The client's side: encrypts samples and decrypts results.

use std::sync::Arc;

use heron_ckks::{Context, Encoder, Plaintext, PublicKey, Rng, SecretKey, decrypt, encrypt_public, encrypt_secret};
use heron_params::ScalePower;
use heron_plan::{ClientSpec, VectorLayout};

use super::{CiphertextBatch, SessionError, StoredCiphertext};
use crate::machine::State;
use crate::outputs::{Outputs, Rounding, check_outputs};
use crate::samples::{RangePolicy, Samples};

/// How to decrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecryptOptions {
    /// What to do with outputs outside the plan's bound.
    pub range: RangePolicy,
    /// Whether to keep the noise.
    pub rounding: Rounding,
}

/// A session that holds the secret key.
pub struct Client {
    encoder: SampleEncoder,
    secret: SecretKey,
}

/// A session that holds the public key: it encrypts, and cannot decrypt.
pub struct PublicClient {
    encoder: SampleEncoder,
    public: PublicKey,
}

impl Client {
    /// A session of a plan's client.
    ///
    /// # Errors
    /// [`SessionError::BadSpec`] if the description contradicts itself.
    pub fn new(spec: ClientSpec, context: Arc<Context>, secret: SecretKey) -> Result<Self, SessionError> {
        Ok(Self {
            encoder: SampleEncoder::new(spec, context)?,
            secret,
        })
    }

    /// The plan's client description.
    pub fn spec(&self) -> &ClientSpec {
        &self.encoder.spec
    }

    /// Encrypts each sample into one ciphertext under the secret key; `progress` is told how many are done.
    ///
    /// # Errors
    /// [`SessionError::Encode`] for samples that were let through out of range and are too large for the modulus.
    pub fn encrypt(
        &self,
        samples: &Samples,
        rng: &mut Rng,
        progress: &mut dyn FnMut(usize),
    ) -> Result<CiphertextBatch, SessionError> {
        let context = &self.encoder.context;
        self.encoder.batch(samples, progress, |plaintext| {
            StoredCiphertext::Seeded(encrypt_secret(context, &self.secret, plaintext, rng))
        })
    }

    /// Decrypts results, checks them against the plan's bound, and rounds them where asked. Applies nothing else: see
    /// [`crate::outputs::apply_tail`].
    ///
    /// # Errors
    /// [`SessionError::OtherPlan`], [`SessionError::CiphertextState`], [`SessionError::OutputBound`].
    pub fn decrypt(&self, batch: &CiphertextBatch, options: DecryptOptions) -> Result<Outputs, SessionError> {
        let SampleEncoder { spec, context, encoder } = &self.encoder;
        batch.check_plan(spec.plan_hash)?;
        let decrypted = batch.ciphertexts.iter().enumerate().map(|(index, stored)| {
            let found = stored.state();
            if found.power != ScalePower::One {
                let needed = State {
                    power: ScalePower::One,
                    ..found
                };
                return Err(SessionError::CiphertextState { index, found, needed });
            }
            let slots = encoder.decode(&decrypt(context, &self.secret, &stored.expand(context)));
            Ok(spec.output.layout.gather(&slots))
        });
        let values = decrypted.collect::<Result<Vec<_>, _>>()?;
        check_outputs(&spec.output, values, options.range, options.rounding)
    }
}

impl PublicClient {
    /// A session for someone who may only encrypt.
    ///
    /// # Errors
    /// [`SessionError::BadSpec`] if the description contradicts itself.
    pub fn new(spec: ClientSpec, context: Arc<Context>, public: PublicKey) -> Result<Self, SessionError> {
        Ok(Self {
            encoder: SampleEncoder::new(spec, context)?,
            public,
        })
    }

    /// The plan's client description.
    pub fn spec(&self) -> &ClientSpec {
        &self.encoder.spec
    }

    /// Encrypts each sample into one ciphertext under the public key; `progress` is told how many are done.
    ///
    /// # Errors
    /// [`SessionError::Encode`] for samples that were let through out of range and are too large for the modulus.
    pub fn encrypt(
        &self,
        samples: &Samples,
        rng: &mut Rng,
        progress: &mut dyn FnMut(usize),
    ) -> Result<CiphertextBatch, SessionError> {
        let context = &self.encoder.context;
        self.encoder.batch(samples, progress, |plaintext| {
            StoredCiphertext::Full(encrypt_public(context, &self.public, plaintext, rng))
        })
    }
}

/// What both kinds of client share: the way from samples to plaintexts.
struct SampleEncoder {
    spec: ClientSpec,
    context: Arc<Context>,
    encoder: Encoder,
}

impl SampleEncoder {
    fn new(spec: ClientSpec, context: Arc<Context>) -> Result<Self, SessionError> {
        let bad = |reason| SessionError::BadSpec { reason };
        if spec.params != *context.params() {
            return Err(bad("its parameters are not those of the keys"));
        }
        let slots = spec.params.slots();
        let fits = |layout: VectorLayout, shape: &[usize]| {
            let elements = shape.iter().try_fold(1usize, |n, &len| n.checked_mul(len));
            elements == Some(layout.len as usize) && layout.fits(slots)
        };
        if !fits(spec.input.layout, &spec.input.shape) {
            return Err(bad("the layout of the input does not fit its shape"));
        }
        if !fits(spec.output.layout, &spec.output.shape) {
            return Err(bad("the layout of the output does not fit its shape"));
        }
        Ok(Self {
            spec,
            encoder: Encoder::new(context.clone()),
            context,
        })
    }

    fn batch(
        &self,
        samples: &Samples,
        progress: &mut dyn FnMut(usize),
        mut encrypt: impl FnMut(&Plaintext) -> StoredCiphertext,
    ) -> Result<CiphertextBatch, SessionError> {
        let params = self.context.params();
        let layout = self.spec.input.layout;
        let mut ciphertexts = Vec::with_capacity(samples.values.len());
        for sample in &samples.values {
            if sample.len() != layout.len as usize {
                let (found, accepted) = (vec![sample.len()], self.spec.input.shape.clone());
                return Err(SessionError::Shape {
                    input: self.spec.input.name.clone(),
                    found,
                    accepted,
                });
            }
            let slots = layout.spread(sample, params.slots().0 as usize);
            let plaintext = self.encoder.encode(&slots, params.max_level(), ScalePower::One)?;
            ciphertexts.push(encrypt(&plaintext));
            progress(ciphertexts.len());
        }
        Ok(CiphertextBatch {
            plan_hash: self.spec.plan_hash,
            ciphertexts,
        })
    }
}
