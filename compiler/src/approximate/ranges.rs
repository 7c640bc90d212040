//! Where the operands of polynomials go, against the intervals that the polynomials were made for.
//!
//! A polynomial is near its function on its interval and grows without bound outside. Two questions are asked of every
//! activation before anything runs: how far outside its interval the polynomial network itself takes its operand on the
//! calibration samples, and how far it could at worst, by interval arithmetic from the calibrated inputs on. The first
//! answer raises an alarm; the second is a guarantee where it is within the interval, and pessimistic where it is not.

use std::collections::BTreeMap;
use std::fmt;

use ndarray::ArcArray1;
use serde::{Deserialize, Serialize};

use crate::approximate::replacement::Replacement;
use crate::calibrate::Interval;
use crate::evaluate::evaluate_node;
use crate::graph::{Graph, GraphBuilder, Node, NodeId};
use crate::nn::{Affine, Conv, Op};

/// A polynomial network that takes an operand this many times its interval has diverged: nothing after it means anything.
pub(crate) const DIVERGED: f64 = 4.0;

/// How far an operand goes, as a multiple of half its interval's length from the middle: 1 is the interval's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reach {
    /// Largest on the calibration samples, in the polynomial network.
    pub sampled: f64,
    /// Fraction of operands outside on the calibration samples.
    pub outside: f64,
    /// Largest by interval arithmetic from the calibrated inputs; infinite where that overflows.
    #[serde(default, with = "finite_or_null")]
    pub guaranteed: f64,
}

/// JSON has no infinity: it is written as null.
mod finite_or_null {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        value.is_finite().then_some(*value).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::INFINITY))
    }
}

/// A polynomial whose operand leaves its interval in the polynomial network.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeAlarm {
    /// Name of the ONNX node.
    pub node: String,
    /// How far.
    pub reach: Reach,
}

impl RangeAlarm {
    /// Whether the operand goes so far that nothing after it means anything.
    pub fn has_diverged(&self) -> bool {
        // A NaN compares as false.
        !matches!(
            self.reach.sampled.partial_cmp(&DIVERGED),
            Some(std::cmp::Ordering::Less)
        )
    }
}

impl fmt::Display for RangeAlarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, reach } = self;
        write!(
            f,
            "the polynomial of `{node}` was made for an interval that its operand leaves on {:.2} % of the calibration \
             values, by a factor of up to {:.2}: fit layer after layer (`--targets exact`), raise the margin, or choose \
             another rule for the activations before it",
            100.0 * reach.outside,
            reach.sampled
        )
    }
}

/// How far operands go from the middle of their intervals.
///
/// # Shapes
/// `operands`: values of a tensor of the given shape, one vector a sample.
pub(crate) fn reach_of(replacement: &Replacement, operands: &[Vec<f64>], shape: &[usize], interval: Interval) -> Reach {
    let (mut largest, mut outside, mut count) = (0.0f64, 0usize, 0usize);
    for operand in operands {
        for (element, &x) in operand.iter().enumerate() {
            let distance = replacement.distance(element, shape, x, interval);
            // `max` would drop a NaN.
            largest = if distance.is_nan() {
                f64::INFINITY
            } else {
                largest.max(distance)
            };
            outside += usize::from(!matches!(
                distance.partial_cmp(&1.0),
                Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal)
            ));
            count += 1;
        }
    }
    Reach {
        sampled: largest,
        outside: outside as f64 / count.max(1) as f64,
        guaranteed: f64::INFINITY,
    }
}

/// Intervals of a tensor's elements: middles and radii.
#[derive(Clone, Debug)]
struct Boxes {
    center: Vec<f64>,
    radius: Vec<f64>,
}

/// The largest distance of each replaced node's operand by interval arithmetic, by node.
///
/// `inputs` has the calibrated interval of every element of the input.
pub(crate) fn propagate(
    graph: &Graph<Op>,
    inputs: &[Interval],
    replaced: &BTreeMap<NodeId, (Replacement, Interval)>,
) -> BTreeMap<NodeId, f64> {
    let magnitudes = magnitudes(graph);
    let mut boxes: Vec<Boxes> = Vec::with_capacity(graph.len());
    let mut reached = BTreeMap::new();
    for (id, node) in graph.iter() {
        let args: Vec<&Boxes> = node.args.iter().map(|arg| &boxes[arg.index()]).collect();
        let result = match (args.as_slice(), replaced.get(&id)) {
            ([], _) => Boxes {
                center: inputs.iter().map(|i| f64::midpoint(i.min, i.max)).collect(),
                radius: inputs.iter().map(|i| (i.max - i.min) / 2.0).collect(),
            },
            ([x], Some((replacement, interval))) => {
                let (result, distance) = through_polynomial(replacement, x, &node.shape, *interval);
                reached.insert(id, distance);
                result
            }
            (args, _) => through_node(graph, &magnitudes, (id, node), args),
        };
        boxes.push(result);
    }
    reached
}

/// Points of an element's interval on which a polynomial's range is looked for.
const RANGE_POINTS: usize = 33;

