//! Secrets, and the evaluation keys as they travel: bodies and the seeds of their masks.

use heron_params::tfhe::TfheParams;
use tfhe::core_crypto::commons::generators::DeterministicSeeder;
use tfhe::core_crypto::commons::math::random::Seed;
use tfhe::core_crypto::prelude::{
    CiphertextModulus, DecompositionBaseLog, DecompositionLevelCount, DefaultRandomGenerator, DynamicDistribution,
    Gaussian, GlweDimension, GlweSecretKey, LweBootstrapKeyOwned, LweDimension, LweSecretKey, PolynomialSize,
    SecretRandomGenerator, SeededLweBootstrapKey, SeededLweKeyswitchKey, Seeder, generate_binary_lwe_secret_key,
    generate_seeded_lwe_keyswitch_key, new_seeder, par_generate_seeded_lwe_bootstrap_key,
};
use zeroize::Zeroizing;

use super::blind_rotation::BootstrapKey;
use super::key_switch::SwitchKey;
use super::server::ServerKeys;

/// Where seeds come from.
pub struct TfheRandomness(Box<dyn Seeder>);

/// The client's secret: both keys, binary.
pub struct TfheSecretKey {
    params: TfheParams,
    small: Zeroizing<Vec<u64>>,
    ring: Zeroizing<Vec<u64>>,
}

/// The evaluation keys as they travel: they go to the server and hold no secret in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeededKeys {
    pub(crate) params: TfheParams,
    pub(crate) bootstrap_seed: u128,
    /// `[small dimension, levels, k + 1, N]`.
    pub(crate) bootstrap: Vec<u64>,
    pub(crate) switch_seed: u128,
    /// `[ring dimension, levels]`.
    pub(crate) switch: Vec<u32>,
}

impl TfheRandomness {
    /// Seeds from the operating system or the processor, whichever the crate prefers.
    pub fn from_os() -> Self {
        Self(new_seeder())
    }

    /// Seeds that anyone can predict: for tests, never for a key that protects something.
    pub fn insecure_deterministic(seed: u64) -> Self {
        Self(Box::new(DeterministicSeeder::<DefaultRandomGenerator>::new(Seed(
            u128::from(seed),
        ))))
    }

    pub(super) fn seed(&mut self) -> u128 {
        self.0.seed().0
    }

    pub(super) fn seeder(&mut self) -> &mut dyn Seeder {
        self.0.as_mut()
    }
}

/// Gaussian noise of a variance in squared turns.
pub(super) fn gaussian(variance: f64) -> DynamicDistribution<u64> {
    DynamicDistribution::Gaussian(Gaussian {
        std: variance.sqrt(),
        mean: 0.0,
    })
}

impl TfheSecretKey {
    /// A fresh key for parameters that [`TfheParams::check_secure`] accepts.
    pub fn generate(params: &TfheParams, randomness: &mut TfheRandomness) -> Self {
        let mut generator = SecretRandomGenerator::<DefaultRandomGenerator>::new(Seed(randomness.seed()));
        let mut binary = |dimension: usize| {
            let mut words = Zeroizing::new(vec![0u64; dimension]);
            let mut key = LweSecretKey::from_container(words.as_mut_slice());
            generate_binary_lwe_secret_key(&mut key, &mut generator);
            words
        };
        Self {
            params: *params,
            small: binary(params.small_dimension as usize),
            ring: binary(params.ring_dimension()),
        }
    }

    /// The parameters.
    pub fn params(&self) -> &TfheParams {
        &self.params
    }

    /// A key from bits, as [`bits`](Self::bits) gives them; `None` for another number of bits or other values.
    pub(crate) fn from_bits(params: &TfheParams, bits: &[u8]) -> Option<Self> {
        let small = params.small_dimension as usize;
        if bits.len() != small + params.ring_dimension() || bits.iter().any(|bit| *bit > 1) {
            return None;
        }
        let words = |bits: &[u8]| Zeroizing::new(bits.iter().map(|bit| u64::from(*bit)).collect::<Vec<u64>>());
        Some(Self {
            params: *params,
            small: words(&bits[..small]),
            ring: words(&bits[small..]),
        })
    }

    /// One byte for each bit, the small key first.
    pub(crate) fn bits(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(
            self.small
                .iter()
                .chain(self.ring.iter())
                .map(|bit| *bit as u8)
                .collect(),
        )
    }

    /// The ring key, as one vector.
    pub(super) fn ring(&self) -> LweSecretKey<&[u64]> {
        LweSecretKey::from_container(self.ring.as_slice())
    }

