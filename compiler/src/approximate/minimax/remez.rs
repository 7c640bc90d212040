//! Remez's exchange on unions of intervals, in barycentric form.
//!
//! Finds `q` of degree `n` that minimizes the largest `|w(x) (f(x) - q(y(x)))|` over some intervals. With `y = x²`,
//! `f = 1/x` and `w = x` this is the best odd polynomial for the constant one, hence for the sign. The polynomial is never
//! written in a basis while it is sought: its values at the reference are enough, and that stays accurate where a
//! linear system would not.
//!
//! # Source
//! R. Pachón, L. N. Trefethen, *Barycentric-Remez algorithms for best polynomial approximation*, BIT 49 (2009); several
//! intervals as in arXiv 2105.10879, section on the multi-interval Remez algorithm.

use crate::approximate::minimax::real::Real;

/// After how many exchanges a fit that does not settle is given up.
const MAX_EXCHANGES: usize = 100;
/// Points between neighbours of the reference at which the error is sampled.
const SAMPLES: usize = 8;
/// Steps of the golden-section search; each shortens the bracket to 0.618 of its length.
const GOLDEN_STEPS: usize = 32;
/// `(√5 - 1) / 2`.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// What is fitted, at one point.
#[derive(Clone, Debug)]
pub struct Target<R> {
    /// The polynomial's variable.
    pub variable: R,
    /// What the polynomial should give.
    pub value: R,
    /// Weight of the error.
    pub weight: R,
}

/// Why there is no fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemezError {
    /// Intervals are empty, overlap, or are not in order.
    #[error("the intervals of a minimax fit are empty or out of order; give them ascending, apart and with a length")]
    Intervals,
    /// The exchange did not settle.
    #[error("a minimax fit of degree {degree} did not settle; choose a lower degree or other intervals")]
    Unsettled {
        /// The degree.
        degree: usize,
    },
}

/// A best approximation: its values at a reference of `n + 2` points.
#[derive(Clone, Debug)]
pub struct Fit<R> {
    reference: Vec<R>,
    variables: Vec<R>,
    values: Vec<R>,
    weights: Vec<R>,
    /// The largest weighted error.
    pub error: R,
}

impl<R: Real> Fit<R> {
    /// The polynomial at a value of its variable.
    pub fn value(&self, variable: &R) -> R {
        let zero = R::from_f64(0.0);
        let (mut above, mut below) = (zero.clone(), zero);
        for ((node, value), weight) in self.variables.iter().zip(&self.values).zip(&self.weights) {
            let distance = variable.minus(node);
            if distance.is_zero() {
                return value.clone();
            }
            let share = weight.over(&distance);
            above = above.plus(&share.times(value));
            below = below.plus(&share);
        }
        above.over(&below)
    }

    /// Where the error is largest, as f64: a start for a fit in other numbers.
    pub fn reference(&self) -> Vec<f64> {
        self.reference.iter().map(Real::to_f64).collect()
    }

    /// Interpolates values that leave errors of equal size and alternating signs at a reference.
    fn levelled(target: &dyn Fn(&R) -> Target<R>, reference: Vec<R>) -> Self {
        let targets: Vec<Target<R>> = reference.iter().map(target).collect();
        let variables: Vec<R> = targets.iter().map(|t| t.variable.clone()).collect();
        let weights = barycentric_weights(&variables);
        let zero = R::from_f64(0.0);
        let (mut above, mut below) = (zero.clone(), zero.clone());
        for (k, (target, weight)) in targets.iter().zip(&weights).enumerate() {
            above = above.plus(&weight.times(&target.value));
            let share = weight.over(&target.weight);
            below = if k % 2 == 0 {
                below.plus(&share)
            } else {
                below.minus(&share)
            };
        }
        let level = above.over(&below);
        let value = |(k, target): (usize, &Target<R>)| {
            let share = level.over(&target.weight);
            if k % 2 == 0 {
                target.value.minus(&share)
            } else {
                target.value.plus(&share)
            }
        };
        Self {
            values: targets.iter().enumerate().map(value).collect(),
            error: level.magnitude(),
            reference,
            variables,
            weights,
        }
    }
}

fn barycentric_weights<R: Real>(nodes: &[R]) -> Vec<R> {
    let weight = |(k, node): (usize, &R)| {
        let others = nodes.iter().enumerate().filter(|(j, _)| *j != k);
        let product = others.fold(R::from_f64(1.0), |product, (_, other)| {
            product.times(&node.minus(other))
        });
        R::from_f64(1.0).over(&product)
    };
    nodes.iter().enumerate().map(weight).collect()
}

/// A point and the weighted error there.
#[derive(Clone)]
struct Extremum<R> {
    at: R,
    error: R,
}

