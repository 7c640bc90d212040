//! The exact machine: f64 slot vectors that carry levels and scales only to check them.

use std::collections::BTreeMap;

use heron_params::bootstrap::{BootstrapParams, INPUT_BOUND};
use heron_params::{CkksParams, Level, Rotation, ScalePower, chebyshev_value};
use heron_plan::{Diagonals, LinearMap, MapId};

use crate::machine::{Machine, MachineError, ResolvedConstant, ResolvedMap, ResolvedPolynomial, State};

/// Diagonals of the linear maps are kept up to this many bytes in all, and computed again beyond.
const DIAGONAL_BUDGET_BYTES: usize = 256 << 20;

/// By how much a slot may exceed what a bootstrap takes: roundings of what maps values onto it.
const BOUND_TOLERANCE: f64 = 1e-6;

/// A value of the clear machine.
#[derive(Clone, Debug, PartialEq)]
pub struct ClearValue {
    /// The value of every slot.
    pub slots: Vec<f64>,
    /// Level and scale, as the ciphertext would have them.
    pub state: State,
}

/// One diagonal of a linear map, up to its last non-zero value.
#[derive(Debug)]
struct Diagonal {
    rotation: usize,
    values: Vec<f64>,
}

/// Evaluates plans exactly, in f64.
#[derive(Debug)]
pub struct Clear {
    slots: usize,
    max_level: Level,
    diagonals: BTreeMap<MapId, Vec<Diagonal>>,
    cached_bytes: usize,
}

impl Clear {
    /// A machine with the slots and levels of a parameter set.
    pub fn new(params: &CkksParams) -> Self {
        Self {
            slots: params.slots().0 as usize,
            max_level: params.max_level(),
            diagonals: BTreeMap::new(),
            cached_bytes: 0,
        }
    }

    /// A value as it would be freshly encrypted: at the top level, at `Δ`.
    ///
    /// # Shapes
    /// `slots`: at most as many values as the machine has slots; the rest are zero.
    ///
    /// # Errors
    /// [`MachineError::Slots`] if there are more.
    pub fn fresh(&self, mut slots: Vec<f64>) -> Result<ClearValue, MachineError> {
        if slots.len() > self.slots {
            return Err(MachineError::Slots {
                found: slots.len(),
                needed: self.slots,
            });
        }
        slots.resize(self.slots, 0.0);
        let state = State {
            level: self.max_level,
            power: ScalePower::One,
        };
        Ok(ClearValue { slots, state })
    }

    /// The diagonals of a map, in order.
    fn with_diagonals<R>(&mut self, map: ResolvedMap<'_>, apply: impl FnOnce(&[Diagonal]) -> R) -> R {
        if let Some(cached) = self.diagonals.get(&map.id) {
            return apply(cached);
        }
        let computed = diagonals(map.map, map.weights, self.slots);
        let result = apply(&computed);
        let bytes = size_of::<f64>() * computed.iter().map(|diagonal| diagonal.values.len()).sum::<usize>();
        if self.cached_bytes + bytes <= DIAGONAL_BUDGET_BYTES {
            self.cached_bytes += bytes;
            self.diagonals.insert(map.id, computed);
        }
        result
    }
}

fn diagonals(map: &LinearMap, weights: &[f64], slots: usize) -> Vec<Diagonal> {
    let written = Diagonals::new(map, weights);
    let diagonal = |rotation: u32| {
        let mut values = vec![0.0; slots];
        written.write(rotation, Rotation(0), &mut values);
        let used = values.iter().rposition(|&v| v != 0.0).map_or(0, |last| last + 1);
        values.truncate(used);
        Diagonal {
            rotation: rotation as usize,
            values,
        }
    };
    map.diagonals().into_iter().map(diagonal).collect()
}

/// `values` rotated left.
pub(super) fn rotated(values: &[f64], by: usize) -> Vec<f64> {
    let mut rotated = values.to_vec();
    rotated.rotate_left(by % values.len());
    rotated
}

fn same_state(lhs: &ClearValue, rhs: &ClearValue) -> Result<(), MachineError> {
    if lhs.state == rhs.state {
        return Ok(());
    }
    Err(MachineError::Unequal {
        left: lhs.state,
        right: rhs.state,
    })
}

fn needs(value: &ClearValue, needed: ScalePower) -> Result<(), MachineError> {
    let found = value.state.power;
    if found == needed {
        return Ok(());
    }
    Err(MachineError::WrongPower { found, needed })
}

/// The same state, or the state of a product.
fn with_power(state: State, power: ScalePower) -> State {
    State { power, ..state }
}

/// The same slots at a new level; refuses what a bootstrap would get wrong.
pub(super) fn bootstrapped(
    arg: &ClearValue,
    variant: &BootstrapParams,
    to: Level,
    tolerance: f64,
) -> Result<ClearValue, MachineError> {
    needs(arg, ScalePower::One)?;
    let from = arg.state.level;
    if from < variant.input_level() || to > variant.output_level() {
        return Err(MachineError::NoLevel { from });
    }
    // NaN is within no bound.
    if !arg.slots.iter().all(|x| x.abs() <= INPUT_BOUND + tolerance) {
        return Err(MachineError::OverBound);
    }
    Ok(ClearValue {
        slots: arg.slots.clone(),
        state: State { level: to, ..arg.state },
    })
}

fn zip(lhs: &ClearValue, rhs: &[f64], state: State, op: impl Fn(f64, f64) -> f64) -> ClearValue {
    let slots = lhs.slots.iter().zip(rhs).map(|(&a, &b)| op(a, b)).collect();
    ClearValue { slots, state }
}

