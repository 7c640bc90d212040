//! Hybrid key switching: from `c · s'` to a pair under `s`, through digits and special primes.
//!
//! A polynomial is cut into digits by ranges of primes; each digit is carried to the whole basis (ModUp), multiplied by its
//! part of the key, and the sum is divided by the product of the special primes (ModDown).
//!
//! Source: K. Han, D. Ki, *Better bootstrapping for approximate homomorphic encryption* (ePrint 2019/688), section 3. Keys
//! hold `P` modulo the primes of their digit and 0 modulo the others, which makes a key valid at every lower level.

use heron_params::Level;

use crate::context::{Context, Digit};
use crate::kernels::{Automorphism, MAX_DIGITS, Operand, Raised};
use crate::limb_refs::LimbRefs;
use crate::memory::Words;
use crate::parallel::{for_each_limb, for_each_limb_pair};
use crate::poly::Poly;
use crate::stack::Stack;

/// A key that switches from one secret to another, at its level and below.
pub(crate) struct SwitchKey {
    pub(crate) level: Level,
    /// For each half, one polynomial per digit over the basis of the level.
    pub(crate) halves: [Vec<Poly>; 2],
}

/// A polynomial in evaluation form, with its digits ready to be carried to any prime.
pub(crate) struct Decomposition<'a> {
    ctx: &'a Context,
    level: Level,
    /// The polynomial itself: its own residues are those of its digits.
    own: Own<'a>,
    /// What permuted the polynomial, and permutes what is added to its products.
    automorphism: Option<&'a Automorphism>,
    prepared: Poly,
}

/// The polynomial that is decomposed.
enum Own<'a> {
    Given(&'a Poly),
    Permuted(Poly),
}

impl Own<'_> {
    fn limb(&self, index: usize) -> &[u64] {
        match self {
            Self::Given(poly) => poly.limb(index),
            Self::Permuted(poly) => poly.limb(index),
        }
    }
}

/// The digits of a decomposition modulo a few consecutive primes of the basis, before the second pass of their transforms.
pub(crate) struct DigitColumns<'a> {
    decomposition: &'a Decomposition<'a>,
    first: usize,
    /// For each digit, one middle buffer per prime.
    middles: Words,
    middle_words: usize,
    group_len: usize,
}

/// Words that the digits of one group of primes may take: most of a second-level cache, which the transforms of a group
/// leave and re-enter otherwise.
const GROUP_WORDS: usize = 192 << 10;

/// How many primes of the basis to work on at once, when each needs `buffers` buffers of `words` words. Even, since
/// conversions read their sources once for two primes.
pub(crate) fn group_len(buffers: usize, words: usize) -> usize {
    (GROUP_WORDS / (buffers * words).max(1)).clamp(2, 8) & !1
}

impl<'a> Decomposition<'a> {
    /// Decomposes a polynomial of a level.
    pub(crate) fn new(ctx: &'a Context, level: Level, own: &'a Poly) -> Self {
        let mut prepared = Poly::from_pool(&ctx.pool, ctx.n(), level.limbs());
        for_each_limb(&mut prepared, |i, out| prepare(ctx, level, i, own.limb(i), out));
        Self {
            ctx,
            level,
            own: Own::Given(own),
            automorphism: None,
            prepared,
        }
    }

    /// Decomposes the image of a polynomial of a level under an automorphism.
    pub(crate) fn permuted(ctx: &'a Context, level: Level, poly: &Poly, automorphism: &'a Automorphism) -> Self {
        let mut own = Poly::from_pool(&ctx.pool, ctx.n(), level.limbs());
        let mut prepared = Poly::from_pool(&ctx.pool, ctx.n(), level.limbs());
        for_each_limb_pair(&mut own, &mut prepared, |i, own, prepared| {
            ctx.prime(i).permute(automorphism, poly.limb(i), own);
            prepare(ctx, level, i, own, prepared);
        });
        Self {
            ctx,
            level,
            own: Own::Permuted(own),
            automorphism: Some(automorphism),
            prepared,
        }
    }

    /// How many primes to extend to at once.
    pub(crate) fn group_len(&self) -> usize {
        group_len(self.digits().len(), self.ctx.n())
    }

    fn digits(&self) -> &'a [Digit] {
        &self.ctx.level(self.level).digits
    }

    /// Carries all digits to the `group_len` primes from a position of the basis on.
    pub(crate) fn extend(&self, first: usize, group_len: usize) -> DigitColumns<'_> {
        let (ctx, middle_words) = (self.ctx, self.ctx.prime(0).middle_words());
        let mut middles = ctx.pool.take(self.digits().len() * group_len * middle_words);
        let digit_middles = middles.chunks_exact_mut(group_len * middle_words);
        for (digit, middles) in self.digits().iter().zip(digit_middles) {
            let mut prepared = LimbRefs::new();
            digit.limbs.clone().for_each(|i| prepared.push(self.prepared.limb(i)));
            digit.extend(
                first,
                |position| ctx.basis_prime(self.level, position),
                prepared.as_slice(),
                middles.chunks_exact_mut(middle_words),
            );
        }
        DigitColumns {
            decomposition: self,
            first,
            middles,
            middle_words,
            group_len,
        }
    }

    /// The products with a key over the basis, plus the special primes times `addends`, each under the automorphism of the
    /// decomposition: a stack of the two halves, still times the special primes.
    pub(crate) fn switch(&self, key: &SwitchKey, addends: [Option<&Poly>; 2]) -> Stack {
        let ctx = self.ctx;
        let mut out = Stack::from_pool(&ctx.pool, ctx.n(), ctx.basis_len(self.level), 2);
        out.for_each_group(self.group_len(), |first, mut rows| {
            let columns = self.extend(first, rows.len());
            for (slot, mut row) in rows.iter_mut().enumerate() {
                columns.switch(key, slot, addends, row.pair_mut(0));
            }
        });
        out
    }
}

