//! Plans, keys and ciphertexts through files: round trips, modes, mismatches and damage.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heron_ckks::{Context, EvaluationKeys, Kernels, PublicKey, Rng, SecretKey};
use heron_params::{CkksParams, KeySpec, Level, Rotation};
use heron_plan::Digest;
use heron_runtime::ErrorKind;
use heron_runtime::conformance::INSECURE_SMALL_RING;
use heron_runtime::files::{
    FileError, FileInfo, FileKind, KeyFiles, Overwrite, inspect, read_ciphertexts, read_client, read_evaluation_keys,
    read_plan, read_public_key, read_report, read_secret_key, read_tensor, write_ciphertexts, write_keys, write_plan,
    write_tensor,
};
use heron_runtime::outputs::Rounding;
use heron_runtime::samples::{RangePolicy, prepare};
use heron_runtime::sessions::{
    CiphertextBatch, Client, DecryptOptions, KeySet, KeygenOptions, Server, ServerKeys, ServerOptions, StoredCiphertext,
};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::fixture;

fn scratch() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it exists").permissions().mode() & 0o777
}

#[test]
fn a_plan_directory_comes_back_verified() {
    let scratch = scratch();
    let path = scratch.path().join("small.plan");
    let bundle = fixture::bundle("small");
    write_plan(&path, &bundle.plan, &bundle.weights, b"{}", Overwrite::Refuse).expect("it is new");
    assert_eq!(read_plan(&path).expect("it is whole"), bundle);
    let spec = bundle.plan.client_spec().expect("a CKKS plan");
    assert_eq!(read_client(&path).expect("a directory is accepted"), spec);
    assert_eq!(read_client(&path.join("client.json")).expect("the file itself"), spec);
    assert_eq!(read_report(&path).expect("it is there"), b"{}");
    assert!(matches!(inspect(&path), Ok(FileInfo::Plan { lines: 10, .. })));
    assert!(matches!(
        inspect(&path.join("client.json")),
        Ok(FileInfo::Client { .. })
    ));
}

#[test]
fn the_whole_way_through_files() {
    let scratch = scratch();
    let (keys_path, x, y) = (
        scratch.path().join("keys"),
        scratch.path().join("x.ct"),
        scratch.path().join("y.ct"),
    );
    let bundle = fixture::bundle("files");
    let (spec, hash) = (bundle.plan.client_spec().expect("a CKKS plan"), bundle.hash);
    let context = fixture::context(&spec);
    let options = KeygenOptions { public: true };
    KeyFiles::check_room(&keys_path, &spec, options, Overwrite::Refuse).expect("there is room");
    let keys = fixture::keys(&spec, &context, true);
    let files = write_keys(&keys_path, hash, &keys, Overwrite::Refuse, &mut |_| {}).expect("it is new");
    let written: u64 = [&files.secret, &files.evaluation, &files.public]
        .map(|p| p.metadata().expect("it exists").len())
        .iter()
        .sum();
    assert!(written <= KeyFiles::bytes(&spec, options), "{written} bytes");

    let secret = read_secret_key(&files.secret, &context, hash).expect("it is whole");
    let client = Client::new(spec.clone(), context.clone(), secret).expect("the spec is valid");
    let samples = prepare(&spec.input, &fixture::floats(2), RangePolicy::Refuse).expect("within range");
    let batch = client
        .encrypt(&samples, &mut fixture::rng(), &mut |_| {})
        .expect("it fits");
    write_ciphertexts(&x, &batch, Overwrite::Refuse).expect("it is new");

    let evaluation = read_evaluation_keys(&files.evaluation, &context, hash, None, &mut |_| {}).expect("it is whole");
    let options = ServerOptions { cache_bytes: 0 };
    let mut server = Server::new(bundle, context.clone(), evaluation, options).expect("the keys fit");
    let received = read_ciphertexts(&x, &context, hash).expect("it is whole");
    assert_eq!(received, batch);
    let results = server.run(&received, &mut |_| {}).expect("it runs");
    write_ciphertexts(&y, &results, Overwrite::Refuse).expect("it is new");

    let results = read_ciphertexts(&y, &context, hash).expect("it is whole");
    let options = DecryptOptions {
        range: RangePolicy::Refuse,
        rounding: Rounding::Keep,
    };
    let outputs = client.decrypt(&results, options).expect("within bounds");
    for (x, y) in samples.values.iter().zip(&outputs.values) {
        let close = |(a, b): (&f64, &f64)| (a - b).abs() <= spec.output.error;
        assert!(fixture::network(x).iter().zip(y).all(close));
    }
    let out = scratch.path().join("y.npy");
    write_tensor(&out, &outputs.batch_shape(), &outputs.flat(), Overwrite::Refuse).expect("it is new");
    let tensor = read_tensor(&out, None).expect("it is readable");
    assert_eq!(
        (tensor.shape, tensor.elements),
        (vec![2, 3], heron_runtime::files::Elements::F64(outputs.flat()))
    );
    assert_eq!(mode(&out), 0o600);
}

