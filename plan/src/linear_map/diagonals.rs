//! The values of a map's diagonals, computed from weights and layouts.

use heron_params::{Rotation, Slots};

use super::{Convolution, Geometry, LinearMap};
use crate::VectorLayout;

/// Computes the diagonals of one map. What is the same for all of them, where each slot's element lies in its tensor, is
/// tabulated once.
#[derive(Debug)]
pub struct Diagonals<'a> {
    map: &'a LinearMap,
    weights: &'a [f64],
    entries: Entries<'a>,
}

#[derive(Debug)]
enum Entries<'a> {
    /// Rows and columns follow each other in the slots.
    Vectors { rows: usize, cols: usize },
    /// Element of each slot of a period, or [`NOTHING`].
    Elements {
        rows: Vec<u32>,
        columns: Vec<u32>,
        cols: usize,
    },
    /// Result and operand place of each slot of a period.
    Convolution {
        conv: &'a Convolution,
        results: Vec<Place>,
        operands: Vec<Place>,
    },
}

/// An element of an image; for a result, the row and column of the operand under its kernel's first entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) channel: u32,
    pub(super) y: i32,
    pub(super) x: i32,
}

/// A slot without an element.
const NOTHING: u32 = u32::MAX;

impl<'a> Diagonals<'a> {
    /// Prepares the diagonals of a map.
    ///
    /// # Shapes
    /// `weights`: the constant that the map's geometry names.
    ///
    /// # Panics
    /// If there are too few weights, or on layouts that do not fit: `verify` excludes both.
    pub fn new(map: &'a LinearMap, weights: &'a [f64]) -> Self {
        let elements = |layout: VectorLayout| -> Vec<u32> {
            let mut table = vec![NOTHING; layout.period as usize];
            (0..layout.len as usize).for_each(|element| table[layout.slot(element)] = element as u32);
            table
        };
        let entries = match &map.geometry {
            Geometry::Dense { rows, cols, .. } if map.input.image.is_none() && map.output.image.is_none() => {
                Entries::Vectors {
                    rows: *rows as usize,
                    cols: *cols as usize,
                }
            }
            Geometry::Dense { cols, .. } => Entries::Elements {
                rows: elements(map.output),
                columns: elements(map.input),
                cols: *cols as usize,
            },
            Geometry::Convolution(conv) => {
                let places = |table: Vec<u32>, place: &dyn Fn(u32) -> Place| -> Vec<Place> {
                    let nothing = Place {
                        channel: NOTHING,
                        y: 0,
                        x: 0,
                    };
                    table
                        .into_iter()
                        .map(|e| if e == NOTHING { nothing } else { place(e) })
                        .collect()
                };
                Entries::Convolution {
                    conv,
                    results: places(elements(map.output), &|element| conv.result_place(element)),
                    operands: places(elements(map.input), &|element| conv.operand_place(element)),
                }
            }
        };
        Self { map, weights, entries }
    }

    /// Writes diagonal `d`, rotated right by `shift`: `out[i] = diag_d[(i - shift) mod slots]`.
    ///
    /// # Shapes
    /// `out`: one value per slot.
    ///
    /// # Cost
    /// No division in the inner loop of a dense map of vectors: all 128 diagonals of a 784 to 128 map in 4096 slots take
    /// 0.4 ms on one Xeon core (`plan/tests/diagonals.rs` prints it). Around 4 ns a slot for a convolution.
    pub fn write(&self, d: u32, shift: Rotation, out: &mut [f64]) {
        out.fill(0.0);
        let slots = out.len();
        let active = self.map.active_slots(Slots(slots as u32)).min(slots);
        // Slot s reads slot (s + d) mod slots, and lands at (s + shift) mod slots: neither wraps inside a run.
        let read_wrap = slots - d as usize % slots;
        let write_wrap = slots - shift.0 as usize % slots;
        let mut cuts = [0, read_wrap.min(active), write_wrap.min(active), active];
        cuts.sort_unstable();
        for run in cuts.windows(2).filter(|run| run[0] < run[1]) {
            let (read, write) = ((run[0] + d as usize) % slots, (run[0] + shift.0 as usize) % slots);
            self.write_run(run[0], read, &mut out[write..write + run[1] - run[0]]);
        }
    }

