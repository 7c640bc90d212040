//! Element-wise arithmetic on limbs, sums of products and base conversion. Slices have whole vectors: rings have at least
//! 16 coefficients.

use super::super::Automorphism;
use super::super::codec;
use super::super::conversion::TargetConstants;
use super::super::modular::Scalar;
use super::super::order::LANES;
use super::super::prime::{MAX_TERMS, NttPrime};
use super::vector::{Constants, Ifma, Line, Multiplier, V, Wide};

#[inline(always)]
pub(super) fn lines(words: &[u64]) -> &[Line] {
    words.as_chunks().0
}

#[inline(always)]
pub(super) fn lines_mut(words: &mut [u64]) -> &mut [Line] {
    words.as_chunks_mut().0
}

/// `a = operation(a, b)`, vector by vector.
#[inline(always)]
fn update(simd: Ifma, a: &mut [u64], b: &[u64], operation: impl Fn(V, V) -> V) {
    for (a, b) in lines_mut(a).iter_mut().zip(lines(b)) {
        let out = operation(simd.load(a), simd.load(b));
        simd.store(a, out);
    }
}

/// `out = operation(a, b)`, vector by vector.
#[inline(always)]
fn combine(simd: Ifma, a: &[u64], b: &[u64], out: &mut [u64], operation: impl Fn(V, V) -> V) {
    let out = lines_mut(out);
    let store = simd.store_of(out);
    for ((a, b), out) in lines(a).iter().zip(lines(b)).zip(out) {
        simd.store_as(store, out, operation(simd.load(a), simd.load(b)));
    }
    simd.fence();
}

#[inline(always)]
pub(super) fn add(simd: Ifma, prime: &NttPrime, a: &[u64], b: &[u64], out: &mut [u64]) {
    let c = simd.constants(prime.q());
    combine(simd, a, b, out, |a, b| simd.reduce_once(simd.add(a, b), &c));
}

#[inline(always)]
pub(super) fn sub(simd: Ifma, prime: &NttPrime, a: &[u64], b: &[u64], out: &mut [u64]) {
    let c = simd.constants(prime.q());
    combine(simd, a, b, out, |a, b| {
        let difference = simd.sub(a, b);
        simd.min(difference, simd.add(difference, c.q))
    });
}

#[inline(always)]
pub(super) fn mul(simd: Ifma, prime: &NttPrime, a: &[u64], b: &[u64], out: &mut [u64]) {
    let (c, upper) = (simd.constants(prime.q()), upper(simd, prime));
    combine(simd, a, b, out, |a, b| {
        simd.reduce_wide(simd.madd_wide(simd.zero_wide(), a, b), upper, &c)
    });
}

#[inline(always)]
pub(super) fn mul_scalar(simd: Ifma, prime: &NttPrime, a: &[u64], factor: Scalar, out: &mut [u64]) {
    let (c, factor) = (simd.constants(prime.q()), scalar(simd, factor));
    combine(simd, a, a, out, |a, _| simd.canonical(simd.mul_lazy(a, factor, &c), &c));
}

/// The multiplication by `2^52 mod q`, which folds the upper half of a wide integer.
#[inline(always)]
pub(super) fn upper(simd: Ifma, prime: &NttPrime) -> Multiplier {
    scalar(simd, prime.modulus.upper_52)
}

#[inline(always)]
pub(super) fn scalar(simd: Ifma, scalar: Scalar) -> Multiplier {
    simd.multiplier(scalar.value, scalar.quotient >> 12)
}

#[inline(always)]
pub(super) fn add_assign(simd: Ifma, prime: &NttPrime, a: &mut [u64], b: &[u64]) {
    let c = simd.constants(prime.q());
    update(simd, a, b, |a, b| simd.reduce_once(simd.add(a, b), &c));
}

#[inline(always)]
pub(super) fn sub_assign(simd: Ifma, prime: &NttPrime, a: &mut [u64], b: &[u64]) {
    let c = simd.constants(prime.q());
    // Below zero the difference wraps to a word above its sum with q.
    update(simd, a, b, |a, b| {
        let difference = simd.sub(a, b);
        simd.min(difference, simd.add(difference, c.q))
    });
}

#[inline(always)]
pub(super) fn neg_assign(simd: Ifma, prime: &NttPrime, a: &mut [u64]) {
    let c = simd.constants(prime.q());
    for a in lines_mut(a) {
        let negated = simd.reduce_once(simd.sub(c.q, simd.load(a)), &c);
        simd.store(a, negated);
    }
}

#[inline(always)]
pub(super) fn mul_assign(simd: Ifma, prime: &NttPrime, a: &mut [u64], b: &[u64]) {
    let (c, upper) = (simd.constants(prime.q()), upper(simd, prime));
    update(simd, a, b, |a, b| {
        simd.reduce_wide(simd.madd_wide(simd.zero_wide(), a, b), upper, &c)
    });
}

