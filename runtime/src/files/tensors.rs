//! Tensors in `.npy` and `.npz` files.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use ndarray::{ArrayViewD, IxDyn};
use ndarray_npy::WriteNpyExt as _;

use super::atomic::{Access, Overwrite, write_file};
use super::{FileError, npy};

/// Bytes that one array may have once unpacked: what stops an archive that unpacks to more than the memory.
const MAX_ARRAY_BYTES: u64 = 2 << 30;
/// No archive of samples has more arrays.
const MAX_MEMBERS: usize = 4096;

/// Elements of a tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// Unsigned bytes, such as pixels.
    U8(Vec<u8>),
    /// Integers, such as labels.
    I64(Vec<i64>),
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
}

/// A tensor as it was found in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its elements, row-major.
    pub elements: Elements,
}

impl Tensor {
    /// Whether the elements are integers, which the client normalizes.
    pub fn is_integer(&self) -> bool {
        match self.elements {
            Elements::U8(_) | Elements::I64(_) => true,
            Elements::F32(_) | Elements::F64(_) => false,
        }
    }

    /// Name of the element type, as NumPy writes it.
    pub fn element_type(&self) -> &'static str {
        match self.elements {
            Elements::U8(_) => "uint8",
            Elements::I64(_) => "int64",
            Elements::F32(_) => "float32",
            Elements::F64(_) => "float64",
        }
    }

    /// The elements as they are, in f64, row-major.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.elements {
            Elements::U8(values) => values.iter().map(|&v| f64::from(v)).collect(),
            Elements::I64(values) => values.iter().map(|&v| v as f64).collect(),
            Elements::F32(values) => values.iter().map(|&v| f64::from(v)).collect(),
            Elements::F64(values) => values.clone(),
        }
    }

    /// The elements as class labels; `None` where they are no integers or negative.
    pub fn to_labels(&self) -> Option<Vec<usize>> {
        match &self.elements {
            Elements::U8(values) => Some(values.iter().map(|&v| usize::from(v)).collect()),
            Elements::I64(values) => values.iter().map(|&v| usize::try_from(v).ok()).collect(),
            Elements::F32(_) | Elements::F64(_) => None,
        }
    }
}

/// Why a tensor cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// Neither `.npy` nor `.npz`.
    #[error("it is neither a .npy nor a .npz file; save the array with numpy.save or numpy.savez")]
    NotNpy,
    /// Broken in another way.
    #[error("it is not a readable array: {reason}; save it again with numpy.save")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// An element type that is not read.
    #[error("its elements have type {found}; uint8, int64, float32 and float64 are accepted, convert it with astype")]
    Type {
        /// The type, as NumPy writes it.
        found: String,
    },
    /// A `.npz` archive without the asked array.
    #[error("it has no array `{wanted}`; it has {}", found.join(", "))]
    NoMember {
        /// What was asked for.
        wanted: String,
        /// What it has.
        found: Vec<String>,
    },
    /// A `.npz` archive with several arrays, none of which was asked for.
    #[error("it has several arrays, name one of them: {}", found.join(", "))]
    Ambiguous {
        /// What it has.
        found: Vec<String>,
    },
    /// More bytes than are read.
    #[error("the array has more than {} MiB; split it", limit_bytes >> 20)]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
}

/// Reads a `.npy` file, or one array of a `.npz` file: the named one, or the only one.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::Io`], [`FileError::Tensor`].
pub fn read_tensor(path: &Path, member: Option<&str>) -> Result<Tensor, FileError> {
    let failed = |source| FileError::io("read", path, source);
    let file = File::open(path).map_err(failed)?;
    let tensor = decode(file, member);
    tensor.map_err(|error| match error {
        DecodeError::Io(source) => failed(source),
        DecodeError::Tensor(source) => FileError::Tensor {
            path: path.to_path_buf(),
            source,
        },
    })
}

/// Writes values as a float64 `.npy` file.
///
/// # Shapes
/// `values`: row-major, as many as the shape has elements.
///
/// # Errors
/// [`FileError::Exists`], [`FileError::DiskFull`], [`FileError::Io`].
pub fn write_tensor(path: &Path, shape: &[usize], values: &[f64], overwrite: Overwrite) -> Result<(), FileError> {
    write_file(path, Access::Owner, overwrite, |writer| {
        let view = ArrayViewD::from_shape(IxDyn(shape), values).map_err(io::Error::other)?;
        view.write_npy(writer).map_err(|error| match error {
            ndarray_npy::WriteNpyError::Io(error) => error,
            other => io::Error::other(other),
        })
    })
}

enum DecodeError {
    Io(io::Error),
    Tensor(TensorError),
}

impl From<TensorError> for DecodeError {
    fn from(error: TensorError) -> Self {
        Self::Tensor(error)
    }
}

impl From<io::Error> for DecodeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<zip::result::ZipError> for DecodeError {
    fn from(error: zip::result::ZipError) -> Self {
        match error {
            zip::result::ZipError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => Self::Io(error),
            other => Self::Tensor(TensorError::Malformed {
                reason: other.to_string(),
            }),
        }
    }
}

fn decode<R: Read + Seek>(mut source: R, member: Option<&str>) -> Result<Tensor, DecodeError> {
    let mut magic = Vec::new();
    source.by_ref().take(4).read_to_end(&mut magic)?;
    source.rewind()?;
    match magic.as_slice() {
        b"\x93NUM" => Ok(npy::decode(&read_limited(source)?)?),
        b"PK\x03\x04" | b"PK\x05\x06" => decode_archive(source, member),
        _ => Err(TensorError::NotNpy.into()),
    }
}

/// Grows with what is read, not with what a header promises.
fn read_limited(source: impl Read) -> Result<Vec<u8>, DecodeError> {
    let mut bytes = Vec::new();
    source.take(MAX_ARRAY_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_ARRAY_BYTES {
        return Err(TensorError::TooLarge {
            limit_bytes: MAX_ARRAY_BYTES,
        }
        .into());
    }
    Ok(bytes)
}

fn decode_archive<R: Read + Seek>(source: R, wanted: Option<&str>) -> Result<Tensor, DecodeError> {
    let mut archive = zip::ZipArchive::new(source)?;
    if archive.len() > MAX_MEMBERS {
        let reason = format!("it has {} members", archive.len());
        return Err(TensorError::Malformed { reason }.into());
    }
    let short = |name: &str| name.strip_suffix(".npy").unwrap_or(name).to_owned();
    let found: Vec<String> = archive.file_names().map(short).collect();
    let chosen = match (wanted, found.as_slice()) {
        (Some(wanted), _) => found.iter().find(|name| *name == wanted),
        (None, [only]) => Some(only),
        (None, []) => None,
        (None, _) => return Err(TensorError::Ambiguous { found }.into()),
    };
    let Some(chosen) = chosen.cloned() else {
        let wanted = wanted.unwrap_or_default().to_owned();
        return Err(TensorError::NoMember { wanted, found }.into());
    };
    let index = archive
        .index_for_name(&format!("{chosen}.npy"))
        .or_else(|| archive.index_for_name(&chosen));
    let index = index.ok_or(TensorError::NoMember { wanted: chosen, found })?;
    let member = archive.by_index(index)?;
    // The members' own errors (a wrong checksum) are defects of the archive, not of the disk.
    let bytes = read_limited(member).map_err(|error| match error {
        DecodeError::Io(error) => TensorError::Malformed {
            reason: error.to_string(),
        }
        .into(),
        tensor @ DecodeError::Tensor(_) => tensor,
    })?;
    Ok(npy::decode(&bytes)?)
}
