//! Operations that end a forward transform: what its second pass leaves in the first-level cache is used at once, row by row,
//! and never written to memory.
//!
//! Here they are put together from the other kernels of a set; sets that gain from more have their own.

use super::conversion::TargetConstants;
use super::modular::Scalar;
use super::order::{LANES, MAX_COLUMNS};
use super::prime::{MAX_TERMS, NttPrime};
use super::{Automorphism, ScaledLimb};

/// One factor of a product with a key.
#[derive(Clone, Copy)]
pub(crate) enum Operand<'a> {
    /// Between the passes of the forward transform: a middle buffer.
    Columns(&'a [u64]),
    /// A limb in evaluation form.
    Evaluated(&'a [u64]),
}

/// What is added to a pair of sums: two limbs, under an automorphism if there is one, times one factor.
#[derive(Clone, Copy)]
pub(crate) struct Raised<'a> {
    /// One limb, in evaluation form, for each sum that something is added to.
    pub(crate) limbs: [Option<&'a [u64]>; 2],
    pub(crate) factor: Scalar,
    pub(crate) automorphism: Option<&'a Automorphism>,
}

/// A key that products are rotated with.
#[derive(Clone, Copy)]
pub struct RotatingKey<'a> {
    /// How the digits are permuted before they meet the key.
    pub automorphism: &'a Automorphism,
    /// One limb per digit for each component of the key.
    pub components: [&'a [&'a [u64]]; 2],
}

/// The most digits of a product with a key: [`MAX_TERMS`], of which the addend is one.
pub const MAX_DIGITS: usize = MAX_TERMS - 1;

impl NttPrime {
    /// Words of the buffer between the passes of a transform.
    pub(crate) fn middle_words(&self) -> usize {
        self.shape.middle_words()
    }

