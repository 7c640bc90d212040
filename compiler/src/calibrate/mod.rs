//! Runs the clear network on real samples and keeps what ranges its tensors take.
//!
//! The graph does not change. [`Ranges`] has one entry a node: the interval of the whole tensor, of every channel and of
//! every element. Data that make a poor calibration are warned of, data that make none are refused.

mod samples;

pub use samples::{MIN_SAMPLES, Samples, is_held_back};

use serde::{Deserialize, Serialize};

use crate::evaluate_nodes;
use crate::graph::{Graph, NodeId};
use crate::nn::{Granularity, Op};

/// Fewer samples than this are warned of: the largest of `n` is exceeded by a fresh sample with probability `1/(n+1)`.
const FEW_SAMPLES: usize = 64;

/// Why samples cannot calibrate a network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CalibrateError {
    /// The values are not a whole number of samples.
    #[error("{values} calibration values are not a whole number of samples of shape {shape:?}")]
    Ragged {
        /// Shape of one sample.
        shape: Vec<usize>,
        /// How many values there are.
        values: usize,
    },
    /// The samples have another shape than the network's input.
    #[error("calibration samples have shape {found:?}, the network takes {expected:?}")]
    Shape {
        /// Shape of one sample.
        found: Vec<usize>,
        /// Shape of the network's input.
        expected: Vec<usize>,
    },
    /// Too few samples.
    #[error("{found} calibration samples are too few: at least {MIN_SAMPLES}, better some hundred")]
    TooFew {
        /// How many there are.
        found: usize,
    },
    /// A value is infinite or not a number.
    #[error("calibration sample {sample} has a value that is not a finite number at element {element}")]
    NotFinite {
        /// Index of the sample.
        sample: usize,
        /// Index of the element in it.
        element: usize,
    },
    /// The network itself leaves the finite numbers.
    #[error("node `{node}` takes a value that is not a finite number on calibration sample {sample}")]
    Diverges {
        /// Name of the node.
        node: String,
        /// Index of the sample.
        sample: usize,
    },
    /// Labels that do not belong to the samples.
    #[error("{labels} labels for {samples} calibration samples")]
    Labels {
        /// How many labels there are.
        labels: usize,
        /// How many samples there are.
        samples: usize,
    },
}

/// A closed interval; empty (`min > max`) before anything was seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Smallest value seen.
    pub min: f64,
    /// Largest value seen.
    pub max: f64,
}

impl Interval {
    /// The interval that contains nothing.
    pub const EMPTY: Self = Self {
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
    };

    /// The smallest interval with all of the values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut interval = Self::EMPTY;
        values.into_iter().for_each(|value| interval.include(value));
        interval
    }

    /// Widens the interval to contain a value.
    pub fn include(&mut self, value: f64) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// The largest magnitude in it; 0 if it is empty.
    pub fn magnitude(self) -> f64 {
        self.max.max(-self.min).max(0.0)
    }

    /// The interval with `margin - 1` times its magnitude added on both sides.
    pub fn widened(self, margin: f64) -> Self {
        let extra = (margin - 1.0) * self.magnitude();
        Self {
            min: self.min - extra,
            max: self.max + extra,
        }
    }

    /// An interval with the same middle, so many times as long.
    pub fn stretched(self, margin: f64) -> Self {
        let (middle, half) = (f64::midpoint(self.min, self.max), (self.max - self.min) / 2.0);
        Self {
            min: middle - margin * half,
            max: middle + margin * half,
        }
    }
}

/// What values a tensor takes.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorRange {
    /// Of all elements.
    pub tensor: Interval,
    /// Of each channel.
    pub channels: Vec<Interval>,
    /// Of each element.
    pub elements: Vec<Interval>,
}

/// What values the tensors of a graph take on calibration samples, by node.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges {
    tensors: Vec<TensorRange>,
    /// What is doubtful about the samples.
    pub warnings: Vec<String>,
}

impl Ranges {
    /// The range of a node's result.
    pub fn of(&self, node: NodeId) -> &TensorRange {
        &self.tensors[node.index()]
    }
}

/// Runs `graph` on every sample and keeps what ranges its tensors take.
///
/// # Errors
/// Those of [`Samples::check`], and [`CalibrateError::Diverges`].
pub fn calibrate(graph: &Graph<Op>, samples: &Samples) -> Result<Ranges, CalibrateError> {
    let input = graph.iter().find(|(_, node)| node.op == Op::Input);
    let (input, shape) = input.map_or((None, [].as_slice()), |(id, node)| (Some(id), node.shape.as_slice()));
    samples.check(shape)?;
    let mut elements: Vec<Vec<Interval>> = graph
        .iter()
        .map(|(_, node)| vec![Interval::EMPTY; node.len()])
        .collect();
    for (index, sample) in samples.iter().enumerate() {
        let values = evaluate_nodes(graph, sample);
        for ((id, node), values) in graph.iter().zip(&values) {
            if values.iter().any(|value| !value.is_finite()) {
                return Err(CalibrateError::Diverges {
                    node: node.name.clone(),
                    sample: index,
                });
            }
            elements[id.index()]
                .iter_mut()
                .zip(values)
                .for_each(|(interval, &value)| interval.include(value));
        }
    }
    let tensors = graph
        .iter()
        .zip(elements)
        .map(|((_, node), elements)| tensor_range(&node.shape, elements));
    let mut ranges = Ranges {
        tensors: tensors.collect(),
        warnings: Vec::new(),
    };
    ranges.warnings = warnings(graph, input, samples, &ranges);
    Ok(ranges)
}

