//! The vocabulary of an imported network: what ONNX nodes become before anything is approximated.
//!
//! Tensors are row-major f64 without the batch axis; the first axis of a tensor with more than one is its channels. A
//! vector's elements are its channels.

use ndarray::{ArcArray1, ArcArray2, Array4};
use std::sync::Arc;

/// An operation of an imported network. Shapes are in [`Node::shape`](crate::graph::Node).
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// The network's input.
    Input,
    /// `y = W x + b`. `weights`: `[out, in]`; `bias`: `[out]`. Takes a vector.
    Dense {
        /// `[out, in]`.
        weights: ArcArray2<f64>,
        /// `[out]`.
        bias: ArcArray1<f64>,
    },
    /// Two-dimensional convolution of a `[channels, height, width]` tensor.
    Conv(Conv),
    /// `y = scale ⊙ x + shift` per channel: batch normalization with its statistics folded in.
    BatchNorm(Affine),
    /// `y = scale ⊙ x + shift` for constants of the network; per tensor, channel or element.
    Affine(Affine),
    /// Mean over windows.
    AveragePool(Pool),
    /// Largest of windows.
    MaxPool(Pool),
    /// Mean over all positions, per channel.
    GlobalAveragePool,
    /// Constant padding.
    Pad(Pad),
    /// Elements in another order, some of them, or some several times.
    Select(Select),
    /// Element-wise sum of two values of equal shape.
    Add,
    /// Element-wise difference of two values of equal shape.
    Sub,
    /// Element-wise product of two values of equal shape.
    Mul,
    /// A non-polynomial function of each element.
    Activation(Activation),
    /// `x²`.
    Square,
    /// `x^n`, `n >= 2`.
    Pow(u32),
    /// A polynomial of each element.
    Polynomial(Polynomial),
    /// A polynomial of each element, in the Chebyshev basis on `[-1, 1]`.
    Chebyshev(Chebyshev),
    /// The same elements in the node's shape.
    Reshape,
    /// The operand itself.
    Identity,
}

/// Scale and shift with as many entries as `granularity` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// What one entry covers.
    pub granularity: Granularity,
    /// Factors.
    pub scale: ArcArray1<f64>,
    /// Summands.
    pub shift: ArcArray1<f64>,
}

/// What one entry of a table of coefficients covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Granularity {
    /// The whole tensor: one entry.
    Tensor,
    /// One channel (first axis; the elements of a vector).
    Channel,
    /// One element.
    Element,
}

impl Granularity {
    /// The entry that covers an element of a tensor.
    pub fn entry(self, element: usize, shape: &[usize]) -> usize {
        match self {
            Self::Tensor => 0,
            Self::Channel => element / shape.iter().skip(1).product::<usize>().max(1),
            Self::Element => element,
        }
    }

    /// How many elements in a row one entry covers.
    pub fn run(self, shape: &[usize]) -> usize {
        match self {
            Self::Tensor => shape.iter().product(),
            Self::Channel => shape.iter().skip(1).product(),
            Self::Element => 1,
        }
    }

    /// How many entries a tensor needs.
    pub fn entries(self, shape: &[usize]) -> usize {
        match self {
            Self::Tensor => 1,
            Self::Channel => shape.first().copied().unwrap_or(1),
            Self::Element => shape.iter().product(),
        }
    }
}

/// A two-dimensional convolution.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// `[out_channels, in_channels / groups, kernel_height, kernel_width]`.
    pub weights: Arc<Array4<f64>>,
    /// `[out_channels]`.
    pub bias: ArcArray1<f64>,
    /// Vertical and horizontal stride.
    pub strides: [usize; 2],
    /// Zeros added at the top, left, bottom and right.
    pub pads: [usize; 4],
    /// Vertical and horizontal dilation.
    pub dilations: [usize; 2],
    /// Number of groups.
    pub groups: usize,
}

/// A pooling window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub strides: [usize; 2],
    /// Padding at the top, left, bottom and right.
    pub pads: [usize; 4],
    /// Whether padding counts in an average's denominator. Ignored by a maximum, which never takes padding.
    pub count_include_pad: bool,
}