    /// `out[c] = raised[c] + sum over d of digits[d] * key[c][d]`, where digits may still lack the second pass of their
    /// transform.
    ///
    /// # Panics
    /// When there are more than [`MAX_DIGITS`] digits, a component of the key has another number of limbs, or a limb has not
    /// `N` words.
    pub(crate) fn switch(
        &self,
        digits: &[Operand<'_>],
        key: [&[&[u64]]; 2],
        raised: Option<&Raised<'_>>,
        out: [&mut [u64]; 2],
    ) {
        assert!(digits.len() <= MAX_DIGITS, "at most {MAX_DIGITS} digits");
        for digit in digits {
            self.check_operand(digit);
        }
        for component in key {
            assert_eq!(component.len(), digits.len(), "one key limb per digit");
            self.check(component);
        }
        if let Some(raised) = raised {
            raised.limbs.iter().flatten().for_each(|limb| self.check(&[limb]));
            self.check_automorphism(raised.automorphism);
        }
        self.check(&[&*out[0], &*out[1]]);
        (self.kernels.0.switch)(self, digits, key, raised, out);
    }

    /// A part of a rotated product, from residue `first` on: `out[c] = sum over d of σ(digits[d]) * key[c][d]`, plus
    /// `σ(addend)` times its factor in the first component, `σ` being the automorphism; the inner loop of a linear transform,
    /// whose baby steps share their digits.
    ///
    /// # Panics
    /// When the part does not start and end at multiples of 8 inside the limb; when there are more than [`MAX_DIGITS`] digits; or as
    /// [`NttPrime::inner_product`].
    ///
    /// # Source
    /// J.-P. Bossuat et al., *Efficient bootstrapping for approximate homomorphic encryption with non-sparse keys*
    /// (ePrint 2020/1203), section 4.
    pub fn rotated_product(
        &self,
        first: usize,
        digits: &[&[u64]],
        key: &RotatingKey<'_>,
        addend: Option<ScaledLimb<'_>>,
        out: [&mut [u64]; 2],
    ) {
        assert!(digits.len() <= MAX_DIGITS, "at most {MAX_DIGITS} digits");
        self.check_key(digits, key.components);
        if let Some((limb, _)) = addend {
            self.check(&[limb]);
        }
        let len = out[0].len();
        self.check_automorphism(Some(key.automorphism));
        assert_eq!(out[1].len(), len, "parts of one length");
        let inside = first.checked_add(len).is_some_and(|end| end <= self.degree());
        assert!(
            inside && first.is_multiple_of(LANES) && len.is_multiple_of(LANES),
            "whole groups of the limb"
        );
        (self.kernels.0.rotated_product)(self, first, digits, key, addend, out);
    }

    /// Both components of [`inner_product`](Self::inner_product) on parts of limbs, all of one length in whole groups of 8.
    ///
    /// # Panics
    /// When the lengths or numbers of the parts differ, or there are more than [`MAX_TERMS`].
    pub(crate) fn inner_product_of_parts(&self, a: &[&[u64]], b: [&[&[u64]]; 2], out: [&mut [u64]; 2]) {
        let len = out[0].len();
        let mut parts = a.iter().chain(b[0]).chain(b[1]);
        let alike = out[1].len() == len && parts.all(|part| part.len() == len);
        assert!(alike && len.is_multiple_of(LANES), "parts of one length");
        let counted = a.len() <= MAX_TERMS && b.iter().all(|b| b.len() == a.len());
        assert!(counted, "at most {MAX_TERMS} products");
        (self.kernels.0.inner_product)(self, a, b, out);
    }

    /// `a += b` on parts of limbs.
    ///
    /// # Panics
    /// When the lengths differ or are no multiples of 8.
    pub(crate) fn add_assign_part(&self, a: &mut [u64], b: &[u64]) {
        assert!(
            a.len() == b.len() && a.len().is_multiple_of(LANES),
            "parts of one length"
        );
        (self.kernels.0.add_assign)(self, a, b);
    }

    /// `a *= factor` on a part of a limb.
    ///
    /// # Panics
    /// When the length is no multiple of 8.
    pub(crate) fn mul_scalar_assign_part(&self, a: &mut [u64], factor: Scalar) {
        assert!(a.len().is_multiple_of(LANES), "whole groups");
        (self.kernels.0.mul_scalar_assign)(self, a, factor);
    }

    /// `out = (dividend - remainder) * factor`, where the remainder lacks the second pass of its transform: how a rescale and a ModDown end.
    ///
    /// # Panics
    /// When a limb has not `N` words.
    pub(crate) fn divide(&self, remainder: &[u64], dividend: &[u64], factor: Scalar, out: &mut [u64]) {
        self.check_operand(&Operand::Columns(remainder));
        self.check(&[dividend, out]);
        (self.kernels.0.divide)(self, remainder, dividend, factor, out);
    }

    /// `out = σ(input)`, `σ` being the automorphism, in evaluation form.
    ///
    /// # Panics
    /// When a limb has not `N` words, or the automorphism is not of this ring.
    pub(crate) fn permute(&self, automorphism: &Automorphism, input: &[u64], out: &mut [u64]) {
        self.check(&[input, out]);
        self.check_automorphism(Some(automorphism));
        (self.kernels.0.permute)(automorphism, 0, input, out);
    }

    fn check_automorphism(&self, automorphism: Option<&Automorphism>) {
        let fits = automorphism.is_none_or(|automorphism| automorphism.degree() == self.degree());
        assert!(fits, "an automorphism of this ring");
    }

    fn check_operand(&self, operand: &Operand<'_>) {
        match operand {
            Operand::Columns(middle) => assert!(middle.len() >= self.middle_words(), "a middle buffer"),
            Operand::Evaluated(limb) => self.check(&[limb]),
        }
    }
}

pub(super) fn convert_tiles(
    primes: [&NttPrime; 2],
    prepared: &[&[u64]],
    targets: [&TargetConstants; 2],
    converted: [&mut [u64]; 2],
    middle: [&mut [u64]; 2],
) {
    for (((prime, target), converted), middle) in primes.into_iter().zip(targets).zip(converted).zip(middle) {
        (prime.kernels.0.convert)(prime, prepared, target, converted);
        (prime.kernels.0.forward_tile)(prime, converted, middle);
    }
}

/// Rows of up to [`MAX_TERMS`] operands.
type Rows = [[u64; MAX_COLUMNS]; MAX_TERMS];

pub(super) fn switch(
    prime: &NttPrime,
    digits: &[Operand<'_>],
    key: [&[&[u64]]; 2],
    raised: Option<&Raised<'_>>,
    out: [&mut [u64]; 2],
) {
    let (table, columns) = (prime.kernels.0, prime.shape.columns);
    let mut transformed: Rows = [[0; MAX_COLUMNS]; MAX_TERMS];
    let [out0, out1] = out;
    let outs = out0.chunks_exact_mut(columns).zip(out1.chunks_exact_mut(columns));
    for (row, (out0, out1)) in outs.enumerate() {
        for (digit, transformed) in digits.iter().zip(&mut transformed) {
            if let Operand::Columns(middle) = digit {
                (table.forward_row)(prime, row, middle, &mut transformed[..columns]);
            }
        }
        let mut rows: [&[u64]; MAX_TERMS] = [&[]; MAX_TERMS];
        for ((out, digit), transformed) in rows.iter_mut().zip(digits).zip(&transformed) {
            *out = match digit {
                Operand::Columns(_) => &transformed[..columns],
                Operand::Evaluated(limb) => row_of(limb, row, columns),
            };
        }
        let mut key_rows: [[&[u64]; MAX_TERMS]; 2] = [[&[]; MAX_TERMS]; 2];
        for (out, component) in key_rows.iter_mut().zip(key) {
            for (out, limb) in out.iter_mut().zip(component) {
                *out = row_of(limb, row, columns);
            }
        }
        let count = digits.len();
        let key_rows = [&key_rows[0][..count], &key_rows[1][..count]];
        (table.inner_product)(prime, &rows[..count], key_rows, [&mut *out0, &mut *out1]);
        let Some(raised) = raised else { continue };
        for (out, limb) in [out0, out1].into_iter().zip(raised.limbs) {
            if let Some(limb) = limb {
                match raised.automorphism {
                    Some(automorphism) => {
                        let permuted = &mut transformed[0][..columns];
                        automorphism.gather(row * columns, limb, permuted);
                        (table.mul_scalar_add_assign)(prime, out, permuted, raised.factor);
                    }
                    None => (table.mul_scalar_add_assign)(prime, out, row_of(limb, row, columns), raised.factor),
                }
            }
        }
    }
}

pub(super) fn rotated_product(
    prime: &NttPrime,
    first: usize,
    digits: &[&[u64]],
    key: &RotatingKey<'_>,
    addend: Option<ScaledLimb<'_>>,
    out: [&mut [u64]; 2],
) {
    let [out0, out1] = out;
    let parts = out0.chunks_mut(MAX_COLUMNS).zip(out1.chunks_mut(MAX_COLUMNS));
    for (part, (out0, out1)) in parts.enumerate() {
        rotated_part(prime, first + part * MAX_COLUMNS, digits, key, addend, [out0, out1]);
    }
}

fn rotated_part(
    prime: &NttPrime,
    first: usize,
    digits: &[&[u64]],
    key: &RotatingKey<'_>,
    addend: Option<ScaledLimb<'_>>,
    out: [&mut [u64]; 2],
) {
    let (table, [out0, out1]) = (prime.kernels.0, out);
    let (len, count) = (out0.len(), digits.len());
    let mut permuted: Rows = [[0; MAX_COLUMNS]; MAX_TERMS];
    for (permuted, digit) in permuted.iter_mut().zip(digits) {
        key.automorphism.gather(first, digit, &mut permuted[..len]);
    }
    let mut rows: [&[u64]; MAX_TERMS] = [&[]; MAX_TERMS];
    for (row, permuted) in rows.iter_mut().zip(&permuted) {
        *row = &permuted[..len];
    }
    let mut key_rows: [[&[u64]; MAX_TERMS]; 2] = [[&[]; MAX_TERMS]; 2];
    for (rows, component) in key_rows.iter_mut().zip(key.components) {
        for (row, limb) in rows.iter_mut().zip(component) {
            *row = &limb[first..][..len];
        }
    }
    let key_rows = [&key_rows[0][..count], &key_rows[1][..count]];
    (table.inner_product)(prime, &rows[..count], key_rows, [&mut *out0, out1]);
    if let Some((limb, factor)) = addend {
        let permuted = &mut permuted[0][..len];
        key.automorphism.gather(first, limb, permuted);
        (table.mul_scalar_add_assign)(prime, out0, permuted, factor);
    }
}

pub(super) fn divide(prime: &NttPrime, remainder: &[u64], dividend: &[u64], factor: Scalar, out: &mut [u64]) {
    let (table, columns) = (prime.kernels.0, prime.shape.columns);
    let mut transformed = [0; MAX_COLUMNS];
    let transformed = &mut transformed[..columns];
    for (row, out) in out.chunks_exact_mut(columns).enumerate() {
        (table.forward_row)(prime, row, remainder, transformed);
        out.copy_from_slice(row_of(dividend, row, columns));
        (table.sub_mul_scalar_assign)(prime, out, transformed, factor);
    }
}

fn row_of(limb: &[u64], row: usize, columns: usize) -> &[u64] {
    &limb[row * columns..][..columns]
}
