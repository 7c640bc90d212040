//! Short lists of limbs by reference, for sums that are reduced once.

use crate::kernels::MAX_TERMS;

/// Up to [`MAX_TERMS`] limbs by reference.
#[derive(Clone, Copy)]
pub(crate) struct LimbRefs<'a> {
    limbs: [&'a [u64]; MAX_TERMS],
    len: usize,
}

impl<'a> LimbRefs<'a> {
    pub(crate) fn new() -> Self {
        Self {
            limbs: [&[]; MAX_TERMS],
            len: 0,
        }
    }

    pub(crate) fn push(&mut self, limb: &'a [u64]) {
        self.limbs[self.len] = limb;
        self.len += 1;
    }

    pub(crate) fn as_slice(&self) -> &[&'a [u64]] {
        &self.limbs[..self.len]
    }
}
