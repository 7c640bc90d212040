//! Predicts the noise of every line, element by element and sample by sample.
//!
//! Variances are propagated to first order: `Var(W e) = W² Var(e)` for a linear map of independent errors,
//! `Var(x²) = 4 x² Var(x)` for a square. What each operation adds comes from [`NoiseModel`]. Sums and products of two
//! values add standard deviations, not variances: their errors may come from the same operand.
//!
//! # Source
//! Standard average-case analysis; compare ePrint 2020/1118 section 3 for CKKS.

use heron_params::{ChebyshevSplit, CkksParams, NoiseModel, OperationNoise, ScalePower, chebyshev_derivative};
use heron_plan::{Constant, Geometry, Instruction, LinearMap, SlotPolynomial, ValueId, Weights};

use crate::schedule::levels::{Draft, Drafts};
use crate::schedule::values::{LineValues, constant_element, dense_coefficients, of_element, product, tensor};

/// How many predicted standard deviations a stated error bound is. A normal error would be near three and a half of them at
/// its largest over some hundred outputs. Ours are more on deep networks: errors are predicted as independent, but those
/// under one key, and the rounding of one plan's weights, are not. `heron verify` on the shipped models finds bounds of 1.4
/// to 6 times the largest error; on `digits_mlp_deep_relu`, over 40 keys, 1.6 to 4.0.
pub(crate) const BOUND_DEVIATIONS: f64 = 8.0;

/// What noise is predicted from.
#[derive(Clone, Copy)]
pub(crate) struct Prediction<'a> {
    pub(crate) drafts: &'a Drafts,
    pub(crate) values: &'a LineValues,
    pub(crate) weights: &'a Weights,
    pub(crate) params: &'a CkksParams,
}

/// One variance an element, one vector a sample.
type Variances = Vec<Vec<f64>>;

