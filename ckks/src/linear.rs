//! Linear transforms by baby steps and giant steps with double hoisting.
//!
//! All baby steps of an input share one decomposition, products accumulate over the basis with the special primes, and one
//! ModDown serves all giant steps of an output; each giant step costs one more ModDown of one polynomial, to be decomposed
//! again. Everything but that is independent from prime to prime, so that the loops run prime by prime and what they share
//! stays in the cache.
//!
//! Source: J.-P. Bossuat, C. Mouchet, J. Troncoso-Pastoriza, J.-P. Hubaux, *Efficient bootstrapping for approximate
//! homomorphic encryption with non-sparse keys* (ePrint 2020/1203), section 4.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use heron_params::{Level, Rotation, ScalePower};

use crate::ciphertext::Ciphertext;
use crate::encoder::encode_integers;
use crate::error::EvalError;
use crate::evaluation_keys::RotationKey;
use crate::evaluator::{Evaluator, Finish};
use crate::key_switch::Decomposition;
use crate::linear_inputs::{Inputs, Lifted};
use crate::linear_sums::{Batch, Residues, RotatedSum};
use crate::linear_transform::{GiantStep, LinearTransform};
use crate::parallel::map_indices;
use crate::plaintext_cache::Diagonals;
use crate::poly::Poly;
use crate::stack::Stack;

impl Evaluator {
    /// Applies a linear transform with one input and one output.
    ///
    /// # Levels
    /// From `Δ` to `Δ²`.
    pub fn linear(&self, input: &Ciphertext, transform: &impl LinearTransform) -> Result<Ciphertext, EvalError> {
        single(self.transform(&[input], transform, Finish::Keep)?)
    }

    /// [`linear`](Self::linear) and [`rescale`](Self::rescale) in one division, with the noise of one.
    ///
    /// # Levels
    /// From `Δ` to `Δ` one level down.
    pub fn linear_rescale(
        &self,
        input: &Ciphertext,
        transform: &impl LinearTransform,
    ) -> Result<Ciphertext, EvalError> {
        single(self.transform(&[input], transform, Finish::Rescale)?)
    }

    /// Applies a linear transform over several ciphertexts, which share their decompositions.
    ///
    /// # Levels
    /// Inputs at `Δ` and of equal level, to `Δ²`.
    pub fn linear_many(
        &self,
        inputs: &[&Ciphertext],
        transform: &impl LinearTransform,
    ) -> Result<Vec<Ciphertext>, EvalError> {
        self.transform(inputs, transform, Finish::Keep)
    }

    /// [`linear_many`](Self::linear_many) and [`rescale`](Self::rescale) in one division each.
    ///
    /// # Levels
    /// Inputs at `Δ` and of equal level, to `Δ` one level down.
    pub fn linear_many_rescale(
        &self,
        inputs: &[&Ciphertext],
        transform: &impl LinearTransform,
    ) -> Result<Vec<Ciphertext>, EvalError> {
        self.transform(inputs, transform, Finish::Rescale)
    }

    /// Encodes a transform's diagonals at the level of its inputs before they are needed, and keeps them as far as the
    /// budget of the cache allows: the first run is then as fast as the later ones.
    ///
    /// # Errors
    /// What encoding refuses, and transforms of equal [`id`](LinearTransform::id).
    pub fn prepare_linear(&self, transform: &impl LinearTransform, level: Level) -> Result<(), EvalError> {
        let n_diagonals: usize = transform.giant_steps().iter().map(|step| step.terms.len()).sum();
        let least_bytes = (n_diagonals * self.ctx.n() * size_of::<u64>()) as u64;
        if least_bytes > self.cache.free_bytes() {
            return Ok(());
        }
        self.encoded_diagonals(transform, level).map(drop)
    }

    /// Bytes of encoded diagonals that are kept for the next run.
    pub fn cached_bytes(&self) -> u64 {
        self.cache.bytes()
    }

