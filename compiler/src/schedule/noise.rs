//! Predicts the noise of every line, element by element and sample by sample.
//!
//! Three things are carried to first order from line to line:
//! - the **variance** of each element's error, as if errors of different elements were independent:
//!   `Var(W e) = W² Var(e)`, `Var(x²) = 4 x² Var(x)`. Sums and products of two values add standard deviations: their errors may
//!   come from the same operand. What each operation adds comes from [`NoiseModel`];
//! - the largest **share** of it that one value of a key scales, which decides how far the error strays ([`Tail`]);
//! - **probes**: errors with random signs that go through the network as the errors do. Elements that read the same operand
//!   have correlated errors, and the next map sums them coherently. By how much the probes' squares exceed the variance is
//!   the factor that independence misses.
//!
//! # Source
//! Standard average-case analysis; compare ePrint 2020/1118 section 3 for CKKS. Probes: M. Hutchinson, *A stochastic
//! estimator of the trace of the influence matrix*, 1989.

use std::collections::BTreeMap;

use heron_params::bootstrap::BootstrapPrecision;
use heron_params::{ChebyshevSplit, CkksParams, NoiseModel, OperationNoise, ScalePower, chebyshev_derivative};
use heron_plan::{Constant, Geometry, Instruction, LinearMap, SlotPolynomial, ValueId, Weights};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::schedule::levels::{Draft, Drafts};
use crate::schedule::signs::Signs;
use crate::schedule::tail::Tail;
use crate::schedule::values::{LineValues, constant_element, dense_coefficients, of_element, tensor};

/// How many probes there are.
const PROBES: usize = 256;
/// How many samples the probes are taken through: those whose outputs are the noisiest.
const PROBED_SAMPLES: usize = 8;

/// What noise is predicted from.
#[derive(Clone, Copy)]
pub(crate) struct Prediction<'a> {
    pub(crate) drafts: &'a Drafts,
    pub(crate) values: &'a LineValues,
    pub(crate) weights: &'a Weights,
    pub(crate) params: &'a CkksParams,
    /// What a bootstrap adds; absent where there is none.
    pub(crate) refresh: Option<BootstrapPrecision>,
}

/// The noise of one line.
struct LineNoise {
    /// Per sample and element.
    spreads: Vec<Vec<Spread>>,
    /// Per probe and element.
    probes: Vec<Vec<f64>>,
    /// The fewest elements that a map on the way has read: what correlated errors have in common.
    sources: usize,
}

/// The probes of one walk over the lines.
struct Probing {
    signs: Signs,
    /// The sample that each probe is taken through.
    samples: Vec<usize>,
}

/// The error of one element.
#[derive(Clone, Copy, Default)]
struct Spread {
    variance: f64,
    /// The largest part of the variance that one value of a key scales.
    share: f64,
}

/// How an element's error comes from one operand's error of the same element.
enum Slope<'a> {
    One,
    MinusOne,
    Constant(&'a Constant),
    /// A multiple of another value.
    Value(ValueId, f64),
    /// By sample and element.
    Table(Vec<Vec<f64>>),
}

impl Spread {
    /// An error that no value of a key scales.
    fn plain(variance: f64) -> Self {
        Self { variance, share: 0.0 }
    }

    /// An error of which one value of a key scales everything.
    fn keyed(variance: f64) -> Self {
        Self {
            variance,
            share: variance,
        }
    }

    /// The sum with an independent error, which the same value of a key may scale.
    fn and(self, other: Self) -> Self {
        Self {
            variance: self.variance + other.variance,
            share: self.share + other.share,
        }
    }

    /// The sum with an error that may be the same one.
    fn and_correlated(self, other: Self) -> Self {
        let sum = |a: f64, b: f64| square(a.sqrt() + b.sqrt());
        Self {
            variance: sum(self.variance, other.variance),
            share: sum(self.share, other.share),
        }
    }

    fn times(self, factor: f64) -> Self {
        let square = square(factor);
        Self {
            variance: square * self.variance,
            share: square * self.share,
        }
    }
}

