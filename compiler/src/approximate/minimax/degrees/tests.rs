//! The degrees found are the published ones.

use super::*;

/// Products by odd degree 1, 3, …, 31 in the published search; ours are the evaluator's.
const PUBLISHED_PRODUCTS: [u32; 16] = [0, 2, 3, 5, 5, 6, 7, 8, 8, 8, 9, 9, 10, 10, 11, 12];

fn published(degree: u32) -> u32 {
    PUBLISHED_PRODUCTS[(degree as usize - 1) / 2]
}

/// Levels of the rectifier, products, degrees.
type Row = (u32, u32, &'static [u32]);

/// By accuracy: the gap in its units, and the trade-off, fewest levels first.
const TRADE_OFFS: [(u32, f64, &[Row]); 9] = [
    (6, 10.0, &[(6, 7, &[3, 7]), (7, 6, &[5, 5])]),
    (7, 11.0, &[(7, 10, &[7, 7]), (8, 9, &[5, 11]), (9, 8, &[3, 5, 5])]),
    (8, 12.0, &[(8, 13, &[7, 15]), (9, 12, &[3, 7, 7]), (10, 10, &[3, 5, 9])]),
    (
        9,
        13.0,
        &[
            (9, 16, &[15, 15]),
            (10, 14, &[3, 7, 13]),
            (11, 12, &[5, 5, 11]),
            (12, 11, &[3, 5, 5, 5]),
        ],
    ),
    (
        10,
        13.0,
        &[
            (11, 17, &[7, 7, 13]),
            (12, 16, &[3, 3, 7, 13]),
            (13, 14, &[5, 5, 5, 7]),
            (14, 13, &[3, 3, 5, 5, 5]),
        ],
    ),
    (
        11,
        15.0,
        &[
            (12, 20, &[7, 7, 27]),
            (13, 18, &[5, 7, 7, 7]),
            (14, 16, &[5, 5, 5, 13]),
            (15, 14, &[3, 5, 5, 5, 5]),
        ],
    ),
    (
        12,
        15.0,
        &[
            (13, 23, &[7, 15, 27]),
            (14, 21, &[5, 7, 7, 15]),
            (15, 19, &[3, 3, 5, 7, 13]),
            (16, 17, &[3, 5, 5, 5, 11]),
        ],
    ),
    (
        13,
        16.0,
        &[
            (14, 26, &[15, 15, 27]),
            (15, 23, &[7, 7, 11, 13]),
            (16, 21, &[3, 5, 5, 7, 15]),
            (17, 19, &[5, 5, 5, 5, 13]),
        ],
    ),
    (
        14,
        17.0,
        &[
            (15, 29, &[15, 27, 29]),
            (16, 26, &[7, 13, 13, 13]),
            (17, 24, &[5, 5, 7, 7, 15]),
            (18, 22, &[3, 3, 5, 5, 7, 13]),
        ],
    ),
];

/// How far from the sign an operand of the composite may be.
fn reach(alpha: u32, components: &[u32]) -> f64 {
    let goal = libm::exp2(1.0 - f64::from(alpha));
    let before = |after, &degree: &u32| inverse_error(degree, after).expect("it settles");
    components.iter().rev().fold(goal, before)
}

#[test]
fn degrees_of_rectifiers_are_the_published_trade_off() {
    for (alpha, zeta, expected) in TRADE_OFFS {
        let (_, most_products, _) = expected[0];
        let (deepest, ..) = expected[expected.len() - 1];
        let table = DegreeTable::new(alpha, most_products, deepest - 1, published).expect("it settles");
        let found = table.trade_off(zeta * libm::exp2(-f64::from(alpha)));
        let cost = |row: &Degrees| (row.depth + 1, row.products);
        let costs: Vec<(u32, u32)> = expected.iter().map(|&(depth, products, _)| (depth, products)).collect();
        assert_eq!(found.iter().map(cost).collect::<Vec<_>>(), costs, "alpha {alpha}");
        for (row, (.., degrees)) in found.iter().zip(expected) {
            // Where other degrees cost the same, ours reach farther.
            let same = row.components == *degrees;
            let farther = || reach(alpha, &row.components) > reach(alpha, degrees);
            assert!(same || farther(), "alpha {alpha}: {row:?} for {degrees:?}");
        }
    }
}

#[test]
fn degrees_of_comparisons_are_the_published_ones() {
    for (alpha, depth, expected) in [(8, 11, &[7, 15, 15][..]), (10, 14, &[7, 7, 13, 15])] {
        // The row states degrees without their order.
        let table = DegreeTable::new(alpha, 34, depth, published).expect("it settles");
        let found = table.trade_off(libm::exp2(-f64::from(alpha)));
        let mut components = found[0].components.clone();
        components.sort_unstable();
        assert_eq!((found[0].depth, components.as_slice()), (depth, expected), "{found:?}");
    }
}