    fn transform(
        &self,
        inputs: &[&Ciphertext],
        transform: &impl LinearTransform,
        finish: Finish,
    ) -> Result<Vec<Ciphertext>, EvalError> {
        let giants = transform.giant_steps();
        let checked = CheckedTransform::new(self, inputs, giants)?;
        self.finished_state(checked.level, finish)?;
        let diagonals = self.encoded_diagonals(transform, checked.level)?;
        self.evaluate(&checked, &diagonals, finish)
    }

    /// Applies a linear transform with one input and one output to a lifted ciphertext, read at a level under `keys`: for every baby step,
    /// the identity too, one of a single digit.
    ///
    /// # Levels
    /// To `Δ`, one level below the given one.
    pub(crate) fn linear_lifted(
        &self,
        (lifted, keys): (&Lifted, &BTreeMap<Rotation, RotationKey>),
        level: Level,
        transform: &impl LinearTransform,
    ) -> Result<Ciphertext, EvalError> {
        self.finished_state(level, Finish::Rescale)?;
        let checked = CheckedTransform::lifted(self, (lifted, keys), level, transform.giant_steps())?;
        let diagonals = self.encoded_diagonals(transform, level)?;
        single(self.evaluate(&checked, &diagonals, Finish::Rescale)?)
    }

    fn evaluate(
        &self,
        checked: &CheckedTransform<'_>,
        diagonals: &Diagonals,
        finish: Finish,
    ) -> Result<Vec<Ciphertext>, EvalError> {
        let (level, power) = self.finished_state(checked.level, finish)?;
        let inner = checked.inner_sums(diagonals);
        let lowered = checked.lower(&inner);
        let decompositions: Vec<Option<Decomposition<'_>>> = map_indices(checked.giants.len(), |g| {
            lowered[g]
                .as_ref()
                .map(|poly| Decomposition::new(&self.ctx, checked.level, poly))
        });
        let output = |index: usize| {
            let sum = checked.outer_sum(index, &inner, &decompositions);
            let (c0, c1) = self.finish(checked.level, &sum, finish);
            Ciphertext { level, power, c0, c1 }
        };
        Ok((0..checked.n_outputs).map(output).collect())
    }

    /// The diagonals of a transform: from the cache, or encoded now.
    fn encoded_diagonals(&self, transform: &impl LinearTransform, level: Level) -> Result<Arc<Diagonals>, EvalError> {
        let terms = transform.giant_steps().iter().flat_map(|step| &step.terms);
        let names: Vec<usize> = terms
            .map(|term| term.diagonal)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        if let Some(diagonals) = self.cache.get(transform.id(), level) {
            let same = diagonals.keys().eq(&names);
            return if same {
                Ok(diagonals)
            } else {
                Err(EvalError::MalformedTransform("two transforms have one id"))
            };
        }
        let encoded = map_indices(names.len(), |i| {
            let mut slots = vec![0.0; self.ctx.codec.slots()];
            transform.write_diagonal(names[i], &mut slots);
            let mut imaginary = vec![0.0; self.ctx.codec.slots()];
            if !transform.write_imaginary(names[i], &mut imaginary) {
                imaginary.clear();
            }
            let encoded = encode_integers(&self.ctx, [&slots, &imaginary], level, ScalePower::One);
            encoded.map(|integers| (names[i], integers))
        });
        let encoded = encoded.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(self.cache.keep(&self.ctx, transform.id(), level, encoded))
    }
}

fn single(outputs: Vec<Ciphertext>) -> Result<Ciphertext, EvalError> {
    let mut outputs = outputs.into_iter();
    match (outputs.next(), outputs.next()) {
        (Some(output), None) => Ok(output),
        _ => Err(EvalError::MalformedTransform("one output is expected")),
    }
}

/// A checked transform: its distinct baby steps with their keys, and its inputs, decomposed.
pub(crate) struct CheckedTransform<'a> {
    pub(crate) eval: &'a Evaluator,
    pub(crate) level: Level,
    inputs: Inputs<'a>,
    pub(crate) babies: Vec<Baby<'a>>,
    pub(crate) baby_index: BTreeMap<(usize, Rotation), usize>,
    pub(crate) giants: &'a [GiantStep],
    giant_keys: Vec<Option<&'a RotationKey>>,
    n_outputs: usize,
}

