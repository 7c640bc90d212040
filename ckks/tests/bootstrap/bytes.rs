//! Keys of a bootstrap as bytes: as many as stated before they exist, the same bootstrap after the round trip, and no panic on others.

use std::io::Cursor;
use std::sync::Arc;

use heron_ckks::bootstrap::{BootstrapKeys, Bootstrapper};
use heron_ckks::{EvalError, EvaluationKeys, ReadError, Rng, SecretKey};
use heron_params::bootstrap::BootstrapParams;
use heron_params::{KeySpec, Level, Rotation};
use proptest::prelude::*;

use crate::fixture::{Fixture, ring};
use crate::variants::INSECURE_FULL;

/// Seeds, levels and counts that key files hold beside limbs: under 100 bytes a key.
const FRAME_BYTES_PER_KEY: u64 = 100;

#[test]
fn keys_survive_the_round_trip_in_the_stated_bytes() {
    let params = BootstrapParams::build_insecure_for_tests(&INSECURE_FULL).expect("a sound request");
    let ctx = ring(&params);
    let mut rng = Rng::insecure_deterministic(7);
    let secret = SecretKey::generate(&ctx, &mut rng);
    let spec = params.key_spec();
    let mut told = 0;
    let evaluation = EvaluationKeys::generate(&ctx, &secret, &spec.evaluation, &mut rng, &mut |done| told = done);
    let evaluation = evaluation.expect("keys of this ring");
    let keys = BootstrapKeys::generate(&ctx, &secret, &params, &mut rng).expect("keys of this ring");
    assert_eq!(told, spec.evaluation.bytes(params.chain(), false));

    let (mut shared, mut own) = (Vec::new(), Vec::new());
    evaluation.write_to(&mut shared).expect("memory");
    keys.write_to(&mut own).expect("memory");
    let n_keys = (spec.evaluation.levels().count() + spec.raised.len()) as u64 + 2;
    let bytes = (shared.len() + own.len()) as u64;
    let stated = spec.bytes(params.chain(), true);
    assert!(
        (stated..stated + n_keys * FRAME_BYTES_PER_KEY).contains(&bytes),
        "{bytes}, {stated} are stated"
    );

    let shared_again = EvaluationKeys::read_from(&mut Cursor::new(&shared), &ctx).expect("what was written");
    let own_again = BootstrapKeys::read_from(&mut Cursor::new(&own), &ctx, &params).expect("what was written");
    let mut rewritten = Vec::new();
    own_again.write_to(&mut rewritten).expect("memory");
    assert!(rewritten == own);
    let mut f = Fixture::new(params.clone(), 0);
    let slots = f.random(3);
    let a = f.encrypt_under(&secret, &slots, params.input_level());
    let [before, after] = [(evaluation, keys), (shared_again, own_again)].map(|(evaluation, keys)| {
        let boot = Bootstrapper::new(&ctx, params.clone(), Arc::new(evaluation), Arc::new(keys), 0).expect("all keys");
        boot.bootstrap(&a).expect("levels and keys")
    });
    assert!(before == after);
}

#[test]
fn keys_do_not_depend_on_the_number_of_threads() {
    let params = BootstrapParams::build_insecure_for_tests(&INSECURE_FULL).expect("a sound request");
    let written = [1, 3].map(|n_threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n_threads)
            .build()
            .expect("threads");
        pool.install(|| {
            let ctx = ring(&params);
            let mut rng = Rng::insecure_deterministic(8);
            let secret = SecretKey::generate(&ctx, &mut rng);
            let spec = params.key_spec().evaluation;
            let evaluation = EvaluationKeys::generate(&ctx, &secret, &spec, &mut rng, &mut |_| ()).expect("keys");
            let keys = BootstrapKeys::generate(&ctx, &secret, &params, &mut rng).expect("keys");
            let mut bytes = Vec::new();
            evaluation.write_to(&mut bytes).expect("memory");
            keys.write_to(&mut bytes).expect("memory");
            bytes
        })
    });
    assert!(written[0] == written[1]);
}

#[test]
fn missing_keys_are_refused_before_anything_runs() {
    let params = BootstrapParams::build_insecure_for_tests(&INSECURE_FULL).expect("a sound request");
    let ctx = ring(&params);
    let mut rng = Rng::insecure_deterministic(9);
    let secret = SecretKey::generate(&ctx, &mut rng);
    let keys = Arc::new(BootstrapKeys::generate(&ctx, &secret, &params, &mut rng).expect("keys of this ring"));
    let spec = params.key_spec().evaluation;
    let some = |change: fn(&mut KeySpec)| {
        let mut spec = spec.clone();
        change(&mut spec);
        let keys_of = EvaluationKeys::generate(&ctx, &secret, &spec, &mut Rng::insecure_deterministic(1), &mut |_| ());
        let evaluation = Arc::new(keys_of.expect("a valid spec"));
        Bootstrapper::new(&ctx, params.clone(), evaluation, keys.clone(), 0).err()
    };
    let no_rotation = some(|spec| assert!(spec.rotations.pop_first().is_some()));
    assert!(matches!(
        no_rotation,
        Some(EvalError::MissingRotationKey {
            rotation: Rotation(1),
            ..
        })
    ));
    let shallow = some(|spec| spec.relinearize = spec.relinearize.and_then(Level::below));
    assert!(matches!(shallow, Some(EvalError::MissingRelinearizeKey { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn damaged_bytes_are_refused_or_read_and_never_panic(cut in 0.0..1.0f64, place in 0.0..1.0f64, byte: u8) {
        let params = BootstrapParams::build_insecure_for_tests(&INSECURE_FULL).expect("a sound request");
        let ctx = ring(&params);
        let mut rng = Rng::insecure_deterministic(2);
        let secret = SecretKey::generate(&ctx, &mut rng);
        let mut bytes = Vec::new();
        BootstrapKeys::generate(&ctx, &secret, &params, &mut rng).expect("keys").write_to(&mut bytes).expect("memory");
        let read = |bytes: &[u8]| BootstrapKeys::read_from(&mut Cursor::new(bytes), &ctx, &params);
        let short = read(&bytes[..(bytes.len() as f64 * cut) as usize]);
        prop_assert!(matches!(short, Err(ReadError::Io(_))));
        let at = (bytes.len() as f64 * place) as usize;
        bytes[at] = byte;
        match read(&bytes) {
            Ok(_) | Err(ReadError::Malformed { .. }) => {}
            Err(ReadError::Io(error)) => prop_assert!(false, "{error}"),
        }
    }
}
