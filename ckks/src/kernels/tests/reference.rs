//! The portable kernels against direct evaluation, schoolbook products and big integers.

use num_bigint::{BigInt, Sign};
use proptest::prelude::*;

use super::super::modular::{bit_reverse, mul_mod, pow_mod};
use super::super::{Automorphism, BaseConversion, Kernels, KernelsError, NttPrime, PrimeError, Rounding};
use super::super::{Operand, Raised, RotatingKey, coefficient_index};
use super::{inputs, portable, primes_below, random};

/// The natural coefficients of a limb.
fn natural(log_n: u32, limb: &[u64]) -> Vec<u64> {
    (0..limb.len()).map(|i| limb[coefficient_index(log_n, i)]).collect()
}

fn from_natural(log_n: u32, coefficients: &[u64]) -> Vec<u64> {
    let mut limb = vec![0; coefficients.len()];
    for (i, &coefficient) in coefficients.iter().enumerate() {
        limb[coefficient_index(log_n, i)] = coefficient;
    }
    limb
}

fn evaluate(coefficients: &[u64], at: u64, q: u64) -> u64 {
    coefficients
        .iter()
        .rev()
        .fold(0, |sum, &coefficient| (mul_mod(sum, at, q) + coefficient) % q)
}

/// The product modulo `X^N + 1`, by the schoolbook.
fn negacyclic_product(a: &[u64], b: &[u64], q: u64) -> Vec<u64> {
    let n = a.len();
    let mut out = vec![0; n];
    for (i, &a) in a.iter().enumerate() {
        for (j, &b) in b.iter().enumerate() {
            let term = mul_mod(a, b, q);
            let signed = if i + j < n { term } else { (q - term) % q };
            out[(i + j) % n] = (out[(i + j) % n] + signed) % q;
        }
    }
    out
}

#[test]
fn forward_evaluates_at_odd_powers_in_bit_reversed_order() {
    for (log_n, bits) in [(4, 20), (5, 26), (8, 50), (9, 46), (10, 40)] {
        let prime = portable(log_n, primes_below(bits, log_n, 1)[0]);
        for limb in inputs(prime.q(), prime.degree(), 1) {
            let coefficients = natural(log_n, &limb);
            let mut evaluations = limb;
            prime.forward(&mut evaluations);
            for (i, &value) in evaluations.iter().enumerate() {
                let at = pow_mod(prime.psi(), 2 * bit_reverse(i, log_n) as u64 + 1, prime.q());
                assert_eq!(
                    value,
                    evaluate(&coefficients, at, prime.q()),
                    "position {i} of degree 2^{log_n}"
                );
            }
        }
    }
}

#[test]
fn large_transforms_agree_with_direct_evaluation_at_samples() {
    for log_n in 11..=17 {
        let prime = portable(log_n, primes_below(50, log_n, 1)[0]);
        let limb = random(prime.q(), prime.degree(), 2);
        let coefficients = natural(log_n, &limb);
        let mut evaluations = limb.clone();
        prime.forward(&mut evaluations);
        for i in [0, 1, 255, 256, 777, prime.degree() - 1] {
            let at = pow_mod(prime.psi(), 2 * bit_reverse(i, log_n) as u64 + 1, prime.q());
            assert_eq!(
                evaluations[i],
                evaluate(&coefficients, at, prime.q()),
                "position {i} of degree 2^{log_n}"
            );
        }
        prime.inverse(&mut evaluations);
        assert_eq!(evaluations, limb);
    }
}

#[test]
fn pointwise_product_is_the_negacyclic_product() {
    for (log_n, bits) in [(4, 26), (6, 50), (9, 48)] {
        let prime = portable(log_n, primes_below(bits, log_n, 1)[0]);
        for a in inputs(prime.q(), prime.degree(), 3) {
            let b = random(prime.q(), prime.degree(), 4);
            let expected = negacyclic_product(&natural(log_n, &a), &natural(log_n, &b), prime.q());
            let (mut product, mut other) = (a, b);
            prime.forward(&mut product);
            prime.forward(&mut other);
            prime.mul_assign(&mut product, &other);
            prime.inverse(&mut product);
            assert_eq!(natural(log_n, &product), expected);
        }
    }
}

