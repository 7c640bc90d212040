//! Linear maps from slots to slots, given compactly: their diagonals are computed, never stored.
//!
//! `y = fold(Σ_d diag_d ⊙ rot(x, d))` with `rot(v, k)[i] = v[(i + k) mod slots]` (a left rotation), evaluated with baby
//! steps and giant steps: `Σ_g rot(Σ_b rot(diag_{g+b}, -g) ⊙ rot(x, b), g)`. `fold` adds rotations of the sum to itself.
//! Which slots of the result are then right is in `coverage.rs`.

mod convolution;
mod diagonals;

use heron_params::{Rotation, Slots};
use serde::{Deserialize, Serialize};

pub use convolution::Convolution;
pub use diagonals::Diagonals;

use crate::{ConstId, VectorLayout};

/// A linear map of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearMap {
    /// The matrix.
    pub geometry: Geometry,
    /// Layout of the operand.
    pub input: VectorLayout,
    /// Layout of the result, after the fold.
    pub output: VectorLayout,
    /// How the diagonals are grouped.
    pub steps: BabyGiant,
    /// Rotate-and-sum after the diagonals: `y ← y + rot(y, k)` for each `k` in order.
    pub fold: Vec<Rotation>,
}

/// The matrix behind a linear map: from elements to elements, whatever slots they lie in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Geometry {
    /// A dense matrix.
    Dense {
        /// Row-major `[rows, cols]`.
        weights: ConstId,
        /// Length of the result.
        rows: u32,
        /// Length of the operand.
        cols: u32,
    },
    /// A two-dimensional convolution.
    Convolution(Convolution),
}

impl Geometry {
    /// The constant that holds the weights.
    pub fn weights(&self) -> ConstId {
        match self {
            Self::Dense { weights, .. } => *weights,
            Self::Convolution(conv) => conv.weights,
        }
    }

    /// The shape of that constant.
    pub fn weights_shape(&self) -> Vec<usize> {
        match self {
            Self::Dense { rows, cols, .. } => vec![*rows as usize, *cols as usize],
            Self::Convolution(conv) => conv.kernel.map(|dim| dim as usize).to_vec(),
        }
    }

    /// How many weights that is.
    pub fn weights_len(&self) -> u64 {
        let sizes = self.weights_shape().into_iter();
        sizes.fold(1, |product: u64, size| product.saturating_mul(size as u64))
    }

    /// Length of the result and of the operand; `None` if they overflow.
    pub fn dimensions(&self) -> Option<(u32, u32)> {
        match self {
            Self::Dense { rows, cols, .. } => Some((*rows, *cols)),
            Self::Convolution(conv) => conv.dimensions(),
        }
    }

    /// How many multiplications a product takes: the entries of the matrix, padding counted.
    pub fn entries(&self) -> u64 {
        let product = |sizes: &[u32]| {
            sizes
                .iter()
                .fold(1u64, |product, &size| product.saturating_mul(u64::from(size)))
        };
        match self {
            Self::Dense { rows, cols, .. } => product(&[*rows, *cols]),
            Self::Convolution(conv) => product(&conv.kernel).saturating_mul(product(&conv.output)),
        }
    }

    /// `matrix · x`, element by element.
    ///
    /// # Shapes
    /// `weights`: the constant that the geometry names; `x`: as long as the operand.
    pub fn product(&self, weights: &[f64], x: &[f64]) -> Vec<f64> {
        self.accumulate(weights, x, |sum, weight, x| sum + weight * x)
    }

    /// What `add` makes of the entries of each row and the operand's elements, one after the other, from the default on.
    ///
    /// # Shapes
    /// `weights`: the constant that the geometry names; `x`: as long as the operand.
    ///
    /// # Cost
    /// One addition per entry that is not zero.
    pub fn accumulate<T: Copy + Default>(&self, weights: &[f64], x: &[T], add: impl Fn(T, f64, T) -> T) -> Vec<T> {
        match self {
            Self::Dense { cols, .. } => {
                let row = |row: &[f64]| row.iter().zip(x).fold(T::default(), |sum, (&w, &x)| add(sum, w, x));
                weights.chunks_exact(*cols as usize).map(row).collect()
            }
            Self::Convolution(conv) => conv.accumulate(weights, x, add),
        }
    }
}

/// Baby steps and giant steps: diagonal `d` is baby `d mod baby` of giant `d - d mod baby`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BabyGiant {
    /// How many consecutive diagonals share a giant step; at least 1.
    pub baby: u32,
}

