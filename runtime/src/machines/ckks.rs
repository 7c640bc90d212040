//! The encrypted machine: every instruction is one operation of the CKKS evaluator, or one bootstrap.

use std::sync::{Arc, OnceLock};

use heron_ckks::bootstrap::Bootstrapper;
use heron_ckks::{Ciphertext, EvalError, Evaluator, GiantStep, LinearTransform, Polynomial, Term};
use heron_params::bootstrap::BootstrapParams;
use heron_params::{Level, Rotation};
use heron_plan::Diagonals;

use crate::machine::{Machine, MachineError, ResolvedConstant, ResolvedMap, ResolvedPolynomial, State};
use crate::sessions::ServerKeys;

/// Evaluates plans on ciphertexts. It holds evaluation keys and no secret.
pub struct CkksMachine {
    evaluator: Evaluator,
    keys: ServerKeys,
    /// Of what is kept, the part that bootstraps may keep.
    bootstrap_cache_bytes: u64,
    /// Prepared by the first bootstrap, or before it.
    bootstrapper: OnceLock<Bootstrapper>,
}

impl CkksMachine {
    /// A machine that keeps encoded plaintexts of linear maps, and of bootstraps, up to a number of bytes.
    pub fn new(context: Arc<heron_ckks::Context>, keys: ServerKeys, cache_bytes: u64) -> Self {
        let bootstrap_cache_bytes = keys.bootstrap.as_ref().map_or(0, |_| cache_bytes / 2);
        Self {
            evaluator: Evaluator::with_cache(context, keys.evaluation.clone(), cache_bytes - bootstrap_cache_bytes),
            keys,
            bootstrap_cache_bytes,
            bootstrapper: OnceLock::new(),
        }
    }

    /// Computes the transforms of a bootstrap.
    ///
    /// # Errors
    /// [`MachineError::NoBootstrapKeys`], and what the scheme refuses.
    pub fn prepare_bootstrap(&self, variant: &BootstrapParams) -> Result<(), MachineError> {
        self.bootstrapper(variant).map(|_| ())
    }

    /// The evaluation of a variant: one program has one.
    fn bootstrapper(&self, variant: &BootstrapParams) -> Result<&Bootstrapper, MachineError> {
        if let Some(known) = self.bootstrapper.get().filter(|known| known.params() == variant) {
            return Ok(known);
        }
        let own = self.keys.bootstrap.clone().ok_or(MachineError::NoBootstrapKeys)?;
        let (context, shared) = (self.evaluator.context(), self.keys.evaluation.clone());
        let prepared = Bootstrapper::new(context, variant.clone(), shared, own, self.bootstrap_cache_bytes)?;
        Ok(self.bootstrapper.get_or_init(|| prepared))
    }

    /// Encodes the diagonals of a map for operands of a level, as far as the cache has room for them.
    ///
    /// # Errors
    /// What the scheme refuses.
    pub fn prepare_linear(&self, map: ResolvedMap<'_>, level: Level) -> Result<(), MachineError> {
        Ok(self.evaluator.prepare_linear(&PlanTransform::new(map), level)?)
    }

    /// Bytes of encoded plaintexts that are kept for the next run.
    pub fn cached_bytes(&self) -> u64 {
        let of_bootstraps = self
            .bootstrapper
            .get()
            .map_or(0, |known| known.evaluator().cached_bytes());
        self.evaluator.cached_bytes() + of_bootstraps
    }

    fn slots(&self) -> usize {
        self.evaluator.context().params().slots().0 as usize
    }

    /// `y ← y + rot(y, k)` for each fold.
    fn folded(&self, mut sum: Ciphertext, folds: &[Rotation]) -> Result<Ciphertext, MachineError> {
        for &fold in folds {
            let turned = self.evaluator.rotate(&sum, fold)?;
            sum = self.evaluator.add(&sum, &turned)?;
        }
        Ok(sum)
    }
}

/// A polynomial of a plan, as the evaluator takes it.
fn plan_polynomial(resolved: ResolvedPolynomial<'_>, slots: usize) -> Result<Polynomial, EvalError> {
    let ResolvedPolynomial { poly, coefficients } = resolved;
    let Some(layout) = poly.layout else {
        return Polynomial::chebyshev(&poly.dense(coefficients, 0), (-1.0, 1.0));
    };
    let mut terms = vec![vec![0.0; slots]; poly.degree as usize + 1];
    let rows = coefficients.chunks_exact(layout.len.max(1) as usize);
    for (k, row) in poly.parity.terms(poly.degree).zip(rows) {
        terms[k] = layout.spread(row, slots);
    }
    Polynomial::chebyshev_per_slot(terms, (-1.0, 1.0))
}

/// A linear map of a plan, as the evaluator takes it.
struct PlanTransform<'a> {
    resolved: ResolvedMap<'a>,
    giants: Vec<GiantStep>,
    /// Prepared by the first diagonal that the evaluator asks for: none is, where all are cached.
    diagonals: OnceLock<Diagonals<'a>>,
}

impl<'a> PlanTransform<'a> {
    fn new(resolved: ResolvedMap<'a>) -> Self {
        let steps = resolved.map.giant_steps();
        let term = |giant: Rotation, d: u32| Term {
            input: 0,
            rotation: Rotation(d - giant.0),
            diagonal: d as usize,
        };
        let giants = steps.iter().map(|step| GiantStep {
            output: 0,
            rotation: step.rotation,
            terms: step.diagonals.iter().map(|&d| term(step.rotation, d)).collect(),
        });
        Self {
            giants: giants.collect(),
            diagonals: OnceLock::new(),
            resolved,
        }
    }
}

