//! What is written is read, and what was changed is found.

use heron_params::bootstrap::BootstrapPreset;
use proptest::prelude::*;

use super::*;
use crate::{FileFault, VerifyErrors, sample};

fn files() -> PlanFiles {
    let (plan, weights) = sample::plan_and_weights();
    PlanFiles::encode(&plan, &weights).expect("the sample is valid")
}

fn all(files: &mut PlanFiles) -> [&mut Vec<u8>; 3] {
    [&mut files.plan_json, &mut files.weights_bin, &mut files.client_json]
}

/// Replaces text in `plan.json` and makes `client.json` agree, as a program that writes wrong plans would.
fn forged(from: &str, to: &str) -> PlanFiles {
    let mut files = files();
    let text = String::from_utf8(files.plan_json).expect("JSON is UTF-8");
    assert!(text.contains(from), "{text}");
    files.plan_json = text.replacen(from, to, 1).into_bytes();
    let mut client = sample::plan().client_spec().expect("a CKKS plan");
    client.plan_hash = Digest::of(&files.plan_json);
    files.client_json = client.to_json().into_bytes();
    files
}

#[test]
fn reads_what_it_wrote() {
    let (plan, weights) = sample::plan_and_weights();
    assert_eq!(files().decode(), Ok((plan.clone(), weights)));
    assert_eq!(files(), files());
    assert_eq!(
        ClientSpec::from_json(&files().client_json),
        Ok(plan.client_spec().expect("a CKKS plan"))
    );
    assert_eq!(plan.hash(), Digest::of(&files().plan_json));
}

#[test]
fn a_bootstrap_travels_in_the_plan_and_to_the_client() {
    let variant = BootstrapPreset::named("small").expect("a preset of that name").build();
    let plan = sample::bootstrap_plan(variant.expect("it builds"));
    let mut files = PlanFiles::encode(&plan, &Weights::default()).expect("the plan is valid");
    assert_eq!(files.decode(), Ok((plan.clone(), Weights::default())));
    let client = ClientSpec::from_json(&files.client_json).expect("what was written");
    let program = plan.program.ckks().expect("a CKKS plan");
    assert_eq!(client.bootstrap, program.bootstrap);
    assert_eq!(client.key_bytes(true), program.key_bytes(true));
    // A client that relied on numbers that do not fit together would be refused, whoever signed them.
    let mut forged = client.clone();
    forged.keys.rotations.pop_first();
    assert!(ClientSpec::from_json(forged.to_json().as_bytes()).is_err());
    let text = String::from_utf8(files.plan_json).expect("JSON is UTF-8");
    for (from, to) in [
        ("\"log_slots\": 14", "\"log_slots\": 15"),
        ("\"doublings\": ", "\"doublings\": 9"),
    ] {
        assert!(text.contains(from), "{from}");
        files.plan_json = text.replacen(from, to, 1).into_bytes();
        let mut client = client.clone();
        client.plan_hash = Digest::of(&files.plan_json);
        files.client_json = client.to_json().into_bytes();
        let error = files.decode().expect_err("it was forged");
        assert_eq!(error.fault(), FileFault::Invalid, "{error}");
    }
}

#[test]
fn the_client_file_holds_no_weights() {
    let text = String::from_utf8(files().client_json).expect("JSON is UTF-8");
    for word in ["weight", "bias", "constants", "lines", "maps", "note"] {
        assert!(!text.contains(word), "{word}");
    }
}

#[test]
fn refuses_to_write_a_broken_plan_or_foreign_weights() {
    let (mut plan, weights) = sample::plan_and_weights();
    let foreign = PlanFiles::encode(&plan, &Weights::default());
    assert!(matches!(
        foreign,
        Err(PlanFileError::Mismatched {
            file: "weights.bin",
            ..
        })
    ));
    plan.output.bound = f64::NAN;
    let broken = PlanFiles::encode(&plan, &weights);
    assert!(matches!(broken, Err(PlanFileError::Invalid { errors: VerifyErrors { errors }, .. }) if errors.len() == 1));
}

#[test]
fn every_truncation_is_damage() {
    for which in 0..3 {
        let len = all(&mut files())[which].len();
        for keep in (0..len).step_by(1 + len / 97) {
            let mut files = files();
            all(&mut files)[which].truncate(keep);
            let error = files.decode().expect_err("it was cut");
            assert_eq!(error.fault(), FileFault::Damaged, "file {which}, {keep} bytes: {error}");
        }
    }
}

#[test]
fn a_newer_version_is_named_as_such() {
    let error = forged("\"format_version\": 1", "\"format_version\": 2")
        .decode()
        .expect_err("newer");
    assert_eq!(error.fault(), FileFault::BadInput);
    assert_eq!(
        error.to_string(),
        "plan.json has format version 2 and this build reads version 1; use a newer heron"
    );
    let mut client = sample::plan().client_spec().expect("a CKKS plan");
    client.format_version = 7;
    let error = ClientSpec::from_json(client.to_json().as_bytes()).expect_err("newer");
    assert!(matches!(error, PlanFileError::NewerVersion { found: 7, .. }));
}

