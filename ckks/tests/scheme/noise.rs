//! Measured noise against the prediction that plans rest on, operation by operation.

use heron_ckks::{PublicKey, encrypt_public};
use heron_params::{ChainRequest, Level, NoiseModel, Rotation, ScalePower};

use crate::fixture::{Diagonals, Fixture, rotated};

/// How far a measured deviation may be from the predicted one, in bits. The sample of at least 6 · 1024 slots alone moves
/// it by 0.02; the weight of the secret and the correlation between slots by as much again.
const TOLERANCE_BITS: f64 = 0.2;
/// Ciphertexts per measurement.
const TRIALS: u32 = 6;

/// What shallow plans use: the smallest scales, where noise matters most.
const INSECURE_SMALL_SCALE: ChainRequest = ChainRequest {
    log_n: 11,
    levels: 5,
    log_scale: 26,
    log_q0: 34,
    digit_len: 1,
};
/// Digits of several primes.
const INSECURE_WIDE_DIGITS: ChainRequest = ChainRequest {
    log_n: 12,
    levels: 5,
    log_scale: 30,
    log_q0: 38,
    digit_len: 3,
};
/// What a plan for the smallest secure ring of practical use has: the table leaves no spare bits for the special prime.
const SECURE_TIGHT: ChainRequest = ChainRequest {
    log_n: 13,
    levels: 5,
    log_scale: 28,
    log_q0: 36,
    digit_len: 1,
};
const SETS: [ChainRequest; 3] = [INSECURE_SMALL_SCALE, INSECURE_WIDE_DIGITS, SECURE_TIGHT];

/// Root mean square of the differences of many slots.
#[derive(Default)]
struct Deviation {
    squares: f64,
    n: f64,
}

impl Deviation {
    fn add(&mut self, got: &[f64], want: &[f64]) {
        self.squares += got.iter().zip(want).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
        self.n += want.len() as f64;
    }

    #[track_caller]
    fn check(&self, what: &str, set: &ChainRequest, predicted: f64) {
        let measured = (self.squares / self.n).sqrt();
        let bits = (measured / predicted).log2();
        println!(
            "N=2^{} {what}: measured 2^{:.2}, predicted 2^{:.2}",
            set.log_n,
            measured.log2(),
            predicted.log2()
        );
        assert!(
            bits.abs() < TOLERANCE_BITS,
            "N=2^{} {what}: off by {bits:.2} bits",
            set.log_n
        );
    }
}

fn measure(f: &mut Fixture, mut trial: impl FnMut(&mut Fixture, &[f64], &mut Deviation)) -> Deviation {
    let mut deviation = Deviation::default();
    for seed in 0..TRIALS {
        let values = f.values(seed);
        trial(f, &values, &mut deviation);
    }
    deviation
}

#[test]
fn encoding_and_fresh_encryption() {
    for set in SETS {
        let mut f = Fixture::new(&set, &[]);
        let (params, level) = (f.params().clone(), Level(3));
        let model = NoiseModel::new(&params);
        let public = PublicKey::generate(&f.ctx, &f.secret, &mut f.rng);
        let encoded = measure(&mut f, |f, x, deviation| {
            let plaintext = f.encoder.encode(x, level, ScalePower::One).expect("fits");
            deviation.add(&f.encoder.decode(&plaintext), x);
        });
        encoded.check("encode", &set, model.encode(level));
        let fresh = measure(&mut f, |f, x, deviation| {
            let ciphertext = f.encrypt(x, level);
            deviation.add(&f.decrypt(&ciphertext), x);
        });
        fresh.check("fresh", &set, model.fresh(level));
        let fresh_public = measure(&mut f, |f, x, deviation| {
            let plaintext = f.encoder.encode(x, level, ScalePower::One).expect("fits");
            let ciphertext = encrypt_public(&f.ctx, &public, &plaintext, &mut f.rng);
            deviation.add(&f.decrypt(&ciphertext), x);
        });
        fresh_public.check("fresh, public key", &set, model.fresh_public(level));
    }
}

