//! The models inside the binary, each with its calibration data and samples.

use anyhow::{Context as _, Result};
use heron_plan::Normalization;
use serde::Deserialize;

use crate::failure::{Exit, Failure};

/// A model that ships with the program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shipped {
    /// Its folder's name.
    pub(crate) name: &'static str,
    /// The network.
    pub(crate) onnx: &'static [u8],
    /// Sample inputs, `.npy`.
    pub(crate) inputs: &'static [u8],
    /// Their labels, `.npy`.
    pub(crate) labels: &'static [u8],
    /// Calibration samples and labels, `.npz`.
    pub(crate) calibration: &'static [u8],
    manifest: &'static str,
}

/// What `model.json` says of a model.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Manifest {
    /// One line for people.
    pub(crate) title: String,
    /// Height and width if a sample is a picture.
    pub(crate) picture: Option<(usize, usize)>,
    /// By index of the output.
    pub(crate) class_names: Vec<String>,
    /// For integer samples.
    pub(crate) normalization: Option<Normalization>,
    /// Where the calibration samples are.
    pub(crate) calibration: CalibrationMembers,
}

/// Names inside a calibration file.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct CalibrationMembers {
    /// Member with the samples.
    pub(crate) samples: String,
    /// Member with their labels.
    pub(crate) labels: String,
}

macro_rules! shipped {
    ($($name:literal from $data:literal),+ $(,)?) => {
        /// Every model that ships, in the order in which it is listed.
        pub(crate) const SHIPPED: &[Shipped] = &[$(Shipped {
            name: $name,
            onnx: include_bytes!(concat!("../../models/", $name, "/model.onnx")),
            inputs: include_bytes!(concat!("../../models/", $name, "/inputs.npy")),
            labels: include_bytes!(concat!("../../models/", $name, "/labels.npy")),
            calibration: include_bytes!(concat!("../../models/data/", $data)),
            manifest: include_str!(concat!("../../models/", $name, "/model.json")),
        }),+];
    };
}

shipped! {
    "digits_mlp_relu" from "digits.npz",
    "digits_mlp_gelu" from "digits.npz",
    "digits_mlp_sigmoid" from "digits.npz",
    "digits_mlp_tanh" from "digits.npz",
    "digits_mlp_square" from "digits.npz",
    "digits_mlp_deep_relu" from "digits.npz",
    "breast_cancer_mlp_relu" from "breast_cancer.npz",
    "breast_cancer_mlp_sigmoid" from "breast_cancer.npz",
    "mlp_mnist" from "mnist_calib_256.npz",
}

impl Shipped {
    /// The model of a name.
    ///
    /// # Errors
    /// A usage failure that lists the names there are.
    pub(crate) fn named(name: &str) -> Result<Self, Failure> {
        SHIPPED.iter().find(|model| model.name == name).copied().ok_or_else(|| {
            let names: Vec<&str> = SHIPPED.iter().map(|model| model.name).collect();
            Failure::new(Exit::Usage, format!("no model `{name}` ships with heron"))
                .advise(format!("use one of: {}", names.join(", ")))
        })
    }

    /// What its `model.json` says.
    ///
    /// # Errors
    /// Only if the file that was built in does not fit this program: a defect.
    pub(crate) fn manifest(&self) -> Result<Manifest> {
        serde_json::from_str(self.manifest).with_context(|| format!("the manifest of {}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manifest_can_be_read() {
        for model in SHIPPED {
            let manifest = model.manifest().expect("it fits");
            assert!(!manifest.class_names.is_empty(), "{}", model.name);
        }
    }

    #[test]
    fn an_unknown_name_lists_those_there_are() {
        let failure = Shipped::named("lenet").expect_err("there is none");
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.advice.contains("digits_mlp_relu") && failure.advice.contains("mlp_mnist"));
    }
}
