//! What a caller of `compile` decides.

use std::fmt;
use std::str::FromStr;

use heron_plan::Normalization;

use crate::approximate::{FitOptions, Guard, granularity_name};
use crate::nn::Granularity;
use crate::schedule::Timing;

/// How non-polynomial functions become polynomials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationRule {
    /// A fitted quadratic an entry of the granularity.
    Quadratic,
    /// Guarded least squares of a degree, under each activation's own distribution.
    LeastSquares {
        /// The degree.
        degree: u32,
    },
    /// Interpolation in the Chebyshev points of the calibrated interval.
    Chebyshev {
        /// The degree.
        degree: u32,
    },
    /// The lowest degree that errs by at most `2^-bits` of the function's largest magnitude on its interval.
    Tolerance {
        /// Bits.
        bits: u32,
    },
    /// A composite of minimax polynomials: a sign that is wrong by at most `2^-alpha` outside a small gap.
    Composite {
        /// Bits of the sign.
        alpha: u32,
    },
    /// Degrees chosen layer by layer, by what each layer's error does to the output.
    Ola {
        /// Levels that the activations may take on average, in tenths.
        tenths: u32,
    },
    /// Quadratics, and higher degrees where they are needed for the answers to agree.
    Auto,
}

/// The highest degree that is fitted.
pub const MAX_DEGREE: u32 = 127;

impl fmt::Display for ActivationRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quadratic => f.write_str("quadratic"),
            Self::LeastSquares { degree } => write!(f, "least-squares:{degree}"),
            Self::Chebyshev { degree } => write!(f, "chebyshev:{degree}"),
            Self::Tolerance { bits } => write!(f, "tolerance:{bits}"),
            Self::Composite { alpha } => write!(f, "composite:{alpha}"),
            Self::Ola { tenths } => write!(f, "ola:{}", f64::from(*tenths) / 10.0),
            Self::Auto => f.write_str("auto"),
        }
    }
}

impl FromStr for ActivationRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let within = |what: &str, least: u32, most: u32| {
            let given = number.ok_or_else(|| format!("`{name}` needs a {what}: `{name}:{most}`"))?;
            let parsed: Option<u32> = given.parse().ok().filter(|n| (least..=most).contains(n));
            parsed.ok_or_else(|| format!("`{given}` is no {what} from {least} to {most}"))
        };
        match (name, number) {
            ("quadratic", None) => Ok(Self::Quadratic),
            ("ola", None) => Ok(Self::Ola { tenths: USUAL_TENTHS }),
            ("ola", Some(levels)) => average_levels(levels),
            ("auto", None) => Ok(Self::Auto),
            ("least-squares", _) => within("degree", 2, MAX_DEGREE).map(|degree| Self::LeastSquares { degree }),
            ("chebyshev", _) => within("degree", 1, MAX_DEGREE).map(|degree| Self::Chebyshev { degree }),
            ("tolerance", _) => within("number of bits", 1, 40).map(|bits| Self::Tolerance { bits }),
            ("composite", _) => within("number of bits", 4, 14).map(|alpha| Self::Composite { alpha }),
            _ => Err(format!(
                "there is no rule `{text}`: use quadratic, least-squares:DEGREE, chebyshev:DEGREE, tolerance:BITS, composite:ALPHA, \
                 ola:LEVELS or auto"
            )),
        }
    }
}

/// Levels an activation that `ola` takes where none are given, in tenths.
const USUAL_TENTHS: u32 = 40;

