//! From slots to rounded coefficients and back: everything about encoding that needs no prime.

use heron_params::Level;
use zeroize::Zeroize;

use crate::error::EncodeError;
use crate::kernels::{Kernels, coefficient_at};
use crate::memory::Pool;
use crate::special_fft::{SpecialFft, reversed};

/// Coefficients below this round by one addition; see [`round_narrow`].
const NARROW: f64 = (1u64 << 51) as f64;
/// Larger coefficients are cut here: both parts then fit a word.
pub(crate) const CUT_BITS: u32 = 48;
/// What two parts cut at [`CUT_BITS`] hold.
const MAX_MAGNITUDE_BITS: f64 = 110.0;
/// Sums of this many values of at most 2^500 stay finite.
const MAX_SLOT: f64 = 3.273_390_607_896_142e150;

/// Signed integer coefficients of one polynomial, in the coefficient order of the kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Integers {
    /// The coefficients, or their parts below `2^CUT_BITS`.
    pub(crate) low: Vec<i64>,
    /// The parts above; empty when all coefficients fit `low`.
    pub(crate) high: Vec<i64>,
}

/// The transform, the coefficient order and the buffers of one ring degree.
pub(crate) struct SlotCodec {
    fft: SpecialFft,
    /// For each position of a limb, where the transform keeps the coefficient: real parts first.
    transformed_at: Vec<u32>,
    pool: Pool,
}

impl SlotCodec {
    pub(crate) fn new(kernels: Kernels, log_n: u32) -> Self {
        let slots = 1 << (log_n - 1);
        let transformed = |position: usize| {
            let coefficient = coefficient_at(log_n, position);
            let half = coefficient & slots;
            (half + reversed(coefficient - half, slots)) as u32
        };
        Self {
            fft: SpecialFft::new(kernels, slots),
            transformed_at: (0..1 << log_n).map(transformed).collect(),
            pool: Pool::new(),
        }
    }

    pub(crate) fn slots(&self) -> usize {
        self.transformed_at.len() / 2
    }

    /// Rounds the polynomial whose slots are `values · scale`; missing values are zero.
    ///
    /// `available_bits` is the base-2 logarithm of what the modulus of `level` holds.
    pub(crate) fn integers(
        &self,
        values: &[f64],
        scale: f64,
        level: Level,
        available_bits: f64,
    ) -> Result<Integers, EncodeError> {
        self.complex_integers([values, &[]], scale, level, available_bits)
    }

    /// [`integers`](Self::integers) of complex slots: their real and their imaginary parts.
    pub(crate) fn complex_integers(
        &self,
        parts: [&[f64]; 2],
        scale: f64,
        level: Level,
        available_bits: f64,
    ) -> Result<Integers, EncodeError> {
        let slots = self.slots();
        for values in parts {
            if values.len() > slots {
                return Err(EncodeError::TooManyValues {
                    given: values.len(),
                    slots,
                });
            }
            if let Some(slot) = values.iter().position(|v| !v.is_finite()) {
                return Err(EncodeError::NotFinite { slot });
            }
        }
        let too_large = |magnitude: f64| {
            let (magnitude_bits, available_bits) = (libm::log2(magnitude), available_bits.min(MAX_MAGNITUDE_BITS));
            EncodeError::TooLarge {
                magnitude_bits,
                available_bits,
                level,
            }
        };
        let largest_slot = parts.into_iter().flatten().fold(0.0, |max: f64, v| max.max(v.abs()));
        if largest_slot > MAX_SLOT {
            return Err(too_large(largest_slot * scale));
        }
        let mut buffer = self.pool.take(2 * slots);
        let (re, im) = bytemuck::cast_slice_mut(&mut buffer).split_at_mut(slots);
        for (part, values) in [&mut *re, &mut *im].into_iter().zip(parts) {
            part[..values.len()].copy_from_slice(values);
            part[values.len()..].fill(0.0);
        }
        self.fft.to_coefficients(re, im);
        let factor = scale / slots as f64;
        let mut magnitude: f64 = 0.0;
        for x in re.iter_mut().chain(im) {
            *x *= factor;
            magnitude = magnitude.max(x.abs());
        }
        if libm::log2(magnitude) >= available_bits.min(MAX_MAGNITUDE_BITS) {
            return Err(too_large(magnitude));
        }
        Ok(self.round(bytemuck::cast_slice(&buffer), magnitude < NARROW))
    }

