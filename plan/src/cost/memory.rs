//! Peak memory of a session: keys, encoded diagonals, constants, and what the lines work on.

use std::collections::BTreeMap;

use heron_params::Slots;
use serde::Serialize;

use super::operation::Shape;
use crate::{CkksProgram, Instruction, LinearMap, ValueId};

/// Words between the limbs of a polynomial.
const LIMB_PADDING: u64 = 72;
/// How many times longer than needed a buffer may be that is used again.
const MOST_EXCESS: u64 = 4;
/// The shortest run of equal residues that is kept as one.
const MIN_RUN: u64 = 4;
/// A process that has read a plan and computed on no ciphertext yet: the program's own pages, tables of the ring, buffers of
/// files. What the peak of ten networks of 2^13 and 2^14 has beside the rest is 7 to 20 MiB.
const PROCESS_BYTES: u64 = 16 << 20;
/// Giant steps of a factor of a bootstrap's transforms, whose diagonals are not counted.
const BOOTSTRAP_GIANTS: u64 = 8;
const WORD_BYTES: u64 = 8;

/// Bytes at the peak of a session of a server, by what they hold. Inputs and outputs of a batch come on top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryEstimate {
    /// Evaluation keys.
    pub keys: u64,
    /// Encoded diagonals that are kept between runs.
    pub plaintexts: u64,
    /// Encoded diagonals of one map on their way there.
    pub encoding: u64,
    /// Ciphertexts and what linear maps and products work on; buffers are reused by their length.
    pub buffers: u64,
    /// Constants of the plan.
    pub constants: u64,
    /// The process itself.
    pub process: u64,
}

impl MemoryEstimate {
    /// All together.
    pub fn total(&self) -> u64 {
        self.keys + self.plaintexts + self.encoding + self.buffers + self.constants + self.process
    }
}

/// How a map's diagonals are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    bytes: u64,
    is_evaluated: bool,
}

/// The memory of a program, line by line.
pub(super) struct Memory<'a> {
    program: &'a CkksProgram,
    kept: BTreeMap<usize, Kept>,
    encoding: u64,
}

impl<'a> Memory<'a> {
    /// Follows the machine: maps are encoded in order, over the whole basis while that fits the cache, then as integers.
    pub(super) fn of(program: &'a CkksProgram, cache_bytes: u64) -> Self {
        let mut memory = Self {
            program,
            kept: BTreeMap::new(),
            encoding: 0,
        };
        let mut free = cache_bytes;
        for (index, line) in program.lines.iter().enumerate() {
            let Instruction::Linear { map, .. } = &line.op else {
                continue;
            };
            let Some(map) = program.map(*map) else { continue };
            let n_diagonals = map.counts().plaintext_products;
            let integers = n_diagonals * program.params.n() as u64 * WORD_BYTES;
            memory.encoding = memory.encoding.max(integers);
            let evaluated = n_diagonals * memory.evaluated_bytes(map, index);
            let kept = if evaluated <= free {
                Kept {
                    bytes: evaluated,
                    is_evaluated: true,
                }
            } else {
                Kept {
                    bytes: if integers <= free { integers } else { 0 },
                    is_evaluated: false,
                }
            };
            free -= kept.bytes;
            memory.kept.insert(index, kept);
        }
        memory
    }

    /// Whether a line's diagonals are kept over the whole basis.
    pub(super) fn is_kept(&self, index: usize) -> bool {
        self.kept.get(&index).is_some_and(|kept| kept.is_evaluated)
    }

    /// Bytes of a line's diagonals that are kept.
    pub(super) fn plaintext_bytes(&self, index: usize) -> u64 {
        self.kept.get(&index).map_or(0, |kept| kept.bytes)
    }

    pub(super) fn estimate(&self) -> MemoryEstimate {
        let program = self.program;
        let constant_words: u64 = program.maps.iter().map(|map| map.geometry.weights_len()).sum();
        MemoryEstimate {
            keys: program.counts().key_memory_bytes,
            plaintexts: self.kept.values().map(|kept| kept.bytes).sum(),
            encoding: self.encoding,
            buffers: self.buffers(),
            constants: constant_words * WORD_BYTES,
            process: PROCESS_BYTES,
        }
    }

    /// Bytes of one diagonal over the basis of its line. One that repeats with a period below the number of slots is a
    /// polynomial in a power of `X`: its residues come in runs, of which one is kept.
    fn evaluated_bytes(&self, map: &LinearMap, index: usize) -> u64 {
        let params = &self.program.params;
        let Slots(slots) = params.slots();
        let run = map
            .diagonal_period(Slots(slots))
            .map_or(1, |period| u64::from(slots / period));
        let stored = if run < MIN_RUN {
            params.n() as u64
        } else {
            params.n() as u64 / run
        };
        let Shape { limbs, special, .. } = Shape::at(params, self.program.operand_level(index));
        u64::from(limbs + special) * (stored + LIMB_PADDING) * WORD_BYTES
    }