    /// Makes the evaluation keys.
    ///
    /// # Cost
    /// Some seconds, on all threads.
    pub fn evaluation_keys(&self, randomness: &mut TfheRandomness) -> SeededKeys {
        let (bootstrap_seed, bootstrap) = self.bootstrap_key(randomness);
        let (switch_seed, switch) = self.switch_key(randomness);
        SeededKeys {
            params: self.params,
            bootstrap_seed,
            bootstrap,
            switch_seed,
            switch,
        }
    }

    fn bootstrap_key(&self, randomness: &mut TfheRandomness) -> (u128, Vec<u64>) {
        let (params, seed) = (&self.params, randomness.seed());
        let degree = PolynomialSize(params.degree());
        let small = LweSecretKey::from_container(self.small.as_slice());
        let ring = GlweSecretKey::from_container(self.ring.as_slice(), degree);
        let mut key = SeededLweBootstrapKey::new(
            0u64,
            GlweDimension(params.ring_rank as usize).to_glwe_size(),
            degree,
            DecompositionBaseLog(params.bootstrap.base_log as usize),
            DecompositionLevelCount(params.bootstrap.levels as usize),
            LweDimension(params.small_dimension as usize),
            Seed(seed).into(),
            CiphertextModulus::new_native(),
        );
        let noise = gaussian(params.ring_variance());
        par_generate_seeded_lwe_bootstrap_key(&small, &ring, &mut key, noise, randomness.seeder());
        (seed, key.into_container())
    }

    fn switch_key(&self, randomness: &mut TfheRandomness) -> (u128, Vec<u32>) {
        let (params, seed) = (&self.params, randomness.seed());
        let narrow = |words: &[u64]| Zeroizing::new(words.iter().map(|word| *word as u32).collect::<Vec<u32>>());
        let (small, ring) = (narrow(&self.small), narrow(&self.ring));
        let mut key = SeededLweKeyswitchKey::new(
            0u32,
            DecompositionBaseLog(params.switch.base_log as usize),
            DecompositionLevelCount(params.switch.levels as usize),
            LweDimension(params.ring_dimension()),
            LweDimension(params.small_dimension as usize),
            Seed(seed).into(),
            CiphertextModulus::new_native(),
        );
        let noise = DynamicDistribution::<u32>::Gaussian(Gaussian {
            std: params.small_variance().sqrt(),
            mean: 0.0,
        });
        generate_seeded_lwe_keyswitch_key(
            &LweSecretKey::from_container(ring.as_slice()),
            &LweSecretKey::from_container(small.as_slice()),
            &mut key,
            noise,
            randomness.seeder(),
        );
        (seed, key.into_container())
    }
}

impl SeededKeys {
    /// Words of the bootstrap key and of the key-switching key, as they travel.
    pub(crate) fn lengths(params: &TfheParams) -> (usize, usize) {
        let columns = params.ring_rank as usize + 1;
        let rows = params.small_dimension as usize * params.bootstrap.levels as usize * columns;
        (
            rows * params.degree(),
            params.ring_dimension() * params.switch.levels as usize,
        )
    }

    /// The bootstrap key with its masks.
    pub(super) fn standard_bootstrap_key(&self) -> LweBootstrapKeyOwned<u64> {
        let params = &self.params;
        SeededLweBootstrapKey::from_container(
            self.bootstrap.clone(),
            GlweDimension(params.ring_rank as usize).to_glwe_size(),
            PolynomialSize(params.degree()),
            DecompositionBaseLog(params.bootstrap.base_log as usize),
            DecompositionLevelCount(params.bootstrap.levels as usize),
            Seed(self.bootstrap_seed).into(),
            CiphertextModulus::new_native(),
        )
        .decompress_into_lwe_bootstrap_key()
    }

    /// Expands the seeds and transforms the bootstrap key.
    ///
    /// # Cost
    /// [`TfheParams::key_memory_bytes`], and as much again while the bootstrap key is transformed.
    pub fn expand(self) -> ServerKeys {
        let params = self.params;
        let bootstrap = self.standard_bootstrap_key();
        let switch = SeededLweKeyswitchKey::from_container(
            self.switch,
            DecompositionBaseLog(params.switch.base_log as usize),
            DecompositionLevelCount(params.switch.levels as usize),
            LweDimension(params.small_dimension as usize).to_lwe_size(),
            Seed(self.switch_seed).into(),
            CiphertextModulus::new_native(),
        )
        .decompress_into_lwe_keyswitch_key();
        ServerKeys {
            params,
            bootstrap: BootstrapKey::new(&params, bootstrap.as_ref()),
            switch: SwitchKey::new(&params, switch.as_ref()),
        }
    }
}
