//! The trade-off between levels and accuracy: layerwise degrees within one budget after the other, predicted and measured.

use serde::{Deserialize, Serialize};

use crate::approximate::layerwise::{DegreePlan, Frontier, frontier};
use crate::approximate::{ApproximateError, ApproximateOptions, approximate};
use crate::calibrate::{Samples, calibrate};
use crate::compile::{approximate_options, check_labels, measure_accuracy};
use crate::error::CompileError;
use crate::gate::Accuracy;
use crate::graph::Graph;
use crate::nn::Op;
use crate::{CompileInput, import, simplify};

/// Levels an activation on average, from the first budget to the last.
const LEVELS: (f64, f64) = (1.0, 5.0);

/// One budget of levels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TunePoint {
    /// The degrees, and what they are predicted to do.
    pub plan: DegreePlan,
    /// Levels an activation, on average.
    pub mean_levels: f64,
    /// What the polynomial network does on samples that were held back; absent where it was refused.
    pub measured: Option<Accuracy>,
    /// Why it was refused.
    pub refused: Option<String>,
}

/// Chooses degrees for evenly spaced budgets, fits each network and measures it on held-back samples.
///
/// # Errors
/// [`CompileError`]; a network that diverges is a refused point and no error.
///
/// # Cost
/// As [`frontier`], and a fit and an evaluation of the network for every budget.
pub fn tune(
    input: CompileInput<'_>,
    points: usize,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<TunePoint>, CompileError> {
    if let Some(defect) = input.options.defect() {
        return Err(CompileError::Options(defect));
    }
    check_labels(input)?;
    let graph = simplify(&import(input.model)?.graph)?;
    calibrate(&graph, input.calibration)?;
    let options = approximate_options(input.options);
    let frontier = frontier(&graph, input.calibration, &options).map_err(CompileError::Unsupported)?;
    let mut found: Vec<TunePoint> = Vec::new();
    for (done, plan) in plans(&frontier, points).into_iter().enumerate() {
        found.push(point(input, &graph, input.calibration, &options, plan)?);
        progress(done + 1);
    }
    Ok(found)
}

/// The best degrees for evenly spaced budgets; budgets that are too small, or make no difference, are left out.
fn plans(frontier: &Frontier, points: usize) -> Vec<DegreePlan> {
    let (first, last) = LEVELS;
    let step = (last - first) / (points.max(2) - 1) as f64;
    let budgets = (0..points).map(|i| ((first + step * i as f64) * frontier.layers.len() as f64).round() as u32);
    let mut plans: Vec<DegreePlan> = budgets.filter_map(|budget| frontier.within(budget)).collect();
    plans.dedup();
    plans
}

fn point(
    input: CompileInput<'_>,
    graph: &Graph<Op>,
    samples: &Samples,
    options: &ApproximateOptions,
    plan: DegreePlan,
) -> Result<TunePoint, CompileError> {
    let mean_levels = f64::from(plan.levels) / plan.degrees.len().max(1) as f64;
    let (measured, refused) = match approximate(graph, samples, &plan.options(options)) {
        Ok(approximated) => (Some(measure_accuracy(input, graph, &approximated)), None),
        Err(ApproximateError::Diverges(alarm)) => (None, Some(alarm.to_string())),
        Err(error @ ApproximateError::Unsupported(_)) => return Err(error.into()),
    };
    Ok(TunePoint {
        plan,
        mean_levels,
        measured,
        refused,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approximate::layerwise::{Choice, LayerOptions};

    #[test]
    fn budgets_go_from_one_level_to_five() {
        let choice = |cost: u32| Choice {
            cost,
            variance: 1.0 / f64::from(1 + cost),
        };
        let layer = |node: &str| LayerOptions {
            node: node.to_owned(),
            choices: (0..7).map(choice).collect(),
        };
        let frontier = Frontier {
            layers: vec![layer("a"), layer("b")],
            margins: vec![1.0],
        };
        let levels: Vec<u32> = plans(&frontier, 5).iter().map(|plan| plan.levels).collect();
        assert_eq!(levels, [2, 4, 6, 8, 10]);
        assert_eq!(plans(&frontier, 1).len(), 1);
    }
}
