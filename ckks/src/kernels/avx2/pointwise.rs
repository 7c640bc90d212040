//! Element-wise arithmetic on limbs, sums of products and base conversion. Slices have whole vectors: rings have at least
//! 16 coefficients.

use super::super::conversion::TargetConstants;
use super::super::modular::Scalar;
use super::super::prime::NttPrime;
use super::super::{Automorphism, portable};
use super::vector::{Avx2, Constants, Quad, V};

#[inline(always)]
fn quads(words: &[u64]) -> &[Quad] {
    words.as_chunks().0
}

#[inline(always)]
fn quads_mut(words: &mut [u64]) -> &mut [Quad] {
    words.as_chunks_mut().0
}

/// The integers of a quad as f64.
#[inline(always)]
fn read(simd: Avx2, quad: &Quad) -> V {
    simd.to_f64(simd.load(quad))
}

/// `a = operation(a, b)` on f64, whose results are strictly within `q` of zero.
#[inline(always)]
fn update(simd: Avx2, prime: &NttPrime, a: &mut [u64], b: &[u64], operation: impl Fn(V, V, &Constants) -> V) {
    let c = simd.constants(prime.q());
    for (a, b) in quads_mut(a).iter_mut().zip(quads(b)) {
        let out = operation(read(simd, a), read(simd, b), &c);
        simd.store(a, simd.canonical(out, &c));
    }
}

#[inline(always)]
pub(super) fn add_assign(simd: Avx2, prime: &NttPrime, a: &mut [u64], b: &[u64]) {
    update(simd, prime, a, b, |a, b, c| simd.sub(simd.add(a, b), c.q));
}

#[inline(always)]
pub(super) fn sub_assign(simd: Avx2, prime: &NttPrime, a: &mut [u64], b: &[u64]) {
    update(simd, prime, a, b, |a, b, _| simd.sub(a, b));
}

#[inline(always)]
pub(super) fn neg_assign(simd: Avx2, prime: &NttPrime, a: &mut [u64]) {
    let c = simd.constants(prime.q());
    for a in quads_mut(a) {
        let negated = simd.sub(simd.splat(0.0), read(simd, a));
        simd.store(a, simd.canonical(negated, &c));
    }
}

#[inline(always)]
pub(super) fn mul_assign(simd: Avx2, prime: &NttPrime, a: &mut [u64], b: &[u64]) {
    update(simd, prime, a, b, |a, b, c| simd.mul_pair(a, b, c));
}

#[inline(always)]
pub(super) fn mul_add_assign(simd: Avx2, prime: &NttPrime, sum: &mut [u64], a: &[u64], b: &[u64]) {
    let c = simd.constants(prime.q());
    for ((sum, a), b) in quads_mut(sum).iter_mut().zip(quads(a)).zip(quads(b)) {
        let product = simd.mul_pair(read(simd, a), read(simd, b), &c);
        let out = simd.reduce(simd.add(read(simd, sum), product), &c);
        simd.store(sum, simd.canonical(out, &c));
    }
}

#[inline(always)]
pub(super) fn mul_scalar_assign(simd: Avx2, prime: &NttPrime, a: &mut [u64], factor: Scalar) {
    let (c, factor) = (simd.constants(prime.q()), simd.multiplier(factor.value, prime.q()));
    for a in quads_mut(a) {
        let product = simd.mul(read(simd, a), factor, &c);
        simd.store(a, simd.canonical(product, &c));
    }
}

#[inline(always)]
pub(super) fn mul_scalar_add_assign(simd: Avx2, prime: &NttPrime, sum: &mut [u64], a: &[u64], factor: Scalar) {
    let factor = simd.multiplier(factor.value, prime.q());
    update(simd, prime, sum, a, |sum, a, c| {
        simd.reduce(simd.add(sum, simd.mul(a, factor, c)), c)
    });
}

#[inline(always)]
pub(super) fn sub_mul_scalar_assign(simd: Avx2, prime: &NttPrime, a: &mut [u64], b: &[u64], factor: Scalar) {
    let factor = simd.multiplier(factor.value, prime.q());
    update(simd, prime, a, b, |a, b, c| simd.mul(simd.sub(a, b), factor, c));
}

#[inline(always)]
pub(super) fn tensor(simd: Avx2, prime: &NttPrime, a: [&[u64]; 2], b: [&[u64]; 2], out: [&mut [u64]; 3]) {
    let c = simd.constants(prime.q());
    let ([a0, a1], [b0, b1], [out0, out1, out2]) = (a.map(quads), b.map(quads), out.map(quads_mut));
    let inputs = a0.iter().zip(a1).zip(b0).zip(b1);
    let outputs = out0.iter_mut().zip(out1).zip(out2);
    for ((((a0, a1), b0), b1), ((out0, out1), out2)) in inputs.zip(outputs) {
        let (a0, a1, b0, b1) = (read(simd, a0), read(simd, a1), read(simd, b0), read(simd, b1));
        simd.store(out0, simd.canonical(simd.mul_pair(a0, b0, &c), &c));
        let cross = simd.add(simd.mul_pair(a0, b1, &c), simd.mul_pair(a1, b0, &c));
        simd.store(out1, simd.canonical(simd.reduce(cross, &c), &c));
        simd.store(out2, simd.canonical(simd.mul_pair(a1, b1, &c), &c));
    }
}

