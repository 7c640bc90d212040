//! Which evaluation keys a plan needs, each only as deep as it is used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CkksParams, Level, Rotation};

/// The evaluation keys of a plan. A key for level `l` switches ciphertexts at every level up to `l`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySpec {
    /// The deepest level at which a product is relinearized.
    pub relinearize: Option<Level>,
    /// For every rotation, the deepest level at which it is used.
    pub rotations: BTreeMap<Rotation, Level>,
}

impl KeySpec {
    /// Asks for a rotation key at a level; keeps the deeper of what was asked before. The identity needs no key.
    pub fn add_rotation(&mut self, rotation: Rotation, level: Level) {
        if rotation != Rotation(0) {
            let deepest = self.rotations.entry(rotation).or_insert(level);
            *deepest = level.max(*deepest);
        }
    }

    /// Asks for the relinearization key at a level.
    pub fn add_relinearize(&mut self, level: Level) {
        self.relinearize = self.relinearize.max(Some(level));
    }

    /// Asks for all that another spec asks for.
    pub fn add_all(&mut self, other: &Self) {
        self.relinearize = self.relinearize.max(other.relinearize);
        for (&rotation, &level) in &other.rotations {
            self.add_rotation(rotation, level);
        }
    }

    /// Whether every key of another spec is here, as deep or deeper.
    pub fn covers(&self, other: &Self) -> bool {
        let deep_enough = |(rotation, level)| self.rotations.get(rotation).is_some_and(|own| own >= level);
        self.relinearize >= other.relinearize && other.rotations.iter().all(deep_enough)
    }

    /// The level of every key, relinearization first.
    pub fn levels(&self) -> impl Iterator<Item = Level> {
        self.relinearize.into_iter().chain(self.rotations.values().copied())
    }

    /// Bytes of all keys in memory (`seeded` false: both halves) or in a file (`seeded` true: the uniform half is a seed).
    pub fn bytes(&self, params: &CkksParams, seeded: bool) -> u64 {
        let halves = if seeded { 1 } else { 2 };
        let key_bytes = |level: Level| {
            let limbs = (level.limbs() + params.p.len()) as u64;
            params.digits(level).len() as u64 * halves * limbs * params.n() as u64 * 8
        };
        self.levels().map(key_bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_covers_both_parts_at_the_deeper_level() {
        let [mut network, mut bootstrap] = [KeySpec::default(), KeySpec::default()];
        network.add_rotation(Rotation(1), Level(3));
        network.add_rotation(Rotation(4), Level(9));
        bootstrap.add_rotation(Rotation(1), Level(7));
        bootstrap.add_relinearize(Level(5));
        let mut union = network.clone();
        union.add_all(&bootstrap);
        assert!(union.covers(&network) && union.covers(&bootstrap));
        assert!(!network.covers(&bootstrap) && !bootstrap.covers(&network));
        assert_eq!(
            union.rotations,
            BTreeMap::from([(Rotation(1), Level(7)), (Rotation(4), Level(9))])
        );
    }
}