    /// What lines take from the pool of buffers, in order: a buffer that is free serves the next line that needs one as long,
    /// or somewhat shorter.
    fn buffers(&self) -> u64 {
        let (liveness, at_once) = (self.program.liveness(), self.program.rescaled_at_once());
        let mut pool = BTreeMap::new();
        // Ciphertexts that are alive, by their limbs.
        let mut live: BTreeMap<u64, u64> = BTreeMap::new();
        for index in 0..self.program.lines.len() {
            if !at_once[index] {
                *live.entry(self.limbs(index)).or_default() += 1;
            }
            let mut needed = self.scratch(index);
            for (limbs, count) in &live {
                *needed.entry(*limbs).or_default() += 2 * count;
            }
            provide(&mut pool, &needed);
            let dead = liveness.dead_after(ValueId(index as u32)).iter();
            for dead in dead.filter(|dead| !at_once[dead.index()]) {
                let alive = live.entry(self.limbs(dead.index())).or_default();
                *alive = alive.saturating_sub(1);
            }
        }
        let limb_bytes = (self.program.params.n() as u64 + LIMB_PADDING) * WORD_BYTES;
        pool.into_iter()
            .map(|(length, count)| length * count * limb_bytes)
            .sum()
    }

    fn limbs(&self, value: usize) -> u64 {
        self.program.lines[value].level.limbs() as u64
    }

    /// What a line works on beside its operands and its result: lengths in limbs, and how many of each.
    fn scratch(&self, index: usize) -> BTreeMap<u64, u64> {
        let program = self.program;
        let Shape { limbs, special, .. } = Shape::at(&program.params, program.operand_level(index));
        let (limbs, basis) = (u64::from(limbs), u64::from(limbs + special));
        let mut needed: BTreeMap<u64, u64> = BTreeMap::new();
        let mut need = |length: u64, count: u64| *needed.entry(length).or_default() += count;
        match &program.lines[index].op {
            Instruction::Linear { map, .. } => {
                let giants = program.map(*map).map_or(0, |map| map.giant_steps().len() as u64);
                // The operand, and for each giant step what is divided, and that decomposed.
                need(limbs, 1 + 2 * giants);
                need(basis * 2 * giants, 1);
                need(2 * basis, 1);
            }
            Instruction::Rotate { .. } => {
                need(limbs, 2);
                need(2 * basis, 1);
            }
            Instruction::Square { .. } | Instruction::Mul { .. } | Instruction::Polynomial { .. } => {
                need(limbs, 5);
                need(2 * basis, 1);
            }
            Instruction::Bootstrap { .. } => {
                let top = program
                    .sound_bootstrap()
                    .map_or(limbs, |bootstrap| bootstrap.top_level().limbs() as u64);
                let basis = top + u64::from(special);
                need(top, 1 + 2 * BOOTSTRAP_GIANTS);
                need(basis * 2 * BOOTSTRAP_GIANTS, 1);
                need(2 * basis, 1);
            }
            Instruction::AddConst { .. } | Instruction::MulConst { .. } => need(limbs, 1),
            Instruction::Input
            | Instruction::Add { .. }
            | Instruction::Sub { .. }
            | Instruction::Rescale { .. }
            | Instruction::DropLevel { .. }
            | Instruction::Output { .. } => {}
        }
        needed
    }
}

/// Grows a pool (how many buffers there are of each length) until it has what is needed at once: from the longest on, each
/// need takes the shortest buffer that is left and long enough.
fn provide(pool: &mut BTreeMap<u64, u64>, needed: &BTreeMap<u64, u64>) {
    let mut left = pool.clone();
    for (&length, &count) in needed.iter().rev() {
        let mut missing = count;
        for free in left.range_mut(length..=length * MOST_EXCESS).map(|(_, free)| free) {
            let taken = missing.min(*free);
            (*free, missing) = (*free - taken, missing - taken);
        }
        *pool.entry(length).or_default() += missing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_small_cache_keeps_integers_and_none_keeps_nothing() {
        let plan = sample::plan();
        let program = plan.program.ckks().expect("a CKKS plan");
        let first = 1;
        let bytes = |cache| Memory::of(program, cache).plaintext_bytes(first);
        let integers = sample::FIRST_MAP_COUNTS.plaintext_products * program.params.n() as u64 * WORD_BYTES;
        assert_eq!(bytes(0), 0);
        assert_eq!(bytes(integers), integers.min(bytes(u64::MAX / 2)));
        assert!(Memory::of(program, 1 << 40).is_kept(first));
        assert!(!Memory::of(program, 0).is_kept(first));
    }

    #[test]
    fn more_live_values_take_more_memory() {
        let (chain, skip) = (sample::plan(), sample::skip_program());
        let chain = chain.program.ckks().expect("a CKKS plan");
        assert!(Memory::of(chain, 0).estimate().buffers > 0);
        let ciphertext = 2 * skip.lines[0].level.limbs() as u64 * skip.params.n() as u64 * WORD_BYTES;
        assert!(Memory::of(&skip, 0).estimate().buffers >= 3 * ciphertext);
    }

    #[test]
    fn buffers_serve_again_where_they_are_long_enough() {
        let mut pool = BTreeMap::new();
        provide(&mut pool, &BTreeMap::from([(8, 2)]));
        provide(&mut pool, &BTreeMap::from([(6, 2), (2, 1)]));
        assert_eq!(pool.get(&6), Some(&0), "two of length 8 are there");
        assert_eq!(pool.get(&2), Some(&1), "both are in use");
        provide(&mut pool, &BTreeMap::from([(1, 1)]));
        assert_eq!(pool.get(&1), Some(&0), "the one of length 2 is free");
        provide(&mut pool, &BTreeMap::from([(1, 2)]));
        assert_eq!(pool.get(&1), Some(&1), "those of length 8 are much too long");
    }
}
