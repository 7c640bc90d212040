//! Sums of products that are reduced once: what key switching and linear transforms spend their time in.

use crate::kernels::{MAX_TERMS, NttPrime};
use crate::memory::Pool;

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

/// Up to [`MAX_TERMS`] products of a limb with a pair of limbs.
pub(crate) struct LazySum<'a> {
    values: LimbRefs<'a>,
    pairs: [LimbRefs<'a>; 2],
}

/// Whether a sum replaces what was there or is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    Write,
    Add,
}

impl Fill {
    /// The first chunk of a longer sum is written, the others are added.
    pub(crate) fn of_chunk(index: usize) -> Self {
        if index == 0 { Self::Write } else { Self::Add }
    }
}

impl<'a> LazySum<'a> {
    pub(crate) fn new() -> Self {
        Self {
            values: LimbRefs::new(),
            pairs: [LimbRefs::new(); 2],
        }
    }

    pub(crate) fn push(&mut self, value: &'a [u64], pair: [&'a [u64]; 2]) {
        self.values.push(value);
        self.pairs[0].push(pair[0]);
        self.pairs[1].push(pair[1]);
    }

    /// Sums `value · pair[h]` into `out[h]`.
    pub(crate) fn finish(&self, prime: &NttPrime, pool: &Pool, fill: Fill, out: [&mut [u64]; 2]) {
        let pairs = [self.pairs[0].as_slice(), self.pairs[1].as_slice()];
        match fill {
            Fill::Write => prime.inner_product(self.values.as_slice(), pairs, out),
            Fill::Add => {
                let mut sums = [pool.take(prime.degree()), pool.take(prime.degree())];
                let [sum0, sum1] = &mut sums;
                prime.inner_product(self.values.as_slice(), pairs, [&mut *sum0, &mut *sum1]);
                let [out0, out1] = out;
                prime.add_assign(out0, sum0);
                prime.add_assign(out1, sum1);
            }
        }
    }
}