fn through_polynomial(replacement: &Replacement, x: &Boxes, shape: &[usize], interval: Interval) -> (Boxes, f64) {
    let mut distance = 0.0f64;
    let mut result = Boxes {
        center: Vec::with_capacity(x.center.len()),
        radius: Vec::with_capacity(x.center.len()),
    };
    for (element, (&center, &radius)) in x.center.iter().zip(&x.radius).enumerate() {
        for end in [center - radius, center + radius] {
            let d = replacement.distance(element, shape, end, interval);
            distance = if d.is_nan() { f64::INFINITY } else { distance.max(d) };
        }
        let last = (RANGE_POINTS - 1) as f64;
        let points = (0..RANGE_POINTS).map(|i| center + radius * (2.0 * i as f64 / last - 1.0));
        let range = Interval::of(points.map(|x| replacement.value(element, shape, x)));
        result.center.push(f64::midpoint(range.min, range.max));
        result.radius.push((range.max - range.min) / 2.0);
    }
    (result, distance)
}

/// The graph with the magnitudes of its weights and without its biases: what radii go through.
fn magnitudes(graph: &Graph<Op>) -> Graph<Op> {
    let zeros = |bias: &ArcArray1<f64>| bias.mapv(|_| 0.0).into_shared();
    let rebuilt = graph.rebuild(|out: &mut GraphBuilder<Op>, _, node, args| {
        let op = match &node.op {
            Op::Dense { weights, bias } => Op::Dense {
                weights: weights.mapv(f64::abs).into_shared(),
                bias: zeros(bias),
            },
            Op::Conv(conv) => Op::Conv(Conv {
                weights: conv.weights.mapv(f64::abs).into(),
                bias: zeros(&conv.bias),
                ..conv.clone()
            }),
            Op::BatchNorm(affine) | Op::Affine(affine) => Op::Affine(Affine {
                scale: affine.scale.mapv(f64::abs).into_shared(),
                shift: zeros(&affine.shift),
                granularity: affine.granularity,
            }),
            Op::Sub => Op::Add,
            other => other.clone(),
        };
        Ok::<_, std::convert::Infallible>(out.push(&node.name, op, args, &node.shape))
    });
    let Ok(rebuilt) = rebuilt;
    rebuilt
}

fn through_node(graph: &Graph<Op>, magnitudes: &Graph<Op>, (id, node): (NodeId, &Node<Op>), args: &[&Boxes]) -> Boxes {
    let of = |graph: &Graph<Op>, node: &Node<Op>, part: fn(&Boxes) -> &Vec<f64>| {
        let args: Vec<&[f64]> = args.iter().map(|arg| part(arg).as_slice()).collect();
        evaluate_node(graph, node, &args)
    };
    match &node.op {
        Op::Mul
        | Op::Square
        | Op::Pow(_)
        | Op::Activation(_)
        | Op::Polynomial(_)
        | Op::Chebyshev(_)
        | Op::MaxPool(_) => through_corners(graph, node, args),
        Op::Pad(pad) => {
            let radius = crate::nn::Pad {
                value: 0.0,
                ..pad.clone()
            };
            let padded = Node {
                op: Op::Pad(radius),
                ..node.clone()
            };
            Boxes {
                center: of(graph, node, |b| &b.center),
                radius: of(graph, &padded, |b| &b.radius),
            }
        }
        Op::Input
        | Op::Dense { .. }
        | Op::Conv(_)
        | Op::BatchNorm(_)
        | Op::Affine(_)
        | Op::AveragePool(_)
        | Op::GlobalAveragePool
        | Op::Select(_)
        | Op::Add
        | Op::Sub
        | Op::Reshape
        | Op::Identity => Boxes {
            center: of(graph, node, |b| &b.center),
            radius: of(magnitudes, magnitudes.node(id), |b| &b.radius),
        },
    }
}

/// Element-wise functions that are not linear: the hull of their values on points of the boxes. For products the extreme
/// values are at the corners.
fn through_corners(graph: &Graph<Op>, node: &Node<Op>, args: &[&Boxes]) -> Boxes {
    let at = |weights: &[f64]| {
        let points: Vec<Vec<f64>> = args
            .iter()
            .zip(weights)
            .map(|(arg, weight)| {
                arg.center
                    .iter()
                    .zip(&arg.radius)
                    .map(|(c, r)| c + weight * r)
                    .collect()
            })
            .collect();
        let points: Vec<&[f64]> = points.iter().map(Vec::as_slice).collect();
        evaluate_node(graph, node, &points)
    };
    let values: Vec<Vec<f64>> = if args.len() == 2 {
        [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
            .iter()
            .map(|w| at(w))
            .collect()
    } else {
        (0..=16).map(|i| at(&[f64::from(i) / 8.0 - 1.0])).collect()
    };
    let ranges: Vec<Interval> = (0..node.len())
        .map(|element| Interval::of(values.iter().map(|values| values[element])))
        .collect();
    Boxes {
        center: ranges.iter().map(|range| f64::midpoint(range.min, range.max)).collect(),
        radius: ranges.iter().map(|range| (range.max - range.min) / 2.0).collect(),
    }
}
