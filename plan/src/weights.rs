//! The constants of a plan: the contents of `weights.bin`.

use serde::{Deserialize, Serialize};

use crate::{ConstId, Digest};

/// What `plan.json` says of one tensor in `weights.bin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConstEntry {
    /// Name for people.
    pub name: String,
    /// Its shape, row-major.
    pub shape: Vec<usize>,
    /// Digest of its little-endian f64 bytes.
    pub digest: Digest,
}

/// The tensors that a plan's constants refer to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    tensors: Vec<Vec<f64>>,
}

impl Weights {
    /// Adds a tensor; its identifier and entry.
    pub fn push(&mut self, name: &str, shape: &[usize], values: Vec<f64>) -> (ConstId, ConstEntry) {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let entry = ConstEntry {
            name: name.to_owned(),
            shape: shape.to_vec(),
            digest: Digest::of(&bytes),
        };
        let id = ConstId(self.tensors.len() as u32);
        self.tensors.push(values);
        (id, entry)
    }

    /// The tensors, in order.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.tensors.iter().map(Vec::as_slice)
    }

    /// Adds a tensor that already has an entry.
    pub(crate) fn push_values(&mut self, values: Vec<f64>) {
        self.tensors.push(values);
    }

    /// A tensor's elements, row-major; `None` for an identifier that is not in the table.
    pub fn get(&self, id: ConstId) -> Option<&[f64]> {
        self.tensors.get(id.index()).map(Vec::as_slice)
    }
}
