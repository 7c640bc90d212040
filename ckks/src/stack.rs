//! Several polynomials over one basis, stored prime by prime: what a loop over primes writes side by side.

use rayon::prelude::*;

use crate::memory::{Pool, Words, limb_stride};

/// `width` polynomials over a basis; the limbs modulo one prime form a row.
pub(crate) struct Stack {
    words: Words,
    n: usize,
    width: usize,
}

/// The limbs of all polynomials of a stack modulo one prime.
pub(crate) struct Row<'a> {
    words: &'a mut [u64],
    n: usize,
}

/// Consecutive rows of a stack.
pub(crate) struct Rows<'a> {
    words: &'a mut [u64],
    n: usize,
    row_words: usize,
}

impl Rows<'_> {
    pub(crate) fn len(&self) -> usize {
        self.words.len() / self.row_words
    }

    /// The rows, in order.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = Row<'_>> {
        let n = self.n;
        self.words
            .chunks_exact_mut(self.row_words)
            .map(move |words| Row { words, n })
    }
}

impl Stack {
    /// A stack from a pool, with arbitrary contents that the caller overwrites.
    pub(crate) fn from_pool(pool: &Pool, n: usize, rows: usize, width: usize) -> Self {
        Self {
            words: pool.take(rows * width * limb_stride(n)),
            n,
            width,
        }
    }

    /// The limb of polynomial `index` at `position` of the basis.
    pub(crate) fn limb(&self, position: usize, index: usize) -> &[u64] {
        &self.words[(position * self.width + index) * limb_stride(self.n)..][..self.n]
    }

    /// Calls `work(position, row)` for every prime, on the threads of the pool if there are several.
    pub(crate) fn for_each_row(&mut self, work: impl Fn(usize, Row<'_>) + Sync + Send) {
        let (n, row_words) = (self.n, self.width * limb_stride(self.n));
        if rayon::current_num_threads() > 1 {
            let rows = self.words.par_chunks_exact_mut(row_words).enumerate();
            rows.for_each(|(position, words)| work(position, Row { words, n }));
        } else {
            let rows = self.words.chunks_exact_mut(row_words).enumerate();
            rows.for_each(|(position, words)| work(position, Row { words, n }));
        }
    }

    /// Calls `work(first position, rows)` for every group of up to `group_len` consecutive primes.
    pub(crate) fn for_each_group(&mut self, group_len: usize, work: impl Fn(usize, Rows<'_>) + Sync + Send) {
        let (n, width) = (self.n, self.width);
        let row_words = width * limb_stride(n);
        let work = |(group, words): (usize, _)| work(group * group_len, Rows { words, n, row_words });
        if rayon::current_num_threads() > 1 {
            let groups = self.words.par_chunks_mut(group_len * row_words).enumerate();
            groups.for_each(work);
        } else {
            self.words.chunks_mut(group_len * row_words).enumerate().for_each(work);
        }
    }
}

impl Row<'_> {
    /// Limbs `2 index` and `2 index + 1`.
    pub(crate) fn pair_mut(&mut self, index: usize) -> [&mut [u64]; 2] {
        let stride = limb_stride(self.n);
        let pair = &mut self.words[2 * index * stride..][..2 * stride];
        let (first, second) = pair.split_at_mut(stride);
        [&mut first[..self.n], &mut second[..self.n]]
    }
}
