//! Functions convolved with a probability density: `f_h(x) = E[f(x + h U)]`.
//!
//! A smoothed rectifier has a bounded second derivative, hence a degree-2 error that Jackson's theorem bounds; it is also
//! farther from the rectifier. For polynomials in place of a trained network's activations no smoothing is best; smoothing
//! is for networks that were trained with the smoothed function.
//!
//! # Source
//! The choice of a kernel before a fit of degree 2 follows arXiv 2605.23641; that paper names no kernel, so these four are
//! ours.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use crate::nn::Activation;

/// A probability density of mean 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// The standard normal density.
    Gaussian,
    /// The logistic density, whose smoothed rectifier is the softplus function.
    Logistic,
    /// Uniform on `[-1, 1]`.
    Box,
    /// `3/4 (1 - u²)` on `[-1, 1]`.
    Epanechnikov,
}

/// Nodes of the quadrature for functions whose convolution has no closed form here.
const NODES: usize = 512;

/// The standard normal density.
pub(crate) fn normal_density(z: f64) -> f64 {
    libm::exp(-z * z / 2.0) / libm::sqrt(2.0 * PI)
}

/// The standard normal distribution function.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * FRAC_1_SQRT_2)
}

impl Kernel {
    /// `E[max(x + h U, 0)]`.
    fn rectifier(self, x: f64, h: f64) -> f64 {
        let t = x / h;
        match self {
            Self::Gaussian => x * normal_cdf(t) + h * normal_density(t),
            Self::Logistic => h * Activation::Softplus.apply(t),
            Self::Box | Self::Epanechnikov if t.abs() >= 1.0 => Activation::Relu.apply(x),
            Self::Box => (x + h) * (x + h) / (4.0 * h),
            Self::Epanechnikov => h * (3.0 + 8.0 * t + 6.0 * t * t - t * t * t * t) / 16.0,
        }
    }

    /// The quantile function.
    fn quantile(self, p: f64) -> f64 {
        match self {
            Self::Logistic => libm::log(p / (1.0 - p)),
            Self::Box => 2.0 * p - 1.0,
            Self::Gaussian => bisect((-9.0, 9.0), |z| normal_cdf(z) < p),
            Self::Epanechnikov => bisect((-1.0, 1.0), |u| 0.25 * (2.0 + 3.0 * u - u * u * u) < p),
        }
    }
}

/// Where a condition that holds at the lower end stops to hold.
fn bisect((mut low, mut high): (f64, f64), holds: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        (low, high) = if holds(middle) { (middle, high) } else { (low, middle) };
    }
    low
}

/// A function convolved with a kernel of a bandwidth.
#[derive(Clone, Debug)]
pub(crate) struct Smoothed {
    function: Activation,
    /// What the function is convolved with; nothing where the bandwidth is 0.
    kernel: Option<(Kernel, f64)>,
    /// Equally probable values of `h U`, for functions without a closed form.
    offsets: Vec<f64>,
}

impl Smoothed {
    /// The function itself.
    pub(crate) fn exact(function: Activation) -> Self {
        Self {
            function,
            kernel: None,
            offsets: Vec::new(),
        }
    }

    /// The function convolved with a kernel. A bandwidth of 0 leaves it as it is.
    pub(crate) fn new(function: Activation, kernel: Kernel, bandwidth: f64) -> Self {
        if bandwidth == 0.0 {
            return Self::exact(function);
        }
        let offsets = match rectifiers(function) {
            Some(_) => Vec::new(),
            None => (0..NODES)
                .map(|i| bandwidth * kernel.quantile((i as f64 + 0.5) / NODES as f64))
                .collect(),
        };
        Self {
            function,
            kernel: Some((kernel, bandwidth)),
            offsets,
        }
    }

    /// Its value.
    pub(crate) fn apply(&self, x: f64) -> f64 {
        let Some((kernel, h)) = self.kernel else {
            return self.function.apply(x);
        };
        if let Some(Rectifiers { slope, constant, kinks }) = rectifiers(self.function) {
            let bends = kinks.iter().map(|&(at, bend)| match bend {
                0.0 => 0.0,
                _ => bend * kernel.rectifier(x - at, h),
            });
            return constant + slope * x + bends.sum::<f64>();
        }
        let sum: f64 = self.offsets.iter().map(|offset| self.function.apply(x + offset)).sum();
        sum / self.offsets.len() as f64
    }
}

