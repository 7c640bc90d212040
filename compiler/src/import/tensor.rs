//! Constants of a model: initializers and what is folded from them.

use tract_onnx::pb::{TensorProto, tensor_proto::DataLocation, tensor_proto::DataType};
use tract_onnx::prelude::f16;

use super::limits;

/// A constant tensor, row-major. Integers and booleans are kept as f64, exact up to 2^53.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f64>,
    /// Whether the elements are whole numbers by type, so that a division rounds towards zero.
    pub(super) integer: bool,
}

impl Tensor {
    /// A vector of whole numbers.
    pub(super) fn integers(values: impl IntoIterator<Item = i64>) -> Self {
        let values: Vec<f64> = values.into_iter().map(|value| value as f64).collect();
        Self {
            shape: vec![values.len()],
            values,
            integer: true,
        }
    }

    /// A vector of numbers.
    pub(super) fn floats(values: impl IntoIterator<Item = f32>) -> Self {
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        Self {
            shape: vec![values.len()],
            values,
            integer: false,
        }
    }

    /// The same tensor without axes; for one element.
    pub(super) fn into_scalar(self) -> Self {
        Self {
            shape: Vec::new(),
            ..self
        }
    }

    /// The elements as whole numbers; `as` saturates, which is what "to the end" means in a slice.
    pub(super) fn to_integers(&self) -> Vec<i64> {
        self.values.iter().map(|&value| value as i64).collect()
    }

    /// The value that all elements have, if they are equal and there is one.
    pub(super) fn single_value(&self) -> Option<f64> {
        let first = *self.values.first()?;
        self.values.iter().all(|&value| value == first).then_some(first)
    }
}

/// Whether the elements are in another file.
pub(super) fn is_external(proto: &TensorProto) -> bool {
    proto.data_location == Some(DataLocation::External as i32) || !proto.external_data.is_empty()
}

/// Reads a constant.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn read(proto: &TensorProto) -> Result<Tensor, String> {
    let shape: Vec<usize> = proto
        .dims
        .iter()
        .map(|&axis| usize::try_from(axis).map_err(|_| format!("its shape {:?} has a negative axis", proto.dims)))
        .collect::<Result<_, _>>()?;
    let data_type =
        DataType::try_from(proto.data_type).map_err(|_| format!("its data type {} is unknown", proto.data_type))?;
    let (values, integer) = read_values(proto, data_type)?;
    let expected = shape
        .iter()
        .try_fold(1usize, |product, &axis| product.checked_mul(axis));
    if expected != Some(values.len()) {
        return Err(format!(
            "it holds {} elements, but its shape is {shape:?}",
            values.len()
        ));
    }
    if shape.len() > limits::AXES {
        return Err(format!(
            "it has {} axes; at most {} are read",
            shape.len(),
            limits::AXES
        ));
    }
    Ok(Tensor { shape, values, integer })
}

fn read_values(proto: &TensorProto, data_type: DataType) -> Result<(Vec<f64>, bool), String> {
    let raw = proto.raw_data.as_slice();
    let words = || proto.int32_data.iter();
    Ok(match data_type {
        DataType::Float if raw.is_empty() => (proto.float_data.iter().copied().map(f64::from).collect(), false),
        DataType::Float => (chunks(raw, |bytes| f64::from(f32::from_le_bytes(bytes)))?, false),
        DataType::Double if raw.is_empty() => (proto.double_data.clone(), false),
        DataType::Double => (chunks(raw, f64::from_le_bytes)?, false),
        DataType::Float16 if raw.is_empty() => (
            words().map(|&bits| f16::from_bits(bits as u16).to_f64()).collect(),
            false,
        ),
        DataType::Float16 => (chunks(raw, |bytes| f16::from_le_bytes(bytes).to_f64())?, false),
        DataType::Int64 if raw.is_empty() => (proto.int64_data.iter().map(|&value| value as f64).collect(), true),
        DataType::Int64 => (chunks(raw, |bytes| i64::from_le_bytes(bytes) as f64)?, true),
        DataType::Int32 | DataType::Int16 | DataType::Int8 | DataType::Uint16 | DataType::Uint8 | DataType::Bool
            if raw.is_empty() =>
        {
            (words().copied().map(f64::from).collect(), true)
        }
        DataType::Int32 => (chunks(raw, |bytes| f64::from(i32::from_le_bytes(bytes)))?, true),
        DataType::Int16 => (chunks(raw, |bytes| f64::from(i16::from_le_bytes(bytes)))?, true),
        DataType::Uint16 => (chunks(raw, |bytes| f64::from(u16::from_le_bytes(bytes)))?, true),
        DataType::Int8 => (chunks(raw, |bytes| f64::from(i8::from_le_bytes(bytes)))?, true),
        DataType::Uint8 | DataType::Bool => (chunks(raw, |[byte]: [u8; 1]| f64::from(byte))?, true),
        other => return Err(format!("its data type {} is not read", other.as_str_name())),
    })
}

/// Elements of `N` bytes each.
fn chunks<const N: usize>(raw: &[u8], read: impl Fn([u8; N]) -> f64) -> Result<Vec<f64>, String> {
    let (elements, rest) = raw.as_chunks::<N>();
    if !rest.is_empty() {
        return Err(format!("its {} bytes are no whole number of elements", raw.len()));
    }
    Ok(elements.iter().map(|&bytes| read(bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proto(data_type: DataType, dims: &[i64]) -> TensorProto {
        TensorProto {
            dims: dims.to_vec(),
            data_type: data_type as i32,
            ..TensorProto::default()
        }
    }

    #[track_caller]
    fn check(proto: &TensorProto, expected: Result<&[f64], &str>) {
        match (read(proto), expected) {
            (Ok(tensor), Ok(values)) => assert_eq!(tensor.values, values),
            (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason}"),
            (found, expected) => panic!("found {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn typed_and_raw_data_give_the_same_elements() {
        let typed = TensorProto {
            float_data: vec![1.5, -2.0],
            ..proto(DataType::Float, &[2])
        };
        check(&typed, Ok(&[1.5, -2.0]));
        let raw = |data_type, bytes: &[u8]| TensorProto {
            raw_data: bytes.to_vec(),
            ..proto(data_type, &[2])
        };
        check(
            &raw(DataType::Float, &[0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0]),
            Ok(&[1.5, -2.0]),
        );
        check(&raw(DataType::Float16, &[0x00, 0x3e, 0x00, 0xc0]), Ok(&[1.5, -2.0]));
        check(&raw(DataType::Uint8, &[7, 255]), Ok(&[7.0, 255.0]));
        check(&raw(DataType::Int8, &[7, 255]), Ok(&[7.0, -1.0]));
        let half = TensorProto {
            int32_data: vec![0x3e00, 0xc000],
            ..proto(DataType::Float16, &[2])
        };
        check(&half, Ok(&[1.5, -2.0]));
    }

    #[test]
    fn shape_and_data_must_agree() {
        let short = TensorProto {
            float_data: vec![1.0],
            ..proto(DataType::Float, &[1 << 40, 1 << 40])
        };
        check(&short, Err("holds 1 elements"));
        check(&proto(DataType::Float, &[-1]), Err("negative axis"));
        let ragged = TensorProto {
            raw_data: vec![0; 7],
            ..proto(DataType::Float, &[2])
        };
        check(&ragged, Err("no whole number of elements"));
    }

    #[test]
    fn strings_are_refused() {
        check(&proto(DataType::String, &[1]), Err("STRING is not read"));
    }
}