    fn round(&self, coefficients: &[f64], narrow: bool) -> Integers {
        let ordered = self.transformed_at.iter().map(|&at| coefficients[at as usize]);
        if narrow {
            return Integers {
                low: ordered.map(round_narrow).collect(),
                high: Vec::new(),
            };
        }
        let cut = (1u64 << CUT_BITS) as f64;
        let (low, high) = ordered
            .map(|x| {
                let x = x.round_ties_even();
                let high = (x / cut).floor();
                ((x - high * cut) as i64, high as i64)
            })
            .unzip();
        Integers { low, high }
    }

    /// The slots of a polynomial, divided by `scale`: their real and their imaginary parts.
    ///
    /// `coefficients` come in the order of the kernels, and are wiped.
    pub(crate) fn to_slots(&self, coefficients: &mut [f64], scale: f64) -> [Vec<f64>; 2] {
        let slots = self.slots();
        let mut transformed = vec![0.0; 2 * slots];
        for (&at, &x) in self.transformed_at.iter().zip(coefficients.iter()) {
            transformed[at as usize] = x;
        }
        coefficients.zeroize();
        let (re, im) = transformed.split_at_mut(slots);
        self.fft.to_slots(re, im);
        transformed.iter_mut().for_each(|x| *x /= scale);
        let imaginary = transformed.split_off(slots);
        [transformed, imaginary]
    }
}

/// Rounds to the nearest integer, ties to even, for magnitudes below 2^51: the addition pushes the fraction out of the
/// mantissa, and the integer is what the bits differ by. The call behind `round_ties_even` costs ten times as much where
/// the baseline has no rounding instruction (x86-64).
fn round_narrow(x: f64) -> i64 {
    const SHIFT: f64 = 1.5 * (1u64 << 52) as f64;
    ((x + SHIFT).to_bits() as i64).wrapping_sub(SHIFT.to_bits() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn narrow_rounding_agrees_with_the_standard_library(x in -2.2e15..2.2e15f64, half in -1000i32..1000) {
            prop_assert_eq!(round_narrow(x), x.round_ties_even() as i64);
            let tie = f64::from(half) / 2.0;
            prop_assert_eq!(round_narrow(tie), tie.round_ties_even() as i64);
        }

        #[test]
        fn wide_coefficients_are_cut_exactly(x in -1e33..1e33f64) {
            let codec = SlotCodec::new(Kernels::best(), 4);
            let Integers { low, high } = codec.round(&[x; 16], false);
            let value = i128::from(high[3]) * (1 << CUT_BITS) + i128::from(low[3]);
            prop_assert_eq!(value, x.round_ties_even() as i128);
        }
    }

    #[test]
    fn slots_survive_up_to_rounding() {
        for log_n in [4, 7, 9, 11] {
            let codec = SlotCodec::new(Kernels::best(), log_n);
            let values: Vec<f64> = (0..codec.slots()).map(|i| libm::sin(i as f64) * 5.0).collect();
            let scale = (1u64 << 40) as f64;
            let integers = codec.integers(&values, scale, Level(0), 60.0).expect("small values");
            let mut coefficients: Vec<f64> = integers.low.iter().map(|&x| x as f64).collect();
            let [back, _] = codec.to_slots(&mut coefficients, scale);
            assert!(values.iter().zip(&back).all(|(a, b)| (a - b).abs() < 1e-9));
            assert!(coefficients.iter().all(|&x| x == 0.0), "wiped");
        }
    }

    #[test]
    fn refuses_what_it_cannot_represent() {
        let codec = SlotCodec::new(Kernels::best(), 4);
        let encode = |values: &[f64]| codec.integers(values, 1e6, Level(0), 40.0);
        assert!(matches!(
            encode(&[0.0; 9]),
            Err(EncodeError::TooManyValues { given: 9, slots: 8 })
        ));
        assert!(matches!(
            encode(&[0.0, f64::NAN]),
            Err(EncodeError::NotFinite { slot: 1 })
        ));
        assert!(encode(&[1e6]).is_ok());
        for large in [1e8, 1e30, 1e200, f64::MAX] {
            assert!(matches!(encode(&[large]), Err(EncodeError::TooLarge { .. })), "{large}");
        }
        assert!(encode(&[]).is_ok());
    }
}
