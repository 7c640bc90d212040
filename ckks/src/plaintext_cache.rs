//! Encoded diagonals, kept between runs within a budget of bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use heron_params::Level;

use crate::context::Context;
use crate::kernels::NttPrime;
use crate::parallel::{for_each_limb, map_indices};
use crate::poly::Poly;
use crate::slot_codec::Integers;

/// One encoded diagonal.
pub(crate) enum EncodedDiagonal {
    /// One word per coefficient; carried to each prime when it is used.
    Integers(Integers),
    /// Over the whole basis, in evaluation form.
    Evaluated(Poly),
    /// Over the whole basis, in evaluation form, each residue standing for a run of equal ones: a diagonal that repeats with a
    /// period below the number of slots is a polynomial in a power of `X`.
    Runs { values: Poly, len: usize },
}

/// Shorter runs save too little.
const MIN_RUN: usize = 4;

impl EncodedDiagonal {
    /// Whether it is there modulo every prime.
    pub(crate) fn is_evaluated(&self) -> bool {
        match self {
            Self::Integers(_) => false,
            Self::Evaluated(_) | Self::Runs { .. } => true,
        }
    }

    /// The residues of a block from `first` on at a position, if they are there already; runs are written out to `block`.
    pub(crate) fn part<'a>(&'a self, position: usize, first: usize, block: &'a mut [u64]) -> Option<&'a [u64]> {
        match self {
            Self::Integers(_) => None,
            Self::Evaluated(poly) => Some(&poly.limb(position)[first..][..block.len()]),
            Self::Runs { values, len } => {
                let values = &values.limb(position)[first / len..];
                for (run, value) in block.chunks_mut(*len).zip(values) {
                    run.fill(*value);
                }
                Some(block)
            }
        }
    }

    /// Computes the limb modulo a prime; nothing to do for an evaluated diagonal.
    pub(crate) fn reduce(&self, prime: &NttPrime, out: &mut [u64]) {
        match self {
            Self::Integers(integers) => integers.reduce(prime, out),
            Self::Evaluated(_) | Self::Runs { .. } => {}
        }
    }
}

/// The diagonals of one transform at one level, by the names that the transform gives them.
pub(crate) type Diagonals = BTreeMap<usize, EncodedDiagonal>;

/// Encoded diagonals by transform and level, first come, first kept: a plan uses the same ones in every run.
pub(crate) struct PlaintextCache {
    budget_bytes: u64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    bytes: u64,
    diagonals: BTreeMap<(u64, Level), Arc<Diagonals>>,
}

impl PlaintextCache {
    pub(crate) fn new(budget_bytes: u64) -> Self {
        Self {
            budget_bytes,
            kept: Mutex::default(),
        }
    }

    /// Bytes that are kept now.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// What the budget has left.
    pub(crate) fn free_bytes(&self) -> u64 {
        self.budget_bytes.saturating_sub(self.lock().bytes)
    }

    pub(crate) fn get(&self, transform: u64, level: Level) -> Option<Arc<Diagonals>> {
        self.lock().diagonals.get(&(transform, level)).cloned()
    }

    /// Keeps the diagonals as fast as the budget allows: over the whole basis, as integers, or not at all.
    pub(crate) fn keep(
        &self,
        ctx: &Context,
        transform: u64,
        level: Level,
        encoded: Vec<(usize, Integers)>,
    ) -> Arc<Diagonals> {
        let word_bytes = size_of::<u64>() as u64;
        let integer_bytes: u64 = encoded
            .iter()
            .map(|(_, x)| (x.low.len() + x.high.len()) as u64 * word_bytes)
            .sum();
        let runs = map_indices(encoded.len(), |i| run_len(ctx, level, &encoded[i].1));
        let n_values: usize = runs.iter().map(|&run| stored_len(ctx, run)).sum();
        let evaluated_bytes = (ctx.basis_len(level) * n_values) as u64 * word_bytes;
        let (bytes, diagonals) = if self.reserve(evaluated_bytes) {
            (evaluated_bytes, evaluate(ctx, level, &encoded, &runs))
        } else {
            let reserved = if self.reserve(integer_bytes) { integer_bytes } else { 0 };
            (
                reserved,
                encoded
                    .into_iter()
                    .map(|(name, x)| (name, EncodedDiagonal::Integers(x)))
                    .collect(),
            )
        };
        let diagonals = Arc::new(diagonals);
        if bytes > 0 {
            let replaced = self.lock().diagonals.insert((transform, level), diagonals.clone());
            // Two threads may have encoded the same transform at once: give back what one of them reserved.
            self.lock().bytes -= if replaced.is_some() { bytes } else { 0 };
        }
        diagonals
    }

    fn reserve(&self, bytes: u64) -> bool {
        let mut kept = self.lock();
        let fits = kept.bytes.saturating_add(bytes) <= self.budget_bytes;
        kept.bytes += if fits { bytes } else { 0 };
        fits
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        // A panic elsewhere leaves the map whole: each change is one insertion or one addition.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many values of a diagonal with such runs are kept for each prime.
fn stored_len(ctx: &Context, run: usize) -> usize {
    if run < MIN_RUN { ctx.n() } else { ctx.n() / run }
}

/// How long the runs of equal residues are that a diagonal consists of in evaluation form: a power of two.
fn run_len(ctx: &Context, level: Level, integers: &Integers) -> usize {
    let mut limb = ctx.pool.take(ctx.n());
    integers.reduce(ctx.basis_prime(level, 0), &mut limb);
    let mut len = 1;
    while len < ctx.n() && limb.chunks_exact(2 * len).all(|pair| pair[0] == pair[len]) {
        len *= 2;
    }
    len
}

fn evaluate(ctx: &Context, level: Level, encoded: &[(usize, Integers)], runs: &[usize]) -> Diagonals {
    let evaluated = map_indices(encoded.len(), |i| {
        let (name, integers) = &encoded[i];
        let reduce = |position, limb: &mut [u64]| integers.reduce(ctx.basis_prime(level, position), limb);
        let diagonal = if runs[i] < MIN_RUN {
            let mut poly = Poly::zeroed(ctx.n(), ctx.basis_len(level));
            for_each_limb(&mut poly, reduce);
            EncodedDiagonal::Evaluated(poly)
        } else {
            let mut values = Poly::zeroed(ctx.n() / runs[i], ctx.basis_len(level));
            for_each_limb(&mut values, |position, values| {
                let mut limb = ctx.pool.take(ctx.n());
                reduce(position, &mut limb);
                let firsts = limb.iter().step_by(runs[i]);
                values.iter_mut().zip(firsts).for_each(|(value, &first)| *value = first);
            });
            EncodedDiagonal::Runs { values, len: runs[i] }
        };
        (*name, diagonal)
    });
    evaluated.into_iter().collect()
}