/// One baby step: an input, and the key of its rotation unless it needs none.
pub(crate) struct Baby<'a> {
    pub(crate) input: usize,
    pub(crate) key: Option<&'a RotationKey>,
}

impl<'a> CheckedTransform<'a> {
    fn new(eval: &'a Evaluator, inputs: &'a [&'a Ciphertext], giants: &'a [GiantStep]) -> Result<Self, EvalError> {
        let level = check_inputs(eval, inputs)?;
        let (babies, baby_index) = baby_steps(giants, inputs.len(), |rotation| rotation_key(eval, rotation, level))?;
        let decompose = |index: usize| {
            let rotated = babies.iter().any(|baby| baby.input == index && baby.key.is_some());
            rotated.then(|| Decomposition::new(&eval.ctx, level, &inputs[index].c1))
        };
        Ok(Self {
            inputs: Inputs::Ciphertexts {
                ciphertexts: inputs,
                decompositions: (0..inputs.len()).map(decompose).collect(),
            },
            baby_index,
            eval,
            level,
            babies,
            giants,
            giant_keys: giant_keys(eval, level, giants)?,
            n_outputs: check_outputs(giants)?,
        })
    }

    fn lifted(
        eval: &'a Evaluator,
        (lifted, keys): (&'a Lifted, &'a BTreeMap<Rotation, RotationKey>),
        level: Level,
        giants: &'a [GiantStep],
    ) -> Result<Self, EvalError> {
        let key = |rotation| {
            let key = keys.get(&rotation);
            key.map(Some).ok_or(EvalError::MissingRotationKey { rotation, level })
        };
        let (babies, baby_index) = baby_steps(giants, 1, key)?;
        Ok(Self {
            inputs: Inputs::Lifted(lifted),
            baby_index,
            eval,
            level,
            babies,
            giants,
            giant_keys: giant_keys(eval, level, giants)?,
            n_outputs: check_outputs(giants)?,
        })
    }

    /// For every giant step the sum of its products over the basis: a stack with two polynomials per step.
    fn inner_sums(&self, diagonals: &Diagonals) -> Stack {
        let ctx = &self.eval.ctx;
        let batches = Batch::cut(self, diagonals);
        let mut sums = Stack::from_pool(&ctx.pool, ctx.n(), ctx.basis_len(self.level), 2 * self.giants.len());
        sums.for_each_group(self.inputs.group_len(), |first, mut rows| {
            let columns = self.inputs.columns(first, rows.len());
            for (slot, mut row) in rows.iter_mut().enumerate() {
                let position = first + slot;
                let residues = Residues {
                    transform: self,
                    position,
                    prime: ctx.basis_prime(self.level, position),
                    inputs: self.inputs.residues(ctx, self.level, (position, slot), &columns),
                };
                for batch in &batches {
                    residues.sum(batch, &mut row);
                }
            }
        });
        sums
    }

    /// For every giant step that rotates: its sum's second half, divided by the special primes.
    fn lower(&self, inner: &Stack) -> Vec<Option<Poly>> {
        let ctx = &self.eval.ctx;
        let division = &ctx.level(self.level).mod_down;
        map_indices(self.giants.len(), |g| {
            let prime = |position| ctx.basis_prime(self.level, position);
            let limb = |position| inner.limb(position, 2 * g + 1);
            self.giant_keys[g]
                .is_some()
                .then(|| division.divide(&ctx.pool, prime, limb))
        })
    }

    /// The rotated sum of the giant steps of one output over the basis.
    fn outer_sum(&self, output: usize, inner: &Stack, decompositions: &[Option<Decomposition<'_>>]) -> Stack {
        let (ctx, n) = (&self.eval.ctx, self.eval.ctx.n());
        let mut sum = Stack::from_pool(&ctx.pool, n, ctx.basis_len(self.level), 2);
        let group_len = decompositions.iter().flatten().map(Decomposition::group_len).min();
        sum.for_each_group(group_len.unwrap_or(1), |first, mut rows| {
            let group_len = rows.len();
            for mut row in rows.iter_mut() {
                row.pair_mut(0).into_iter().for_each(|limb| limb.fill(0));
            }
            for (g, _) in self.giants.iter().enumerate().filter(|(_, step)| step.output == output) {
                let columns = decompositions[g].as_ref().map(|poly| poly.extend(first, group_len));
                for (slot, mut row) in rows.iter_mut().enumerate() {
                    let position = first + slot;
                    let prime = ctx.basis_prime(self.level, position);
                    let addends = [inner.limb(position, 2 * g), inner.limb(position, 2 * g + 1)];
                    match (self.giant_keys[g], &columns) {
                        (Some(key), Some(columns)) => {
                            let step = RotatedSum {
                                key,
                                level: self.level,
                                position,
                                prime,
                            };
                            step.add(&columns.evaluate(slot), addends[0], row.pair_mut(0));
                        }
                        (None, _) | (_, None) => {
                            for (sum, addend) in row.pair_mut(0).into_iter().zip(addends) {
                                prime.add_assign(sum, addend);
                            }
                        }
                    }
                }
            }
        });
        sum
    }
}

/// The distinct baby steps of a transform, and where each is among them.
type BabySteps<'a> = (Vec<Baby<'a>>, BTreeMap<(usize, Rotation), usize>);

fn baby_steps<'a>(
    giants: &[GiantStep],
    n_inputs: usize,
    key: impl Fn(Rotation) -> Result<Option<&'a RotationKey>, EvalError>,
) -> Result<BabySteps<'a>, EvalError> {
    let terms = giants.iter().flat_map(|step| &step.terms);
    let distinct: BTreeSet<(usize, Rotation)> = terms.map(|term| (term.input, term.rotation)).collect();
    let mut babies = Vec::new();
    for &(input, rotation) in &distinct {
        if input >= n_inputs {
            return Err(EvalError::MalformedTransform("a term reads an input that is not there"));
        }
        babies.push(Baby {
            input,
            key: key(rotation)?,
        });
    }
    Ok((
        babies,
        distinct.into_iter().enumerate().map(|(i, baby)| (baby, i)).collect(),
    ))
}

