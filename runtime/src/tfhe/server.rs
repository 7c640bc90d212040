//! The server's side: runs a plan on ciphertexts with evaluation keys. Nothing here can take a secret key.

use heron_params::tfhe::TfheParams;
use heron_plan::Digest;
use heron_plan::tfhe::{IntegerProgram, Resolved, Row, TfheLine};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::blind_rotation::{BootstrapKey, Table, half_table, modular_table};
use super::client::check_plan;
use super::key_switch::SwitchKey;
use super::program::integer_program;
use super::values::{EncryptedInput, EncryptedOutput, TfheBatch, Vector, encode};
use crate::files::PlanBundle;
use crate::sessions::SessionError;

/// Ciphertexts that share one pass over the keys: their accumulators fit the second-level cache.
const BATCH: usize = 16;

/// The evaluation keys, ready to be used.
pub struct ServerKeys {
    pub(super) params: TfheParams,
    pub(super) bootstrap: BootstrapKey,
    pub(super) switch: SwitchKey,
}

/// A session that runs one plan with the evaluation keys of one client.
pub struct TfheServer {
    program: IntegerProgram,
    hash: Digest,
    keys: ServerKeys,
    /// Tables of each line, spread over the ring; empty for lines that look nothing up.
    tables: Vec<Vec<Table>>,
}

/// What a server session tells while it runs.
#[derive(Clone, Copy, Debug)]
pub struct TfheProgress<'a> {
    /// Which sample of the batch.
    pub sample: usize,
    /// How many samples there are.
    pub n_samples: usize,
    /// Index of the line that has just been done.
    pub index: usize,
    /// How many lines there are.
    pub total: usize,
    /// The line.
    pub line: &'a TfheLine,
}

impl TfheServer {
    /// A session of a plan's server.
    ///
    /// # Errors
    /// [`SessionError::OtherScheme`], [`SessionError::BadPlan`], [`SessionError::BadSpec`] for keys of other parameters.
    pub fn new(bundle: &PlanBundle, keys: ServerKeys) -> Result<Self, SessionError> {
        let program = integer_program(&bundle.plan, &bundle.weights)?;
        if program.program().params != keys.params {
            return Err(SessionError::BadSpec {
                reason: "its parameters are not those of the keys",
            });
        }
        Ok(Self {
            tables: (0..program.lines().len())
                .map(|index| tables(&program, index))
                .collect(),
            program,
            hash: bundle.hash,
            keys,
        })
    }

    /// The plan with its constants.
    pub fn program(&self) -> &IntegerProgram {
        &self.program
    }

