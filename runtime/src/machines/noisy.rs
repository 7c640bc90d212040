//! The exact machine with seeded Gaussian noise, as the noise model predicts it, added to every result.
//!
//! Errors of operands travel through the arithmetic by themselves; what is added is what the instruction adds. The rounding
//! of rescales and key switches is multiplied by the secret, whose size differs from slot to slot and stays what it is: one
//! machine is one key.

use heron_params::bootstrap::BootstrapParams;
use heron_params::{ChebyshevSplit, CkksParams, Level, NoiseModel, OperationNoise, Rotation, ScalePower};
use heron_plan::Diagonals;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::clear::{bootstrapped, rotated};
use super::{Clear, ClearValue};
use crate::machine::{Machine, MachineError, ResolvedConstant, ResolvedMap, ResolvedPolynomial, State};

/// By how much noise may take a slot over the bound of a bootstrap: the modular reduction has room for it.
const BOOTSTRAP_TOLERANCE: f64 = 1e-2;

/// Simulates what the encrypted evaluation would give.
#[derive(Debug)]
pub struct Noisy {
    exact: Clear,
    params: CkksParams,
    rng: ChaCha8Rng,
    /// `|s(ζ_j)|` of a uniform secret in every slot, over its root mean square.
    secret: Vec<f64>,
}

impl Noisy {
    /// A machine for a parameter set; the same seed gives the same secret and the same noise.
    pub fn new(params: &CkksParams, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut size = || (0.5 * (gaussian(&mut rng).powi(2) + gaussian(&mut rng).powi(2))).sqrt();
        let secret = (0..params.slots().0).map(|_| size()).collect();
        Self {
            exact: Clear::new(params),
            params: params.clone(),
            rng,
            secret,
        }
    }

    fn model(&self) -> NoiseModel<'_> {
        NoiseModel::new(&self.params)
    }

    /// Adds noise of one deviation to every slot.
    fn disturb(&mut self, mut value: ClearValue, deviation: f64) -> ClearValue {
        for slot in &mut value.slots {
            *slot += deviation * gaussian(&mut self.rng);
        }
        value
    }

    /// Adds noise of one deviation over all keys: what is rounded and then multiplied by the secret.
    fn disturb_keyed(&mut self, mut value: ClearValue, deviation: f64) -> ClearValue {
        for (slot, size) in value.slots.iter_mut().zip(&self.secret) {
            *slot += deviation * size * gaussian(&mut self.rng);
        }
        value
    }

    /// Adds noise whose variance differs from slot to slot.
    fn disturb_each(&mut self, mut value: ClearValue, variances: impl Iterator<Item = f64>) -> ClearValue {
        for (slot, variance) in value.slots.iter_mut().zip(variances) {
            *slot += variance.sqrt() * gaussian(&mut self.rng);
        }
        value
    }

    /// Adds the same relative error to every slot: what rounding one factor for all slots does.
    fn disturb_factor(&mut self, mut value: ClearValue, operand: &ClearValue, deviation: f64) -> ClearValue {
        let rounding = deviation * gaussian(&mut self.rng);
        for (slot, x) in value.slots.iter_mut().zip(&operand.slots) {
            *slot += rounding * x;
        }
        value
    }

    /// Variance per slot of the sum before the folds, and of one key switch at its scale.
    ///
    /// Each diagonal multiplies the noise of its baby rotation and brings its own rounding; each giant step is one more
    /// key switch, and the babies' division by the special primes comes once, after the products.
    fn linear_variances(&self, arg: &ClearValue, map: ResolvedMap<'_>) -> (Vec<f64>, f64) {
        let (level, n) = (arg.state.level, arg.slots.len());
        let model = self.model();
        let period = map.map.diagonal_period(self.params.slots());
        let encoded = period.map_or_else(|| model.encode(level), |period| model.encode_periodic(level, period));
        let encoded = encoded.powi(2);
        let baby = model.hoisted_key_switch(level, ScalePower::One).powi(2);
        let divided = model.mod_down(level, ScalePower::Two).powi(2);
        let switched = model.key_switch(level, ScalePower::Two).powi(2);
        let mut variances = vec![divided; n];
        let mut diagonal = vec![0.0; n];
        let diagonals = Diagonals::new(map.map, map.weights);
        for giant in map.map.giant_steps() {
            let giant_switched = if giant.rotation == Rotation(0) { 0.0 } else { switched };
            variances.iter_mut().for_each(|v| *v += giant_switched);
            for &d in &giant.diagonals {
                diagonals.write(d, Rotation(0), &mut diagonal);
                let baby = if d == giant.rotation.0 { 0.0 } else { baby };
                for (slot, (variance, weight)) in variances.iter_mut().zip(&diagonal).enumerate() {
                    let x = arg.slots[(slot + d as usize) % n];
                    *variance += baby * weight * weight + encoded * x * x;
                }
            }
        }
        (variances, switched)
    }
}

/// Twelve uniform values: mean 0, deviation 1, within 6, and the same on every platform.
fn gaussian(rng: &mut ChaCha8Rng) -> f64 {
    let uniform = |word: u32| f64::from(word) / 2f64.powi(32);
    (0..6)
        .map(|_| {
            let word = rng.next_u64();
            uniform(word as u32) + uniform((word >> 32) as u32) - 1.0
        })
        .sum()
}

impl Machine for Noisy {
    type Value = ClearValue;

    fn state(&self, value: &ClearValue) -> State {
        value.state
    }

    fn input(&mut self, value: ClearValue, state: State) -> Result<ClearValue, MachineError> {
        let exact = self.exact.input(value, state)?;
        let deviation = self.model().fresh(state.level);
        Ok(self.disturb(exact, deviation))
    }

