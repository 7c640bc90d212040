//! Canonical JSON: fields in the order of their types, two spaces, one newline at the end. Equal values give equal bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{FORMAT_VERSION, PlanFileError};

/// The canonical text of a value.
pub(crate) fn to_text(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("plans hold nothing that JSON lacks");
    text.push('\n');
    text
}

/// Reads a value whose bytes are known to be what was written.
///
/// # Errors
/// Another version, unknown or missing fields, nesting over 128, or bytes that are not the canonical text of the value.
pub(crate) fn from_text<T: Serialize + DeserializeOwned>(file: &'static str, bytes: &[u8]) -> Result<T, PlanFileError> {
    let unreadable = |reason: String| PlanFileError::Unreadable { file, reason };
    let probe: VersionProbe = serde_json::from_slice(bytes).map_err(|e| unreadable(e.to_string()))?;
    let found = probe.format_version;
    if found > FORMAT_VERSION {
        return Err(PlanFileError::NewerVersion {
            file,
            found,
            supported: FORMAT_VERSION,
        });
    }
    if found < FORMAT_VERSION {
        return Err(unreadable(format!("there is no format version {found}")));
    }
    let value: T = serde_json::from_slice(bytes).map_err(|e| unreadable(e.to_string()))?;
    if to_text(&value).as_bytes() != bytes {
        return Err(unreadable(
            "its JSON is not in canonical form: it was edited".to_owned(),
        ));
    }
    Ok(value)
}

/// The one field that every version has.
#[derive(serde::Deserialize)]
struct VersionProbe {
    format_version: u32,
}
