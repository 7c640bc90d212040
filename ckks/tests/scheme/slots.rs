//! What operations on ciphertexts do to slots, against the same operations on plain vectors.

use crate::fixture::{
    Diagonals, Fixture, INSECURE_MANY_DIGITS, INSECURE_SMALL, INSECURE_SMALL_SCALE, INSECURE_WIDE_DIGITS, rotated,
};
use heron_params::{ChainRequest, Level, Rotation, ScalePower};

/// All sets with the bits that one operation on values below 1 keeps in each.
const SETS: [(ChainRequest, i32); 4] = [
    (INSECURE_SMALL, 24),
    (INSECURE_SMALL_SCALE, 11),
    (INSECURE_MANY_DIGITS, 18),
    (INSECURE_WIDE_DIGITS, 28),
];

fn zip(a: &[f64], b: &[f64], op: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    a.iter().zip(b).map(|(&a, &b)| op(a, b)).collect()
}

#[test]
fn decryption_undoes_encryption_at_every_level() {
    for (set, bits) in SETS {
        let mut f = Fixture::new(&set, &[]);
        let values = f.values(1);
        for level in 0..=f.params().max_level().0 {
            let ciphertext = f.encrypt(&values, Level(level));
            f.check(&ciphertext, &values, bits);
        }
    }
}

#[test]
fn sums_and_differences_are_slot_wise() {
    for (set, bits) in SETS {
        let mut f = Fixture::new(&set, &[]);
        let (x, y) = (f.values(1), f.values(2));
        let (a, b) = (f.encrypt(&x, Level(2)), f.encrypt(&y, Level(2)));
        f.check(&f.eval.add(&a, &b).expect("alike"), &zip(&x, &y, |x, y| x + y), bits);
        f.check(&f.eval.sub(&a, &b).expect("alike"), &zip(&x, &y, |x, y| x - y), bits);
        f.check(&f.eval.neg(&a).expect("fits"), &zip(&x, &x, |x, _| -x), bits);
        f.check(
            &f.eval.add_plain(&a, &y).expect("fits"),
            &zip(&x, &y, |x, y| x + y),
            bits,
        );
        f.check(
            &f.eval.add_const(&a, -0.625).expect("fits"),
            &zip(&x, &x, |x, _| x - 0.625),
            bits,
        );
    }
}

#[test]
fn products_are_slot_wise_and_return_to_the_canonical_scale() {
    for (set, bits) in SETS {
        let mut f = Fixture::new(&set, &[]);
        let top = f.params().max_level();
        let (x, y) = (f.values(1), f.values(2));
        let (a, b) = (f.encrypt(&x, top), f.encrypt(&y, top));
        let products = [
            (f.eval.mul(&a, &b), zip(&x, &y, |x, y| x * y)),
            (f.eval.square(&a), zip(&x, &x, |x, y| x * y)),
            (f.eval.mul_plain(&a, &y), zip(&x, &y, |x, y| x * y)),
            (f.eval.mul_const(&a, -0.7), zip(&x, &x, |x, _| -0.7 * x)),
        ];
        for (product, want) in products {
            let product = product.expect("alike");
            assert_eq!((product.level(), product.power()), (top, ScalePower::Two));
            f.check(&product, &want, bits);
            f.check(
                &f.eval.add_const(&product, 0.5).expect("fits"),
                &zip(&want, &want, |x, _| x + 0.5),
                bits,
            );
            f.check(
                &f.eval.add_plain(&product, &x).expect("fits"),
                &zip(&want, &x, |x, y| x + y),
                bits,
            );
            let rescaled = f.eval.rescale(&product).expect("a level is left");
            assert_eq!(
                (Some(rescaled.level()), rescaled.power()),
                (top.below(), ScalePower::One)
            );
            f.check(&rescaled, &want, bits);
        }
        f.check(
            &f.eval.mul_rescale(&a, &b).expect("alike"),
            &zip(&x, &y, |x, y| x * y),
            bits,
        );
        f.check(
            &f.eval.square_rescale(&a).expect("fits"),
            &zip(&x, &x, |x, y| x * y),
            bits,
        );
    }
}

#[test]
fn rotations_go_to_the_left_at_both_scales_and_below_the_keys_level() {
    for (set, bits) in SETS {
        let last = (1 << (set.log_n - 1)) - 1;
        let mut f = Fixture::new(&set, &[1, 5, last]);
        let x = f.values(3);
        for level in [f.params().max_level(), Level(2), Level(1), Level(0)] {
            let a = f.encrypt(&x, level);
            for by in [0, 1, 5, last] {
                let rotation = f.eval.rotate(&a, Rotation(by)).expect("a key");
                f.check(&rotation, &rotated(&x, by as usize), bits - 2);
            }
            if level > Level(0) {
                let product = f.eval.mul_const(&a, 0.5).expect("fits");
                let half: Vec<f64> = rotated(&x, 5).iter().map(|x| x / 2.0).collect();
                f.check(&f.eval.rotate(&product, Rotation(5)).expect("a key"), &half, bits);
            }
        }
    }
}