impl LineNoise {
    /// By how much correlation exceeds the variance of independent errors, for each element: the probes' squares over the
    /// variances, less what the largest of so many estimates would be without any correlation.
    fn correlations(&self, probing: &Probing) -> Vec<f64> {
        let len = self.probes.first().map_or(0, Vec::len);
        let (mut squares, mut expected) = (vec![0.0; len], vec![0.0; len]);
        for (errors, &sample) in self.probes.iter().zip(&probing.samples) {
            for (element, spread) in self.spreads[sample].iter().enumerate() {
                squares[element] += square(errors[element]);
                expected[element] += spread.variance;
            }
        }
        // A mean of n squares of normal errors has the deviation √(2/n).
        let deviation = (2.0 / self.probes.len() as f64).sqrt();
        let by_chance = 1.0 + deviation * (2.0 * libm::log(len.max(2) as f64)).sqrt();
        let ratio = |(found, expected): (&f64, &f64)| {
            if *expected > 0.0 {
                (found / expected / by_chance).max(1.0)
            } else {
                1.0
            }
        };
        squares.iter().zip(&expected).map(ratio).collect()
    }

    /// The error that no slot exceeds but with the stated probability.
    ///
    /// What correlation adds are errors that several elements have in common, which came through an earlier map: of so many
    /// coherent sums, the largest square is about `1 + 2 ln n` times the mean.
    fn bound(&self, tail: &Tail, probing: &Probing) -> f64 {
        let correlations = self.correlations(probing);
        let sources = self.sources as f64;
        let common_share = ((1.0 + 2.0 * libm::log(sources)) / sources).min(1.0);
        let of_element = |(spread, correlation): (&Spread, &f64)| {
            let common = (correlation - 1.0) * spread.variance;
            tail.bound(spread.variance + common, spread.share + common_share * common)
        };
        let of_sample = |spreads: &Vec<Spread>| spreads.iter().zip(&correlations).map(of_element).fold(0.0, f64::max);
        self.spreads.iter().map(of_sample).fold(0.0, f64::max)
    }

    /// Adds what an operation adds to each element's error, given by sample and element.
    fn add(&mut self, probing: &mut Probing, added: impl Fn(usize, usize) -> Spread) {
        for (errors, &sample) in self.probes.iter_mut().zip(&probing.samples) {
            for (element, error) in errors.iter_mut().enumerate() {
                *error += probing.signs.next() * added(sample, element).variance.sqrt();
            }
        }
        for (sample, spreads) in self.spreads.iter_mut().enumerate() {
            for (element, spread) in spreads.iter_mut().enumerate() {
                *spread = spread.and(added(sample, element));
            }
        }
    }
}

