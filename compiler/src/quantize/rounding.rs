//! Rounds the weights of a layer so that its results stay, rather than its weights.
//!
//! A row `q` of integers stands for `scale·(q·x) + offset` on the integers `x` that the layer really reads: quantized, clipped
//! and rounded by all layers before. Starting from the nearest integers, one weight at a time moves to where the squared
//! difference from the clear network's accumulators is least, until none moves; then the offset takes up the mean
//! difference. A pull towards the true weights decides where samples are too few to.
//!
//! # Source
//! Coordinate descent on a layer's results: K. Behdin et al., *QuantEase*, arXiv 2309.01885, section 3. We differ in that
//! inputs are those of the quantized network, targets those of the clear one, and the mean goes into the offset.

use std::collections::BTreeMap;

use crate::evaluate::evaluate_node;
use crate::graph::Graph;
use crate::nn::Op;
use crate::quantize::integers::{IntegerPiece, Quantized};
use crate::quantize::pieces::Piece;

/// The pull towards the true weights, as a fraction of the inputs' mean variance.
const PULL: f64 = 0.1;
/// Most passes over a row.
const SWEEPS: usize = 10;
/// Rows that read more keep the nearest integers: their covariance has a million entries.
const MAX_COLUMNS: usize = 1024;
/// Entries of covariances that are kept for the next rows that read the same.
const MAX_KEPT: usize = 1 << 23;

/// What calibration samples give in every tensor that is known so far.
pub(super) struct Observed {
    /// `[tensor][sample][element]` of the clear network.
    clear: Vec<Vec<Vec<f64>>>,
    /// The same of the network of integers.
    integers: Vec<Vec<Vec<f64>>>,
}

/// Inputs of one row, by sample: mean and covariance.
struct Inputs {
    /// `[sample, column]`, the mean subtracted.
    centred: Vec<Vec<f64>>,
    mean: Vec<f64>,
    /// `[column, column]`.
    covariance: Vec<f64>,
}

/// Source and column of what a row reads.
type Support = Vec<(usize, usize)>;

impl Observed {
    /// Of the input alone.
    pub(super) fn new(samples: &[Vec<f64>], input: &Quantized) -> Self {
        Self {
            clear: vec![samples.to_vec()],
            integers: vec![samples.iter().map(|sample| input.integers(sample)).collect()],
        }
    }

    /// Rounds the rows of a piece again.
    pub(super) fn round(&self, piece: &Piece, integer: &mut IntegerPiece, tensors: &[Quantized], largest: i64) {
        let targets = self.accumulators(piece);
        let mut kept: BTreeMap<Support, Inputs> = BTreeMap::new();
        for row in 0..piece.bias.len() {
            let support = support(piece, row);
            if support.is_empty() || support.len() > MAX_COLUMNS {
                continue;
            }
            let entries: usize = kept.keys().map(|support| support.len() * support.len()).sum();
            if entries > MAX_KEPT && !kept.contains_key(&support) {
                kept.clear();
            }
            let inputs = kept
                .entry(support.clone())
                .or_insert_with(|| self.inputs(piece, &support));
            let scale = integer.scale[row];
            let target: Vec<f64> = targets.iter().map(|sample| sample[row] / scale).collect();
            let weights: Vec<f64> = true_weights(piece, tensors, row).map(|weight| weight / scale).collect();
            let rounded = inputs.descend(&target, &weights, largest as f64);
            let mean = target.iter().sum::<f64>() / target.len().max(1) as f64;
            let product: f64 = rounded.iter().zip(&inputs.mean).map(|(q, x)| q * x).sum();
            integer.offset[row] = scale * (mean - product);
            for (_, rows) in &mut integer.sources {
                rows[row].clear();
            }
            for (&(source, column), &q) in support.iter().zip(&rounded) {
                if q != 0.0 {
                    integer.sources[source].1[row].push((column, q as i64));
                }
            }
        }
    }

    /// Adds the result of a piece.
    pub(super) fn advance(&mut self, graph: &Graph<Op>, piece: &Piece, integer: &IntegerPiece, result: &Quantized) {
        let Some(function) = piece.function.map(|id| graph.node(id)) else {
            return;
        };
        let clear = self.accumulators(piece);
        let clear = clear.iter().map(|sample| evaluate_node(graph, function, &[sample]));
        let clear = clear.collect();
        let samples = 0..self.integers[0].len();
        let integers = samples.map(|sample| {
            let row = |row: usize| {
                let sources = integer.sources.iter().flat_map(|(tensor, rows)| {
                    let x = &self.integers[*tensor][sample];
                    rows[row].iter().map(|&(column, weight)| weight as f64 * x[column])
                });
                integer.scale[row] * sources.sum::<f64>() + integer.offset[row]
            };
            let accumulators: Vec<f64> = (0..integer.scale.len()).map(row).collect();
            result.integers(&evaluate_node(graph, function, &[&accumulators]))
        });
        let integers = integers.collect();
        self.clear.push(clear);
        self.integers.push(integers);
    }

    /// What the clear network accumulates, `[sample][row]`.
    fn accumulators(&self, piece: &Piece) -> Vec<Vec<f64>> {
        let samples = 0..self.clear[0].len();
        let sample = |sample: usize| -> Vec<f64> {
            let mut sums = piece.bias.clone();
            for source in &piece.sources {
                let x = &self.clear[source.tensor][sample];
                for (sum, terms) in sums.iter_mut().zip(&source.rows) {
                    *sum += terms.iter().map(|&(column, weight)| weight * x[column]).sum::<f64>();
                }
            }
            sums
        };
        samples.map(sample).collect()
    }

