//! The fused kernels: rows stay lazy between the transform and what uses them.

use super::super::conversion::TargetConstants;
use super::super::fused;
use super::super::modular::Scalar;
use super::super::order::LANES;
use super::super::prime::{MAX_TERMS, NttPrime};
use super::super::{Automorphism, Operand, Raised, RotatingKey};
use super::ntt::{self, ROW_LINES, lazy_bound, lazy_row, middle_lines, tables, with_limit};
use super::pointwise::{lines, lines_mut, lines_of, scalar, upper};
use super::tables::Table;
use super::vector::{Constants, Ifma, Line, Multiplier, V, Wide};

/// Rows in the first-level cache.
type Rows = [[Line; ROW_LINES]; MAX_TERMS];

/// Vectors that a conversion sums at a time, for each of its two targets: their accumulators fill half the registers.
const CONVERTED: usize = 4;

#[inline(always)]
pub(super) fn convert_tiles(
    simd: Ifma,
    primes: [&NttPrime; 2],
    prepared: &[&[u64]],
    targets: [&TargetConstants; 2],
    converted: [&mut [u64]; 2],
    middle: [&mut [u64]; 2],
) {
    let (Some(first), Some(second)) = (tables(primes[0]), tables(primes[1])) else {
        return fused::convert_tiles(primes, prepared, targets, converted, middle);
    };
    let [converted0, converted1] = converted.map(lines_mut);
    convert_two(simd, primes, prepared, targets, [&mut *converted0, &mut *converted1]);
    let [middle0, middle1] = middle.map(lines_mut);
    ntt::forward_lazy_tile(simd, primes[0], &first.forward, converted0, middle0);
    ntt::forward_lazy_tile(simd, primes[1], &second.forward, converted1, middle1);
}

/// The sums of a conversion to two targets, below 4 multiples of their primes.
#[inline(always)]
fn convert_two(
    simd: Ifma,
    primes: [&NttPrime; 2],
    prepared: &[&[u64]],
    targets: [&TargetConstants; 2],
    out: [&mut [Line]; 2],
) {
    let (sources, count) = (lines_of(prepared), prepared.len());
    let (c, uppers) = (
        [simd.constants(primes[0].q()), simd.constants(primes[1].q())],
        [upper(simd, primes[0]), upper(simd, primes[1])],
    );
    let [out0, out1] = out;
    // Tiles have at least four lines, a power of two.
    for (block, (out0, out1)) in out0
        .as_chunks_mut::<CONVERTED>()
        .0
        .iter_mut()
        .zip(out1.as_chunks_mut::<CONVERTED>().0)
        .enumerate()
    {
        let first = block * CONVERTED;
        let mut sums = [start(simd, targets[0]), start(simd, targets[1])];
        for (i, source) in sources[..count].iter().enumerate() {
            let values: [V; CONVERTED] = simd.gather(source, first, 1);
            // Sources come from the third-level cache, in more streams than the hardware reads ahead.
            for line in 0..CONVERTED {
                simd.prefetch(source.as_ptr().wrapping_add(first + 2 * CONVERTED + line));
            }
            for (sums, target) in sums.iter_mut().zip(targets) {
                let factor = simd.splat(target.factors[i]);
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = simd.madd_wide(*sum, value, factor);
                }
            }
        }
        for (k, out) in [out0, out1].into_iter().enumerate() {
            for (out, &sum) in out.iter_mut().zip(&sums[k]) {
                simd.store(out, simd.reduce_wide_lazy(sum, uppers[k], &c[k]));
            }
        }
    }
}

#[inline(always)]
fn start(simd: Ifma, target: &TargetConstants) -> [Wide; CONVERTED] {
    let sum = Wide {
        low: simd.splat(target.start),
        high: simd.zero(),
    };
    [sum; CONVERTED]
}

