//! One variant of a bootstrap, as built: its chain, its transforms, its modular reduction, and what follows from them.

use serde::{Deserialize, Serialize};

use crate::bootstrap::cost::Cost;
use crate::bootstrap::ephemeral::{EPHEMERAL_WEIGHT, max_ephemeral_log_qp};
use crate::bootstrap::eval_mod::EvalMod;
use crate::bootstrap::keys::BootstrapKeySpec;
use crate::bootstrap::overflow::overflow_failure_log2;
use crate::bootstrap::precision::BootstrapPrecision;
use crate::bootstrap::request::{BootstrapError, SlotValues, TransformOrder};
use crate::bootstrap::transform::Factor;
use crate::{CkksParams, Level, Rotation, max_log_qp};

/// A bootstrap that the builder chose: everything that keys and evaluation follow from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BootstrapParams {
    pub(crate) chain: CkksParams,
    pub(crate) log_slots: u32,
    pub(crate) values: SlotValues,
    pub(crate) order: TransformOrder,
    /// Levels between two bootstraps.
    pub(crate) levels: u32,
    /// In order of application: longest butterflies first.
    pub(crate) coeffs_to_slots: Vec<Factor>,
    /// In order of application: shortest butterflies first.
    pub(crate) slots_to_coeffs: Vec<Factor>,
    pub(crate) eval_mod: EvalMod,
}

/// One line of the security table of a bootstrap: a modulus, and how large it may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SecurityRow {
    /// Base-2 logarithm of the modulus that the keys live under.
    pub log_qp: f64,
    /// The largest that offers 128 bits; 0 where nothing is known.
    pub limit: u32,
}

impl SecurityRow {
    /// Whether it offers 128 bits.
    pub fn holds(&self) -> bool {
        self.log_qp <= f64::from(self.limit)
    }
}

impl BootstrapParams {
    /// The prime chain of the whole plan, network levels included.
    pub fn chain(&self) -> &CkksParams {
        &self.chain
    }

    /// Base-2 logarithm of the number of slots that differ.
    pub fn log_slots(&self) -> u32 {
        self.log_slots
    }

    /// What the slots hold.
    pub fn values(&self) -> SlotValues {
        self.values
    }

    /// Which transform comes first.
    pub fn order(&self) -> TransformOrder {
        self.order
    }

    /// The factors of the transform to slots, in order of application.
    pub fn coeffs_to_slots(&self) -> &[Factor] {
        &self.coeffs_to_slots
    }

    /// The factors of the transform to coefficients, in order of application.
    pub fn slots_to_coeffs(&self) -> &[Factor] {
        &self.slots_to_coeffs
    }

    /// The modular reduction.
    pub fn eval_mod(&self) -> &EvalMod {
        &self.eval_mod
    }

    /// Whether both parts of the raised coefficients share one reduction: where slots are left over, at the price of one level to
    /// take them apart.
    pub fn packs_parts(&self) -> bool {
        self.has_parts() && self.log_slots + 1 < self.chain.log_n
    }

    /// Whether both parts of the raised coefficients carry a message: not where real slots became the lower coefficients.
    fn has_parts(&self) -> bool {
        self.values == SlotValues::Complex || self.order == TransformOrder::CoeffsToSlotsFirst
    }

    /// How many modular reductions there are: one, or one for each part.
    pub fn n_reductions(&self) -> u32 {
        if self.has_parts() && !self.packs_parts() { 2 } else { 1 }
    }

    /// The level of the operand: enough for the transform that comes first.
    pub fn input_level(&self) -> Level {
        match self.order {
            TransformOrder::SlotsToCoeffsFirst => Level(self.slots_to_coeffs.len() as u32),
            TransformOrder::CoeffsToSlotsFirst => Level(0),
        }
    }

    /// The level of the result.
    pub fn output_level(&self) -> Level {
        Level(self.input_level().0 + self.levels)
    }

    /// The level that the raise reaches.
    pub fn top_level(&self) -> Level {
        self.chain.max_level()
    }

    /// The level at which the modular reduction starts.
    pub fn mod_level(&self) -> Level {
        Level(self.top_level().0 - self.coeffs_to_slots.len() as u32)
    }