fn tensor_range(shape: &[usize], elements: Vec<Interval>) -> TensorRange {
    let mut channels = vec![Interval::EMPTY; Granularity::Channel.entries(shape)];
    let mut tensor = Interval::EMPTY;
    for (element, interval) in elements.iter().enumerate() {
        for value in [interval.min, interval.max] {
            tensor.include(value);
            channels[Granularity::Channel.entry(element, shape)].include(value);
        }
    }
    TensorRange {
        tensor,
        channels,
        elements,
    }
}

fn warnings(graph: &Graph<Op>, input: Option<NodeId>, samples: &Samples, ranges: &Ranges) -> Vec<String> {
    let mut warnings = Vec::new();
    if samples.len() < FEW_SAMPLES {
        warnings.push(format!(
            "only {} calibration samples: a fresh input leaves their range with probability 1/{} before the margin",
            samples.len(),
            samples.len() + 1
        ));
    }
    let first = samples.get(0);
    if samples.iter().all(|sample| sample == first) {
        warnings.push("all calibration samples are equal: ranges and fits mean nothing for other inputs".to_owned());
    } else if input.is_some_and(|id| ranges.of(id).tensor.magnitude() > 64.0) {
        warnings.push(format!(
            "inputs reach {:.0}: if these are raw integers, compile with the network's normalization",
            input.map_or(0.0, |id| ranges.of(id).tensor.magnitude())
        ));
    }
    for (id, node) in graph.iter().filter(|(_, node)| matches!(node.op, Op::Activation(_))) {
        let operand = ranges.of(node.args[0]);
        let constant = operand
            .channels
            .iter()
            .filter(|channel| channel.min == channel.max)
            .count();
        if constant > 0 {
            warnings.push(format!(
                "{constant} of {} channels before `{}` never change on the calibration samples",
                operand.channels.len(),
                graph.node(id).name
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use ndarray::{arr1, arr2};

    use super::*;
    use crate::graph::GraphBuilder;
    use crate::nn::Activation;

    fn network() -> Graph<Op> {
        let mut builder = GraphBuilder::default();
        let x = builder.push("x", Op::Input, &[], &[2]);
        let weights = arr2(&[[1.0, -1.0], [0.0, 0.0]]).into_shared();
        let dense = Op::Dense {
            weights,
            bias: arr1(&[0.0, 3.0]).into_shared(),
        };
        let dense = builder.push("fc", dense, &[x], &[2]);
        let relu = builder.push("relu", Op::Activation(Activation::Relu), &[dense], &[2]);
        builder.finish(relu)
    }

    fn samples() -> Samples {
        let values = (0..64).flat_map(|i| [f64::from(i) / 64.0, 0.5]).collect();
        Samples::new(&[2], values).expect("64 samples")
    }

    #[test]
    fn keeps_the_range_of_every_element_and_tensor() {
        let graph = network();
        let ranges = calibrate(&graph, &samples()).expect("finite samples");
        let dense = graph.node(graph.output()).args[0];
        assert_eq!(
            ranges.of(dense).elements[0],
            Interval {
                min: -0.5,
                max: 0.484_375
            }
        );
        assert_eq!(ranges.of(dense).tensor, Interval { min: -0.5, max: 3.0 });
        assert_eq!(
            ranges.of(graph.output()).channels[0],
            Interval {
                min: 0.0,
                max: 0.484_375
            }
        );
    }

    #[test]
    fn warns_of_channels_that_never_change() {
        let ranges = calibrate(&network(), &samples()).expect("finite samples");
        assert_eq!(
            ranges.warnings,
            ["1 of 2 channels before `relu` never change on the calibration samples"]
        );
    }

    #[test]
    fn a_network_that_overflows_is_named() {
        let mut builder = GraphBuilder::default();
        let x = builder.push("x", Op::Input, &[], &[1]);
        let power = builder.push("huge", Op::Pow(400), &[x], &[1]);
        let samples = Samples::new(&[1], vec![10.0; 8]).expect("eight samples");
        let error = calibrate(&builder.finish(power), &samples);
        assert_eq!(
            error,
            Err(CalibrateError::Diverges {
                node: "huge".to_owned(),
                sample: 0
            })
        );
    }

    #[test]
    fn widening_adds_to_both_sides() {
        assert_eq!(
            Interval { min: 0.0, max: 1.0 }.widened(1.25),
            Interval { min: -0.25, max: 1.25 }
        );
        assert_eq!(
            Interval { min: -4.0, max: 1.0 }.widened(1.25),
            Interval { min: -5.0, max: 2.0 }
        );
    }
}
