//! The parameter sets that operations are measured under, and the measurement at one level of one of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use heron_ckks::{Ciphertext, Encoder, EvaluationKeys, Evaluator, Rng, SecretKey, encrypt_secret};
use heron_params::{ChainRequest, CkksParams, KeySpec, Level, Rotation, ScalePower};
use heron_plan::cost::{Measured, Operation, Shape};
use heron_runtime::sessions::{Security, open_context};

use super::clock::Clock;
use super::grid::{BABIES, GIANTS, Grid};
use crate::context::Context;

/// Encoded diagonals of a measurement are kept up to this many bytes: all of them.
const CACHE_BYTES: u64 = 4 << 30;

/// A chain of primes as the scheduler chooses them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    log_n: u32,
    limbs: u32,
    log_scale: u32,
    digit_len: u32,
}

impl Chain {
    /// Two chains for each ring that plans use: few digits and more.
    pub(super) const ALL: [Self; 9] = [
        Self::new(12, 2, 30, 1),
        Self::new(13, 6, 24, 2),
        Self::new(13, 4, 30, 2),
        Self::new(14, 8, 34, 4),
        Self::new(14, 10, 27, 2),
        Self::new(15, 14, 46, 4),
        Self::new(15, 10, 46, 5),
        Self::new(16, 24, 46, 6),
        Self::new(16, 20, 46, 10),
    ];
    /// The one that a quick look takes.
    pub(super) const SMALL: Self = Self::ALL[2];

    const fn new(log_n: u32, limbs: u32, log_scale: u32, digit_len: u32) -> Self {
        Self {
            log_n,
            limbs,
            log_scale,
            digit_len,
        }
    }

    /// The level of fresh ciphertexts.
    pub(super) fn top(self) -> Level {
        Level(self.limbs - 1)
    }

    /// The levels to measure: the top, the middle, and the last that can be rescaled.
    pub(super) fn levels(self) -> Vec<Level> {
        let mut levels = vec![self.top(), Level(self.top().0.div_ceil(2)), Level(1)];
        levels.dedup();
        levels
    }

    fn params(self) -> Result<CkksParams> {
        let params = CkksParams::build(&ChainRequest {
            log_n: self.log_n,
            levels: self.limbs - 1,
            log_scale: self.log_scale,
            log_q0: self.log_scale,
            digit_len: self.digit_len,
        })?;
        params.check_secure()?;
        Ok(params)
    }

    /// Measures all operations on ciphertexts of a level, for a time each.
    pub(super) fn measure(self, level: Level, budget: Duration, context: &Context) -> Result<Measured> {
        let params = self.params()?;
        let ring = open_context(&params, context.kernels, Security::Required)?;
        let mut rng = Rng::from_os()?;
        let secret = SecretKey::generate(&ring, &mut rng);
        let mut spec = KeySpec::default();
        spec.add_relinearize(level);
        Grid::rotations().for_each(|rotation| spec.add_rotation(rotation, level));
        let keys = EvaluationKeys::generate(&ring, &secret, &spec, &mut rng, &mut |_| ())?;
        let encoder = Encoder::new(ring.clone());
        let values: Vec<f64> = (0..params.slots().0).map(|slot| f64::from(slot % 89) / 89.0).collect();
        let plaintext = encoder.encode(&values, level, ScalePower::One)?;
        let ciphertext = encrypt_secret(&ring, &secret, &plaintext, &mut rng).expand(&ring);
        let keys = Arc::new(keys);
        let setting = Setting {
            eval: Evaluator::with_cache(ring, keys.clone(), CACHE_BYTES),
            keys,
            ciphertext,
            values,
            budget,
        };
        let mut ms = setting.steps()?;
        ms.extend(setting.others()?);
        Ok(Measured {
            shape: Shape::at(&params, level),
            ms,
        })
    }
}

/// What to measure with.
struct Setting {
    eval: Evaluator,
    keys: Arc<EvaluationKeys>,
    ciphertext: Ciphertext,
    values: Vec<f64>,
    budget: Duration,
}

impl Setting {
    /// Milliseconds of what may be refused.
    fn ms<T, E>(&self, mut work: impl FnMut() -> Result<T, E>) -> Result<f64>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        work()?;
        Ok(Clock::new().seconds(self.budget, work) * 1e3)
    }

    /// The parts of a linear map, from what maps take that differ in one of them.
    fn steps(&self) -> Result<BTreeMap<Operation, f64>> {
        let time = |grid: &Grid| self.ms(|| self.eval.linear_rescale(&self.ciphertext, grid));
        let one = time(&Grid::new(1, 1, Rotation(0)))?;
        let babies = time(&Grid::new(BABIES, 1, Rotation(0)))?;
        let products = time(&Grid::new(BABIES, GIANTS, Rotation(0)))?;
        let giants = time(&Grid::new(BABIES, GIANTS, Rotation(BABIES)))?;
        let more = f64::from(GIANTS - 1);
        let diagonal = ((products - babies) / (more * f64::from(BABIES))).max(0.0);
        let hoisted = ((babies - one) / f64::from(BABIES - 1) - diagonal).max(0.0);
        Ok(BTreeMap::from([
            (Operation::Diagonal, diagonal),
            (Operation::HoistedRotation, hoisted),
            (Operation::GiantStep, ((giants - products) / more).max(0.0)),
            (Operation::LinearMap, (one - hoisted - diagonal).max(0.0)),
            (Operation::EncodeDiagonal, self.encoding()?),
        ]))
    }

    fn encoding(&self) -> Result<f64> {
        let grid = Grid::new(BABIES, GIANTS, Rotation(0));
        // A fresh evaluator has encoded nothing yet.
        let ms = self.ms(|| {
            let fresh = Evaluator::with_cache(self.eval.context().clone(), self.keys.clone(), CACHE_BYTES);
            fresh.prepare_linear(&grid, self.ciphertext.level())
        })?;
        Ok(ms / f64::from(BABIES * GIANTS))
    }

    /// All other operations.
    fn others(&self) -> Result<BTreeMap<Operation, f64>> {
        let (eval, a) = (&self.eval, &self.ciphertext);
        let product = eval.square(a)?;
        let below = a
            .level()
            .0
            .checked_sub(1)
            .map(Level)
            .context("levels above 0 are measured")?;
        Ok(BTreeMap::from([
            (Operation::Rotation, self.ms(|| eval.rotate(a, Rotation(1)))?),
            (Operation::Product, self.ms(|| eval.mul_rescale(a, a))?),
            (Operation::Rescale, self.ms(|| eval.rescale(&product))?),
            (Operation::Addition, self.ms(|| eval.add(a, a))?),
            (Operation::PlainSum, self.ms(|| eval.add_plain(a, &self.values))?),
            (Operation::PlainProduct, self.ms(|| eval.mul_plain(a, &self.values))?),
            (Operation::LevelDrop, self.ms(|| eval.drop_level(a, below))?),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chain_is_secure_and_all_rings_have_one() {
        for chain in Chain::ALL {
            let params = chain.params().expect("secure parameters");
            assert_eq!(params.max_level(), chain.top());
            assert!(chain.levels().iter().all(|level| level.0 >= 1));
        }
        for log_n in 12..=16 {
            assert!(Chain::ALL.iter().any(|chain| chain.log_n == log_n), "2^{log_n}");
        }
    }
}
