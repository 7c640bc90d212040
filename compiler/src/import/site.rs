//! One ONNX node while it is imported: its attributes, its operands, and where its problems go.

use std::collections::BTreeMap;
use std::sync::Arc;

use heron_plan::ClientTail;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, NodeProto};

use super::error::Problem;
use super::limits;
use super::tensor::{self, Tensor};
use crate::graph::{GraphBuilder, NodeId};
use crate::nn::Op;

/// What an ONNX tensor name stands for.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Known without the network's input.
    Constant(Arc<Tensor>),
    /// Computed from the network's input.
    Computed(Computed),
    /// The result of a node with a problem: nodes that read it are checked as far as that goes without its shape.
    Unknown,
}

impl Value {
    /// A node's value, with its shape in ONNX.
    pub(super) fn computed(id: NodeId, shape: Vec<usize>) -> Self {
        Self::Computed(Computed {
            id,
            shape,
            tail: Vec::new(),
        })
    }
}

/// A value computed from the network's input.
#[derive(Clone, Debug)]
pub(super) struct Computed {
    /// The node of the graph.
    pub(super) id: NodeId,
    /// The shape in ONNX, batch axis included.
    pub(super) shape: Vec<usize>,
    /// What the client does to the node's value to get the ONNX tensor.
    pub(super) tail: Vec<TailNode>,
}

/// A node left to the client.
#[derive(Clone, Debug)]
pub(super) struct TailNode {
    pub(super) name: String,
    pub(super) op: String,
    pub(super) kind: ClientTail,
    /// The ONNX tensor that it reads.
    pub(super) input: String,
}

/// The node cannot be imported. Its problems have been recorded, or an operand is unknown because of another node's.
#[derive(Debug)]
pub(super) struct Stop;

/// The walk's state that rules change.
#[derive(Default)]
pub(super) struct State {
    pub(super) builder: GraphBuilder<Op>,
    pub(super) values: BTreeMap<String, Value>,
    pub(super) problems: Vec<Problem>,
    /// Elements of all values so far.
    pub(super) elements: usize,
}

/// One ONNX node and the state of the walk.
pub(super) struct Site<'a> {
    pub(super) node: &'a NodeProto,
    pub(super) name: &'a str,
    pub(super) opset: i64,
    pub(super) state: &'a mut State,
}

