//! Every kernel set of this machine against the portable one.

use std::ops::RangeInclusive;

use super::super::{
    Automorphism, BaseConversion, ColumnTarget, MAX_DIGITS, MAX_TERMS, NttPrime, Operand, Raised, RotatingKey,
    Rounding, Scalar,
};
use super::{inputs, portable, primes_below, random, vector_sets};
use crate::memory::Words;

/// The sizes of primes that chains use, and those at which lazy reduction changes its pace.
const PRIME_BITS: [u32; 7] = [26, 36, 40, 45, 46, 48, 50];

/// Every ring that chains use, and smaller ones that are less than a block of some set.
const RINGS: RangeInclusive<u32> = 4..=17;

/// The largest ring whose transforms take all inputs; larger ones have the same code with more rows.
const LARGEST_WITH_ALL_INPUTS: u32 = 12;

/// Runs `operation` on every available set for all `rings` and primes, and compares with the portable result.
#[track_caller]
fn check(rings: impl IntoIterator<Item = u32>, operation: impl Fn(&NttPrime, &[u64], &[u64]) -> Vec<Vec<u64>>) {
    check_with(rings, |_| (), |prime, (), limb, other| operation(prime, limb, other));
}

/// As [`check`], with what `prepare` makes once for every prime of every set.
#[track_caller]
fn check_with<P>(
    rings: impl IntoIterator<Item = u32>,
    prepare: impl Fn(&NttPrime) -> P,
    operation: impl Fn(&NttPrime, &P, &[u64], &[u64]) -> Vec<Vec<u64>>,
) {
    let sets = vector_sets();
    for log_n in rings {
        for bits in PRIME_BITS {
            let q = primes_below(bits, log_n, 1)[0];
            let prepared = |prime: NttPrime| {
                let prepared = prepare(&prime);
                (prime, prepared)
            };
            let (reference, reference_prepared) = prepared(portable(log_n, q));
            let primes = sets.iter().map(|&kernels| NttPrime::new(kernels, log_n, q));
            let primes: Vec<(NttPrime, P)> = primes.map(|prime| prepared(prime.expect("a prime"))).collect();
            let other = random(q, reference.degree(), 99);
            for (case, limb) in chosen_inputs(q, log_n, bits) {
                let expected = operation(&reference, &reference_prepared, &limb, &other);
                for (prime, prepared) in &primes {
                    let same = operation(prime, prepared, &limb, &other) == expected;
                    let name = prime.kernels().name();
                    assert!(same, "{name} differs: degree 2^{log_n}, q = {q}, input {case}");
                }
            }
        }
    }
}

/// Random, zero and largest residues for every ring and prime. Of the six adversarial inputs small rings take all, large
/// ones another for each prime, so that the primes of every ring meet all kinds together.
fn chosen_inputs(q: u64, log_n: u32, bits: u32) -> Vec<(usize, Vec<u64>)> {
    let inputs = inputs(q, 1 << log_n, u64::from(bits)).into_iter().enumerate();
    let index = PRIME_BITS.iter().position(|&other| other == bits);
    let adversarial = 3 + (index.unwrap_or(0) + log_n as usize) % 6;
    inputs
        .filter(|&(case, _)| log_n <= LARGEST_WITH_ALL_INPUTS || case < 3 || case == adversarial)
        .collect()
}

#[test]
fn transforms_agree() {
    check(RINGS, |prime, limb, _| {
        let (mut forward, mut inverse, mut scaled) = (limb.to_vec(), limb.to_vec(), limb.to_vec());
        prime.forward(&mut forward);
        prime.inverse(&mut inverse);
        prime.inverse_into(limb, prime.scalar(prime.q() / 3), prime.q() - 1, &mut scaled);
        vec![forward, inverse, scaled]
    });
}

#[test]
fn pointwise_operations_agree() {
    check(RINGS, |prime, a, b| {
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
            on(&|x| prime.add(a, b, x)),
            on(&|x| prime.sub(a, b, x)),
            on(&|x| prime.mul(a, b, x)),
            on(&|x| prime.mul_scalar(b, w, x)),
        ]
    });
}

