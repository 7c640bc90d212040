//! `heron fit`: one function by itself: its polynomial, what it costs and how far off it is.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

use anyhow::Result;
use heron_compiler::approximate::function_fit::{
    FUNCTIONS, FunctionFit, FunctionRule, Operands, curve, degree_for, fit_function, taylor,
};
use heron_compiler::approximate::{Distribution, FitOptions, Method, Normal, Targets};
use heron_compiler::calibrate::{Interval, is_held_back};
use heron_compiler::nn::Activation;
use heron_compiler::options::MAX_DEGREE;
use heron_compiler::{evaluate_nodes, simplify};
use heron_runtime::files::write_bytes;
use serde::Serialize;

use crate::arguments::{FitArgs, TensorRef};
use crate::artefact::{ForceOption, Written};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::network::Network;
use crate::plot::{Plot, Scale, Series};
use crate::table::{Align, Table, pairs};

const AFTER_HELP: &str = "\
The operand is normally distributed, or as the samples of an array, or as what
reaches a node of a model. Samples are rows; every fifth is held back from the
fit, and errors are measured on those.

Example:
  heron fit relu --degree 2 --sigma 1 --plot
  heron fit gelu --degree 2 --data tokens.npy --compare
  heron fit silu --interval=-8,8 --tolerance 0.001";

/// Points of a curve in a plot.
const CURVE_POINTS: usize = 401;

/// Options of `fit`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct FitCommandArgs {
    /// The function: relu, gelu, silu, sigmoid, ... (a wrong name lists them)
    function: String,
    /// Degree of the polynomial
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DEGREE)))]
    degree: u32,
    /// Find the lowest degree with this largest error instead
    #[arg(long, value_name = "ERROR", conflicts_with = "degree")]
    tolerance: Option<f64>,
    /// Standard deviation of a normally distributed operand
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    sigma: f64,
    /// Mean of a normally distributed operand
    #[arg(long, value_name = "M", default_value_t = 0.0, allow_hyphen_values = true)]
    mean: f64,
    /// An operand that is uniform on an interval
    #[arg(long, value_name = "A,B", allow_hyphen_values = true, conflicts_with_all = ["sigma", "mean", "data"])]
    interval: Option<IntervalOption>,
    /// Samples of the operand, or of the model's input where a model is given
    #[arg(long, value_name = "FILE[:ARRAY]", conflicts_with_all = ["sigma", "mean"])]
    data: Option<TensorRef>,
    /// Take the operand of a node of this model
    #[arg(long, value_name = "MODEL", requires = "data", requires = "node")]
    model: Option<PathBuf>,
    /// The node of the model
    #[arg(long, value_name = "NODE", requires = "model")]
    node: Option<String>,
    /// Weight of the uniform guard [default: 0.01 for samples, 0 otherwise]
    #[arg(long, value_name = "WEIGHT")]
    guard: Option<f64>,
    /// Length of the interval over the largest sample
    #[arg(long, value_name = "FACTOR", default_value_t = 1.25)]
    margin: f64,
    #[command(flatten)]
    fit: FitArgs,
    /// Compare all methods
    #[arg(long)]
    compare: bool,
    /// Write a plot
    #[arg(long, value_name = "PLOT.svg", num_args = 0..=1, default_missing_value = "fit.svg")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    force: ForceOption,
}

/// Two numbers, the first below the second.
#[derive(Clone, Copy, Debug)]
struct IntervalOption(Interval);

impl FromStr for IntervalOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (min, max) = text.split_once(',').ok_or("expected two numbers: A,B")?;
        let number = |word: &str| {
            word.trim()
                .parse::<f64>()
                .map_err(|_| format!("`{word}` is not a number"))
        };
        let (min, max) = (number(min)?, number(max)?);
        if min.is_finite() && max.is_finite() && min < max {
            Ok(Self(Interval { min, max }))
        } else {
            Err(format!(
                "{min},{max} is no interval: the first number must be below the second"
            ))
        }
    }
}

/// What was found.
#[derive(Debug, Serialize)]
struct Fitted {
    function: String,
    fits: Vec<FunctionFit>,
    plot: Option<Written>,
}