#[test]
fn inverse_multiplies_by_its_factor_and_adds_its_offset() {
    let prime = portable(9, primes_below(40, 9, 1)[0]);
    let coefficients = random(prime.q(), prime.degree(), 5);
    let mut evaluations = vec![0; prime.degree()];
    prime.forward_into(&coefficients, &mut evaluations);
    let mut out = vec![0; prime.degree()];
    prime.inverse_into(&evaluations, prime.scalar(12345), prime.q() - 1, &mut out);
    for (out, x) in out.iter().zip(&coefficients) {
        assert_eq!(*out, (mul_mod(*x, 12345, prime.q()) + prime.q() - 1) % prime.q());
    }
}

#[test]
fn automorphism_substitutes_a_power_of_x() {
    for log_n in [4, 8, 10] {
        let prime = portable(log_n, primes_below(46, log_n, 1)[0]);
        let n = prime.degree();
        for galois_element in [1, 3, 5, 25, n as u64 + 1, 2 * n as u64 - 1] {
            let coefficients = random(prime.q(), n, galois_element);
            let mut substituted = vec![0; n];
            for (i, &coefficient) in coefficients.iter().enumerate() {
                let exponent = i * galois_element as usize % (2 * n);
                let signed = if exponent < n {
                    coefficient
                } else {
                    (prime.q() - coefficient) % prime.q()
                };
                substituted[exponent % n] = signed;
            }
            let (mut input, mut expected) = (from_natural(log_n, &coefficients), from_natural(log_n, &substituted));
            prime.forward(&mut input);
            prime.forward(&mut expected);
            let mut out = vec![0; n];
            Automorphism::new(log_n, galois_element).apply(&input, &mut out);
            assert_eq!(out, expected, "X -> X^{galois_element} in degree 2^{log_n}");
        }
    }
}

proptest! {
    #[test]
    fn pointwise_operations_are_those_of_the_field(seed in any::<u64>(), bits in prop::sample::select(vec![20, 26, 36, 50])) {
        let q = primes_below(bits, 6, 1)[0];
        let prime = portable(6, q);
        let [a, b, c] = [1, 2, 3].map(|k| random(q, 64, seed ^ k));
        let w = prime.scalar(c[0]);
        let expect = |out: Vec<u64>, formula: &dyn Fn(usize) -> u128| {
            (0..64).all(|i| u128::from(out[i]) == formula(i) % u128::from(q))
        };
        let wide = |x: u64| u128::from(x);
        let on = |operation: &dyn Fn(&mut [u64])| { let mut out = a.clone(); operation(&mut out); out };
        prop_assert!(expect(on(&|x| prime.add_assign(x, &b)), &|i| wide(a[i] + b[i])));
        prop_assert!(expect(on(&|x| prime.sub_assign(x, &b)), &|i| wide(a[i] + q - b[i])));
        prop_assert!(expect(on(&|x| prime.add(&b, &c, x)), &|i| wide(b[i] + c[i])));
        prop_assert!(expect(on(&|x| prime.sub(&b, &c, x)), &|i| wide(b[i] + q - c[i])));
        prop_assert!(expect(on(&|x| prime.mul(&b, &c, x)), &|i| wide(b[i]) * wide(c[i])));
        prop_assert!(expect(on(&|x| prime.mul_scalar(&b, w, x)), &|i| wide(b[i]) * wide(c[0])));
        prop_assert!(expect(on(&|x| prime.neg_assign(x)), &|i| wide(q - a[i])));
        prop_assert!(expect(on(&|x| prime.mul_assign(x, &b)), &|i| wide(a[i]) * wide(b[i])));
        prop_assert!(expect(on(&|x| prime.mul_add_assign(x, &b, &c)), &|i| wide(a[i]) + wide(b[i]) * wide(c[i])));
        prop_assert!(expect(on(&|x| prime.mul_scalar_assign(x, w)), &|i| wide(a[i]) * wide(c[0])));
        prop_assert!(expect(on(&|x| prime.mul_scalar_add_assign(x, &b, w)), &|i| wide(a[i]) + wide(b[i]) * wide(c[0])));
        prop_assert!(expect(on(&|x| prime.sub_mul_scalar_assign(x, &b, w)), &|i| wide(a[i] + q - b[i]) * wide(c[0])));
    }

    #[test]
    fn reductions_keep_the_integer(seed in any::<u64>(), value in any::<i64>()) {
        let (small, large) = (portable(6, primes_below(26, 6, 1)[0]), portable(6, primes_below(50, 6, 1)[0]));
        for (from, to) in [(&small, &large), (&large, &small)] {
            let mut input = random(from.q(), 64, seed);
            input[..4].copy_from_slice(&[0, from.q() - 1, from.q() / 2, from.q() / 2 + 1]);
            let mut out = vec![0; 64];
            to.reduce_centred(from, &input, &mut out);
            for (x, out) in input.iter().zip(out) {
                let centred = if *x > from.q() / 2 { *x as i64 - from.q() as i64 } else { *x as i64 };
                prop_assert_eq!(out, centred.rem_euclid(to.q() as i64) as u64);
            }
        }
        let mut signed = vec![value; 64];
        signed[..5].copy_from_slice(&[0, -1, i64::MIN, i64::MAX, -(small.q() as i64)]);
        let mut out = vec![0; 64];
        small.reduce_signed(&signed, &mut out);
        for (x, out) in signed.iter().zip(out) {
            prop_assert_eq!(out, x.rem_euclid(small.q() as i64) as u64);
        }
    }
}

