//! What a program costs, in operations and in keys: what a report prints before any key exists.

use std::iter::Sum;
use std::ops::Add;

use serde::{Deserialize, Serialize};

use crate::{CkksProgram, Instruction, LinearMap};

/// How many expensive operations a line, or a whole program, executes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpCounts {
    /// Rotations that share the decomposition of their operand with others (the baby steps of a linear map).
    pub hoisted_rotations: u64,
    /// Rotations with a decomposition of their own (giant steps, folds, `rotate`).
    pub full_rotations: u64,
    /// Products of a ciphertext with a plaintext, one per diagonal.
    pub plaintext_products: u64,
    /// Products of two ciphertexts, relinearized.
    pub ciphertext_products: u64,
    /// Divisions by the scale.
    pub rescales: u64,
    /// Moves to a lower level; each costs a scalar product.
    pub level_drops: u64,
    /// Bootstraps; what each costs, the program's bootstrap says.
    #[serde(default)]
    pub bootstraps: u64,
}

impl OpCounts {
    /// Rotations of either kind.
    pub fn rotations(self) -> u64 {
        self.hoisted_rotations + self.full_rotations
    }

    /// Key switches: rotations and relinearizations.
    pub fn key_switches(self) -> u64 {
        self.rotations() + self.ciphertext_products
    }
}

impl Add for OpCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            hoisted_rotations: self.hoisted_rotations + other.hoisted_rotations,
            full_rotations: self.full_rotations + other.full_rotations,
            plaintext_products: self.plaintext_products + other.plaintext_products,
            ciphertext_products: self.ciphertext_products + other.ciphertext_products,
            rescales: self.rescales + other.rescales,
            level_drops: self.level_drops + other.level_drops,
            bootstraps: self.bootstraps + other.bootstraps,
        }
    }
}

impl Sum for OpCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// The cost of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramCounts {
    /// One entry per line.
    pub lines: Vec<OpCounts>,
    /// All lines together.
    pub total: OpCounts,
    /// Bytes of the evaluation keys in memory.
    pub key_memory_bytes: u64,
    /// Bytes of the evaluation keys in a file, where the uniform halves are seeds.
    pub key_file_bytes: u64,
    /// How many ciphertexts are alive at once, at most.
    pub peak_live_ciphertexts: usize,
}

impl LinearMap {
    /// What one application of the map costs.
    pub fn counts(&self) -> OpCounts {
        let diagonals = self.diagonals();
        let (babies, giants) = self.steps.rotations(&diagonals);
        OpCounts {
            hoisted_rotations: babies.len() as u64,
            full_rotations: (giants.len() + self.fold.len()) as u64,
            plaintext_products: diagonals.len() as u64,
            ..OpCounts::default()
        }
    }
}

impl CkksProgram {
    /// What every line and the whole program cost. A map that the program lacks costs nothing: `verify` reports it.
    pub fn counts(&self) -> ProgramCounts {
        let lines: Vec<OpCounts> = self.lines.iter().map(|line| self.op_counts(&line.op)).collect();
        ProgramCounts {
            total: lines.iter().copied().sum(),
            key_memory_bytes: self.key_bytes(false),
            key_file_bytes: self.key_bytes(true),
            peak_live_ciphertexts: self.liveness().peak,
            lines,
        }
    }

    fn op_counts(&self, op: &Instruction) -> OpCounts {
        let none = OpCounts::default();
        match op {
            Instruction::Linear { map, .. } => self.map(*map).map_or(none, LinearMap::counts),
            Instruction::Rotate { .. } => OpCounts {
                full_rotations: 1,
                ..none
            },
            Instruction::MulConst { .. } => OpCounts {
                plaintext_products: 1,
                ..none
            },
            Instruction::Square { .. } | Instruction::Mul { .. } => OpCounts {
                ciphertext_products: 1,
                ..none
            },
            Instruction::Polynomial { poly, .. } => poly.counts(),
            Instruction::Rescale { .. } => OpCounts { rescales: 1, ..none },
            Instruction::DropLevel { .. } => OpCounts { level_drops: 1, ..none },
            Instruction::Bootstrap { .. } => OpCounts { bootstraps: 1, ..none },
            Instruction::Input
            | Instruction::Add { .. }
            | Instruction::Sub { .. }
            | Instruction::AddConst { .. }
            | Instruction::Output { .. } => none,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sample;

    #[test]
    fn counts_babies_as_hoisted_and_giants_and_folds_as_full() {
        let plan = sample::plan();
        let program = plan.program.ckks().expect("a CKKS plan");
        let counts = program.counts();
        let expected = sample::FIRST_MAP_COUNTS;
        assert_eq!(counts.lines[1], expected);
        assert_eq!(counts.total.rescales, 3);
        assert_eq!(counts.total.ciphertext_products, 1);
        assert_eq!(counts.total, counts.lines.iter().copied().sum());
    }

    #[test]
    fn seeds_halve_the_keys_in_a_file() {
        let plan = sample::plan();
        let program = plan.program.ckks().expect("a CKKS plan");
        let counts = program.counts();
        assert!(counts.key_file_bytes > 0);
        assert_eq!(counts.key_memory_bytes, 2 * counts.key_file_bytes);
    }

    #[test]
    fn rotations_of_a_map_without_repetition_are_as_many_as_its_keys() {
        let plan = sample::plan();
        let program = plan.program.ckks().expect("a CKKS plan");
        for map in &program.maps {
            assert!(map.rotations().len() as u64 <= map.counts().rotations());
        }
    }

    #[test]
    fn counts_of_a_map_are_those_of_its_giant_steps() {
        for baby in [1, 2, 3, 7, 8, 9, 100] {
            let map = sample::map(0, sample::layout(12, 16), sample::layout(8, 8), baby, &[8]);
            let giants = map.giant_steps();
            let babies = giants.iter().map(|giant| giant.diagonals.len()).max().unwrap_or(0);
            let counts = map.counts();
            assert_eq!(counts.hoisted_rotations, babies as u64 - 1, "{baby}");
            assert_eq!(counts.full_rotations, giants.len() as u64, "{baby}");
            assert_eq!(counts.plaintext_products, 8);
        }
    }
}
