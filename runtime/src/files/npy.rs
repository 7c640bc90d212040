//! Decodes the bytes of one `.npy` array: u8, i64, f32 and f64, either byte order, C or Fortran order.

use ndarray::{ArrayD, IxDyn, ShapeBuilder as _};
use ndarray_npy::npy::header::{Header, Layout};

use super::tensors::{Elements, Tensor, TensorError};

/// Header bytes beyond this belong to no plain array (NumPy's own limit is 10,000).
const MAX_HEADER_BYTES: usize = 4096;
/// A dictionary and the tuple of the shape; more nesting is a structured type, or an attack on a recursive parser.
const MAX_BRACKETS: usize = 2;
const MAX_AXES: usize = 32;

/// Magic, version and the length of the header.
fn header_bytes(bytes: &[u8]) -> Result<usize, TensorError> {
    let malformed = |reason: &str| TensorError::Malformed {
        reason: reason.to_owned(),
    };
    if bytes.get(..6) != Some(b"\x93NUMPY".as_slice()) {
        return Err(TensorError::NotNpy);
    }
    let cut_off = || malformed("it ends within its header");
    let byte = |index: usize| bytes.get(index).map(|&b| usize::from(b)).ok_or_else(cut_off);
    let (prefix, length) = match byte(6)? {
        1 => (10, byte(8)? | byte(9)? << 8),
        2 | 3 => (12, byte(8)? | byte(9)? << 8 | byte(10)? << 16 | byte(11)? << 24),
        _ => return Err(malformed("its format version is not 1, 2 or 3")),
    };
    if length > MAX_HEADER_BYTES {
        return Err(malformed("its header is too long for an array of numbers"));
    }
    let header = bytes.get(prefix..prefix + length).ok_or_else(cut_off)?;
    if header.iter().filter(|&&b| matches!(b, b'(' | b'[' | b'{')).count() > MAX_BRACKETS {
        return Err(malformed("its header describes a structured type"));
    }
    Ok(prefix + length)
}

/// Decodes a whole `.npy` file.
///
/// # Errors
/// [`TensorError`]; nothing is allocated beyond the given bytes' own size.
pub(super) fn decode(bytes: &[u8]) -> Result<Tensor, TensorError> {
    let start = header_bytes(bytes)?;
    let malformed = |reason: String| TensorError::Malformed { reason };
    let header = Header::from_reader(&mut &bytes[..start]).map_err(|error| malformed(error.to_string()))?;
    if header.shape.len() > MAX_AXES {
        return Err(malformed(format!("it has {} axes", header.shape.len())));
    }
    let n = header.shape.iter().try_fold(1usize, |n, &len| n.checked_mul(len));
    let n = n.ok_or_else(|| malformed("its shape is too large".to_owned()))?;
    let mut raw = Raw {
        header: &header,
        n,
        bytes: &bytes[start..],
    };
    let descriptor = header.type_descriptor.to_string();
    // The descriptor is a quoted Python string.
    let elements = match descriptor.trim_matches(|c| c == '\'' || c == '"') {
        "|u1" | "<u1" | ">u1" => Elements::U8(raw.array(|[b]| b)?),
        "<i8" => Elements::I64(raw.array(i64::from_le_bytes)?),
        ">i8" => Elements::I64(raw.array(i64::from_be_bytes)?),
        "<f4" => Elements::F32(raw.array(f32::from_le_bytes)?),
        ">f4" => Elements::F32(raw.array(f32::from_be_bytes)?),
        "<f8" => Elements::F64(raw.array(f64::from_le_bytes)?),
        ">f8" => Elements::F64(raw.array(f64::from_be_bytes)?),
        found => {
            return Err(TensorError::Type {
                found: found.to_owned(),
            });
        }
    };
    Ok(Tensor {
        shape: header.shape,
        elements,
    })
}

struct Raw<'a> {
    header: &'a Header,
    n: usize,
    bytes: &'a [u8],
}

impl Raw<'_> {
    /// The elements in C order.
    fn array<T: Clone, const SIZE: usize>(&mut self, decode: impl Fn([u8; SIZE]) -> T) -> Result<Vec<T>, TensorError> {
        if self.n.checked_mul(SIZE) != Some(self.bytes.len()) {
            let (found, shape) = (self.bytes.len(), &self.header.shape);
            let reason = format!("it holds {found} bytes of data, which its shape {shape:?} does not need");
            return Err(TensorError::Malformed { reason });
        }
        let (chunks, _) = self.bytes.as_chunks::<SIZE>();
        let data: Vec<T> = chunks.iter().map(|&chunk| decode(chunk)).collect();
        match self.header.layout {
            Layout::Standard => Ok(data),
            Layout::Fortran => {
                let array = ArrayD::from_shape_vec(IxDyn(&self.header.shape).f(), data);
                let array = array.map_err(|error| TensorError::Malformed {
                    reason: error.to_string(),
                })?;
                Ok(array.iter().cloned().collect())
            }
        }
    }
}