impl FitCommandArgs {
    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Result<()> {
        let started = Instant::now();
        if let Some(plot) = &self.plot {
            self.force.check(plot)?;
        }
        let function = self.function()?;
        let operands = self.operands(function)?;
        let usage = |message: String| Failure::new(Exit::Usage, message);
        let rule = self.rule(function, &operands).map_err(usage)?;
        let mut fits = vec![fit_function(function, &operands, &rule).map_err(usage)?];
        if self.compare {
            // A method that does not apply to the function has no line.
            fits.extend(
                others(&rule)
                    .iter()
                    .filter_map(|other| fit_function(function, &operands, other).ok()),
            );
            fits.extend(taylor(function, &operands, rule.degree, rule.margin));
        }
        let plot = match &self.plot {
            None => None,
            Some(path) => {
                let svg = plot_of(&self.function, function, &fits).to_svg();
                write_bytes(path, svg.as_bytes(), self.force.overwrite())?;
                Some(Written::since(path, started))
            }
        };
        let fitted = Fitted {
            function: self.function.clone(),
            fits,
            plot,
        };
        context.terminal.result(&fitted, |width| fitted.text(width))?;
        if let Some(written) = &fitted.plot {
            written.announce(context.terminal);
        }
        Ok(())
    }

    fn function(&self) -> Result<Activation, Failure> {
        let known = FUNCTIONS.iter().find(|(name, _)| *name == self.function);
        known.map(|&(_, function)| function).ok_or_else(|| {
            let names: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
            Failure::new(Exit::Usage, format!("there is no function `{}`", self.function))
                .advise(format!("use one of {}", names.join(", ")))
        })
    }

    fn rule(&self, function: Activation, operands: &Operands) -> Result<FunctionRule, String> {
        let sampled = matches!(operands, Operands::Samples { .. });
        let guard = self.guard.unwrap_or(if sampled { 1e-2 } else { 0.0 });
        if !(0.0..=1.0).contains(&guard) {
            return Err(format!("a guard of {guard}: it is a weight from 0 to 1"));
        }
        if !(1.0..=16.0).contains(&self.margin) {
            return Err(format!("a margin of {}: it is a factor from 1 to 16", self.margin));
        }
        let mut fit = self.fit.options();
        // Without samples there is no empirical distribution.
        if fit.distribution == Distribution::Empirical {
            fit.distribution = match operands {
                Operands::Normal(_) => Distribution::Gaussian,
                Operands::Interval(_) => Distribution::Uniform,
                Operands::Samples { .. } => Distribution::Empirical,
            };
        }
        let degree = match self.tolerance {
            None => self.degree as usize,
            Some(tolerance) if tolerance > 0.0 && tolerance.is_finite() => {
                fit.method = Method::Minimax;
                degree_for(function, operands, self.margin, tolerance, MAX_DEGREE as usize)?
            }
            Some(tolerance) => return Err(format!("a tolerance of {tolerance}: it is a positive number")),
        };
        Ok(FunctionRule {
            degree,
            fit,
            guard,
            margin: self.margin,
        })
    }

    fn operands(&self, function: Activation) -> Result<Operands> {
        if let Some(IntervalOption(interval)) = self.interval {
            return Ok(Operands::Interval(interval));
        }
        let Some(data) = &self.data else {
            return Ok(Operands::Normal(Normal {
                mean: self.mean,
                deviation: self.sigma,
            }));
        };
        let rows = match (&self.model, &self.node) {
            (Some(model), Some(node)) => operands_of(&Network::read(model)?, node, function, data)?,
            (Some(_), None) | (None, _) => {
                let tensor = data.read()?;
                let n_rows = tensor.shape.first().copied().unwrap_or(0).max(1);
                let values = tensor.to_f64();
                let length = values.len().div_ceil(n_rows).max(1);
                values.chunks(length).map(<[f64]>::to_vec).collect()
            }
        };
        let (mut fitted, mut held_back) = (Vec::new(), Vec::new());
        for (index, row) in rows.iter().enumerate() {
            let part = if is_held_back(index) {
                &mut held_back
            } else {
                &mut fitted
            };
            part.extend_from_slice(row);
        }
        Ok(Operands::Samples { fitted, held_back })
    }
}

/// The operand of a node on every sample.
fn operands_of(network: &Network, node: &str, function: Activation, data: &TensorRef) -> Result<Vec<Vec<f64>>> {
    let graph = simplify(&network.imported.graph)?;
    let found = graph
        .iter()
        .find(|(_, candidate)| candidate.name == node && !candidate.args.is_empty());
    let Some((_, found)) = found else {
        let names: Vec<&str> = graph.iter().map(|(_, node)| node.name.as_str()).collect();
        let failure = Failure::new(Exit::Usage, format!("the model has no node `{node}` with an operand"));
        return Err(failure.advise(format!("its nodes are {}", names.join(", "))).into());
    };
    let (operand, shape) = (found.args[0], network.input_shape());
    let tensor = data.read_samples(shape)?;
    let length: usize = shape.iter().product::<usize>().max(1);
    let values = tensor.to_f64();
    if values.len() % length != 0 {
        let message = format!(
            "`{data}` has {} values, which are no whole number of inputs of {length}",
            values.len()
        );
        return Err(Failure::new(Exit::Usage, message).into());
    }
    if values.iter().any(|x| !x.is_finite()) {
        let message = format!("`{data}` has a value that is not a finite number, as an operand of {function:?}");
        return Err(Failure::new(Exit::Usage, message).into());
    }
    let rows = values
        .chunks(length)
        .map(|sample| evaluate_nodes(&graph, sample).swap_remove(operand.index()));
    Ok(rows.collect())
}