/// Products are within `q < 2^50` of zero and sums must stay below 2^53: they are reduced after this many.
const LAZY_PRODUCTS: usize = 6;

/// `sum + a b`, where `index` products have been added.
#[inline(always)]
fn add_product(simd: Avx2, sum: V, index: usize, a: V, b: V, c: &Constants) -> V {
    let sum = if index % LAZY_PRODUCTS == LAZY_PRODUCTS - 1 {
        simd.reduce(sum, c)
    } else {
        sum
    };
    simd.add(sum, simd.mul_pair(a, b, c))
}

#[inline(always)]
pub(super) fn inner_product(
    simd: Avx2,
    prime: &NttPrime,
    digits: &[&[u64]],
    key: [&[&[u64]]; 2],
    out: [&mut [u64]; 2],
) {
    let c = simd.constants(prime.q());
    let [out0, out1] = out;
    for (v, (out0, out1)) in quads_mut(out0).iter_mut().zip(quads_mut(out1)).enumerate() {
        let (mut sum0, mut sum1) = (simd.splat(0.0), simd.splat(0.0));
        for (d, digit) in digits.iter().enumerate() {
            let digit = read(simd, &quads(digit)[v]);
            sum0 = add_product(simd, sum0, d, digit, read(simd, &quads(key[0][d])[v]), &c);
            sum1 = add_product(simd, sum1, d, digit, read(simd, &quads(key[1][d])[v]), &c);
        }
        simd.store(out0, simd.canonical(simd.reduce(sum0, &c), &c));
        simd.store(out1, simd.canonical(simd.reduce(sum1, &c), &c));
    }
}

/// Memory moves alone: the portable loop.
#[inline(always)]
pub(super) fn permute(_: Avx2, automorphism: &Automorphism, first: usize, input: &[u64], out: &mut [u64]) {
    automorphism.gather(first, input, out);
}

#[inline(always)]
pub(super) fn reduce_centred(simd: Avx2, prime: &NttPrime, other: u64, input: &[u64], out: &mut [u64]) {
    let c = simd.constants(prime.q());
    let (half, other) = (simd.splat((other / 2) as f64), simd.splat(other as f64));
    for (input, out) in quads(input).iter().zip(quads_mut(out)) {
        let x = read(simd, input);
        let centred = simd.sub(x, simd.and(simd.greater(x, half), other));
        simd.store(out, simd.canonical(simd.reduce(centred, &c), &c));
    }
}

/// Signed words have more bits than f64; the portable loop is compiled for the wider vectors here.
#[inline(always)]
pub(super) fn reduce_signed(_simd: Avx2, prime: &NttPrime, input: &[i64], out: &mut [u64]) {
    portable::reduce_signed(prime, input, out);
}

/// Vectors that a base conversion sums at a time.
const CONVERTED: usize = 4;

#[inline(always)]
pub(super) fn convert(simd: Avx2, prime: &NttPrime, prepared: &[&[u64]], target: &TargetConstants, out: &mut [u64]) {
    let c = simd.constants(prime.q());
    let (blocks, rest) = quads_mut(out).as_chunks_mut::<CONVERTED>();
    for (block, out) in blocks.iter_mut().enumerate() {
        convert_block(simd, &c, prepared, target, CONVERTED * block, out);
    }
    let done = CONVERTED * blocks.len();
    for (v, out) in rest.iter_mut().enumerate() {
        convert_block(simd, &c, prepared, target, done + v, std::array::from_mut(out));
    }
}

#[inline(always)]
fn convert_block<const B: usize>(
    simd: Avx2,
    c: &Constants,
    prepared: &[&[u64]],
    target: &TargetConstants,
    first: usize,
    out: &mut [Quad; B],
) {
    let mut sums = [simd.splat(target.start as f64); B];
    for (i, (source, &factor)) in prepared.iter().zip(&target.factors).enumerate() {
        let (factor, source) = (simd.splat(factor as f64), &quads(source)[first..][..B]);
        for (sum, value) in sums.iter_mut().zip(source) {
            // One more than the products: the start counts too.
            *sum = add_product(simd, *sum, i + 1, read(simd, value), factor, c);
        }
    }
    for (out, sum) in out.iter_mut().zip(&sums) {
        simd.store(out, simd.canonical(simd.reduce(*sum, c), c));
    }
}

#[inline(always)]
pub(super) fn overflow(simd: Avx2, prepared: &[&[u64]], quotients: &[f64], start: f64, out: &mut [u64]) {
    for (v, out) in quads_mut(out).iter_mut().enumerate() {
        let mut sum = simd.splat(start);
        for (source, &quotient) in prepared.iter().zip(quotients) {
            // Rounded after each operation, like the other kernel sets.
            sum = simd.add(
                sum,
                simd.mul_rounded(read(simd, &quads(source)[v]), simd.splat(quotient)),
            );
        }
        simd.store(out, simd.to_integers(simd.floor(sum)));
    }
}
