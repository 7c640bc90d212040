//! The ring of one parameter set: prime tables, the constants of every level, the encoder's transform, buffers.

use std::sync::Arc;

use heron_params::{CkksParams, Level, ParamsError};

use crate::division::Division;
use crate::kernels::{BaseConversion, ColumnTarget, Kernels, NttPrime, Rounding, Scalar};
use crate::memory::Pool;
use crate::samplers::Gaussian;
use crate::slot_codec::SlotCodec;

/// Everything that one parameter set fixes; shared by all keys, ciphertexts and evaluators made for it.
///
/// The *basis* of a level is `q_0 … q_level` followed by the special primes; a position is an index into it.
pub struct Context {
    params: CkksParams,
    kernels: Kernels,
    /// Ciphertext primes, then special primes.
    primes: Vec<NttPrime>,
    levels: Vec<LevelTables>,
    /// The product of the special primes, modulo each ciphertext prime.
    special_product: Vec<Scalar>,
    pub(crate) codec: SlotCodec,
    pub(crate) gaussian: Gaussian,
    pub(crate) pool: Pool,
}

/// The constants of one level.
pub(crate) struct LevelTables {
    /// The key-switching digits.
    pub(crate) digits: Vec<Digit>,
    /// Division of a polynomial over the basis by the special primes.
    pub(crate) mod_down: Division,
    /// Division of a polynomial over the basis by the special primes and the last ciphertext prime; not at level 0.
    pub(crate) mod_down_and_rescale: Option<Division>,
    /// Division of a polynomial over the ciphertext primes by the last of them; not at level 0.
    pub(crate) rescale: Option<Division>,
}

/// One digit of a level: a range of ciphertext primes, and the conversion from them to the other primes of the basis.
pub(crate) struct Digit {
    pub(crate) limbs: std::ops::Range<usize>,
    conversion: BaseConversion,
}

impl Digit {
    /// Where a position of the basis outside the digit is among the conversion's targets; `None` inside.
    fn target(&self, position: usize) -> Option<usize> {
        if self.limbs.contains(&position) {
            return None;
        }
        Some(if position < self.limbs.start {
            position
        } else {
            position - self.limbs.len()
        })
    }
}

impl Context {
    /// Builds the tables of a parameter set.
    ///
    /// Security is the caller's to check: see [`CkksParams::check_secure`].
    ///
    /// # Errors
    /// Those of [`CkksParams::validate`].
    pub fn new(params: CkksParams, kernels: Kernels) -> Result<Arc<Self>, ParamsError> {
        params.validate()?;
        let build = |&q: &u64| NttPrime::new(kernels, params.log_n, q).map_err(|_| ParamsError::NotAnNttPrime(q));
        let primes: Vec<NttPrime> = params.q.iter().chain(&params.p).map(build).collect::<Result<_, _>>()?;
        let levels = (0..params.q.len())
            .map(|l| LevelTables::new(&params, &primes, Level(l as u32)))
            .collect();
        let special_product = |prime: &NttPrime| {
            let product = params.p.iter().fold(1, |product, &p| prime.product(product, p));
            prime.scalar(product)
        };
        Ok(Arc::new(Self {
            special_product: primes[..params.q.len()].iter().map(special_product).collect(),
            codec: SlotCodec::new(kernels, params.log_n),
            gaussian: Gaussian::new(kernels),
            pool: Pool::new(),
            params,
            kernels,
            primes,
            levels,
        }))
    }

    /// The parameter set.
    pub fn params(&self) -> &CkksParams {
        &self.params
    }

    /// The kernels that it computes with.
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// How many buffers for polynomials were allocated so far; it stays the same while evaluations repeat.
    pub fn allocated_buffers(&self) -> u64 {
        self.pool.allocated()
    }

    /// Frees the buffers that wait for reuse.
    pub fn trim(&self) {
        self.pool.trim();
    }

    pub(crate) fn n(&self) -> usize {
        self.params.n()
    }

    pub(crate) fn level(&self, level: Level) -> &LevelTables {
        &self.levels[level.0 as usize]
    }

    /// A ciphertext prime.
    pub(crate) fn prime(&self, index: usize) -> &NttPrime {
        &self.primes[index]
    }

    /// All primes: those of the ciphertexts, then the special ones.
    pub(crate) fn primes(&self) -> &[NttPrime] {
        &self.primes
    }

    /// How many primes the basis of a level has.
    pub(crate) fn basis_len(&self, level: Level) -> usize {
        level.limbs() + self.params.p.len()
    }

    /// The index among [`primes`](Self::primes) of a position of a level's basis.
    pub(crate) fn basis_index(&self, level: Level, position: usize) -> usize {
        if position < level.limbs() {
            position
        } else {
            position - level.limbs() + self.params.q.len()
        }
    }

    /// The prime at a position of a level's basis.
    pub(crate) fn basis_prime(&self, level: Level, position: usize) -> &NttPrime {
        &self.primes[self.basis_index(level, position)]
    }

    /// The product of the special primes modulo a ciphertext prime.
    pub(crate) fn special_product(&self, index: usize) -> Scalar {
        self.special_product[index]
    }
}

impl LevelTables {
    fn new(params: &CkksParams, primes: &[NttPrime], level: Level) -> Self {
        let (ciphertext, special) = primes.split_at(params.q.len());
        let last = level.limbs() - 1;
        let digit = |limbs: std::ops::Range<usize>| {
            let outside = |&(i, _): &(usize, &NttPrime)| !limbs.contains(&i);
            let own: Vec<&NttPrime> = ciphertext[limbs.clone()].iter().collect();
            let others = ciphertext[..=last]
                .iter()
                .enumerate()
                .filter(outside)
                .map(|(_, prime)| prime);
            let targets: Vec<&NttPrime> = others.chain(special).collect();
            Digit {
                conversion: BaseConversion::new(&own, &targets, Rounding::Approximate),
                limbs,
            }
        };
        let special_positions: Vec<usize> = (last + 1..=last + special.len()).collect();
        let with_last: Vec<usize> = (last..=last + special.len()).collect();
        let basis: Vec<&NttPrime> = ciphertext[..=last].iter().chain(special).collect();
        Self {
            digits: params.digits(level).map(digit).collect(),
            mod_down: Division::new(&basis, &special_positions),
            mod_down_and_rescale: (last > 0).then(|| Division::new(&basis, &with_last)),
            rescale: (last > 0).then(|| Division::new(&basis[..=last], &[last])),
        }
    }
}

impl Digit {
    /// Brings limb `index` of the digit from evaluation form to what [`extend`](Self::extend) reads.
    pub(crate) fn prepare(&self, index: usize, prime: &NttPrime, evaluations: &[u64], prepared: &mut [u64]) {
        self.conversion
            .prepare(index - self.limbs.start, prime, evaluations, prepared);
    }

    /// Carries the digit to consecutive positions of the basis from `first` on, one middle buffer each, up to the first pass
    /// of the forward transform. Nothing is written for positions inside the digit, where the decomposed polynomial's own
    /// residues serve.
    pub(crate) fn extend<'a>(
        &self,
        first: usize,
        prime: impl Fn(usize) -> &'a NttPrime,
        prepared: &[&[u64]],
        middles: impl Iterator<Item = &'a mut [u64]>,
    ) {
        let columns = |(slot, middle)| {
            Some(ColumnTarget {
                index: self.target(first + slot)?,
                prime: prime(first + slot),
                middle,
            })
        };
        let mut targets: Vec<ColumnTarget<'_>> = middles.enumerate().filter_map(columns).collect();
        self.conversion.convert_columns(prepared, &mut targets);
    }
}
