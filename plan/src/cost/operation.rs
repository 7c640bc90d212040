//! The operations that are measured, and how their work grows with the ring, the limbs and the digits.
//!
//! The laws only carry a measurement from one shape to one nearby. They count passes over a limb: a number-theoretic
//! transform is one, what streams through memory is a part of one.

use heron_params::{CkksParams, Level};
use serde::{Deserialize, Serialize};

/// A product of two limbs that is added up, in transforms. Measured at `N = 2^14`, 8 limbs: 0.008 ms against 0.03 ms.
const PRODUCT: f64 = 0.3;
/// The share of one source limb in one target limb of a base conversion, in transforms.
const CONVERSION: f64 = 0.06;
/// The transform from slots to coefficients, in transforms of one limb: it is over complex numbers.
const SLOT_TRANSFORM: f64 = 3.0;

/// An operation of a machine on ciphertexts whose time is measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// What a linear map costs apart from its steps: the decomposition of its operand, the last division, the rescale.
    LinearMap,
    /// A rotation of an operand that is decomposed already.
    HoistedRotation,
    /// The rotation of an inner sum of a linear map.
    GiantStep,
    /// A product with an encoded diagonal, added up.
    Diagonal,
    /// Encoding a diagonal over the whole basis.
    EncodeDiagonal,
    /// A rotation by itself.
    Rotation,
    /// A product of two ciphertexts, relinearized and rescaled.
    Product,
    /// A rescale by itself.
    Rescale,
    /// A sum of two ciphertexts.
    Addition,
    /// A sum with a vector, encoded on the way.
    PlainSum,
    /// A product with a vector, encoded on the way.
    PlainProduct,
    /// A move to a lower level.
    LevelDrop,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::LinearMap,
        Self::HoistedRotation,
        Self::GiantStep,
        Self::Diagonal,
        Self::EncodeDiagonal,
        Self::Rotation,
        Self::Product,
        Self::Rescale,
        Self::Addition,
        Self::PlainSum,
        Self::PlainProduct,
        Self::LevelDrop,
    ];

    /// The name that tables give it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LinearMap => "linear_map",
            Self::HoistedRotation => "hoisted_rotation",
            Self::GiantStep => "giant_step",
            Self::Diagonal => "diagonal",
            Self::EncodeDiagonal => "encode_diagonal",
            Self::Rotation => "rotation",
            Self::Product => "product",
            Self::Rescale => "rescale",
            Self::Addition => "addition",
            Self::PlainSum => "plain_sum",
            Self::PlainProduct => "plain_product",
            Self::LevelDrop => "level_drop",
        }
    }

    /// Its work on operands of a shape, in butterflies up to a factor.
    pub(super) fn work(self, shape: Shape) -> f64 {
        let Passes { limbs, basis, .. } = Passes::of(shape);
        let passes = Passes::of(shape);
        let of_limbs = match self {
            Self::LinearMap => passes.decompose() + 2.0 * passes.divide(),
            Self::HoistedRotation => passes.multiply_key(),
            Self::GiantStep => passes.divide() + passes.decompose() + passes.multiply_key(),
            Self::Diagonal => 2.0 * basis * PRODUCT,
            Self::EncodeDiagonal => SLOT_TRANSFORM + basis,
            Self::Rotation => passes.decompose() + passes.multiply_key() + 2.0 * passes.divide(),
            Self::Product => 4.0 * limbs * PRODUCT + passes.decompose() + passes.multiply_key() + 2.0 * passes.divide(),
            Self::Rescale => 2.0 * limbs,
            Self::Addition => 2.0 * limbs * PRODUCT,
            Self::PlainSum => SLOT_TRANSFORM + limbs * (1.0 + PRODUCT),
            Self::PlainProduct => SLOT_TRANSFORM + limbs * (1.0 + 2.0 * PRODUCT),
            Self::LevelDrop => 2.0 * limbs * PRODUCT,
        };
        let n = f64::from(1u32 << shape.log_n.min(31));
        of_limbs * n * f64::from(shape.log_n)
    }
}

/// What the time of an operation depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Base-2 logarithm of the ring degree.
    pub log_n: u32,
    /// Ciphertext primes of the operands.
    pub limbs: u32,
    /// Special primes.
    pub special: u32,
    /// Key-switching digits of the operands.
    pub digits: u32,
}

impl Shape {
    /// The shape of operations at a level.
    pub fn at(params: &CkksParams, level: Level) -> Self {
        Self {
            log_n: params.log_n,
            limbs: level.limbs() as u32,
            special: params.p.len() as u32,
            digits: params.digits(level).len() as u32,
        }
    }
}

/// The parts of key switches, in transforms of one limb.
struct Passes {
    limbs: f64,
    special: f64,
    digits: f64,
    /// Limbs with special primes.
    basis: f64,
}

impl Passes {
    fn of(shape: Shape) -> Self {
        let (limbs, special) = (f64::from(shape.limbs), f64::from(shape.special));
        Self {
            limbs,
            special,
            digits: f64::from(shape.digits),
            basis: limbs + special,
        }
    }

    /// All digits of a polynomial, carried to the whole basis.
    fn decompose(&self) -> f64 {
        self.digits * self.basis + CONVERSION * self.limbs * self.basis
    }

    fn multiply_key(&self) -> f64 {
        2.0 * self.digits * self.basis * PRODUCT
    }

    /// One polynomial, divided by the special primes.
    fn divide(&self) -> f64 {
        self.basis + CONVERSION * self.limbs * self.special
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_tables_say() {
        for operation in Operation::ALL {
            let written = serde_json::to_value(operation).expect("a name");
            assert_eq!(written, operation.name());
        }
    }

    #[test]
    fn more_limbs_and_larger_rings_are_more_work() {
        let shape = |log_n, limbs| Shape {
            log_n,
            limbs,
            special: 3,
            digits: 3,
        };
        for operation in Operation::ALL {
            assert!(
                operation.work(shape(14, 9)) > operation.work(shape(14, 8)),
                "{operation:?}"
            );
            assert!(
                operation.work(shape(15, 8)) > 2.0 * operation.work(shape(14, 8)),
                "{operation:?}"
            );
        }
    }
}
