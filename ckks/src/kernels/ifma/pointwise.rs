//! Element-wise arithmetic on limbs, sums of products and base conversion. Slices have whole vectors: rings have at least
//! 16 coefficients.

use super::super::conversion::TargetConstants;
use super::super::modular::Scalar;
use super::super::prime::{HoistedTerm, MAX_TERMS, NttPrime};
use super::vector::{Constants, Ifma, Line, Multiplier, V, Wide};

#[inline(always)]
fn lines(words: &[u64]) -> &[Line] {
    words.as_chunks().0
}

#[inline(always)]
fn lines_mut(words: &mut [u64]) -> &mut [Line] {
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

/// The multiplication by `2^52 mod q`, which folds the upper half of a wide integer.
#[inline(always)]
fn upper(simd: Ifma, q: u64) -> Multiplier {
    scalar(simd, Scalar::new(1 << 52, q))
}

#[inline(always)]
fn scalar(simd: Ifma, scalar: Scalar) -> Multiplier {
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
    let (c, upper) = (simd.constants(prime.q()), upper(simd, prime.q()));
    update(simd, a, b, |a, b| {
        simd.reduce_wide(simd.madd_wide(simd.zero_wide(), a, b), upper, &c)
    });
}

#[inline(always)]
pub(super) fn mul_add_assign(simd: Ifma, prime: &NttPrime, sum: &mut [u64], a: &[u64], b: &[u64]) {
    let (c, upper) = (simd.constants(prime.q()), upper(simd, prime.q()));
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
    let (c, upper) = (simd.constants(prime.q()), upper(simd, prime.q()));
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
fn lines_of<'a>(limbs: &[&'a [u64]]) -> [&'a [Line]; MAX_TERMS] {
    let mut out: [&[Line]; MAX_TERMS] = [&[]; MAX_TERMS];
    for (out, limb) in out.iter_mut().zip(limbs) {
        *out = lines(limb);
    }
    out
}

#[inline(always)]
pub(super) fn inner_product(
    simd: Ifma,
    prime: &NttPrime,
    digits: &[&[u64]],
    key: [&[&[u64]]; 2],
    out: [&mut [u64]; 2],
) {
    let (c, upper, count) = (simd.constants(prime.q()), upper(simd, prime.q()), digits.len());
    let (digits, [key0, key1]) = (lines_of(digits), key.map(lines_of));
    let [out0, out1] = out.map(lines_mut);
    for (v, (out0, out1)) in out0.iter_mut().zip(out1).enumerate() {
        let (mut sum0, mut sum1) = (simd.zero_wide(), simd.zero_wide());
        for d in 0..count {
            let digit = simd.load(&digits[d][v]);
            sum0 = simd.madd_wide(sum0, digit, simd.load(&key0[d][v]));
            sum1 = simd.madd_wide(sum1, digit, simd.load(&key1[d][v]));
        }
        simd.store(out0, simd.reduce_wide(sum0, upper, &c));
        simd.store(out1, simd.reduce_wide(sum1, upper, &c));
    }
}

/// Vectors that a linear transform's sum works on at a time: its accumulators stay in the first-level cache.
const HOISTED_BLOCK: usize = 32;

#[inline(always)]
pub(super) fn hoisted_sum(
    simd: Ifma,
    prime: &NttPrime,
    digits: &[&[u64]],
    terms: &[HoistedTerm<'_>],
    out: [&mut [u64]; 2],
) {
    let (c, upper) = (simd.constants(prime.q()), upper(simd, prime.q()));
    let (digit_lines, count) = (lines_of(digits), digits.len());
    let [out0, out1] = out.map(lines_mut);
    let blocks = out0.chunks_mut(HOISTED_BLOCK).zip(out1.chunks_mut(HOISTED_BLOCK));
    for (block, (out0, out1)) in blocks.enumerate() {
        let first = block * HOISTED_BLOCK;
        let mut sums = [[simd.zero_wide(); 2]; HOISTED_BLOCK];
        for (index, term) in terms.iter().enumerate() {
            let key = term.key.map(lines_of);
            for (v, sums) in (first..first + out0.len()).zip(&mut sums) {
                let products = hoisted_products(simd, &digit_lines[..count], term, &key, v);
                let plaintext = simd.load(&lines(term.plaintext)[v]);
                for (sum, product) in sums.iter_mut().zip(products) {
                    if index % (MAX_TERMS - 1) == MAX_TERMS - 2 {
                        *sum = Wide {
                            low: simd.reduce_wide(*sum, upper, &c),
                            high: simd.zero(),
                        };
                    }
                    *sum = simd.madd_wide(*sum, simd.reduce_wide(product, upper, &c), plaintext);
                }
            }
        }
        for ((out0, out1), sums) in out0.iter_mut().zip(out1).zip(sums) {
            simd.store(out0, simd.reduce_wide(sums[0], upper, &c));
            simd.store(out1, simd.reduce_wide(sums[1], upper, &c));
        }
    }
}

/// The sum over the digits, permuted, of their products with the key, for the vector `v` of the output.
#[inline(always)]
fn hoisted_products(
    simd: Ifma,
    digits: &[&[Line]],
    term: &HoistedTerm<'_>,
    key: &[[&[Line]; MAX_TERMS]; 2],
    v: usize,
) -> [Wide; 2] {
    let (source, lanes) = term.automorphism.group(v);
    let order = simd.load(lanes);
    let mut sums = [simd.zero_wide(); 2];
    for (d, digit) in digits.iter().enumerate() {
        let digit = simd.permute(order, simd.load(&digit[source]));
        for (sum, key) in sums.iter_mut().zip(key) {
            *sum = simd.madd_wide(*sum, digit, simd.load(&key[d][v]));
            simd.prefetch(key[d].as_ptr().wrapping_add(v + HOISTED_BLOCK));
        }
    }
    sums
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
    let (c, upper) = (simd.constants(prime.q()), upper(simd, prime.q()));
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
    let (c, upper): (Constants, _) = (simd.constants(prime.q()), upper(simd, prime.q()));
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
