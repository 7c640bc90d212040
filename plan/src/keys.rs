//! Which evaluation keys a program uses, and how deep.

use std::collections::BTreeMap;

use heron_params::bootstrap::BootstrapParams;
use heron_params::{CkksParams, KeySpec, Level};

use crate::{CkksProgram, Instruction, LinearMap, MapId};

impl CkksProgram {
    /// The evaluation keys that the program uses: every rotation of `Rotate` and of the linear maps (babies, giants,
    /// folds), and the relinearization key of products, each at the deepest level of its use; and what its bootstrap shares with them. The keys that only
    /// a bootstrap has are not part of it: see [`key_bytes`](Self::key_bytes).
    ///
    /// A map that a line names and the program lacks counts for nothing: `verify` reports it.
    pub fn key_spec(&self) -> KeySpec {
        let mut spec = KeySpec::default();
        let mut maps: BTreeMap<MapId, Level> = BTreeMap::new();
        for line in &self.lines {
            match &line.op {
                Instruction::Linear { map, .. } => {
                    let deepest = maps.entry(*map).or_insert(line.level);
                    *deepest = line.level.max(*deepest);
                }
                Instruction::Rotate { by, .. } => spec.add_rotation(*by, line.level),
                Instruction::Square { .. } | Instruction::Mul { .. } => spec.add_relinearize(line.level),
                Instruction::Polynomial { poly, .. } if poly.degree >= 2 => {
                    // The first product is a square of the operand, at the operand's level.
                    spec.add_relinearize(Level(line.level.0.saturating_add(poly.depth())));
                }
                Instruction::Input
                | Instruction::Add { .. }
                | Instruction::Sub { .. }
                | Instruction::AddConst { .. }
                | Instruction::MulConst { .. }
                | Instruction::Polynomial { .. }
                | Instruction::Rescale { .. }
                | Instruction::DropLevel { .. }
                | Instruction::Bootstrap { .. }
                | Instruction::Output { .. } => {}
            }
        }
        // Once a map, however many lines apply it.
        for (map, level) in maps {
            for rotation in self.map(map).map(LinearMap::rotations).unwrap_or_default() {
                spec.add_rotation(rotation, level);
            }
        }
        if let Some(bootstrap) = self.sound_bootstrap() {
            spec.add_all(&bootstrap.key_spec().evaluation);
        }
        spec
    }

    /// Bytes of all keys of a server in memory (`seeded` false) or in a file (`seeded` true): [`key_spec`](Self::key_spec), and
    /// what only the bootstrap has.
    pub fn key_bytes(&self, seeded: bool) -> u64 {
        key_bytes(&self.key_spec(), self.sound_bootstrap(), &self.params, seeded)
    }
}

/// Bytes of evaluation keys and of what only a bootstrap has.
pub(crate) fn key_bytes(spec: &KeySpec, bootstrap: Option<&BootstrapParams>, params: &CkksParams, seeded: bool) -> u64 {
    let own = bootstrap.map_or(0, |bootstrap| bootstrap.key_spec().own_bytes(params, seeded));
    spec.bytes(params, seeded) + own
}

#[cfg(test)]
mod tests {
    use heron_params::{Level, Rotation};

    use crate::sample;

    #[test]
    fn a_polynomial_relinearizes_at_its_operand() {
        let plan = sample::polynomial_plan();
        let program = plan.program.ckks().expect("a CKKS plan");
        assert_eq!(program.key_spec().relinearize, Some(Level(3)));
    }

    #[test]
    fn a_bootstrap_shares_its_rotations_and_has_keys_of_its_own() {
        let plan = sample::insecure_bootstrap_plan();
        let program = plan.program.ckks().expect("a CKKS plan");
        let needed = program.bootstrap.as_ref().expect("it has one").key_spec();
        assert_eq!(program.key_spec(), needed.evaluation);
        assert_eq!(program.key_bytes(false), needed.bytes(&program.params, false));
        assert_eq!(program.counts().total.bootstraps, 1);
    }

    #[test]
    fn asks_for_every_rotation_at_its_deepest_level() {
        let plan = sample::plan();
        let program = plan.program.ckks().expect("a CKKS plan");
        let spec = program.key_spec();
        assert_eq!(spec.relinearize, Some(Level(2)));
        for (map, level) in [(0, Level(3)), (1, Level(1))] {
            for rotation in program.maps[map].rotations() {
                assert!(spec.rotations[&rotation] >= level, "{rotation} of m{map}");
            }
        }
        assert!(!spec.rotations.contains_key(&Rotation(0)));
    }
}
