//! A linear map of a given number of baby and giant steps.

use heron_ckks::{GiantStep, LinearTransform, Term};
use heron_params::Rotation;

/// Baby steps of the larger maps: their keys do not all stay in a cache, as in a plan.
pub(super) const BABIES: u32 = 8;
/// Giant steps of the larger maps.
pub(super) const GIANTS: u32 = 4;

/// Rotations by one slot, two slots and so on, times a diagonal each, in giant steps.
pub(super) struct Grid {
    steps: Vec<GiantStep>,
    id: u64,
}

impl Grid {
    /// `babies` times `giants` diagonals; each giant step rotates `giant` further than the one before.
    pub(super) fn new(babies: u32, giants: u32, giant: Rotation) -> Self {
        let term = |giant: u32, baby: u32| Term {
            input: 0,
            rotation: Rotation(baby + 1),
            diagonal: (giant * babies + baby) as usize,
        };
        let step = |index: u32| GiantStep {
            output: 0,
            rotation: Rotation(index * giant.0),
            terms: (0..babies).map(|baby| term(index, baby)).collect(),
        };
        Self {
            steps: (0..giants).map(step).collect(),
            id: u64::from(babies * giants),
        }
    }

    /// All rotations that the largest map takes.
    pub(super) fn rotations() -> impl Iterator<Item = Rotation> {
        let giants = (1..GIANTS).map(|index| index * BABIES);
        (1..=BABIES).chain(giants).map(Rotation)
    }
}

impl LinearTransform for Grid {
    fn id(&self) -> u64 {
        self.id
    }

    fn giant_steps(&self) -> &[GiantStep] {
        &self.steps
    }

    fn write_diagonal(&self, diagonal: usize, out: &mut [f64]) {
        let values = out.iter_mut().enumerate();
        values.for_each(|(slot, x)| *x = ((slot * (diagonal + 1)) % 97) as f64 / 97.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_equal_diagonals_share_them_and_others_do_not() {
        let (with, without) = (Grid::new(8, 4, Rotation(8)), Grid::new(8, 4, Rotation(0)));
        assert_eq!(with.id(), without.id());
        assert_ne!(with.id(), Grid::new(8, 1, Rotation(0)).id());
        let needed = with.giant_steps().iter().flat_map(|step| {
            let babies = step.terms.iter().map(|term| term.rotation);
            babies.chain([step.rotation])
        });
        let offered: Vec<Rotation> = Grid::rotations().collect();
        for rotation in needed.filter(|&rotation| rotation != Rotation(0)) {
            assert!(offered.contains(&rotation), "{rotation:?}");
        }
    }
}
