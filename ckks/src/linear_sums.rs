//! The sums of a linear transform modulo one prime, block by block of residues, so that the rotated inputs of a block stay in
//! the caches until every diagonal has met them, and keys and diagonals are read once.

use heron_params::Level;

use crate::evaluation_keys::RotationKey;
use crate::kernels::{MAX_DIGITS, MAX_TERMS, NttPrime, RotatingKey, Scalar};
use crate::key_switch::EvaluatedDigits;
use crate::limb_refs::LimbRefs;
use crate::linear::CheckedTransform;
use crate::linear_inputs::InputResidues;
use crate::memory::Words;
use crate::plaintext_cache::{Diagonals, EncodedDiagonal};
use crate::stack::Row;

/// Residues of a block: long enough for memory to be read in streams (rows of 256 were 1.4 times slower at `N = 2^15`), and
/// short enough for the blocks of all baby steps to stay in the second-level cache.
const BLOCK: usize = 2048;
/// How many diagonals to carry to a prime at once, where they are kept as integers.
const MAX_REDUCED: usize = 64;

/// Consecutive giant steps that are summed in one go over the residues.
pub(crate) struct Batch<'a> {
    first: usize,
    /// The baby steps that occur, by index.
    babies: Vec<usize>,
    /// For each giant step its products: an index into `babies`, and a diagonal.
    steps: Vec<Vec<(usize, &'a EncodedDiagonal)>>,
}

impl<'a> Batch<'a> {
    /// Cuts the giant steps of a transform: one batch for all of them when the diagonals are there modulo every prime, else
    /// batches of so many that their limbs stay few.
    pub(crate) fn cut(transform: &CheckedTransform<'_>, diagonals: &'a Diagonals) -> Vec<Self> {
        let evaluated = diagonals.values().all(EncodedDiagonal::is_evaluated);
        let mut batches: Vec<Self> = Vec::new();
        let mut n_terms = 0;
        for (g, step) in transform.giants.iter().enumerate() {
            let fits = evaluated || n_terms + step.terms.len() <= MAX_REDUCED;
            if batches.is_empty() || !fits {
                batches.push(Self {
                    first: g,
                    babies: Vec::new(),
                    steps: Vec::new(),
                });
                n_terms = 0;
            }
            n_terms += step.terms.len();
            let Some(batch) = batches.last_mut() else { continue };
            let products = step.terms.iter().map(|term| {
                let baby = transform.baby_index[&(term.input, term.rotation)];
                (batch.local_index(baby), &diagonals[&term.diagonal])
            });
            let products = products.collect();
            batch.steps.push(products);
        }
        batches
    }

    /// The index of a baby step in this batch, which it joins if it is new.
    fn local_index(&mut self, baby: usize) -> usize {
        self.babies.iter().position(|&known| known == baby).unwrap_or_else(|| {
            self.babies.push(baby);
            self.babies.len() - 1
        })
    }
}

/// What a transform reads modulo one prime of the basis.
pub(crate) struct Residues<'a> {
    pub(crate) transform: &'a CheckedTransform<'a>,
    pub(crate) position: usize,
    pub(crate) prime: &'a NttPrime,
    pub(crate) inputs: Vec<InputResidues<'a>>,
}