    fn inputs(&self, piece: &Piece, support: &Support) -> Inputs {
        let n_samples = self.integers[0].len();
        let value = |sample: usize, &(source, column): &(usize, usize)| {
            self.integers[piece.sources[source].tensor][sample][column]
        };
        let mut centred: Vec<Vec<f64>> = (0..n_samples)
            .map(|sample| support.iter().map(|at| value(sample, at)).collect())
            .collect();
        let mut mean = vec![0.0; support.len()];
        for sample in &centred {
            mean.iter_mut()
                .zip(sample)
                .for_each(|(mean, x)| *mean += x / n_samples as f64);
        }
        for sample in &mut centred {
            sample.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= mean);
        }
        let mut covariance = vec![0.0; support.len() * support.len()];
        for sample in &centred {
            for (row, x) in covariance.chunks_exact_mut(support.len()).zip(sample) {
                if *x != 0.0 {
                    row.iter_mut().zip(sample).for_each(|(c, y)| *c += x * y);
                }
            }
        }
        Inputs {
            centred,
            mean,
            covariance,
        }
    }
}

impl Inputs {
    /// Integers up to `largest` whose products with the inputs differ least from the target, but for the mean.
    fn descend(&self, target: &[f64], weights: &[f64], largest: f64) -> Vec<f64> {
        let n = weights.len();
        let total: f64 = (0..n).map(|i| self.covariance[i * n + i]).sum();
        let pull = PULL * total / n as f64;
        let mut rounded: Vec<f64> = weights.iter().map(|w| w.round().clamp(-largest, largest)).collect();
        // Half of the derivative by each weight; the centred inputs take the target's mean away.
        let mut slope: Vec<f64> = rounded.iter().zip(weights).map(|(q, w)| pull * (q - w)).collect();
        for (sample, target) in self.centred.iter().zip(target) {
            let product: f64 = rounded.iter().zip(sample).map(|(q, x)| q * x).sum();
            let difference = product - target;
            slope
                .iter_mut()
                .zip(sample)
                .for_each(|(slope, x)| *slope += difference * x);
        }
        for _ in 0..SWEEPS {
            let mut moved = false;
            for i in 0..n {
                let curvature = self.covariance[i * n + i] + pull;
                if curvature <= 0.0 {
                    continue;
                }
                let best = (rounded[i] - slope[i] / curvature).round().clamp(-largest, largest);
                let step = best - rounded[i];
                if step != 0.0 {
                    rounded[i] = best;
                    let row = &self.covariance[i * n..][..n];
                    slope.iter_mut().zip(row).for_each(|(slope, c)| *slope += step * c);
                    slope[i] += step * pull;
                    moved = true;
                }
            }
            if !moved {
                break;
            }
        }
        rounded
    }
}

fn support(piece: &Piece, row: usize) -> Support {
    let sources = piece.sources.iter().enumerate();
    sources
        .flat_map(|(at, source)| source.rows[row].iter().map(move |&(column, _)| (at, column)))
        .collect()
}

/// The weights of a row for integers of the tensors that it reads.
fn true_weights<'a>(piece: &'a Piece, tensors: &'a [Quantized], row: usize) -> impl Iterator<Item = f64> + 'a {
    piece.sources.iter().flat_map(move |source| {
        let scale = &tensors[source.tensor].scale;
        source.rows[row].iter().map(|&(column, weight)| weight * scale[column])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Inputs that depend on each other, as pixels do.
    fn inputs(columns: usize) -> Inputs {
        let n_samples = 40;
        let value = |sample: usize, column: usize| {
            let word = |i: u64| ((i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % 16) as f64;
            word(sample as u64 + 1) + 0.3 * word((sample * columns + column) as u64 + 99)
        };
        let samples: Vec<Vec<f64>> = (0..n_samples)
            .map(|sample| (0..columns).map(|column| value(sample, column)).collect())
            .collect();
        let observed = Observed {
            clear: vec![samples.clone()],
            integers: vec![samples],
        };
        let source = crate::quantize::pieces::Source {
            tensor: 0,
            rows: Vec::new(),
        };
        let piece = Piece {
            affine_node: "map".to_owned(),
            shape: vec![1],
            sources: vec![source],
            bias: Vec::new(),
            function: None,
        };
        observed.inputs(&piece, &(0..columns).map(|column| (0, column)).collect())
    }

    /// Sum of squared differences, the mean taken away.
    fn error(inputs: &Inputs, weights: &[f64], integers: &[f64]) -> f64 {
        let difference = |sample: &Vec<f64>| -> f64 {
            let parts = sample.iter().zip(weights.iter().zip(integers));
            parts.map(|(x, (w, q))| x * (q - w)).sum()
        };
        inputs.centred.iter().map(|sample| difference(sample).powi(2)).sum()
    }

    proptest! {
        #[test]
        fn results_are_closer_than_those_of_the_nearest_integers(weights in prop::collection::vec(-7.0f64..7.0, 12)) {
            let inputs = inputs(12);
            let targets: Vec<f64> = inputs
                .centred
                .iter()
                .map(|sample| sample.iter().zip(&weights).map(|(x, w)| x * w).sum())
                .collect();
            let nearest: Vec<f64> = weights.iter().map(|w| w.round()).collect();
            let found = inputs.descend(&targets, &weights, 7.0);
            prop_assert!(found.iter().all(|q| q.fract() == 0.0 && q.abs() <= 7.0));
            // The pull may cost what it gains in distance from the weights, no more.
            let total: f64 = (0..12).map(|i| inputs.covariance[i * 13]).sum();
            let distance: f64 = nearest.iter().zip(&weights).map(|(q, w)| (q - w) * (q - w)).sum();
            let slack = PULL * total / 12.0 * distance;
            prop_assert!(error(&inputs, &weights, &found) <= error(&inputs, &weights, &nearest) + slack);
        }
    }
}