#[test]
fn sums_of_products_match_their_definition() {
    let q = primes_below(50, 5, 1)[0];
    let prime = portable(5, q);
    let limbs = |seed: u64| -> Vec<Vec<u64>> { (0..3).map(|d| random(q, 32, seed + d)).collect() };
    let (digits, key0, key1, plaintext) = (limbs(10), limbs(20), limbs(30), random(q, 32, 40));
    let digit_refs: Vec<&[u64]> = digits.iter().map(Vec::as_slice).collect();
    let key_refs = [&key0, &key1].map(|key| key.iter().map(Vec::as_slice).collect::<Vec<&[u64]>>());
    let key = [key_refs[0].as_slice(), key_refs[1].as_slice()];
    let definition = |digits: &[Vec<u64>], key: &[Vec<u64>], i: usize| {
        digits
            .iter()
            .zip(key)
            .fold(0, |sum, (digit, key)| (sum + mul_mod(digit[i], key[i], q)) % q)
    };
    let (mut out0, mut out1) = (vec![0; 32], vec![0; 32]);
    prime.inner_product(&digit_refs, key, [&mut out0, &mut out1]);
    for i in 0..32 {
        assert_eq!(
            [out0[i], out1[i]],
            [definition(&digits, &key0, i), definition(&digits, &key1, i)]
        );
    }

    let automorphism = Automorphism::new(5, 63);
    let rotate = |limb: &Vec<u64>| {
        let mut out = vec![0; 32];
        automorphism.apply(limb, &mut out);
        out
    };
    let rotated: Vec<Vec<u64>> = digits.iter().map(rotate).collect();
    let (addend, factor) = (rotate(&plaintext), q - 5);
    let rotating = RotatingKey {
        automorphism: &automorphism,
        components: key,
    };
    let (mut part0, mut part1) = (vec![0; 16], vec![0; 16]);
    let raised = Some((plaintext.as_slice(), prime.scalar(factor)));
    prime.rotated_product(16, &digit_refs, &rotating, raised, [&mut part0, &mut part1]);
    for i in 16..32 {
        let first = (definition(&rotated, &key0, i) + mul_mod(addend[i], factor, q)) % q;
        assert_eq!([part0[i - 16], part1[i - 16]], [first, definition(&rotated, &key1, i)]);
    }
}

#[test]
fn a_division_ends_the_transform_of_its_remainder() {
    let prime = portable(9, primes_below(40, 9, 1)[0]);
    let (q, n) = (prime.q(), prime.degree());
    let (remainder, dividend) = (random(q, n, 1), random(q, n, 2));
    let mut evaluated = vec![0; n];
    prime.forward_into(&remainder, &mut evaluated);
    let mut middle = vec![0; prime.middle_words()];
    prime.reduce_centred_columns(&prime, &remainder, &mut middle);
    let mut out = vec![0; n];
    prime.divide(&middle, &dividend, prime.scalar(77), &mut out);
    for i in 0..n {
        assert_eq!(out[i], mul_mod((dividend[i] + q - evaluated[i]) % q, 77, q));
    }
    let automorphism = Automorphism::new(9, 25);
    let (mut expected, mut permuted) = (vec![0; n], vec![0; n]);
    automorphism.apply(&out, &mut expected);
    prime.permute(&automorphism, &out, &mut permuted);
    assert_eq!(permuted, expected);
}