#[test]
fn periodic_vectors_round_in_proportion_to_their_period() {
    for set in SETS {
        let f = Fixture::new(&set, &[]);
        let (params, level) = (f.params().clone(), Level(3));
        for period in [1, 16, 128] {
            // The error repeats with the period: more vectors instead of more slots.
            let mut encoded = Deviation::default();
            for seed in 0..TRIALS * 256 / period {
                let values = f.values(seed);
                let repeated: Vec<f64> = (0..values.len()).map(|i| values[i % period as usize]).collect();
                let plaintext = f.encoder.encode(&repeated, level, ScalePower::One).expect("fits");
                let error = |values: &[f64]| values[..period as usize].to_vec();
                encoded.add(&error(&f.encoder.decode(&plaintext)), &error(&repeated));
            }
            let predicted = NoiseModel::new(&params).encode_periodic(level, period);
            encoded.check(&format!("encode, period {period}"), &set, predicted);
        }
    }
}

#[test]
fn rescale_and_level_drop() {
    for set in SETS {
        let mut f = Fixture::new(&set, &[]);
        let (params, level) = (f.params().clone(), Level(3));
        let model = NoiseModel::new(&params);
        let rescaled = measure(&mut f, |f, x, deviation| {
            let product = f.encrypt(x, level);
            let product = f.eval.mul_const(&product, 0.75).expect("fits");
            deviation.add(
                &f.decrypt(&f.eval.rescale(&product).expect("a level")),
                &f.decrypt(&product),
            );
        });
        rescaled.check("rescale", &set, model.rescale(Level(2)));
        let dropped = measure(&mut f, |f, x, deviation| {
            let a = f.encrypt(x, level);
            deviation.add(
                &f.decrypt(&f.eval.drop_level(&a, Level(1)).expect("below")),
                &f.decrypt(&a),
            );
        });
        dropped.check("drop level", &set, model.rescale(Level(1)));
    }
}

#[test]
fn constants_carry_the_rounding_of_one_integer() {
    let set = INSECURE_SMALL_SCALE;
    let mut f = Fixture::new(&set, &[]);
    let params = f.params().clone();
    let mut deviation = Deviation::default();
    let a = f.encrypt(&vec![1.0; f.slots()], Level(2));
    let clean = f.decrypt(&a);
    for i in 0..400 {
        let factor = f64::from(i) / 401.0 * std::f64::consts::FRAC_1_SQRT_2;
        let want: Vec<f64> = clean.iter().map(|x| factor * x).collect();
        deviation.add(&f.decrypt(&f.eval.mul_const(&a, factor).expect("fits")), &want);
    }
    deviation.check("constant", &set, NoiseModel::new(&params).encode_const(Level(2)));
}

#[test]
fn vector_products_carry_the_rounding_of_the_vector() {
    for set in SETS {
        let mut f = Fixture::new(&set, &[]);
        let params = f.params().clone();
        let level = Level(3);
        let slot_value = 40.0;
        let products = measure(&mut f, |f, x, deviation| {
            let a = f.encrypt(&vec![slot_value; f.slots()], level);
            let want: Vec<f64> = f.decrypt(&a).iter().zip(x).map(|(a, x)| a * x).collect();
            deviation.add(&f.decrypt(&f.eval.mul_plain(&a, x).expect("fits")), &want);
        });
        products.check(
            "vector product",
            &set,
            slot_value * NoiseModel::new(&params).encode(level),
        );
    }
}

#[test]
fn key_switch_at_either_scale() {
    for set in SETS {
        let mut f = Fixture::new(&set, &[1]);
        let params = f.params().clone();
        let model = NoiseModel::new(&params);
        for level in [params.max_level(), Level(2), Level(0)] {
            let single = measure(&mut f, |f, x, deviation| {
                let a = f.encrypt(x, level);
                let rotation = f.eval.rotate(&a, Rotation(1)).expect("a key");
                deviation.add(&f.decrypt(&rotation), &rotated(&f.decrypt(&a), 1));
            });
            single.check(
                &format!("rotation at {level} Δ"),
                &set,
                model.key_switch(level, ScalePower::One),
            );
        }
        // Small products, so that the decoded doubles resolve the noise at the squared scale.
        let level = Level(3);
        let squared = measure(&mut f, |f, _, deviation| {
            let zero = f.encrypt(&[], level);
            let a = f.eval.mul_const(&zero, 2.0 / params.scale(level)).expect("fits");
            let rotation = f.eval.rotate(&a, Rotation(1)).expect("a key");
            deviation.add(&f.decrypt(&rotation), &rotated(&f.decrypt(&a), 1));
        });
        squared.check("rotation at Δ²", &set, model.key_switch(level, ScalePower::Two));
    }
}