    /// Writes consecutive slots of a diagonal: the first collects the result's slot `slot mod R` and reads operand slot
    /// `read`.
    fn write_run(&self, slot: usize, read: usize, out: &mut [f64]) {
        let (row_period, column_period) = (self.map.output.period as usize, self.map.input.period as usize);
        let (mut row, mut column, mut rest) = (slot % row_period, read % column_period, out);
        while !rest.is_empty() {
            let steps = (row_period - row).min(column_period - column).min(rest.len());
            let (now, later) = rest.split_at_mut(steps);
            self.write_piece(row, column, now);
            row = (row + steps) % row_period;
            column = (column + steps) % column_period;
            rest = later;
        }
    }

    /// Writes slots in which neither period ends.
    fn write_piece(&self, row: usize, column: usize, out: &mut [f64]) {
        let steps = out.len();
        match &self.entries {
            Entries::Vectors { rows, cols } => {
                let inside = rows.saturating_sub(row).min(cols.saturating_sub(column)).min(steps);
                if inside > 0 {
                    let from = self.weights[row * cols + column..].iter().step_by(cols + 1);
                    out[..inside]
                        .iter_mut()
                        .zip(from)
                        .for_each(|(to, weight)| *to = *weight);
                }
            }
            Entries::Elements { rows, columns, cols } => {
                let pairs = rows[row..row + steps].iter().zip(&columns[column..column + steps]);
                for (to, (&row, &column)) in out.iter_mut().zip(pairs) {
                    if row != NOTHING && column != NOTHING {
                        *to = self.weights[row as usize * cols + column as usize];
                    }
                }
            }
            Entries::Convolution {
                conv,
                results,
                operands,
            } => {
                let pairs = results[row..row + steps].iter().zip(&operands[column..column + steps]);
                for (to, (result, operand)) in out.iter_mut().zip(pairs) {
                    if result.channel != NOTHING && operand.channel != NOTHING {
                        *to = conv.entry(self.weights, *result, *operand);
                    }
                }
            }
        }
    }
}

/// The diagonals of a dense matrix between two layouts, ascending.
pub(super) fn dense_indices(input: VectorLayout, output: VectorLayout, modulus: u32) -> Vec<u32> {
    let residues = |layout: VectorLayout| -> Vec<u32> {
        let mut all: Vec<u32> = (0..layout.len as usize)
            .map(|element| (layout.slot(element) % modulus as usize) as u32)
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let (rows, columns) = (residues(output), residues(input));
    let mut found = IndexSet::new(modulus);
    for &row in &rows {
        if found.is_full() {
            break;
        }
        columns
            .iter()
            .for_each(|&column| found.insert(i64::from(column) - i64::from(row)));
    }
    found.into_indices()
}

/// A set of residues.
pub(super) struct IndexSet {
    members: Vec<bool>,
    count: usize,
}

impl IndexSet {
    /// The empty set of residues of a modulus.
    pub(super) fn new(modulus: u32) -> Self {
        Self {
            members: vec![false; modulus as usize],
            count: 0,
        }
    }

    /// Inserts the residue of a number.
    pub(super) fn insert(&mut self, number: i64) {
        let residue = number.rem_euclid(self.members.len() as i64) as usize;
        let member = &mut self.members[residue];
        self.count += usize::from(!*member);
        *member = true;
    }

    /// Whether every residue is in.
    pub(super) fn is_full(&self) -> bool {
        self.count == self.members.len()
    }

    /// The residues, ascending.
    pub(super) fn into_indices(self) -> Vec<u32> {
        (0..)
            .zip(self.members)
            .filter_map(|(index, member)| member.then_some(index))
            .collect()
    }
}
