//! Composites for the sign of a given accuracy, and the functions that are made of a sign.
//!
//! Component `i` is the best odd polynomial for one on the image of component `i - 1`, widened by the margin that noise and
//! rounding need, and divided by the right end of its own image, so that every component takes operands in `[-1, 1]` and no
//! level is spent on scaling. All components together give the sign on `[-1, -ε] ∪ [ε, 1]` within `τ`; nearer to zero a
//! rectifier made of them errs by less than `ε` itself.

use heron_params::chebyshev_value;

use crate::approximate::minimax::degrees::{DegreeTable, best_odd, our_products};
use crate::approximate::minimax::real::{Extended, Real};
use crate::approximate::minimax::remez::{Fit, RemezError};

/// The least accuracy, in bits.
pub const MIN_ALPHA: u32 = 4;
/// The greatest.
pub const MAX_ALPHA: u32 = 14;
/// Points at which a rectifier's error is measured: half of them evenly, half by logarithm.
const CHECK_POINTS: usize = 8192;
/// Base-2 logarithm of the widest gap around zero that is tried.
const WIDEST_GAP: f64 = -0.25;

/// Why there is no composite.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum CompositeError {
    /// No composite of this accuracy is offered.
    #[error("no composite of accuracy 2^-{0}; choose {MIN_ALPHA} to {MAX_ALPHA}")]
    Accuracy(u32),
    /// A component could not be fitted.
    #[error(transparent)]
    Remez(#[from] RemezError),
}

/// Odd polynomials whose composition approximates the sign on `[-1, 1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Composite {
    /// The accuracy that was asked for, in bits.
    pub alpha: u32,
    /// Chebyshev coefficients `c_0 … c_d` of each component on `[-1, 1]`, first applied first.
    pub components: Vec<Vec<f64>>,
    /// Where the sign begins to hold.
    pub epsilon: f64,
    /// How far the last image is from one.
    pub deviation: f64,
    /// Largest error of the rectifier `x (1 + p(x)) / 2` on `[-1, 1]`.
    pub error: f64,
}

impl Composite {
    /// The composite with the fewest levels that makes a rectifier of error `2^-alpha` on `[-1, 1]`.
    ///
    /// # Errors
    /// [`CompositeError`].
    ///
    /// # Cost
    /// A few seconds at most: the search of the degrees, and some ten fits of each component.
    pub fn rectifier(alpha: u32) -> Result<Self, CompositeError> {
        if !(MIN_ALPHA..=MAX_ALPHA).contains(&alpha) {
            return Err(CompositeError::Accuracy(alpha));
        }
        let goal = libm::exp2(-f64::from(alpha));
        let table = DegreeTable::new(alpha, 2 * alpha + 4, alpha + 2, our_products)?;
        // The wider the gap around zero, the fewer levels: the widest that still meets the goal.
        let mut tried = Vec::new();
        for zeta in (4..=24).rev() {
            let epsilon = f64::from(zeta) * goal;
            if libm::log2(epsilon) > WIDEST_GAP {
                continue;
            }
            let Some(degrees) = table.trade_off(epsilon).into_iter().next() else {
                continue;
            };
            if tried.contains(&degrees) {
                continue;
            }
            let composite = Self::of_degrees(alpha, &degrees.components, margin(alpha))?;
            if composite.error <= goal {
                return Ok(composite);
            }
            tried.push(degrees);
        }
        Err(CompositeError::Accuracy(alpha))
    }

    /// The composite of given degrees with the gap around zero that makes the rectifier's error least; `margin` is what is
    /// added on both sides of every image.
    ///
    /// # Errors
    /// [`CompositeError::Remez`].
    pub fn of_degrees(alpha: u32, degrees: &[u32], margin: f64) -> Result<Self, CompositeError> {
        let (mut low, mut high) = (-(f64::from(alpha)) - 1.0, (6.0 - f64::from(alpha)).min(WIDEST_GAP));
        // Inside the gap the error grows with it, outside it falls: the best gap has them equal.
        while high - low > 1e-3 {
            let middle = (low + high) / 2.0;
            let (components, deviation) = components::<f64>(degrees, libm::exp2(middle), margin)?;
            let inside = gap_error(&components, libm::exp2(middle));
            if inside > deviation / 2.0 {
                high = middle;
            } else {
                low = middle;
            }
        }
        Self::with_gap(alpha, degrees, libm::exp2(low), margin)
    }

    /// The composite of given degrees for a given gap, its coefficients computed with 192 bits.
    ///
    /// # Errors
    /// [`CompositeError::Remez`].
    pub fn with_gap(alpha: u32, degrees: &[u32], epsilon: f64, margin: f64) -> Result<Self, CompositeError> {
        let (components, deviation) = components::<Extended>(degrees, epsilon, margin)?;
        let error = rectifier_error(&components);
        Ok(Self {
            alpha,
            components,
            epsilon,
            deviation,
            error,
        })
    }

    /// The approximate sign.
    pub fn sign(&self, x: f64) -> f64 {
        composed(&self.components, x)
    }

