//! The cost of a bootstrap, predicted in transforms of one limb, and from there in rotations.

use crate::bootstrap::transform::Factor;
use crate::bootstrap::variant::BootstrapParams;
use crate::{CkksParams, Level};

/// A product of limbs with a sum, in transforms of one limb (measured at `N = 2^16`: both stream from memory).
const PRODUCT: f64 = 0.35;
/// The rotation that costs are quoted in: limbs, digits and special primes.
const REFERENCE: (f64, f64, f64) = (24.0, 3.0, 8.0);

/// Transforms of one limb.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost(f64);

impl Cost {
    pub(crate) fn of(params: &BootstrapParams) -> Self {
        let meter = Meter { params };
        let trace = params.trace_rotations().len() as f64 * meter.rotation(params.trace_level());
        let (top, factors) = (params.top_level(), params.coeffs_to_slots());
        let to_slots = match factors {
            [first, others @ ..] if params.raises_into_factor() => {
                meter.raised_factor(first) + meter.transform(others, params.trace_level())
            }
            all => meter.raise() + meter.transform(all, top),
        };
        Self(
            to_slots
                + trace
                + meter.rotation(params.mod_level())
                + f64::from(params.n_reductions()) * meter.reduction()
                + meter.transform(params.slots_to_coeffs(), params.slots_to_coeffs_level()),
        )
    }

    pub(crate) fn rotations(self) -> f64 {
        let (limbs, digits, special) = REFERENCE;
        self.0 / key_switch(limbs, digits, special)
    }
}

/// Of a polynomial at so many limbs: decomposition, extension, products, division.
fn key_switch(limbs: f64, digits: f64, special: f64) -> f64 {
    let extended = digits * (limbs + special) - limbs;
    limbs + extended + 2.0 * digits * (limbs + special) * PRODUCT + 2.0 * (special + limbs)
}

struct Meter<'a> {
    params: &'a BootstrapParams,
}

impl Meter<'_> {
    fn shape(&self, level: Level) -> (f64, f64, f64) {
        let chain: &CkksParams = self.params.chain();
        (
            level.limbs() as f64,
            chain.digits(level).len() as f64,
            chain.p.len() as f64,
        )
    }

    fn rotation(&self, level: Level) -> f64 {
        let (limbs, digits, special) = self.shape(level);
        key_switch(limbs, digits, special)
    }

    /// Decomposed once for all baby steps; a giant step returns one polynomial to the ciphertext primes.
    fn factor(&self, factor: &Factor, level: Level) -> f64 {
        let (limbs, digits, special) = self.shape(level);
        let basis = limbs + special;
        let (babies, giants) = factor.rotations(self.params.log_slots());
        let decompose = digits * basis;
        let baby = 2.0 * digits * basis * PRODUCT;
        let giant = basis + decompose + baby;
        let products = 2.0 * f64::from(factor.n_diagonals(self.params.log_slots())) * basis * PRODUCT;
        decompose + babies.len() as f64 * baby + giants.len() as f64 * giant + products + 2.0 * basis
    }

    /// The first factor on the raised ciphertext: both halves are carried to every prime, and baby steps have one digit.
    fn raised_factor(&self, factor: &Factor) -> f64 {
        let (limbs, digits, special) = self.shape(self.params.top_level());
        let basis = limbs + special;
        let (babies, giants) = factor.rotations(self.params.log_slots());
        let n_babies = babies.len() as f64 + 1.0;
        let giant = basis + digits * basis * (1.0 + 2.0 * PRODUCT);
        let products = 2.0 * f64::from(factor.n_diagonals(self.params.log_slots())) * basis * PRODUCT;
        basis + limbs + n_babies * 2.0 * basis * PRODUCT + giants.len() as f64 * giant + products + 2.0 * basis
    }

    fn transform(&self, factors: &[Factor], start: Level) -> f64 {
        let levels = (0..=start.0).rev().map(Level);
        factors
            .iter()
            .zip(levels)
            .map(|(factor, level)| self.factor(factor, level))
            .sum()
    }

    fn raise(&self) -> f64 {
        let (limbs, _, special) = self.shape(self.params.top_level());
        2.0 * limbs + special + 2.0 * (limbs + special) * (1.0 + PRODUCT)
    }

    /// Products of ciphertexts, from the top of the reduction to its end.
    fn reduction(&self) -> f64 {
        let eval_mod = self.params.eval_mod();
        let log_degree = u32::BITS - eval_mod.degree.leading_zeros();
        // An even polynomial of degree d is one of degree d/2 in T_2.
        let polynomial = 1.0 + 2.0 * libm::sqrt(f64::from(eval_mod.degree) / 2.0);
        let start = self.params.mod_level().0;
        let at = |depth: u32| self.rotation(Level(start - depth)) * 1.15;
        let doublings: f64 = (0..eval_mod.doublings).map(|i| at(log_degree + i)).sum();
        let correction = f64::from(eval_mod.correction.depth()) * at(eval_mod.depth() - 1);
        polynomial * at(log_degree / 2) + doublings + correction
    }
}
