//! How a quadratic is evaluated: as one square between affine maps, as an affine map alone, or by a product.
//!
//! `c2 x² + c1 x + c0 = σ (g x + d)² + k` with `g = √|c2|`, `σ = sgn c2`, `d = σ c1 / (2 g)` and `k = c0 - c1² / (4 c2)`.
//! The affine parts fold into the neighbouring linear maps, so the folded form costs one level and no plaintext product.
//! It loses precision where `d²` is large against the result, because `d²` and `k` then cancel.

/// How many times the largest output `c1² / (4 |c2|)` may be: 16 costs four bits of precision.
pub(crate) const MAX_CANCELLATION: f64 = 16.0;

/// A simpler form is taken if its mean squared error is at most this many times the best quadratic's.
pub(crate) const TOLERATED_MSE_RATIO: f64 = 1.1;

/// How often the constrained fit re-derives its smallest `c2` from the new `c1`: it contracts by 64 each time.
const REFIT_ROUNDS: usize = 8;

/// Coefficients of `c0 + c1 x + c2 x²`.
pub(crate) type Quadratic = [f64; 3];

/// The value of a polynomial in the power basis, constant term first.
pub(crate) fn value(coefficients: &[f64], x: f64) -> f64 {
    coefficients
        .iter()
        .rev()
        .fold(0.0, |sum, coefficient| sum * x + coefficient)
}

/// `σ (g x + d)² + k`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Folded {
    pub(crate) g: f64,
    pub(crate) d: f64,
    pub(crate) sign: f64,
    pub(crate) k: f64,
}

/// Whether the folded form of a quadratic keeps its precision; `largest` is the layer's largest output.
///
/// A constant folds, into `g = d = 0`.
pub(crate) fn is_foldable([_, c1, c2]: Quadratic, largest: f64) -> bool {
    c1 * c1 <= 4.0 * c2.abs() * MAX_CANCELLATION * largest
}

/// The folded form. A quadratic without `x²` has none, except a constant.
pub(crate) fn fold([c0, c1, c2]: Quadratic) -> Folded {
    let sign = if c2 < 0.0 { -1.0 } else { 1.0 };
    if c2 == 0.0 {
        return Folded {
            g: 0.0,
            d: 0.0,
            sign,
            k: c0,
        };
    }
    let g = c2.abs().sqrt();
    Folded {
        g,
        d: sign * c1 / (2.0 * g),
        sign,
        k: c0 - c1 * c1 / (4.0 * c2),
    }
}

/// The nearest foldable quadratic: `c2` is raised to the smallest magnitude that is legal, the rest fitted again.
///
/// `fit_rest` fits `c0` and `c1` for a given `c2`.
pub(crate) fn refit_foldable(quadratic: Quadratic, largest: f64, fit_rest: impl Fn(f64) -> (f64, f64)) -> Quadratic {
    if is_foldable(quadratic, largest) {
        return quadratic;
    }
    let mut result = quadratic;
    let sign = if quadratic[2] < 0.0 { -1.0 } else { 1.0 };
    for _ in 0..REFIT_ROUNDS {
        // A little more than the limit, so that rounding does not cross it.
        let least = 1.001 * result[1] * result[1] / (4.0 * MAX_CANCELLATION * largest);
        let (c0, c1) = fit_rest(sign * least);
        result = [c0, c1, sign * least];
        if is_foldable(result, largest) {
            break;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_folded_form_is_the_quadratic(
            c0 in -3.0..3.0f64, c1 in -3.0..3.0f64, c2 in prop_oneof![-2.0..-0.05f64, 0.05..2.0f64], x in -5.0..5.0f64,
        ) {
            let Folded { g, d, sign, k } = fold([c0, c1, c2]);
            let (folded, plain) = (sign * (g * x + d).powi(2) + k, value(&[c0, c1, c2], x));
            // d² reaches 45 here, so a few units in the last place of it are lost.
            prop_assert!((folded - plain).abs() < 1e-12, "{folded} is not {plain}");
        }
    }

    #[test]
    fn the_standard_normal_fit_of_relu_has_its_published_form() {
        let Folded { g, d, sign, k } = fold([0.199_471_14, 0.5, 0.199_471_14]);
        assert!((g - 0.446_622).abs() < 1e-6 && (d - 0.559_758).abs() < 1e-6, "{g} {d}");
        assert!((k + 0.113_857).abs() < 1e-6 && sign > 0.0, "{k}");
    }

    #[test]
    fn cancellation_decides_what_is_foldable() {
        assert!(is_foldable([0.0, 8.0, 1.0], 1.0), "64 / 4 is 16 times the output");
        assert!(!is_foldable([0.0, 8.1, 1.0], 1.0));
        assert!(!is_foldable([0.0, 1.0, 0.0], 100.0), "a line has no square");
        assert!(is_foldable([1.0, 0.0, 0.0], 1.0), "a constant does");
    }

    #[test]
    fn a_line_is_bent_just_enough() {
        let refitted = refit_foldable([0.0, 1.0, 0.0], 2.0, |c2| (0.0, 1.0 - 2.0 * c2));
        assert!(is_foldable(refitted, 2.0), "{refitted:?}");
        assert!(refitted[2] < 0.01, "{refitted:?}");
    }

    #[test]
    fn what_is_foldable_stays() {
        assert_eq!(refit_foldable([0.1, 0.5, 0.2], 1.0, |_| (9.0, 9.0)), [0.1, 0.5, 0.2]);
    }
}