#[test]
fn sums_of_products_agree() {
    check(RINGS, |prime, a, b| {
        let (mut out0, mut out1, mut out2) = (a.to_vec(), a.to_vec(), a.to_vec());
        let mut results = Vec::new();
        prime.tensor([a, b], [b, a], [&mut out0, &mut out1, &mut out2]);
        results.extend([out0.clone(), out1.clone(), out2]);
        for count in [1, 3, MAX_TERMS] {
            let (digits, key) = (vec![a; count], vec![b; count]);
            prime.inner_product(&digits, [&key, &digits], [&mut out0, &mut out1]);
            results.extend([out0.clone(), out1.clone()]);
        }
        results
    });
}

#[test]
fn rotated_products_agree() {
    check(RINGS, |prime, a, b| {
        let part = prime.degree().min(256);
        let (mut out0, mut out1) = (vec![0; part], vec![0; part]);
        let mut results = Vec::new();
        for g in [5, 25, 2 * prime.degree() as u64 - 1] {
            let automorphism = Automorphism::new(prime.log_n(), g);
            for n_digits in [1, 3, MAX_DIGITS] {
                let (digits, key) = (vec![a; n_digits], vec![b; n_digits]);
                let key = RotatingKey {
                    automorphism: &automorphism,
                    components: [&key, &digits],
                };
                for (first, addend) in [
                    (0, None),
                    (prime.degree() - part, Some((b, prime.scalar(prime.q() - 1)))),
                ] {
                    prime.rotated_product(first, &digits, &key, addend, [&mut out0, &mut out1]);
                    results.extend([out0.clone(), out1.clone()]);
                }
            }
        }
        results
    });
}

#[test]
fn switches_and_divisions_from_columns_agree() {
    check(RINGS, |prime, limb, other| {
        let n = prime.degree();
        let mut middle = vec![0; prime.middle_words()];
        // The same prime serves as the other modulus: the remainder is the input itself.
        prime.reduce_centred_columns(prime, limb, &mut middle);
        let automorphism = Automorphism::new(prime.log_n(), 5);
        let mut results = Vec::new();
        let mut out = vec![0; n];
        prime.divide(&middle, other, prime.scalar(prime.q() - 2), &mut out);
        results.push(out.clone());
        prime.permute(&automorphism, limb, &mut out);
        results.push(out);
        let digits = [
            Operand::Columns(&middle),
            Operand::Evaluated(limb),
            Operand::Columns(&middle),
        ];
        let raised = |automorphism| Raised {
            limbs: [None, Some(limb)],
            factor: prime.scalar(prime.q() - 1),
            automorphism,
        };
        for raised in [None, Some(&raised(None)), Some(&raised(Some(&automorphism)))] {
            let (mut out0, mut out1) = (vec![0; n], vec![0; n]);
            let key: [&[&[u64]]; 2] = [&[other, limb, limb], &[limb, other, other]];
            prime.switch(&digits, key, raised, [&mut out0, &mut out1]);
            results.extend([out0, out1]);
        }
        results
    });
}

/// Something that overwrites a limb.
type Operation<'a> = &'a dyn Fn(&mut [u64]);

#[test]
fn results_that_bypass_the_caches_agree() {
    // Aligned limbs of large rings.
    check([14, 15, 16], |prime, a, b| {
        let n = prime.degree();
        let mut middle = vec![0; prime.middle_words()];
        prime.reduce_centred_columns(prime, a, &mut middle);
        let mut outs = [Words::zeroed(n), Words::zeroed(n)];
        let mut results = Vec::new();
        let (operation_out, factor) = (&mut outs[0], prime.scalar(prime.q() - 2));
        let operations: [Operation<'_>; 5] = [
            &|out| prime.add(a, b, out),
            &|out| prime.sub(a, b, out),
            &|out| prime.mul(a, b, out),
            &|out| prime.mul_scalar(b, factor, out),
            &|out| prime.divide(&middle, b, factor, out),
        ];
        for operation in operations {
            operation(operation_out);
            results.push(operation_out.to_vec());
        }
        let [out0, out1] = &mut outs;
        let digits = [Operand::Columns(&middle), Operand::Evaluated(b)];
        prime.switch(&digits, [&[a, b], &[b, b]], None, [&mut *out0, &mut *out1]);
        results.extend([out0.to_vec(), out1.to_vec()]);
        results
    });
}

