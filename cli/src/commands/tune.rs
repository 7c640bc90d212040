//! `heron tune`: accuracy against levels, with degrees chosen layer by layer.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use heron_compiler::options::CompileOptions;
use heron_compiler::{CompileInput, TunePoint, tune};
use heron_runtime::files::write_bytes;
use serde::Serialize;

use crate::arguments::{NormalizeOption, TensorRef};
use crate::artefact::{ForceOption, Written};
use crate::context::Context;
use crate::network::{Network, read_labels};
use crate::plot::{Plot, Scale, Series};
use crate::polynomials::{GranularityOption, GuardArgs, calibration_samples};
use crate::table::{Align, Table};
use crate::units;

const AFTER_HELP: &str = "\
For each budget of levels, the degrees with the least predicted error of the
answer; then the network with these degrees, on every fifth sample, which the
fits do not see. The plot lies beside the file, with the ending .svg.

Example:
  heron tune models/digits_mlp_deep_relu/model.onnx \\
      --data models/data/digits.npz:calib \\
      --labels models/data/digits.npz:calib_labels -o frontier.json";

/// Options of `tune`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct TuneArgs {
    /// The ONNX file
    model: PathBuf,
    /// Calibration samples
    #[arg(long, value_name = "FILE[:ARRAY]")]
    data: TensorRef,
    /// Their labels
    #[arg(long, value_name = "FILE[:ARRAY]")]
    labels: Option<TensorRef>,
    /// For integer samples: (x * scale - mean) / std; a mean and a std for all or for each channel
    #[arg(long, value_name = "SCALE,MEAN..,STD..", allow_hyphen_values = true)]
    normalize: Option<NormalizeOption>,
    /// How many budgets, from one level an activation to five
    #[arg(long, value_name = "N", default_value = "8")]
    points: NonZeroUsize,
    /// What one polynomial covers
    #[arg(long, value_enum, value_name = "PART", default_value_t = GranularityOption::Channel)]
    granularity: GranularityOption,
    #[command(flatten)]
    guard: GuardArgs,
    /// The file to write
    #[arg(short, long, value_name = "FRONTIER.json")]
    output: PathBuf,
    #[command(flatten)]
    force: ForceOption,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Tuned {
    points: Vec<TunePoint>,
    written: Written,
    plot: Written,
}

impl TuneArgs {
    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Result<()> {
        let tuned = self.execute(context)?;
        context.terminal.result(&tuned, |width| tuned.table().render(width))?;
        tuned.written.announce(context.terminal);
        tuned.plot.announce(context.terminal);
        let model = self.model.display();
        context
            .terminal
            .next(format_args!("heron compile {model} --activation ola:LEVELS"));
        Ok(())
    }

    fn execute(&self, context: &Context) -> Result<Tuned> {
        let started = Instant::now();
        let plot_path = self.output.with_extension("svg");
        self.force.check(&self.output)?;
        self.force.check(&plot_path)?;
        let network = Network::read(&self.model)?;
        let normalization = self.normalize.as_ref().map(|option| option.0.clone());
        let calibration = calibration_samples(&self.data, &network, normalization)?;
        let labels = self
            .labels
            .as_ref()
            .map(|labels| read_labels(labels, calibration.len()))
            .transpose()?;
        let labels: Option<Vec<i64>> = labels.map(|labels| labels.iter().map(|&label| label as i64).collect());
        let options = CompileOptions {
            granularity: self.granularity.granularity(),
            ..self.guard.apply(CompileOptions::new("tune"))
        };
        let input = CompileInput {
            model: &network.bytes,
            calibration: &calibration,
            labels: labels.as_deref(),
            options: &options,
        };
        let total = self.points.get() as u64;
        let step = context.terminal.step("fitting and measuring");
        let points = tune(input, self.points.get(), &mut |done| step.progress(done as u64, total))?;
        drop(step);
        let json = serde_json::to_string_pretty(&points)? + "\n";
        write_bytes(&self.output, json.as_bytes(), self.force.overwrite())?;
        write_bytes(&plot_path, plot_of(&points).to_svg().as_bytes(), self.force.overwrite())?;
        Ok(Tuned {
            points,
            written: Written::since(&self.output, started),
            plot: Written::since(&plot_path, started),
        })
    }
}

/// Levels an activation against the fractions of answers that are kept, or right.
fn plot_of(points: &[TunePoint]) -> Plot {
    let series = |name: &str, value: &dyn Fn(&TunePoint) -> Option<f64>| Series {
        name: name.to_owned(),
        points: points
            .iter()
            .filter_map(|point| Some((point.mean_levels, 100.0 * value(point)?)))
            .collect(),
        marked: true,
    };
    let all = [
        series("same answer, measured", &|point| {
            Some(point.measured.as_ref()?.agreement())
        }),
        series("same answer, predicted", &|point| Some(point.plan.agreement)),
        series("right answer", &|point| point.measured.as_ref()?.polynomial),
        series("right answer, clear", &|point| point.measured.as_ref()?.clear),
    ];
    Plot {
        title: "Accuracy and levels".to_owned(),
        x_label: "levels an activation, on average".to_owned(),
        y_label: "held-back samples, percent".to_owned(),
        y_scale: Scale::Linear,
        y_range: None,
        series: all.into_iter().filter(|series| !series.points.is_empty()).collect(),
    }
}

impl Tuned {
    fn table(&self) -> Table {
        let mut table = Table::new(&[
            ("levels each", Align::Number),
            ("levels", Align::Number),
            ("predicted same answer", Align::Number),
            ("same answer", Align::Number),
            ("top-1 accuracy", Align::Number),
            ("degrees", Align::Text),
        ]);
        for point in &self.points {
            let measured = point.measured.as_ref();
            let cell = |rate: Option<f64>| rate.map_or("-".to_owned(), units::percent);
            let degrees: Vec<String> = point
                .plan
                .degrees
                .iter()
                .map(|(_, degree)| degree.to_string())
                .collect();
            table.row([
                format!("{:.2}", point.mean_levels),
                point.plan.levels.to_string(),
                units::percent(point.plan.agreement),
                cell(measured.map(heron_compiler::gate::Accuracy::agreement)),
                cell(measured.and_then(|accuracy| accuracy.polynomial)),
                degrees.join(" "),
            ]);
        }
        table
    }
}
