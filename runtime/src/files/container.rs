//! The frame of every binary file: magic, version, kind, plan hash, length, and records with checksums.
//!
//! ```text
//! offset  bytes
//!      0      8  magic 89 48 45 52 4f 4e 0d 0a (the ends show what text modes break)
//!      8      4  version, little endian like everything else
//!     12      4  kind: SKEY, PKEY, EKEY, CTXT
//!     16     32  hash of the plan
//!     48      8  number of records
//!     56      8  length of the whole file
//!     64     32  SHA-256 of the 64 bytes before
//!     96         records: 8 bytes length, the payload, 32 bytes SHA-256 of kind, plan hash, index and payload
//! ```

use std::io::{self, Read, Seek, SeekFrom, Write};

use heron_plan::Digest;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::ErrorKind;

pub(super) const MAGIC: [u8; 8] = *b"\x89HERON\r\n";
/// 2: rotation keys switch from the rotated secret.
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 96;
const DIGEST_BYTES: u64 = 32;
/// A record's length and checksum.
const FRAME_BYTES: u64 = 8 + DIGEST_BYTES;

/// What a binary file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// `secret.key`.
    SecretKey,
    /// `public.key`.
    PublicKey,
    /// `eval.key`.
    EvaluationKeys,
    /// `*.ct`.
    Ciphertexts,
}

impl FileKind {
    const ALL: [Self; 4] = [
        Self::SecretKey,
        Self::PublicKey,
        Self::EvaluationKeys,
        Self::Ciphertexts,
    ];

    fn tag(self) -> [u8; 4] {
        *match self {
            Self::SecretKey => b"SKEY",
            Self::PublicKey => b"PKEY",
            Self::EvaluationKeys => b"EKEY",
            Self::Ciphertexts => b"CTXT",
        }
    }

    /// What to do when such a file is damaged.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::SecretKey => "restore it from a copy, or make new keys with `heron keygen`",
            Self::PublicKey | Self::EvaluationKeys => {
                "copy it again from the client, or make new keys with `heron keygen`"
            }
            Self::Ciphertexts => "copy it again from where it was made, or make it again",
        }
    }
}

impl std::fmt::Display for FileKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SecretKey => "secret key",
            Self::PublicKey => "public key",
            Self::EvaluationKeys => "evaluation keys",
            Self::Ciphertexts => "ciphertexts",
        })
    }
}

/// Why bytes are not the file that they should be.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// Another format, or the first bytes are damaged.
    #[error("it is not a file of heron, or its beginning is damaged")]
    Magic,
    /// The header's checksum does not match.
    #[error("its header is damaged")]
    Header,
    /// A later or unknown version.
    #[error("it has format version {found}, this version of heron reads {VERSION}")]
    Version {
        /// The version of the file.
        found: u32,
    },
    /// A file of ours, but of another kind.
    #[error("it holds {found}, not {needed}")]
    Kind {
        /// What it holds.
        found: FileKind,
        /// What it should hold.
        needed: FileKind,
    },
    /// Bytes are missing or there are too many.
    #[error("it has {found} bytes instead of {stated}: it was cut off or added to")]
    Length {
        /// How many bytes there are.
        found: u64,
        /// How many its header states.
        stated: u64,
    },
    /// A record's checksum does not match.
    #[error("record {index} is damaged")]
    Record {
        /// Which record.
        index: u64,
    },
    /// A record is intact but does not hold what it should.
    #[error("record {index} does not hold what it should: {reason}")]
    Content {
        /// Which record.
        index: u64,
        /// What is wrong.
        reason: String,
    },
    /// Another number of records than the kind of file has.
    #[error("it holds {found} records instead of {needed}")]
    Records {
        /// How many there are.
        found: u64,
        /// How many there should be.
        needed: u64,
    },
    /// The operating system refused.
    #[error("reading failed")]
    Io(#[from] io::Error),
}

impl ContainerError {
    /// Who can act on it.
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Version { .. } => ErrorKind::BadInput,
            Self::Io(_) => ErrorKind::Io,
            Self::Magic
            | Self::Header
            | Self::Kind { .. }
            | Self::Length { .. }
            | Self::Record { .. }
            | Self::Content { .. }
            | Self::Records { .. } => ErrorKind::Damaged,
        }
    }
}