/// The digits of a decomposition modulo one prime of the basis, in evaluation form.
pub(crate) struct EvaluatedDigits<'a> {
    words: Words,
    /// The digit that the prime belongs to, whose residues are the decomposed polynomial's own.
    own: Option<(usize, &'a [u64])>,
    n: usize,
}

impl EvaluatedDigits<'_> {
    /// One digit, which holds the whole polynomial.
    pub(crate) fn single(words: Words) -> Self {
        Self {
            n: words.len(),
            words,
            own: None,
        }
    }

    /// The limbs of the digits from `start` on, as many as one sum takes.
    pub(crate) fn limbs(&self, start: usize) -> LimbRefs<'_> {
        let mut limbs = LimbRefs::new();
        let n_digits = self.words.len() / self.n;
        for d in start..n_digits.min(start + MAX_DIGITS) {
            limbs.push(match self.own {
                Some((own, limb)) if own == d => limb,
                Some(_) | None => &self.words[d * self.n..][..self.n],
            });
        }
        limbs
    }
}

impl DigitColumns<'_> {
    /// Digit `index` modulo prime `slot` of the group.
    fn digit(&self, index: usize, slot: usize) -> Operand<'_> {
        let (decomposition, position) = (self.decomposition, self.first + slot);
        if decomposition.digits()[index].limbs.contains(&position) {
            return Operand::Evaluated(decomposition.own.limb(position));
        }
        let start = (index * self.group_len + slot) * self.middle_words;
        Operand::Columns(&self.middles[start..][..self.middle_words])
    }

    /// Ends the transforms of the digits modulo prime `slot` of the group: one limb each.
    pub(crate) fn evaluate(&self, slot: usize) -> EvaluatedDigits<'_> {
        let (ctx, n) = (self.decomposition.ctx, self.decomposition.ctx.n());
        let prime = ctx.basis_prime(self.decomposition.level, self.first + slot);
        let n_digits = self.decomposition.digits().len();
        let mut words = ctx.pool.take(n_digits * n);
        let mut own = None;
        for (d, limb) in words.chunks_exact_mut(n).enumerate() {
            match self.digit(d, slot) {
                Operand::Columns(middle) => prime.forward_rows(middle, limb),
                Operand::Evaluated(limb) => own = Some((d, limb)),
            }
        }
        EvaluatedDigits { words, own, n }
    }

    /// `out[h] = P · addends[h] + Σ digit_d · half_h,d` modulo prime `slot` of the group, with the product `P` of the
    /// special primes, for a key of this level or above.
    fn switch(&self, key: &SwitchKey, slot: usize, addends: [Option<&Poly>; 2], out: [&mut [u64]; 2]) {
        let (ctx, level) = (self.decomposition.ctx, self.decomposition.level);
        let position = self.first + slot;
        let prime = ctx.basis_prime(level, position);
        // Modulo a special prime the raised addends are zero.
        let raised = (position < level.limbs()).then(|| Raised {
            limbs: addends.map(|addend| addend.map(|poly| poly.limb(position))),
            factor: ctx.special_product(position),
            automorphism: self.decomposition.automorphism,
        });
        let n_digits = self.decomposition.digits().len();
        let [out0, out1] = out;
        for start in (0..n_digits).step_by(MAX_DIGITS) {
            let mut operands = [Operand::Evaluated(&[]); MAX_DIGITS];
            let mut halves = [LimbRefs::new(); 2];
            let count = (n_digits - start).min(MAX_DIGITS);
            for (d, operand) in operands[..count].iter_mut().enumerate() {
                *operand = self.digit(start + d, slot);
                for (half, limbs) in halves.iter_mut().enumerate() {
                    limbs.push(key.limb(half, start + d, level, position));
                }
            }
            let halves = [halves[0].as_slice(), halves[1].as_slice()];
            if start == 0 {
                prime.switch(&operands[..count], halves, raised.as_ref(), [&mut *out0, &mut *out1]);
            } else {
                let mut sums = [ctx.pool.take(ctx.n()), ctx.pool.take(ctx.n())];
                let [sum0, sum1] = &mut sums;
                prime.switch(&operands[..count], halves, None, [&mut *sum0, &mut *sum1]);
                prime.add_assign(out0, sum0);
                prime.add_assign(out1, sum1);
            }
        }
    }
}

/// Limb `index` of a polynomial, as conversions read it.
fn prepare(ctx: &Context, level: Level, index: usize, limb: &[u64], out: &mut [u64]) {
    let digit = &ctx.level(level).digits[index / ctx.params().digit_len as usize];
    digit.prepare(index, ctx.prime(index), limb, out);
}

impl SwitchKey {
    /// The limb of one half, for one digit, at a position of the basis of a level at or below the key's.
    pub(crate) fn limb(&self, half: usize, digit: usize, level: Level, position: usize) -> &[u64] {
        let key_position = if position < level.limbs() {
            position
        } else {
            position - level.limbs() + self.level.limbs()
        };
        self.halves[half][digit].limb(key_position)
    }
}