    /// The level at which packed parts are taken apart: where the modular reduction ends.
    pub fn unpack_level(&self) -> Level {
        Level(self.mod_level().0 - self.eval_mod.depth())
    }

    /// The level at which the transform to coefficients starts.
    pub fn slots_to_coeffs_level(&self) -> Level {
        match self.order {
            TransformOrder::SlotsToCoeffsFirst => self.input_level(),
            TransformOrder::CoeffsToSlotsFirst => Level(self.unpack_level().0 - u32::from(self.packs_parts())),
        }
    }

    /// The rotations whose sum keeps, of a raised polynomial, the coefficients that the slots use.
    pub fn trace_rotations(&self) -> Vec<Rotation> {
        (self.log_slots..self.chain.log_n - 1)
            .map(|log| Rotation(1 << log))
            .collect()
    }

    /// Whether the first factor of the transform to slots is applied to the raised ciphertext while its coefficients are below `q_0`,
    /// where one key-switching digit holds them; at most one rotation of the trace then follows that factor, for which the order
    /// means nothing.
    pub fn raises_into_factor(&self) -> bool {
        self.trace_rotations().len() <= 1
    }

    /// The level at which the rotations of the trace are added.
    pub fn trace_level(&self) -> Level {
        Level(self.top_level().0 - u32::from(self.raises_into_factor()))
    }

    /// What the transform to coefficients multiplies by, so that a slot of size 1 becomes a coefficient of
    /// `q_0 / 2^log_ratio`; 1 where the raise comes first.
    pub fn lowering_factor(&self) -> f64 {
        match self.order {
            TransformOrder::SlotsToCoeffsFirst => {
                self.chain.q[0] as f64 / libm::exp2(self.eval_mod.log_ratio) / self.chain.scale(Level(0))
            }
            TransformOrder::CoeffsToSlotsFirst => 1.0,
        }
    }

    /// Bits that a network can use between two bootstraps: without `q_0` and without what the operand still needs.
    pub fn bits_left(&self) -> f64 {
        self.chain.log_q(self.output_level()) - self.chain.log_q(self.input_level())
    }

    /// Base-2 logarithm of the probability that a raised coefficient leaves the interval of the reduction.
    pub fn failure_log2(&self) -> f64 {
        overflow_failure_log2(EPHEMERAL_WEIGHT, 2 << self.log_slots, self.eval_mod.bound)
    }

    /// The keys that it needs.
    pub fn key_spec(&self) -> BootstrapKeySpec {
        BootstrapKeySpec::of(self)
    }

    /// What errors it is predicted to have.
    pub fn precision(&self) -> BootstrapPrecision {
        BootstrapPrecision::of(self)
    }

    /// What it is predicted to cost, in rotations of the same ring at 24 limbs.
    pub fn cost_in_rotations(&self) -> f64 {
        Cost::of(self).rotations()
    }

    /// The main secret: uniform ternary, under every modulus of the chain.
    pub fn main_security(&self) -> SecurityRow {
        SecurityRow {
            log_qp: self.chain.log_qp(),
            limit: max_log_qp(self.chain.log_n).unwrap_or(0),
        }
    }

    /// The ephemeral secret of weight 32, under `q_0` and the first special prime.
    pub fn ephemeral_security(&self) -> SecurityRow {
        SecurityRow {
            log_qp: libm::log2(self.chain.q[0] as f64) + libm::log2(self.chain.p[0] as f64),
            limit: max_ephemeral_log_qp(self.chain.log_n).unwrap_or(0),
        }
    }

    /// Checks that both secrets offer 128 bits.
    ///
    /// # Errors
    /// [`crate::ParamsError::Insecure`], [`BootstrapError::Ephemeral`].
    pub fn check_secure(&self) -> Result<(), BootstrapError> {
        self.chain.check_secure()?;
        let SecurityRow { log_qp, limit } = self.ephemeral_security();
        if self.ephemeral_security().holds() {
            return Ok(());
        }
        Err(BootstrapError::Ephemeral {
            log_n: self.chain.log_n,
            log_qp,
            limit,
        })
    }
}
