//! Samples on which a network's values grow out of all proportion to what calibration saw.
//!
//! A network of polynomials has no ceiling: a value somewhat beyond its range is squared, and squared again. Outputs may still
//! look like numbers; under encryption such a run overflows.

use rayon::prelude::*;

use crate::calibrate::Samples;
use crate::evaluate_nodes;
use crate::graph::Graph;
use crate::nn::Op;

/// How many times the largest magnitude of calibration a value has when it diverges. Of ordinary images a network of 19
/// squares takes values up to 6 times beyond its 256 calibration samples; those that diverge pass any bound within
/// two layers.
pub const DIVERGENCE: f64 = 16.0;

/// A sample on which values diverge.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// Its number.
    pub sample: usize,
    /// The first node where they do.
    pub node: String,
    /// The largest magnitude there; infinite if there is none.
    pub largest: f64,
    /// The largest magnitude there over the calibration samples, if there are such.
    pub calibrated: Option<f64>,
}

/// The samples that diverge, in order. Without calibration samples, those with values that are not finite.
///
/// # Shapes
/// `samples`: as many elements each as the network's input.
///
/// # Cost
/// One evaluation for each sample and each calibration sample.
///
/// # Panics
/// If a sample has another length than the network's input.
pub fn divergences<S: AsRef<[f64]> + Sync>(
    graph: &Graph<Op>,
    calibration: Option<&Samples>,
    samples: &[S],
) -> Vec<Divergence> {
    let calibrated = calibration.map(|calibration| magnitudes(graph, calibration));
    let diverged: Vec<Option<Divergence>> = (samples.par_iter().enumerate())
        .map(|(sample, x)| first_divergence(graph, calibrated.as_deref(), x.as_ref(), sample))
        .collect();
    diverged.into_iter().flatten().collect()
}

/// The largest magnitude of every node over the calibration samples.
fn magnitudes(graph: &Graph<Op>, calibration: &Samples) -> Vec<f64> {
    let samples: Vec<&[f64]> = calibration.iter().collect();
    let of_sample = |sample: &&[f64]| -> Vec<f64> {
        evaluate_nodes(graph, sample)
            .iter()
            .map(|node| magnitude(node))
            .collect()
    };
    let largest = |mut left: Vec<f64>, right: Vec<f64>| {
        left.iter_mut()
            .zip(right)
            .for_each(|(left, right)| *left = left.max(right));
        left
    };
    samples
        .par_iter()
        .map(of_sample)
        .reduce(|| vec![0.0; graph.len()], largest)
}

/// The largest magnitude; infinite where an element is no number.
fn magnitude(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest: f64, value| {
        if value.is_nan() {
            f64::INFINITY
        } else {
            largest.max(value.abs())
        }
    })
}

fn first_divergence(graph: &Graph<Op>, calibrated: Option<&[f64]>, x: &[f64], sample: usize) -> Option<Divergence> {
    let values = evaluate_nodes(graph, x);
    let found = graph.iter().zip(&values).find_map(|((id, node), values)| {
        let largest = magnitude(values);
        let known = calibrated.map(|calibrated| calibrated[id.index()]);
        let beyond = known.is_some_and(|known| largest > DIVERGENCE * known);
        (beyond || largest.is_infinite()).then(|| (node.name.clone(), largest, known))
    });
    found.map(|(node, largest, calibrated)| Divergence {
        sample,
        node,
        largest,
        calibrated,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::GraphBuilder;

    /// `x^(2^count)` of two elements.
    fn squares(count: usize) -> Graph<Op> {
        let mut out = GraphBuilder::default();
        let mut last = out.push("x", Op::Input, &[], &[2]);
        for index in 0..count {
            last = out.push(&format!("square{index}"), Op::Square, &[last], &[2]);
        }
        out.finish(last)
    }

    fn calibration() -> Samples {
        Samples::new(&[2], vec![0.5, -1.0, 0.25, 0.75]).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn the_first_node_out_of_proportion_is_named() {
        let samples = [vec![0.9, -1.0], vec![3.0, 0.0], vec![1.0, 1.0]];
        let found = divergences(&squares(6), Some(&calibration()), &samples);
        let expected = Divergence {
            sample: 1,
            node: "square1".to_owned(),
            largest: 81.0,
            calibrated: Some(1.0),
        };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn without_calibration_only_what_is_not_finite_counts() {
        let samples = [vec![3.0, 0.0], vec![1e200, 1.0], vec![f64::NAN, 1.0]];
        let found = divergences(&squares(6), None, &samples);
        let names: Vec<(usize, &str)> = found.iter().map(|found| (found.sample, found.node.as_str())).collect();
        assert_eq!(names, [(1, "square0"), (2, "x")]);
    }
}