#[inline(always)]
pub(super) fn switch(
    simd: Ifma,
    prime: &NttPrime,
    digits: &[Operand<'_>],
    key: [&[&[u64]]; 2],
    raised: Option<&Raised<'_>>,
    out: [&mut [u64]; 2],
) {
    let Some(tables) = tables(prime) else {
        return fused::switch(prime, digits, key, raised, out);
    };
    with_limit!(
        prime,
        switch_rows(simd, prime, &tables.forward, digits, key, raised, out)
    );
}

#[inline(always)]
fn switch_rows<const LIMIT: u32>(
    simd: Ifma,
    prime: &NttPrime,
    table: &Table,
    digits: &[Operand<'_>],
    key: [&[&[u64]]; 2],
    raised: Option<&Raised<'_>>,
    out: [&mut [u64]; 2],
) {
    let (c, upper, stride) = (simd.constants(prime.q()), upper(simd, prime), middle_lines(prime));
    let key = key.map(lines_of);
    let mut addends: [Option<Addend<'_>>; 2] = [None; 2];
    if let Some(raised) = raised {
        let (factor, automorphism) = (simd.splat(raised.factor.value), raised.automorphism);
        for (addend, limb) in addends.iter_mut().zip(raised.limbs) {
            if let Some(limb) = limb {
                *addend = Some(Addend {
                    limb: lines(limb),
                    factor,
                    automorphism,
                });
            }
        }
    }
    let stores = [simd.store_of(lines(out[0])), simd.store_of(lines(out[1]))];
    let [out0, out1] = out.map(|out| lines_mut(out).as_chunks_mut::<ROW_LINES>().0);
    let mut transformed: Rows = [[[0; 8]; ROW_LINES]; MAX_TERMS];
    for (row, (out0, out1)) in out0.iter_mut().zip(out1).enumerate() {
        for (digit, transformed) in digits.iter().zip(&mut transformed) {
            if let Operand::Columns(middle) = digit {
                lazy_row::<LIMIT>(simd, &c, table, row, stride, lines(middle), transformed);
            }
        }
        let mut rows: [&[Line]; MAX_TERMS] = [&[]; MAX_TERMS];
        for ((out, digit), transformed) in rows.iter_mut().zip(digits).zip(&transformed) {
            *out = match digit {
                Operand::Columns(_) => transformed,
                Operand::Evaluated(limb) => &lines(limb)[row * ROW_LINES..][..ROW_LINES],
            };
        }
        for v in 0..ROW_LINES {
            let at = row * ROW_LINES + v;
            let mut sums = [addend_sum(simd, addends[0], at), addend_sum(simd, addends[1], at)];
            for (d, row) in rows[..digits.len()].iter().enumerate() {
                let digit = simd.load(&row[v]);
                for (sum, key) in sums.iter_mut().zip(&key) {
                    *sum = simd.madd_wide(*sum, digit, simd.load(&key[d][at]));
                    simd.prefetch(key[d].as_ptr().wrapping_add(at + ROW_LINES));
                }
            }
            simd.store_as(stores[0], &mut out0[v], simd.reduce_wide(sums[0], upper, &c));
            simd.store_as(stores[1], &mut out1[v], simd.reduce_wide(sums[1], upper, &c));
        }
    }
    simd.fence();
}

/// A limb that is added to a sum of products.
#[derive(Clone, Copy)]
struct Addend<'a> {
    limb: &'a [Line],
    factor: V,
    automorphism: Option<&'a Automorphism>,
}

/// What a sum starts from in vector `at`.
#[inline(always)]
fn addend_sum(simd: Ifma, addend: Option<Addend<'_>>, at: usize) -> Wide {
    let Some(addend) = addend else {
        return simd.zero_wide();
    };
    let value = match addend.automorphism {
        Some(automorphism) => {
            let (source, lanes) = automorphism.group(at);
            simd.permute(simd.load(lanes), simd.load(&addend.limb[source]))
        }
        None => simd.load(&addend.limb[at]),
    };
    simd.madd_wide(simd.zero_wide(), value, addend.factor)
}

#[inline(always)]
pub(super) fn rotated_product(
    simd: Ifma,
    prime: &NttPrime,
    first: usize,
    digits: &[&[u64]],
    key: &RotatingKey<'_>,
    addend: Option<(&[u64], Scalar)>,
    out: [&mut [u64]; 2],
) {
    let (c, upper) = (simd.constants(prime.q()), upper(simd, prime));
    let (digit_lines, count) = (lines_of(digits), digits.len());
    let components = key.components.map(lines_of);
    let factor = simd.splat(addend.map_or(0, |(_, factor)| factor.value));
    let addend = addend.map(|(limb, _)| lines(limb));
    let [out0, out1] = out.map(lines_mut);
    for (at, (out0, out1)) in (first / LANES..).zip(out0.iter_mut().zip(out1)) {
        let (source, lanes) = key.automorphism.group(at);
        let order = simd.load(lanes);
        let mut sums = [simd.zero_wide(); 2];
        if let Some(limb) = addend {
            sums[0] = simd.madd_wide(sums[0], simd.permute(order, simd.load(&limb[source])), factor);
        }
        for (d, digit) in digit_lines[..count].iter().enumerate() {
            let digit = simd.permute(order, simd.load(&digit[source]));
            for (sum, component) in sums.iter_mut().zip(&components) {
                *sum = simd.madd_wide(*sum, digit, simd.load(&component[d][at]));
                simd.prefetch(component[d].as_ptr().wrapping_add(at + 16));
            }
        }
        simd.store(out0, simd.reduce_wide(sums[0], upper, &c));
        simd.store(out1, simd.reduce_wide(sums[1], upper, &c));
    }
}

#[inline(always)]
pub(super) fn divide(
    simd: Ifma,
    prime: &NttPrime,
    remainder: &[u64],
    dividend: &[u64],
    factor: Scalar,
    out: &mut [u64],
) {
    let Some(tables) = tables(prime) else {
        return fused::divide(prime, remainder, dividend, factor, out);
    };
    let factor = scalar(simd, factor);
    let (remainder, dividend, out) = (lines(remainder), lines(dividend), lines_mut(out));
    with_limit!(
        prime,
        divide_rows(simd, prime, &tables.forward, remainder, dividend, factor, out)
    );
}

#[inline(always)]
fn divide_rows<const LIMIT: u32>(
    simd: Ifma,
    prime: &NttPrime,
    table: &Table,
    remainder: &[Line],
    dividend: &[Line],
    factor: Multiplier,
    out: &mut [Line],
) {
    let (c, stride) = (simd.constants(prime.q()), middle_lines(prime));
    let positive = positive::<LIMIT>(&c);
    let store = simd.store_of(out);
    let mut transformed = [[0; 8]; ROW_LINES];
    let rows = dividend
        .as_chunks::<ROW_LINES>()
        .0
        .iter()
        .zip(out.as_chunks_mut::<ROW_LINES>().0);
    for (row, (dividend, out)) in rows.enumerate() {
        lazy_row::<LIMIT>(simd, &c, table, row, stride, remainder, &mut transformed);
        for (v, (dividend, remainder)) in dividend.iter().zip(&transformed).enumerate() {
            let difference = simd.sub(simd.add(simd.load(dividend), positive), simd.load(remainder));
            let quotient = simd.canonical(simd.mul_lazy(difference, factor, &c), &c);
            simd.store_as(store, &mut out[v], quotient);
        }
    }
    simd.fence();
}

/// A multiple of the prime that keeps the difference to a lazy row positive.
#[inline(always)]
fn positive<const LIMIT: u32>(c: &Constants) -> V {
    if lazy_bound(LIMIT) > 2 { c.multiples[2] } else { c.two_q }
}
