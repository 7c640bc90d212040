//! Who holds what: the client no weights, the server no secret.

use std::path::Path;

use crate::artefacts::{DIGITS, scratch};
use crate::heron::{heron, names_in};

#[test]
fn the_client_file_contains_no_weights() {
    let client = std::fs::read_to_string(DIGITS.join("digits.plan/client.json")).expect("it was written");
    let report = std::fs::metadata(DIGITS.join("digits.plan/weights.bin"))
        .expect("it was written")
        .len();
    assert!(
        (client.len() as u64) < report / 2,
        "client.json has {} bytes",
        client.len()
    );
    let parsed: serde_json::Value = serde_json::from_str(&client).expect("JSON");
    for absent in ["weights", "constants", "maps", "lines", "program"] {
        assert!(parsed.get(absent).is_none(), "client.json has `{absent}`");
    }
    assert!(
        longest_number_list(&parsed) <= 64,
        "client.json has a long list of numbers"
    );
}

/// Length of the longest array of numbers anywhere in a value.
fn longest_number_list(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => {
            let own = if items.iter().all(serde_json::Value::is_number) {
                items.len()
            } else {
                0
            };
            items.iter().map(longest_number_list).fold(own, usize::max)
        }
        serde_json::Value::Object(fields) => fields.values().map(longest_number_list).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(unix)]
#[test]
fn the_secret_key_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let secret = std::fs::metadata(DIGITS.join("keys/secret.key")).expect("it was written");
    assert_eq!(secret.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_server_runs_without_the_secret_and_the_client_without_the_plan() {
    let folder = scratch("two-parties");
    let copy = |from: &str, to: &str| {
        std::fs::copy(DIGITS.join(from), folder.join(to)).expect("the file can be copied");
    };
    for part in ["server", "server/digits.plan", "client", "client/keys"] {
        std::fs::create_dir(folder.join(part)).expect("a fresh folder");
    }
    for file in ["plan.json", "weights.bin", "client.json"] {
        copy(&format!("digits.plan/{file}"), &format!("server/digits.plan/{file}"));
    }
    copy("keys/eval.key", "server/eval.key");
    copy("x.ct", "server/x.ct");
    copy("digits.plan/client.json", "client/client.json");
    copy("keys/secret.key", "client/keys/secret.key");
    heron(
        &folder.join("server"),
        "run digits.plan --keys eval.key -i x.ct -o y.ct",
    )
    .succeeds();
    assert!(!holds_secret(&folder.join("server")));
    std::fs::rename(folder.join("server/y.ct"), folder.join("client/y.ct")).expect("same disk");
    heron(
        &folder.join("client"),
        "decrypt client.json --keys keys -i y.ct -o y.npy",
    )
    .succeeds();
}

/// Whether a secret key lies anywhere below a folder.
pub(crate) fn holds_secret(folder: &Path) -> bool {
    names_in(folder).iter().any(|name| {
        let path = folder.join(name);
        name == "secret.key" || (path.is_dir() && holds_secret(&path))
    })
}