fn giant_keys<'a>(
    eval: &'a Evaluator,
    level: Level,
    giants: &[GiantStep],
) -> Result<Vec<Option<&'a RotationKey>>, EvalError> {
    let keys = giants.iter().map(|step| rotation_key(eval, step.rotation, level));
    keys.collect()
}

/// The key of a rotation; none for the identity.
fn rotation_key(eval: &Evaluator, rotation: Rotation, level: Level) -> Result<Option<&RotationKey>, EvalError> {
    eval.check_rotation(rotation)?;
    if rotation == Rotation(0) {
        return Ok(None);
    }
    eval.keys.rotation_key(rotation, level).map(Some)
}

/// Checks that all inputs are alike and fit the ring; their level.
fn check_inputs(eval: &Evaluator, inputs: &[&Ciphertext]) -> Result<Level, EvalError> {
    let first = inputs
        .first()
        .ok_or(EvalError::MalformedTransform("there is no input"))?;
    for input in inputs {
        eval.check_single(input)?;
        if input.level != first.level {
            return Err(EvalError::Levels {
                left: first.level,
                right: input.level,
            });
        }
    }
    Ok(first.level)
}

/// Checks that every output up to the last is written; how many there are.
fn check_outputs(giants: &[GiantStep]) -> Result<usize, EvalError> {
    let outputs: BTreeSet<usize> = giants.iter().map(|step| step.output).collect();
    if outputs.is_empty() || !outputs.iter().copied().eq(0..outputs.len()) {
        return Err(EvalError::MalformedTransform("an output is never written"));
    }
    Ok(outputs.len())
}
