//! The client's side: quantizes and encrypts, decrypts and dequantizes.

use heron_plan::Digest;
use heron_plan::tfhe::TfheClientSpec;
use tfhe::core_crypto::commons::math::random::Seed;
use tfhe::core_crypto::prelude::{
    CiphertextModulus, LweCiphertext, LweDimension, PlaintextList, SeededLweCiphertextList, decrypt_lwe_ciphertext,
    encrypt_seeded_lwe_ciphertext_list,
};

use super::keys::{TfheRandomness, TfheSecretKey, gaussian};
use super::values::{EncryptedInput, EncryptedOutput, SeededVector, TfheBatch, decode, encode};
use crate::samples::Samples;
use crate::sessions::SessionError;

/// A session that encrypts inputs and decrypts outputs of one plan.
pub struct TfheClient {
    spec: TfheClientSpec,
    key: TfheSecretKey,
}

impl TfheClient {
    /// A session of a plan's client.
    ///
    /// # Errors
    /// [`SessionError::BadSpec`] for a key of other parameters.
    pub fn new(spec: TfheClientSpec, key: TfheSecretKey) -> Result<Self, SessionError> {
        if *key.params() != spec.params {
            return Err(SessionError::BadSpec {
                reason: "its parameters are not those of the key",
            });
        }
        Ok(Self { spec, key })
    }

    /// What the session was made from.
    pub fn spec(&self) -> &TfheClientSpec {
        &self.spec
    }

    /// Quantizes and encrypts samples; `progress` is told how many are done.
    ///
    /// # Errors
    /// [`SessionError::Shape`] for samples of another length.
    pub fn encrypt(
        &self,
        samples: &Samples,
        randomness: &mut TfheRandomness,
        progress: &mut dyn FnMut(usize),
    ) -> Result<TfheBatch<EncryptedInput>, SessionError> {
        let quantized = &self.spec.quantized_input;
        let mut encrypted = Vec::with_capacity(samples.values.len());
        for sample in &samples.values {
            if sample.len() != quantized.min.len() {
                return Err(SessionError::Shape {
                    input: self.spec.input.name.clone(),
                    found: vec![sample.len()],
                    accepted: self.spec.input.shape.clone(),
                });
            }
            let integers = quantized.quantize(sample);
            let lines = quantized
                .steps
                .iter()
                .map(|&steps| encrypt_integers(&self.key, &integers, steps, randomness));
            encrypted.push(EncryptedInput { lines: lines.collect() });
            progress(encrypted.len());
        }
        Ok(TfheBatch {
            plan_hash: self.spec.plan_hash,
            samples: encrypted,
        })
    }

    /// Decrypts the integers of each output, part by part.
    ///
    /// # Errors
    /// [`SessionError::OtherPlan`], [`SessionError::BadSpec`] for ciphertexts of another size.
    pub fn decrypt_integers(&self, batch: &TfheBatch<EncryptedOutput>) -> Result<Vec<Vec<i64>>, SessionError> {
        check_plan(batch.plan_hash, self.spec.plan_hash)?;
        let output = &self.spec.quantized_output;
        let (size, len) = (self.spec.params.ring_dimension() + 1, output.len() * output.parts.len());
        let decrypt = |words: &[u64]| {
            let ciphertext = LweCiphertext::from_container(words, CiphertextModulus::new_native());
            decode(
                decrypt_lwe_ciphertext(&self.key.ring(), &ciphertext).0,
                output.steps,
                output.min,
            )
        };
        let sample = |sample: &EncryptedOutput| {
            let vector = &sample.vector;
            if vector.size != size || vector.len() != len {
                return Err(SessionError::BadSpec {
                    reason: "the output has another size than the ciphertexts",
                });
            }
            Ok(vector.iter().map(decrypt).collect())
        };
        batch.samples.iter().map(sample).collect()
    }

    /// Decrypts the numbers of each output.
    ///
    /// # Errors
    /// Those of [`decrypt_integers`](Self::decrypt_integers).
    pub fn decrypt(&self, batch: &TfheBatch<EncryptedOutput>) -> Result<Vec<Vec<f64>>, SessionError> {
        let integers = self.decrypt_integers(batch)?;
        let output = &self.spec.quantized_output;
        Ok(integers.iter().map(|sample| output.dequantize(sample)).collect())
    }
}

/// Encrypts integers at a number of steps a turn; masks from one fresh seed.
pub(super) fn encrypt_integers(
    key: &TfheSecretKey,
    integers: &[i64],
    steps: u64,
    randomness: &mut TfheRandomness,
) -> SeededVector {
    let (params, seed) = (key.params(), randomness.seed());
    let encoded = PlaintextList::from_container(integers.iter().map(|&x| encode(x, steps)).collect::<Vec<u64>>());
    let mut list = SeededLweCiphertextList::from_container(
        vec![0u64; integers.len()],
        LweDimension(params.ring_dimension()).to_lwe_size(),
        Seed(seed).into(),
        CiphertextModulus::new_native(),
    );
    let noise = gaussian(params.ring_variance());
    encrypt_seeded_lwe_ciphertext_list(&key.ring(), &mut list, &encoded, noise, randomness.seeder());
    SeededVector {
        seed,
        bodies: list.into_container(),
    }
}

pub(super) fn check_plan(found: Digest, needed: Digest) -> Result<(), SessionError> {
    if found == needed {
        return Ok(());
    }
    Err(SessionError::OtherPlan { found, needed })
}