#[inline(always)]
pub(super) fn mul_add_assign(simd: Ifma, prime: &NttPrime, sum: &mut [u64], a: &[u64], b: &[u64]) {
    let (c, upper) = (simd.constants(prime.q()), upper(simd, prime));
    for ((sum, a), b) in lines_mut(sum).iter_mut().zip(lines(a)).zip(lines(b)) {
        let start = Wide {
            low: simd.load(sum),
            high: simd.zero(),
        };
        let out = simd.reduce_wide(simd.madd_wide(start, simd.load(a), simd.load(b)), upper, &c);
        simd.store(sum, out);
    }
}

#[inline(always)]
pub(super) fn mul_scalar_assign(simd: Ifma, prime: &NttPrime, a: &mut [u64], factor: Scalar) {
    let (c, factor) = (simd.constants(prime.q()), scalar(simd, factor));
    for a in lines_mut(a) {
        let product = simd.canonical(simd.mul_lazy(simd.load(a), factor, &c), &c);
        simd.store(a, product);
    }
}

#[inline(always)]
pub(super) fn mul_scalar_add_assign(simd: Ifma, prime: &NttPrime, sum: &mut [u64], a: &[u64], factor: Scalar) {
    let (c, factor) = (simd.constants(prime.q()), scalar(simd, factor));
    update(simd, sum, a, |sum, a| {
        let product = simd.canonical(simd.mul_lazy(a, factor, &c), &c);
        simd.reduce_once(simd.add(sum, product), &c)
    });
}

#[inline(always)]
pub(super) fn sub_mul_scalar_assign(simd: Ifma, prime: &NttPrime, a: &mut [u64], b: &[u64], factor: Scalar) {
    let (c, factor) = (simd.constants(prime.q()), scalar(simd, factor));
    update(simd, a, b, |a, b| {
        let difference = simd.sub(simd.add(a, c.q), b);
        simd.canonical(simd.mul_lazy(difference, factor, &c), &c)
    });
}

#[inline(always)]
pub(super) fn tensor(simd: Ifma, prime: &NttPrime, a: [&[u64]; 2], b: [&[u64]; 2], out: [&mut [u64]; 3]) {
    let (c, upper) = (simd.constants(prime.q()), upper(simd, prime));
    let ([a0, a1], [b0, b1], [out0, out1, out2]) = (a.map(lines), b.map(lines), out.map(lines_mut));
    let inputs = a0.iter().zip(a1).zip(b0).zip(b1);
    let outputs = out0.iter_mut().zip(out1).zip(out2);
    for ((((a0, a1), b0), b1), ((out0, out1), out2)) in inputs.zip(outputs) {
        let (a0, a1, b0, b1) = (simd.load(a0), simd.load(a1), simd.load(b0), simd.load(b1));
        let zero = simd.zero_wide();
        simd.store(out0, simd.reduce_wide(simd.madd_wide(zero, a0, b0), upper, &c));
        let cross = simd.madd_wide(simd.madd_wide(zero, a0, b1), a1, b0);
        simd.store(out1, simd.reduce_wide(cross, upper, &c));
        simd.store(out2, simd.reduce_wide(simd.madd_wide(zero, a1, b1), upper, &c));
    }
}

/// The lines of up to [`MAX_TERMS`] limbs.
#[inline(always)]
pub(super) fn lines_of<'a>(limbs: &[&'a [u64]]) -> [&'a [Line]; MAX_TERMS] {
    let mut out: [&[Line]; MAX_TERMS] = [&[]; MAX_TERMS];
    for (out, limb) in out.iter_mut().zip(limbs) {
        *out = lines(limb);
    }
    out
}

/// How far ahead the first factors of a sum are asked for: a row of 256 residues.
const PREFETCH_LINES: usize = 32;

#[inline(always)]
pub(super) fn inner_product(
    simd: Ifma,
    prime: &NttPrime,
    digits: &[&[u64]],
    key: [&[&[u64]]; 2],
    out: [&mut [u64]; 2],
) {
    let (c, upper, count) = (simd.constants(prime.q()), upper(simd, prime), digits.len());
    let (digits, [key0, key1]) = (lines_of(digits), key.map(lines_of));
    let [out0, out1] = out.map(lines_mut);
    for (v, (out0, out1)) in out0.iter_mut().zip(out1).enumerate() {
        let (mut sum0, mut sum1) = (simd.zero_wide(), simd.zero_wide());
        for d in 0..count {
            let digit = simd.load(&digits[d][v]);
            // Of a linear transform's diagonals, the next few rows are needed next.
            simd.prefetch_far(digits[d].as_ptr().wrapping_add(v + PREFETCH_LINES));
            sum0 = simd.madd_wide(sum0, digit, simd.load(&key0[d][v]));
            sum1 = simd.madd_wide(sum1, digit, simd.load(&key1[d][v]));
        }
        simd.store(out0, simd.reduce_wide(sum0, upper, &c));
        simd.store(out1, simd.reduce_wide(sum1, upper, &c));
    }
}

