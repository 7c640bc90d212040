//! What is refused, and that it is refused with a typed error before anything is computed.

use heron_ckks::{EncodeError, EvalError};
use heron_params::{Level, Rotation, ScalePower};

use crate::fixture::{Diagonals, Fixture, INSECURE_MANY_DIGITS, INSECURE_SMALL};

#[test]
fn operands_in_different_states_are_refused() {
    let mut f = Fixture::new(&INSECURE_SMALL, &[1]);
    let (a, b) = (f.encrypt(&[1.0], Level(2)), f.encrypt(&[1.0], Level(1)));
    let squared = f.eval.square(&a).expect("fits");
    let levels = Err(EvalError::Levels {
        left: Level(2),
        right: Level(1),
    });
    assert_eq!(f.eval.add(&a, &b), levels);
    assert_eq!(f.eval.mul(&a, &b), levels);
    let scales = Err(EvalError::Scales {
        left: ScalePower::One,
        right: ScalePower::Two,
    });
    assert_eq!(f.eval.sub(&a, &squared), scales);
    let needs_one = Err(EvalError::WrongScale {
        found: ScalePower::Two,
        needed: ScalePower::One,
    });
    assert_eq!(f.eval.mul(&squared, &squared), needs_one);
    assert_eq!(f.eval.mul_const(&squared, 2.0), needs_one);
    assert_eq!(f.eval.mul_plain(&squared, &[2.0]), needs_one);
    assert_eq!(
        f.eval.linear(&squared, &Diagonals::grid(f.slots(), 1, 1, &[0], &[1])),
        needs_one
    );
    let needs_two = Err(EvalError::WrongScale {
        found: ScalePower::One,
        needed: ScalePower::Two,
    });
    assert_eq!(f.eval.rescale(&a), needs_two);
}

#[test]
fn levels_that_do_not_exist_are_refused() {
    let mut f = Fixture::new(&INSECURE_SMALL, &[]);
    let bottom = f.encrypt(&[1.0], Level(0));
    let squared = f.eval.mul_const(&bottom, 0.5).expect("fits");
    assert_eq!(
        f.eval.rescale(&squared),
        Err(EvalError::NoSuchLevel {
            from: Level(0),
            to: Level(0)
        })
    );
    assert_eq!(
        f.eval.square_rescale(&bottom),
        Err(EvalError::NoSuchLevel {
            from: Level(0),
            to: Level(0)
        })
    );
    assert_eq!(
        f.eval.drop_level(&bottom, Level(1)),
        Err(EvalError::NoSuchLevel {
            from: Level(0),
            to: Level(1)
        })
    );
    let above = f.encoder.encode(&[1.0], Level(9), ScalePower::One);
    assert_eq!(
        above,
        Err(EncodeError::LevelTooHigh {
            level: Level(9),
            max: Level(4)
        })
    );
}

#[test]
fn missing_keys_are_named() {
    let mut f = Fixture::new(&INSECURE_SMALL, &[1]);
    let a = f.encrypt(&[1.0], Level(2));
    let missing = |k| {
        Err(EvalError::MissingRotationKey {
            rotation: Rotation(k),
            level: Level(2),
        })
    };
    assert_eq!(f.eval.rotate(&a, Rotation(2)), missing(2));
    assert_eq!(
        f.eval.linear(&a, &Diagonals::grid(f.slots(), 1, 1, &[4], &[1])),
        missing(4)
    );
    assert_eq!(
        f.eval.linear(&a, &Diagonals::grid(f.slots(), 1, 1, &[0], &[3])),
        missing(3)
    );
    let slots = f.slots();
    let too_large = Err(EvalError::RotationTooLarge {
        rotation: Rotation(512),
        slots,
    });
    assert_eq!(f.eval.rotate(&a, Rotation(512)), too_large);
}

#[test]
fn values_that_do_not_fit_are_refused() {
    let mut f = Fixture::new(&INSECURE_SMALL, &[]);
    let a = f.encrypt(&[1.0], Level(0));
    let is_large = |error| matches!(error, EvalError::Encode(EncodeError::TooLarge { level: Level(0), .. }));
    assert!(f.eval.add_const(&a, 200.0).is_err_and(is_large));
    assert!(f.eval.mul_const(&a, 1e300).is_err_and(is_large));
    assert!(f.eval.add_plain(&a, &[1e4; 512]).is_err_and(is_large));
    let not_finite = EvalError::Encode(EncodeError::NotFinite { slot: 0 });
    assert_eq!(f.eval.add_const(&a, f64::NAN), Err(not_finite));
    assert_eq!(f.eval.mul_plain(&a, &[f64::INFINITY]), Err(not_finite));
}

#[test]
fn operands_of_another_ring_are_refused() {
    let f = Fixture::new(&INSECURE_SMALL, &[1]);
    let mut other = Fixture::new(&INSECURE_MANY_DIGITS, &[]);
    let (low, high) = (other.encrypt(&[1.0], Level(2)), other.encrypt(&[1.0], Level(12)));
    for a in [low, high] {
        assert_eq!(f.eval.add(&a, &a), Err(EvalError::OtherParameters));
        assert_eq!(f.eval.rotate(&a, Rotation(1)), Err(EvalError::OtherParameters));
        assert_eq!(f.eval.drop_level(&a, Level(0)), Err(EvalError::OtherParameters));
    }
}

#[test]
fn transforms_that_name_nothing_are_refused() {
    let mut f = Fixture::new(&INSECURE_SMALL, &[1]);
    let a = f.encrypt(&[1.0], Level(2));
    let malformed = |result: Result<_, EvalError>| matches!(result, Err(EvalError::MalformedTransform(_)));
    let mut map = Diagonals::grid(f.slots(), 1, 1, &[0], &[1]);
    assert!(malformed(f.eval.linear_many(&[], &map)));
    map.steps[0].terms[0].input = 1;
    assert!(malformed(f.eval.linear_many(&[&a], &map)));
    map.steps[0].output = 1;
    assert!(malformed(f.eval.linear_many(&[&a], &map)));
    map.steps.clear();
    assert!(malformed(f.eval.linear_many(&[&a], &map)));
}

#[test]
fn two_transforms_with_one_id_are_told_apart() {
    let mut f = Fixture::with_cache(&INSECURE_SMALL, &[1, 2], 1 << 20);
    let a = f.encrypt(&[1.0], Level(2));
    assert!(f.eval.linear(&a, &Diagonals::grid(f.slots(), 1, 1, &[0], &[1])).is_ok());
    let other = f.eval.linear(&a, &Diagonals::grid(f.slots(), 1, 1, &[0], &[1, 2]));
    assert!(matches!(other, Err(EvalError::MalformedTransform(_))));
}