#[test]
fn a_dropped_ciphertext_adds_to_one_that_was_born_there() {
    for (set, bits) in SETS {
        let mut f = Fixture::new(&set, &[]);
        let top = f.params().max_level();
        let (x, y) = (f.values(4), f.values(5));
        let a = f.encrypt(&x, top);
        for to in 0..=top.0 {
            let dropped = f.eval.drop_level(&a, Level(to)).expect("below");
            assert_eq!((dropped.level(), dropped.power()), (Level(to), ScalePower::One));
            let b = f.encrypt(&y, Level(to));
            f.check(
                &f.eval.add(&dropped, &b).expect("alike"),
                &zip(&x, &y, |x, y| x + y),
                bits,
            );
        }
        let product = f.eval.mul_plain(&a, &y).expect("fits");
        let dropped = f.eval.drop_level(&product, Level(1)).expect("below");
        assert_eq!(dropped.power(), ScalePower::Two);
        f.check(&dropped, &zip(&x, &y, |x, y| x * y), bits);
    }
}

#[test]
fn a_chain_of_squares_uses_every_level() {
    for (set, bits) in SETS {
        let mut f = Fixture::new(&set, &[]);
        let mut x: Vec<f64> = f.values(6).iter().map(|x| 0.5 + x / 2.0).collect();
        let mut a = f.encrypt(&x, f.params().max_level());
        for _ in 0..f.params().max_level().0 {
            a = f
                .eval
                .rescale(&f.eval.square(&a).expect("a level is left"))
                .expect("a level is left");
            x.iter_mut().for_each(|x| *x *= *x);
        }
        assert_eq!(a.level(), Level(0));
        f.check(&a, &x, bits - 2);
    }
}

#[test]
fn linear_transforms_agree_with_plain_sums() {
    for (set, bits) in SETS {
        let mut f = Fixture::new(&set, &[1, 2, 3, 4, 8]);
        let x = f.values(7);
        for level in [f.params().max_level(), Level(2), Level(1)] {
            let a = f.encrypt(&x, level);
            for (giants, babies) in [
                (&[0, 4, 8][..], &[0, 1, 2, 3][..]),
                (&[0], &[0]),
                (&[4], &[1]),
                (&[0], &[3, 8]),
            ] {
                let map = Diagonals::grid(f.slots(), 1, 1, giants, babies);
                let want = map.apply(std::slice::from_ref(&x)).remove(0);
                let out = f.eval.linear(&a, &map).expect("keys");
                assert_eq!((out.level(), out.power()), (level, ScalePower::Two));
                f.check(&out, &want, bits - 4);
                f.check(&f.eval.linear_rescale(&a, &map).expect("keys"), &want, bits - 4);
            }
        }
    }
}

#[test]
fn linear_transforms_sum_more_products_than_one_lazy_sum_takes() {
    let babies: Vec<u32> = (0..37).collect();
    let mut f = Fixture::new(&INSECURE_SMALL, &babies);
    let x = f.values(8);
    let a = f.encrypt(&x, Level(2));
    let map = Diagonals::grid(f.slots(), 1, 1, &[0], &babies);
    f.check(&f.eval.linear(&a, &map).expect("keys"), &map.apply(&[x])[0], 20);
}

#[test]
fn several_inputs_and_outputs_share_one_transform() {
    let mut f = Fixture::new(&INSECURE_WIDE_DIGITS, &[1, 2, 4]);
    let inputs = [f.values(9), f.values(10)];
    let encrypted = [f.encrypt(&inputs[0], Level(3)), f.encrypt(&inputs[1], Level(3))];
    let map = Diagonals::grid(f.slots(), 3, 2, &[0, 4], &[0, 1, 2]);
    let want = map.apply(&inputs);
    let refs = [&encrypted[0], &encrypted[1]];
    for (out, want) in f.eval.linear_many(&refs, &map).expect("keys").iter().zip(&want) {
        f.check(out, want, 25);
    }
    for (out, want) in f.eval.linear_many_rescale(&refs, &map).expect("keys").iter().zip(&want) {
        f.check(out, want, 25);
    }
}

#[test]
fn cached_diagonals_change_nothing() {
    let map_of = |slots| Diagonals::grid(slots, 1, 1, &[0, 4], &[0, 1, 2]);
    let result = |cache_bytes| {
        let mut f = Fixture::with_cache(&INSECURE_SMALL, &[1, 2, 4], cache_bytes);
        let (x, map) = (f.values(11), map_of(f.slots()));
        let a = f.encrypt(&x, Level(2));
        let outputs = [(); 3].map(|()| f.eval.linear(&a, &map).expect("keys"));
        assert!(
            outputs[0] == outputs[1] && outputs[1] == outputs[2],
            "cold and warm runs agree"
        );
        assert!(f.eval.cached_bytes() <= cache_bytes);
        (outputs[0].clone(), f.eval.cached_bytes())
    };
    let (without, none) = result(0);
    let (integers, some) = result(6 * 8 * 1024);
    let (evaluated, all) = result(1 << 20);
    assert!(without == integers && without == evaluated);
    assert!(none == 0 && some == 6 * 8 * 1024 && all > some);
}
