//! How large a model may be. Generous for networks that can run encrypted, small for a machine's memory.

/// Bytes of a file. Weights take most of them.
pub(super) const FILE_BYTES: usize = 1 << 29;

/// Strings, messages and packed lists in a file. A network of 110 layers has about ten thousand.
pub(super) const MESSAGES: usize = 1 << 18;

/// Messages inside messages; a graph without subgraphs nests four deep.
pub(super) const NESTING: usize = 32;

/// Elements of one tensor: 128 MiB as f64.
pub(super) const ELEMENTS: usize = 1 << 24;

/// Elements of all values of one evaluation: 1 GiB as f64.
pub(super) const TOTAL_ELEMENTS: usize = 1 << 27;

/// Axes of a tensor.
pub(super) const AXES: usize = 8;

/// The exponent of a power.
pub(super) const EXPONENT: u32 = 64;

/// The operator sets that the rules were written against.
pub(super) const OPSETS: std::ops::RangeInclusive<i64> = 7..=23;

/// The number of elements of a shape, if it is one that is accepted.
pub(super) fn elements(shape: &[usize]) -> Option<usize> {
    if shape.len() > AXES {
        return None;
    }
    let product = shape
        .iter()
        .try_fold(1usize, |product, &axis| product.checked_mul(axis))?;
    (1..=ELEMENTS).contains(&product).then_some(product)
}
