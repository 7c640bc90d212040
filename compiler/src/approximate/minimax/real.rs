//! The numbers that minimax fits are computed in: f64, and binary floats with 192 bits.
//!
//! References are found in f64, which is fast; the last exchanges and the coefficients are computed with 192 bits, where
//! nothing that ends up in a coefficient is lost to cancellation.

use dashu_float::FBig;
use dashu_float::round::mode::HalfEven;

/// Bits of [`Extended`].
const PRECISION_BITS: usize = 192;

/// What a minimax fit needs of its numbers.
pub trait Real: Clone {
    /// The number itself.
    fn from_f64(value: f64) -> Self;
    /// The nearest f64.
    fn to_f64(&self) -> f64;
    /// `self + other`.
    fn plus(&self, other: &Self) -> Self;
    /// `self - other`.
    fn minus(&self, other: &Self) -> Self;
    /// `self · other`.
    fn times(&self, other: &Self) -> Self;
    /// `self / other`.
    fn over(&self, other: &Self) -> Self;
    /// Whether it is below zero.
    fn is_negative(&self) -> bool;
    /// Whether it is zero.
    fn is_zero(&self) -> bool;

    /// Its magnitude.
    fn magnitude(&self) -> Self {
        if self.is_negative() {
            Self::from_f64(0.0).minus(self)
        } else {
            self.clone()
        }
    }

    /// Whether it is below another number.
    fn is_below(&self, other: &Self) -> bool {
        self.minus(other).is_negative()
    }
}

impl Real for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }

    fn to_f64(&self) -> f64 {
        *self
    }

    fn plus(&self, other: &Self) -> Self {
        self + other
    }

    fn minus(&self, other: &Self) -> Self {
        self - other
    }

    fn times(&self, other: &Self) -> Self {
        self * other
    }

    fn over(&self, other: &Self) -> Self {
        self / other
    }

    fn is_negative(&self) -> bool {
        *self < 0.0
    }

    fn is_zero(&self) -> bool {
        *self == 0.0
    }
}

/// A binary float with 192 bits.
#[derive(Clone, Debug)]
pub struct Extended(FBig<HalfEven, 2>);

impl Real for Extended {
    fn from_f64(value: f64) -> Self {
        let exact = FBig::try_from(value).unwrap_or(FBig::ZERO);
        Self(exact.with_precision(PRECISION_BITS).value())
    }

    fn to_f64(&self) -> f64 {
        self.0.to_f64().value()
    }

    fn plus(&self, other: &Self) -> Self {
        Self(&self.0 + &other.0)
    }

    fn minus(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }

    fn times(&self, other: &Self) -> Self {
        Self(&self.0 * &other.0)
    }

    fn over(&self, other: &Self) -> Self {
        Self(&self.0 / &other.0)
    }

    fn is_negative(&self) -> bool {
        self.0 < FBig::<HalfEven, 2>::ZERO
    }

    fn is_zero(&self) -> bool {
        self.0 == FBig::<HalfEven, 2>::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_numbers_keep_what_f64_loses() {
        let (one, tiny) = (Extended::from_f64(1.0), Extended::from_f64(1e-40));
        let kept = one.plus(&tiny).minus(&one);
        assert!((kept.to_f64() / 1e-40 - 1.0).abs() < 1e-15, "{kept:?}");
        let third = one.over(&Extended::from_f64(3.0));
        let rest = one.minus(&third.times(&Extended::from_f64(3.0))).magnitude();
        assert!(rest.is_below(&Extended::from_f64(1e-55)), "{rest:?}");
        assert!(tiny.minus(&one).is_negative() && !tiny.is_zero());
    }
}
