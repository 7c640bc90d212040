//! What errors of one layer do to the answer, to first order.

use rayon::prelude::*;

use crate::evaluate_nodes;
use crate::gradients;
use crate::graph::{Graph, NodeId};
use crate::nn::Op;

/// An activation's operands, and the gradients of the answer with respect to its results, for one sample.
#[derive(Clone, Debug)]
pub(super) struct Sensitivity {
    pub(super) operands: Vec<f64>,
    pub(super) gradients: Vec<f64>,
}

/// What one sample says: the margin of its answer, and one entry an activation.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    pub(super) margin: f64,
    pub(super) layers: Vec<Sensitivity>,
}

/// Runs every sample forwards and backwards through the exact network.
pub(super) fn witnesses(graph: &Graph<Op>, samples: &[&[f64]], layers: &[NodeId]) -> Vec<Witness> {
    let witness = |sample: &&[f64]| {
        let values = evaluate_nodes(graph, sample);
        let (margin, seed) = margin_and_seed(&values[graph.output().index()]);
        let gradients = gradients(graph, &values, &seed);
        let layer = |id: &NodeId| Sensitivity {
            operands: values[graph.node(*id).args[0].index()].clone(),
            gradients: gradients[id.index()].clone(),
        };
        Witness {
            margin,
            layers: layers.iter().map(layer).collect(),
        }
    };
    samples.par_iter().map(witness).collect()
}

/// How far the largest output is above the next, and its gradient with respect to the outputs. One output answers by its
/// size alone.
fn margin_and_seed(outputs: &[f64]) -> (f64, Vec<f64>) {
    let mut seed = vec![0.0; outputs.len()];
    let largest = |skip: Option<usize>| {
        let others = (0..outputs.len()).filter(|&i| Some(i) != skip);
        others.reduce(|best, i| if outputs[i] > outputs[best] { i } else { best })
    };
    let Some(first) = largest(None) else { return (0.0, seed) };
    seed[first] = 1.0;
    let Some(second) = largest(Some(first)) else {
        return (outputs[first].abs(), seed);
    };
    seed[second] = -1.0;
    (outputs[first] - outputs[second], seed)
}

/// The mean over samples of `(Σ g δ)²`: the variance of the answer that errors `δ` with gradients `g` cause.
///
/// # Shapes
/// `gradients`, `errors`: one vector a sample, of equal lengths.
pub fn first_order_variance<'a>(
    gradients: impl IntoIterator<Item = &'a [f64]>,
    errors: impl IntoIterator<Item = Vec<f64>>,
) -> f64 {
    let (mut sum, mut count) = (0.0, 0usize);
    for (gradients, errors) in gradients.into_iter().zip(errors) {
        let shift: f64 = gradients.iter().zip(&errors).map(|(g, error)| g * error).sum();
        sum += shift * shift;
        count += 1;
    }
    sum / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_is_between_the_two_largest() {
        assert_eq!(margin_and_seed(&[1.0, 4.0, 3.5]), (0.5, vec![0.0, 1.0, -1.0]));
        assert_eq!(margin_and_seed(&[-2.0]), (2.0, vec![1.0]));
    }

    #[test]
    fn errors_of_a_layer_may_add_up_or_cancel() {
        let gradients = [1.0, -2.0];
        let variance = |errors: Vec<f64>| first_order_variance([&gradients[..]], [errors]);
        assert_eq!(variance(vec![2.0, 1.0]), 0.0);
        assert_eq!(variance(vec![2.0, -1.0]), 16.0);
    }
}
