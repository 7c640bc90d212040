//! ONNX files made by hand, for models that no exporter would give us.
//!
//! Protocol buffers are fields of a number, a kind and a value; the field numbers are those of `onnx.proto`.

/// A node of a hand-made model.
pub(crate) struct HandNode<'a> {
    pub(crate) name: &'a str,
    pub(crate) op: &'a str,
    pub(crate) inputs: &'a [&'a str],
    pub(crate) outputs: &'a [&'a str],
    /// Integer attributes.
    pub(crate) attributes: &'a [(&'a str, u64)],
    /// Attributes that are lists of integers.
    pub(crate) lists: &'a [(&'a str, &'a [u64])],
}

/// A tensor of weights or of the network's input or output; an axis of length 0 is dynamic.
pub(crate) struct HandTensor<'a> {
    pub(crate) name: &'a str,
    pub(crate) shape: &'a [u64],
}

/// The bytes of a model with one input, float32 weights that are all 0.5, and one output.
pub(crate) fn model(
    input: &HandTensor<'_>,
    weights: &[HandTensor<'_>],
    nodes: &[HandNode<'_>],
    output: &HandTensor<'_>,
) -> Vec<u8> {
    let mut graph = Vec::new();
    nodes.iter().for_each(|n| message(&mut graph, 1, &node(n)));
    text(&mut graph, 2, "hand-made");
    weights.iter().for_each(|w| message(&mut graph, 5, &initializer(w)));
    message(&mut graph, 11, &value_info(input));
    message(&mut graph, 12, &value_info(output));
    let mut opset = Vec::new();
    text(&mut opset, 1, "");
    number(&mut opset, 2, 13);
    let mut model = Vec::new();
    number(&mut model, 1, 7);
    message(&mut model, 7, &graph);
    message(&mut model, 8, &opset);
    model
}

/// A network with a recurrent and a detection node, neither of which can be compiled.
pub(crate) fn with_unsupported_nodes() -> Vec<u8> {
    let weights = [
        HandTensor {
            name: "w",
            shape: &[1, 16, 4],
        },
        HandTensor {
            name: "r",
            shape: &[1, 16, 4],
        },
        HandTensor {
            name: "scores",
            shape: &[1, 1, 1],
        },
    ];
    let nodes = [
        HandNode {
            name: "memory",
            op: "LSTM",
            inputs: &["x", "w", "r"],
            outputs: &["y", "boxes"],
            attributes: &[("hidden_size", 4)],
            lists: &[],
        },
        HandNode {
            name: "detections",
            op: "NonMaxSuppression",
            inputs: &["boxes", "scores"],
            outputs: &["chosen"],
            attributes: &[],
            lists: &[],
        },
    ];
    let output = HandTensor {
        name: "chosen",
        shape: &[1, 3],
    };
    model(
        &HandTensor {
            name: "x",
            shape: &[1, 1, 4],
        },
        &weights,
        &nodes,
        &output,
    )
}

fn node(node: &HandNode<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    node.inputs.iter().for_each(|name| text(&mut out, 1, name));
    node.outputs.iter().for_each(|name| text(&mut out, 2, name));
    text(&mut out, 3, node.name);
    text(&mut out, 4, node.op);
    for (name, value) in node.attributes {
        const INTEGER: u64 = 2;
        let mut attribute = Vec::new();
        text(&mut attribute, 1, name);
        number(&mut attribute, 3, *value);
        number(&mut attribute, 20, INTEGER);
        message(&mut out, 5, &attribute);
    }
    for (name, values) in node.lists {
        const INTEGERS: u64 = 7;
        let mut attribute = Vec::new();
        text(&mut attribute, 1, name);
        values.iter().for_each(|value| number(&mut attribute, 8, *value));
        number(&mut attribute, 20, INTEGERS);
        message(&mut out, 5, &attribute);
    }
    out
}

const FLOAT: u64 = 1;

fn initializer(tensor: &HandTensor<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    tensor.shape.iter().for_each(|dim| number(&mut out, 1, *dim));
    number(&mut out, 2, FLOAT);
    text(&mut out, 8, tensor.name);
    let n_values = tensor.shape.iter().product::<u64>() as usize;
    message(&mut out, 9, &0.5f32.to_le_bytes().repeat(n_values));
    out
}

fn value_info(tensor: &HandTensor<'_>) -> Vec<u8> {
    let mut shape = Vec::new();
    for dim in tensor.shape {
        let mut dimension = Vec::new();
        match dim {
            0 => text(&mut dimension, 2, "side"),
            length => number(&mut dimension, 1, *length),
        }
        message(&mut shape, 1, &dimension);
    }
    let mut tensor_type = Vec::new();
    number(&mut tensor_type, 1, FLOAT);
    message(&mut tensor_type, 2, &shape);
    let mut of_type = Vec::new();
    message(&mut of_type, 1, &tensor_type);
    let mut out = Vec::new();
    text(&mut out, 1, tensor.name);
    message(&mut out, 2, &of_type);
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn message(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, (field << 3) | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn text(out: &mut Vec<u8>, field: u64, value: &str) {
    message(out, field, value.as_bytes());
}
