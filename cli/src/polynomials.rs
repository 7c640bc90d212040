//! Options for networks with polynomials in place of their activations, where no plan is compiled.

use anyhow::Result;
use clap::ValueEnum;
use heron_compiler::approximate::Approximated;
use heron_compiler::calibrate::Samples;
use heron_compiler::error::CompileError;
use heron_compiler::nn::Granularity;
use heron_compiler::options::{ActivationRule, CompileOptions};
use heron_compiler::{CompileInput, polynomial_network_stored};
use heron_plan::Normalization;
use heron_runtime::samples::{RangePolicy, prepare};

use crate::arguments::{FitArgs, NodeRule, TensorRef};
use crate::fit_cache::FitCacheOption;
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

/// How far polynomials are held beyond what calibration saw, and how strongly.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct GuardArgs {
    /// Factor between what calibration saw and what a polynomial is fitted on [default: 2.5 for least squares of a degree above 2, else 1.25]
    #[arg(long, value_name = "FACTOR")]
    margin: Option<f64>,
    /// Weight of the whole interval in a fit, against that of the samples [default: 0.001 above degree 2, else 0.01]
    #[arg(long, value_name = "WEIGHT")]
    guard: Option<f64>,
}

impl GuardArgs {
    /// Options with what was given in the place of what is usual, for all degrees.
    pub(crate) fn apply(self, mut options: CompileOptions) -> CompileOptions {
        if let Some(margin) = self.margin {
            (options.margin, options.above_two.margin) = (margin, margin);
        }
        if let Some(guard) = self.guard {
            (options.guard, options.above_two.weight) = (guard, guard);
        }
        options
    }
}

/// How a model becomes a polynomial network.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Polynomials")]
pub(crate) struct PolynomialArgs {
    /// Evaluate the model with polynomials too: quadratic, least-squares:DEGREE, chebyshev:DEGREE, composite:ALPHA, ola:LEVELS or
    /// auto; several rules, with commas between them, for a table
    #[arg(
        long,
        value_name = "RULE,..",
        value_delimiter = ',',
        requires = "calibration",
        conflicts_with = "plan"
    )]
    pub(crate) activation: Vec<ActivationRule>,
    /// Samples that the polynomials are fitted to, and that tell which inputs diverge
    #[arg(long, value_name = "FILE[:ARRAY]", conflicts_with = "plan")]
    pub(crate) calibration: Option<TensorRef>,
    /// Another rule for one activation; may be given several times
    #[arg(long = "act", value_name = "NODE=RULE", requires = "activation")]
    overrides: Vec<NodeRule>,
    /// What one polynomial covers
    #[arg(long, value_enum, value_name = "PART", default_value_t = GranularityOption::Channel)]
    granularity: GranularityOption,
    #[command(flatten)]
    guard: GuardArgs,
    #[command(flatten)]
    fit: FitArgs,
    #[command(flatten)]
    cache: FitCacheOption,
}

impl PolynomialArgs {
    /// The samples to fit to, if polynomials were asked for.
    ///
    /// # Errors
    /// What reading them gives.
    pub(crate) fn calibration(
        &self,
        network: &Network,
        normalization: Option<Normalization>,
    ) -> Result<Option<Samples>> {
        let calibration = self.calibration.as_ref().filter(|_| !self.activation.is_empty());
        calibration
            .map(|calibration| calibration_samples(calibration, network, normalization))
            .transpose()
    }

    /// The polynomial network by one of the rules.
    ///
    /// # Errors
    /// What fitting gives.
    pub(crate) fn network(
        &self,
        network: &Network,
        calibration: &Samples,
        activation: ActivationRule,
    ) -> Result<Approximated, CompileError> {
        let options = CompileOptions {
            activation,
            overrides: self
                .overrides
                .iter()
                .map(|NodeRule(node, rule)| (node.clone(), *rule))
                .collect(),
            fit: self.fit.options(),
            granularity: self.granularity.granularity(),
            ..self.guard.apply(CompileOptions::new("simulation"))
        };
        let input = CompileInput {
            model: &network.bytes,
            calibration,
            labels: None,
            options: &options,
        };
        polynomial_network_stored(input, &self.cache.open())
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