/// One giant step: its rotation, and the diagonals it sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GiantStep {
    /// Rotation of the inner sum.
    pub rotation: Rotation,
    /// Indices `d` of its diagonals, ascending; the baby rotation of each is `d - rotation`.
    pub diagonals: Vec<u32>,
}

impl BabyGiant {
    /// Groups diagonals, given ascending.
    pub fn giant_steps(self, diagonals: &[u32]) -> Vec<GiantStep> {
        let baby = self.baby.max(1);
        diagonals
            .chunk_by(|a, b| a / baby == b / baby)
            .map(|group| GiantStep {
                rotation: Rotation(group[0] - group[0] % baby),
                diagonals: group.to_vec(),
            })
            .collect()
    }

    /// The distinct rotations of the operand and of the inner sums, each ascending, the identity left out.
    pub fn rotations(self, diagonals: &[u32]) -> (Vec<Rotation>, Vec<Rotation>) {
        let baby = self.baby.max(1);
        let distinct = |rotation: fn(u32, u32) -> u32| {
            let mut all: Vec<u32> = diagonals.iter().map(|&d| rotation(d, baby)).collect();
            all.sort_unstable();
            all.dedup();
            all.into_iter().filter(|&r| r != 0).map(Rotation).collect()
        };
        (distinct(|d, baby| d % baby), distinct(|d, baby| d - d % baby))
    }
}

impl LinearMap {
    /// The diagonals that can be other than zero, by index, ascending; all lie below [`modulus`](Self::modulus).
    ///
    /// # Cost
    /// A convolution's follow from offsets of channels, rows and columns, each taken once. A dense map's take at most one
    /// step per row and column, and end as soon as every diagonal is met.
    pub fn diagonals(&self) -> Vec<u32> {
        let modulus = self.modulus().max(1);
        match &self.geometry {
            Geometry::Dense { .. } => diagonals::dense_indices(self.input, self.output, modulus),
            Geometry::Convolution(conv) => conv.diagonals(self.input, self.output, modulus),
        }
    }

    /// How many diagonals the map has at most: `gcd(R, P)` for an output period `R` and an input period `P`.
    ///
    /// Slot `s` of the sum before the fold collects what lies in slot `s mod R` of the result; it reads slots
    /// `(s + d) mod P` for `d` in `0..gcd(R, P)`. By the Chinese remainder theorem every pair of slots is met exactly once
    /// while `s` runs over `0..lcm(R, P)`. With `P = R · 2^k` these are the extended diagonals of the hybrid method
    /// (Juvekar et al., *Gazelle*, ePrint 2018/073, section 4.2.2); an odd multiple of a smaller power of two uses the free
    /// slots instead to have fewer diagonals.
    pub fn modulus(&self) -> u32 {
        gcd(self.output.period, self.input.period)
    }

    /// How many slots of the sum before the fold hold products: `lcm(R, P)` where the input layout does not wrap
    /// around, all of them (in repetitions of `lcm(R, P)`) where it does.
    pub fn active_slots(&self, slots: Slots) -> usize {
        if self.input.is_cyclic(slots.0 as usize) {
            return slots.0 as usize;
        }
        self.output.period as usize * self.blocks() as usize
    }

    /// With which period every diagonal repeats around all the slots: `lcm(R, P)` where the input's layout and the slots are
    /// whole repetitions of it, `None` elsewhere.
    pub fn diagonal_period(&self, slots: Slots) -> Option<u32> {
        let period = self.output.period.checked_mul(self.blocks())?;
        let repeats = self.input.is_cyclic(slots.0 as usize) && period > 0 && slots.0.is_multiple_of(period);
        repeats.then_some(period)
    }

    /// How many blocks of `R` slots hold all products of the first repetition of the result: `P / gcd(R, P)`.
    pub(crate) fn blocks(&self) -> u32 {
        self.input.period.checked_div(self.modulus()).unwrap_or(0)
    }

    /// The rotations that a machine needs for the map, folds included, ascending, without repetition.
    pub fn rotations(&self) -> Vec<Rotation> {
        let (babies, giants) = self.steps.rotations(&self.diagonals());
        let mut all: Vec<Rotation> = babies
            .into_iter()
            .chain(giants)
            .chain(self.fold.iter().copied())
            .collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|&r| r != Rotation(0));
        all
    }

    /// The giant steps, ascending.
    pub fn giant_steps(&self) -> Vec<GiantStep> {
        self.steps.giant_steps(&self.diagonals())
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
