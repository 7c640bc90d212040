//! Which evaluation keys a program uses, and how deep.

use std::collections::BTreeMap;

use heron_params::{KeySpec, Level};

use crate::{CkksProgram, Instruction, LinearMap, MapId};

impl CkksProgram {
    /// The evaluation keys that the program uses: every rotation of `Rotate` and of the linear maps (babies, giants,
    /// folds), and the relinearization key of products, each at the deepest level of its use.
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
                | Instruction::Output { .. } => {}
            }
        }
        // Once a map, however many lines apply it.
        for (map, level) in maps {
            for rotation in self.map(map).map(LinearMap::rotations).unwrap_or_default() {
                spec.add_rotation(rotation, level);
            }
        }
        spec
    }
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
