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

    /// How many samples of a shape there are: one, or as many as the leading axis says.
    pub fn n_samples(&self, sample_shape: &[usize]) -> usize {
        if self.shape == sample_shape {
            return 1;
        }
        self.shape.first().copied().unwrap_or(0)
    }

    /// At most the first `n` samples of a shape; a tensor of another shape as it is.
    pub fn first(mut self, n: usize, sample_shape: &[usize]) -> Self {
        if self.shape.get(1..) == Some(sample_shape) && n < self.shape[0] {
            self.shape[0] = n;
            let len = self.shape.iter().product();
            match &mut self.elements {
                Elements::U8(values) => values.truncate(len),
                Elements::I64(values) => values.truncate(len),
                Elements::F32(values) => values.truncate(len),
                Elements::F64(values) => values.truncate(len),
            }
        }
        self
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
    let tensor = decode(file, member, MAX_ARRAY_BYTES);
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

fn decode<R: Read + Seek>(mut source: R, member: Option<&str>, limit_bytes: u64) -> Result<Tensor, DecodeError> {
    let mut magic = Vec::new();
    source.by_ref().take(4).read_to_end(&mut magic)?;
    source.rewind()?;
    match magic.as_slice() {
        b"\x93NUM" => Ok(npy::decode(&read_limited(source, limit_bytes)?)?),
        b"PK\x03\x04" | b"PK\x05\x06" => decode_archive(source, member, limit_bytes),
        _ => Err(TensorError::NotNpy.into()),
    }
}

/// Grows with what is read, not with what a header promises.
fn read_limited(source: impl Read, limit_bytes: u64) -> Result<Vec<u8>, DecodeError> {
    let mut bytes = Vec::new();
    source.take(limit_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(TensorError::TooLarge { limit_bytes }.into());
    }
    Ok(bytes)
}

fn decode_archive<R: Read + Seek>(source: R, wanted: Option<&str>, limit_bytes: u64) -> Result<Tensor, DecodeError> {
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
    let bytes = read_limited(member, limit_bytes).map_err(|error| match error {
        DecodeError::Io(error) => TensorError::Malformed {
            reason: error.to_string(),
        }
        .into(),
        tensor @ DecodeError::Tensor(_) => tensor,
    })?;
    Ok(npy::decode(&bytes)?)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use ndarray::{Array, Array2, ShapeBuilder as _};
    use proptest::prelude::*;
    use zip::write::SimpleFileOptions;

    use super::*;

    const LIMIT: u64 = 1 << 20;

    fn decoded(bytes: &[u8], member: Option<&str>) -> Result<Tensor, TensorError> {
        decode(Cursor::new(bytes), member, LIMIT).map_err(|error| match error {
            DecodeError::Tensor(error) => error,
            DecodeError::Io(error) => panic!("memory does not fail: {error}"),
        })
    }

    fn npy<A: ndarray_npy::WritableElement, D: ndarray::Dimension>(array: &Array<A, D>) -> Vec<u8> {
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).expect("memory does not fail");
        bytes
    }

    fn npz(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        for (name, bytes) in members {
            archive.start_file(*name, options).expect("the names differ");
            archive.write_all(bytes).expect("memory does not fail");
        }
        archive.finish().expect("memory does not fail").into_inner()
    }

    fn counted() -> Array2<f32> {
        Array2::from_shape_fn((3, 4), |(i, j)| (4 * i + j) as f32)
    }

    #[test]
    fn reads_all_element_types_in_both_orders() {
        let expected = Tensor {
            shape: vec![3, 4],
            elements: Elements::F32((0..12).map(|i| i as f32).collect()),
        };
        assert_eq!(decoded(&npy(&counted()), None), Ok(expected.clone()));
        let mut fortran = Array2::<f32>::zeros((3, 4).f());
        fortran.assign(&counted());
        let bytes = npy(&fortran);
        assert!(String::from_utf8_lossy(&bytes).contains("'fortran_order': True"));
        assert_eq!(decoded(&bytes, None), Ok(expected));
        let elements = |bytes: &[u8]| decoded(bytes, None).expect("it is readable").elements;
        assert_eq!(
            elements(&npy(&counted().mapv(|x| x as u8))),
            Elements::U8((0..12).collect())
        );
        assert_eq!(
            elements(&npy(&counted().mapv(|x| x as i64))),
            Elements::I64((0..12).collect())
        );
        let doubles = Elements::F64((0..12).map(f64::from).collect());
        assert_eq!(elements(&npy(&counted().mapv(f64::from))), doubles);
    }

    #[test]
    fn reads_big_endian_and_empty_shapes() {
        let mut bytes = npy(&ndarray::arr0(258i64));
        let at = bytes.windows(3).position(|w| w == b"<i8").expect("the descriptor");
        bytes[at] = b'>';
        let tensor = decoded(&bytes, None).expect("it is readable");
        assert_eq!(
            tensor,
            Tensor {
                shape: vec![],
                elements: Elements::I64(vec![258i64.swap_bytes()])
            }
        );
    }

    #[test]
    fn names_the_type_that_it_does_not_read() {
        let refused = decoded(&npy(&counted().mapv(|x| x as u16)), None);
        assert_eq!(
            refused,
            Err(TensorError::Type {
                found: "<u2".to_owned()
            })
        );
    }

    #[test]
    fn an_archive_gives_its_only_array_or_the_named_one() {
        let (x, y) = (npy(&counted()), npy(&ndarray::arr1(&[1i64, 2])));
        let one = npz(&[("x.npy", &x)]);
        let two = npz(&[("x.npy", &x), ("y.npy", &y)]);
        assert_eq!(decoded(&one, None), decoded(&x, None));
        assert_eq!(decoded(&two, Some("y")), decoded(&y, None));
        let found = vec!["x".to_owned(), "y".to_owned()];
        assert_eq!(
            decoded(&two, None),
            Err(TensorError::Ambiguous { found: found.clone() })
        );
        assert_eq!(
            decoded(&two, Some("z")),
            Err(TensorError::NoMember {
                wanted: "z".to_owned(),
                found
            })
        );
    }

    #[test]
    fn an_archive_that_unpacks_beyond_the_limit_is_refused() {
        let zeros = npy(&Array2::<f64>::zeros((1 << 10, 1 << 10)));
        let bomb = npz(&[("x.npy", &zeros)]);
        assert!((bomb.len() as u64) < LIMIT / 64);
        assert_eq!(decoded(&bomb, None), Err(TensorError::TooLarge { limit_bytes: LIMIT }));
        assert_eq!(decoded(&zeros, None), Err(TensorError::TooLarge { limit_bytes: LIMIT }));
    }

    #[test]
    fn a_shape_beyond_the_data_is_refused_before_anything_is_allocated() {
        for shape in ["(99999999999999, 4), ", "(4294967296, 4294967296), ", "(3, 5), "] {
            let header = format!("{{'descr': '<f4', 'fortran_order': True, 'shape': {shape}}}\n");
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((header.len() as u16).to_le_bytes());
            bytes.extend(header.as_bytes());
            bytes.extend([0; 48]);
            assert!(
                matches!(decoded(&bytes, None), Err(TensorError::Malformed { .. })),
                "{shape}"
            );
        }
    }

    #[test]
    fn a_nested_header_cannot_exhaust_the_stack() {
        let header = "(".repeat(4000) + "\n";
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        assert!(matches!(decoded(&bytes, None), Err(TensorError::Malformed { .. })));
    }

    proptest! {
        #[test]
        fn damaged_arrays_never_panic(
            at in any::<prop::sample::Index>(),
            bit in 0u8..8,
            keep in any::<prop::sample::Index>(),
        ) {
            let x = npy(&counted());
            for whole in [npz(&[("x.npy", &x)]), x] {
                let mut flipped = whole.clone();
                flipped[at.index(whole.len())] ^= 1 << bit;
                let _survived = decoded(&flipped, None);
                prop_assert!(decoded(&whole[..keep.index(whole.len())], None).is_err());
            }
        }

        #[test]
        fn random_bytes_are_no_array(tail in prop::collection::vec(any::<u8>(), 0..200), start in 0usize..4) {
            let starts: [&[u8]; 4] = [b"", b"\x93NUMPY\x01\x00", b"PK\x03\x04", b"\x93NUMPY\x02\x00\x10\x00\x00\x00"];
            prop_assert!(decoded(&[starts[start], &tail].concat(), None).is_err());
        }
    }
}