/// How many sources conversions are tested with, of how many bits, and up to which ring: the tables of many
/// sources take longer to make for the largest rings than all else here takes to run.
const SOURCES: [(u32, usize, u32); 4] = [(50, 1, 17), (26, 3, 17), (46, 8, 17), (50, MAX_TERMS - 1, 12)];

fn sources_of(prime: &NttPrime, bits: u32, count: usize) -> Vec<NttPrime> {
    let candidates = primes_below(bits, prime.log_n(), count + 1).into_iter();
    let others = candidates.filter(|&q| q != prime.q()).take(count);
    others
        .map(|q| NttPrime::new(prime.kernels(), prime.log_n(), q).expect("a prime of this ring"))
        .collect()
}

#[test]
fn conversions_agree() {
    for (bits, count, largest) in SOURCES {
        check_with(
            4..=largest,
            |prime| sources_of(prime, bits, count),
            |prime, sources, a, _| conversions(prime, sources, a),
        );
    }
}

/// What conversions from `sources` to one prime give, step by step.
fn conversions(prime: &NttPrime, sources: &[NttPrime], a: &[u64]) -> Vec<Vec<u64>> {
    let refs_to_sources: Vec<&NttPrime> = sources.iter().collect();
    let mut results = Vec::new();
    for rounding in [Rounding::Approximate, Rounding::Centred] {
        let conversion = BaseConversion::new(&refs_to_sources, &[prime], rounding);
        let mut prepared: Vec<Vec<u64>> = Vec::new();
        for (i, source) in sources.iter().enumerate() {
            // The largest residues stay the largest in every source.
            let residues: Vec<u64> = a
                .iter()
                .map(|&x| source.q() - 1 - (prime.q() - 1 - x) % source.q())
                .collect();
            let mut out = vec![0; a.len()];
            conversion.prepare(i, source, &residues, &mut out);
            prepared.push(if i % 2 == 0 { out } else { residues });
        }
        let mut out = vec![0; a.len()];
        if rounding == Rounding::Centred {
            let refs: Vec<&[u64]> = prepared.iter().map(Vec::as_slice).collect();
            conversion.prepare_overflow(prime, &refs, &mut out);
            prepared.push(out.clone());
        }
        let refs: Vec<&[u64]> = prepared.iter().map(Vec::as_slice).collect();
        conversion.convert(0, prime, &refs, &mut out);
        results.push(out.clone());
        conversion.convert_forward(0, prime, &refs, &mut out);
        results.push(out.clone());
        // Two targets at once and one more, which the next operation ends.
        let mut middles = vec![vec![0; prime.middle_words()]; 3];
        let target = |middle| ColumnTarget {
            index: 0,
            prime,
            middle,
        };
        let mut targets: Vec<ColumnTarget<'_>> = middles.iter_mut().map(|m| target(m)).collect();
        conversion.convert_columns(&refs, &mut targets);
        for middle in &middles {
            prime.divide(middle, a, prime.scalar(1), &mut out);
            results.push(out.clone());
        }
        results.extend(prepared);
    }
    results
}

#[test]
fn reductions_agree() {
    check(RINGS, |prime, a, b| {
        let (mut centred, mut signed) = (vec![0; a.len()], vec![0; a.len()]);
        let other = NttPrime::new(prime.kernels(), prime.log_n(), primes_below(47, prime.log_n(), 1)[0]);
        let other = other.expect("a prime of this ring");
        let residues: Vec<u64> = a.iter().map(|x| x % other.q()).collect();
        prime.reduce_centred(&other, &residues, &mut centred);
        let extremes = [0, -1, 1, i64::MIN, i64::MAX, i64::MIN + 1, -(prime.q() as i64)];
        let integers = a.iter().zip(b).enumerate().map(|(i, (&a, &b))| match extremes.get(i) {
            Some(&extreme) => extreme,
            None => a.wrapping_mul(b).wrapping_add(b << 20).cast_signed(),
        });
        prime.reduce_signed(&integers.collect::<Vec<_>>(), &mut signed);
        vec![centred, signed]
    });
}
