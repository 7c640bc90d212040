//! Evaluations that repeat allocate no polynomial: every buffer comes back from the pool.

use heron_params::{Level, Rotation, ScalePower};

use crate::fixture::{Diagonals, Fixture, INSECURE_SMALL_SCALE};

/// After so many runs everything is there.
const WARM_UP_RUNS: usize = 3;

#[test]
fn repeated_operations_allocate_no_buffers() {
    let mut f = Fixture::with_cache(&INSECURE_SMALL_SCALE, &[1, 2, 4], 1 << 30);
    let x = f.values(1);
    let mut a = f.encrypt(&x, Level(4));
    let b = f.encrypt(&x, Level(4));
    let plaintext = f.eval.encoder().encode(&x, Level(4), ScalePower::One).expect("fits");
    let map = Diagonals::grid(f.slots(), 2, 1, &[0, 4], &[0, 1, 2]);
    let mut all = || {
        let eval = &f.eval;
        eval.add_assign(&mut a, &b).expect("alike");
        eval.sub_assign(&mut a, &b).expect("alike");
        let mut product = eval.mul_plaintext(&a, &plaintext).expect("alike");
        product = eval
            .rescale(&eval.add(&product, &eval.mul(&a, &b).expect("a key")).expect("alike"))
            .expect("a level");
        eval.mul_plaintext_assign(&mut a.clone(), &plaintext).expect("alike");
        let rotated = eval
            .rotate(&eval.square_rescale(&a).expect("a key"), Rotation(2))
            .expect("a key");
        let sum = eval.sub(&product, &eval.neg(&rotated).expect("fits")).expect("alike");
        let mapped = eval.linear_many_rescale(&[&a], &map).expect("keys");
        (
            eval.drop_level(&sum, Level(1)).expect("below"),
            mapped,
            eval.mul_const(&a, 0.5).expect("fits"),
        )
    };
    // On one thread: how many buffers are in use at once depends on how threads interleave.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a thread");
    let mut all = || pool.install(|| drop(all()));
    // Longer buffers serve for shorter ones, so that it takes a few runs until there is one for every purpose at once.
    for _ in 0..WARM_UP_RUNS {
        all();
    }
    let context = f.eval.context().clone();
    let before = context.allocated_buffers();
    assert!(before > 0, "the first runs allocate");
    for _ in 0..3 {
        all();
    }
    assert_eq!(context.allocated_buffers(), before);
}

#[test]
fn operations_in_place_are_those_out_of_place() {
    let mut f = Fixture::new(&INSECURE_SMALL_SCALE, &[]);
    let (x, y) = (f.values(1), f.values(2));
    let (a, b) = (f.encrypt(&x, Level(3)), f.encrypt(&y, Level(3)));
    let plaintext = f.eval.encoder().encode(&y, Level(3), ScalePower::One).expect("fits");
    let (mut sum, mut difference, mut product) = (a.clone(), a.clone(), a.clone());
    f.eval.add_assign(&mut sum, &b).expect("alike");
    f.eval.sub_assign(&mut difference, &b).expect("alike");
    f.eval.mul_plaintext_assign(&mut product, &plaintext).expect("alike");
    assert_eq!(sum, f.eval.add(&a, &b).expect("alike"));
    assert_eq!(difference, f.eval.sub(&a, &b).expect("alike"));
    assert_eq!(product, f.eval.mul_plaintext(&a, &plaintext).expect("alike"));
    // A refused operation leaves its operand as it was.
    let lower = f.encrypt(&x, Level(2));
    assert!(f.eval.add_assign(&mut sum, &lower).is_err());
    assert_eq!(sum, f.eval.add(&a, &b).expect("alike"));
}