/// `ola:LEVELS`, to a tenth of a level.
fn average_levels(levels: &str) -> Result<ActivationRule, String> {
    let parsed: Option<f64> = levels.parse().ok().filter(|levels| (0.0..=8.0).contains(levels));
    let levels = parsed.ok_or_else(|| format!("`{levels}` is no average of levels from 0 to 8"))?;
    Ok(ActivationRule::Ola {
        tenths: (10.0 * levels).round() as u32,
    })
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
    /// Nodes that are approximated in another way: names of ONNX nodes with their rules.
    pub overrides: Vec<(String, ActivationRule)>,
    /// How coefficients are found, where the rule leaves that open.
    pub fit: FitOptions,
    /// What one polynomial covers.
    pub granularity: Granularity,
    /// Weight of the guard in the fit of a quadratic, in `0..=1`.
    pub guard: f64,
    /// How polynomials of a degree above two, fitted by least squares, are kept in check where no sample lies.
    pub above_two: Guard,
    /// Factor between what calibration saw and what is accepted; at least 1.
    pub margin: f64,
    /// Bits of precision that the output must have by prediction.
    pub precision_bits: f64,
    /// Base-2 logarithm of the largest ring degree.
    pub max_log_n: u32,
    /// Levels that may follow one another without a bootstrap, at most; absent where the modulus decides.
    pub max_depth: Option<u32>,
    /// When to bootstrap.
    pub timing: Timing,
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
            overrides: Vec::new(),
            fit: FitOptions::USUAL,
            granularity: Granularity::Channel,
            guard: 1e-2,
            above_two: Guard::ABOVE_TWO,
            margin: 1.25,
            precision_bits: 12.0,
            max_log_n: 16,
            max_depth: None,
            timing: Timing::Cheapest,
            accuracy: AccuracyGate::Enforce,
            normalization: None,
            class_names: Vec::new(),
        }
    }

    /// The options that change the plan, in words, in a fixed order.
    pub(crate) fn words(&self) -> Vec<String> {
        let overrides = self
            .overrides
            .iter()
            .map(|(node, rule)| format!("activation of {node} {rule}"));
        let mut words = vec![format!("activation {}", self.activation)];
        words.extend(overrides);
        words.extend([
            format!("granularity {}", granularity_name(self.granularity)),
            format!("fit {}", self.fit),
            format!("guard {}", self.guard),
            format!("margin {}", self.margin),
            format!(
                "above degree 2: guard {} falling at {}, margin {}",
                self.above_two.weight, self.above_two.rate, self.above_two.margin
            ),
            format!("precision {} bits", self.precision_bits),
            format!("ring degree at most 2^{}", self.max_log_n),
        ]);
        if self.timing == Timing::Late {
            words.push("bootstraps as late as possible".to_owned());
        }
        words.extend(
            self.max_depth
                .map(|levels| format!("at most {levels} levels without a bootstrap")),
        );
        words
    }

    /// What is wrong with the options, if anything.
    pub(crate) fn defect(&self) -> Option<String> {
        let Self {
            guard,
            margin,
            above_two,
            precision_bits,
            max_log_n,
            max_depth,
            ..
        } = self;
        let guards = [Guard::even(*margin, *guard), *above_two];
        if let Some(defect) = guards.iter().find_map(Guard::defect) {
            return Some(defect);
        }
        if !(1.0..=30.0).contains(precision_bits) {
            return Some(format!("{precision_bits} bits of precision: ask for 1 to 30"));
        }
        if !(12..=heron_params::MAX_LOG_N).contains(max_log_n) {
            let largest = heron_params::MAX_LOG_N;
            return Some(format!("rings up to 2^{max_log_n}: choose 2^12 to 2^{largest}"));
        }
        if *max_depth == Some(0) {
            return Some("no level without a bootstrap: allow at least 1".to_owned());
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
    fn a_rule_is_read_as_it_is_written() {
        let rules = [
            "quadratic",
            "least-squares:6",
            "chebyshev:31",
            "tolerance:10",
            "composite:13",
            "ola:3.5",
            "auto",
        ];
        for text in rules {
            assert_eq!(
                text.parse::<ActivationRule>().map(|rule| rule.to_string()),
                Ok(text.to_owned())
            );
        }
        for wrong in [
            "",
            "cubic",
            "quadratic:2",
            "chebyshev",
            "chebyshev:0",
            "chebyshev:1000",
            "composite:3",
            "ola:9",
            "ola:many",
        ] {
            assert!(wrong.parse::<ActivationRule>().is_err(), "{wrong}");
        }
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
                above_two: Guard::even(2.0, -0.1),
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
            CompileOptions {
                max_depth: Some(0),
                ..usual.clone()
            },
        ] {
            assert!(options.defect().is_some(), "{options:?}");
        }
    }
}
