//! Keys and ciphertexts as bytes: what is written is read back, and no bytes at all make a reader panic.

use std::fmt::Debug;
use std::io::Cursor;

use heron_ckks::{
    Ciphertext, Context, EvaluationKeys, PublicKey, ReadError, SecretKey, SeededCiphertext, decrypt, encrypt_public,
    encrypt_secret,
};
use heron_params::{ChainRequest, KeySpec, Level, Rotation, ScalePower};
use proptest::prelude::*;

use crate::fixture::Fixture;

const INSECURE_TINY: ChainRequest = ChainRequest {
    log_n: 5,
    levels: 2,
    log_scale: 30,
    log_q0: 38,
    digit_len: 2,
};

type Reader = fn(&[u8], &Context) -> Result<Vec<u8>, ReadError>;

/// Reads an object and writes it again.
macro_rules! again {
    ($object:ty) => {
        |bytes, ctx| {
            let mut out = Vec::new();
            <$object>::read_from(&mut Cursor::new(bytes), ctx)?.write_to(&mut out)?;
            Ok(out)
        }
    };
}

/// Every kind of object with its reader.
fn objects(f: &mut Fixture) -> Vec<(&'static str, Vec<u8>, Reader)> {
    let mut spec = KeySpec::default();
    spec.add_relinearize(Level(2));
    spec.add_rotation(Rotation(1), Level(0));
    spec.add_rotation(Rotation(3), Level(2));
    let keys = EvaluationKeys::generate(&f.ctx, &f.secret, &spec, &mut f.rng, &mut |_| ()).expect("a valid spec");
    assert_eq!(keys.spec(), spec);
    let plaintext = f
        .encoder
        .encode(&[0.5, -0.25], Level(1), ScalePower::One)
        .expect("fits");
    let seeded = encrypt_secret(&f.ctx, &f.secret, &plaintext, &mut f.rng);
    let mut bytes: [Vec<u8>; 5] = Default::default();
    f.secret.write_to(&mut bytes[0]).expect("memory");
    PublicKey::generate(&f.ctx, &f.secret, &mut f.rng)
        .write_to(&mut bytes[1])
        .expect("memory");
    keys.write_to(&mut bytes[2]).expect("memory");
    seeded.write_to(&mut bytes[3]).expect("memory");
    seeded.expand(&f.ctx).write_to(&mut bytes[4]).expect("memory");
    let [secret, public, keys, seeded, ciphertext] = bytes;
    vec![
        ("secret key", secret, again!(SecretKey)),
        ("public key", public, again!(PublicKey)),
        ("evaluation keys", keys, again!(EvaluationKeys)),
        ("seeded ciphertext", seeded, again!(SeededCiphertext)),
        ("ciphertext", ciphertext, again!(Ciphertext)),
    ]
}

#[test]
fn objects_survive_the_round_trip() {
    let mut f = Fixture::new(&INSECURE_TINY, &[]);
    for (name, bytes, read) in objects(&mut f) {
        assert_eq!(read(&bytes, &f.ctx).expect(name), bytes, "{name}");
    }
}

#[test]
fn keys_that_were_read_work() {
    let mut f = Fixture::new(&INSECURE_TINY, &[1]);
    let objects = objects(&mut f);
    let secret = SecretKey::read_from(&mut Cursor::new(&objects[0].1), &f.ctx).expect("a key");
    let public = PublicKey::read_from(&mut Cursor::new(&objects[1].1), &f.ctx).expect("a key");
    let plaintext = f
        .encoder
        .encode(&[0.75, -3.0], Level(2), ScalePower::One)
        .expect("fits");
    let ciphertext = encrypt_public(&f.ctx, &public, &plaintext, &mut f.rng);
    let values = f.encoder.decode(&decrypt(&f.ctx, &secret, &ciphertext));
    assert!((values[0] - 0.75).abs() < 1e-4 && (values[1] + 3.0).abs() < 1e-4 && values[2].abs() < 1e-4);
}

#[test]
fn every_truncation_is_an_error() {
    let mut f = Fixture::new(&INSECURE_TINY, &[]);
    for (name, bytes, read) in objects(&mut f) {
        for len in (0..bytes.len()).step_by(bytes.len() / 97 + 1).chain([bytes.len() - 1]) {
            assert!(
                matches!(read(&bytes[..len], &f.ctx), Err(ReadError::Io(_))),
                "{name} cut at {len}"
            );
        }
    }
}

#[test]
fn states_and_residues_out_of_range_are_refused() {
    let mut f = Fixture::new(&INSECURE_TINY, &[]);
    #[track_caller]
    fn refused<T: Debug>(result: &Result<T, ReadError>) {
        assert!(matches!(result, Err(ReadError::Malformed { .. })), "{result:?}");
    }
    for (name, mut bytes, read) in objects(&mut f) {
        let last_word = bytes.len() - 1;
        bytes[last_word] = 0xff;
        refused(&read(&bytes, &f.ctx));
        if name.ends_with("ciphertext") {
            for (offset, value) in [(0, 3), (3, 1), (4, 0), (4, 3)] {
                let mut bytes = bytes.clone();
                bytes[offset] = value;
                refused(&read(&bytes, &f.ctx));
            }
        }
    }
    // Four billion rotations, of which not one follows; a rotation twice; one beyond the slots; a key above the top.
    let spec = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_le_bytes()).collect() };
    let read = |words: &[u32]| EvaluationKeys::read_spec(&mut Cursor::new(spec(words)), &f.ctx);
    assert!(matches!(read(&[0, u32::MAX]), Err(ReadError::Io(_))));
    refused(&read(&[0, 2, 1, 0, 1, 0]));
    refused(&read(&[0, 1, 16, 0]));
    refused(&read(&[0, 1, 0, 0]));
    refused(&read(&[0, 1, 1, 3]));
    refused(&read(&[4, 0]));
    assert!(read(&[3, 1, 15, 2]).is_ok());
}

proptest! {
    #[test]
    fn flipped_bits_never_panic(at in any::<prop::sample::Index>(), mask in 1u8..) {
        let mut f = Fixture::new(&INSECURE_TINY, &[]);
        for (_, mut bytes, read) in objects(&mut f) {
            let at = at.index(bytes.len());
            bytes[at] ^= mask;
            // Either refused, or read as another valid object: detecting every change is the checksum's duty.
            if let Ok(again) = read(&bytes, &f.ctx) {
                prop_assert_eq!(again, bytes);
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..6000), small in any::<bool>()) {
        let mut f = Fixture::new(&INSECURE_TINY, &[]);
        // Small words pass the range checks of residues and reach further.
        let bytes: Vec<u8> = bytes.iter().enumerate().map(|(i, &b)| if small && i % 8 > 2 { 0 } else { b }).collect();
        for (_, _, read) in objects(&mut f) {
            let _ = read(&bytes, &f.ctx).is_ok();
        }
    }
}
