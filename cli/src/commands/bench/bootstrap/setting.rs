//! What `heron bench bootstrap` measures with: one bootstrap and its keys, and the rotation that costs are quoted in.

use std::sync::Arc;

use anyhow::Result;
use heron_ckks::bootstrap::{BootstrapKeys, Bootstrapper};
use heron_ckks::{Ciphertext, Encoder, EvaluationKeys, Evaluator, Kernels, Rng, SecretKey, decrypt, encrypt_secret};
use heron_params::bootstrap::{BootstrapParams, SlotValues};
use heron_params::{ChainRequest, CkksParams, KeySpec, Rotation, ScalePower};
use heron_runtime::sessions::{Security, open_context};
use serde::Serialize;

use super::clock::{Elapsed, timed};
use crate::process::{forget_peak, peak_mib};

/// Encoded diagonals are kept.
const CACHE_BYTES: u64 = 4 << 30;
/// Rotations that are timed after each bootstrap.
const ROTATIONS: u32 = 3;
/// The first bootstraps encode the diagonals and fill the pools.
const WARM_UP_RUNS: u64 = 2;

/// What was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Found {
    /// By the clock on the wall.
    pub(super) median_s: f64,
    /// Processor time of one thread, where the system tells and only one computes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) processor_s: Option<f64>,
    pub(super) rotation_ms: f64,
    /// The ratio of both, by processor time where it is known.
    pub(super) rotations: f64,
    pub(super) worst_bits: f64,
    pub(super) mean_bits: f64,
    pub(super) keygen_s: f64,
    /// Largest memory of the process while it made the keys and bootstrapped.
    pub(super) peak_mib: Option<u64>,
}

/// A rotation at 24 limbs with three digits.
pub(super) struct Reference {
    eval: Evaluator,
    operand: Ciphertext,
}

impl Reference {
    pub(super) fn new(log_n: u32, kernels: Kernels) -> Result<Self> {
        let params = CkksParams::build(&ChainRequest {
            log_n,
            levels: 23,
            log_scale: 46,
            log_q0: 46,
            digit_len: 8,
        })?;
        // Nothing but zeros and made-up keys: in the smaller ring these limbs are over the table.
        let ring = open_context(&params, kernels, Security::InsecureAllowed)?;
        let (mut rng, top) = (Rng::from_os()?, params.max_level());
        let secret = SecretKey::generate(&ring, &mut rng);
        let mut spec = KeySpec::default();
        spec.add_rotation(Rotation(1), top);
        let keys = EvaluationKeys::generate(&ring, &secret, &spec, &mut rng, &mut |_| ())?;
        let plaintext = Encoder::new(ring.clone()).encode(&[0.0], top, ScalePower::One)?;
        let operand = encrypt_secret(&ring, &secret, &plaintext, &mut rng).expand(&ring);
        Ok(Self {
            eval: Evaluator::new(ring, Arc::new(keys)),
            operand,
        })
    }

    fn time(&self) -> Result<Elapsed> {
        let (rotated, time) = timed(|| self.eval.rotate(&self.operand, Rotation(1)));
        rotated?;
        Ok(time)
    }
}

/// One bootstrap with its keys.
pub(super) struct Setting {
    secret: SecretKey,
    boot: Bootstrapper,
    rng: Rng,
    keygen_s: f64,
    peak_mib: Option<u64>,
}

impl Setting {
    /// Makes the keys; `progress` is told the bytes done so far.
    pub(super) fn new(params: BootstrapParams, kernels: Kernels, progress: &mut dyn FnMut(u64)) -> Result<Self> {
        forget_peak();
        let ring = open_context(params.chain(), kernels, Security::Required)?;
        params.check_secure()?;
        let mut rng = Rng::from_os()?;
        let secret = SecretKey::generate(&ring, &mut rng);
        let (made, time) = timed(|| {
            let spec = params.key_spec().evaluation;
            let evaluation = EvaluationKeys::generate(&ring, &secret, &spec, &mut rng, progress)?;
            BootstrapKeys::generate(&ring, &secret, &params, &mut rng).map(|keys| (evaluation, keys))
        });
        let (evaluation, keys) = made?;
        let boot = Bootstrapper::new(&ring, params, Arc::new(evaluation), Arc::new(keys), CACHE_BYTES)?;
        Ok(Self {
            secret,
            boot,
            rng,
            keygen_s: time.wall_s,
            peak_mib: None,
        })
    }

