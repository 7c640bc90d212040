//! A look at the bytes before they are decoded: how many messages they hold, and whether they look like another format.
//!
//! Decoding turns a message of two bytes into a structure of several hundred, so a small hostile file could ask for all
//! memory. Counting first costs one walk over the tags.

use super::limits;

/// The messages that can hold others without bound.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Function,
    Training,
    Sparse,
    ValueInfo,
    Type,
    TensorType,
    /// A tensor, a shape, or another message that holds strings at most.
    Leaf,
}

impl Kind {
    /// What the length-delimited field `number` is, if it is a message that must be looked into.
    fn field(self, number: u64) -> Option<Self> {
        match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) | (Self::Training, 1 | 2) => Some(Self::Graph),
            (Self::Model, 20) => Some(Self::Training),
            (Self::Model, 25) => Some(Self::Function),
            (Self::Graph, 1) | (Self::Function, 7) => Some(Self::Node),
            (Self::Node, 5) => Some(Self::Attribute),
            (Self::Graph, 11..=13) => Some(Self::ValueInfo),
            (Self::ValueInfo, 2) | (Self::Attribute, 15) => Some(Self::Type),
            (Self::Type, 1) => Some(Self::TensorType),
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Some(Self::Sparse),
            (Self::Graph, 5 | 14) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) | (Self::TensorType, 2) => {
                Some(Self::Leaf)
            }
            (
                Self::Model
                | Self::Graph
                | Self::Node
                | Self::Attribute
                | Self::Function
                | Self::Training
                | Self::Sparse
                | Self::ValueInfo
                | Self::Type
                | Self::TensorType
                | Self::Leaf,
                _,
            ) => None,
        }
    }
}

/// Checks that decoding `bytes` takes memory in proportion to their number.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    if bytes.is_empty() {
        return Err("the file is empty".to_owned());
    }
    if let Some(format) = foreign_format(bytes) {
        return Err(format!("it is {format}"));
    }
    if bytes.len() > limits::FILE_BYTES {
        return Err(format!(
            "it has {} bytes; at most {} are read",
            bytes.len(),
            limits::FILE_BYTES
        ));
    }
    let mut fields = 0;
    count(bytes, Kind::Model, 0, &mut fields).ok_or_else(|| "it is truncated or damaged".to_owned())?;
    if fields > limits::MESSAGES {
        return Err(format!("it has more than {} parts", limits::MESSAGES));
    }
    Ok(())
}

fn foreign_format(bytes: &[u8]) -> Option<&'static str> {
    const FORMATS: [(&[u8], &str); 4] = [
        (
            b"PK\x03\x04",
            "a zip archive, such as a PyTorch checkpoint or a Keras file",
        ),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file, such as a Keras model"),
        (b"\x80\x02", "a Python pickle"),
        (b"\x93NUMPY", "a NumPy array"),
    ];
    FORMATS
        .iter()
        .find(|(magic, _)| bytes.starts_with(magic))
        .map(|(_, format)| *format)
}

/// Adds the fields of a message and of the messages in it; `None` if the bytes are cut off. Stops early once there are
/// too many.
fn count(mut bytes: &[u8], kind: Kind, depth: usize, fields: &mut usize) -> Option<()> {
    if depth > limits::NESTING {
        return None;
    }
    while !bytes.is_empty() && *fields <= limits::MESSAGES {
        let tag = varint(&mut bytes)?;
        match tag & 7 {
            0 => {
                varint(&mut bytes)?;
            }
            1 => bytes = bytes.get(8..)?,
            5 => bytes = bytes.get(4..)?,
            2 => {
                *fields += 1;
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let content = bytes.get(..length)?;
                bytes = &bytes[length..];
                if let Some(inner) = kind.field(tag >> 3) {
                    count(content, inner, depth + 1, fields)?;
                }
            }
            _ => return None,
        }
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A length-delimited field.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut length = content.len();
        let mut bytes = vec![number << 3 | 2];
        while length > 127 {
            bytes.push((length & 127 | 128) as u8);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend_from_slice(content);
        bytes
    }

    #[test]
    fn a_small_file_of_very_many_nodes_is_refused() {
        let nodes = field(1, &field(5, &[]).repeat(1000)).repeat(limits::MESSAGES / 1000);
        assert_eq!(
            check(&field(7, &nodes)),
            Err(format!("it has more than {} parts", limits::MESSAGES))
        );
    }

    #[test]
    fn graphs_nested_without_end_are_refused() {
        let mut graph = Vec::new();
        for _ in 0..50 {
            graph = field(1, &field(5, &field(6, &graph)));
        }
        assert_eq!(check(&field(7, &graph)), Err("it is truncated or damaged".to_owned()));
    }

    #[test]
    fn every_truncation_is_noticed() {
        let whole = field(7, &field(1, &field(3, b"name")));
        assert_eq!(check(&whole), Ok(()));
        for length in 0..whole.len() {
            assert!(check(&whole[..length]).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn other_formats_are_named() {
        assert!(check(b"PK\x03\x04....").is_err_and(|reason| reason.contains("PyTorch")));
        assert!(check(b"\x93NUMPY").is_err_and(|reason| reason.contains("NumPy")));
    }
}
