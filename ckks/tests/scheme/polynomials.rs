//! Polynomials on encrypted slots against the same polynomials on plain vectors.

use heron_ckks::{EvalError, Polynomial};
use heron_params::{ChainRequest, Level, ScalePower};

use crate::fixture::Fixture;

const INSECURE_DEEP: ChainRequest = ChainRequest {
    log_n: 10,
    levels: 8,
    log_scale: 44,
    log_q0: 49,
    digit_len: 3,
};
/// Noise of a rescale at this set is 2^-37; deep polynomials double it a few times.
const BITS: i32 = 26;

fn clenshaw(coefficients: &[f64], u: f64) -> f64 {
    let (mut b1, mut b2) = (0.0, 0.0);
    for &c in coefficients.iter().skip(1).rev() {
        (b1, b2) = (2.0 * u * b1 - b2 + c, b1);
    }
    u * b1 - b2 + coefficients[0]
}

fn coefficients(degree: usize, phase: f64) -> Vec<f64> {
    (0..=degree)
        .map(|k| (phase + 1.7 * k as f64).sin() / (1.0 + k as f64))
        .collect()
}

#[test]
fn every_degree_takes_the_least_depth() {
    let mut f = Fixture::new(&INSECURE_DEEP, &[]);
    let x = f.values(1);
    let a = f.encrypt(&x, Level(7));
    for degree in (1..=17).chain([23, 31, 40, 63]) {
        let c = coefficients(degree, 0.3);
        let polynomial = Polynomial::chebyshev(&c, (-1.0, 1.0)).expect("well formed");
        let result = f.eval.polynomial(&a, &polynomial).expect("levels");
        let depth = ((degree + 1) as f64).log2().ceil() as u32;
        assert_eq!(
            (result.level(), result.power()),
            (Level(7 - depth), ScalePower::One),
            "degree {degree}"
        );
        let want: Vec<f64> = x.iter().map(|&x| clenshaw(&c, x)).collect();
        f.check(&result, &want, BITS);
    }
}

#[test]
fn odd_and_even_polynomials_agree_too() {
    let mut f = Fixture::new(&INSECURE_DEEP, &[]);
    let x = f.values(2);
    let a = f.encrypt(&x, Level(6));
    for (degree, parity) in [(7, 1), (15, 1), (27, 1), (8, 0), (16, 0), (30, 0)] {
        let mut c = coefficients(degree, 1.1);
        c.iter_mut()
            .enumerate()
            .filter(|(k, _)| k % 2 != parity)
            .for_each(|(_, c)| *c = 0.0);
        let polynomial = Polynomial::chebyshev(&c, (-1.0, 1.0)).expect("well formed");
        let want: Vec<f64> = x.iter().map(|&x| clenshaw(&c, x)).collect();
        f.check(&f.eval.polynomial(&a, &polynomial).expect("levels"), &want, BITS);
    }
}

#[test]
fn an_interval_costs_one_level() {
    let mut f = Fixture::new(&INSECURE_DEEP, &[]);
    let x: Vec<f64> = f.values(3).iter().map(|x| 3.0 * x + 2.0).collect();
    let a = f.encrypt(&x, Level(8));
    let c = coefficients(15, 0.7);
    let polynomial = Polynomial::chebyshev(&c, (-1.0, 5.0)).expect("well formed");
    assert_eq!(polynomial.depth(), 5);
    let result = f.eval.polynomial(&a, &polynomial).expect("levels");
    assert_eq!(result.level(), Level(3));
    let want: Vec<f64> = x.iter().map(|&x| clenshaw(&c, (x - 2.0) / 3.0)).collect();
    f.check(&result, &want, BITS - 2);
}

#[test]
fn coefficients_may_differ_from_slot_to_slot() {
    let mut f = Fixture::new(&INSECURE_DEEP, &[]);
    let x = f.values(4);
    let a = f.encrypt(&x, Level(6));
    let per_slot: Vec<Vec<f64>> = (0..x.len()).map(|slot| coefficients(11, slot as f64)).collect();
    let transposed = (0..12).map(|k| per_slot.iter().map(|c| c[k]).collect()).collect();
    let polynomial = Polynomial::chebyshev_per_slot(transposed, (-1.0, 1.0)).expect("well formed");
    let want: Vec<f64> = x.iter().zip(&per_slot).map(|(&x, c)| clenshaw(c, x)).collect();
    f.check(&f.eval.polynomial(&a, &polynomial).expect("levels"), &want, BITS);
}

#[test]
fn too_few_levels_are_refused() {
    let mut f = Fixture::new(&INSECURE_DEEP, &[]);
    let a = f.encrypt(&[0.5], Level(2));
    let polynomial = Polynomial::chebyshev(&coefficients(7, 0.0), (-1.0, 1.0)).expect("well formed");
    assert_eq!(
        f.eval.polynomial(&a, &polynomial),
        Err(EvalError::NoSuchLevel {
            from: Level(2),
            to: Level(0)
        })
    );
    let cubic = Polynomial::chebyshev(&coefficients(3, 0.0), (-1.0, 1.0)).expect("well formed");
    assert_eq!(f.eval.polynomial(&a, &cubic).expect("levels").level(), Level(0));
}

#[test]
fn an_amplified_operand_gives_the_same_polynomial_with_less_noise() {
    let mut f = Fixture::new(&INSECURE_DEEP, &[]);
    let x = f.values(5);
    for (factor, degree, depth) in [(2.0, 15, 4), (8.0, 7, 4), (8.0, 22, 6), (4.0, 31, 6)] {
        let c = coefficients(degree, 0.5);
        let polynomial = Polynomial::chebyshev(&c, (-1.0, 1.0))
            .and_then(|p| p.amplified(factor))
            .expect("well formed");
        let amplified: Vec<f64> = x.iter().map(|x| factor * x).collect();
        let a = f.encrypt(&amplified, Level(7));
        let result = f.eval.polynomial(&a, &polynomial).expect("levels");
        assert_eq!(result.level(), Level(7 - depth));
        let want: Vec<f64> = x.iter().map(|&x| clenshaw(&c, x)).collect();
        f.check(&result, &want, BITS + 2);
    }
    let refused = |factor| {
        Polynomial::chebyshev(&[0.0, 1.0], (-1.0, 1.0))
            .and_then(|p| p.amplified(factor))
            .is_err()
    };
    assert!(refused(1.0) && refused(17.0) && refused(f64::NAN));
}