/// The rules that a fit is compared with.
fn others(rule: &FunctionRule) -> Vec<FunctionRule> {
    let with = |method, distribution, guard| FunctionRule {
        fit: FitOptions {
            method,
            distribution,
            smoothing: None,
            targets: Targets::Local,
        },
        guard,
        ..*rule
    };
    let all = [
        with(Method::LeastSquares, Distribution::Empirical, 1e-2),
        with(Method::LeastSquares, Distribution::Empirical, 0.0),
        with(Method::LeastSquares, Distribution::Gaussian, 0.0),
        with(Method::LeastSquares, Distribution::Uniform, 0.0),
        with(Method::Minimax, rule.fit.distribution, rule.guard),
        with(Method::Chebyshev, rule.fit.distribution, rule.guard),
        with(Method::Jackson, rule.fit.distribution, rule.guard),
    ];
    let sampled = rule.fit.distribution == Distribution::Empirical;
    all.into_iter()
        .filter(|other| {
            sampled || other.fit.distribution != Distribution::Empirical || other.fit.method != Method::LeastSquares
        })
        .filter(|other| {
            (other.fit.method, other.fit.distribution, other.guard)
                != (rule.fit.method, rule.fit.distribution, rule.guard)
        })
        .collect()
}

fn plot_of(name: &str, function: Activation, fits: &[FunctionFit]) -> Plot {
    let interval = fits
        .first()
        .map_or(Interval { min: -1.0, max: 1.0 }, |fit| fit.interval);
    let exact = Series {
        name: name.to_owned(),
        points: curve(|x| function.apply(x), interval, CURVE_POINTS),
        marked: false,
    };
    let Interval { min: low, max: high } = Interval::of(exact.points.iter().map(|point| point.1));
    let spare = 0.25 * (high - low);
    let fitted = fits.iter().map(|fit| Series {
        name: format!("{}: {:.2e}, {:.3}", fit.rule, fit.mse, fit.max_error),
        points: curve(|x| fit.value(x), interval, CURVE_POINTS),
        marked: false,
    });
    let series: Vec<Series> = [exact].into_iter().chain(fitted).collect();
    let degree = fits.first().map_or(0, |fit| fit.degree);
    Plot {
        title: format!("{name} by polynomials of degree {degree}: mean squared and largest error"),
        x_label: "operand".to_owned(),
        y_label: "value".to_owned(),
        y_scale: Scale::Linear,
        // A polynomial that is far off would make the others one line.
        y_range: Some((low - spare, high + spare)),
        series,
    }
}

impl Fitted {
    fn text(&self, width: usize) -> String {
        let mut table = Table::new(&[
            ("method", Align::Text),
            ("mean sq. error", Align::Number),
            ("largest", Align::Number),
            ("levels", Align::Number),
        ]);
        for fit in &self.fits {
            table.row([
                fit.rule.clone(),
                format!("{:.4e}", fit.mse),
                format!("{:.4}", fit.max_error),
                fit.depth.to_string(),
            ]);
        }
        let Some(first) = self.fits.first() else {
            return table.render(width);
        };
        let coefficients = if first.degree <= 8 {
            let terms = first
                .powers
                .iter()
                .enumerate()
                .map(|(power, c)| format!("{c:+.9} x^{power}"));
            ("polynomial", terms.collect::<Vec<_>>().join(" "))
        } else {
            let terms = first.chebyshev.iter().map(|c| format!("{c:.9}"));
            let Interval { min, max } = first.basis;
            (
                "Chebyshev",
                format!("on {min:.4} to {max:.4}: {}", terms.collect::<Vec<_>>().join(" ")),
            )
        };
        let mut entries = vec![
            ("function", self.function.clone()),
            coefficients,
            (
                "errors on",
                format!("{:.4} to {:.4}", first.interval.min, first.interval.max),
            ),
        ];
        if first.exceedance > 0.0 {
            entries.push((
                "outside",
                format!("{:.3} % of the held-back samples", 100.0 * first.exceedance),
            ));
        }
        format!("{}\n{}", pairs(&entries, width), table.render(width))
    }
}
