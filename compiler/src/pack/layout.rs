//! Chooses layouts and step sizes: what makes a dense map cheap.
//!
//! A result of `r` elements has the period `R = 2^ceil(log2 r)`, so that rotate-and-sum replicates it. A dense map from
//! period `P` to period `R` has `g = gcd(R, P)` diagonals. Intermediate vectors have powers of two for `P`; the input is
//! packed by the client and may have any period `P`, as long as `lcm(R, P) + g` slots are there: an odd multiple of a small
//! power of two trades diagonals for a few more rotations of the sum, which are all that is left to pay. From 784 to 128
//! elements in 4096 slots, `P = 800` has 32 diagonals and 5 rotations of the sum where `P = 1024` has 128 and 3.

use heron_params::{Rotation, Slots};
use heron_plan::{BabyGiant, VectorLayout};

/// Cost of a rotation whose decomposition is shared, in rotations. Measured at N=2^15, 14 limbs: 2.5 ms against 6.2 ms.
const HOISTED_ROTATION: f64 = 0.4;
/// Cost of a plaintext product and sum, in rotations.
const PRODUCT: f64 = 0.05;

/// How a dense map from one layout to another is evaluated, and what it costs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DensePlan {
    pub(super) steps: BabyGiant,
    pub(super) fold: Vec<Rotation>,
    /// In rotations.
    pub(super) cost: f64,
}

/// The layout of an intermediate vector.
pub(super) fn canonical(len: usize) -> VectorLayout {
    VectorLayout {
        len: len as u32,
        period: (len as u32).next_power_of_two(),
    }
}

/// How to evaluate a dense map between two layouts; `None` if the slots do not suffice.
pub(super) fn plan_dense(input: VectorLayout, output: VectorLayout, slots: Slots) -> Option<DensePlan> {
    let (rows, period, slots) = (output.period, input.period, slots.0);
    let n_diags = gcd(rows, period);
    let cyclic = slots.is_multiple_of(period);
    let active = u64::from(rows / n_diags) * u64::from(period);
    let needed = if cyclic { active } else { active + u64::from(n_diags) };
    if needed > u64::from(slots) || !slots.is_multiple_of(rows) {
        return None;
    }
    let reach = if cyclic { period } else { slots };
    let fold: Vec<Rotation> = std::iter::successors(Some(rows), |&by| by.checked_mul(2))
        .take_while(|&by| by < reach)
        .map(Rotation)
        .collect();
    let (baby, diagonals) = cheapest_baby(n_diags);
    Some(DensePlan {
        steps: BabyGiant { baby },
        cost: diagonals + fold.len() as f64,
        fold,
    })
}

/// The number of baby steps that makes `n_diags` diagonals cheapest, and the cost; the smallest of equals.
fn cheapest_baby(n_diags: u32) -> (u32, f64) {
    let cost = |baby: u32| {
        let giants = n_diags.div_ceil(baby);
        HOISTED_ROTATION * f64::from(baby - 1) + f64::from(giants - 1) + PRODUCT * f64::from(n_diags)
    };
    (1..=n_diags)
        .map(|baby| (baby, cost(baby)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap_or((1, 0.0))
}

/// The layout of the input: the period that makes the dense maps that read it cheapest, the smallest of equals.
///
/// `outputs`: layouts of these maps' results. `None` if the slots do not suffice for any period.
pub(super) fn input_layout(len: usize, outputs: &[VectorLayout], slots: Slots) -> Option<VectorLayout> {
    let cost = |period: u32| {
        let input = VectorLayout {
            len: len as u32,
            period,
        };
        let plans = outputs.iter().map(|&output| plan_dense(input, output, slots));
        let total = plans.map(|plan| plan.map(|plan| plan.cost)).sum::<Option<f64>>();
        total.map(|cost| (input, cost))
    };
    let len = u32::try_from(len).ok()?;
    let periods = len..=slots.0.min(len.next_power_of_two());
    periods
        .filter_map(cost)
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(input, _)| input)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_takes_an_odd_multiple_of_a_small_power() {
        let input = input_layout(784, &[canonical(128)], Slots(4096)).expect("enough slots");
        assert_eq!(input, VectorLayout { len: 784, period: 800 });
        let plan = plan_dense(input, canonical(128), Slots(4096)).expect("enough slots");
        let folds: Vec<u32> = plan.fold.iter().map(|rotation| rotation.0).collect();
        assert_eq!(folds, [128, 256, 512, 1024, 2048]);
    }

    #[test]
    fn a_square_map_has_as_many_diagonals_as_rows_and_no_fold() {
        let plan = plan_dense(canonical(128), canonical(128), Slots(4096)).expect("enough slots");
        assert_eq!(plan.fold, []);
        assert!(
            plan.steps.baby > 8,
            "baby steps are cheaper than giant steps: {}",
            plan.steps.baby
        );
    }

    #[test]
    fn a_vector_longer_than_the_slots_does_not_fit() {
        assert_eq!(input_layout(5000, &[canonical(10)], Slots(4096)), None);
        assert_eq!(plan_dense(canonical(64), canonical(5000), Slots(4096)), None);
    }

    #[test]
    fn a_map_to_one_element_is_a_sum() {
        let plan = plan_dense(canonical(64), canonical(1), Slots(1024)).expect("enough slots");
        assert_eq!(plan.steps.baby, 1);
        assert_eq!(plan.fold.len(), 6);
    }
}