impl Machine for Clear {
    type Value = ClearValue;

    fn state(&self, value: &ClearValue) -> State {
        value.state
    }

    fn input(&mut self, value: ClearValue, _: State) -> Result<ClearValue, MachineError> {
        if value.slots.len() != self.slots {
            return Err(MachineError::Slots {
                found: value.slots.len(),
                needed: self.slots,
            });
        }
        Ok(value)
    }

    fn linear(&mut self, arg: &ClearValue, map: ResolvedMap<'_>) -> Result<ClearValue, MachineError> {
        needs(arg, ScalePower::One)?;
        let n = self.slots;
        let mut sum = self.with_diagonals(map, |diagonals| {
            // Twice over, so that a rotation is a slice.
            let doubled = [arg.slots.as_slice(), arg.slots.as_slice()].concat();
            let mut sum = vec![0.0; n];
            for diagonal in diagonals {
                let operand = &doubled[diagonal.rotation % n..];
                for ((sum, a), b) in sum.iter_mut().zip(&diagonal.values).zip(operand) {
                    *sum += a * b;
                }
            }
            sum
        });
        for fold in &map.map.fold {
            let turned = rotated(&sum, fold.0 as usize);
            sum.iter_mut().zip(turned).for_each(|(a, b)| *a += b);
        }
        Ok(ClearValue {
            slots: sum,
            state: with_power(arg.state, ScalePower::Two),
        })
    }

    fn rotate(&mut self, arg: &ClearValue, by: Rotation) -> Result<ClearValue, MachineError> {
        Ok(ClearValue {
            slots: rotated(&arg.slots, by.0 as usize),
            state: arg.state,
        })
    }

    fn add(&mut self, lhs: &ClearValue, rhs: &ClearValue) -> Result<ClearValue, MachineError> {
        same_state(lhs, rhs)?;
        Ok(zip(lhs, &rhs.slots, lhs.state, |a, b| a + b))
    }

    fn sub(&mut self, lhs: &ClearValue, rhs: &ClearValue) -> Result<ClearValue, MachineError> {
        same_state(lhs, rhs)?;
        Ok(zip(lhs, &rhs.slots, lhs.state, |a, b| a - b))
    }

    fn add_const(&mut self, arg: &ClearValue, value: ResolvedConstant<'_>) -> Result<ClearValue, MachineError> {
        Ok(zip(arg, &value.spread(self.slots), arg.state, |a, b| a + b))
    }

    fn mul_const(&mut self, arg: &ClearValue, value: ResolvedConstant<'_>) -> Result<ClearValue, MachineError> {
        needs(arg, ScalePower::One)?;
        Ok(zip(
            arg,
            &value.spread(self.slots),
            with_power(arg.state, ScalePower::Two),
            |a, b| a * b,
        ))
    }

    fn square(&mut self, arg: &ClearValue) -> Result<ClearValue, MachineError> {
        self.mul(arg, arg)
    }

    fn mul(&mut self, lhs: &ClearValue, rhs: &ClearValue) -> Result<ClearValue, MachineError> {
        needs(lhs, ScalePower::One)?;
        same_state(lhs, rhs)?;
        Ok(zip(lhs, &rhs.slots, with_power(lhs.state, ScalePower::Two), |a, b| {
            a * b
        }))
    }

    fn polynomial(&mut self, arg: &ClearValue, poly: ResolvedPolynomial<'_>) -> Result<ClearValue, MachineError> {
        needs(arg, ScalePower::One)?;
        let from = arg.state.level;
        let level = from.0.checked_sub(poly.poly.depth()).map(Level);
        let level = level.ok_or(MachineError::NoLevel { from })?;
        let period = poly.poly.layout.map_or(1, |layout| layout.period as usize);
        let coefficients: Vec<_> = (0..period).map(|slot| poly.of_slot(slot)).collect();
        let value = |(slot, &x): (usize, &f64)| {
            let of_slot = coefficients[slot % period].as_deref();
            of_slot.map_or(0.0, |c| chebyshev_value(c, x))
        };
        Ok(ClearValue {
            slots: arg.slots.iter().enumerate().map(value).collect(),
            state: State { level, ..arg.state },
        })
    }

    fn rescale(&mut self, arg: &ClearValue) -> Result<ClearValue, MachineError> {
        needs(arg, ScalePower::Two)?;
        let from = arg.state.level;
        let level = from.below().ok_or(MachineError::NoLevel { from })?;
        Ok(ClearValue {
            slots: arg.slots.clone(),
            state: State {
                level,
                power: ScalePower::One,
            },
        })
    }

    fn drop_level(&mut self, arg: &ClearValue, to: Level) -> Result<ClearValue, MachineError> {
        needs(arg, ScalePower::One)?;
        let from = arg.state.level;
        if to >= from {
            return Err(MachineError::NoLevel { from });
        }
        Ok(ClearValue {
            slots: arg.slots.clone(),
            state: State { level: to, ..arg.state },
        })
    }

    fn bootstrap(
        &mut self,
        arg: &ClearValue,
        variant: &BootstrapParams,
        to: Level,
    ) -> Result<ClearValue, MachineError> {
        bootstrapped(arg, variant, to, BOUND_TOLERANCE)
    }

    fn output(&mut self, arg: &ClearValue) -> Result<ClearValue, MachineError> {
        Ok(arg.clone())
    }
}