impl Site<'_> {
    /// Records a problem.
    pub(super) fn refuse(
        &mut self,
        attribute: Option<&str>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Stop {
        self.state.problems.push(Problem {
            node: self.name.to_owned(),
            op: self.node.op_type.clone(),
            attribute: attribute.map(str::to_owned),
            reason: reason.into(),
            remedy: remedy.into(),
        });
        Stop
    }

    // Attributes.

    fn attribute(&mut self, name: &str, kind: AttributeType) -> Result<Option<&AttributeProto>, Stop> {
        let Some(attribute) = self.node.attribute.iter().find(|attribute| attribute.name == name) else {
            return Ok(None);
        };
        if attribute.r#type != kind as i32 {
            let reason = format!(
                "the attribute has type {}, not {}",
                attribute.r#type,
                kind.as_str_name()
            );
            return Err(self.refuse(Some(name), reason, "export the model again: it is not valid ONNX"));
        }
        Ok(Some(attribute))
    }

    pub(super) fn int(&mut self, name: &str, default: i64) -> Result<i64, Stop> {
        Ok(self
            .attribute(name, AttributeType::Int)?
            .map_or(default, |found| found.i))
    }

    pub(super) fn float(&mut self, name: &str, default: f32) -> Result<f64, Stop> {
        let value = f64::from(
            self.attribute(name, AttributeType::Float)?
                .map_or(default, |found| found.f),
        );
        if value.is_nan() {
            return Err(self.refuse(Some(name), "the attribute is not a number", "export the model again"));
        }
        Ok(value)
    }

    pub(super) fn ints(&mut self, name: &str) -> Result<Option<Vec<i64>>, Stop> {
        Ok(self
            .attribute(name, AttributeType::Ints)?
            .map(|found| found.ints.clone()))
    }

    pub(super) fn floats(&mut self, name: &str) -> Result<Option<Vec<f32>>, Stop> {
        Ok(self
            .attribute(name, AttributeType::Floats)?
            .map(|found| found.floats.clone()))
    }

    pub(super) fn text(&mut self, name: &str, default: &str) -> Result<String, Stop> {
        let found = self.attribute(name, AttributeType::String)?;
        Ok(found.map_or_else(
            || default.to_owned(),
            |found| String::from_utf8_lossy(&found.s).into_owned(),
        ))
    }

    pub(super) fn tensor(&mut self, name: &str) -> Result<Option<Tensor>, Stop> {
        let Some(read) = self
            .attribute(name, AttributeType::Tensor)?
            .map(|found| tensor::read(found.t.as_ref().unwrap_or(&Default::default())))
        else {
            return Ok(None);
        };
        read.map(Some)
            .map_err(|reason| self.refuse(Some(name), reason, "use a tensor of floats or integers"))
    }

    /// Refuses an attribute that has another value than the only one accepted.
    pub(super) fn only_int(&mut self, name: &str, default: i64, accepted: i64) -> Result<(), Stop> {
        match self.int(name, default)? {
            found if found == accepted => Ok(()),
            found => Err(self.refuse(
                Some(name),
                format!("it is {found}"),
                format!("only {accepted} is supported"),
            )),
        }
    }

    // Operands.

    /// Whether operand `index` is given.
    pub(super) fn has_operand(&self, index: usize) -> bool {
        self.node.input.get(index).is_some_and(|name| !name.is_empty())
    }

    /// Operand `index`, whatever it is.
    pub(super) fn operand(&mut self, index: usize) -> Result<Value, Stop> {
        let Some(name) = self.node.input.get(index).filter(|name| !name.is_empty()) else {
            return Err(self.refuse(
                None,
                format!("operand {index} is missing"),
                "export the model again: it is not valid ONNX",
            ));
        };
        match self.state.values.get(name) {
            Some(Value::Unknown) => Err(Stop),
            Some(value) => Ok(value.clone()),
            None => Err(self.refuse(
                None,
                format!("operand `{name}` is produced by no node before it"),
                "sort the nodes (`onnx.checker.check_model` explains) or export the model again",
            )),
        }
    }

    /// Operand `index`, which must be computed from the network's input.
    pub(super) fn computed(&mut self, index: usize) -> Result<Computed, Stop> {
        match self.operand(index)? {
            Value::Computed(value) => self.without_tail(value),
            Value::Constant(_) => Err(self.refuse(
                None,
                format!("operand {index} is a constant, but is supported only where it depends on the input"),
                "compute it when exporting (constant folding), or swap the operands",
            )),
            Value::Unknown => Err(Stop),
        }
    }

    /// Refuses a value that only the client knows.
    pub(super) fn without_tail(&mut self, value: Computed) -> Result<Computed, Stop> {
        let Some(tail) = value.tail.first() else {
            return Ok(value);
        };
        self.state.problems.push(Problem {
            node: tail.name.clone(),
            op: tail.op.clone(),
            attribute: None,
            reason: format!("its result is read by {} ({})", self.name, self.node.op_type),
            remedy: "it is supported only at the end of the network, where the client computes it after decryption"
                .to_owned(),
        });
        Err(Stop)
    }

    /// Operand `index`, which must be a constant of finite elements.
    pub(super) fn constant(&mut self, index: usize) -> Result<Arc<Tensor>, Stop> {
        let tensor = self.limit(index)?;
        if tensor.values.iter().any(|value| !value.is_finite()) {
            let reason = format!("operand `{}` has an element that is not finite", self.node.input[index]);
            return Err(self.refuse(None, reason, "train or export the model again"));
        }
        Ok(tensor)
    }

    /// Operand `index`, which must be a constant, possibly infinite.
    pub(super) fn limit(&mut self, index: usize) -> Result<Arc<Tensor>, Stop> {
        match self.operand(index)? {
            Value::Constant(tensor) => Ok(tensor),
            Value::Computed(_) => Err(self.refuse(
                None,
                format!(
                    "operand {index} (`{}`) is computed from the network's input",
                    self.node.input[index]
                ),
                "only a constant (an initializer or a Constant node) is supported there",
            )),
            Value::Unknown => Err(Stop),
        }
    }

    /// Operand `index` as whole numbers, if it is given.
    pub(super) fn optional_integers(&mut self, index: usize) -> Result<Option<Vec<i64>>, Stop> {
        if !self.has_operand(index) {
            return Ok(None);
        }
        self.constant(index).map(|tensor| Some(tensor.to_integers()))
    }

    /// How many spatial axes the operand `index` (weights or an image) has.
    pub(super) fn node_axes(&mut self, index: usize) -> Result<usize, Stop> {
        let rank = match self.operand(index)? {
            Value::Constant(tensor) => tensor.shape.len(),
            Value::Computed(x) => x.shape.len(),
            Value::Unknown => return Err(Stop),
        };
        Ok(rank.saturating_sub(2))
    }

    // Results.

    /// Appends a node whose ONNX result has `shape`, batch axis included.
    pub(super) fn emit(&mut self, op: Op, args: &[NodeId], shape: &[usize]) -> Result<Value, Stop> {
        let Some(sample) = sample_shape(shape) else {
            return Err(self.refuse(
                None,
                format!("its result has shape {shape:?}, whose first axis is not a batch of 1"),
                "keep the batch axis first and of length 1",
            ));
        };
        let id = self.push_sample(op, args, sample)?;
        Ok(Value::computed(id, shape.to_vec()))
    }

    /// A shape without its batch axis; as it is where the first axis is none.
    pub(super) fn sample(&self, shape: &[usize]) -> Vec<usize> {
        sample_shape(shape).unwrap_or(shape).to_vec()
    }

    /// Binds a result other than the first.
    pub(super) fn also(&mut self, index: usize, value: Value) {
        let Some(name) = self.node.output.get(index).filter(|name| !name.is_empty()) else {
            return;
        };
        if self.state.values.insert(name.clone(), value).is_some() {
            let reason = format!("its result `{name}` has the name of another value");
            self.refuse(None, reason, "export the model again: it is not valid ONNX");
        }
    }

    /// Appends a node whose result has `shape` without a batch axis.
    pub(super) fn push_sample(&mut self, op: Op, args: &[NodeId], shape: &[usize]) -> Result<NodeId, Stop> {
        let total = limits::elements(shape).and_then(|count| self.state.elements.checked_add(count));
        let Some(total) = total.filter(|&total| total <= limits::TOTAL_ELEMENTS) else {
            return Err(self.refuse(
                None,
                format!("its result has shape {shape:?}"),
                format!(
                    "a value has between 1 and {} elements and at most {} axes, all values together {} elements",
                    limits::ELEMENTS,
                    limits::AXES,
                    limits::TOTAL_ELEMENTS
                ),
            ));
        };
        self.state.elements = total;
        Ok(self.state.builder.push(self.name, op, args, shape))
    }

    /// Accounts for a folded constant of `shape`, before it is computed; how many elements it has.
    pub(super) fn reserve(&mut self, shape: &[usize]) -> Result<usize, Stop> {
        let count = match shape.contains(&0) {
            true => shape.iter().all(|&axis| axis <= limits::ELEMENTS).then_some(0),
            false => limits::elements(shape),
        };
        let total = count.and_then(|count| self.state.elements.checked_add(count));
        match (count, total.filter(|&total| total <= limits::TOTAL_ELEMENTS)) {
            (Some(count), Some(total)) => {
                self.state.elements = total;
                Ok(count)
            }
            _ => Err(self.refuse(
                None,
                format!("its constant result has shape {shape:?}"),
                format!(
                    "at most {} elements and {} axes are supported",
                    limits::ELEMENTS,
                    limits::AXES
                ),
            )),
        }
    }

    /// The value's node with another shape of as many elements, batch axis excluded.
    pub(super) fn reshaped(&mut self, id: NodeId, shape: &[usize]) -> Result<NodeId, Stop> {
        if self.state.builder.node(id).shape == shape {
            return Ok(id);
        }
        self.push_sample(Op::Reshape, &[id], shape)
    }
}

/// A tensor's shape without its batch axis; `None` if the first of several axes is no batch of 1.
pub(super) fn sample_shape(shape: &[usize]) -> Option<&[usize]> {
    match shape {
        [] | [_] => Some(shape),
        [1, rest @ ..] => Some(rest),
        [_, ..] => None,
    }
}
