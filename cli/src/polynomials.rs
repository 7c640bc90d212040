//! Options for networks with polynomials in place of their activations, where no plan is compiled.

use anyhow::Result;
use clap::ValueEnum;
use heron_compiler::approximate::Approximated;
use heron_compiler::calibrate::Samples;
use heron_compiler::nn::Granularity;
use heron_compiler::options::{ActivationRule, CompileOptions};
use heron_compiler::{CompileInput, polynomial_network};
use heron_plan::Normalization;
use heron_runtime::samples::{RangePolicy, prepare};

use crate::arguments::{FitArgs, NodeRule, TensorRef};
use crate::network::Network;

/// What one polynomial covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GranularityOption {
    /// A whole layer
    Tensor,
    /// One channel
    Channel,
    /// One element
    Element,
}

impl GranularityOption {
    /// As the compiler calls it.
    pub(crate) fn granularity(self) -> Granularity {
        match self {
            Self::Tensor => Granularity::Tensor,
            Self::Channel => Granularity::Channel,
            Self::Element => Granularity::Element,
        }
    }
}

/// How a model becomes a polynomial network.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Polynomials")]
pub(crate) struct PolynomialArgs {
    /// Evaluate the model with polynomials too: quadratic, least-squares:DEGREE, chebyshev:DEGREE, composite:ALPHA, ola:LEVELS or auto
    #[arg(long, value_name = "RULE", requires = "calibration", conflicts_with = "plan")]
    pub(crate) activation: Option<ActivationRule>,
    /// Samples that the polynomials are fitted to, and that tell which inputs diverge
    #[arg(long, value_name = "FILE[:ARRAY]", conflicts_with = "plan")]
    pub(crate) calibration: Option<TensorRef>,
    /// Another rule for one activation; may be given several times
    #[arg(long = "act", value_name = "NODE=RULE", requires = "activation")]
    overrides: Vec<NodeRule>,
    /// What one polynomial covers
    #[arg(long, value_enum, value_name = "PART", default_value_t = GranularityOption::Channel)]
    granularity: GranularityOption,
    /// Factor between what calibration saw and what a polynomial is fitted on
    #[arg(long, value_name = "FACTOR", default_value_t = 1.25)]
    margin: f64,
    /// Weight of the whole interval in a fit, against that of the samples
    #[arg(long, value_name = "WEIGHT", default_value_t = 1e-2)]
    guard: f64,
    #[command(flatten)]
    fit: FitArgs,
}

impl PolynomialArgs {
    /// The polynomial network, if one was asked for.
    ///
    /// # Errors
    /// What reading the samples and fitting give.
    pub(crate) fn network(
        &self,
        network: &Network,
        normalization: Option<Normalization>,
    ) -> Result<Option<Approximated>> {
        let (Some(activation), Some(calibration)) = (self.activation, &self.calibration) else {
            return Ok(None);
        };
        let calibration = calibration_samples(calibration, network, normalization)?;
        let options = CompileOptions {
            activation,
            overrides: self
                .overrides
                .iter()
                .map(|NodeRule(node, rule)| (node.clone(), *rule))
                .collect(),
            fit: self.fit.options(),
            granularity: self.granularity.granularity(),
            margin: self.margin,
            guard: self.guard,
            ..CompileOptions::new("simulation")
        };
        let input = CompileInput {
            model: &network.bytes,
            calibration: &calibration,
            labels: None,
            options: &options,
        };
        Ok(Some(polynomial_network(input)?))
    }
}

/// Calibration samples for a model.
///
/// # Errors
/// What reading gives, and samples of another shape.
pub(crate) fn calibration_samples(
    data: &TensorRef,
    network: &Network,
    normalization: Option<Normalization>,
) -> Result<Samples> {
    let spec = network.input_spec(normalization);
    let tensor = data.read_samples(&spec.shape)?;
    let samples = prepare(&spec, &tensor, RangePolicy::Refuse)?;
    Ok(Samples::new(&spec.shape, samples.values.concat())?)
}