#[test]
fn a_switch_ends_the_transform_of_its_digits() {
    let prime = portable(9, primes_below(40, 9, 1)[0]);
    let (q, n) = (prime.q(), prime.degree());
    let [coefficients, own, key0, key1, addend] = [1, 2, 3, 4, 5].map(|seed| random(q, n, seed));
    let mut evaluated = vec![0; n];
    prime.forward_into(&coefficients, &mut evaluated);
    let mut middle = vec![0; prime.middle_words()];
    prime.reduce_centred_columns(&prime, &coefficients, &mut middle);
    let automorphism = Automorphism::new(9, 25);
    let mut permuted = vec![0; n];
    automorphism.apply(&addend, &mut permuted);
    let raised = Raised {
        limbs: [Some(&addend), None],
        factor: prime.scalar(77),
        automorphism: Some(&automorphism),
    };
    let (mut out0, mut out1) = (vec![0; n], vec![0; n]);
    let digits = [Operand::Columns(&middle), Operand::Evaluated(&own)];
    let key: [&[&[u64]]; 2] = [&[&key0, &key1], &[&key1, &key0]];
    prime.switch(&digits, key, Some(&raised), [&mut out0, &mut out1]);
    for i in 0..n {
        let sum = |a: u64, b: u64| (mul_mod(evaluated[i], a, q) + mul_mod(own[i], b, q)) % q;
        let first = (sum(key0[i], key1[i]) + mul_mod(permuted[i], 77, q)) % q;
        assert_eq!([out0[i], out1[i]], [first, sum(key1[i], key0[i])]);
    }
}

#[test]
fn tensor_gives_the_three_components_of_a_product() {
    let q = primes_below(48, 5, 1)[0];
    let prime = portable(5, q);
    let [a0, a1, b0, b1] = [1, 2, 3, 4].map(|seed| random(q, 32, seed));
    let mut out = [vec![0; 32], vec![0; 32], vec![0; 32]];
    let [o0, o1, o2] = &mut out;
    prime.tensor([&a0, &a1], [&b0, &b1], [o0, o1, o2]);
    for i in 0..32 {
        assert_eq!(out[0][i], mul_mod(a0[i], b0[i], q));
        assert_eq!(out[1][i], (mul_mod(a0[i], b1[i], q) + mul_mod(a1[i], b0[i], q)) % q);
        assert_eq!(out[2][i], mul_mod(a1[i], b1[i], q));
    }
}