/// The best approximation of degree `degree` on ascending intervals.
///
/// `start` is a reference of `degree + 2` points to begin with; without one, Chebyshev points are taken, and every interval
/// gets its share by length.
///
/// # Errors
/// [`RemezError`].
///
/// # Cost
/// Some ten exchanges of `O(degree²)` operations each.
pub fn remez<R: Real>(
    target: &dyn Fn(&R) -> Target<R>,
    intervals: &[(f64, f64)],
    degree: usize,
    start: Option<&[f64]>,
) -> Result<Fit<R>, RemezError> {
    let ascending = intervals.iter().all(|(a, b)| a < b) && intervals.windows(2).all(|pair| pair[0].1 < pair[1].0);
    if intervals.is_empty() || !ascending {
        return Err(RemezError::Intervals);
    }
    let start = start.map_or_else(|| first_reference(intervals, degree + 2), <[f64]>::to_vec);
    let mut reference: Vec<R> = start.into_iter().map(R::from_f64).collect();
    for _ in 0..MAX_EXCHANGES {
        let fit = Fit::levelled(target, reference);
        let extrema = alternating(extrema(target, &fit, intervals), degree + 2);
        let sizes = extrema.iter().map(|extremum| extremum.error.magnitude().to_f64());
        let (least, largest) = sizes.fold((f64::INFINITY, 0.0f64), |(least, largest), size| {
            (least.min(size), largest.max(size))
        });
        if extrema.len() < degree + 2 || !largest.is_finite() {
            return Err(RemezError::Unsettled { degree });
        }
        // f64 cannot level errors beyond the rounding of the values they are differences of.
        let rounding = 16.0 * f64::EPSILON;
        if largest - least <= 1e-12 * largest + rounding {
            return Ok(fit);
        }
        reference = extrema.into_iter().map(|extremum| extremum.at).collect();
    }
    Err(RemezError::Unsettled { degree })
}

/// Chebyshev-Lobatto points of every interval, as many as its share of the length, at least one.
fn first_reference(intervals: &[(f64, f64)], n_points: usize) -> Vec<f64> {
    let total: f64 = intervals.iter().map(|(a, b)| b - a).sum();
    let mut left = n_points;
    let mut points = Vec::with_capacity(n_points);
    for (index, &(a, b)) in intervals.iter().enumerate() {
        let after = intervals.len() - index - 1;
        let share = ((b - a) / total * n_points as f64).round() as usize;
        let n = if after == 0 {
            left
        } else {
            share.clamp(1, left.saturating_sub(after).max(1))
        };
        left = left.saturating_sub(n);
        let angle = |i: usize| std::f64::consts::PI * i as f64 / (n.max(2) - 1) as f64;
        points.extend((0..n).map(|i| (a + b) / 2.0 - (b - a) / 2.0 * libm::cos(angle(i))));
    }
    points
}

/// The local extrema of the error, ascending.
fn extrema<R: Real>(target: &dyn Fn(&R) -> Target<R>, fit: &Fit<R>, intervals: &[(f64, f64)]) -> Vec<Extremum<R>> {
    let error = |at: &R| {
        let Target {
            variable,
            value,
            weight,
        } = target(at);
        weight.times(&value.minus(&fit.value(&variable)))
    };
    let mut found = Vec::new();
    for &(a, b) in intervals {
        let grid = grid(&fit.reference, a, b);
        let errors: Vec<R> = grid.iter().map(&error).collect();
        for i in 0..grid.len() {
            let size = errors[i].magnitude();
            let higher = |j: usize| !size.is_below(&errors[j].magnitude());
            let same = |j: usize| errors[j].is_negative() == errors[i].is_negative();
            let peak = |j: usize| !same(j) || higher(j);
            if (i == 0 || peak(i - 1)) && (i + 1 == grid.len() || peak(i + 1)) {
                let (low, high) = (&grid[i.saturating_sub(1)], &grid[(i + 1).min(grid.len() - 1)]);
                let refined = refine(&error, low, high, errors[i].is_negative());
                let own = Extremum {
                    at: grid[i].clone(),
                    error: errors[i].clone(),
                };
                let better = refined.error.is_negative() == own.error.is_negative()
                    && own.error.magnitude().is_below(&refined.error.magnitude());
                found.push(if better { refined } else { own });
            }
        }
    }
    found
}

/// Points of an interval: its ends, the reference, and some between each two of them.
fn grid<R: Real>(reference: &[R], a: f64, b: f64) -> Vec<R> {
    let (first, last) = (R::from_f64(a), R::from_f64(b));
    let mut knots = vec![first.clone()];
    let inside = |x: &&R| first.is_below(x) && x.is_below(&last);
    knots.extend(reference.iter().filter(inside).cloned());
    knots.push(last.clone());
    let mut points = Vec::with_capacity(SAMPLES * knots.len());
    for pair in knots.windows(2) {
        let length = pair[1].minus(&pair[0]);
        points.extend((0..SAMPLES).map(|i| {
            let share = R::from_f64(i as f64 / SAMPLES as f64);
            pair[0].plus(&length.times(&share))
        }));
    }
    points.push(last);
    points
}

