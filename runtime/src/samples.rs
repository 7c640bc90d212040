//! From a tensor to checked samples: shape, finite values, normalization of integer data, calibrated range.

use heron_plan::{CalibratedRange, InputSpec, Normalization};

use crate::files::Tensor;
use crate::sessions::SessionError;

/// What to do with values outside the calibrated range, or outputs outside the plan's bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangePolicy {
    /// Refuse.
    Refuse,
    /// Go on; the results may mean nothing.
    AllowOutOfRange,
}

/// Samples as the network takes them.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// The elements of each sample, row-major.
    pub values: Vec<Vec<f64>>,
}

/// Makes samples of a tensor.
///
/// # Shapes
/// `tensor`: one sample's shape, or that with a leading axis of samples.
///
/// # Errors
/// [`SessionError::Shape`], [`SessionError::NoSamples`], [`SessionError::NotFinite`], [`SessionError::OutOfRange`].
pub fn prepare(spec: &InputSpec, tensor: &Tensor, policy: RangePolicy) -> Result<Samples, SessionError> {
    let len: usize = spec.shape.iter().product();
    let single = tensor.shape == spec.shape;
    if !single && tensor.shape.get(1..) != Some(spec.shape.as_slice()) {
        let (input, found, accepted) = (spec.name.clone(), tensor.shape.clone(), spec.shape.clone());
        return Err(SessionError::Shape { input, found, accepted });
    }
    let mut flat = tensor.to_f64();
    if flat.is_empty() || len == 0 {
        return Err(SessionError::NoSamples {
            input: spec.name.clone(),
        });
    }
    if let Some(normalization) = spec.normalization.as_ref().filter(|_| tensor.is_integer()) {
        flat.chunks_mut(len)
            .try_for_each(|sample| normalize(normalization, spec, sample))?;
    }
    let values: Vec<Vec<f64>> = flat.chunks(len).map(<[f64]>::to_vec).collect();
    check_finite(spec, &values)?;
    if policy == RangePolicy::Refuse {
        check_range(spec, &values)?;
    }
    Ok(Samples { values })
}

fn normalize(normalization: &Normalization, spec: &InputSpec, sample: &mut [f64]) -> Result<(), SessionError> {
    let Normalization { scale, mean, std } = normalization;
    let channels = mean.len();
    let per_channel = spec.shape.first() == Some(&channels);
    if std.len() != channels || channels == 0 || (channels != 1 && !per_channel) {
        return Err(SessionError::BadSpec {
            reason: "its normalization does not fit its input shape",
        });
    }
    let channel_len = sample.len() / channels;
    for (channel, values) in sample.chunks_mut(channel_len).enumerate() {
        values
            .iter_mut()
            .for_each(|x| *x = (*x * scale - mean[channel]) / std[channel]);
    }
    Ok(())
}

/// The first element that fails a test, and how many do.
fn failing(sample: &[f64], fails: impl Fn(f64) -> bool) -> Option<(usize, usize)> {
    let element = sample.iter().position(|&x| fails(x))?;
    Some((element, sample.iter().filter(|&&x| fails(x)).count()))
}

fn check_finite(spec: &InputSpec, values: &[Vec<f64>]) -> Result<(), SessionError> {
    for (sample, elements) in values.iter().enumerate() {
        if let Some((element, count)) = failing(elements, |x| !x.is_finite()) {
            return Err(SessionError::NotFinite {
                input: spec.name.clone(),
                sample,
                element,
                count,
            });
        }
    }
    Ok(())
}

fn check_range(spec: &InputSpec, values: &[Vec<f64>]) -> Result<(), SessionError> {
    let CalibratedRange { min, max } = spec.range;
    let outside = |sample: &Vec<f64>| failing(sample, |x| !(min..=max).contains(&x));
    let mut failed = values
        .iter()
        .enumerate()
        .filter_map(|(sample, v)| outside(v).map(|found| (sample, found)));
    let Some((sample, (element, count))) = failed.next() else {
        return Ok(());
    };
    let samples = 1 + failed.count();
    Err(SessionError::OutOfRange {
        input: spec.name.clone(),
        samples,
        sample,
        element,
        count,
        min,
        max,
    })
}