/// The first bytes of a file, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) kind: FileKind,
    pub(super) plan_hash: Digest,
    pub(super) n_records: u64,
    pub(super) file_bytes: u64,
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.version.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.kind.tag());
        bytes[16..48].copy_from_slice(&self.plan_hash.0);
        bytes[48..56].copy_from_slice(&self.n_records.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.file_bytes.to_le_bytes());
        let digest = Sha256::digest(&bytes[..64]);
        bytes[64..].copy_from_slice(&digest);
        bytes
    }

    fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Result<Self, ContainerError> {
        if bytes[..8] != MAGIC {
            return Err(ContainerError::Magic);
        }
        if Sha256::digest(&bytes[..64])[..] != bytes[64..] {
            return Err(ContainerError::Header);
        }
        let version = u32::from_le_bytes(array(&bytes[8..12]));
        if version != VERSION {
            return Err(ContainerError::Version { found: version });
        }
        let kind = FileKind::ALL.into_iter().find(|kind| kind.tag() == bytes[12..16]);
        Ok(Self {
            version,
            kind: kind.ok_or(ContainerError::Header)?,
            plan_hash: Digest(array(&bytes[16..48])),
            n_records: u64::from_le_bytes(array(&bytes[48..56])),
            file_bytes: u64::from_le_bytes(array(&bytes[56..64])),
        })
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("callers slice N bytes")
}

fn record_digest(kind: FileKind, plan_hash: &Digest, index: u64, payload: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(kind.tag());
    hasher.update(plan_hash.0);
    hasher.update(index.to_le_bytes());
    hasher.update(payload);
    hasher.finalize().into()
}

/// Writes records one by one.
pub(super) struct ContainerWriter<'a, W> {
    writer: &'a mut W,
    header: Header,
}

impl<'a, W: Write + Seek> ContainerWriter<'a, W> {
    /// Begins a file; its header is written by [`finish`](Self::finish).
    pub(super) fn new(writer: &'a mut W, kind: FileKind, plan_hash: Digest) -> io::Result<Self> {
        writer.write_all(&[0; HEADER_BYTES])?;
        let header = Header {
            version: VERSION,
            kind,
            plan_hash,
            n_records: 0,
            file_bytes: HEADER_BYTES as u64,
        };
        Ok(Self { writer, header })
    }

    pub(super) fn record(&mut self, payload: &[u8]) -> io::Result<()> {
        let Header {
            kind,
            ref plan_hash,
            n_records,
            ..
        } = self.header;
        self.writer.write_all(&(payload.len() as u64).to_le_bytes())?;
        self.writer.write_all(payload)?;
        self.writer
            .write_all(&record_digest(kind, plan_hash, n_records, payload))?;
        self.header.n_records += 1;
        self.header.file_bytes += FRAME_BYTES + payload.len() as u64;
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.writer.seek(SeekFrom::Start(0))?;
        self.writer.write_all(&self.header.to_bytes())?;
        self.writer.seek(SeekFrom::End(0))?;
        Ok(())
    }
}

/// Reads records one by one; never holds more than one.
pub(super) struct ContainerReader<R> {
    reader: R,
    header: Header,
    next: u64,
    left_bytes: u64,
}

impl<R: Read> ContainerReader<R> {
    /// Reads and checks the header. `actual_bytes` is the length of the file.
    pub(super) fn new(mut reader: R, actual_bytes: u64) -> Result<Self, ContainerError> {
        let mut bytes = [0; HEADER_BYTES];
        reader.read_exact(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ContainerError::Magic,
            _ => ContainerError::Io(error),
        })?;
        let header = Header::from_bytes(&bytes)?;
        if header.file_bytes != actual_bytes {
            return Err(ContainerError::Length {
                found: actual_bytes,
                stated: header.file_bytes,
            });
        }
        let left_bytes = actual_bytes.saturating_sub(HEADER_BYTES as u64);
        if header.n_records > left_bytes / FRAME_BYTES {
            return Err(ContainerError::Header);
        }
        Ok(Self {
            reader,
            header,
            next: 0,
            left_bytes,
        })
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// How many records have been read.
    pub(super) fn position(&self) -> u64 {
        self.next
    }

