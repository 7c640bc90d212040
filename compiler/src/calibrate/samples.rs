//! Calibration samples, checked, and which of them are held back.

use crate::calibrate::CalibrateError;

/// Fewer samples than this say nothing about ranges.
pub const MIN_SAMPLES: usize = 8;

/// Every how many samples one is held back for measuring accuracy.
const HOLD_BACK_EVERY: usize = 5;

/// Real inputs of a network, as it sees them: normalized, f64, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl Samples {
    /// Samples of the given shape (without the batch axis), one after the other.
    ///
    /// # Errors
    /// [`CalibrateError::Ragged`] if the values are not a whole number of samples.
    pub fn new(shape: &[usize], values: Vec<f64>) -> Result<Self, CalibrateError> {
        let elements = shape
            .iter()
            .try_fold(1usize, |product, &axis| product.checked_mul(axis))
            .unwrap_or(0);
        if elements == 0 || !values.len().is_multiple_of(elements) {
            return Err(CalibrateError::Ragged {
                shape: shape.to_vec(),
                values: values.len(),
            });
        }
        Ok(Self {
            shape: shape.to_vec(),
            values,
        })
    }

    /// Shape of one sample.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.elements()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The samples, each row-major.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.values.chunks_exact(self.elements())
    }

    /// One sample.
    ///
    /// # Panics
    /// If there are not that many.
    pub fn get(&self, index: usize) -> &[f64] {
        &self.values[index * self.elements()..][..self.elements()]
    }

    /// Little-endian bytes of all values, for a digest.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// Checks that a network with inputs of the given shape can be calibrated with these samples.
    ///
    /// Shapes agree where they are equal but for axes of length one, or where one of them is flat.
    ///
    /// # Errors
    /// [`CalibrateError::Shape`], [`CalibrateError::TooFew`], [`CalibrateError::NotFinite`].
    pub fn check(&self, expected: &[usize]) -> Result<(), CalibrateError> {
        let long_axes = |shape: &[usize]| shape.iter().copied().filter(|&axis| axis != 1).collect::<Vec<_>>();
        let (found, wanted) = (long_axes(&self.shape), long_axes(expected));
        let flat = found.len() <= 1 || wanted.len() <= 1;
        let elements: usize = expected.iter().product();
        if self.elements() != elements || !(flat || found == wanted) {
            return Err(CalibrateError::Shape {
                found: self.shape.clone(),
                expected: expected.to_vec(),
            });
        }
        if self.len() < MIN_SAMPLES {
            return Err(CalibrateError::TooFew { found: self.len() });
        }
        let bad = self.values.iter().position(|value| !value.is_finite());
        bad.map_or(Ok(()), |at| {
            Err(CalibrateError::NotFinite {
                sample: at / self.elements(),
                element: at % self.elements(),
            })
        })
    }

    fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Whether a sample is kept from the fit, to measure accuracy on: every fifth is.
pub fn is_held_back(sample: usize) -> bool {
    sample % HOLD_BACK_EVERY == HOLD_BACK_EVERY - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(shape: &[usize], count: usize) -> Samples {
        let elements: usize = shape.iter().product();
        Samples::new(shape, vec![0.5; elements * count]).expect("a whole number of samples")
    }

    #[test]
    fn a_fifth_is_held_back() {
        assert_eq!((0..250).filter(|&sample| is_held_back(sample)).count(), 50);
    }

    #[test]
    fn axes_of_length_one_and_flat_samples_do_not_matter() {
        assert_eq!(samples(&[28, 28], 8).check(&[1, 28, 28]), Ok(()));
        assert_eq!(samples(&[784], 8).check(&[1, 28, 28]), Ok(()));
    }

    #[test]
    fn another_order_of_axes_is_refused() {
        let error = samples(&[4, 4, 3], 8).check(&[3, 4, 4]);
        assert!(matches!(error, Err(CalibrateError::Shape { .. })), "{error:?}");
    }

    #[test]
    fn values_that_are_no_numbers_are_located() {
        let mut values = vec![0.0; 4 * 8];
        values[13] = f64::NAN;
        let error = Samples::new(&[4], values).expect("eight samples").check(&[4]);
        assert_eq!(error, Err(CalibrateError::NotFinite { sample: 3, element: 1 }));
    }

    #[test]
    fn seven_samples_are_too_few() {
        assert_eq!(samples(&[4], 7).check(&[4]), Err(CalibrateError::TooFew { found: 7 }));
    }

    #[test]
    fn half_a_sample_is_refused() {
        assert!(matches!(
            Samples::new(&[4], vec![0.0; 6]),
            Err(CalibrateError::Ragged { values: 6, .. })
        ));
        assert!(matches!(Samples::new(&[0], vec![]), Err(CalibrateError::Ragged { .. })));
    }
}