#[inline(always)]
pub(super) fn permute(simd: Ifma, automorphism: &Automorphism, first: usize, input: &[u64], out: &mut [u64]) {
    let input = lines(input);
    for (group, out) in (first / LANES..).zip(lines_mut(out)) {
        let (source, lanes) = automorphism.group(group);
        simd.store(out, simd.permute(simd.load(lanes), simd.load(&input[source])));
    }
}

#[inline(always)]
pub(super) fn reduce_centred(simd: Ifma, prime: &NttPrime, other: u64, input: &[u64], out: &mut [u64]) {
    let c = simd.constants(prime.q());
    let half = other / 2;
    let (other, half, shift) = (
        simd.splat(other),
        simd.splat(half),
        simd.splat(prime.q() - half % prime.q()),
    );
    for (input, out) in lines(input).iter().zip(lines_mut(out)) {
        let moved = simd.add(simd.load(input), half);
        let moved = simd.add(simd.min(moved, simd.sub(moved, other)), shift);
        simd.store(out, simd.canonical(simd.reduce_lazy(moved, &c), &c));
    }
}

#[inline(always)]
pub(super) fn reduce_signed(simd: Ifma, prime: &NttPrime, input: &[i64], out: &mut [u64]) {
    let (c, upper) = (simd.constants(prime.q()), upper(simd, prime));
    for (input, out) in input.as_chunks().0.iter().zip(lines_mut(out)) {
        let x = simd.load(&input.map(i64::cast_unsigned));
        // The magnitude of the least integer is its own word, read as unsigned.
        let magnitude = simd.reduce_wide(
            Wide {
                low: simd.absolute(x),
                high: simd.zero(),
            },
            upper,
            &c,
        );
        let negated = simd.reduce_once(simd.sub(c.q, magnitude), &c);
        simd.store(out, simd.select_negative(x, magnitude, negated));
    }
}

/// See [`Kernels::upper_products`](super::super::Kernels::upper_products).
#[inline(always)]
pub(super) fn upper_products(simd: Ifma, words: &[u64], factor: u64, upper: &mut [u64], least_lower: &mut u64) {
    let (word_lines, rest) = words.as_chunks::<LANES>();
    if factor >> 52 != 0 || !rest.is_empty() {
        return codec::upper_products(simd, words, factor, upper, least_lower);
    }
    let factor = simd.splat(factor);
    let mut least = simd.splat(*least_lower);
    for (word, upper) in word_lines.iter().zip(lines_mut(upper)) {
        let word = simd.load(word);
        let top = simd.above_52(word);
        // The product is `high 2^104 + middle 2^52 + low`, the middle one below 2^53.
        let low = simd.madd_low(simd.zero(), word, factor);
        let middle = simd.madd_low(simd.madd_high(simd.zero(), word, factor), top, factor);
        let high = simd.madd_high(simd.zero(), top, factor);
        simd.store(upper, simd.add(simd.up_40(high), simd.above_12(middle)));
        least = simd.min(least, simd.add(simd.below_12_up(middle), low));
    }
    *least_lower = simd.least(least);
}

/// Vectors that a base conversion sums at a time.
const CONVERTED: usize = 4;

#[inline(always)]
pub(super) fn convert(simd: Ifma, prime: &NttPrime, prepared: &[&[u64]], target: &TargetConstants, out: &mut [u64]) {
    let (sources, count) = (lines_of(prepared), prepared.len());
    let (blocks, rest) = lines_mut(out).as_chunks_mut::<CONVERTED>();
    for (block, out) in blocks.iter_mut().enumerate() {
        convert_block(simd, prime, &sources[..count], target, CONVERTED * block, out);
    }
    let done = CONVERTED * blocks.len();
    for (v, out) in rest.iter_mut().enumerate() {
        convert_block(
            simd,
            prime,
            &sources[..count],
            target,
            done + v,
            std::array::from_mut(out),
        );
    }
}

#[inline(always)]
fn convert_block<const B: usize>(
    simd: Ifma,
    prime: &NttPrime,
    sources: &[&[Line]],
    target: &TargetConstants,
    first: usize,
    out: &mut [Line; B],
) {
    let (c, upper): (Constants, _) = (simd.constants(prime.q()), upper(simd, prime));
    let mut sums = [Wide {
        low: simd.splat(target.start),
        high: simd.zero(),
    }; B];
    for (source, &factor) in sources.iter().zip(&target.factors) {
        let factor = simd.splat(factor);
        let values: [V; B] = simd.gather(source, first, 1);
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum = simd.madd_wide(*sum, value, factor);
        }
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        simd.store(out, simd.reduce_wide(sum, upper, &c));
    }
}

#[inline(always)]
pub(super) fn overflow(simd: Ifma, prepared: &[&[u64]], quotients: &[f64], start: f64, out: &mut [u64]) {
    let sources = lines_of(prepared);
    for (v, out) in lines_mut(out).iter_mut().enumerate() {
        let mut sum = simd.splat_f64(start);
        for (source, &quotient) in sources.iter().zip(quotients) {
            sum = simd.multiply_then_add(sum, simd.to_f64(simd.load(&source[v])), simd.splat_f64(quotient));
        }
        simd.store(out, simd.truncate(sum));
    }
}
