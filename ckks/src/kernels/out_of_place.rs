//! Element-wise operations whose result has its own place, from those in place: a little at a time, so that copies stay in
//! the first-level cache.

use super::modular::Scalar;
use super::prime::NttPrime;

/// Words that are copied before they are worked on.
const COPIED_WORDS: usize = 512;

pub(super) fn add(prime: &NttPrime, a: &[u64], b: &[u64], out: &mut [u64]) {
    combine(prime, a, b, out, prime.kernels.0.add_assign);
}

pub(super) fn sub(prime: &NttPrime, a: &[u64], b: &[u64], out: &mut [u64]) {
    combine(prime, a, b, out, prime.kernels.0.sub_assign);
}

pub(super) fn mul(prime: &NttPrime, a: &[u64], b: &[u64], out: &mut [u64]) {
    combine(prime, a, b, out, prime.kernels.0.mul_assign);
}

pub(super) fn mul_scalar(prime: &NttPrime, a: &[u64], factor: Scalar, out: &mut [u64]) {
    for (out, a) in out.chunks_mut(COPIED_WORDS).zip(a.chunks(COPIED_WORDS)) {
        out.copy_from_slice(a);
        (prime.kernels.0.mul_scalar_assign)(prime, out, factor);
    }
}

fn combine(prime: &NttPrime, a: &[u64], b: &[u64], out: &mut [u64], operation: fn(&NttPrime, &mut [u64], &[u64])) {
    let inputs = a.chunks(COPIED_WORDS).zip(b.chunks(COPIED_WORDS));
    for (out, (a, b)) in out.chunks_mut(COPIED_WORDS).zip(inputs) {
        out.copy_from_slice(a);
        operation(prime, out, b);
    }
}
