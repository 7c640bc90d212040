//! The whole model evaluated by tract, in f32: the second opinion that our own graph is compared with.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{ModelProto, TypeProto, ValueInfoProto, type_proto};
use tract_onnx::prelude::{Framework, InferenceModelExt, IntoRunnable, Tensor, TractResult, TypedRunnableModel, tvec};

use super::{Imported, decode};
use crate::nn::Op;

/// Why the second opinion is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OracleError {
    /// tract does not load the model.
    #[error("the reference evaluation cannot load the model: {reason}")]
    Load {
        /// In tract's words.
        reason: String,
    },
    /// tract does not evaluate the model.
    #[error("the reference evaluation failed: {reason}")]
    Run {
        /// In tract's words.
        reason: String,
    },
    /// The input has another length than the model's.
    #[error("the input has {found} elements; expected {expected}")]
    Input {
        /// Elements given.
        found: usize,
        /// Elements of the model's input.
        expected: usize,
    },
}

/// An ONNX model, ready to be evaluated as it is.
#[derive(Clone)]
pub struct OnnxClear {
    model: Arc<TypedRunnableModel>,
    /// With the batch axis.
    shape: Vec<usize>,
}

impl OnnxClear {
    /// Prepares the model of the same bytes as `imported`, up to the client's tail.
    ///
    /// # Errors
    /// [`OracleError::Load`].
    pub fn new(bytes: &[u8], imported: &Imported) -> Result<Self, OracleError> {
        let load = |reason: String| OracleError::Load { reason };
        let mut proto = decode(bytes).map_err(|error| load(error.to_string()))?;
        let input = imported.graph.iter().find(|(_, node)| matches!(node.op, Op::Input));
        let sample = input.map_or(&[][..], |(_, node)| node.shape.as_slice());
        let shape = [&[1], sample].concat();
        narrow(&mut proto, imported, &shape);
        let model = caught(|| {
            tract_onnx::onnx()
                .with_ignore_value_info(true)
                .model_for_proto_model(&proto)?
                .into_typed()?
                .into_decluttered()?
                .into_runnable()
        })
        .map_err(load)?;
        Ok(Self { model, shape })
    }

    /// The value of the imported graph's output, as tract computes it.
    ///
    /// # Errors
    /// [`OracleError::Input`], [`OracleError::Run`].
    pub fn run(&self, input: &[f64]) -> Result<Vec<f64>, OracleError> {
        let expected = self.shape.iter().product();
        if input.len() != expected {
            return Err(OracleError::Input {
                found: input.len(),
                expected,
            });
        }
        caught(|| {
            let elements: Vec<f32> = input.iter().map(|&value| value as f32).collect();
            let outputs = self
                .model
                .run(tvec!(Tensor::from_shape(&self.shape, &elements)?.into()))?;
            let values = outputs[0].cast_to::<f64>()?;
            Ok(values.to_plain_array_view::<f64>()?.iter().copied().collect())
        })
        .map_err(|reason| OracleError::Run { reason })
    }
}

/// tract's result, or why there is none; it may panic on models that it does not expect.
fn caught<T>(call: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| format!("{error:#}")),
        Err(_) => Err("it panicked".to_owned()),
    }
}

/// Makes the model one of the imported input, with a batch of one, and the imported output.
fn narrow(proto: &mut ModelProto, imported: &Imported, shape: &[usize]) {
    let Some(graph) = &mut proto.graph else { return };
    for input in graph.input.iter_mut().filter(|input| input.name == imported.input_name) {
        let dim = shape
            .iter()
            .map(|&length| Dimension {
                value: Some(dimension::Value::DimValue(length as i64)),
                ..Dimension::default()
            })
            .collect();
        if let Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..
        }) = &mut input.r#type
        {
            tensor.shape = Some(tract_onnx::pb::TensorShapeProto { dim });
        }
    }
    graph.output = vec![ValueInfoProto {
        name: imported.output_name.clone(),
        ..ValueInfoProto::default()
    }];
}
