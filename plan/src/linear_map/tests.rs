//! A map applied by its diagonals, against the matrix; and the verifier's algebra against counting.

mod convolutions;

use proptest::prelude::*;

use super::*;
use crate::sample::{layout, map};

const SLOTS: usize = 256;

/// `rot(v, k)[i] = v[(i + k) mod slots]`.
fn rotate(values: &[f64], by: Rotation) -> Vec<f64> {
    (0..values.len())
        .map(|i| values[(i + by.0 as usize) % values.len()])
        .collect()
}

fn add(sum: &mut [f64], values: &[f64]) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

/// Evaluates the map as a machine does: babies, giants, folds.
fn apply(map: &LinearMap, weights: &[f64], x: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; x.len()];
    let diagonals = Diagonals::new(map, weights);
    let mut diagonal = vec![0.0; x.len()];
    for giant in map.giant_steps() {
        let mut inner = vec![0.0; x.len()];
        for &d in &giant.diagonals {
            diagonals.write(d, giant.rotation, &mut diagonal);
            let baby = rotate(x, Rotation(d - giant.rotation.0));
            inner
                .iter_mut()
                .zip(&diagonal)
                .zip(&baby)
                .for_each(|((sum, w), x)| *sum += w * x);
        }
        add(&mut sum, &rotate(&inner, giant.rotation));
    }
    for &step in &map.fold {
        let rotated = rotate(&sum, step);
        add(&mut sum, &rotated);
    }
    sum
}

/// A diagonal by its definition, slot by slot.
fn naive_diagonal(map: &LinearMap, weights: &[f64], d: u32, shift: Rotation, slots: usize) -> Vec<f64> {
    let (rows, cols) = map.geometry.dimensions().expect("test maps are small");
    let entry = |slot: usize| {
        let row = slot % map.output.period as usize;
        let column = map.input.element((slot + d as usize) % slots)?;
        let inside = slot < map.active_slots(Slots(slots as u32)) && row < rows as usize;
        inside.then(|| weights[row * cols as usize + column])
    };
    (0..slots)
        .map(|i| entry((i + slots - shift.0 as usize) % slots).unwrap_or(0.0))
        .collect()
}

/// Small integers, so that sums are exact in any order.
fn numbers(len: usize, seed: u64) -> Vec<f64> {
    let step = |i: usize| {
        (i as u64)
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(seed.wrapping_mul(1_442_695_041))
    };
    (0..len).map(|i| ((step(i) >> 33) % 15) as f64 - 7.0).collect()
}

/// Maps that a packer could ask for, sound or not: any periods, and a fold of doublings.
fn any_map() -> impl Strategy<Value = LinearMap> {
    (1u32..=SLOTS as u32, 1u32..=SLOTS as u32).prop_flat_map(|(p, r)| {
        let powers = prop_oneof![
            Just((p, r)),
            Just((p.next_power_of_two(), r)),
            Just((p.next_power_of_two(), r.next_power_of_two()))
        ];
        (powers, 0usize..6).prop_flat_map(|((p, r), steps)| {
            (1..=p, 1..=r, 1u32..9).prop_map(move |(cols, rows, baby)| {
                let fold: Vec<u32> = (0..steps).map(|i| r << i).collect();
                map(0, layout(cols, p), layout(rows, r), baby, &fold)
            })
        })
    })
}

/// A map with the fold that its periods need, spread over all slots where they allow it.
fn sound_map() -> impl Strategy<Value = LinearMap> {
    any_map().prop_filter_map("no fold fits", |mut map| {
        let slots = Slots(SLOTS as u32);
        let candidates = (0..=8)
            .rev()
            .map(|steps| (0..steps).map(|i| Rotation(map.output.period << i)).collect());
        let folds: Vec<Vec<Rotation>> = candidates.collect();
        folds.into_iter().find_map(|fold| {
            map.fold = fold;
            map.defects(slots).is_empty().then(|| map.clone())
        })
    })
}

/// Whether every slot that should hold a result meets each column of its row exactly once: one column at a time, by
/// counting with weights of one.
fn meets_everything_once(map: &LinearMap) -> bool {
    let (rows, cols) = map.geometry.dimensions().expect("test maps are small");
    let (rows, cols) = (rows as usize, cols as usize);
    let written = map.slots_written(Slots(SLOTS as u32));
    let weights = vec![1.0; rows * cols];
    written >= map.output.len as usize
        && (0..cols).all(|column| {
            let unit: Vec<f64> = (0..cols).map(|c| f64::from(u8::from(c == column))).collect();
            let y = apply(map, &weights, &map.input.spread(&unit, SLOTS));
            let right = |slot: usize| y[slot] == f64::from(u8::from(map.output.element(slot).is_some()));
            (0..written).all(right)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_map_is_its_matrix_in_every_repetition_it_writes(map in sound_map(), seed in any::<u64>()) {
        let (rows, cols) = map.geometry.dimensions().expect("test maps are small");
        let (rows, cols) = (rows as usize, cols as usize);
        let (weights, x) = (numbers(rows * cols, seed), numbers(cols, !seed));
        let expected: Vec<f64> =
            weights.chunks(cols).map(|row| row.iter().zip(&x).map(|(w, x)| w * x).sum()).collect();
        let mut operand = map.input.spread(&x, SLOTS);
        // What lies behind the slots that the map reads must not matter.
        operand[map.slots_read(Slots(SLOTS as u32))..].fill(1e6);
        let y = apply(&map, &weights, &operand);
        for (slot, &found) in y.iter().enumerate().take(map.slots_written(Slots(SLOTS as u32))) {
            let want = map.output.element(slot).map_or(0.0, |row| expected[row]);
            prop_assert_eq!(found, want, "slot {} of {:?}", slot, map);
        }
    }

    #[test]
    fn diagonals_match_their_definition(map in any_map(), seed in any::<u64>(), at in any::<prop::sample::Index>(), shift in 0..SLOTS as u32) {
        let (rows, cols) = map.geometry.dimensions().expect("test maps are small");
        let weights = numbers((rows * cols) as usize, seed);
        let d = at.index(map.modulus() as usize) as u32;
        let mut out = vec![f64::NAN; SLOTS];
        Diagonals::new(&map, &weights).write(d, Rotation(shift), &mut out);
        prop_assert_eq!(out, naive_diagonal(&map, &weights, d, Rotation(shift), SLOTS));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn what_verification_accepts_meets_every_entry_once(map in any_map()) {
        if map.defects(Slots(SLOTS as u32)).is_empty() {
            prop_assert!(meets_everything_once(&map), "{:?}", map);
        }
    }
}

#[test]
fn a_free_period_needs_fewer_diagonals_than_a_power_of_two() {
    let fold = [128, 256, 512, 1024, 2048];
    let free = map(0, layout(784, 800), layout(128, 128), 8, &fold);
    let power = map(0, layout(784, 1024), layout(128, 128), 8, &fold[..3]);
    for (map, diagonals) in [(&free, 32), (&power, 128)] {
        assert_eq!(map.defects(Slots(4096)), []);
        assert_eq!(map.slots_written(Slots(4096)), 4096);
        assert_eq!(map.diagonals().len(), diagonals);
    }
}

#[test]
fn rotations_are_sorted_distinct_and_never_the_identity() {
    let map = map(0, layout(12, 16), layout(8, 8), 4, &[8]);
    assert_eq!(map.rotations(), [1, 2, 3, 4, 8].map(Rotation));
}