    fn linear(&mut self, arg: &ClearValue, map: ResolvedMap<'_>) -> Result<ClearValue, MachineError> {
        let exact = self.exact.linear(arg, map)?;
        let (mut variances, switched) = self.linear_variances(arg, map);
        for fold in &map.map.fold {
            let turned = rotated(&variances, fold.0 as usize);
            variances.iter_mut().zip(turned).for_each(|(a, b)| *a += b + switched);
        }
        Ok(self.disturb_each(exact, variances.into_iter()))
    }

    fn rotate(&mut self, arg: &ClearValue, by: Rotation) -> Result<ClearValue, MachineError> {
        let exact = self.exact.rotate(arg, by)?;
        let deviation = self.model().key_switch(arg.state.level, arg.state.power);
        Ok(self.disturb_keyed(exact, deviation))
    }

    fn add(&mut self, lhs: &ClearValue, rhs: &ClearValue) -> Result<ClearValue, MachineError> {
        self.exact.add(lhs, rhs)
    }

    fn sub(&mut self, lhs: &ClearValue, rhs: &ClearValue) -> Result<ClearValue, MachineError> {
        self.exact.sub(lhs, rhs)
    }

    fn add_const(&mut self, arg: &ClearValue, value: ResolvedConstant<'_>) -> Result<ClearValue, MachineError> {
        let exact = self.exact.add_const(arg, value)?;
        let level = arg.state.level;
        let coarser = self.params.scale(level) / self.params.scale_of(level, arg.state.power);
        Ok(match value {
            // Rounded to one integer, which no slot notices.
            ResolvedConstant::Scalar(_) => exact,
            ResolvedConstant::Vector { layout, .. } => {
                let deviation = self.model().encode_periodic(level, layout.period) * coarser;
                self.disturb(exact, deviation)
            }
        })
    }

    fn mul_const(&mut self, arg: &ClearValue, value: ResolvedConstant<'_>) -> Result<ClearValue, MachineError> {
        let exact = self.exact.mul_const(arg, value)?;
        let level = arg.state.level;
        Ok(match value {
            ResolvedConstant::Scalar(_) => {
                let deviation = self.model().encode_const(level);
                self.disturb_factor(exact, arg, deviation)
            }
            ResolvedConstant::Vector { layout, .. } => {
                let encoded = self.model().encode_periodic(level, layout.period).powi(2);
                self.disturb_each(exact, arg.slots.iter().map(|x| encoded * x * x))
            }
        })
    }

    fn square(&mut self, arg: &ClearValue) -> Result<ClearValue, MachineError> {
        self.mul(arg, arg)
    }

    fn mul(&mut self, lhs: &ClearValue, rhs: &ClearValue) -> Result<ClearValue, MachineError> {
        let exact = self.exact.mul(lhs, rhs)?;
        let deviation = self.model().key_switch(lhs.state.level, ScalePower::Two);
        Ok(self.disturb_keyed(exact, deviation))
    }

    fn polynomial(&mut self, arg: &ClearValue, poly: ResolvedPolynomial<'_>) -> Result<ClearValue, MachineError> {
        let exact = self.exact.polynomial(arg, poly)?;
        let level = exact.state.level;
        let model = self.model();
        let coefficient = match poly.poly.layout {
            Some(_) => model.encode(level),
            None => model.encode_const(level),
        };
        let noise = OperationNoise {
            product: model.key_switch(level, ScalePower::Two).powi(2),
            rescale: model.rescale(level).powi(2),
            coefficient: coefficient.powi(2),
        };
        let period = poly.poly.layout.map_or(1, |layout| layout.period as usize);
        let splits: Vec<Option<ChebyshevSplit>> = (0..period)
            .map(|slot| poly.of_slot(slot).map(|c| ChebyshevSplit::cheapest(&c)))
            .collect();
        let variance = |(slot, &x): (usize, &f64)| {
            let split = splits[slot % period].as_ref();
            split.map_or(noise.rescale, |split| split.added_variance(x, noise))
        };
        let variances: Vec<f64> = arg.slots.iter().enumerate().map(variance).collect();
        Ok(self.disturb_each(exact, variances.into_iter()))
    }

    fn rescale(&mut self, arg: &ClearValue) -> Result<ClearValue, MachineError> {
        let exact = self.exact.rescale(arg)?;
        let deviation = self.model().rescale(exact.state.level);
        Ok(self.disturb_keyed(exact, deviation))
    }

    fn drop_level(&mut self, arg: &ClearValue, to: Level) -> Result<ClearValue, MachineError> {
        let exact = self.exact.drop_level(arg, to)?;
        // An integer carries the value from one scale to the other; its rounding is an error relative to the value.
        let (factor, rescale) = (self.model().encode_const(to), self.model().rescale(to));
        let scaled = self.disturb_factor(exact, arg, factor);
        Ok(self.disturb_keyed(scaled, rescale))
    }

    /// The reduction puts a sine in the place of its argument, which takes a cubic part of every value; all else is noise.
    fn bootstrap(
        &mut self,
        arg: &ClearValue,
        variant: &BootstrapParams,
        to: Level,
    ) -> Result<ClearValue, MachineError> {
        let mut refreshed = bootstrapped(arg, variant, to, BOOTSTRAP_TOLERANCE)?;
        let precision = variant.precision();
        for slot in &mut refreshed.slots {
            *slot -= precision.bias * slot.powi(3);
        }
        Ok(self.disturb_keyed(refreshed, precision.deviation))
    }

    fn output(&mut self, arg: &ClearValue) -> Result<ClearValue, MachineError> {
        self.exact.output(arg)
    }
}
