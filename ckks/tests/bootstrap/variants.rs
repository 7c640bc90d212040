//! Every kind of variant keeps the precision that is predicted of it.

use heron_ckks::bootstrap::BootstrapKeys;
use heron_ckks::{EvalError, Rng};
use heron_params::Level;
use heron_params::bootstrap::{BootstrapParams, BootstrapRequest, SlotValues, TransformOrder};

use crate::fixture::Fixture;

/// Full complex slots in the smallest ring whose transforms have several factors.
pub(crate) const INSECURE_FULL: BootstrapRequest = BootstrapRequest {
    log_n: 10,
    log_scale: 46,
    log_slots: 9,
    values: SlotValues::Complex,
    order: TransformOrder::SlotsToCoeffsFirst,
    levels: 2,
    worst_bits: 14.0,
    max_key_bytes: 1 << 40,
};

/// Bootstraps random and extreme vectors; the errors must not exceed what is predicted.
#[track_caller]
fn check(request: &BootstrapRequest) {
    let mut f = Fixture::insecure(request);
    let [ones, alternating, one_hot, one_coefficient] = f.extremes().map(|(_, slots)| slots);
    let vectors = [f.random(1), ones, alternating, one_hot, one_coefficient];
    let predicted = f.params().precision();
    for (index, slots) in vectors.iter().enumerate() {
        // From the lowest level that is allowed, and from one above.
        let level = Level(f.params().input_level().0 + (index as u32).min(1));
        let a = f.encrypt(slots, level);
        let refreshed = f.boot.bootstrap(&a).expect("levels and keys");
        assert_eq!(refreshed.level(), f.params().output_level());
        let (worst, mean) = f.errors(&refreshed, slots);
        let (worst_bits, mean_bits) = (-worst.log2(), -mean.log2());
        assert!(
            worst_bits >= predicted.worst_bits(),
            "vector {index} keeps {worst_bits:.2} bits, {:.2} are predicted",
            predicted.worst_bits()
        );
        // A bias shows fully where all slots have size 1, and not on average.
        assert!(
            index > 0 || mean_bits >= predicted.mean_bits() - 0.5,
            "the mean error has {mean_bits:.2} bits, {:.2} are predicted",
            predicted.mean_bits()
        );
    }
}

#[test]
fn full_complex_slots() {
    check(&INSECURE_FULL);
}

#[test]
fn full_real_slots() {
    check(&BootstrapRequest {
        values: SlotValues::Real,
        ..INSECURE_FULL
    });
}

#[test]
fn sparse_slots() {
    for (log_slots, values) in [
        (4, SlotValues::Complex),
        (8, SlotValues::Complex),
        (6, SlotValues::Real),
    ] {
        check(&BootstrapRequest {
            log_slots,
            values,
            ..INSECURE_FULL
        });
    }
}

#[test]
fn the_raise_first() {
    for (log_slots, values) in [
        (9, SlotValues::Complex),
        (9, SlotValues::Real),
        (6, SlotValues::Complex),
        (5, SlotValues::Real),
    ] {
        check(&BootstrapRequest {
            log_slots,
            values,
            order: TransformOrder::CoeffsToSlotsFirst,
            log_scale: 42,
            worst_bits: 6.0,
            ..INSECURE_FULL
        });
    }
}

#[test]
fn an_arcsine_for_high_precision() {
    check(&BootstrapRequest {
        log_n: 11,
        log_scale: 49,
        log_slots: 10,
        worst_bits: 23.0,
        ..INSECURE_FULL
    });
}

#[test]
fn operands_that_are_too_low_or_not_rescaled_are_refused() {
    let mut f = Fixture::insecure(&INSECURE_FULL);
    let (slots, needed) = (f.random(2), f.params().input_level());
    let low = f.encrypt(&slots, Level(needed.0 - 1));
    let refused = f.boot.bootstrap(&low);
    assert!(
        matches!(refused, Err(EvalError::NoSuchLevel { to, .. }) if to == needed),
        "{refused:?}"
    );
    let product = f.encrypt(&slots, f.params().output_level());
    let product = f
        .boot
        .evaluator()
        .mul_const(&product, 0.5)
        .expect("at the scale of a product");
    assert!(matches!(f.boot.bootstrap(&product), Err(EvalError::WrongScale { .. })));
}

#[test]
fn a_ring_of_another_chain_is_refused() {
    let f = Fixture::insecure(&INSECURE_FULL);
    let other = BootstrapParams::build_insecure_for_tests(&BootstrapRequest {
        levels: 3,
        ..INSECURE_FULL
    })
    .expect("a sound request");
    let mut rng = Rng::insecure_deterministic(1);
    let keys = BootstrapKeys::generate(&f.ctx, &f.secret, &other, &mut rng);
    assert!(matches!(keys, Err(EvalError::OtherParameters)));
}

#[test]
fn bootstraps_can_be_chained_with_products_between_them() {
    let mut f = Fixture::insecure(&INSECURE_FULL);
    let mut slots = f.random(4);
    let mut a = f.encrypt(&slots, f.params().output_level());
    for _ in 0..8 {
        let eval = f.boot.evaluator();
        let halved = eval.mul_const(&a, 0.5).and_then(|a| eval.rescale(&a)).expect("a level");
        let product = eval
            .drop_level(&a, halved.level())
            .and_then(|a| eval.mul_rescale(&a, &halved));
        a = f.boot.bootstrap(&product.expect("a level")).expect("levels and keys");
        let [re, im] = slots;
        slots = f.slots(|i| ((re[i] * re[i] - im[i] * im[i]) / 2.0, re[i] * im[i]));
    }
    let (worst, _) = f.errors(&a, &slots);
    assert!(
        -worst.log2() > f.params().precision().worst_bits() - 2.0,
        "2^{:.1}",
        worst.log2()
    );
}

#[test]
fn kept_diagonals_change_no_bit() {
    let params = BootstrapParams::build_insecure_for_tests(&INSECURE_FULL).expect("a sound request");
    let [mut keeps, forgets] = [1 << 30, 0].map(|cache_bytes| Fixture::new(params.clone(), cache_bytes));
    let slots = keeps.random(6);
    let a = keeps.encrypt(&slots, params.input_level());
    let [first, second, without] = [&keeps, &keeps, &forgets].map(|f| f.boot.bootstrap(&a).expect("levels and keys"));
    assert!(first == without && second == without);
    assert!(keeps.boot.evaluator().cached_bytes() > 0);
}
