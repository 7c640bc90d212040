//! Linear maps from slots to slots, given compactly: their diagonals are computed, never stored.
//!
//! `y = fold(Σ_d diag_d ⊙ rot(x, d))` with `rot(v, k)[i] = v[(i + k) mod slots]` (a left rotation), evaluated with baby
//! steps and giant steps: `Σ_g rot(Σ_b rot(diag_{g+b}, -g) ⊙ rot(x, b), g)`. `fold` adds rotations of the sum to itself.
//! Which slots of the result are then right is in `coverage.rs`.

use heron_params::{Rotation, Slots};
use serde::{Deserialize, Serialize};

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

/// The matrix behind a linear map.
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
}

/// Baby steps and giant steps: diagonal `d` is baby `d mod baby` of giant `d - d mod baby`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BabyGiant {
    /// How many diagonals share a giant step; at least 1.
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

impl LinearMap {
    /// How many generalized diagonals the map has: `gcd(R, P)` for a dense map with output period `R` and input period `P`.
    ///
    /// Slot `s` of the sum before the fold collects row `s mod R`; it reads elements `(s + d) mod P` for `d` in
    /// `0..gcd(R, P)`. By the Chinese remainder theorem every (row, column) pair is met exactly once while `s` runs over
    /// `0..lcm(R, P)`. With `P = R · 2^k` these are the extended diagonals of the hybrid method (Juvekar et al., *Gazelle*,
    /// ePrint 2018/073, section 4.2.2); an odd multiple of a smaller power of two uses the free slots instead to have
    /// fewer diagonals.
    pub fn n_diagonals(&self) -> u32 {
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
        self.input.period.checked_div(self.n_diagonals()).unwrap_or(0)
    }

    /// The rotations that a machine needs for the map, folds included, ascending, without repetition.
    pub fn rotations(&self) -> Vec<Rotation> {
        let giants = self.giant_steps();
        let babies = giants
            .iter()
            .flat_map(|g| g.diagonals.iter().map(|d| Rotation(d - g.rotation.0)));
        let mut all: Vec<Rotation> = babies
            .chain(giants.iter().map(|g| g.rotation))
            .chain(self.fold.iter().copied())
            .collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|&r| r != Rotation(0));
        all
    }

    /// The giant steps, ascending.
    pub fn giant_steps(&self) -> Vec<GiantStep> {
        let (n, baby) = (self.n_diagonals(), self.steps.baby.max(1));
        (0..n)
            .step_by(baby as usize)
            .map(|start| GiantStep {
                rotation: Rotation(start),
                diagonals: (start..n.min(start.saturating_add(baby))).collect(),
            })
            .collect()
    }

    /// Writes diagonal `d`, rotated right by `shift`: `out[i] = diag_d[(i - shift) mod slots]`.
    ///
    /// # Shapes
    /// `weights`: the constant that the geometry names. `out`: one value per slot.
    ///
    /// # Cost
    /// Reads each weight of the diagonal once per repetition; no division in the inner loop. All 128 diagonals of a 784 to
    /// 128 map in 4096 slots take 0.4 ms on one Xeon core (`plan/tests/diagonals.rs` prints it).
    ///
    /// # Panics
    /// If `weights` has fewer than `rows · cols` elements, or a period is zero: `verify` excludes both.
    pub fn diagonal(&self, weights: &[f64], d: u32, shift: Rotation, out: &mut [f64]) {
        out.fill(0.0);
        let slots = out.len();
        let active = self.active_slots(Slots(slots as u32)).min(slots);
        // Slot s reads slot (s + d) mod slots, and lands at (s + shift) mod slots: neither wraps inside a run.
        let read_wrap = slots - d as usize % slots;
        let write_wrap = slots - shift.0 as usize % slots;
        let mut cuts = [0, read_wrap.min(active), write_wrap.min(active), active];
        cuts.sort_unstable();
        for run in cuts.windows(2).filter(|run| run[0] < run[1]) {
            let (read, write) = ((run[0] + d as usize) % slots, (run[0] + shift.0 as usize) % slots);
            self.write_run(weights, run[0], read, &mut out[write..write + run[1] - run[0]]);
        }
    }

    /// Writes consecutive slots of a diagonal: the first collects row `slot mod R` and reads operand slot `read`.
    fn write_run(&self, weights: &[f64], slot: usize, read: usize, out: &mut [f64]) {
        let Geometry::Dense { rows, cols, .. } = self.geometry;
        let (rows, cols) = (rows as usize, cols as usize);
        let (row_period, column_period) = (self.output.period as usize, self.input.period as usize);
        let (mut row, mut column, mut rest) = (slot % row_period, read % column_period, out);
        while !rest.is_empty() {
            let steps = (row_period - row).min(column_period - column).min(rest.len());
            let (now, later) = rest.split_at_mut(steps);
            let inside = rows.saturating_sub(row).min(cols.saturating_sub(column)).min(steps);
            if inside > 0 {
                let from = weights[row * cols + column..].iter().step_by(cols + 1);
                now[..inside]
                    .iter_mut()
                    .zip(from)
                    .for_each(|(to, weight)| *to = *weight);
            }
            row = (row + steps) % row_period;
            column = (column + steps) % column_period;
            rest = later;
        }
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
