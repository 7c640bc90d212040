//! What stands for an activation in the polynomial network: its values in clear, and how it is written out.

use ndarray::Array1;

use crate::approximate::chebyshev::{center_and_radius, clenshaw};
use crate::approximate::fit_layer::Form;
use crate::approximate::lower_polynomials::Site;
use crate::approximate::minimax::SignForm;
use crate::calibrate::Interval;
use crate::graph::NodeId;
use crate::nn::{Chebyshev, Polynomial};

/// Polynomials in the Chebyshev basis of an interval for each entry: `Σ c_k T_k((x - center) / radius)`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expansion {
    /// The polynomials of `[-1, 1]`.
    pub(crate) polynomial: Chebyshev,
    /// `[entries]`: the middle of each polynomial's interval.
    pub(crate) center: Array1<f64>,
    /// `[entries]`: half the length of each polynomial's interval, positive.
    pub(crate) radius: Array1<f64>,
}

impl Expansion {
    /// The value of one entry's polynomial.
    pub(crate) fn value(&self, entry: usize, x: f64) -> f64 {
        let t = (x - self.center[entry]) / self.radius[entry];
        clenshaw(self.polynomial.coefficients.row(entry).iter().copied(), t)
    }
}

/// What stands for an activation.
#[derive(Clone, Debug)]
pub(crate) enum Replacement {
    /// Polynomials in the power basis, in one of the forms.
    Power(Polynomial, Form),
    /// Polynomials in the Chebyshev basis of an interval.
    Expansion(Expansion),
    /// A composite for a sign, and what is made of it.
    Composite(SignForm),
}

impl Replacement {
    /// Its values in clear.
    ///
    /// # Shapes
    /// `x`: the elements of a tensor of the given shape. Result: as many.
    pub(crate) fn apply(&self, x: &[f64], shape: &[usize]) -> Vec<f64> {
        let values = x.iter().enumerate();
        values.map(|(element, &x)| self.value(element, shape, x)).collect()
    }

    /// Its value for one element of a tensor of the given shape.
    pub(crate) fn value(&self, element: usize, shape: &[usize], x: f64) -> f64 {
        match self {
            Self::Power(polynomial, _) => {
                let row = polynomial
                    .coefficients
                    .row(polynomial.granularity.entry(element, shape));
                row.iter().rev().fold(0.0, |sum, c| sum * x + c)
            }
            Self::Expansion(expansion) => {
                let entry = expansion.polynomial.granularity.entry(element, shape);
                expansion.value(entry, x)
            }
            Self::Composite(form) => form.value(x),
        }
    }

    /// How far an operand is from the middle of its interval, in halves of its length: 1 is the interval's end.
    ///
    /// `interval` is the layer's; expansions have one for each entry.
    pub(crate) fn distance(&self, element: usize, shape: &[usize], x: f64, interval: Interval) -> f64 {
        match self {
            Self::Power(..) => {
                let (center, radius) = center_and_radius(interval);
                ((x - center) / radius).abs()
            }
            Self::Expansion(expansion) => {
                let entry = expansion.polynomial.granularity.entry(element, shape);
                ((x - expansion.center[entry]) / expansion.radius[entry]).abs()
            }
            Self::Composite(form) => (x / form.bound).abs(),
        }
    }

    /// How many polynomials it has.
    pub(crate) fn polynomials(&self) -> usize {
        match self {
            Self::Power(polynomial, _) => polynomial.coefficients.nrows(),
            Self::Expansion(expansion) => expansion.polynomial.coefficients.nrows(),
            Self::Composite(_) => 1,
        }
    }

    /// How many levels it takes.
    pub(crate) fn depth(&self) -> u32 {
        match self {
            Self::Power(polynomial, form) => depth_of(*form, polynomial.coefficients.ncols() - 1),
            Self::Expansion(expansion) => depth_of(Form::Chebyshev, expansion.polynomial.degree() as usize),
            Self::Composite(form) => form.depth(),
        }
    }

    /// Writes it out; the node that takes the activation's place.
    pub(crate) fn lower(&self, site: Site<'_>) -> NodeId {
        match self {
            Self::Power(polynomial, form) => site.polynomial(polynomial, *form),
            Self::Expansion(expansion) => site.expansion(expansion),
            Self::Composite(form) => site.composite(form),
        }
    }
}

/// Levels that a polynomial of a degree takes in a form, its affine parts folded into the neighbours.
pub(crate) fn depth_of(form: Form, degree: usize) -> u32 {
    match form {
        Form::Linear => 0,
        Form::Folded => 1,
        Form::TwoLevel => 2,
        // ceil(log2(degree + 1))
        Form::Products | Form::Chebyshev | Form::Composite => usize::BITS - degree.leading_zeros(),
    }
}
