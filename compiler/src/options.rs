//! What a caller of `compile` decides.

use heron_plan::Normalization;

use crate::approximate::granularity_name;
use crate::nn::Granularity;

/// How non-polynomial functions become polynomials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationRule {
    /// A fitted quadratic an entry of the granularity.
    Quadratic,
}

impl ActivationRule {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quadratic => "quadratic",
        }
    }
}

/// What to do where the polynomial network disagrees with the clear one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccuracyGate {
    /// Stop.
    Enforce,
    /// Warn, and go on.
    Accept,
}

/// What a caller of `compile` decides.
#[derive(Clone, Debug, PartialEq)]
pub struct CompileOptions {
    /// Name of the plan.
    pub name: String,
    /// How activations are approximated.
    pub activation: ActivationRule,
    /// What one polynomial covers.
    pub granularity: Granularity,
    /// Weight of the guard in the fit, in `0..=1`.
    pub guard: f64,
    /// Factor between what calibration saw and what is accepted; at least 1.
    pub margin: f64,
    /// Bits of precision that the output must have by prediction.
    pub precision_bits: f64,
    /// Base-2 logarithm of the largest ring degree.
    pub max_log_n: u32,
    /// What to do below the agreement that is demanded.
    pub accuracy: AccuracyGate,
    /// What the client does to integer data; calibration samples come with it done.
    pub normalization: Option<Normalization>,
    /// Names of the classes; empty where unknown.
    pub class_names: Vec<String>,
}

impl CompileOptions {
    /// What is right for most: quadratics a channel with a guard of 0.01, a margin of 1.25, 12 bits, rings up to 2^16.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            activation: ActivationRule::Quadratic,
            granularity: Granularity::Channel,
            guard: 1e-2,
            margin: 1.25,
            precision_bits: 12.0,
            max_log_n: 16,
            accuracy: AccuracyGate::Enforce,
            normalization: None,
            class_names: Vec::new(),
        }
    }

    /// The options that change the plan, in words, in a fixed order.
    pub(crate) fn words(&self) -> Vec<String> {
        vec![
            format!("activation {}", self.activation.name()),
            format!("granularity {}", granularity_name(self.granularity)),
            format!("guard {}", self.guard),
            format!("margin {}", self.margin),
            format!("precision {} bits", self.precision_bits),
            format!("ring degree at most 2^{}", self.max_log_n),
        ]
    }

    /// What is wrong with the options, if anything.
    pub(crate) fn defect(&self) -> Option<String> {
        let Self {
            guard,
            margin,
            precision_bits,
            max_log_n,
            ..
        } = self;
        if !(0.0..=1.0).contains(guard) {
            return Some(format!("a guard of {guard}: it is a weight from 0 to 1"));
        }
        if !(1.0..=16.0).contains(margin) {
            return Some(format!("a margin of {margin}: it is a factor from 1 to 16"));
        }
        if !(1.0..=30.0).contains(precision_bits) {
            return Some(format!("{precision_bits} bits of precision: ask for 1 to 30"));
        }
        if !(12..=heron_params::MAX_LOG_N).contains(max_log_n) {
            let largest = heron_params::MAX_LOG_N;
            return Some(format!("rings up to 2^{max_log_n}: choose 2^12 to 2^{largest}"));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_options_are_sound() {
        assert_eq!(CompileOptions::new("x").defect(), None);
    }

    #[test]
    fn senseless_options_are_named() {
        let usual = CompileOptions::new("x");
        for options in [
            CompileOptions {
                margin: 0.5,
                ..usual.clone()
            },
            CompileOptions {
                margin: f64::NAN,
                ..usual.clone()
            },
            CompileOptions {
                guard: 2.0,
                ..usual.clone()
            },
            CompileOptions {
                precision_bits: 100.0,
                ..usual.clone()
            },
            CompileOptions {
                max_log_n: 30,
                ..usual.clone()
            },
        ] {
            assert!(options.defect().is_some(), "{options:?}");
        }
    }
}
