//! How coefficients are found: by which method, under which distribution, of which smoothed function, towards which targets.

use std::fmt;
use std::str::FromStr;

use crate::approximate::smoothing::Kernel;

/// How coefficients are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitOptions {
    /// What makes a polynomial the best one.
    pub method: Method,
    /// Where its errors count, in a least-squares fit.
    pub distribution: Distribution,
    /// What the function is convolved with first, if anything.
    pub smoothing: Option<Smoothing>,
    /// What the polynomials of a network are fitted to.
    pub targets: Targets,
}

impl FitOptions {
    /// What is right for most: least squares under the samples' own distribution, layer after layer, towards the values
    /// that the exact network has.
    pub const USUAL: Self = Self {
        method: Method::LeastSquares,
        distribution: Distribution::Empirical,
        smoothing: None,
        targets: Targets::Exact,
    };
}

/// What makes a polynomial the best one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The least mean square of the error.
    LeastSquares,
    /// The least largest error on the interval.
    Minimax,
    /// The Chebyshev series, cut off.
    Chebyshev,
    /// The Chebyshev series with Jackson's damping.
    Jackson,
}

/// Where errors count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Where the calibration samples lie.
    Empirical,
    /// A normal distribution with the samples' mean and deviation.
    Gaussian,
    /// Evenly on the interval.
    Uniform,
}

/// A convolution of the function with a probability density.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Smoothing {
    /// The density.
    pub kernel: Kernel,
    /// Its width, in standard deviations of the operand.
    pub bandwidth: f64,
}

/// What the polynomials of a network are fitted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Layer after layer: operands of the polynomial network so far, results of the exact one.
    Exact,
    /// Layer after layer: operands of the polynomial network so far, the function of them.
    Local,
    /// Every layer by itself: operands and results of the exact network.
    OneShot,
}

/// An enumeration whose values have names on the command line.
macro_rules! named {
    ($type:ident, $what:literal, $($name:literal => $value:ident),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$value => $name),+ })
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($name => Ok(Self::$value),)+
                    _ => Err(format!("there is no {} `{text}`: use one of {}", $what, [$($name),+].join(", "))),
                }
            }
        }
    };
}

named!(Method, "method", "least-squares" => LeastSquares, "minimax" => Minimax, "chebyshev" => Chebyshev, "jackson" => Jackson);
named!(Distribution, "distribution", "empirical" => Empirical, "gaussian" => Gaussian, "uniform" => Uniform);
named!(Kernel, "kernel", "gaussian" => Gaussian, "logistic" => Logistic, "box" => Box, "epanechnikov" => Epanechnikov);
named!(Targets, "calibration", "exact" => Exact, "local" => Local, "one-shot" => OneShot);

impl fmt::Display for FitOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.method, self.distribution, self.targets)?;
        self.smoothing
            .iter()
            .try_for_each(|smoothing| write!(f, " {smoothing}"))
    }
}

impl fmt::Display for Smoothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kernel, self.bandwidth)
    }
}

impl FromStr for Smoothing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kernel, bandwidth) = text
            .split_once(':')
            .ok_or_else(|| format!("`{text}` names no bandwidth: write KERNEL:BANDWIDTH, like gaussian:0.5"))?;
        let number: Option<f64> = bandwidth.parse().ok().filter(|h: &f64| *h > 0.0 && *h <= 16.0);
        Ok(Self {
            kernel: kernel.parse()?,
            bandwidth: number.ok_or_else(|| format!("`{bandwidth}` is no bandwidth: it is above 0 and at most 16"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_read_as_it_is_written() {
        for text in ["least-squares", "minimax", "chebyshev", "jackson"] {
            assert_eq!(
                text.parse::<Method>().map(|method| method.to_string()),
                Ok(text.to_owned())
            );
        }
        for text in ["gaussian:0.5", "box:2"] {
            assert_eq!(text.parse::<Smoothing>().map(|s| s.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["gaussian", "gaussian:0", "gaussian:nan", "gaussian:-1", "cosine:1"] {
            assert!(wrong.parse::<Smoothing>().is_err(), "{wrong}");
        }
    }
}
