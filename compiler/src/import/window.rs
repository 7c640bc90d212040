//! The geometry that convolutions and pools share: kernel, strides, dilations and padding.

use super::limits;
use super::site::{Site, Stop};

/// The attributes, read before the operand's shape is known.
pub(super) struct Geometry {
    auto_pad: String,
    kernel: Option<Vec<i64>>,
    strides: Option<Vec<i64>>,
    dilations: Option<Vec<i64>>,
    pads: Option<Vec<i64>>,
    /// Whether a window that starts inside but reaches beyond the padding counts.
    pub(super) ceil: bool,
}

/// A window over two axes; a single axis comes second, with a first axis of length 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) kernel: [usize; 2],
    pub(super) strides: [usize; 2],
    pub(super) dilations: [usize; 2],
    /// Top, left, bottom, right.
    pub(super) pads: [usize; 4],
    /// How many windows there are.
    pub(super) counts: [usize; 2],
    /// Whether rounding up made padding at the end that the model does not state.
    pub(super) overhangs: bool,
}

impl Geometry {
    pub(super) fn read(site: &mut Site<'_>) -> Result<Self, Stop> {
        Ok(Self {
            auto_pad: site.text("auto_pad", "NOTSET")?,
            kernel: site.ints("kernel_shape")?,
            strides: site.ints("strides")?,
            dilations: site.ints("dilations")?,
            pads: site.ints("pads")?,
            ceil: site.int("ceil_mode", 0)? != 0,
        })
    }

    /// The window over an operand of `[1, channels, spatial..]`; `kernel` if it is not an attribute.
    pub(super) fn window(
        &self,
        site: &mut Site<'_>,
        shape: &[usize],
        kernel: Option<&[usize]>,
    ) -> Result<Window, Stop> {
        let spatial = spatial(site, shape)?;
        let axes = shape.len() - 2;
        let kernel = match (kernel, &self.kernel) {
            (Some(kernel), None) => pair(kernel, axes),
            (Some(kernel), Some(given)) => {
                let given = lengths(site, "kernel_shape", Some(given), axes, 1)?;
                if given != pair(kernel, axes) {
                    let reason = format!("it is {given:?}, but the weights are for {kernel:?}");
                    return Err(site.refuse(Some("kernel_shape"), reason, "both must agree"));
                }
                given
            }
            (None, given) => lengths(site, "kernel_shape", given.as_ref(), axes, 1)?,
        };
        let strides = lengths(site, "strides", self.strides.as_ref(), axes, 1)?;
        let dilations = lengths(site, "dilations", self.dilations.as_ref(), axes, 1)?;
        let reach = [0, 1].map(|axis| (kernel[axis] - 1).saturating_mul(dilations[axis]).saturating_add(1));
        let pads = self.padding(site, axes, spatial, reach, strides)?;
        let mut window = Window {
            kernel,
            strides,
            dilations,
            pads,
            counts: [1; 2],
            overhangs: false,
        };
        for axis in 0..2 {
            self.count(site, &mut window, axis, spatial[axis], reach[axis])?;
        }
        Ok(window)
    }

    fn padding(
        &self,
        site: &mut Site<'_>,
        axes: usize,
        spatial: [usize; 2],
        reach: [usize; 2],
        strides: [usize; 2],
    ) -> Result<[usize; 4], Stop> {
        // What makes as many windows as strides fit.
        let total = |axis: usize| {
            ((spatial[axis].div_ceil(strides[axis]) - 1) * strides[axis])
                .saturating_add(reach[axis])
                .saturating_sub(spatial[axis])
        };
        let smaller = [total(0) / 2, total(1) / 2];
        let larger = [total(0) - smaller[0], total(1) - smaller[1]];
        match self.auto_pad.as_str() {
            "NOTSET" | "" => {
                let pads = self.pads.as_deref().unwrap_or_default();
                let (begin, end) = pads.split_at(pads.len() / 2);
                let begin = lengths(site, "pads", self.pads.as_ref().map(|_| begin), axes, 0)?;
                let end = lengths(site, "pads", self.pads.as_ref().map(|_| end), axes, 0)?;
                Ok([begin[0], begin[1], end[0], end[1]])
            }
            "VALID" => Ok([0; 4]),
            "SAME_UPPER" => Ok([smaller[0], smaller[1], larger[0], larger[1]]),
            "SAME_LOWER" => Ok([larger[0], larger[1], smaller[0], smaller[1]]),
            other => Err(site.refuse(
                Some("auto_pad"),
                format!("it is `{other}`"),
                "NOTSET, VALID, SAME_UPPER and SAME_LOWER are supported",
            )),
        }
    }

    /// Sets the number of windows of one axis, and the padding that rounding up adds.
    fn count(
        &self,
        site: &mut Site<'_>,
        window: &mut Window,
        axis: usize,
        length: usize,
        reach: usize,
    ) -> Result<(), Stop> {
        let stride = window.strides[axis];
        let padded = length + window.pads[axis] + window.pads[axis + 2];
        if reach > padded {
            return Err(site.refuse(
                None,
                format!("its window reaches over {reach} positions, but its padded operand has {padded}"),
                "use a smaller kernel or a larger input",
            ));
        }
        let mut count = (padded - reach) / stride + 1;
        if self.ceil {
            let rounded_up = (padded - reach).div_ceil(stride) + 1;
            // A window that starts in the padding at the end is left out.
            if (rounded_up - 1) * stride < length + window.pads[axis] {
                count = rounded_up;
            }
        }
        let needed = (count - 1) * stride + reach;
        if needed > padded {
            window.pads[axis + 2] += needed - padded;
            window.overhangs = true;
        }
        window.counts[axis] = count;
        Ok(())
    }
}

/// The two spatial axes of `[1, channels, spatial..]`.
pub(super) fn spatial(site: &mut Site<'_>, shape: &[usize]) -> Result<[usize; 2], Stop> {
    match *shape {
        [_, _, width] => Ok([1, width]),
        [_, _, height, width] => Ok([height, width]),
        _ => Err(site.refuse(
            None,
            format!("its operand has shape {shape:?}"),
            "one or two spatial axes are supported: [1, channels, length] or [1, channels, height, width]",
        )),
    }
}

/// The list of an attribute, one entry an axis, at least `least`; ones or zeros if it is not given.
pub(super) fn lengths<'a>(
    site: &mut Site<'_>,
    name: &str,
    given: Option<impl AsRef<[i64]> + 'a>,
    axes: usize,
    least: usize,
) -> Result<[usize; 2], Stop> {
    let Some(given) = given else {
        return Ok([least; 2]);
    };
    let given = given.as_ref();
    let accepted: Option<Vec<usize>> = (given.iter())
        .map(|&length| {
            usize::try_from(length)
                .ok()
                .filter(|length| (least..limits::ELEMENTS).contains(length))
        })
        .collect();
    match accepted {
        Some(accepted) if accepted.len() == axes => Ok(if axes == 1 {
            [least, accepted[0]]
        } else {
            [accepted[0], accepted[1]]
        }),
        _ => Err(site.refuse(
            Some(name),
            format!("it has the entries {given:?}"),
            format!("expected {axes} entries a side of at least {least}"),
        )),
    }
}

fn pair(kernel: &[usize], axes: usize) -> [usize; 2] {
    if axes == 1 {
        [1, kernel[0]]
    } else {
        [kernel[0], kernel[1]]
    }
}