impl Residues<'_> {
    /// `out[g] = Σ diagonal ⊙ baby step` for the giant steps of a batch.
    pub(crate) fn sum(&self, batch: &Batch<'_>, out: &mut Row<'_>) {
        let (ctx, n) = (&self.transform.eval.ctx, self.prime.degree());
        let block_len = BLOCK.min(n);
        let reduced = self.reduce(batch);
        let mut rotated = ctx.pool.take(batch.babies.len() * 2 * block_len);
        let most_terms = batch.steps.iter().map(Vec::len).max().unwrap_or(0);
        let mut written_out = ctx.pool.take(most_terms * block_len);
        for first in (0..n).step_by(block_len) {
            for (&baby, halves) in batch.babies.iter().zip(rotated.chunks_exact_mut(2 * block_len)) {
                let (half0, half1) = halves.split_at_mut(block_len);
                self.rotate(baby, first, [half0, half1]);
            }
            let mut reduced = reduced.chunks_exact(n);
            for (g, products) in (batch.first..).zip(&batch.steps) {
                let block = out.pair_mut(g).map(|limb| &mut limb[first..][..block_len]);
                let blocks = written_out.chunks_exact_mut(block_len);
                let products = products.iter().zip(blocks).map(|(&(baby, diagonal), written_out)| {
                    let part = diagonal.part(self.position, first, written_out);
                    let part = part.or_else(|| Some(&reduced.next()?[first..][..block_len]));
                    let (half0, half1) = rotated[2 * baby * block_len..][..2 * block_len].split_at(block_len);
                    (part.unwrap_or(&[]), [half0, half1])
                });
                self.sum_products(products, block);
            }
        }
    }

    /// The limbs of those diagonals of a batch that are kept as integers, in order.
    fn reduce(&self, batch: &Batch<'_>) -> Words {
        let n = self.prime.degree();
        let kept_as_integers = |&&(_, diagonal): &&(usize, &EncodedDiagonal)| !diagonal.is_evaluated();
        let missing = batch.steps.iter().flatten().filter(kept_as_integers);
        let mut limbs = self.transform.eval.ctx.pool.take(missing.clone().count() * n);
        for ((_, diagonal), limb) in missing.zip(limbs.chunks_exact_mut(n)) {
            diagonal.reduce(self.prime, limb);
        }
        limbs
    }

    /// A block of a baby step, times the special primes.
    fn rotate(&self, baby: usize, first: usize, out: [&mut [u64]; 2]) {
        let transform = self.transform;
        let baby = &transform.babies[baby];
        let input = &self.inputs[baby.input];
        // Modulo a special prime the raised input is zero.
        let special_product = || transform.eval.ctx.special_product(self.position);
        match (baby.key, &input.digits) {
            (Some(key), Some(digits)) => {
                let sum = RotatedSum {
                    key,
                    level: transform.level,
                    position: self.position,
                    prime: self.prime,
                };
                sum.write(first, digits, input.body().map(|body| (body, special_product())), out);
            }
            (None, _) | (_, None) => match input.pair() {
                Some(halves) => {
                    for (out, half) in out.into_iter().zip(halves) {
                        out.copy_from_slice(&half[first..][..out.len()]);
                        self.prime.mul_scalar_assign_part(out, special_product());
                    }
                }
                None => out.into_iter().for_each(|out| out.fill(0)),
            },
        }
    }

    /// `out[h] = Σ value · pair[h]`.
    fn sum_products<'b>(&self, mut products: impl Iterator<Item = (&'b [u64], [&'b [u64]; 2])>, out: [&mut [u64]; 2]) {
        let [out0, out1] = out;
        let mut is_first = true;
        loop {
            let (mut values, mut pairs) = (LimbRefs::new(), [LimbRefs::new(); 2]);
            for (value, pair) in products.by_ref().take(MAX_TERMS) {
                values.push(value);
                pairs[0].push(pair[0]);
                pairs[1].push(pair[1]);
            }
            let pairs = [pairs[0].as_slice(), pairs[1].as_slice()];
            if is_first {
                self.prime
                    .inner_product_of_parts(values.as_slice(), pairs, [&mut *out0, &mut *out1]);
            } else if !values.as_slice().is_empty() {
                let mut sums = [[0; BLOCK]; 2];
                let [sum0, sum1] = sums.each_mut().map(|sum| &mut sum[..out0.len()]);
                self.prime
                    .inner_product_of_parts(values.as_slice(), pairs, [&mut *sum0, &mut *sum1]);
                self.prime.add_assign_part(out0, sum0);
                self.prime.add_assign_part(out1, sum1);
            }
            is_first = false;
            if values.as_slice().len() < MAX_TERMS {
                return;
            }
        }
    }
}

/// A rotation of digits modulo one prime of the basis.
pub(crate) struct RotatedSum<'a> {
    pub(crate) key: &'a RotationKey,
    pub(crate) level: Level,
    pub(crate) position: usize,
    pub(crate) prime: &'a NttPrime,
}

impl RotatedSum<'_> {
    /// Writes a block, from residue `first` on, of the rotation of `addend + Σ digit · key`.
    fn write(
        &self,
        first: usize,
        digits: &EvaluatedDigits<'_>,
        addend: Option<(&[u64], Scalar)>,
        out: [&mut [u64]; 2],
    ) {
        let [out0, out1] = out;
        let mut start = 0;
        loop {
            let limbs = digits.limbs(start);
            let count = limbs.as_slice().len();
            let mut components = [LimbRefs::new(); 2];
            for d in start..start + count {
                for (half, limbs) in components.iter_mut().enumerate() {
                    limbs.push(self.key.switch.key.limb(half, d, self.level, self.position));
                }
            }
            let key = RotatingKey {
                automorphism: &self.key.automorphism,
                components: [components[0].as_slice(), components[1].as_slice()],
            };
            if start == 0 {
                self.prime
                    .rotated_product(first, limbs.as_slice(), &key, addend, [&mut *out0, &mut *out1]);
            } else if count > 0 {
                let mut sums = [[0; BLOCK]; 2];
                let [sum0, sum1] = sums.each_mut().map(|sum| &mut sum[..out0.len()]);
                self.prime
                    .rotated_product(first, limbs.as_slice(), &key, None, [&mut *sum0, &mut *sum1]);
                self.prime.add_assign_part(out0, sum0);
                self.prime.add_assign_part(out1, sum1);
            }
            start += count;
            if count < MAX_DIGITS {
                return;
            }
        }
    }

    /// Adds the rotation of `addend + Σ digit · key`, the addend to the first half.
    pub(crate) fn add(&self, digits: &EvaluatedDigits<'_>, addend: &[u64], sums: [&mut [u64]; 2]) {
        let [sum0, sum1] = sums;
        let block_len = BLOCK.min(addend.len());
        let mut rotated = [[0; BLOCK]; 2];
        let [rotated0, rotated1] = rotated.each_mut().map(|half| &mut half[..block_len]);
        let addend = Some((addend, self.prime.scalar(1)));
        let blocks = sum0.chunks_exact_mut(block_len).zip(sum1.chunks_exact_mut(block_len));
        for (block, (sum0, sum1)) in blocks.enumerate() {
            self.write(block * block_len, digits, addend, [&mut *rotated0, &mut *rotated1]);
            self.prime.add_assign_part(sum0, rotated0);
            self.prime.add_assign_part(sum1, rotated1);
        }
    }
}
