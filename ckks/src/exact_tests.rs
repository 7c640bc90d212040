//! Residue arithmetic against exact integers on small rings: products, divisions, digits and key switches, coefficient by
//! coefficient.

use std::sync::Arc;

use heron_params::{ChainRequest, CkksParams, KeySpec, Level, Rotation, ScalePower};
use num_bigint::{BigInt, Sign};
use proptest::prelude::*;

use crate::ciphertext::Ciphertext;
use crate::context::Context;
use crate::encoder::Encoder;
use crate::evaluation_keys::EvaluationKeys;
use crate::evaluator::{Evaluator, Finish};
use crate::kernels::{Kernels, NttPrime, coefficient_index};
use crate::key_switch::Decomposition;
use crate::keys::SecretKey;
use crate::poly::Poly;
use crate::random::{Rng, Seed};

/// No error coefficient is larger: the sampler's tail is cut there.
const LARGEST_ERROR: u32 = 30;

fn sets() -> impl Strategy<Value = ChainRequest> {
    (4u32..=8, 1u32..=5, 25u32..=45, 1u32..=4).prop_map(|(log_n, levels, log_scale, digit_len)| ChainRequest {
        log_n,
        levels,
        log_scale,
        log_q0: log_scale + 4,
        digit_len,
    })
}

fn context(set: &ChainRequest) -> Arc<Context> {
    Context::new(CkksParams::build(set).expect("primes exist"), Kernels::best()).expect("a valid set")
}

/// A uniform polynomial modulo the given primes.
fn random_poly(primes: &[&NttPrime], seed: u8) -> Poly {
    let mut poly = Poly::zeroed(primes[0].degree(), primes.len());
    for (i, limb) in poly.limbs_mut().enumerate() {
        Seed([seed; 32]).expand(Kernels::best(), i as u64, primes[i].q(), limb);
    }
    poly
}

fn product(primes: &[&NttPrime]) -> BigInt {
    primes.iter().map(|prime| BigInt::from(prime.q())).product()
}

/// The representative in `(-m/2, m/2]`.
fn centred(x: &BigInt, m: &BigInt) -> BigInt {
    let x = ((x % m) + m) % m;
    if &x * 2 > *m { x - m } else { x }
}

/// `x / d`, rounded to the nearest; `d` is odd, so that there are no ties.
fn rounded_quotient(x: &BigInt, d: &BigInt) -> BigInt {
    (x - centred(x, d)) / d
}

/// The centred coefficients of `X^0, X^1, …` of a polynomial in evaluation form.
fn coefficients(poly: &Poly, primes: &[&NttPrime]) -> Vec<BigInt> {
    let modulus = product(primes);
    let mut sums = vec![BigInt::ZERO; poly.n()];
    for (limb, prime) in poly.limbs().zip(primes) {
        let mut limb = limb.to_vec();
        prime.inverse(&mut limb);
        let cofactor = &modulus / prime.q();
        let inverse = prime.inverse_of(u64::try_from(&cofactor % prime.q()).expect("below a word"));
        for (i, sum) in sums.iter_mut().enumerate() {
            let residue = limb[coefficient_index(prime.log_n(), i)];
            *sum += &cofactor * prime.product(residue, inverse);
        }
    }
    sums.iter().map(|sum| centred(sum, &modulus)).collect()
}

/// The product modulo `X^N + 1`, by the definition.
fn negacyclic_product(a: &[BigInt], b: &[BigInt]) -> Vec<BigInt> {
    let n = a.len();
    let mut out = vec![BigInt::ZERO; n];
    for (i, a) in a.iter().enumerate() {
        for (j, b) in b.iter().enumerate() {
            if i + j < n {
                out[i + j] += a * b;
            } else {
                out[i + j - n] -= a * b;
            }
        }
    }
    out
}

/// `a(X^g)` modulo `X^N + 1`, by the definition.
fn automorphism(a: &[BigInt], g: usize) -> Vec<BigInt> {
    let n = a.len();
    let mut out = vec![BigInt::ZERO; n];
    for (i, a) in a.iter().enumerate() {
        let exponent = i * g % (2 * n);
        if exponent < n {
            out[exponent] += a;
        } else {
            out[exponent - n] -= a;
        }
    }
    out
}

/// The secret's coefficients.
fn secret_coefficients(secret: &SecretKey) -> Vec<BigInt> {
    secret.natural_coefficients().iter().map(|&x| BigInt::from(x)).collect()
}