#[test]
fn a_fresh_ciphertext_file_takes_half_of_a_full_one() {
    let small = Small::new();
    let fresh = fs::metadata(&small.ciphertexts).expect("it exists").len();
    let batch = read_ciphertexts(&small.ciphertexts, &small.context, small.hash).expect("it is whole");
    let full = batch
        .ciphertexts
        .iter()
        .map(|c| StoredCiphertext::Full(c.expand(&small.context)))
        .collect();
    let path = small.scratch.path().join("full.ct");
    let batch = CiphertextBatch {
        plan_hash: small.hash,
        ciphertexts: full,
    };
    write_ciphertexts(&path, &batch, Overwrite::Refuse).expect("it is new");
    let full = fs::metadata(&path).expect("it exists").len();
    assert!(2 * fresh < full + full / 10, "{fresh} and {full} bytes");
}

/// Keys and a ciphertext in a ring so small that files can be damaged many times.
struct Small {
    scratch: TempDir,
    context: Arc<Context>,
    hash: Digest,
    keys: KeyFiles,
    ciphertexts: PathBuf,
}

impl Small {
    fn new() -> Self {
        let scratch = scratch();
        let params = CkksParams::build(&INSECURE_SMALL_RING).expect("such primes exist");
        let context = Context::new(params, Kernels::portable()).expect("the parameters are valid");
        let mut rng = Rng::insecure_deterministic(3);
        let secret = SecretKey::generate(&context, &mut rng);
        let mut spec = KeySpec::default();
        spec.add_relinearize(Level(2));
        spec.add_rotation(Rotation(3), Level(4));
        let keys = EvaluationKeys::generate(&context, &secret, &spec, &mut rng, &mut |_| {}).expect("they fit");
        let public = Some(PublicKey::generate(&context, &secret, &mut rng));
        let hash = Digest::of(b"some plan");
        let plaintext = heron_ckks::Encoder::new(context.clone())
            .encode(&[1.0, 2.0], Level(4), heron_params::ScalePower::One)
            .expect("they fit");
        let fresh = heron_ckks::encrypt_secret(&context, &secret, &plaintext, &mut rng);
        let batch = CiphertextBatch {
            plan_hash: hash,
            ciphertexts: vec![StoredCiphertext::Seeded(fresh)],
        };
        let keys = KeySet {
            secret,
            server: ServerKeys {
                evaluation: Arc::new(keys),
                bootstrap: None,
            },
            public,
        };
        let keys = write_keys(
            &scratch.path().join("keys"),
            hash,
            &keys,
            Overwrite::Refuse,
            &mut |_| {},
        )
        .expect("it is new");
        let ciphertexts = scratch.path().join("x.ct");
        write_ciphertexts(&ciphertexts, &batch, Overwrite::Refuse).expect("it is new");
        Self {
            scratch,
            context,
            hash,
            keys,
            ciphertexts,
        }
    }

    fn all(&self) -> [(&Path, FileKind); 4] {
        [
            (&self.keys.secret, FileKind::SecretKey),
            (&self.keys.public, FileKind::PublicKey),
            (&self.keys.evaluation, FileKind::EvaluationKeys),
            (&self.ciphertexts, FileKind::Ciphertexts),
        ]
    }

    /// Reads a file as a kind, for a plan.
    fn read(&self, path: &Path, kind: FileKind, hash: Digest) -> Result<(), FileError> {
        let context = &self.context;
        match kind {
            FileKind::SecretKey => read_secret_key(path, context, hash).map(drop),
            FileKind::PublicKey => read_public_key(path, context, hash).map(drop),
            FileKind::EvaluationKeys => read_evaluation_keys(path, context, hash, None, &mut |_| {}).map(drop),
            FileKind::Ciphertexts => read_ciphertexts(path, context, hash).map(drop),
        }
    }
}

#[test]
fn only_the_owner_reads_the_secret_key() {
    let small = Small::new();
    assert_eq!(mode(&small.keys.secret), 0o600);
    assert_eq!(mode(&small.scratch.path().join("keys")), 0o700);
}

#[test]
fn every_file_says_what_it_is() {
    let small = Small::new();
    for (path, expected) in small.all() {
        let FileInfo::Binary {
            kind,
            version,
            plan_hash,
            file_bytes,
            states,
            ..
        } = inspect(path).expect("it is whole")
        else {
            panic!("{expected} is a binary file")
        };
        assert_eq!((kind, version, plan_hash), (expected, 2, small.hash));
        assert_eq!(file_bytes, fs::metadata(path).expect("it exists").len());
        assert_eq!(states.len(), usize::from(kind == FileKind::Ciphertexts));
    }
}

#[test]
fn files_of_another_plan_or_kind_are_refused_with_what_to_do() {
    let small = Small::new();
    for (path, kind) in small.all() {
        let refused = small
            .read(path, kind, Digest::of(b"another plan"))
            .expect_err("another plan");
        assert!(matches!(refused, FileError::OtherPlan { .. }), "{refused}");
        assert_eq!(refused.kind(), ErrorKind::Damaged);
        assert!(refused.to_string().contains("make them again"), "{refused}");
        for (_, other) in small.all().into_iter().filter(|(_, other)| *other != kind) {
            let refused = small.read(path, other, small.hash).expect_err("another kind");
            assert_eq!(refused.kind(), ErrorKind::Damaged);
            assert!(
                refused.to_string().contains(&format!("it holds {kind}, not {other}")),
                "{refused}"
            );
        }
    }
}

