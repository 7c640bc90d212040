//! Every kernel set of this machine against the portable one.

use super::super::{NttPrime, Scalar};
use super::{inputs, portable, primes_below, random, vector_sets};

/// The sizes of primes that chains use, and those at which lazy reduction changes its pace.
const PRIME_BITS: [u32; 7] = [26, 36, 40, 45, 46, 48, 50];

/// Runs `operation` on every available set for many rings and primes, and compares with the portable result.
#[track_caller]
fn check(operation: impl Fn(&NttPrime, &[u64], &[u64]) -> Vec<Vec<u64>>) {
    for kernels in vector_sets() {
        for log_n in 4..=17 {
            let cases = if log_n > 14 { 4 } else { 9 };
            for bits in PRIME_BITS {
                let q = primes_below(bits, log_n, 1)[0];
                let reference = portable(log_n, q);
                let prime = NttPrime::new(kernels, log_n, q).expect("a prime of this ring");
                let other = random(q, prime.degree(), 99);
                for (case, limb) in inputs(q, prime.degree(), u64::from(bits))
                    .into_iter()
                    .take(cases)
                    .enumerate()
                {
                    let same = operation(&prime, &limb, &other) == operation(&reference, &limb, &other);
                    assert!(
                        same,
                        "{} differs: degree 2^{log_n}, q = {q}, input {case}",
                        kernels.name()
                    );
                }
            }
        }
    }
}

#[test]
fn transforms_agree() {
    check(|prime, limb, _| {
        let (mut forward, mut inverse, mut scaled) = (limb.to_vec(), limb.to_vec(), limb.to_vec());
        prime.forward(&mut forward);
        prime.inverse(&mut inverse);
        prime.inverse_into(limb, prime.scalar(prime.q() / 3), prime.q() - 1, &mut scaled);
        vec![forward, inverse, scaled]
    });
}

#[test]
fn pointwise_operations_agree() {
    check(|prime, a, b| {
        let on = |operation: &dyn Fn(&mut [u64])| {
            let mut out = a.to_vec();
            operation(&mut out);
            out
        };
        let w: Scalar = prime.scalar(prime.q() - 2);
        vec![
            on(&|x| prime.add_assign(x, b)),
            on(&|x| prime.sub_assign(x, b)),
            on(&|x| prime.neg_assign(x)),
            on(&|x| prime.mul_assign(x, b)),
            on(&|x| prime.mul_assign(x, a)),
            on(&|x| prime.mul_add_assign(x, a, b)),
            on(&|x| prime.mul_scalar_assign(x, w)),
            on(&|x| prime.mul_scalar_add_assign(x, b, w)),
            on(&|x| prime.sub_mul_scalar_assign(x, b, w)),
        ]
    });
}
