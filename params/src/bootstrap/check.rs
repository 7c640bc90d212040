//! Whether a variant that was read, and not built here, is one that the arithmetic can use.

use crate::bootstrap::builder::{MAX_DEGREE, MAX_PARTS};
use crate::bootstrap::eval_mod::EvalMod;
use crate::bootstrap::overflow::MAX_FAILURE_LOG2;
use crate::bootstrap::request::BootstrapError;
use crate::bootstrap::transform::Factor;
use crate::bootstrap::variant::BootstrapParams;

/// Double angles of a reduction, at most.
const MAX_DOUBLINGS: u32 = 8;

impl BootstrapParams {
    /// Checks that all parts fit together: the chain, the splits, the reduction, the levels, the failure bound. Not security:
    /// see [`check_secure`](Self::check_secure). No other function panics on a variant that passed.
    ///
    /// # Errors
    /// [`BootstrapError::Malformed`], [`BootstrapError::Params`].
    pub fn validate(&self) -> Result<(), BootstrapError> {
        self.chain.validate()?;
        if self.log_slots < 2 || self.log_slots >= self.chain.log_n {
            return Err(malformed(
                "slots must number at least 4 and at most half the ring degree",
            ));
        }
        let first_to_last: Vec<Factor> = self.coeffs_to_slots.iter().rev().copied().collect();
        if !splits(&first_to_last, self.log_slots) || !splits(&self.slots_to_coeffs, self.log_slots) {
            return Err(malformed("the factors of a transform are not its stages in order"));
        }
        check_reduction(&self.eval_mod)?;
        let parts = self.coeffs_to_slots.len() + self.slots_to_coeffs.len();
        let depth = parts as u32 + self.eval_mod.depth() + u32::from(self.packs_parts());
        let levels = self.chain.max_level().0.checked_sub(depth);
        if self.levels == 0 || levels != Some(self.levels) {
            return Err(malformed("the chain does not have as many levels as the parts take"));
        }
        if self.chain.p[0] < self.chain.q[0] {
            return Err(malformed("the first special prime is smaller than q_0"));
        }
        if self.failure_log2() > MAX_FAILURE_LOG2 {
            return Err(malformed(
                "the interval of the reduction is left more often than once in 2^40",
            ));
        }
        Ok(())
    }
}

fn malformed(reason: &'static str) -> BootstrapError {
    BootstrapError::Malformed(reason)
}

/// Whether factors, shortest butterflies first, are all stages once and in order.
fn splits(factors: &[Factor], log_slots: u32) -> bool {
    let mut next = 1;
    let ordered = factors.iter().all(|factor| {
        let fits = factor.first == next && (next..=log_slots).contains(&factor.last);
        next = factor.last.saturating_add(1);
        fits && factor.log_baby <= factor.stages() + 1
    });
    ordered && next == log_slots + 1 && factors.len() <= MAX_PARTS as usize
}

fn check_reduction(eval_mod: &EvalMod) -> Result<(), BootstrapError> {
    let sound = (1.0..64.0).contains(&eval_mod.bound)
        && (1.0..40.0).contains(&eval_mod.log_ratio)
        && (2.0..=16.0).contains(&eval_mod.amplification)
        && (2..=MAX_DEGREE).contains(&eval_mod.degree)
        && eval_mod.degree.is_multiple_of(2)
        && (1..=MAX_DOUBLINGS).contains(&eval_mod.doublings);
    if sound {
        Ok(())
    } else {
        Err(malformed("the modular reduction is out of range"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use crate::bootstrap::{BOOTSTRAP_PRESETS, BootstrapPreset};

    fn small() -> BootstrapParams {
        let preset = BootstrapPreset::named("small").expect("a preset of that name");
        preset.build().expect("it builds")
    }

    #[test]
    fn what_is_built_is_sound() {
        for preset in &BOOTSTRAP_PRESETS {
            let params = preset.build().expect("it builds");
            assert_eq!(params.validate(), Ok(()), "{}", preset.name);
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let changes: [fn(&mut BootstrapParams); 13] = [
            |p| p.log_slots = 1,
            |p| p.log_slots = 40,
            |p| p.levels = 0,
            |p| p.levels += 1,
            |p| p.coeffs_to_slots.clear(),
            |p| p.coeffs_to_slots.reverse(),
            |p| p.slots_to_coeffs[0].last = u32::MAX,
            |p| p.slots_to_coeffs[0].log_baby = 60,
            |p| p.eval_mod.degree = 1 << 30,
            |p| p.eval_mod.doublings = 1 << 30,
            |p| p.eval_mod.bound = f64::NAN,
            |p| p.eval_mod.bound -= 1.0,
            |p| p.chain.p.swap(0, 1),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut params = small();
            change(&mut params);
            assert!(params.validate().is_err(), "change {index}");
        }
        let mut params = small();
        params.chain.q.truncate(3);
        assert!(params.validate().is_err());
        assert_eq!(small().input_level(), Level(2));
    }
}
