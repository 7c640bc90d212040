//! The keys of a bootstrap, each only as deep as it is used, and their bytes.

use std::collections::BTreeSet;

use crate::bootstrap::transform::Factor;
use crate::bootstrap::variant::BootstrapParams;
use crate::{CkksParams, KeySpec, Level, Rotation};

/// Which keys a bootstrap needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapKeySpec {
    /// Relinearization and rotations.
    pub evaluation: KeySpec,
    /// The deepest level at which slots are conjugated.
    pub conjugation: Level,
    /// The level of the keys that read the raised ciphertext: its coefficients are smaller than one prime, and one digit
    /// holds them.
    pub raise: Level,
    /// The rotations under which it is read, the identity among them.
    pub raised: BTreeSet<Rotation>,
}

impl BootstrapKeySpec {
    /// What a variant needs.
    pub(crate) fn of(params: &BootstrapParams) -> Self {
        let mut evaluation = KeySpec::default();
        let reduced = params.mod_level();
        evaluation.add_relinearize(reduced);
        for rotation in params.trace_rotations() {
            evaluation.add_rotation(rotation, params.trace_level());
        }
        let mut raised = BTreeSet::from([Rotation(0)]);
        let mut to_slots = params.coeffs_to_slots().iter();
        if params.raises_into_factor()
            && let Some(first) = to_slots.next()
        {
            let (babies, giants) = first.rotations(params.log_slots());
            raised.extend(babies);
            giants
                .into_iter()
                .for_each(|rotation| evaluation.add_rotation(rotation, params.top_level()));
        }
        let after_first = params.coeffs_to_slots().len() - to_slots.len();
        let mut transform = |factors: &[Factor], mut level: Level| {
            for factor in factors {
                let (babies, giants) = factor.rotations(params.log_slots());
                let all: BTreeSet<Rotation> = babies.into_iter().chain(giants).collect();
                all.into_iter()
                    .for_each(|rotation| evaluation.add_rotation(rotation, level));
                level = level.below().unwrap_or(level);
            }
        };
        transform(to_slots.as_slice(), Level(params.top_level().0 - after_first as u32));
        transform(params.slots_to_coeffs(), params.slots_to_coeffs_level());
        if params.packs_parts() {
            let half = Rotation(1 << params.log_slots());
            evaluation.add_rotation(half, params.unpack_level());
        }
        Self {
            evaluation,
            conjugation: reduced,
            raise: params.top_level(),
            raised,
        }
    }

    /// Bytes of all keys in memory (`seeded` false: both halves) or in a file (`seeded` true: the uniform halves are seeds).
    pub fn bytes(&self, chain: &CkksParams, seeded: bool) -> u64 {
        self.evaluation.bytes(chain, seeded) + self.own_bytes(chain, seeded)
    }

    /// Bytes of the keys that no network shares: conjugation and the raise.
    pub fn own_bytes(&self, chain: &CkksParams, seeded: bool) -> u64 {
        let halves = if seeded { 1 } else { 2 };
        let limb_bytes = chain.n() as u64 * 8;
        let limbs = |level: Level| (level.limbs() + chain.p.len()) as u64;
        let conjugation = chain.digits(self.conjugation).len() as u64 * limbs(self.conjugation);
        // To the sparse secret: one digit over q_0 and one special prime.
        let singles = self.raised.len() as u64 * limbs(self.raise) + 2;
        halves * limb_bytes * (conjugation + singles)
    }
}