#[test]
fn keys_of_other_parameters_are_damage_even_with_the_same_hash() {
    let small = Small::new();
    let request = heron_params::ChainRequest {
        log_n: 9,
        ..INSECURE_SMALL_RING
    };
    let params = CkksParams::build(&request).expect("such primes exist");
    let larger = Small {
        context: Context::new(params, Kernels::portable()).expect("valid"),
        ..Small::new()
    };
    for (path, kind) in small.all() {
        let refused = larger.read(path, kind, small.hash).expect_err("another ring");
        assert_eq!(refused.kind(), ErrorKind::Damaged, "{refused}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let small = Small::new();
    for (_, kind) in small.all() {
        let refused = small
            .read(Path::new("nowhere.key"), kind, small.hash)
            .expect_err("nothing is there");
        assert_eq!(refused.to_string(), "there is no file `nowhere.key`");
        assert_eq!(refused.kind(), ErrorKind::BadInput);
    }
}

#[test]
fn keys_are_not_replaced_unless_told() {
    let small = Small::new();
    let bundle = fixture::bundle("keys");
    let spec = bundle.plan.client_spec().expect("a CKKS plan");
    let path = small.scratch.path().join("keys");
    let options = KeygenOptions { public: false };
    let refused = KeyFiles::check_room(&path, &spec, options, Overwrite::Refuse).expect_err("it exists");
    assert!(matches!(refused, FileError::Exists { .. }));
    KeyFiles::check_room(&path, &spec, options, Overwrite::Replace).expect("it was told");
    let context = fixture::context(&spec);
    let keys = fixture::keys(&spec, &context, false);
    assert!(matches!(
        write_keys(&path, bundle.hash, &keys, Overwrite::Refuse, &mut |_| {}),
        Err(FileError::Exists { .. })
    ));
    small
        .read(&small.keys.secret, FileKind::SecretKey, small.hash)
        .expect("the old keys stay");
    let files = write_keys(&path, bundle.hash, &keys, Overwrite::Replace, &mut |_| {}).expect("it was told");
    read_secret_key(&files.secret, &context, bundle.hash).expect("the new keys are there");
    assert!(!files.public.exists());
}

#[test]
fn keys_that_do_not_fit_the_disk_are_refused_before_they_are_made() {
    let scratch = scratch();
    let mut spec = fixture::bundle("large").plan.client_spec().expect("a CKKS plan");
    spec.params.log_n = 38;
    let path = scratch.path().join("keys");
    let refused = KeyFiles::check_room(&path, &spec, KeygenOptions { public: false }, Overwrite::Refuse);
    let refused = refused.expect_err("no disk is that large");
    assert!(matches!(refused, FileError::NoSpace { .. }));
    assert_eq!(refused.kind(), ErrorKind::Io);
}

#[test]
fn an_unknown_file_is_bad_input() {
    let scratch = scratch();
    let path = scratch.path().join("notes.txt");
    fs::write(&path, b"hello").expect("a file");
    let refused = inspect(&path).expect_err("it is none of ours");
    assert!(matches!(refused, FileError::Unknown { .. }));
    assert_eq!(refused.kind(), ErrorKind::BadInput);
}

#[test]
fn a_damaged_plan_is_damage_and_names_the_file() {
    let scratch = scratch();
    let path = scratch.path().join("small.plan");
    let bundle = fixture::bundle("small");
    write_plan(&path, &bundle.plan, &bundle.weights, b"{}", Overwrite::Refuse).expect("it is new");
    for name in ["plan.json", "weights.bin", "client.json"] {
        let file = path.join(name);
        let whole = fs::read(&file).expect("it is there");
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 4;
        for damaged in [&flipped, &whole[..whole.len() - 7]] {
            fs::write(&file, damaged).expect("it is ours");
            let refused = read_plan(&path).expect_err("it is damaged");
            assert_eq!(refused.kind(), ErrorKind::Damaged, "{name}: {refused:?}");
        }
        fs::write(&file, &whole).expect("it is ours");
    }
    fs::remove_file(path.join("weights.bin")).expect("it is ours");
    assert!(matches!(read_plan(&path), Err(FileError::Missing { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_key_and_ciphertext_files_are_refused(
        which in 0usize..4,
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
        random in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let small = Small::new();
        let (path, kind) = small.all()[which];
        let whole = fs::read(path).expect("it is there");
        let at = at.index(whole.len());
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << bit;
        let random_tail = [&whole[..at.min(96)], random.as_slice()].concat();
        for damaged in [&flipped, &whole[..at], &[whole.as_slice(), &[0]].concat(), &random_tail] {
            fs::write(path, damaged).expect("it is ours");
            let refused = small.read(path, kind, small.hash).expect_err("it is damaged");
            prop_assert_eq!(refused.kind(), ErrorKind::Damaged, "{}", refused);
            prop_assert!(inspect(path).is_err());
        }
    }
}
