//! The transforms between slots and coefficients, cut into factors: which diagonals each has, and by which rotations.
//!
//! The transform of `n` slots has `log2 n` stages of butterflies; the stage of length `2^s` couples slots `2^(s-1)` apart.
//! A factor is the product of consecutive stages: its diagonals lie at the multiples of the shortest distance. Both
//! transforms leave out the bit reversal: the coefficients come in bit-reversed order, which nothing between them notices.
//!
//! # Source
//! H. Chen, I. Chillotti, Y. Song (ePrint 2018/1043), section 3; K. Han, M. Hhan, J. H. Cheon (ePrint 2018/1073).

use serde::{Deserialize, Serialize};

use crate::Rotation;

/// One factor of a transform: the stages of butterflies of length `2^first ..= 2^last`, by baby steps and giant steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Factor {
    /// Base-2 logarithm of the shortest butterfly's length, at least 1.
    pub first: u32,
    /// Base-2 logarithm of the longest butterfly's length.
    pub last: u32,
    /// Base-2 logarithm of the number of baby steps.
    pub log_baby: u32,
}

/// A giant step of a factor: a rotation, and the products below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactorStep {
    /// The rotation of the sum.
    pub rotation: Rotation,
    /// The products.
    pub terms: Vec<FactorTerm>,
}

/// One product of a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactorTerm {
    /// The rotation of the operand.
    pub rotation: Rotation,
    /// Which diagonal multiplies it: `y[i] = Σ diagonal_k[i] x[i + k]`, `k` in `0..n`.
    pub diagonal: u32,
}

impl Factor {
    /// How many stages it has.
    pub fn stages(&self) -> u32 {
        self.last + 1 - self.first
    }

    /// Whether the longest butterfly spans all slots: distances then wrap around.
    fn wraps(&self, log_slots: u32) -> bool {
        self.last == log_slots
    }

    /// The diagonals, in multiples of the shortest distance.
    fn multiples(&self, log_slots: u32) -> std::ops::Range<i32> {
        let reach = 1 << self.stages();
        if self.wraps(log_slots) {
            0..reach
        } else {
            1 - reach..reach
        }
    }

    /// How many diagonals it has, for vectors of `2^log_slots` slots.
    pub fn n_diagonals(&self, log_slots: u32) -> u32 {
        self.multiples(log_slots).len() as u32
    }

    /// Its giant steps and products for vectors of `2^log_slots` slots.
    pub fn steps(&self, log_slots: u32) -> Vec<FactorStep> {
        let (distance, n) = (1i32 << (self.first - 1), 1i32 << log_slots);
        let babies = 1i32 << self.log_baby;
        let shift = |multiple: i32| (multiple * distance).rem_euclid(n) as u32;
        let multiples = self.multiples(log_slots);
        let giants = multiples.start.div_euclid(babies)..=(multiples.end - 1).div_euclid(babies);
        let step = |giant: i32| FactorStep {
            rotation: Rotation(shift(giant * babies)),
            terms: (0..babies)
                .filter(|baby| multiples.contains(&(giant * babies + baby)))
                .map(|baby| FactorTerm {
                    rotation: Rotation(shift(baby)),
                    diagonal: shift(giant * babies + baby),
                })
                .collect(),
        };
        giants.map(step).collect()
    }

    /// The distinct rotations other than the identity: those of baby steps, and those of giant steps.
    pub fn rotations(&self, log_slots: u32) -> (Vec<Rotation>, Vec<Rotation>) {
        let steps = self.steps(log_slots);
        let distinct = |rotations: &mut dyn Iterator<Item = Rotation>| {
            let set: std::collections::BTreeSet<Rotation> = rotations.filter(|&r| r != Rotation(0)).collect();
            set.into_iter().collect()
        };
        let mut babies = steps
            .iter()
            .flat_map(|step| step.terms.iter().map(|term| term.rotation));
        let babies = distinct(&mut babies);
        (babies, distinct(&mut steps.iter().map(|step| step.rotation)))
    }
}

/// Cuts `log_slots` stages into `parts` factors of nearly equal length, shortest butterflies first; the longest factor comes
/// last, where distances wrap around and half of the diagonals coincide.
pub(crate) fn split(log_slots: u32, parts: u32) -> Vec<Factor> {
    let (each, larger) = (log_slots / parts, log_slots % parts);
    let mut first = 1;
    (0..parts)
        .map(|part| {
            let stages = each + u32::from(part + larger >= parts);
            let factor = Factor {
                first,
                last: first + stages - 1,
                log_baby: 0,
            };
            first += stages;
            factor
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn splits_cover_every_stage_once() {
        for log_slots in 2..16 {
            for parts in 1..=log_slots.min(4) {
                let factors = split(log_slots, parts);
                let stages: Vec<u32> = factors.iter().flat_map(|f| f.first..=f.last).collect();
                assert!(stages.into_iter().eq(1..=log_slots), "{log_slots} in {parts}");
            }
        }
    }

    #[test]
    fn steps_reach_every_diagonal_once() {
        for log_slots in [3, 8, 15] {
            for parts in 1..=3 {
                for factor in split(log_slots, parts) {
                    for log_baby in 0..=factor.stages() {
                        let factor = Factor { log_baby, ..factor };
                        let steps = factor.steps(log_slots);
                        let terms = steps.iter().flat_map(|step| &step.terms);
                        let diagonals: BTreeSet<u32> = terms.clone().map(|term| term.diagonal).collect();
                        assert_eq!(diagonals.len(), terms.count());
                        assert_eq!(diagonals.len() as u32, factor.n_diagonals(log_slots));
                        for step in &steps {
                            for term in &step.terms {
                                let sum = (step.rotation.0 + term.rotation.0) % (1 << log_slots);
                                assert_eq!(sum, term.diagonal);
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_last_factor_has_half_the_diagonals() {
        let factors = split(15, 3);
        let counts: Vec<u32> = factors.iter().map(|f| f.n_diagonals(15)).collect();
        assert_eq!(counts, [63, 63, 32]);
    }
}
