//! Composites against published degrees, coefficients and errors.

use super::*;

/// Published rows: accuracy, degrees, gap in units of the accuracy, bits of the rectifier's error, bits of the last
/// image's deviation.
const PUBLISHED: [(u32, &[u32], f64, f64, f64); 9] = [
    (6, &[3, 7], 10.0, 6.048, 5.18),
    (7, &[7, 7], 11.0, 7.044, 6.16),
    (8, &[7, 15], 12.0, 8.031, 7.17),
    (9, &[15, 15], 13.0, 9.007, 8.09),
    (10, &[7, 7, 13], 13.0, 10.113, 9.30),
    (11, &[7, 7, 27], 15.0, 11.048, 11.23),
    (12, &[7, 15, 27], 15.0, 12.092, 11.90),
    (13, &[15, 15, 27], 16.0, 13.083, 13.30),
    (14, &[15, 27, 29], 17.0, 14.017, 13.67),
];

fn bits(error: f64) -> f64 {
    -libm::log2(error)
}

/// The published composite of an accuracy, from our own fits, without a margin.
fn published(alpha: u32) -> Composite {
    let row = PUBLISHED
        .iter()
        .find(|row| row.0 == alpha)
        .expect("a published accuracy");
    let epsilon = row.2 * libm::exp2(-f64::from(alpha));
    Composite::with_gap(alpha, row.1, epsilon, 0.0).expect("it settles")
}

#[test]
fn errors_and_images_are_the_published_ones() {
    for (alpha, _, _, error_bits, image_bits) in PUBLISHED {
        let composite = published(alpha);
        let (error, image) = (bits(composite.error), bits(composite.deviation));
        assert!(error >= f64::from(alpha), "alpha {alpha}: {error}");
        // The table is rounded to three digits; its worst points were found on another grid.
        assert!(
            (error - error_bits).abs() < 0.005,
            "alpha {alpha}: {error} bits, published {error_bits}"
        );
        assert!(
            (image - image_bits).abs() < 0.01,
            "alpha {alpha}: {image} bits, published {image_bits}"
        );
    }
}

/// Odd coefficients in the power basis.
fn power_basis(chebyshev: &[f64]) -> Vec<f64> {
    let n = chebyshev.len();
    let (mut before, mut current) = (vec![0.0; n], vec![0.0; n]);
    current[0] = 1.0;
    let mut sum = vec![0.0; n];
    for (k, c) in chebyshev.iter().enumerate() {
        sum.iter_mut().zip(&current).for_each(|(sum, t)| *sum += c * t);
        let factor = if k == 0 { 1.0 } else { 2.0 };
        let next: Vec<f64> = (0..n)
            .map(|i| factor * if i == 0 { 0.0 } else { current[i - 1] } - before[i])
            .collect();
        before = std::mem::replace(&mut current, next);
    }
    sum.into_iter().skip(1).step_by(2).collect()
}

#[test]
fn the_first_component_has_the_published_coefficients() {
    // Degree 7 on [11 · 2^-7, 1] and on [13 · 2^-10, 1], odd powers.
    let expected = [
        7.304_451_649_582_51,
        -34.682_587_110_865_9,
        59.859_651_829_882_6,
        -31.875_522_590_646_6,
    ];
    let composite = Composite::with_gap(7, &[7], 11.0 / 128.0, 0.0).expect("it settles");
    for (found, expected) in power_basis(&composite.components[0]).iter().zip(expected) {
        assert!((found / expected - 1.0).abs() < 1e-9, "{found} is not {expected}");
    }
    let expected = [
        10.854_184_257_744_2,
        -62.283_392_522_109_9,
        114.369_227_820_443,
        -62.802_349_697_307_3,
    ];
    let composite = Composite::with_gap(10, &[7], 13.0 / 1024.0, 0.0).expect("it settles");
    for (found, expected) in power_basis(&composite.components[0]).iter().zip(expected) {
        assert!((found / expected - 1.0).abs() < 1e-9, "{found} is not {expected}");
    }
}

