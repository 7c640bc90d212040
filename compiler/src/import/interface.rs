//! The model's input and output: one of each, with a batch axis of one.

use std::collections::BTreeSet;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{GraphProto, TypeProto, ValueInfoProto, type_proto};

use super::error::Problem;
use super::limits;
use super::site::{Computed, State, Value, sample_shape};
use crate::nn::Op;

/// Appends the input's node; its name. Weights listed as inputs (up to IR version 3 all of them) are no inputs.
pub(super) fn input(graph: &GraphProto, state: &mut State) -> Option<String> {
    let weights: BTreeSet<&str> = graph
        .initializer
        .iter()
        .map(|initializer| initializer.name.as_str())
        .collect();
    let inputs: Vec<&ValueInfoProto> = graph
        .input
        .iter()
        .filter(|input| !weights.contains(input.name.as_str()))
        .collect();
    let [input] = *inputs else {
        let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
        for input in &inputs {
            state.values.insert(input.name.clone(), Value::Unknown);
        }
        refuse(
            state,
            &names.join(", "),
            "input",
            format!("the model has {} inputs", inputs.len()),
            "exactly one is supported",
        );
        return None;
    };
    match input_shape(input) {
        Ok(shape) => {
            let sample = sample_shape(&shape).unwrap_or(&shape).to_vec();
            state.elements += sample.iter().product::<usize>();
            let id = state.builder.push(&input.name, Op::Input, &[], &sample);
            state.values.insert(input.name.clone(), Value::computed(id, shape));
        }
        Err((reason, remedy)) => {
            state.values.insert(input.name.clone(), Value::Unknown);
            refuse(state, &input.name, "input", reason, &remedy);
        }
    }
    Some(input.name.clone())
}

/// The output's name and value. Must be called after all nodes have been visited.
pub(super) fn output(graph: &GraphProto, state: &mut State) -> Option<(String, Computed)> {
    let [output] = graph.output.as_slice() else {
        let names: Vec<&str> = graph.output.iter().map(|output| output.name.as_str()).collect();
        let reason = format!("the model has {} outputs", names.len());
        refuse(
            state,
            &names.join(", "),
            "output",
            reason,
            "keep exactly one (such as the logits)",
        );
        return None;
    };
    match state.values.get(&output.name).cloned() {
        Some(Value::Computed(value)) => Some((output.name.clone(), value)),
        Some(Value::Unknown) => None,
        Some(Value::Constant(_)) => {
            let reason = "it does not depend on the input".to_owned();
            refuse(
                state,
                &output.name,
                "output",
                reason,
                "there is nothing to compute under encryption",
            );
            None
        }
        None => {
            let reason = "no node produces it".to_owned();
            refuse(
                state,
                &output.name,
                "output",
                reason,
                "export the model again: it is not valid ONNX",
            );
            None
        }
    }
}

fn refuse(state: &mut State, node: &str, op: &str, reason: String, remedy: &str) {
    state.problems.push(Problem {
        node: node.to_owned(),
        op: op.to_owned(),
        attribute: None,
        reason,
        remedy: remedy.to_owned(),
    });
}

/// The input's shape with a batch axis of one, or reason and remedy.
fn input_shape(input: &ValueInfoProto) -> Result<Vec<usize>, (String, String)> {
    let Some(TypeProto {
        value: Some(type_proto::Value::TensorType(tensor)),
        ..
    }) = &input.r#type
    else {
        return Err((
            "it is no tensor".to_owned(),
            "a tensor of floats is supported".to_owned(),
        ));
    };
    let floats = [DataType::Float, DataType::Double, DataType::Float16];
    if !floats.iter().any(|&accepted| accepted as i32 == tensor.elem_type) {
        let name = DataType::try_from(tensor.elem_type).map_or("unknown", |found| found.as_str_name());
        return Err((
            format!("its elements have type {name}"),
            "FLOAT, DOUBLE and FLOAT16 are supported".to_owned(),
        ));
    }
    let Some(shape) = &tensor.shape else {
        return Err((
            "it has no shape".to_owned(),
            "export the model with a sample of the right shape".to_owned(),
        ));
    };
    let lengths: Vec<usize> = (shape.dim.iter().enumerate())
        .map(|(axis, dimension)| length(axis, dimension))
        .collect::<Result<_, _>>()?;
    if lengths.len() < 2 || limits::elements(&lengths).is_none() {
        return Err((
            format!("it has shape {lengths:?}"),
            format!(
                "expected a batch axis and at least one more, with at most {} elements",
                limits::ELEMENTS
            ),
        ));
    }
    Ok(lengths)
}

/// One axis. The first is the batch: one sample is compiled, so any name or 1 will do.
fn length(axis: usize, dimension: &Dimension) -> Result<usize, (String, String)> {
    match &dimension.value {
        Some(dimension::Value::DimValue(1)) => Ok(1),
        Some(dimension::Value::DimValue(found)) if axis == 0 && *found > 1 => Err((
            format!("its batch axis is fixed to {found}"),
            "export the model with a batch of 1 or a dynamic batch axis; samples are encrypted one by one".to_owned(),
        )),
        Some(dimension::Value::DimValue(found)) if *found > 0 => usize::try_from(*found).map_err(|_| {
            (
                format!("axis {axis} has length {found}"),
                "use a smaller input".to_owned(),
            )
        }),
        _ if axis == 0 => Ok(1),
        Some(dimension::Value::DimParam(name)) if !name.is_empty() => Err((
            format!("axis {axis} (`{name}`) is dynamic"),
            "export the model with a fixed length there; only the batch axis may be dynamic".to_owned(),
        )),
        _ => Err((
            format!("axis {axis} has no fixed length"),
            "export the model with a fixed length there; only the batch axis may be dynamic".to_owned(),
        )),
    }
}