impl Prediction<'_> {
    /// The error bound of every line: what no slot of it exceeds in one run but with the probability
    /// [`EXCEEDED_LOG2`](crate::schedule::tail::EXCEEDED_LOG2).
    ///
    /// # Cost
    /// Three evaluations of the network for every sample, and one for every probe.
    pub(crate) fn error_bounds(&self) -> Vec<f64> {
        let tail = Tail::new(self.params.slots());
        let mut probing = Probing {
            signs: Signs::new(),
            samples: self.noisiest_samples().into_iter().cycle().take(PROBES).collect(),
        };
        let mut bounds = Vec::with_capacity(self.drafts.lines.len());
        self.walk(&mut probing, |noise, probing| bounds.push(noise.bound(&tail, probing)));
        bounds
    }

    /// The samples whose outputs are the noisiest, the noisiest first.
    fn noisiest_samples(&self) -> Vec<usize> {
        let mut probing = Probing {
            signs: Signs::new(),
            samples: Vec::new(),
        };
        let mut largest = Vec::new();
        self.walk(&mut probing, |noise, _| {
            let of_sample = |spreads: &Vec<Spread>| spreads.iter().map(|spread| spread.variance).fold(0.0, f64::max);
            largest = noise.spreads.iter().map(of_sample).collect();
        });
        let mut order: Vec<usize> = (0..largest.len()).collect();
        order.sort_by(|&a, &b| largest[b].total_cmp(&largest[a]));
        order.truncate(PROBED_SAMPLES);
        order
    }

    /// Predicts line after line, and keeps what later lines read.
    fn walk(&self, probing: &mut Probing, mut visit: impl FnMut(&LineNoise, &Probing)) {
        let lines = &self.drafts.lines;
        let mut last_reader: BTreeMap<ValueId, usize> = BTreeMap::new();
        for (index, line) in lines.iter().enumerate() {
            last_reader.extend(line.op.args().map(|arg| (arg, index)));
        }
        let mut alive: BTreeMap<ValueId, LineNoise> = BTreeMap::new();
        for (index, line) in lines.iter().enumerate() {
            let id = ValueId(index as u32);
            let noise = self.line(id, line, &alive, probing);
            visit(&noise, probing);
            alive.insert(id, noise);
            alive.retain(|value, _| last_reader.get(value).is_some_and(|&last| last > index));
        }
    }

    fn line(
        &self,
        id: ValueId,
        line: &Draft,
        noises: &BTreeMap<ValueId, LineNoise>,
        probing: &mut Probing,
    ) -> LineNoise {
        let slopes = match &line.op {
            Instruction::Input => return self.input(id, line, probing),
            Instruction::Linear { arg, map } => {
                return self.linear(line, *arg, &self.drafts.maps[map.index()], &noises[arg], probing);
            }
            Instruction::Add { lhs, rhs } => vec![(*lhs, Slope::One), (*rhs, Slope::One)],
            Instruction::Sub { lhs, rhs } => vec![(*lhs, Slope::One), (*rhs, Slope::MinusOne)],
            Instruction::Rotate { arg, .. }
            | Instruction::AddConst { arg, .. }
            | Instruction::Rescale { arg }
            | Instruction::DropLevel { arg }
            | Instruction::Bootstrap { arg }
            | Instruction::Output { arg } => vec![(*arg, Slope::One)],
            Instruction::MulConst { arg, value } => vec![(*arg, Slope::Constant(value))],
            Instruction::Square { arg } => vec![(*arg, Slope::Value(*arg, 2.0))],
            Instruction::Mul { lhs, rhs } => vec![(*lhs, Slope::Value(*rhs, 1.0)), (*rhs, Slope::Value(*lhs, 1.0))],
            Instruction::Polynomial { arg, poly } => vec![(*arg, Slope::Table(self.derivatives(*arg, poly)))],
        };
        let mut noise = self.along(&slopes, noises, &probing.samples);
        self.add_own(line, noises, &mut noise, probing);
        noise
    }

    /// Adds what an operation on single elements adds by itself.
    fn add_own(
        &self,
        line: &Draft,
        noises: &BTreeMap<ValueId, LineNoise>,
        noise: &mut LineNoise,
        probing: &mut Probing,
    ) {
        let model = NoiseModel::new(self.params);
        let relinearize = square(model.key_switch(line.level, ScalePower::Two));
        let rescale = square(model.rescale(line.level));
        let variance = |arg: &ValueId, s: usize, e: usize| noises[arg].spreads[s][e].variance;
        match &line.op {
            Instruction::Input
            | Instruction::Linear { .. }
            | Instruction::Add { .. }
            | Instruction::Sub { .. }
            | Instruction::Output { .. } => {}
            Instruction::Rotate { .. } => {
                let switched = Spread::keyed(square(model.key_switch(line.level, line.power)));
                noise.add(probing, |_, _| switched);
            }
            Instruction::AddConst { value, .. } => {
                let rounding = Spread::plain(square(self.encode_summand(line, value)));
                noise.add(probing, |_, _| rounding);
            }
            Instruction::MulConst { arg, value } => {
                let (rounding, x) = (square(self.encode_factor(line, value)), self.values.of(*arg));
                noise.add(probing, |s, e| Spread::plain(rounding * square(x[s][e])));
            }
            // What two errors multiply to is small; it is taken to depend on the keys as a whole.
            Instruction::Square { arg } => noise.add(probing, |s, e| {
                Spread::keyed(2.0 * square(variance(arg, s, e)) + relinearize)
            }),
            Instruction::Mul { lhs, rhs } => noise.add(probing, |s, e| {
                Spread::keyed(variance(lhs, s, e) * variance(rhs, s, e) + relinearize)
            }),
            Instruction::Polynomial { arg, poly } => {
                let variances = self.polynomial_variances(line, *arg, poly);
                noise.add(probing, |s, e| Spread::keyed(variances[s][e]));
            }
            Instruction::Rescale { .. } => noise.add(probing, |_, _| Spread::keyed(rescale)),
            Instruction::Bootstrap { arg } => {
                let precision = self
                    .refresh
                    .expect("a program that bootstraps is predicted with a bootstrap");
                let (x, refreshed) = (self.values.of(*arg), rescale + square(precision.deviation));
                // A sine in the place of its argument, which differs by a cubic of it.
                noise.add(probing, |s, e| {
                    let cubic = precision.bias * square(x[s][e]) * x[s][e];
                    Spread::keyed(refreshed).and(Spread::plain(square(cubic)))
                });
            }
            Instruction::DropLevel { arg } => {
                // The integer that carries the value to the new scale is rounded: an error relative to the value.
                let (relative, x) = (square(model.encode_const(line.level)), self.values.of(*arg));
                noise.add(probing, |s, e| {
                    Spread::keyed(rescale).and(Spread::plain(relative * square(x[s][e])))
                });
            }
        }
    }

    /// A fresh encryption. The client may encrypt under either key; the bound holds for both.
    fn input(&self, id: ValueId, line: &Draft, probing: &mut Probing) -> LineNoise {
        let model = NoiseModel::new(self.params);
        let (secret, public) = (model.fresh(line.level), model.fresh_public(line.level));
        let fresh = if public > secret {
            Spread::keyed(square(public))
        } else {
            Spread::plain(square(secret))
        };
        let values = self.values.of(id);
        let zeros = |sample: &usize| vec![0.0; values[*sample].len()];
        let mut noise = LineNoise {
            spreads: values.iter().map(|x| vec![Spread::default(); x.len()]).collect(),
            probes: probing.samples.iter().map(zeros).collect(),
            sources: usize::MAX,
        };
        noise.add(probing, |_, _| fresh);
        noise
    }

    /// Errors that come from operands element by element: the sum of each operand's error times its slope.
    fn along(
        &self,
        slopes: &[(ValueId, Slope<'_>)],
        noises: &BTreeMap<ValueId, LineNoise>,
        probed: &[usize],
    ) -> LineNoise {
        let spread = |sample: usize, element: usize| {
            let term = |(arg, slope): &(ValueId, Slope<'_>)| {
                noises[arg].spreads[sample][element].times(self.slope(slope, sample, element))
            };
            slopes.iter().map(term).fold(Spread::default(), Spread::and_correlated)
        };
        let error = |probe: usize, element: usize| {
            let term = |(arg, slope): &(ValueId, Slope<'_>)| {
                noises[arg].probes[probe][element] * self.slope(slope, probed[probe], element)
            };
            slopes.iter().map(term).sum::<f64>()
        };
        let lengths: Vec<usize> = noises[&slopes[0].0].spreads.iter().map(Vec::len).collect();
        let spreads = lengths
            .iter()
            .enumerate()
            .map(|(s, &len)| (0..len).map(|e| spread(s, e)).collect());
        let probes = probed
            .iter()
            .enumerate()
            .map(|(p, &s)| (0..lengths[s]).map(|e| error(p, e)).collect());
        LineNoise {
            spreads: spreads.collect(),
            probes: probes.collect(),
            sources: slopes
                .iter()
                .map(|(arg, _)| noises[arg].sources)
                .fold(usize::MAX, usize::min),
        }
    }

    fn slope(&self, slope: &Slope<'_>, sample: usize, element: usize) -> f64 {
        match slope {
            Slope::One => 1.0,
            Slope::MinusOne => -1.0,
            Slope::Constant(value) => constant_element(value, self.weights, element),
            Slope::Value(id, times) => times * self.values.of(*id)[sample][element],
            Slope::Table(table) => table[sample][element],
        }
    }

    /// Encoding of a summand at the line's scale.
    fn encode_summand(&self, line: &Draft, value: &Constant) -> f64 {
        let at_one = self.encode_factor(line, value);
        match line.power {
            ScalePower::One => at_one,
            ScalePower::Two => at_one / self.params.scale(line.level),
        }
    }

    /// Encoding of a constant at the scale of the line's level.
    fn encode_factor(&self, line: &Draft, value: &Constant) -> f64 {
        let model = NoiseModel::new(self.params);
        match value {
            Constant::Scalar(_) => model.encode_const(line.level),
            Constant::Vector { layout, .. } => model.encode_periodic(line.level, layout.period),
        }
    }

    /// The slope of a polynomial, by sample and element.
    fn derivatives(&self, arg: ValueId, poly: &SlotPolynomial) -> Vec<Vec<f64>> {
        let coefficients = dense_coefficients(poly, self.weights);
        self.by_element(arg, |element, x| {
            let of_this: &Vec<f64> = of_element(&coefficients, element);
            chebyshev_derivative(of_this, x)
        })
    }

    /// What evaluating a polynomial adds, by sample and element.
    fn polynomial_variances(&self, line: &Draft, arg: ValueId, poly: &SlotPolynomial) -> Vec<Vec<f64>> {
        let model = NoiseModel::new(self.params);
        let coefficient = match poly.layout {
            Some(layout) => model.encode_periodic(line.level, layout.period),
            None => model.encode_const(line.level),
        };
        let operations = OperationNoise {
            product: square(model.key_switch(line.level, ScalePower::Two)),
            rescale: square(model.rescale(line.level)),
            coefficient: square(coefficient),
        };
        let coefficients = dense_coefficients(poly, self.weights);
        let splits: Vec<ChebyshevSplit> = coefficients.iter().map(|c| ChebyshevSplit::cheapest(c)).collect();
        self.by_element(arg, |element, x| {
            of_element(&splits, element).added_variance(x, operations)
        })
    }

    fn by_element(&self, arg: ValueId, of: impl Fn(usize, f64) -> f64) -> Vec<Vec<f64>> {
        let of_sample = |x: &Vec<f64>| x.iter().enumerate().map(|(element, &x)| of(element, x)).collect();
        self.values.of(arg).iter().map(of_sample).collect()
    }

    /// A linear map: the noise of the operand and of the baby steps through the matrix, the rounding of the diagonals
    /// times the operand, and the noise of the giant steps and the fold.
    fn linear(
        &self,
        line: &Draft,
        arg: ValueId,
        map: &LinearMap,
        operand: &LineNoise,
        probing: &mut Probing,
    ) -> LineNoise {
        let model = NoiseModel::new(self.params);
        let matrix = (&map.geometry, tensor(self.weights, map.geometry.weights()));
        let counts = map.counts();
        let baby = if counts.hoisted_rotations == 0 {
            0.0
        } else {
            square(model.hoisted_key_switch(line.level, ScalePower::One))
        };
        let entering = |spread: &Spread| spread.and(Spread::keyed(baby));
        // The signs are drawn in order; what is made of them does not depend on it.
        let draw = |errors: &Vec<f64>| {
            let sign = |error: &f64| error + probing.signs.next() * baby.sqrt();
            errors.iter().map(sign).collect::<Vec<f64>>()
        };
        let probes: Vec<Vec<f64>> = operand.probes.iter().map(draw).collect();
        let mut noise = LineNoise {
            probes: probes
                .par_iter()
                .map(|probe| matrix.0.product(matrix.1, probe))
                .collect(),
            spreads: operand
                .spreads
                .par_iter()
                .map(|spreads| mapped(matrix, &spreads.iter().map(entering).collect::<Vec<_>>()))
                .collect(),
            sources: operand.sources.min(map.input.len as usize),
        };
        let blocks = (1u64 << map.fold.len()) as f64;
        let products = counts.plaintext_products as f64 * blocks;
        let encode = square(self.encode_diagonal(line, map));
        let division = square(model.mod_down(line.level, ScalePower::Two));
        let rotations = rotation_variance(map, division, square(model.key_switch(line.level, ScalePower::Two)));
        let mean_square = |x: &Vec<f64>| x.iter().map(|&x| square(x)).sum::<f64>() / f64::from(map.input.period);
        let mean_squares: Vec<f64> = self.values.of(arg).iter().map(mean_square).collect();
        noise.add(probing, |sample, _| {
            Spread::keyed(rotations).and(Spread::plain(encode * products * mean_squares[sample]))
        });
        noise
    }

    /// Encoding of a diagonal: in a layout that repeats around all slots, so does every diagonal.
    fn encode_diagonal(&self, line: &Draft, map: &LinearMap) -> f64 {
        let model = NoiseModel::new(self.params);
        match map.diagonal_period(self.params.slots()) {
            Some(period) => model.encode_periodic(line.level, period),
            None => model.encode(line.level),
        }
    }
}

/// The errors after a matrix. A value of a key that scales the errors of several elements counts for the one to which it
/// matters most; what the others add is correlation.
fn mapped((matrix, weights): (&Geometry, &[f64]), spreads: &[Spread]) -> Vec<Spread> {
    matrix.accumulate(weights, spreads, |sum, weight, spread| {
        let term = spread.times(weight);
        Spread {
            variance: sum.variance + term.variance,
            share: sum.share.max(term.share),
        }
    })
}

/// What giant steps and folds add: each giant step's division and rotation once in every block that the fold sums, each
/// fold's own rotation.
fn rotation_variance(map: &LinearMap, division: f64, key_switch: f64) -> f64 {
    let giants = map.giant_steps().len() as f64;
    let sum = giants * division + (giants - 1.0) * key_switch;
    map.fold.iter().fold(sum, |variance, _| 2.0 * variance + key_switch)
}

fn square(x: f64) -> f64 {
    x * x
}

/// How precise a result is, in bits: `-log2(error / largest)`.
pub(crate) fn precision_bits(error: f64, largest: f64) -> f64 {
    if largest <= 0.0 || error <= 0.0 {
        0.0
    } else {
        libm::log2(largest / error)
    }
}