/// `c0 + c1 · s`, centred modulo the level's primes.
fn phase(ctx: &Context, secret: &SecretKey, c: &Ciphertext) -> Vec<BigInt> {
    let primes: Vec<&NttPrime> = (0..c.level.limbs()).map(|i| ctx.prime(i)).collect();
    let modulus = product(&primes);
    let masked = negacyclic_product(&coefficients(&c.c1, &primes), &secret_coefficients(secret));
    coefficients(&c.c0, &primes)
        .iter()
        .zip(masked)
        .map(|(c0, masked)| centred(&(c0 + masked), &modulus))
        .collect()
}

fn largest(values: impl IntoIterator<Item = BigInt>) -> BigInt {
    values
        .into_iter()
        .map(|x| BigInt::from_biguint(Sign::Plus, x.magnitude().clone()))
        .max()
        .unwrap_or_default()
}

/// The most that a key switch can be off by, rounding included: digits of `k` primes are below `k D / 2` in magnitude.
fn key_switch_bound(ctx: &Context, level: Level) -> BigInt {
    let params = ctx.params();
    let special: BigInt = params.p.iter().map(|&p| BigInt::from(p)).product();
    let n = params.n();
    let digits: BigInt = params
        .digits(level)
        .map(|digit| digit.len() * params.q[digit].iter().map(|&q| BigInt::from(q)).product::<BigInt>())
        .sum();
    digits * LARGEST_ERROR * n / 2 / special + n + 2
}

struct Keyed {
    ctx: Arc<Context>,
    secret: SecretKey,
    eval: Evaluator,
    rng: Rng,
}

impl Keyed {
    fn new(set: &ChainRequest, rotation: u32) -> Self {
        let ctx = context(set);
        let mut rng = Rng::insecure_deterministic(7);
        let secret = SecretKey::generate(&ctx, &mut rng);
        let mut spec = KeySpec::default();
        spec.add_relinearize(ctx.params().max_level());
        spec.add_rotation(Rotation(rotation), ctx.params().max_level());
        let keys = EvaluationKeys::generate(&ctx, &secret, &spec, &mut rng, &mut |_| ()).expect("a valid spec");
        Self {
            eval: Evaluator::new(ctx.clone(), Arc::new(keys)),
            ctx,
            secret,
            rng,
        }
    }