/// Constant padding.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// Elements added before and after each axis.
    pub amounts: Vec<(usize, usize)>,
    /// The value added.
    pub value: f64,
}

/// A choice of elements: what transposing, slicing, joining, repeating and enlarging have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// For every element of the result, the operand's element that it is; `None` is zero.
    pub sources: Arc<[Option<u32>]>,
}

impl Select {
    /// Whether every element of the operand is there once, and nothing else.
    pub fn is_permutation(&self, operand_len: usize) -> bool {
        let mut seen = vec![false; operand_len];
        let fresh = |source: &Option<u32>| {
            let place = source.and_then(|source| seen.get_mut(source as usize));
            place.is_some_and(|seen| !std::mem::replace(seen, true))
        };
        self.sources.len() == operand_len && self.sources.iter().all(fresh)
    }

    /// The chosen elements of `x`.
    pub fn of(&self, x: &[f64]) -> Vec<f64> {
        let element = |source: &Option<u32>| source.map_or(0.0, |source| x[source as usize]);
        self.sources.iter().map(element).collect()
    }
}

/// A non-polynomial function of each element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x` above zero, `alpha · x` below.
    LeakyRelu {
        /// Slope below zero.
        alpha: f64,
    },
    /// `x` above zero, `alpha · (exp(x) - 1)` below.
    Elu {
        /// Limit below zero, negated.
        alpha: f64,
    },
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// The error function.
    Erf,
    /// `x · Φ(x)`, exact or by its hyperbolic-tangent approximation.
    Gelu(Gelu),
    /// `x · sigmoid(x)`.
    Silu,
    /// `ln(1 + exp(x))`.
    Softplus,
    /// `γ x` above zero, `γ α (exp(x) - 1)` below.
    Selu {
        /// Limit below zero, negated, over `gamma`.
        alpha: f64,
        /// Slope above zero.
        gamma: f64,
    },
    /// `x · tanh(ln(1 + exp(x)))`.
    Mish,
    /// `slope · x + offset`, at least 0 and at most 1.
    HardSigmoid {
        /// Slope between the limits.
        slope: f64,
        /// Value at zero.
        offset: f64,
    },
    /// `x` times the hard sigmoid of slope 1/6 and offset 1/2.
    HardSwish,
    /// `exp(x)`.
    Exp,
    /// `1 / x`.
    Reciprocal,
    /// `√x`.
    Sqrt,
    /// `1 / √x`.
    ReciprocalSqrt,
    /// `ln(x)`.
    Log,
    /// `|x|`.
    Abs,
    /// -1, 0 or 1.
    Sign,
    /// The nearest value in `[min, max]`.
    Clip {
        /// Lower limit.
        min: f64,
        /// Upper limit.
        max: f64,
    },
}

/// The two forms of GELU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gelu {
    /// With the error function.
    Erf,
    /// `x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
    Tanh,
}

/// Polynomials `Σ c_k T_k(x)` on `[-1, 1]`, one for each entry of the granularity, of equal degree and parity.
#[derive(Clone, Debug, PartialEq)]
pub struct Chebyshev {
    /// What one polynomial covers.
    pub granularity: Granularity,
    /// Which terms there are; the coefficients of others are zero.
    pub parity: heron_plan::Parity,
    /// `[entries, degree + 1]`, `c_0` first.
    pub coefficients: ArcArray2<f64>,
}

impl Chebyshev {
    /// The degree.
    pub fn degree(&self) -> u32 {
        self.coefficients.ncols().saturating_sub(1) as u32
    }
}

/// Polynomials in the power basis, one for each entry of the granularity, of equal degree.
#[derive(Clone, Debug, PartialEq)]
pub struct Polynomial {
    /// What one polynomial covers.
    pub granularity: Granularity,
    /// `[entries, degree + 1]`, constant term first.
    pub coefficients: ArcArray2<f64>,
}
