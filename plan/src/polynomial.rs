//! Polynomials as operands of an instruction: which constants they have, what depth and how many products they take.

use heron_params::{ChebyshevSplit, polynomial_depth};
use serde::{Deserialize, Serialize};

use crate::{ConstId, OpCounts, VectorLayout};

/// The highest degree of one instruction.
pub const MAX_POLYNOMIAL_DEGREE: u32 = 255;

/// Which Chebyshev polynomials a sum has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parity {
    /// `T_0, T_1, T_2, …`.
    General,
    /// `T_0, T_2, T_4, …`.
    Even,
    /// `T_1, T_3, T_5, …`.
    Odd,
}

/// A polynomial `Σ c_k T_k(x)` on `[-1, 1]`, the same for all slots or with coefficients for every element.
///
/// The operand is in `[-1, 1]`: other intervals are mapped onto it by the layer before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotPolynomial {
    /// The coefficients of the terms of its parity, lowest first: `[terms]`, or `[terms, len]` with a layout.
    pub coefficients: ConstId,
    /// The degree; has the parity.
    pub degree: u32,
    /// Which terms there are.
    pub parity: Parity,
    /// Where the coefficients of each element go; absent where all slots have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<VectorLayout>,
}

impl Parity {
    /// The index of the lowest term.
    fn lowest(self) -> usize {
        usize::from(self == Self::Odd)
    }

    /// From one term to the next.
    fn step(self) -> usize {
        match self {
            Self::General => 1,
            Self::Even | Self::Odd => 2,
        }
    }

    /// The indices of the terms up to a degree.
    pub fn terms(self, degree: u32) -> impl Iterator<Item = usize> + Clone {
        (self.lowest()..=degree as usize).step_by(self.step())
    }

    /// Whether a polynomial of this parity can have the degree.
    pub fn allows(self, degree: u32) -> bool {
        match self {
            Self::General => true,
            Self::Even => degree.is_multiple_of(2),
            Self::Odd => !degree.is_multiple_of(2),
        }
    }
}

impl SlotPolynomial {
    /// How many levels an evaluation takes: `ceil(log2(degree + 1))`.
    pub fn depth(&self) -> u32 {
        polynomial_depth(self.degree)
    }

    /// The shape of the constant that holds the coefficients.
    pub fn shape(&self) -> Vec<usize> {
        let terms = self.parity.terms(self.degree).count();
        let elements = self.layout.map(|layout| layout.len as usize);
        std::iter::once(terms).chain(elements).collect()
    }

    /// All coefficients `c_0 … c_degree` of one element, from the constant's data.
    ///
    /// # Panics
    /// If `data` has another length than [`shape`](Self::shape) says.
    pub fn dense(&self, data: &[f64], element: usize) -> Vec<f64> {
        let (stride, offset) = self.layout.map_or((1, 0), |layout| (layout.len as usize, element));
        let mut coefficients = vec![0.0; self.degree as usize + 1];
        for (term, k) in self.parity.terms(self.degree).enumerate() {
            coefficients[k] = data[term * stride + offset];
        }
        coefficients
    }

    /// What an evaluation costs.
    pub fn counts(&self) -> OpCounts {
        let mut generic = vec![0.0; self.degree as usize + 1];
        for k in self.parity.terms(self.degree) {
            // Numbers without relations, so that no difference of coefficients vanishes.
            generic[k] = 1.0 + libm::sqrt(k as f64 + 2.0);
        }
        let split = ChebyshevSplit::cheapest(&generic);
        OpCounts {
            plaintext_products: self.shape()[0] as u64,
            ciphertext_products: split.n_products() as u64,
            rescales: split.n_rescales() as u64,
            ..OpCounts::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polynomial(degree: u32, parity: Parity, len: Option<u32>) -> SlotPolynomial {
        SlotPolynomial {
            coefficients: ConstId(0),
            degree,
            parity,
            layout: len.map(|len| VectorLayout::vector(len, len)),
        }
    }

    #[test]
    fn terms_have_the_parity() {
        let terms = |parity: Parity, degree| parity.terms(degree).collect::<Vec<_>>();
        assert_eq!(terms(Parity::General, 3), [0, 1, 2, 3]);
        assert_eq!(terms(Parity::Even, 4), [0, 2, 4]);
        assert_eq!(terms(Parity::Odd, 5), [1, 3, 5]);
        assert!(Parity::Odd.allows(7) && !Parity::Odd.allows(6) && Parity::Even.allows(6));
    }

    #[test]
    fn every_element_has_its_coefficients() {
        let odd = polynomial(3, Parity::Odd, Some(2));
        assert_eq!(odd.shape(), [2, 2]);
        assert_eq!(odd.dense(&[1.0, 2.0, 3.0, 4.0], 1), [0.0, 2.0, 0.0, 4.0]);
        let shared = polynomial(2, Parity::General, None);
        assert_eq!(shared.dense(&[1.0, 2.0, 3.0], 7), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_parity_saves_products() {
        let products = |degree, parity| polynomial(degree, parity, None).counts().ciphertext_products;
        for degree in [3, 7, 15, 31, 63] {
            assert!(
                products(degree, Parity::Odd) <= products(degree, Parity::General),
                "degree {degree}"
            );
        }
        assert!(products(31, Parity::Odd) < products(31, Parity::General));
        assert_eq!(polynomial(1, Parity::Odd, None).counts().ciphertext_products, 0);
    }
}
