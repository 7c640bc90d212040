//! Every machine of ours passes the conformance suite, and a plan counts the products that the evaluator makes.

use heron_ckks::Polynomial;
use heron_plan::{ConstId, Parity, SlotPolynomial};
use heron_runtime::conformance::{Bench, CkksBench, ClearBench, NoisyBench, cases, check, check_refusals};

#[test]
fn a_plan_counts_the_products_of_the_evaluator() {
    for degree in 1..=64u32 {
        for parity in [Parity::General, Parity::Even, Parity::Odd] {
            if !parity.allows(degree) {
                continue;
            }
            let mut coefficients = vec![0.0; degree as usize + 1];
            for k in parity.terms(degree) {
                coefficients[k] = (k as f64 + 1.5).recip();
            }
            let evaluated = Polynomial::chebyshev(&coefficients, (-1.0, 1.0)).expect("well formed");
            let poly = SlotPolynomial {
                coefficients: ConstId(0),
                degree,
                parity,
                layout: None,
            };
            let counted = poly.counts().ciphertext_products;
            assert_eq!(counted, evaluated.n_products() as u64, "degree {degree}, {parity:?}");
            assert_eq!(poly.depth(), evaluated.depth());
        }
    }
}

#[track_caller]
fn conforms<B: Bench>() {
    for case in cases() {
        if let Err(failure) = check::<B>(&case) {
            panic!("{}: {failure:?}", case.name);
        }
    }
    check_refusals::<B>().expect("what must be refused is refused");
}

#[test]
fn the_clear_machine_conforms() {
    conforms::<ClearBench>();
}

#[test]
fn the_noisy_machine_conforms() {
    conforms::<NoisyBench>();
}

#[test]
fn the_encrypted_machine_conforms() {
    conforms::<CkksBench>();
}