/// Converts `values`, small integers and extremes of `[-Q/2, Q/2]`, and returns the difference to the truth in units of `Q`.
fn conversion_errors(source_bits: &[u32], target_bits: u32, rounding: Rounding) -> Vec<BigInt> {
    let log_n = 6;
    let mut source_primes: Vec<u64> = Vec::new();
    for (k, &bits) in source_bits.iter().enumerate() {
        source_primes.push(primes_below(bits, log_n, k + 1)[k]);
    }
    let sources: Vec<NttPrime> = source_primes.iter().map(|&q| portable(log_n, q)).collect();
    // Enough targets to tell the converted integer apart from all that it could be.
    let targets: Vec<NttPrime> = primes_below(target_bits, log_n, 20)
        .into_iter()
        .rev()
        .map(|q| portable(log_n, q))
        .collect();
    let (source_refs, target_refs): (Vec<_>, Vec<_>) = (sources.iter().collect(), targets.iter().collect());
    let conversion = BaseConversion::new(&source_refs, &target_refs, rounding);

    let q: BigInt = source_primes.iter().map(|&q| BigInt::from(q)).product();
    let p: BigInt = targets.iter().map(|target| BigInt::from(target.q())).product();
    let half: BigInt = &q / 2;
    let values: Vec<BigInt> = (0..64i64)
        .map(|i| match i % 4 {
            0 => BigInt::from(i * 1_003 - 7),
            1 => &half - BigInt::from(i) * (&q >> 30),
            2 => -&half + BigInt::from(i) * (&q >> 30),
            _ => BigInt::from_bytes_le(Sign::Plus, &i.to_le_bytes()) * (&q >> 8) - &half,
        })
        .collect();
    let residue = |value: &BigInt, q: u64| {
        let modulus = BigInt::from(q);
        u64::try_from(((value % &modulus) + &modulus) % &modulus).expect("a residue")
    };
    let mut prepared: Vec<Vec<u64>> = Vec::new();
    for (i, source) in sources.iter().enumerate() {
        let mut limb: Vec<u64> = values.iter().map(|value| residue(value, source.q())).collect();
        source.forward(&mut limb);
        let mut out = vec![0; 64];
        conversion.prepare(i, source, &limb, &mut out);
        prepared.push(out);
    }
    if rounding == Rounding::Centred {
        let mut overflow = vec![0; 64];
        let refs: Vec<&[u64]> = prepared.iter().map(Vec::as_slice).collect();
        conversion.prepare_overflow(&sources[0], &refs, &mut overflow);
        prepared.push(overflow);
    }
    let refs: Vec<&[u64]> = prepared.iter().map(Vec::as_slice).collect();
    let mut lifted = vec![BigInt::from(0); 64];
    for (j, target) in targets.iter().enumerate() {
        let mut out = vec![0; 64];
        conversion.convert(j, target, &refs, &mut out);
        let mut transformed = vec![0; 64];
        conversion.convert_forward(j, target, &refs, &mut transformed);
        let cofactor = &p / target.q();
        let inverse = target.inverse_of(residue(&cofactor, target.q()));
        for (sum, &residue) in lifted.iter_mut().zip(&out) {
            *sum += BigInt::from(target.product(residue, inverse)) * &cofactor;
        }
        target.forward(&mut out);
        assert_eq!(out, transformed);
    }
    let centre = |x: BigInt| {
        let x = x % &p;
        if x > &p / 2 { x - &p } else { x }
    };
    let errors = lifted.into_iter().map(centre).zip(values).map(|(lifted, value)| {
        assert_eq!(
            (&lifted - &value) % &q,
            BigInt::from(0),
            "a representative of the same residue"
        );
        (lifted - value) / &q
    });
    errors.collect()
}

#[test]
fn centred_conversion_keeps_the_centred_integer() {
    for (sources, target_bits) in [
        (vec![40], 50),
        (vec![26, 50], 46),
        (vec![50; 8], 50),
        (vec![46; 15], 48),
        (vec![20], 26),
    ] {
        assert!(
            conversion_errors(&sources, target_bits, Rounding::Centred)
                .iter()
                .all(|e| *e == BigInt::from(0))
        );
    }
}

#[test]
fn approximate_conversion_is_off_by_at_most_half_the_primes() {
    for (sources, target_bits) in [
        (vec![40], 50),
        (vec![26, 50], 46),
        (vec![50; 8], 50),
        (vec![46; 15], 48),
    ] {
        let errors = conversion_errors(&sources, target_bits, Rounding::Approximate);
        let bound = BigInt::from(sources.len().div_ceil(2));
        assert!(errors.iter().all(|e| *e <= bound && -e <= bound), "{errors:?}");
    }
}

#[test]
fn refuses_what_is_no_prime_of_the_ring() {
    let new = |log_n, q| NttPrime::new(Kernels::portable(), log_n, q).err();
    let prime = primes_below(30, 10, 1)[0];
    assert_eq!(new(3, prime), Some(PrimeError::Degree { log_n: 3 }));
    assert_eq!(new(18, prime), Some(PrimeError::Degree { log_n: 18 }));
    for q in [0, 1, (1 << 50) + 1, (2 << 10) * 15 + 1 + (2 << 10), prime + 2] {
        if !heron_params::is_prime(q) || q % (2 << 10) != 1 || q >> 50 != 0 {
            assert_eq!(new(10, q), Some(PrimeError::Modulus { q, log_n: 10 }));
        }
    }
    assert_eq!(new(10, prime), None);
}

#[test]
fn names_an_unknown_kernel_set() {
    assert_eq!(Kernels::named("portable").map(Kernels::name), Ok("portable"));
    assert_eq!(
        Kernels::named("neon"),
        Err(KernelsError::Unknown {
            name: "neon".to_owned()
        })
    );
    assert_eq!(Kernels::named(Kernels::best().name()), Ok(Kernels::best()));
}