impl LinearTransform for PlanTransform<'_> {
    fn id(&self) -> u64 {
        u64::from(self.resolved.id.0)
    }

    fn giant_steps(&self) -> &[GiantStep] {
        &self.giants
    }

    fn write_diagonal(&self, diagonal: usize, out: &mut [f64]) {
        let ResolvedMap { map, weights, .. } = self.resolved;
        let diagonals = self.diagonals.get_or_init(|| Diagonals::new(map, weights));
        let giant = diagonal as u32 - diagonal as u32 % map.steps.baby.max(1);
        diagonals.write(diagonal as u32, Rotation(giant), out);
    }
}

impl Machine for CkksMachine {
    type Value = Ciphertext;

    fn state(&self, value: &Ciphertext) -> State {
        State {
            level: value.level(),
            power: value.power(),
        }
    }

    fn input(&mut self, value: Ciphertext, _: State) -> Result<Ciphertext, MachineError> {
        Ok(value)
    }

    fn linear(&mut self, arg: &Ciphertext, map: ResolvedMap<'_>) -> Result<Ciphertext, MachineError> {
        let sum = self.evaluator.linear(arg, &PlanTransform::new(map))?;
        self.folded(sum, &map.map.fold)
    }

    fn rotate(&mut self, arg: &Ciphertext, by: Rotation) -> Result<Ciphertext, MachineError> {
        Ok(self.evaluator.rotate(arg, by)?)
    }

    fn add(&mut self, lhs: &Ciphertext, rhs: &Ciphertext) -> Result<Ciphertext, MachineError> {
        Ok(self.evaluator.add(lhs, rhs)?)
    }

    fn sub(&mut self, lhs: &Ciphertext, rhs: &Ciphertext) -> Result<Ciphertext, MachineError> {
        Ok(self.evaluator.sub(lhs, rhs)?)
    }

    fn add_const(&mut self, arg: &Ciphertext, value: ResolvedConstant<'_>) -> Result<Ciphertext, MachineError> {
        Ok(match value {
            ResolvedConstant::Scalar(value) => self.evaluator.add_const(arg, value)?,
            vector @ ResolvedConstant::Vector { .. } => self.evaluator.add_plain(arg, &vector.spread(self.slots()))?,
        })
    }

    fn mul_const(&mut self, arg: &Ciphertext, value: ResolvedConstant<'_>) -> Result<Ciphertext, MachineError> {
        Ok(match value {
            ResolvedConstant::Scalar(value) => self.evaluator.mul_const(arg, value)?,
            vector @ ResolvedConstant::Vector { .. } => self.evaluator.mul_plain(arg, &vector.spread(self.slots()))?,
        })
    }

    fn square(&mut self, arg: &Ciphertext) -> Result<Ciphertext, MachineError> {
        Ok(self.evaluator.square(arg)?)
    }

    fn mul(&mut self, lhs: &Ciphertext, rhs: &Ciphertext) -> Result<Ciphertext, MachineError> {
        Ok(self.evaluator.mul(lhs, rhs)?)
    }

    fn polynomial(&mut self, arg: &Ciphertext, poly: ResolvedPolynomial<'_>) -> Result<Ciphertext, MachineError> {
        let stated = poly.poly.depth();
        let polynomial = plan_polynomial(poly, self.slots())?;
        let result = self.evaluator.polynomial(arg, &polynomial)?;
        // Leading coefficients that are all zero may save a level; the plan's level holds.
        let level = Level(arg.level().0.saturating_sub(stated));
        Ok(self.evaluator.drop_level(&result, level)?)
    }

    fn rescale(&mut self, arg: &Ciphertext) -> Result<Ciphertext, MachineError> {
        Ok(self.evaluator.rescale(arg)?)
    }

    fn drop_level(&mut self, arg: &Ciphertext, to: Level) -> Result<Ciphertext, MachineError> {
        Ok(self.evaluator.drop_level(arg, to)?)
    }

    fn linear_rescale(&mut self, arg: &Ciphertext, map: ResolvedMap<'_>) -> Result<Ciphertext, MachineError> {
        if map.map.fold.is_empty() {
            return Ok(self.evaluator.linear_rescale(arg, &PlanTransform::new(map))?);
        }
        let product = self.linear(arg, map)?;
        self.rescale(&product)
    }

    fn square_rescale(&mut self, arg: &Ciphertext) -> Result<Ciphertext, MachineError> {
        Ok(self.evaluator.square_rescale(arg)?)
    }

    fn mul_rescale(&mut self, lhs: &Ciphertext, rhs: &Ciphertext) -> Result<Ciphertext, MachineError> {
        Ok(self.evaluator.mul_rescale(lhs, rhs)?)
    }

    fn bootstrap(
        &mut self,
        arg: &Ciphertext,
        variant: &BootstrapParams,
        to: Level,
    ) -> Result<Ciphertext, MachineError> {
        let refreshed = self.bootstrapper(variant)?.bootstrap(arg)?;
        Ok(self.evaluator.drop_level(&refreshed, to)?)
    }

    fn output(&mut self, arg: &Ciphertext) -> Result<Ciphertext, MachineError> {
        Ok(arg.clone())
    }
}