#[cfg(test)]
mod tests {
    use heron_plan::VectorLayout;

    use super::*;
    use crate::files::Elements;

    fn spec(shape: &[usize], normalization: Option<Normalization>) -> InputSpec {
        let len = shape.iter().product::<usize>() as u32;
        InputSpec {
            name: "image".to_owned(),
            shape: shape.to_vec(),
            layout: VectorLayout::vector(len, len),
            normalization,
            range: CalibratedRange { min: -1.0, max: 2.0 },
        }
    }

    fn floats(shape: &[usize], values: &[f64]) -> Tensor {
        Tensor {
            shape: shape.to_vec(),
            elements: Elements::F64(values.to_vec()),
        }
    }

    #[test]
    fn normalizes_integers_per_channel_and_leaves_floats_alone() {
        let halves = Normalization {
            scale: 0.5,
            mean: vec![1.0, 0.0],
            std: vec![2.0, 4.0],
        };
        let spec = spec(&[2, 2], Some(halves));
        let bytes = Tensor {
            shape: vec![1, 2, 2],
            elements: Elements::U8(vec![2, 4, 8, 0]),
        };
        let samples = prepare(&spec, &bytes, RangePolicy::Refuse).expect("within range");
        assert_eq!(samples.values, [[0.0, 0.5, 1.0, 0.0]]);
        let same = floats(&[2, 2], &[2.0, 1.0, 0.5, 0.0]);
        let samples = prepare(&spec, &same, RangePolicy::Refuse).expect("within range");
        assert_eq!(samples.values, [[2.0, 1.0, 0.5, 0.0]]);
    }

    #[test]
    fn a_leading_axis_is_a_batch_and_other_shapes_are_refused() {
        let spec = spec(&[2], None);
        let batch = prepare(&spec, &floats(&[3, 2], &[0.0; 6]), RangePolicy::Refuse).expect("three samples");
        assert_eq!(batch.values.len(), 3);
        for shape in [&[6][..], &[1, 3, 2], &[2, 3], &[]] {
            let n = shape.iter().product::<usize>();
            let refused = prepare(&spec, &floats(shape, &vec![0.0; n]), RangePolicy::Refuse);
            assert!(matches!(refused, Err(SessionError::Shape { .. })), "{shape:?}");
        }
        let none = prepare(&spec, &floats(&[0, 2], &[]), RangePolicy::Refuse);
        assert!(matches!(none, Err(SessionError::NoSamples { .. })));
    }

    #[test]
    fn names_the_first_value_that_is_not_finite_even_when_ranges_are_allowed() {
        let spec = spec(&[2], None);
        let tensor = floats(&[2, 2], &[0.0, 1.0, f64::INFINITY, f64::NAN]);
        let refused = prepare(&spec, &tensor, RangePolicy::AllowOutOfRange);
        let expected = SessionError::NotFinite {
            input: "image".to_owned(),
            sample: 1,
            element: 0,
            count: 2,
        };
        assert_eq!(refused, Err(expected));
    }

    #[test]
    fn refuses_values_outside_the_calibrated_range_unless_told() {
        let spec = spec(&[2], None);
        let tensor = floats(&[3, 2], &[0.0, 2.0, 0.0, 2.1, -1.1, 9.0]);
        let refused = prepare(&spec, &tensor, RangePolicy::Refuse).expect_err("two samples are outside");
        assert_eq!(refused.kind(), crate::ErrorKind::OutOfRange);
        assert!(matches!(
            refused,
            SessionError::OutOfRange {
                samples: 2,
                sample: 1,
                element: 1,
                count: 1,
                ..
            }
        ));
        let allowed = prepare(&spec, &tensor, RangePolicy::AllowOutOfRange).expect("allowed");
        assert_eq!(allowed.values[2], [-1.1, 9.0]);
    }
}