    /// Levels of all components; a rectifier takes one more.
    pub fn depth(&self) -> u32 {
        let degree = |c: &Vec<f64>| c.len() as u32 - 1;
        self.components
            .iter()
            .map(|c| heron_params::polynomial_depth(degree(c)))
            .sum()
    }

    /// Degrees of the components.
    pub fn degrees(&self) -> Vec<u32> {
        self.components.iter().map(|c| c.len() as u32 - 1).collect()
    }

    /// `max(x, slope · x)` for `|x| <= bound`: within `bound · error · (1 - slope)`.
    pub fn leaky_relu(&self, x: f64, slope: f64, bound: f64) -> f64 {
        x * ((1.0 + slope) + (1.0 - slope) * self.sign(x / bound)) / 2.0
    }

    /// The larger of two numbers in `[0, 1]`, within the rectifier's error.
    pub fn larger(&self, a: f64, b: f64) -> f64 {
        ((a + b) + (a - b) * self.sign(a - b)) / 2.0
    }

    /// The largest of numbers with `|x| <= bound` by a balanced tree: within `bound · 2 ceil(log2 n) · error`, and more for
    /// the room that the tree needs.
    ///
    /// # Panics
    /// Never; without numbers it is `-bound`.
    ///
    /// # Source
    /// arXiv 2105.10879, section on the max function.
    pub fn largest(&self, values: &[f64], bound: f64) -> f64 {
        let rounds = f64::from(usize::BITS - values.len().saturating_sub(1).leading_zeros());
        let room = 0.5 - (rounds - 1.0).max(0.0) * libm::exp2(-f64::from(self.alpha));
        let scale = room / bound;
        let mut level: Vec<f64> = values.iter().map(|x| scale * x + 0.5).collect();
        while level.len() > 1 {
            let pairs = level.chunks(2);
            level = pairs
                .map(|pair| match *pair {
                    [a, b] => self.larger(a, b),
                    _ => pair[0],
                })
                .collect();
        }
        level.first().map_or(-bound, |largest| (largest - 0.5) / scale)
    }
}

/// The margin on both sides of every image: well above the noise of an evaluation, and a quarter of the error.
fn margin(alpha: u32) -> f64 {
    libm::exp2(-f64::from(alpha) - 2.0)
}

/// Fits component after component; their Chebyshev coefficients and the deviation of the last image.
fn components<R: Real>(degrees: &[u32], epsilon: f64, margin: f64) -> Result<(Vec<Vec<f64>>, f64), RemezError> {
    let mut interval = (epsilon, 1.0 + margin);
    let mut found = Vec::with_capacity(degrees.len());
    let mut deviation = 1.0 - epsilon;
    for (index, &degree) in degrees.iter().enumerate() {
        let start = best_odd::<f64>(degree, interval, None)?.reference();
        let fit = best_odd::<R>(degree, interval, Some(&start))?;
        deviation = fit.error.to_f64();
        let right = 1.0 + deviation + margin;
        let scale = if index + 1 == degrees.len() { 1.0 } else { right };
        found.push(chebyshev_coefficients(&fit, degree, scale));
        interval = ((1.0 - deviation - margin) / right, 1.0);
    }
    Ok((found, deviation))
}

/// The odd Chebyshev coefficients of `x · fit(x²) / scale`, from its values at Chebyshev points.
fn chebyshev_coefficients<R: Real>(fit: &Fit<R>, degree: u32, scale: f64) -> Vec<f64> {
    let n = degree as usize + 1;
    let angle = |j: usize| std::f64::consts::PI * (j as f64 + 0.5) / n as f64;
    let value = |j: usize| {
        let x = R::from_f64(libm::cos(angle(j)));
        x.times(&fit.value(&x.times(&x))).over(&R::from_f64(scale)).to_f64()
    };
    let values: Vec<f64> = (0..n).map(value).collect();
    let coefficient = |k: usize| {
        let terms = values
            .iter()
            .enumerate()
            .map(|(j, v)| v * libm::cos(k as f64 * angle(j)));
        2.0 / n as f64 * terms.sum::<f64>()
    };
    (0..n).map(|k| if k % 2 == 1 { coefficient(k) } else { 0.0 }).collect()
}

fn composed(components: &[Vec<f64>], x: f64) -> f64 {
    components.iter().fold(x, |x, c| chebyshev_value(c, x))
}

/// `|x (1 - p(x)) / 2|`: what a rectifier errs by at `x` and at `-x`.
fn error_at(components: &[Vec<f64>], x: f64) -> f64 {
    (x * (1.0 - composed(components, x)) / 2.0).abs()
}

/// The largest error nearer to zero than `epsilon`.
fn gap_error(components: &[Vec<f64>], epsilon: f64) -> f64 {
    let points = (1..=512).map(|i| epsilon * f64::from(i) / 512.0);
    points.map(|x| error_at(components, x)).fold(0.0, f64::max)
}

fn rectifier_error(components: &[Vec<f64>]) -> f64 {
    let even = (1..=CHECK_POINTS).map(|i| i as f64 / CHECK_POINTS as f64);
    let spread = (0..CHECK_POINTS).map(|i| libm::exp2(-20.0 * i as f64 / CHECK_POINTS as f64));
    even.chain(spread).map(|x| error_at(components, x)).fold(0.0, f64::max)
}
