//! Plans the rotations of one linear map: baby and giant steps from the diagonals that it has, and the fold.
//!
//! Splitting diagonal `d` into baby `d mod b` and giant `d - d mod b` costs one hoisted rotation for each distinct baby, one
//! full rotation for each distinct giant, and a key for each of them. The diagonals of a convolution come in clusters, one
//! for each pair of channel offsets, so that `b` is best at a distance between clusters: powers of two, multiples of grid
//! rows and of planes are tried, and every small number.
//!
//! # Source
//! J.-P. Bossuat et al., *Efficient bootstrapping for approximate homomorphic encryption with non-sparse keys* (ePrint
//! 2020/1203), section 4, for the costs; the choice over the actual set of diagonals as in A. Ebel et al., *Orion* (ASPLOS
//! 2025), section 5.

use heron_params::{Rotation, Slots};
use heron_plan::cost::PRICES;
use heron_plan::{BabyGiant, Geometry, LinearMap, VectorLayout};

/// Every split up to this one is tried.
const SMALL_SPLIT: u32 = 256;

/// A map with the number of rotations that it is worth.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlannedMap {
    pub(super) map: LinearMap,
    pub(super) cost: f64,
}

/// How to evaluate a map between two layouts at the least cost; `None` if the slots do not suffice.
pub(super) fn plan_map(
    geometry: Geometry,
    input: VectorLayout,
    output: VectorLayout,
    slots: Slots,
) -> Option<PlannedMap> {
    let mut map = LinearMap {
        geometry,
        input,
        output,
        steps: BabyGiant { baby: 1 },
        fold: fold(input.period, output.period, slots)?,
    };
    let diagonals = map.diagonals();
    let (baby, rotations) = cheapest_baby(&diagonals, &splits(&map));
    map.steps = BabyGiant { baby };
    let folds = (PRICES.rotation + PRICES.key) * map.fold.len() as f64;
    let cost = rotations + PRICES.diagonal * diagonals.len() as f64 + folds;
    Some(PlannedMap { map, cost })
}

/// The rotations that sum a map's blocks; `None` if they do not fit the slots.
fn fold(input: u32, output: u32, slots: Slots) -> Option<Vec<Rotation>> {
    let (slots, modulus) = (slots.0, gcd(output, input));
    let cyclic = slots.is_multiple_of(input);
    let active = u64::from(output / modulus) * u64::from(input);
    let needed = if cyclic { active } else { active + u64::from(modulus) };
    if needed > u64::from(slots) || !slots.is_multiple_of(output) {
        return None;
    }
    let reach = if cyclic { input } else { slots };
    let doublings = std::iter::successors(Some(output), |&by| by.checked_mul(2));
    Some(doublings.take_while(|&by| by < reach).map(Rotation).collect())
}

/// The numbers of baby steps that are worth a try, ascending.
fn splits(map: &LinearMap) -> Vec<u32> {
    let modulus = map.modulus();
    let images = [map.input.image, map.output.image].into_iter().flatten();
    let grids = images.flat_map(|image| [image.row, image.plane]);
    let multiples = grids.flat_map(|step| (1..=32).map(move |count| step.saturating_mul(count)));
    let powers = (0..32).map(|bit| 1u32 << bit);
    let mut all: Vec<u32> = (1..=SMALL_SPLIT).chain(multiples).chain(powers).collect();
    all.retain(|&split| split <= modulus);
    all.sort_unstable();
    all.dedup();
    all
}

/// The split that makes the rotations of some diagonals cheapest, and their cost; the smallest of equals.
fn cheapest_baby(diagonals: &[u32], splits: &[u32]) -> (u32, f64) {
    // The last split that met each baby step.
    let mut met = vec![0u32; splits.last().map_or(0, |&largest| largest as usize)];
    let mut cost = |split: u32| {
        let (mut babies, mut giants, mut last_giant) = (0u32, 0u32, 0u32);
        for &d in diagonals {
            let (giant, baby) = (d / split, d % split);
            if giant != last_giant {
                (giants, last_giant) = (giants + 1, giant);
            }
            if baby != 0 && met[baby as usize] != split {
                met[baby as usize] = split;
                babies += 1;
            }
        }
        price_of_rotations(f64::from(babies), f64::from(giants))
    };
    let costs = splits.iter().map(|&split| (split, cost(split)));
    costs.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((1, 0.0))
}

/// Rotations and their keys, in rotations.
fn price_of_rotations(babies: f64, giants: f64) -> f64 {
    (PRICES.hoisted_rotation + PRICES.key) * babies + (PRICES.rotation + PRICES.key) * giants
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use heron_plan::{ConstId, Convolution, Image};
    use proptest::prelude::*;

    use super::*;

    fn dense(rows: u32, cols: u32) -> Geometry {
        Geometry::Dense {
            weights: ConstId(0),
            rows,
            cols,
        }
    }

    fn vector(len: u32) -> VectorLayout {
        VectorLayout::vector(len, len.next_power_of_two())
    }

    #[test]
    fn a_square_map_has_as_many_diagonals_as_rows_and_no_fold() {
        let plan = plan_map(dense(128, 128), vector(128), vector(128), Slots(4096)).expect("enough slots");
        assert_eq!(plan.map.fold, []);
        assert!(
            plan.map.steps.baby > 8,
            "baby steps are cheaper: {}",
            plan.map.steps.baby
        );
    }

    #[test]
    fn a_map_to_one_element_is_a_sum() {
        let plan = plan_map(dense(1, 64), vector(64), vector(1), Slots(1024)).expect("enough slots");
        assert_eq!((plan.map.steps.baby, plan.map.fold.len()), (1, 6));
    }

    #[test]
    fn a_result_longer_than_the_slots_does_not_fit() {
        assert_eq!(plan_map(dense(5000, 64), vector(64), vector(5000), Slots(4096)), None);
    }

    /// Literature: 23 rotations for 144 diagonals (Orion's packing of ResNet-20's first block).
    #[test]
    fn a_3x3_convolution_of_16_channels_takes_8_babies_or_16() {
        let image = VectorLayout {
            len: 16 * 1024,
            period: 16 * 1024,
            image: Some(Image::tight(32, 32)),
        };
        let conv = Convolution {
            weights: ConstId(0),
            kernel: [16, 16, 3, 3],
            input: [32, 32],
            output: [32, 32],
            strides: [1, 1],
            dilations: [1, 1],
            pads: [1, 1],
            groups: 1,
        };
        let plan = plan_map(Geometry::Convolution(conv), image, image, Slots(1 << 14)).expect("enough slots");
        let counts = plan.map.counts();
        assert_eq!(counts.plaintext_products, 144);
        assert!(counts.rotations() <= 24, "{counts:?}");
    }

    proptest! {
        #[test]
        fn no_split_is_cheaper_than_the_one_taken(set in proptest::collection::btree_set(0u32..200, 1..40)) {
            let diagonals: Vec<u32> = set.into_iter().collect();
            let splits: Vec<u32> = (1..=200).collect();
            let (baby, cost) = cheapest_baby(&diagonals, &splits);
            for split in splits {
                let (babies, giants) = BabyGiant { baby: split }.rotations(&diagonals);
                let naive = price_of_rotations(babies.len() as f64, giants.len() as f64);
                prop_assert!(cost <= naive + 1e-9);
                prop_assert!(split != baby || (cost - naive).abs() < 1e-9);
            }
        }
    }
}
