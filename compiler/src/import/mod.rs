//! ONNX bytes to the graph of a network, or everything that stands in the way.
//!
//! The protobuf messages are walked as they are, so that node names, attributes and shapes can be named in every problem.
//! tract decodes them and is the oracle that evaluates the whole model independently; nothing outside of this folder
//! knows it.
//!
//! **Invariant:** no byte sequence makes [`import`] panic or allocate out of proportion to its length and the limits.

mod activation;
mod broadcast;
mod constant;
mod conv;
mod conv_transpose;
mod elementwise;
mod error;
#[cfg(test)]
mod fixture;
mod fold;
mod gemm;
mod interface;
mod join;
mod limits;
mod norm;
mod oracle;
mod pad;
mod pool;
mod reduce;
mod resize;
mod select;
mod shape;
mod site;
mod slice;
mod table;
mod tail;
mod tensor;
#[cfg(test)]
mod tests;
mod window;
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use heron_plan::ClientTail;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};
use tract_onnx::prelude::Framework;

pub use self::error::{ImportError, Problem};
pub use self::oracle::{OnnxClear, OracleError};
pub use self::table::{SupportedOp, supported_ops};

use self::site::{Computed, Site, State, Value};
use crate::graph::Graph;
use crate::nn::Op;

/// A network, and what of the ONNX model is not in its graph.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The network up to the client's tail.
    pub graph: Graph<Op>,
    /// Name of the ONNX graph's input.
    pub input_name: String,
    /// Name of the ONNX tensor that the graph computes: the ONNX graph's output, or what its tail starts from.
    pub output_name: String,
    /// What the client computes after decryption, in order.
    pub tail: Vec<ClientTail>,
}

/// Imports a network.
///
/// # Errors
/// [`ImportError`], with every problem of the model at once.
pub fn import(bytes: &[u8]) -> Result<Imported, ImportError> {
    let model = decode(bytes)?;
    let opset = opset(&model)?;
    let graph = model.graph.as_ref().ok_or_else(|| not_onnx("it holds no graph"))?;
    refuse_external_data(graph)?;
    let mut state = State::default();
    let input_name = interface::input(graph, &mut state);
    for initializer in &graph.initializer {
        read_initializer(initializer, &mut state);
    }
    for node in &graph.node {
        visit(node, opset, &mut state);
    }
    let output = interface::output(graph, &mut state);
    match (input_name, output) {
        (Some(input_name), Some((name, output))) if state.problems.is_empty() => {
            Ok(finish(state, input_name, name, &output))
        }
        _ => Err(ImportError::Unsupported(state.problems)),
    }
}

fn finish(state: State, input_name: String, name: String, output: &Computed) -> Imported {
    Imported {
        graph: state.builder.finish(output.id),
        input_name,
        output_name: output.tail.first().map_or(name, |first| first.input.clone()),
        tail: output.tail.iter().map(|node| node.kind).collect(),
    }
}

/// The model in the bytes.
fn decode(bytes: &[u8]) -> Result<ModelProto, ImportError> {
    wire::check(bytes).map_err(|reason| ImportError::NotOnnx { reason })?;
    let mut reader = bytes;
    // The decoder is not ours, and must not take the process down with it.
    catch_unwind(AssertUnwindSafe(|| {
        tract_onnx::onnx().proto_model_for_read(&mut reader)
    }))
    .map_err(|_| not_onnx("it cannot be decoded"))?
    .map_err(|_| not_onnx("it is truncated or damaged"))
}

fn not_onnx(reason: &str) -> ImportError {
    ImportError::NotOnnx {
        reason: reason.to_owned(),
    }
}

fn is_standard_domain(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// The version of the standard operator set.
fn opset(model: &ModelProto) -> Result<i64, ImportError> {
    if model
        .graph
        .as_ref()
        .is_none_or(|graph| graph.node.is_empty() && graph.output.is_empty())
    {
        return Err(not_onnx("it holds no graph"));
    }
    let standard = model.opset_import.iter().filter(|set| is_standard_domain(&set.domain));
    let found = standard.map(|set| set.version).max().unwrap_or(0);
    if limits::OPSETS.contains(&found) {
        return Ok(found);
    }
    Err(ImportError::Opset {
        found,
        lowest: *limits::OPSETS.start(),
        highest: *limits::OPSETS.end(),
    })
}

fn refuse_external_data(graph: &GraphProto) -> Result<(), ImportError> {
    let attributes = graph
        .node
        .iter()
        .flat_map(|node| &node.attribute)
        .filter_map(|attribute| attribute.t.as_ref());
    let tensors: Vec<String> = (graph.initializer.iter().chain(attributes))
        .filter(|tensor| tensor::is_external(tensor))
        .map(|tensor| tensor.name.clone())
        .collect();
    if tensors.is_empty() {
        return Ok(());
    }
    Err(ImportError::ExternalData { tensors })
}

fn read_initializer(proto: &TensorProto, state: &mut State) {
    let value = match tensor::read(proto) {
        Ok(tensor) => Value::Constant(Arc::new(tensor)),
        Err(reason) => {
            state.problems.push(Problem {
                node: proto.name.clone(),
                op: "initializer".to_owned(),
                attribute: None,
                reason,
                remedy: "use a complete tensor of floats or integers".to_owned(),
            });
            Value::Unknown
        }
    };
    state.values.insert(proto.name.clone(), value);
}

/// The name that problems and listings give a node.
fn node_name(node: &NodeProto) -> &str {
    match node.output.first() {
        Some(output) if node.name.is_empty() => output,
        _ => &node.name,
    }
}

/// Imports one node; its results are unknown if it has a problem.
fn visit(node: &NodeProto, opset: i64, state: &mut State) {
    let before = state.problems.len();
    let mut site = Site {
        name: node_name(node),
        node,
        opset,
        state,
    };
    let entry = table::entry(&node.op_type).filter(|_| is_standard_domain(&node.domain));
    let result = match entry {
        None => {
            let reason = if is_standard_domain(&node.domain) {
                "the operator is not supported".to_owned()
            } else {
                format!("operators of the domain `{}` are not supported", node.domain)
            };
            Err(site.refuse(None, reason, table::remedy(&node.op_type)))
        }
        Some(entry) => {
            for attribute in &node.attribute {
                if !entry.attributes.contains(&attribute.name.as_str()) {
                    site.refuse(
                        Some(&attribute.name),
                        "the attribute is not supported",
                        format!("`{}` takes {:?}", entry.op, entry.attributes),
                    );
                }
            }
            (entry.rule)(&mut site)
        }
    };
    let value = match result {
        Ok(value) if state.problems.len() == before => value,
        _ => Value::Unknown,
    };
    bind(node, &value, state);
}

/// Names the results. Only the first has the value; a rule binds what others it computes (the parts of a split).
fn bind(node: &NodeProto, value: &Value, state: &mut State) {
    for (index, output) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        if state.values.contains_key(output) && index == 0 {
            state.problems.push(Problem {
                node: node_name(node).to_owned(),
                op: node.op_type.clone(),
                attribute: None,
                reason: format!("its result `{output}` has the name of another value"),
                remedy: "export the model again: it is not valid ONNX".to_owned(),
            });
        }
        if index == 0 {
            state.values.insert(output.clone(), value.clone());
        } else if matches!(value, Value::Unknown) {
            // One problem is enough: who reads the other results has no problem of its own.
            state.values.entry(output.clone()).or_insert(Value::Unknown);
        }
    }
}
