//! The shipped models, read from their folders as `model.json` says.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use heron_compiler::calibrate::Samples;
use heron_compiler::options::CompileOptions;
use heron_compiler::quantize::{CompiledIntegers, IntegerOptions, compile_integers};
use heron_compiler::{CompileInput, Compiled, Imported, compile, import};
use heron_plan::{CalibratedRange, InputSpec, Normalization, VectorLayout};
use heron_runtime::files::read_tensor;
use heron_runtime::samples::{RangePolicy, prepare};
use serde_json::Value;

use crate::repository_root;

/// Samples and what is right for them.
#[derive(Clone, Debug)]
pub struct TestSet {
    /// Elements of each sample, as the network takes them.
    pub samples: Vec<Vec<f64>>,
    /// Class of each.
    pub labels: Vec<i64>,
}

/// A shipped model.
#[derive(Clone, Debug)]
pub struct ShippedModel {
    /// Its folder's name.
    pub name: String,
    /// The ONNX file.
    pub onnx: Vec<u8>,
    /// The network.
    pub imported: Imported,
    /// What to calibrate on.
    pub calibration: TestSet,
    /// The whole test set.
    pub test: TestSet,
    /// The samples beside the model.
    pub inputs: Vec<Vec<f64>>,
    /// What onnxruntime gives for them.
    pub expected: Vec<Vec<f64>>,
    manifest: Value,
    shape: Vec<usize>,
}

impl ShippedModel {
    /// Reads a model's folder.
    ///
    /// # Errors
    /// A file that is missing or not what `model.json` says.
    pub fn load(name: &str) -> Result<Self> {
        let folder = repository_root().join("models").join(name);
        let manifest: Value = serde_json::from_slice(&std::fs::read(folder.join("model.json"))?)?;
        let onnx = std::fs::read(folder.join("model.onnx"))?;
        let imported = import(&onnx).with_context(|| name.to_owned())?;
        let shape: Vec<usize> = serde_json::from_value(manifest["input_shape"].clone())?;
        let reader = Reader {
            folder,
            normalization: serde_json::from_value(manifest["normalization"].clone())?,
            shape,
        };
        let samples = &manifest["samples"];
        let expected = read_tensor(&reader.file(&samples["expected"])?, None)?;
        let n_expected = expected.shape.first().copied().unwrap_or(1).max(1);
        let flat = expected.to_f64();
        Ok(Self {
            name: name.to_owned(),
            imported,
            calibration: reader.set(&manifest["calibration"])?,
            test: reader.set(&manifest["test"])?,
            inputs: reader.samples(&reader.file(&samples["inputs"])?, None)?,
            expected: flat.chunks(flat.len() / n_expected).map(<[f64]>::to_vec).collect(),
            onnx,
            shape: reader.shape,
            manifest,
        })
    }

    /// Compiles it with the usual options.
    ///
    /// # Errors
    /// What the compiler refuses.
    pub fn compile(&self) -> Result<Compiled> {
        let calibration = Samples::new(&self.shape, self.calibration.samples.concat())?;
        let options = CompileOptions {
            normalization: serde_json::from_value(self.manifest["normalization"].clone())?,
            class_names: serde_json::from_value(self.manifest["class_names"].clone())?,
            ..CompileOptions::new(&self.name)
        };
        let labels = Some(self.calibration.labels.as_slice());
        let input = CompileInput {
            model: &self.onnx,
            calibration: &calibration,
            labels,
            options: &options,
        };
        compile(input).with_context(|| self.name.clone())
    }

    /// Compiles it to exact integers.
    ///
    /// # Errors
    /// What the compiler refuses.
    pub fn compile_integers(&self, options: &IntegerOptions) -> Result<CompiledIntegers> {
        let calibration = Samples::new(&self.shape, self.calibration.samples.concat())?;
        let usual = CompileOptions::new(&self.name);
        let input = CompileInput {
            model: &self.onnx,
            calibration: &calibration,
            labels: Some(self.calibration.labels.as_slice()),
            options: &usual,
        };
        compile_integers(input, options).with_context(|| self.name.clone())
    }
}

/// Reads the arrays of one folder.
struct Reader {
    folder: PathBuf,
    shape: Vec<usize>,
    normalization: Option<Normalization>,
}

impl Reader {
    fn file(&self, name: &Value) -> Result<PathBuf> {
        let name = name
            .as_str()
            .ok_or_else(|| anyhow!("model.json names no file at {name}"))?;
        Ok(self.folder.join(name))
    }

    fn set(&self, entry: &Value) -> Result<TestSet> {
        let path = self.file(&entry["file"])?;
        let labels = read_tensor(&path, entry["labels"].as_str())?
            .to_labels()
            .context("labels are integers")?;
        Ok(TestSet {
            samples: self.samples(&path, entry["samples"].as_str())?,
            labels: labels.iter().map(|&label| label as i64).collect(),
        })
    }

    fn samples(&self, path: &Path, member: Option<&str>) -> Result<Vec<Vec<f64>>> {
        let mut tensor = read_tensor(path, member)?;
        let n_samples = tensor.shape.first().copied().unwrap_or(0);
        tensor.shape = [&[n_samples], self.shape.as_slice()].concat();
        let len = self.shape.iter().product::<usize>() as u32;
        let spec = InputSpec {
            name: "input".to_owned(),
            shape: self.shape.clone(),
            layout: VectorLayout::vector(len, len),
            normalization: self.normalization.clone(),
            range: CalibratedRange {
                min: f64::MIN,
                max: f64::MAX,
            },
        };
        Ok(prepare(&spec, &tensor, RangePolicy::Refuse)?.values)
    }
}
