//! Small ONNX models for the tests of this folder.

use prost::Message as _;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};

/// A model under construction. A node's result has the node's name; the last node's result is the output.
#[derive(Clone)]
pub(super) struct Model {
    opset: i64,
    pub(super) graph: GraphProto,
}

impl Model {
    /// With an input `x` of the given shape, batch axis included; 0 stands for a dynamic axis.
    pub(super) fn new(opset: i64, shape: &[i64]) -> Self {
        let graph = GraphProto {
            input: vec![input("x", shape)],
            ..GraphProto::default()
        };
        Self { opset, graph }
    }

    pub(super) fn floats(mut self, name: &str, shape: &[i64], values: &[f32]) -> Self {
        self.graph.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: shape.to_vec(),
            data_type: DataType::Float as i32,
            float_data: values.to_vec(),
            ..TensorProto::default()
        });
        self
    }

    pub(super) fn integers(mut self, name: &str, values: &[i64]) -> Self {
        self.graph.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: vec![values.len() as i64],
            data_type: DataType::Int64 as i32,
            int64_data: values.to_vec(),
            ..TensorProto::default()
        });
        self
    }

    pub(super) fn node(self, name: &str, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> Self {
        self.node_with_results(op, inputs, &[name], attributes)
    }

    /// A node with several results, named as its first.
    pub(super) fn node_with_results(
        mut self,
        op: &str,
        inputs: &[&str],
        results: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> Self {
        self.graph.node.push(NodeProto {
            name: results.first().copied().unwrap_or_default().to_owned(),
            op_type: op.to_owned(),
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: results.iter().map(|&result| result.to_owned()).collect(),
            attribute: attributes,
            ..NodeProto::default()
        });
        self
    }

    pub(super) fn proto(mut self) -> ModelProto {
        if let Some(last) = self.graph.node.last() {
            self.graph.output = vec![ValueInfoProto {
                name: last.name.clone(),
                ..ValueInfoProto::default()
            }];
        }
        ModelProto {
            ir_version: 7,
            opset_import: vec![OperatorSetIdProto {
                version: self.opset,
                ..OperatorSetIdProto::default()
            }],
            graph: Some(self.graph),
            ..ModelProto::default()
        }
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.proto().encode_to_vec()
    }
}

/// A graph input of floats; 0 stands for a dynamic axis.
pub(super) fn input(name: &str, shape: &[i64]) -> ValueInfoProto {
    let dim = shape
        .iter()
        .map(|&length| Dimension {
            value: Some(match length {
                0 => dimension::Value::DimParam("length".to_owned()),
                length => dimension::Value::DimValue(length),
            }),
            ..Dimension::default()
        })
        .collect();
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: DataType::Float as i32,
                shape: Some(TensorShapeProto { dim }),
            })),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: kind as i32,
        ..AttributeProto::default()
    }
}

pub(super) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        i,
        ..attribute(name, AttributeType::Int)
    }
}

pub(super) fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        ints: ints.to_vec(),
        ..attribute(name, AttributeType::Ints)
    }
}

pub(super) fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        f,
        ..attribute(name, AttributeType::Float)
    }
}

pub(super) fn text(name: &str, text: &str) -> AttributeProto {
    AttributeProto {
        s: text.as_bytes().to_vec(),
        ..attribute(name, AttributeType::String)
    }
}
