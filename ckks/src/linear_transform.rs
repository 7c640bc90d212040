//! What the evaluator needs to know about a linear map: its baby and giant steps, and how to compute each diagonal.

use heron_params::Rotation;

/// A linear map from slots to slots, over one or several ciphertexts.
///
/// Output `o` is `Σ rot(Σ diagonal ⊙ rot(input, baby), giant)`, the outer sum over the giant steps with that output, the
/// inner over the terms of the step; `rot(v, k)[i] = v[(i + k) mod slots]`. A diagonal therefore lies in the frame before
/// its giant rotation: it is the matrix' own diagonal `baby + giant`, rotated by `-giant`.
pub trait LinearTransform: Sync {
    /// Identifies the transform in the plaintext cache: equal only for transforms with equal diagonals.
    fn id(&self) -> u64;

    /// The giant steps. Steps with equal output and rotation are legal and cost more than one step that holds their terms.
    fn giant_steps(&self) -> &[GiantStep];

    /// Writes one diagonal.
    ///
    /// # Shapes
    /// `out`: one value per slot; all are overwritten.
    fn write_diagonal(&self, diagonal: usize, out: &mut [f64]);

    /// Writes the imaginary part of one diagonal, if it has one: then true.
    ///
    /// # Shapes
    /// `out`: one value per slot, zero when called.
    fn write_imaginary(&self, _diagonal: usize, _out: &mut [f64]) -> bool {
        false
    }
}

/// One giant step: a rotated sum of products.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GiantStep {
    /// Which output it adds to.
    pub output: usize,
    /// The rotation of the inner sum.
    pub rotation: Rotation,
    /// The products.
    pub terms: Vec<Term>,
}

/// One product of a giant step: a diagonal times a rotated input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// Which input is read.
    pub input: usize,
    /// The baby rotation of the input.
    pub rotation: Rotation,
    /// Which diagonal multiplies it; a name for [`LinearTransform::write_diagonal`].
    pub diagonal: usize,
}