/// Whether a function or one of its first derivatives jumps at 0.
pub(crate) fn has_kink(function: Activation) -> bool {
    rectifiers(function).is_some()
        || matches!(
            function,
            Activation::Elu { .. } | Activation::Selu { .. } | Activation::Sign | Activation::Clip { .. }
        )
}

/// `constant + slope x + Σ bend max(x - at, 0)`.
struct Rectifiers {
    constant: f64,
    slope: f64,
    kinks: [(f64, f64); 2],
}

/// A piecewise linear function as a sum of rectifiers.
fn rectifiers(function: Activation) -> Option<Rectifiers> {
    const NONE: (f64, f64) = (0.0, 0.0);
    let sum = |constant, slope, kinks| Some(Rectifiers { constant, slope, kinks });
    match function {
        Activation::Relu => sum(0.0, 0.0, [(0.0, 1.0), NONE]),
        Activation::LeakyRelu { alpha } => sum(0.0, alpha, [(0.0, 1.0 - alpha), NONE]),
        Activation::Abs => sum(0.0, -1.0, [(0.0, 2.0), NONE]),
        Activation::HardSigmoid { slope, offset } if slope > 0.0 => {
            sum(0.0, 0.0, [(-offset / slope, slope), ((1.0 - offset) / slope, -slope)])
        }
        Activation::Clip { min, max } if min.is_finite() && max.is_finite() && min <= max => {
            sum(min, 0.0, [(min, 1.0), (max, -1.0)])
        }
        Activation::Selu { .. }
        | Activation::Mish
        | Activation::HardSigmoid { .. }
        | Activation::HardSwish
        | Activation::Exp
        | Activation::Reciprocal
        | Activation::Sqrt
        | Activation::ReciprocalSqrt
        | Activation::Log
        | Activation::Sign
        | Activation::Clip { .. }
        | Activation::Elu { .. }
        | Activation::Sigmoid
        | Activation::Tanh
        | Activation::Erf
        | Activation::Gelu(_)
        | Activation::Silu
        | Activation::Softplus => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Gelu;

    const KERNELS: [Kernel; 4] = [Kernel::Gaussian, Kernel::Logistic, Kernel::Box, Kernel::Epanechnikov];

    #[test]
    fn a_smoothed_rectifier_lies_above_by_the_published_bias() {
        let bias = [1.0 / (2.0 * PI).sqrt(), std::f64::consts::LN_2, 0.25, 3.0 / 16.0];
        for (kernel, bias) in KERNELS.into_iter().zip(bias) {
            let smoothed = Smoothed::new(Activation::Relu, kernel, 0.7);
            assert!((smoothed.apply(0.0) - 0.7 * bias).abs() < 1e-12, "{kernel:?}");
            assert!(
                smoothed.apply(-30.0) < 1e-12 && (smoothed.apply(30.0) - 30.0).abs() < 1e-12,
                "{kernel:?}"
            );
        }
    }

    #[test]
    fn closed_forms_are_what_quadrature_gives() {
        for kernel in KERNELS {
            for function in [
                Activation::LeakyRelu { alpha: 0.1 },
                Activation::HardSigmoid {
                    slope: 0.2,
                    offset: 0.5,
                },
                Activation::Clip { min: -1.0, max: 2.0 },
            ] {
                let closed = Smoothed::new(function, kernel, 0.5);
                let offsets = (0..100_000).map(|i| 0.5 * kernel.quantile((f64::from(i) + 0.5) / 1e5));
                let offsets: Vec<f64> = offsets.collect();
                for x in [-2.0, -0.9, 0.0, 0.3, 1.9] {
                    let mean = offsets.iter().map(|offset| function.apply(x + offset)).sum::<f64>() / 1e5;
                    // The logistic's quantiles leave out a hundred-thousandth of its tail.
                    assert!((closed.apply(x) - mean).abs() < 2e-5, "{kernel:?} {function:?} {x}");
                }
            }
        }
    }

    #[test]
    fn smoothing_a_smooth_function_changes_it_by_half_the_variance_times_its_curvature() {
        let gelu = Activation::Gelu(Gelu::Erf);
        let smoothed = Smoothed::new(gelu, Kernel::Gaussian, 0.05);
        let curvature = (gelu.apply(1.0 + 1e-3) + gelu.apply(1.0 - 1e-3) - 2.0 * gelu.apply(1.0)) / 1e-6;
        // The next term is h⁴/8 times the fourth derivative, about 1e-6; quantiles miss some of the tail's variance.
        assert!((smoothed.apply(1.0) - gelu.apply(1.0) - 0.05 * 0.05 / 2.0 * curvature).abs() < 5e-6);
    }
}