    /// The next record, its checksum checked; `None` after the last. Zeroed when dropped, as it may be a secret.
    pub(super) fn record(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, ContainerError> {
        let index = self.next;
        let damaged = ContainerError::Record { index };
        if index == self.header.n_records {
            return if self.left_bytes == 0 { Ok(None) } else { Err(damaged) };
        }
        let mut length = [0; 8];
        self.reader.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        let fits = length
            .checked_add(FRAME_BYTES)
            .filter(|&bytes| bytes <= self.left_bytes);
        let Some(framed) = fits else { return Err(damaged) };
        // Within the file's own length, hence no more than the file justifies.
        let mut payload = Zeroizing::new(vec![0; length as usize]);
        self.reader.read_exact(&mut payload)?;
        let mut digest = [0; 32];
        self.reader.read_exact(&mut digest)?;
        let Header {
            kind, ref plan_hash, ..
        } = self.header;
        if digest != record_digest(kind, plan_hash, index, &payload) {
            return Err(damaged);
        }
        self.next += 1;
        self.left_bytes -= framed;
        Ok(Some(payload))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn file(records: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut container =
            ContainerWriter::new(&mut bytes, FileKind::Ciphertexts, Digest::of(b"plan")).expect("memory");
        records
            .iter()
            .for_each(|record| container.record(record).expect("memory"));
        container.finish().expect("memory");
        bytes.into_inner()
    }

    fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, ContainerError> {
        let mut container = ContainerReader::new(bytes, bytes.len() as u64)?;
        let mut records = Vec::new();
        while let Some(record) = container.record()? {
            records.push(record.to_vec());
        }
        Ok(records)
    }

    #[test]
    fn records_come_back_in_order() {
        let records = read(&file(&[b"one", b"", b"three"])).expect("it is whole");
        assert_eq!(records, [b"one".to_vec(), b"".to_vec(), b"three".to_vec()]);
        assert_eq!(read(&file(&[])).expect("it is whole").len(), 0);
    }

    #[test]
    fn another_version_is_named_and_is_not_damage() {
        for version in [VERSION - 1, VERSION + 1] {
            let header = Header {
                version,
                kind: FileKind::SecretKey,
                plan_hash: Digest::of(b"plan"),
                n_records: 0,
                file_bytes: HEADER_BYTES as u64,
            };
            let refused = read(&header.to_bytes()).expect_err("it is another version");
            assert_eq!(refused.kind(), ErrorKind::BadInput);
            assert!(matches!(refused, ContainerError::Version { found } if found == version));
        }
    }

    #[test]
    fn a_length_beyond_the_file_allocates_nothing() {
        let mut bytes = file(&[b"one"]);
        bytes[HEADER_BYTES..HEADER_BYTES + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(read(&bytes), Err(ContainerError::Record { index: 0 })));
        bytes[HEADER_BYTES..HEADER_BYTES + 8].copy_from_slice(&(1u64 << 40).to_le_bytes());
        assert!(matches!(read(&bytes), Err(ContainerError::Record { index: 0 })));
    }

    #[test]
    fn exchanged_records_are_damage() {
        let bytes = file(&[b"one", b"two"]);
        let (start, size) = (HEADER_BYTES, FRAME_BYTES as usize + 3);
        let mut exchanged = bytes.clone();
        exchanged[start..start + size].copy_from_slice(&bytes[start + size..start + 2 * size]);
        exchanged[start + size..start + 2 * size].copy_from_slice(&bytes[start..start + size]);
        assert!(matches!(read(&exchanged), Err(ContainerError::Record { index: 0 })));
    }

    proptest! {
        #[test]
        fn every_flipped_bit_is_damage(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = file(&[b"first record", b"second record"]);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(read(&bytes).expect_err("a bit was flipped").kind(), ErrorKind::Damaged);
        }

        #[test]
        fn every_other_length_is_damage(
            cut in any::<prop::sample::Index>(),
            more in prop::collection::vec(any::<u8>(), 1..50),
        ) {
            let bytes = file(&[b"first record", b"second record"]);
            let shorter = &bytes[..cut.index(bytes.len())];
            prop_assert_eq!(read(shorter).expect_err("it was cut").kind(), ErrorKind::Damaged);
            let longer = [bytes.as_slice(), &more].concat();
            prop_assert_eq!(read(&longer).expect_err("it was added to").kind(), ErrorKind::Damaged);
        }

        #[test]
        fn random_bytes_are_damage(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&[MAGIC.as_slice(), &bytes].concat()).is_err());
            prop_assert!(read(&bytes).is_err());
        }
    }
}