#[test]
fn files_of_another_kind_are_bad_input() {
    for bytes in [&b"hello"[..], b"{}", b"\x89PNG\r\n\x1a\n", &[0; 4096]] {
        let error = ClientSpec::from_json(bytes).expect_err("no client file");
        assert_eq!(error.fault(), FileFault::BadInput, "{error}");
    }
    let entries = &sample::plan().constants;
    let error = Weights::from_bytes(b"PK\x03\x04 something else", entries).expect_err("no weights");
    assert_eq!(error.fault(), FileFault::BadInput);
}

#[test]
fn files_of_two_plans_do_not_mix() {
    let (mut plan, weights) = sample::plan_and_weights();
    plan.name = "other".to_owned();
    let other = PlanFiles::encode(&plan, &weights).expect("it is valid");
    let mixed = PlanFiles {
        client_json: other.client_json,
        ..files()
    };
    let error = mixed.decode().expect_err("two plans");
    assert_eq!(error.fault(), FileFault::Damaged);
    assert!(
        error
            .to_string()
            .starts_with("plan.json does not belong to client.json (its hash is "),
        "{error}"
    );
}

#[test]
fn a_client_file_of_the_right_hash_with_other_keys_is_refused() {
    let mut client = sample::plan().client_spec().expect("a CKKS plan");
    client.keys.rotations.pop_first();
    let files = PlanFiles {
        client_json: client.to_json().into_bytes(),
        ..files()
    };
    assert!(matches!(
        files.decode(),
        Err(PlanFileError::Mismatched {
            file: "client.json",
            ..
        })
    ));
}

#[test]
fn unknown_fields_and_edited_text_are_refused() {
    for (from, to) in [
        ("\"op\": \"square\",", "\"op\": \"square\", \"fast\": true,"),
        ("\"op\": \"input\"", "\"op\": \"input\", \"fast\": true"),
        ("\"name\": \"sample\"", "\"name\":  \"sample\""),
        ("\"op\": \"square\"", "\"op\": \"refresh\""),
        ("\"scheme\": \"ckks\"", "\"scheme\": \"bgv\""),
    ] {
        let error = forged(from, to).decode().expect_err("it was edited");
        assert!(
            matches!(error, PlanFileError::Unreadable { file: "plan.json", .. }),
            "{to}: {error}"
        );
    }
}

#[test]
fn a_whole_file_with_a_broken_plan_is_invalid() {
    let error = forged("\"power\": \"two\"", "\"power\": \"one\"")
        .decode()
        .expect_err("it breaks rules");
    assert_eq!(error.fault(), FileFault::Invalid);
    assert!(
        error
            .to_string()
            .contains("%1 (node): scale power: found Δ, expected Δ²"),
        "{error}"
    );
}

#[test]
fn deep_nesting_is_refused() {
    let deep = "[".repeat(100_000);
    let error = forged("\"options\": [", &format!("\"options\": [{deep}"))
        .decode()
        .expect_err("too deep");
    assert_eq!(error.fault(), FileFault::BadInput);
}

#[test]
fn oversized_headers_allocate_nothing() {
    let (plan, weights) = sample::plan_and_weights();
    let mut bytes = weights.to_bytes();
    bytes[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(Weights::from_bytes(&bytes, &plan.constants).is_err());
    let mut entries = plan.constants.clone();
    entries[0].shape = vec![usize::MAX / 8, 1];
    bytes[16..24].copy_from_slice(&(usize::MAX as u64 / 8).to_le_bytes());
    assert!(Weights::from_bytes(&bytes, &entries).is_err());
}

proptest! {
    #[test]
    fn every_flipped_bit_is_damage(which in 0usize..3, at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut files = files();
        let bytes = &mut *all(&mut files)[which];
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let error = files.decode().expect_err("a bit was flipped");
        prop_assert_eq!(error.fault(), FileFault::Damaged, "file {}, byte {}: {}", which, at, error);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), which in 0usize..3) {
        let mut files = files();
        *all(&mut files)[which] = bytes;
        prop_assert!(files.decode().is_err());
    }

    #[test]
    fn changed_numbers_in_a_resigned_plan_never_panic(nth in any::<prop::sample::Index>(), to in any::<u32>()) {
        let text = sample::plan().to_json();
        let starts: Vec<usize> = text.match_indices(": ").map(|(i, _)| i + 2).collect();
        let numbers: Vec<usize> =
            starts.into_iter().filter(|&i| text.as_bytes()[i].is_ascii_digit()).collect();
        let start = numbers[nth.index(numbers.len())];
        let end = start + text[start..].find([',', '\n']).expect("a line ends");
        let mut files = files();
        files.plan_json = format!("{}{to}{}", &text[..start], &text[end..]).into_bytes();
        let mut client = sample::plan().client_spec().expect("a CKKS plan");
        client.plan_hash = Digest::of(&files.plan_json);
        files.client_json = client.to_json().into_bytes();
        let unchanged = files.plan_json == text.as_bytes();
        if let Ok((plan, _)) = files.decode() {
            prop_assert!(unchanged || verify(&plan).is_ok());
        }
    }
}
