//! `weights.bin`: the constants of a plan.
//!
//! ```text
//! 8 bytes   "HERON-WT"
//! u32       format version
//! u32       number of tensors n
//! n x u64   elements of each tensor
//! f64 ...   all elements, tensor by tensor
//! ```
//! Everything is little-endian. `plan.json` has a name, a shape and a SHA-256 digest for each tensor.

use crate::{ConstEntry, Digest, FORMAT_VERSION, PlanFileError, PlanFiles, Weights};

const MAGIC: &[u8; 8] = b"HERON-WT";
const HEADER_BYTES: usize = 16;

impl Weights {
    /// The contents of `weights.bin`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(FORMAT_VERSION.to_le_bytes());
        bytes.extend((self.tensors().len() as u32).to_le_bytes());
        bytes.extend(self.tensors().flat_map(|tensor| (tensor.len() as u64).to_le_bytes()));
        bytes.extend(self.tensors().flatten().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    /// Reads `weights.bin` as the entries of a plan describe it. Allocates no more than the bytes themselves take.
    ///
    /// # Errors
    /// Another kind of file, a newer version, sizes or digests that differ from the entries, values that are not finite.
    pub fn from_bytes(bytes: &[u8], entries: &[ConstEntry]) -> Result<Self, PlanFileError> {
        let mut rest = check_header(bytes)?;
        let n_tensors = u32::from_le_bytes(bytes[12..HEADER_BYTES].try_into().expect("four bytes"));
        if n_tensors as usize != entries.len() {
            return Err(damaged(format!("{n_tensors} tensors, the plan has {}", entries.len())));
        }
        for entry in entries {
            let (head, tail) = rest.split_at_checked(8).ok_or_else(cut_short)?;
            let stated = u64::from_le_bytes(head.try_into().expect("eight bytes"));
            let wanted = elements(entry).ok_or_else(|| damaged(format!("`{}` overflows", entry.name)))?;
            if stated != wanted as u64 {
                return Err(damaged(format!(
                    "`{}` has {stated} elements, the plan says {wanted}",
                    entry.name
                )));
            }
            rest = tail;
        }
        let mut weights = Self::default();
        for entry in entries {
            let n_bytes = elements(entry).and_then(|n| n.checked_mul(8)).ok_or_else(cut_short)?;
            let (data, tail) = rest.split_at_checked(n_bytes).ok_or_else(cut_short)?;
            weights.push_values(tensor(entry, data)?);
            rest = tail;
        }
        if !rest.is_empty() {
            return Err(damaged(format!("{} bytes too many", rest.len())));
        }
        Ok(weights)
    }

    /// Whether the tensors are the ones that the entries describe.
    pub(crate) fn match_entries(&self, entries: &[ConstEntry]) -> bool {
        let same = |(tensor, entry): (&[f64], &ConstEntry)| {
            let bytes: Vec<u8> = tensor.iter().flat_map(|value| value.to_le_bytes()).collect();
            elements(entry) == Some(tensor.len()) && Digest::of(&bytes) == entry.digest
        };
        self.tensors().len() == entries.len() && self.tensors().zip(entries).all(same)
    }
}

/// Checks magic and version; what follows the header.
fn check_header(bytes: &[u8]) -> Result<&[u8], PlanFileError> {
    let file = PlanFiles::WEIGHTS_BIN;
    if bytes.is_empty() {
        return Err(cut_short());
    }
    let magic_bits: u32 = bytes.iter().zip(MAGIC).map(|(a, b)| (a ^ b).count_ones()).sum();
    if magic_bits > 1 {
        let reason = "it does not start with HERON-WT".to_owned();
        return Err(PlanFileError::Unreadable { file, reason });
    }
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(cut_short)?;
    if magic_bits == 1 {
        return Err(damaged("a bit of its first bytes is flipped".to_owned()));
    }
    let version = u32::from_le_bytes(header[8..12].try_into().expect("four bytes"));
    if version != FORMAT_VERSION {
        // The plan that names the digests was read before and has the right version: the file was changed.
        return Err(damaged(format!(
            "version {version} beside a plan of version {FORMAT_VERSION}"
        )));
    }
    Ok(rest)
}

/// Decodes one tensor and checks it against its entry.
fn tensor(entry: &ConstEntry, data: &[u8]) -> Result<Vec<f64>, PlanFileError> {
    if Digest::of(data) != entry.digest {
        return Err(damaged(format!("the digest of `{}` differs", entry.name)));
    }
    let values: Vec<f64> = data
        .chunks_exact(8)
        .map(|chunk| f64::from_le_bytes(chunk.try_into().expect("eight bytes")))
        .collect();
    if values.iter().any(|value| !value.is_finite()) {
        return Err(damaged(format!("`{}` holds a value that is not finite", entry.name)));
    }
    Ok(values)
}

fn elements(entry: &ConstEntry) -> Option<usize> {
    entry
        .shape
        .iter()
        .try_fold(1usize, |product, &dim| product.checked_mul(dim))
}

fn cut_short() -> PlanFileError {
    damaged("it ends too early".to_owned())
}

fn damaged(what: String) -> PlanFileError {
    PlanFileError::Damaged {
        file: PlanFiles::WEIGHTS_BIN,
        what,
    }
}
