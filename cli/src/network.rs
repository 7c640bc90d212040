//! An ONNX model in clear: what plans are compared with.

use std::io;
use std::path::Path;

use anyhow::{Context as _, Result};
use heron_compiler::{Imported, evaluate_samples, import};
use heron_plan::{CalibratedRange, InputSpec, Normalization, VectorLayout};
use heron_runtime::files::FileError;

use crate::arguments::TensorRef;
use crate::failure::{Exit, Failure};

/// An imported model.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// The ONNX file.
    pub(crate) bytes: Vec<u8>,
    /// The network.
    pub(crate) imported: Imported,
}

impl Network {
    /// Reads and imports a model.
    ///
    /// # Errors
    /// What reading and importing give.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = read_model(path)?;
        let imported = import(&bytes).with_context(|| format!("`{}`", path.display()))?;
        Ok(Self { bytes, imported })
    }

    /// Shape of one input sample.
    pub(crate) fn input_shape(&self) -> &[usize] {
        let input = self.imported.graph.iter().find(|(_, node)| node.args.is_empty());
        input.map_or(&[], |(_, node)| &node.shape)
    }

    /// An input description for samples that have no plan yet: any finite value is accepted.
    pub(crate) fn input_spec(&self, normalization: Option<Normalization>) -> InputSpec {
        let shape = self.input_shape().to_vec();
        let len = shape.iter().product::<usize>() as u32;
        InputSpec {
            name: self.imported.input_name.clone(),
            shape,
            layout: VectorLayout::vector(len, len),
            normalization,
            range: CalibratedRange {
                min: f64::MIN,
                max: f64::MAX,
            },
        }
    }

    /// What the network gives for each sample, before its client-side tail.
    ///
    /// # Errors
    /// Samples of another length than the network's input.
    pub(crate) fn outputs(&self, samples: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, Failure> {
        let needed: usize = self.input_shape().iter().product();
        if let Some(sample) = samples.iter().find(|sample| sample.len() != needed) {
            let message = format!("the samples have {} elements, the model takes {needed}", sample.len());
            return Err(Failure::new(Exit::Damaged, message).advise("use the model that the plan was compiled from"));
        }
        Ok(evaluate_samples(&self.imported.graph, samples))
    }
}

/// Reads the bytes of a model.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::Io`].
pub(crate) fn read_model(path: &Path) -> Result<Vec<u8>, FileError> {
    std::fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => FileError::Missing {
            path: path.to_path_buf(),
        },
        _ => FileError::Io {
            action: "read",
            path: path.to_path_buf(),
            source,
        },
    })
}

/// Reads the labels of a number of samples.
///
/// # Errors
/// An array that holds something else, or another number of labels.
pub(crate) fn read_labels(labels: &TensorRef, n_samples: usize) -> Result<Vec<usize>> {
    let tensor = labels.read()?;
    let Some(classes) = tensor.to_labels() else {
        let message = format!("`{labels}` holds {}, not the numbers of classes", tensor.element_type());
        return Err(Failure::new(Exit::Usage, message)
            .advise("labels are integers from 0 on")
            .into());
    };
    if classes.len() != n_samples {
        let message = format!("`{labels}` holds {} labels for {n_samples} samples", classes.len());
        return Err(Failure::new(Exit::Usage, message)
            .advise("there is one label for each sample")
            .into());
    }
    Ok(classes)
}
