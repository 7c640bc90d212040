//! `client.json`: canonical JSON with a digest of itself in the last line, so that it can be checked on its own.

use serde::Serialize;

use crate::{ClientSpec, Digest, PlanFileError, PlanFiles, json, verify};

/// What stands between the last field of the specification and its digest.
const DIGEST_START: &str = ",\n  \"digest\": \"";
const DIGEST_END: &str = "\"\n}\n";
const JSON_END: &str = "\n}\n";

impl ClientSpec {
    /// The contents of `client.json`.
    pub fn to_json(&self) -> String {
        with_digest(self)
    }

    /// Reads `client.json`, and checks everything that encryption and decryption rely on.
    ///
    /// # Errors
    /// Another kind of file, a newer version, a digest that differs, or a specification that breaks rules.
    pub fn from_json(bytes: &[u8]) -> Result<Self, PlanFileError> {
        let client: Self = json::from_text(PlanFiles::CLIENT_JSON, &checked(bytes)?)?;
        let file = PlanFiles::CLIENT_JSON;
        verify::verify_client(&client).map_err(|errors| PlanFileError::Invalid { file, errors })?;
        Ok(client)
    }
}

/// The canonical text of what was written, its digest checked.
pub(crate) fn checked(bytes: &[u8]) -> Result<Vec<u8>, PlanFileError> {
    let file = PlanFiles::CLIENT_JSON;
    if bytes.len() > PlanFiles::CLIENT_LIMIT_BYTES {
        return Err(PlanFileError::TooLarge {
            file,
            bytes: bytes.len(),
            limit: PlanFiles::CLIENT_LIMIT_BYTES,
        });
    }
    let Some(body) = body(bytes) else {
        return Err(if is_ours(bytes) {
            let what = "its digest differs from its contents".to_owned();
            PlanFileError::Damaged { file, what }
        } else {
            let reason = "it does not end with a digest".to_owned();
            PlanFileError::Unreadable { file, reason }
        });
    };
    Ok([body, JSON_END.as_bytes()].concat())
}

/// JSON with the digest of itself at the end.
pub(crate) fn with_digest(value: &impl Serialize) -> String {
    let text = json::to_text(value);
    let body = text.strip_suffix(JSON_END).expect("an object ends so");
    let digest = Digest::of(body.as_bytes());
    format!("{body}{DIGEST_START}{digest}{DIGEST_END}")
}

/// The text before the digest, if the digest is right.
fn body(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_suffix(DIGEST_END.as_bytes())?;
    let (rest, digest) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
    let body = rest.strip_suffix(DIGEST_START.as_bytes())?;
    (Digest::of(body).to_string().as_bytes() == digest).then_some(body)
}

/// Whether damaged bytes were a `client.json` once: nothing is left, or the start is, or the name of a field is.
fn is_ours(bytes: &[u8]) -> bool {
    let holds = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    bytes.is_empty() || b"{\n  \"format_version\"".starts_with(&bytes[..bytes.len().min(20)]) || holds(b"\"plan_hash\"")
}