    /// Runs the plan on every sample of a batch.
    ///
    /// # Errors
    /// [`SessionError::OtherPlan`], [`SessionError::BadSpec`] for inputs of another size.
    pub fn run(
        &self,
        batch: &TfheBatch<EncryptedInput>,
        progress: &mut dyn FnMut(TfheProgress<'_>),
    ) -> Result<TfheBatch<EncryptedOutput>, SessionError> {
        check_plan(batch.plan_hash, self.hash)?;
        let n_samples = batch.samples.len();
        let mut samples = Vec::with_capacity(n_samples);
        for (sample, input) in batch.samples.iter().enumerate() {
            let mut done = |index: usize, total: usize, line: &TfheLine| {
                progress(TfheProgress {
                    sample,
                    n_samples,
                    index,
                    total,
                    line,
                });
            };
            samples.push(self.run_sample(input, &mut done)?);
        }
        Ok(TfheBatch {
            plan_hash: batch.plan_hash,
            samples,
        })
    }

    fn run_sample(
        &self,
        input: &EncryptedInput,
        done: &mut dyn FnMut(usize, usize, &TfheLine),
    ) -> Result<EncryptedOutput, SessionError> {
        let quantized = self.program.input();
        let whole = input.lines.iter().all(|line| line.bodies.len() == quantized.min.len());
        if input.lines.len() != quantized.steps.len() || !whole {
            return Err(SessionError::BadSpec {
                reason: "the input has another size than the ciphertexts",
            });
        }
        let mut inputs = input.lines.iter();
        let lines = self.program.lines();
        let last_use = self.last_uses();
        let mut values: Vec<Vector> = Vec::with_capacity(lines.len());
        for (index, op) in self.program.resolved().iter().enumerate() {
            let value = match op {
                Resolved::Input => {
                    let line = inputs.next().expect("as many as there are lines, checked above");
                    line.expand(&self.keys.params)
                }
                Resolved::Linear { arg, rows } => linear(&values[*arg], rows, lines[index].steps),
                Resolved::Add { lhs, rhs } => add(&values[*lhs], &values[*rhs]),
                Resolved::Floor { arg, by } => self.floor(index, &values[*arg], lines[*arg].steps / *by as u64),
                Resolved::Lookup { arg, .. } => self.look_up(index, &values[*arg], 1),
                Resolved::Output { arg } => values[*arg].clone(),
            };
            values.push(value);
            for (earlier, last) in last_use.iter().enumerate() {
                if *last == index && earlier < index {
                    values[earlier] = Vector::zeros(0, 1);
                }
            }
            done(index, lines.len(), &lines[index]);
        }
        let vector = values.pop().expect("a verified plan has lines");
        Ok(EncryptedOutput { vector })
    }

    /// The last line that reads each line.
    fn last_uses(&self) -> Vec<usize> {
        let mut last = vec![0; self.program.lines().len()];
        for (index, line) in self.program.lines().iter().enumerate() {
            line.op.args().for_each(|arg| last[arg.index()] = index);
        }
        last
    }

    /// Takes the low digit away: what is looked up in the reading modulo the divisor is subtracted.
    fn floor(&self, line: usize, arg: &Vector, factor: u64) -> Vector {
        let mut digits = self.look_up(line, arg, factor);
        for (digit, word) in digits.words.iter_mut().zip(&arg.words) {
            *digit = word.wrapping_sub(*digit);
        }
        digits
    }

    fn look_up(&self, line: usize, arg: &Vector, factor: u64) -> Vector {
        let tables = &self.tables[line];
        let ciphertexts: Vec<&[u64]> = arg.iter().collect();
        let batch_len = batch_len(ciphertexts.len(), rayon::current_num_threads());
        let batches: Vec<Vec<Vec<u64>>> = ciphertexts
            .par_chunks(batch_len)
            .enumerate()
            .map(|(batch, ciphertexts)| {
                let table = |at: usize| &tables[(batch * batch_len + at) % tables.len()];
                let tables: Vec<&Table> = (0..ciphertexts.len()).map(table).collect();
                let indices = self.keys.switch.switch(ciphertexts, factor);
                self.keys.bootstrap.look_up(&indices, &tables)
            })
            .collect();
        Vector::of(&batches.concat(), arg.size)
    }
}

/// How many ciphertexts share a pass over the key: as many batches as threads have turns, of equal length, so that none waits
/// while another works on what is left.
fn batch_len(n_ciphertexts: usize, n_threads: usize) -> usize {
    let turns = n_ciphertexts.div_ceil(BATCH * n_threads).max(1);
    n_ciphertexts.div_ceil(turns * n_threads).max(1)
}

/// The tables of a line, spread over the ring, with results encoded at the steps of the line's values.
fn tables(program: &IntegerProgram, index: usize) -> Vec<Table> {
    let (lines, degree) = (program.lines(), program.program().params.degree());
    match &program.resolved()[index] {
        Resolved::Floor { arg, by } => {
            let steps = lines[*arg].steps;
            vec![modular_table(*by as u64, degree, |digit| encode(digit as i64, steps))]
        }
        Resolved::Lookup { tables, .. } => {
            let steps = lines[index].steps;
            let spread = |table: &Vec<i64>| {
                let entries: Vec<u64> = table.iter().map(|&entry| encode(entry, steps)).collect();
                half_table(&entries, degree)
            };
            tables.iter().map(spread).collect()
        }
        Resolved::Input | Resolved::Linear { .. } | Resolved::Add { .. } | Resolved::Output { .. } => Vec::new(),
    }
}

fn linear(arg: &Vector, rows: &[Row], steps: u64) -> Vector {
    let mut out = Vector::zeros(rows.len(), arg.size);
    let arch = Arch::new();
    out.words
        .par_chunks_exact_mut(arg.size)
        .zip(rows)
        .for_each(|(out, row)| {
            for &(column, weight) in &row.terms {
                arch.dispatch(AddMultiple {
                    out,
                    ciphertext: arg.get(column),
                    factor: weight as u64,
                });
            }
            if let Some(body) = out.last_mut() {
                *body = body.wrapping_add(encode(row.bias, steps));
            }
        });
    out
}

fn add(lhs: &Vector, rhs: &Vector) -> Vector {
    Vector {
        words: lhs
            .words
            .iter()
            .zip(&rhs.words)
            .map(|(x, y)| x.wrapping_add(*y))
            .collect(),
        size: lhs.size,
    }
}

struct AddMultiple<'a> {
    out: &'a mut [u64],
    ciphertext: &'a [u64],
    factor: u64,
}

impl WithSimd for AddMultiple<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for (out, &word) in self.out.iter_mut().zip(self.ciphertext) {
            *out = out.wrapping_add(word.wrapping_mul(self.factor));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_has_a_batch_and_none_is_longer_than_a_pass_takes() {
        for n_threads in [1, 2, 3, 8, 64] {
            for n in 0..200 {
                let len = batch_len(n, n_threads);
                assert!((1..=BATCH).contains(&len), "{n} on {n_threads}");
                let turns = n.div_ceil(len).div_ceil(n_threads);
                assert_eq!(turns, n.div_ceil(BATCH * n_threads), "{n} on {n_threads}");
            }
        }
        assert_eq!((batch_len(32, 1), batch_len(32, 2), batch_len(16, 2)), (16, 16, 8));
    }
}