    fn encrypt(&mut self, values: &[f64], level: Level) -> Ciphertext {
        let plaintext = Encoder::new(self.ctx.clone())
            .encode(values, level, ScalePower::One)
            .expect("fits");
        crate::encrypt_secret(&self.ctx, &self.secret, &plaintext, &mut self.rng).expand(&self.ctx)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn evaluation_form_multiplies_like_the_schoolbook(set in sets(), seeds in any::<[u8; 2]>()) {
        let ctx = context(&set);
        let primes: Vec<&NttPrime> = ctx.primes().iter().collect();
        let [mut a, b] = seeds.map(|seed| random_poly(&primes, seed));
        let want = negacyclic_product(&coefficients(&a, &primes), &coefficients(&b, &primes));
        a.limbs_mut().enumerate().for_each(|(i, limb)| primes[i].mul_assign(limb, b.limb(i)));
        let modulus = product(&primes);
        let want: Vec<BigInt> = want.iter().map(|x| centred(x, &modulus)).collect();
        prop_assert_eq!(coefficients(&a, &primes), want);
    }

    #[test]
    fn divisions_round_to_the_nearest(set in sets(), seed in any::<u8>(), level in 0u32..6) {
        let ctx = context(&set);
        let level = Level(level.min(set.levels));
        let basis: Vec<&NttPrime> = (0..ctx.basis_len(level)).map(|i| ctx.basis_prime(level, i)).collect();
        let tables = ctx.level(level);
        let limbs = level.limbs();
        let cases = [
            (Some(&tables.mod_down), limbs, basis.len()),
            (tables.mod_down_and_rescale.as_ref(), limbs - 1, basis.len()),
            (tables.rescale.as_ref(), limbs - 1, limbs),
        ];
        for (division, kept, all) in cases {
            let Some(division) = division else { continue };
            let a = random_poly(&basis[..all], seed);
            let quotient = division.divide(&ctx.pool, |i| basis[i], |i| a.limb(i));
            let (divisor, modulus) = (product(&basis[kept..all]), product(&basis[..kept]));
            let want: Vec<BigInt> = coefficients(&a, &basis[..all])
                .iter()
                .map(|x| centred(&rounded_quotient(x, &divisor), &modulus))
                .collect();
            prop_assert_eq!(coefficients(&quotient, &basis[..kept]), want);
        }
    }

    #[test]
    fn key_switches_keep_the_product_up_to_a_bounded_error(set in sets(), seed in any::<u8>(), level in 0u32..6) {
        let f = Keyed::new(&set, 1);
        let level = Level(level.min(set.levels));
        let primes: Vec<&NttPrime> = (0..level.limbs()).map(|i| f.ctx.prime(i)).collect();
        let a = random_poly(&primes, seed);
        let key = f.eval.keys.relinearize_key(level).expect("a key");
        let stack = Decomposition::new(&f.ctx, level, &a).switch(key, [None, None]);
        let (c0, c1) = f.eval.finish(level, &stack, Finish::Keep);
        let switched = phase(&f.ctx, &f.secret, &Ciphertext { level, power: ScalePower::Two, c0, c1 });
        let s = secret_coefficients(&f.secret);
        let want = negacyclic_product(&coefficients(&a, &primes), &negacyclic_product(&s, &s));
        let modulus = product(&primes);
        let error = largest(switched.iter().zip(&want).map(|(got, want)| centred(&(got - want), &modulus)));
        prop_assert!(error <= key_switch_bound(&f.ctx, level), "{error}");
    }

    #[test]
    fn rotations_apply_the_automorphism_to_the_message(set in sets(), by in 1u32..8, level in 0u32..6) {
        let mut f = Keyed::new(&set, by);
        let level = Level(level.min(set.levels));
        let a = f.encrypt(&[0.5, -0.25, 1.0], level);
        let got = phase(&f.ctx, &f.secret, &f.eval.rotate(&a, Rotation(by)).expect("a key"));
        let g = (0..by).fold(1, |g, _| g * 5 % (2 * f.ctx.n()));
        let want = automorphism(&phase(&f.ctx, &f.secret, &a), g);
        let error = largest(got.iter().zip(&want).map(|(got, want)| got - want));
        prop_assert!(error <= key_switch_bound(&f.ctx, level), "{error}");
    }

    #[test]
    fn products_multiply_the_messages(set in sets(), level in 1u32..6) {
        let mut f = Keyed::new(&set, 1);
        let level = Level(level.min(set.levels));
        let (a, b) = (f.encrypt(&[0.5, -0.25, 1.0], level), f.encrypt(&[-1.0, 0.75], level));
        let want = negacyclic_product(&phase(&f.ctx, &f.secret, &a), &phase(&f.ctx, &f.secret, &b));
        let product = f.eval.mul(&a, &b).expect("a key");
        let bound = key_switch_bound(&f.ctx, level);
        let error = largest(phase(&f.ctx, &f.secret, &product).iter().zip(&want).map(|(got, want)| got - want));
        prop_assert!(error <= bound, "{error}");
        // Rescaling divides message and error by the last prime, and adds at most half of one plus half of `s` per term.
        let last = BigInt::from(f.ctx.params().q[level.limbs() - 1]);
        let rounding = BigInt::from(f.ctx.n() + 1);
        let two_steps = f.eval.rescale(&product).expect("a level");
        let one_step = f.eval.mul_rescale(&a, &b).expect("a key");
        for rescaled in [two_steps, one_step] {
            let got = phase(&f.ctx, &f.secret, &rescaled);
            let error = largest(got.iter().zip(&want).map(|(got, want)| got - rounded_quotient(want, &last)));
            prop_assert!(error <= &bound / &last + &rounding, "{error}");
        }
    }

    #[test]
    fn a_drop_multiplies_by_the_ratio_of_the_scales(set in sets(), to in 0u32..5) {
        let mut f = Keyed::new(&set, 1);
        let params = f.ctx.params().clone();
        let (from, to) = (params.max_level(), Level(to.min(set.levels - 1)));
        let a = f.encrypt(&[0.5, -0.25, 1.0], from);
        let got = phase(&f.ctx, &f.secret, &f.eval.drop_level(&a, to).expect("below"));
        let last = params.q[to.limbs()];
        let factor = (params.scale(to) / params.scale(from) * last as f64).round_ties_even() as u64;
        let want = phase(&f.ctx, &f.secret, &a);
        let error = largest(got.iter().zip(&want).map(|(got, want)| got - rounded_quotient(&(want * factor), &last.into())));
        prop_assert!(error <= BigInt::from(f.ctx.n() / 2 + 2), "{error}");
    }
}
