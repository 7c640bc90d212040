//! Where the elements of a tensor lie in the slots of a ciphertext.

use std::fmt;

use heron_params::Slots;
use serde::{Deserialize, Serialize};

/// A vector repeated along the slots.
///
/// Slot `s` holds element `s mod period`, or zero where that is not below `len`. The period need not divide the number of
/// slots: the last repetition is then cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorLayout {
    /// Number of elements.
    pub len: u32,
    /// Distance between repetitions; at least `len`.
    pub period: u32,
}

impl VectorLayout {
    /// Whether the layout has elements, keeps them apart, and fits one repetition into the slots.
    pub fn fits(self, slots: Slots) -> bool {
        (1..=self.period).contains(&self.len) && self.period <= slots.0
    }

    /// The element in a slot, if any.
    pub fn element(self, slot: usize) -> Option<usize> {
        let element = slot % self.period as usize;
        (element < self.len as usize).then_some(element)
    }

    /// Spreads a vector over the slots.
    ///
    /// # Shapes
    /// `values`: `len` elements. Result: `slots` values.
    ///
    /// # Panics
    /// If `values` has fewer than `len` elements.
    pub fn spread(self, values: &[f64], slots: usize) -> Vec<f64> {
        (0..slots)
            .map(|slot| self.element(slot).map_or(0.0, |element| values[element]))
            .collect()
    }

    /// Reads the vector back from its first repetition.
    ///
    /// # Panics
    /// If there are fewer than `len` slots.
    pub fn gather(self, slots: &[f64]) -> Vec<f64> {
        slots[..self.len as usize].to_vec()
    }

    /// Whether every rotation of the slots by a multiple of the period leaves the layout as it is.
    pub fn is_cyclic(self, slots: usize) -> bool {
        slots.is_multiple_of(self.period as usize)
    }
}

impl fmt::Display for VectorLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} every {}", self.len, self.period)
    }
}