#[test]
fn products_carry_the_errors_of_both_operands() {
    for set in SETS {
        let mut f = Fixture::new(&set, &[]);
        let (params, level) = (f.params().clone(), Level(3));
        let model = NoiseModel::new(&params);
        let (x_value, y_value) = (1.5, -0.8);
        let products = measure(&mut f, |f, _, deviation| {
            let (x, y) = (vec![x_value; f.slots()], vec![y_value; f.slots()]);
            let (a, b) = (f.encrypt(&x, level), f.encrypt(&y, level));
            let want: Vec<f64> = x.iter().zip(&y).map(|(x, y)| x * y).collect();
            deviation.add(&f.decrypt(&f.eval.mul(&a, &b).expect("a key")), &want);
        });
        let error = model.fresh(level);
        // A constant vector encodes to one coefficient: its rounding is below what `fresh` counts for a general one.
        let predicted = (error * error * (x_value * x_value + y_value * y_value)).sqrt();
        products.check(
            "product",
            &set,
            predicted.hypot(model.key_switch(level, ScalePower::Two)),
        );
    }
}

#[test]
fn linear_transforms_carry_what_their_parts_predict() {
    for set in SETS {
        let mut f = Fixture::new(&set, &[1, 2, 4]);
        let (params, level) = (f.params().clone(), Level(3));
        let model = NoiseModel::new(&params);
        let map = Diagonals::grid(f.slots(), 1, 1, &[0, 4], &[0, 1, 2]);
        let measured = measure(&mut f, |f, x, deviation| {
            let a = f.encrypt(x, level);
            let want = map.apply(&[f.decrypt(&a)]).remove(0);
            deviation.add(&f.decrypt(&f.eval.linear(&a, &map).expect("keys")), &want);
        });
        // Six diagonals and slots of mean square 1/2 each; four products read a rotated input.
        let diagonals = 6.0 * 0.5 * model.encode(level).powi(2);
        let babies = 4.0 * 0.5 * model.hoisted_key_switch(level, ScalePower::One).powi(2);
        measured.check("linear transform", &set, (diagonals + babies).sqrt());
    }
}

/// What the error of a division by the special primes would be without them: encryption in `Q` alone leaves `e_0 + e_1 s + u e`.
#[test]
fn public_key_encryption_divides_its_noise_by_the_special_primes() {
    for set in SETS {
        let mut f = Fixture::new(&set, &[]);
        let (params, level) = (f.params().clone(), Level(3));
        let public = PublicKey::generate(&f.ctx, &f.secret, &mut f.rng);
        let measured = measure(&mut f, |f, x, deviation| {
            let plaintext = f.encoder.encode(x, level, ScalePower::One).expect("fits");
            let ciphertext = encrypt_public(&f.ctx, &public, &plaintext, &mut f.rng);
            deviation.add(&f.decrypt(&ciphertext), x);
        });
        let in_q = (4.0 / 3.0 * params.n() as f64 + 1.0).sqrt() * NoiseModel::new(&params).fresh(level);
        let gained = (in_q / (measured.squares / measured.n).sqrt()).log2();
        // Rounding of variance 1/12 under one ternary polynomial, against errors of variance 3.19² under two.
        assert!(gained > 3.5, "N=2^{}: {gained:.2} bits", set.log_n);
    }
}

/// The precision that a scale of 40 bits keeps in the largest common ring, secret-key encryption, one product.
#[test]
fn a_scale_of_40_bits_keeps_23_bits_through_a_product() {
    const FORTY_BITS: ChainRequest = ChainRequest {
        log_n: 16,
        levels: 2,
        log_scale: 40,
        log_q0: 48,
        digit_len: 3,
    };
    /// What the scale must keep, by the deviation over slots.
    const KEPT_BITS: f64 = 23.0;
    let mut f = Fixture::new(&FORTY_BITS, &[]);
    let (x, y) = (f.values(1), f.values(2));
    let top = f.params().max_level();
    let (a, b) = (f.encrypt(&x, top), f.encrypt(&y, top));
    let product = f.eval.mul_rescale(&a, &b).expect("a key");
    let want: Vec<f64> = x.iter().zip(&y).map(|(x, y)| x * y).collect();
    let mut deviation = Deviation::default();
    deviation.add(&f.decrypt(&product), &want);
    let kept = -(deviation.squares / deviation.n).sqrt().log2();
    println!("N=2^16, scale 2^40: {kept:.2} bits after a product");
    assert!(kept >= KEPT_BITS, "{kept:.2} bits");
}
