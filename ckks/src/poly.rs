//! Polynomials in residue form: one limb of `N` residues per prime, in one aligned buffer.

use rayon::prelude::*;
use zeroize::Zeroize;

use crate::memory::{Pool, Words, limb_stride};

/// One limb of `N` residues per prime of some basis. Whether it is in coefficient or in evaluation (NTT) form, and modulo
/// which primes, is fixed by the type that owns it: everything that lives longer than one function is in evaluation form.
#[derive(Clone, Debug)]
pub(crate) struct Poly {
    words: Words,
    n: usize,
}

/// A few consecutive limbs of a polynomial.
pub(crate) struct LimbGroup<'a> {
    words: &'a mut [u64],
    n: usize,
}

impl<'a> LimbGroup<'a> {
    pub(crate) fn len(&self) -> usize {
        self.words.len() / limb_stride(self.n)
    }

    /// The limbs in order.
    pub(crate) fn into_limbs(self) -> impl Iterator<Item = &'a mut [u64]> {
        let n = self.n;
        self.words
            .chunks_exact_mut(limb_stride(n))
            .map(move |limb| &mut limb[..n])
    }
}

impl Poly {
    /// `limbs` limbs of zeros.
    pub(crate) fn zeroed(n: usize, limbs: usize) -> Self {
        Self {
            words: Words::zeroed(limbs * limb_stride(n)),
            n,
        }
    }

    /// `limbs` limbs from a pool, with arbitrary contents that the caller overwrites.
    pub(crate) fn from_pool(pool: &Pool, n: usize, limbs: usize) -> Self {
        Self {
            words: pool.take(limbs * limb_stride(n)),
            n,
        }
    }

    pub(crate) fn n(&self) -> usize {
        self.n
    }

    /// How many limbs there are.
    pub(crate) fn n_limbs(&self) -> usize {
        self.words.len() / limb_stride(self.n)
    }

    pub(crate) fn limb(&self, index: usize) -> &[u64] {
        &self.words[index * limb_stride(self.n)..][..self.n]
    }

    pub(crate) fn limb_mut(&mut self, index: usize) -> &mut [u64] {
        &mut self.words[index * limb_stride(self.n)..][..self.n]
    }

    /// The limbs in order.
    pub(crate) fn limbs(&self) -> impl DoubleEndedIterator<Item = &[u64]> + ExactSizeIterator {
        self.words.chunks_exact(limb_stride(self.n)).map(|limb| &limb[..self.n])
    }

    /// All limbs but the last, and the last.
    pub(crate) fn split_last_limb_mut(&mut self) -> (Vec<&[u64]>, &mut [u64]) {
        let (n, stride) = (self.n, limb_stride(self.n));
        let before_last = self.words.len() - stride;
        let (others, last) = self.words.split_at_mut(before_last);
        (
            others.chunks_exact(stride).map(|limb| &limb[..n]).collect(),
            &mut last[..n],
        )
    }

    /// The limbs in order, for rayon.
    pub(crate) fn par_limbs_mut(&mut self) -> impl IndexedParallelIterator<Item = &mut [u64]> {
        let n = self.n;
        self.words
            .par_chunks_exact_mut(limb_stride(n))
            .map(move |limb| &mut limb[..n])
    }

    /// Consecutive limbs, up to `group_len` at a time; for rayon.
    pub(crate) fn par_groups_mut(&mut self, group_len: usize) -> impl IndexedParallelIterator<Item = LimbGroup<'_>> {
        let n = self.n;
        self.words
            .par_chunks_mut(group_len * limb_stride(n))
            .map(move |words| LimbGroup { words, n })
    }

    /// Consecutive limbs, up to `group_len` at a time.
    pub(crate) fn groups_mut(&mut self, group_len: usize) -> impl Iterator<Item = LimbGroup<'_>> {
        let n = self.n;
        self.words
            .chunks_mut(group_len * limb_stride(n))
            .map(move |words| LimbGroup { words, n })
    }

    /// The limbs in order, mutable.
    pub(crate) fn limbs_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [u64]> {
        let n = self.n;
        self.words
            .chunks_exact_mut(limb_stride(n))
            .map(move |limb| &mut limb[..n])
    }
}

impl Zeroize for Poly {
    fn zeroize(&mut self) {
        self.words.zeroize();
    }
}

impl PartialEq for Poly {
    /// Equal residues; padding does not count.
    fn eq(&self, other: &Self) -> bool {
        self.n == other.n && self.n_limbs() == other.n_limbs() && self.limbs().eq(other.limbs())
    }
}