    /// Bootstraps until everything is encoded and allocated.
    pub(super) fn warm_up(&mut self) -> Result<()> {
        for run in 0..WARM_UP_RUNS {
            self.run(run)?;
        }
        self.peak_mib = peak_mib();
        Ok(())
    }

    /// Bootstraps so many vectors; `progress` is told after each.
    pub(super) fn measure(&mut self, reference: &Reference, runs: u32, progress: &mut dyn FnMut(u64)) -> Result<Found> {
        let (mut times, mut rotations, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for run in 0..u64::from(runs) {
            let (time, error) = self.run(WARM_UP_RUNS + run)?;
            times.push(time);
            errors.push(error);
            for _ in 0..ROTATIONS {
                rotations.push(reference.time()?);
            }
            progress(run + 1);
        }
        let wall = |times: &[Elapsed]| median(times.iter().map(|time| time.wall_s).collect());
        let thread = |times: &[Elapsed]| {
            let times: Option<Vec<f64>> = times.iter().map(|time| time.thread_s).collect();
            times.filter(|_| rayon::current_num_threads() == 1).map(median)
        };
        let (processor_s, rotation_s) = (thread(&times), thread(&rotations).unwrap_or_else(|| wall(&rotations)));
        let worst = errors.iter().map(|(worst, _)| *worst).fold(0.0, f64::max);
        let mean = errors.iter().map(|(_, mean)| mean).sum::<f64>() / errors.len() as f64;
        Ok(Found {
            median_s: wall(&times),
            processor_s,
            rotation_ms: 1e3 * rotation_s,
            rotations: processor_s.unwrap_or_else(|| wall(&times)) / rotation_s,
            worst_bits: -worst.log2(),
            mean_bits: -mean.log2(),
            keygen_s: self.keygen_s,
            peak_mib: self.peak_mib,
        })
    }

    /// Encrypts, bootstraps and decrypts one vector: the time of the bootstrap, the largest and the mean absolute error.
    fn run(&mut self, seed: u64) -> Result<(Elapsed, (f64, f64))> {
        let slots = self.random_slots(seed);
        let (ring, encoder) = (self.boot.evaluator().context(), self.boot.evaluator().encoder());
        let level = self.boot.params().input_level();
        let plaintext = encoder.encode_complex([&slots[0], &slots[1]], level, ScalePower::One)?;
        let a = encrypt_secret(ring, &self.secret, &plaintext, &mut self.rng).expand(ring);
        let (refreshed, time) = timed(|| self.boot.bootstrap(&a));
        let got = encoder.decode_complex(&decrypt(ring, &self.secret, &refreshed?));
        let parts = match self.boot.params().values() {
            SlotValues::Real => 1,
            SlotValues::Complex => 2,
        };
        let pairs = got
            .iter()
            .zip(&slots)
            .take(parts)
            .flat_map(|(got, want)| got.iter().zip(want));
        let errors: Vec<f64> = pairs.map(|(got, want)| (got - want).abs()).collect();
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        Ok((time, (errors.into_iter().fold(0.0, f64::max), mean)))
    }

    /// Real and imaginary parts in [-1, 1], repeated with the bootstrap's period; another vector for each seed.
    fn random_slots(&self, seed: u64) -> [Vec<f64>; 2] {
        let params = self.boot.params();
        let (n, all) = (1u64 << params.log_slots(), u64::from(params.chain().slots().0));
        let part = |part: u64| (0..all).map(|i| uniform(2 * (i % n) + part + (seed << 32))).collect();
        let imaginary = match params.values() {
            SlotValues::Real => vec![0.0; all as usize],
            SlotValues::Complex => part(1),
        };
        [part(0), imaginary]
    }
}

/// A number in [-1, 1) that looks random.
fn uniform(index: u64) -> f64 {
    let mixed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed ^ (mixed >> 32)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_fill_the_interval() {
        let values: Vec<f64> = (0..10_000).map(uniform).collect();
        assert!(values.iter().all(|x| (-1.0..1.0).contains(x)));
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        // The mean of 10,000 uniforms deviates by 0.006.
        assert!(mean.abs() < 0.03 && values.iter().any(|&x| x > 0.99) && values.iter().any(|&x| x < -0.99));
    }
}