impl Prediction<'_> {
    /// The error bound of every line: the largest standard deviation over elements and samples, times
    /// [`BOUND_DEVIATIONS`].
    pub(crate) fn error_bounds(&self) -> Vec<f64> {
        let mut variances: Vec<Variances> = Vec::with_capacity(self.drafts.lines.len());
        for (index, line) in self.drafts.lines.iter().enumerate() {
            let next = self.line(ValueId(index as u32), line, &variances);
            variances.push(next);
        }
        let bound = |variances: &Variances| {
            let largest = variances
                .iter()
                .flatten()
                .fold(0.0, |largest: f64, &variance| largest.max(variance));
            BOUND_DEVIATIONS * largest.sqrt()
        };
        variances.iter().map(bound).collect()
    }

    fn line(&self, id: ValueId, line: &Draft, variances: &[Variances]) -> Variances {
        let noise = NoiseModel::new(self.params);
        let of = |arg: ValueId| &variances[arg.index()];
        let relinearize = || square(noise.key_switch(line.level, ScalePower::Two));
        match &line.op {
            Instruction::Input => {
                // The client may encrypt under either key; the bound holds for both.
                let fresh = square(noise.fresh(line.level).max(noise.fresh_public(line.level)));
                self.values.of(id).iter().map(|x| vec![fresh; x.len()]).collect()
            }
            Instruction::Linear { arg, map } => self.linear(line, *arg, &self.drafts.maps[map.index()], of(*arg)),
            Instruction::Rotate { arg, .. } => add_to_all(of(*arg), square(noise.key_switch(line.level, line.power))),
            Instruction::Add { lhs, rhs } | Instruction::Sub { lhs, rhs } => {
                combine(of(*lhs), of(*rhs), |_, _, left, right| {
                    square(left.sqrt() + right.sqrt())
                })
            }
            Instruction::AddConst { arg, .. } => add_to_all(of(*arg), square(self.encode(line))),
            Instruction::MulConst { arg, value } => self.mul_const(line, *arg, value, of(*arg)),
            Instruction::Square { arg } => {
                let x = self.values.of(*arg);
                combine(of(*arg), of(*arg), |sample, element, variance, _| {
                    4.0 * square(x[sample][element]) * variance + 2.0 * square(variance) + relinearize()
                })
            }
            Instruction::Mul { lhs, rhs } => {
                let (x, y) = (self.values.of(*lhs), self.values.of(*rhs));
                combine(of(*lhs), of(*rhs), |sample, element, left, right| {
                    let (x, y) = (x[sample][element].abs(), y[sample][element].abs());
                    square(y * left.sqrt() + x * right.sqrt()) + left * right + relinearize()
                })
            }
            Instruction::Polynomial { arg, poly } => self.polynomial(line, *arg, poly, of(*arg)),
            Instruction::Rescale { arg } => add_to_all(of(*arg), square(noise.rescale(line.level))),
            Instruction::DropLevel { arg } => {
                // The integer that carries the value to the new scale is rounded: an error relative to the value.
                let relative = square(noise.encode_const(line.level));
                let x = self.values.of(*arg);
                let rescale = square(noise.rescale(line.level));
                combine(of(*arg), of(*arg), |sample, element, variance, _| {
                    variance + rescale + relative * square(x[sample][element])
                })
            }
            Instruction::Output { arg } => of(*arg).clone(),
        }
    }

    /// Encoding of a summand at the line's scale.
    fn encode(&self, line: &Draft) -> f64 {
        let at_one = NoiseModel::new(self.params).encode(line.level);
        match line.power {
            ScalePower::One => at_one,
            ScalePower::Two => at_one / self.params.scale(line.level),
        }
    }

    fn mul_const(&self, line: &Draft, arg: ValueId, value: &Constant, operand: &Variances) -> Variances {
        let noise = NoiseModel::new(self.params);
        let encode = match value {
            Constant::Scalar(_) => square(noise.encode_const(line.level)),
            Constant::Vector { .. } => square(noise.encode(line.level)),
        };
        let x = self.values.of(arg);
        combine(operand, operand, |sample, element, variance, _| {
            square(constant_element(value, self.weights, element)) * variance + encode * square(x[sample][element])
        })
    }

    /// A polynomial: the operand's noise times the slope, and what the evaluation adds.
    fn polynomial(&self, line: &Draft, arg: ValueId, poly: &SlotPolynomial, operand: &Variances) -> Variances {
        let noise = NoiseModel::new(self.params);
        let coefficient = match poly.layout {
            Some(_) => noise.encode(line.level),
            None => noise.encode_const(line.level),
        };
        let operations = OperationNoise {
            product: square(noise.key_switch(line.level, ScalePower::Two)),
            rescale: square(noise.rescale(line.level)),
            coefficient: square(coefficient),
        };
        let coefficients = dense_coefficients(poly, self.weights);
        let splits: Vec<ChebyshevSplit> = coefficients.iter().map(|c| ChebyshevSplit::cheapest(c)).collect();
        let x = self.values.of(arg);
        combine(operand, operand, |sample, element, variance, _| {
            let x = x[sample][element];
            let of_this: &Vec<f64> = of_element(&coefficients, element);
            let slope = chebyshev_derivative(of_this, x);
            square(slope) * variance + of_element(&splits, element).added_variance(x, operations)
        })
    }

    /// A linear map: the noise of the operand and of the baby steps through the matrix, the rounding of the diagonals
    /// times the operand, and the noise of the giant steps and the fold.
    fn linear(&self, line: &Draft, arg: ValueId, map: &LinearMap, operand: &Variances) -> Variances {
        let noise = NoiseModel::new(self.params);
        let Geometry::Dense { weights, cols, .. } = map.geometry;
        let squares: Vec<f64> = tensor(self.weights, weights).iter().map(|&w| square(w)).collect();
        let counts = map.counts();
        let baby = if counts.hoisted_rotations == 0 {
            0.0
        } else {
            square(noise.hoisted_key_switch(line.level, ScalePower::One))
        };
        let blocks = (1u64 << map.fold.len()) as f64;
        let products = f64::from(map.n_diagonals()) * blocks;
        let encode = square(noise.encode(line.level));
        let division = square(noise.mod_down(line.level, ScalePower::Two));
        let rotations = rotation_variance(map, division, square(noise.key_switch(line.level, ScalePower::Two)));
        let samples = self.values.of(arg).iter().zip(operand);
        samples
            .map(|(x, variances)| {
                let entering: Vec<f64> = variances.iter().map(|variance| variance + baby).collect();
                let mean_square = x.iter().map(|&x| square(x)).sum::<f64>() / f64::from(map.input.period);
                let added = encode * products * mean_square + rotations;
                product(&squares, cols as usize, &entering)
                    .iter()
                    .map(|variance| variance + added)
                    .collect()
            })
            .collect()
    }
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

fn add_to_all(variances: &Variances, added: f64) -> Variances {
    combine(variances, variances, |_, _, variance, _| variance + added)
}

/// Combines variances element by element; the closure gets sample, element and both variances.
fn combine(left: &Variances, right: &Variances, rule: impl Fn(usize, usize, f64, f64) -> f64) -> Variances {
    let pairs = left.iter().zip(right).enumerate();
    pairs
        .map(|(sample, (left, right))| {
            let elements = left.iter().zip(right).enumerate();
            elements
                .map(|(element, (&l, &r))| rule(sample, element, l, r))
                .collect()
        })
        .collect()
}

/// How precise a result is, in bits: `-log2(error / largest)`.
pub(crate) fn precision_bits(error: f64, largest: f64) -> f64 {
    if largest <= 0.0 || error <= 0.0 {
        0.0
    } else {
        libm::log2(largest / error)
    }
}
