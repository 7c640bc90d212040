//! The table of supported operators: what is imported, what is checked and what `heron ops` prints are the same lines.

use super::site::{Site, Stop, Value};
use super::{
    activation, constant, conv, conv_transpose, elementwise, fold, gemm, join, norm, pad, pool, reduce, resize, select,
    shape, tail,
};

/// How one operator is imported.
pub(super) struct Entry {
    /// The ONNX operator.
    pub(super) op: &'static str,
    /// Every attribute that the rule reads or may ignore; any other is refused.
    pub(super) attributes: &'static [&'static str],
    /// What is accepted, in words.
    pub(super) limits: &'static str,
    /// Imports a node.
    pub(super) rule: fn(&mut Site<'_>) -> Result<Value, Stop>,
}

/// One line of the table of supported operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupportedOp {
    /// The ONNX operator.
    pub op: &'static str,
    /// The attributes that are understood.
    pub attributes: &'static [&'static str],
    /// What is accepted, in words.
    pub limits: &'static str,
}

const FAMILIES: &[&[Entry]] = &[
    gemm::ENTRIES,
    conv::ENTRIES,
    conv_transpose::ENTRIES,
    pool::ENTRIES,
    reduce::ENTRIES,
    norm::ENTRIES,
    activation::ENTRIES,
    elementwise::ENTRIES,
    pad::ENTRIES,
    shape::ENTRIES,
    constant::ENTRIES,
    fold::ENTRIES,
    select::ENTRIES,
    join::ENTRIES,
    resize::ENTRIES,
    tail::ENTRIES,
];

/// The supported ONNX operators, by name.
pub fn supported_ops() -> Vec<SupportedOp> {
    let mut ops: Vec<SupportedOp> = FAMILIES
        .iter()
        .flat_map(|family| family.iter())
        .map(|entry| SupportedOp {
            op: entry.op,
            attributes: entry.attributes,
            limits: entry.limits,
        })
        .collect();
    ops.sort_by_key(|line| line.op);
    ops
}

/// The entry of an operator.
pub(super) fn entry(op: &str) -> Option<&'static Entry> {
    FAMILIES
        .iter()
        .flat_map(|family| family.iter())
        .find(|entry| entry.op == op)
}

/// What to do about an operator that is not in the table.
pub(super) fn remedy(op: &str) -> &'static str {
    match op {
        "LSTM" | "GRU" | "RNN" | "Loop" | "Scan" | "If" => {
            "unroll the network or use one without recurrence or control flow: a plan is a straight line"
        }
        "NonMaxSuppression" | "TopK" | "NonZero" | "Greater" | "Less" => {
            "cut the network before it and let the client compute it after decryption"
        }
        "LogSoftmax" => "cut the network before it: the client can compute it after decryption",
        "QuantizeLinear" | "DequantizeLinear" | "QLinearConv" | "QLinearMatMul" | "ConvInteger" | "MatMulInteger" => {
            "export the network in floating point, before quantization"
        }
        _ => "`heron ops` lists what is supported; rewrite the layer with those operators or cut the network before it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_has_one_entry() {
        let ops = supported_ops();
        assert!(
            ops.windows(2).all(|pair| pair[0].op < pair[1].op),
            "two entries for one operator"
        );
    }

    #[test]
    fn every_limit_is_one_short_line() {
        for line in supported_ops() {
            assert!(
                !line.limits.is_empty() && line.limits.len() <= 100,
                "{}: {}",
                line.op,
                line.limits
            );
        }
    }
}