#[test]
fn composites_are_the_published_polynomials() {
    let odd = |c: &[f64], x: f64| x * c.iter().rev().fold(0.0, |sum, c| sum * x * x + c);
    let seven: [&[f64]; 2] = [
        &[
            7.304_451_649_582_51,
            -34.682_587_110_865_9,
            59.859_651_829_882_6,
            -31.875_522_590_646_6,
        ],
        &[
            2.400_856_522_175_97,
            -2.631_254_542_617_83,
            1.549_126_747_735_93,
            -0.331_172_956_504_304,
        ],
    ];
    let ten: [&[f64]; 3] = [
        &[
            10.854_184_257_744_2,
            -62.283_392_522_109_9,
            114.369_227_820_443,
            -62.802_349_697_307_3,
        ],
        &[
            4.139_761_709_851_12,
            -5.849_976_402_116_80,
            2.943_762_556_592_80,
            -0.454_530_437_460_152,
        ],
        &[
            3.299_567_390_437_33,
            -7.842_272_602_913_56,
            12.890_776_411_556_5,
            -12.491_711_258_448_6,
            6.941_679_914_280_75,
            -2.042_980_673_999_43,
            0.246_407_138_926_031,
        ],
    ];
    for (alpha, components) in [(7, &seven[..]), (10, &ten[..])] {
        let composite = published(alpha);
        for i in -100..=100 {
            let x = f64::from(i) / 100.0;
            let expected = components.iter().fold(x, |x, c| odd(c, x));
            let difference = (composite.sign(x) - expected).abs();
            // The published components were fitted to images that differ from ours in the eighth digit.
            assert!(difference < 1e-6, "alpha {alpha} at {x}: {difference:e}");
        }
    }
}

#[test]
fn the_best_gap_gains_what_was_measured() {
    for (alpha, degrees, expected) in [
        (4, &[5][..], 4.630),
        (5, &[13], 5.707),
        (6, &[3, 7], 6.060),
        (7, &[7, 7], 7.055),
        (10, &[7, 7, 13], 10.119),
        (13, &[15, 15, 27], 13.160),
    ] {
        let composite = Composite::of_degrees(alpha, degrees, 0.0).expect("it settles");
        let found = bits(composite.error);
        // Measured on a coarser search of the gap: never better than ours by more than its rounding.
        assert!(
            (-0.005..0.02).contains(&(found - expected)),
            "alpha {alpha}: {found} bits, {expected} measured"
        );
    }
}

/// Four accuracies, one of them the greatest; all of them where `HERON_SLOW_TESTS` is set.
#[test]
fn every_accuracy_is_reached_with_a_margin_for_noise() {
    // Levels of a rectifier by accuracy, from 4 on: the published depths.
    let depths = [4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15];
    let all = std::env::var_os("HERON_SLOW_TESTS").is_some();
    for (alpha, depth) in (MIN_ALPHA..=MAX_ALPHA).zip(depths) {
        if !all && ![4, 7, 10, 14].contains(&alpha) {
            continue;
        }
        let composite = Composite::rectifier(alpha).expect("it is offered");
        assert!(
            bits(composite.error) >= f64::from(alpha),
            "alpha {alpha}: {}",
            bits(composite.error)
        );
        assert!(
            composite.depth() < depth + 1,
            "alpha {alpha}: {:?}",
            composite.degrees()
        );
        // Operands beyond every image by half of the margin stay within it.
        let disturbed = libm::exp2(-f64::from(alpha) - 3.0);
        for i in 0..=200 {
            let mut x = composite.epsilon + (1.0 - composite.epsilon) * f64::from(i) / 200.0;
            for component in &composite.components {
                x = heron_params::chebyshev_value(component, x + disturbed);
                assert!(x.abs() < 1.0 + 3.0 * composite.deviation, "alpha {alpha}: {x}");
            }
        }
    }
}

#[test]
fn accuracies_that_are_not_offered_are_refused() {
    assert_eq!(Composite::rectifier(3), Err(CompositeError::Accuracy(3)));
    assert_eq!(Composite::rectifier(15), Err(CompositeError::Accuracy(15)));
}

#[test]
fn trees_of_maxima_stay_within_their_bounds() {
    let composite = published(10);
    let unit = libm::exp2(-10.0);
    // Bounds of a tree, in units of the accuracy, for operands in [0, 1].
    for (n, bound) in [(2usize, 1.0), (4, 2.0), (9, 4.0), (16, 4.0), (49, 6.0)] {
        let mut worst = 0.0f64;
        for seed in 0..400u64 {
            let value = |i: usize| {
                let hashed = (seed * 64 + i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 11;
                2.0 * hashed as f64 / (1u64 << 53) as f64 - 1.0
            };
            let values: Vec<f64> = (0..n).map(value).collect();
            let exact = values.iter().copied().fold(-1.0, f64::max);
            worst = worst.max((composite.largest(&values, 1.0) - exact).abs());
        }
        // On [-1, 1] instead of [0, 1], and scaled to leave the tree its room.
        let rounds = f64::from(usize::BITS - (n - 1).leading_zeros());
        let allowed = bound * unit / (0.5 - (rounds - 1.0) * unit);
        assert!(worst <= allowed, "{n} numbers: {} units", worst / unit);
    }
}

#[test]
fn a_leaky_rectifier_has_its_slope() {
    let composite = published(8);
    for x in [-3.0, -1.0, -0.2, 0.5, 4.0] {
        let exact = if x < 0.0 { 0.1 * x } else { x };
        let error = (composite.leaky_relu(x, 0.1, 4.0) - exact).abs();
        assert!(error <= 4.0 * libm::exp2(-8.0), "{x}: {error}");
    }
}