/// The largest (or most negative) error between two points, by golden section.
fn refine<R: Real>(error: &dyn Fn(&R) -> R, low: &R, high: &R, negative: bool) -> Extremum<R> {
    let ratio = R::from_f64(GOLDEN);
    let height = |at: &R| {
        let value = error(at);
        if negative {
            R::from_f64(0.0).minus(&value)
        } else {
            value
        }
    };
    let (mut low, mut high) = (low.clone(), high.clone());
    let step = |low: &R, high: &R| high.minus(low).times(&ratio);
    let (mut left, mut right) = (high.minus(&step(&low, &high)), low.plus(&step(&low, &high)));
    let (mut at_left, mut at_right) = (height(&left), height(&right));
    for _ in 0..GOLDEN_STEPS {
        if at_left.is_below(&at_right) {
            low = left;
            (left, at_left) = (right, at_right);
            right = low.plus(&step(&low, &high));
            at_right = height(&right);
        } else {
            high = right;
            (right, at_right) = (left, at_left);
            left = high.minus(&step(&low, &high));
            at_left = height(&left);
        }
    }
    let error = error(&left);
    Extremum { at: left, error }
}

/// The largest of every run of equal signs; then, as long as there are too many, whatever keeps the signs alternating and
/// loses least.
fn alternating<R: Real>(extrema: Vec<Extremum<R>>, wanted: usize) -> Vec<Extremum<R>> {
    let mut kept: Vec<Extremum<R>> = Vec::with_capacity(extrema.len());
    for extremum in extrema {
        match kept.last_mut() {
            Some(last) if last.error.is_negative() == extremum.error.is_negative() => {
                if last.error.magnitude().is_below(&extremum.error.magnitude()) {
                    *last = extremum;
                }
            }
            _ => kept.push(extremum),
        }
    }
    while kept.len() > wanted {
        let size = |i: usize| kept[i].error.magnitude().to_f64();
        let last = kept.len() - 1;
        if kept.len() == wanted + 1 {
            // One too many: only an end can go.
            kept.remove(if size(0) < size(last) { 0 } else { last });
            continue;
        }
        let weakest_pair = (0..last).min_by(|&i, &j| (size(i).max(size(i + 1))).total_cmp(&size(j).max(size(j + 1))));
        let pair = weakest_pair.unwrap_or(0);
        if size(0).min(size(last)) < size(pair).max(size(pair + 1)) {
            kept.remove(if size(0) < size(last) { 0 } else { last });
        } else {
            kept.drain(pair..pair + 2);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approximate::minimax::real::Extended;

    fn plain(f: fn(f64) -> f64) -> impl Fn(&f64) -> Target<f64> {
        move |x| Target {
            variable: *x,
            value: f(*x),
            weight: 1.0,
        }
    }

    #[test]
    fn the_best_quadratic_for_a_rectifier_is_known() {
        let fit = remez(&plain(|x| x.max(0.0)), &[(-1.0, 1.0)], 2, None).expect("it settles");
        assert!((fit.error - 1.0 / 16.0).abs() < 1e-9, "{}", fit.error);
        for x in [-0.7, 0.0, 0.4] {
            let expected = 1.0 / 16.0 + x / 2.0 + x * x / 2.0;
            assert!((fit.value(&x) - expected).abs() < 1e-7, "{x}");
        }
    }

    #[test]
    fn the_best_line_for_a_square_is_known() {
        let fit = remez(&plain(|x| x * x), &[(0.0, 1.0)], 1, None).expect("it settles");
        assert!((fit.error - 0.125).abs() < 1e-12, "{}", fit.error);
    }

    #[test]
    fn several_intervals_alternate_across_gaps() {
        // On both sides the sign has distance 1 from zero: no cubic does better than the odd one, found on one side.
        let sign = plain(|x| if x < 0.0 { -1.0 } else { 1.0 });
        let both = remez(&sign, &[(-1.0, -0.25), (0.25, 1.0)], 4, None).expect("it settles");
        let odd = |x: &f64| Target {
            variable: x * x,
            value: x.recip(),
            weight: *x,
        };
        let one = remez(&odd, &[(0.25, 1.0)], 1, None).expect("it settles");
        assert!((both.error - one.error).abs() < 1e-9, "{} {}", both.error, one.error);
    }

    #[test]
    fn more_bits_give_the_same_polynomial() {
        let double = |x: &f64| Target {
            variable: x * x,
            value: x.recip(),
            weight: *x,
        };
        let extended = |x: &Extended| Target {
            variable: x.times(x),
            value: Extended::from_f64(1.0).over(x),
            weight: x.clone(),
        };
        let found = remez(&double, &[(0.02, 1.0)], 6, None).expect("it settles");
        let polished = remez(&extended, &[(0.02, 1.0)], 6, Some(&found.reference())).expect("it settles");
        assert!((found.error - polished.error.to_f64()).abs() < 1e-12, "{}", found.error);
        let x = Extended::from_f64(0.3);
        assert!((found.value(&0.3) - polished.value(&x).to_f64()).abs() < 1e-9);
    }

    #[test]
    fn empty_and_overlapping_intervals_are_refused() {
        let f = plain(|x| x);
        for intervals in [&[][..], &[(1.0, 1.0)], &[(0.0, 2.0), (1.0, 3.0)]] {
            assert_eq!(remez(&f, intervals, 1, None).err(), Some(RemezError::Intervals));
        }
    }
}
