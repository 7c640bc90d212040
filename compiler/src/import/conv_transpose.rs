//! Transposed convolutions: the operand is spread by the strides, with zeros between, and convolved.

use std::sync::Arc;

use ndarray::{Array1, Array4};

use super::select::{emit, numbered, taken, whole};
use super::site::{Computed, Site, Stop, Value};
use super::table::Entry;
use super::window::{lengths, spatial};
use crate::nn::{Conv, Op};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    op: "ConvTranspose",
    attributes: &[
        "auto_pad",
        "dilations",
        "group",
        "kernel_shape",
        "output_padding",
        "output_shape",
        "pads",
        "strides",
    ],
    limits: "one or two spatial axes; constant weights; explicit pads",
    rule: conv_transpose,
}];

/// One axis of the operand on its way to the convolution.
struct Spread {
    /// Where the first position of the operand comes to lie; may be before the beginning.
    start: i64,
    stride: i64,
    /// How long the axis becomes.
    length: usize,
}

fn conv_transpose(site: &mut Site<'_>) -> Result<Value, Stop> {
    let auto_pad = site.text("auto_pad", "NOTSET")?;
    if !matches!(auto_pad.as_str(), "NOTSET" | "VALID" | "") || site.ints("output_shape")?.is_some() {
        return Err(site.refuse(
            Some("auto_pad"),
            "its padding follows from the shape of the result",
            "export it with explicit pads and output_padding",
        ));
    }
    let groups = site.int("group", 1)?;
    let weights = site.constant(1)?;
    let bias = if site.has_operand(2) {
        Some(site.constant(2)?)
    } else {
        None
    };
    let x = site.computed(0)?;
    let plane = spatial(site, &x.shape)?;
    let groups = usize::try_from(groups)
        .ok()
        .filter(|&groups| groups > 0 && x.shape[1] % groups == 0);
    let fits = weights.shape.len() == x.shape.len() && weights.shape[0] == x.shape[1] && !weights.values.is_empty();
    let (Some(groups), true) = (groups, fits) else {
        return Err(site.refuse(
            None,
            format!(
                "its operand has shape {:?} and its weights {:?}",
                x.shape, weights.shape
            ),
            "expected [1, channels, height, width] and [channels, out / group, height, width], or one axis less",
        ));
    };
    let kernel = match weights.shape[2..] {
        [width] => [1, width],
        [height, width] => [height, width],
        _ => return Err(Stop),
    };
    let outputs = weights.shape[1] * groups;
    let (spread, dilations) = spreads(site, plane, kernel)?;
    let array = Array4::from_shape_vec(
        (x.shape[1], weights.shape[1], kernel[0], kernel[1]),
        weights.values.clone(),
    )
    .expect("the kernel is the weights' shape");
    let bias = match bias {
        Some(bias) if bias.values.len() == outputs => Array1::from(bias.values.clone()),
        None => Array1::zeros(outputs),
        Some(bias) => {
            let reason = format!("its bias has shape {:?}", bias.shape);
            return Err(site.refuse(None, reason, format!("expected [{outputs}]")));
        }
    };
    let conv = Conv {
        weights: Arc::new(turned(&array, groups)),
        bias: bias.into_shared(),
        strides: [1; 2],
        pads: [0; 4],
        dilations,
        groups,
    };
    convolved(site, &x, plane, &spread, conv)
}

/// How both axes are spread, and the dilations.
fn spreads(site: &mut Site<'_>, plane: [usize; 2], kernel: [usize; 2]) -> Result<([Spread; 2], [usize; 2]), Stop> {
    let axes = site.node_axes(1)?;
    let given = |site: &mut Site<'_>, name: &str, least: usize| {
        let list = site.ints(name)?;
        lengths(site, name, list, axes, least)
    };
    let (strides, dilations) = (given(site, "strides", 1)?, given(site, "dilations", 1)?);
    let after = given(site, "output_padding", 0)?;
    let pads = site.ints("pads")?.unwrap_or_else(|| vec![0; 2 * axes]);
    let (begin, end) = pads.split_at(pads.len() / 2);
    let begin = lengths(site, "pads", Some(begin), axes, 0)?;
    let end = lengths(site, "pads", Some(end), axes, 0)?;
    let axis = |axis: usize| {
        let reach = (kernel[axis] - 1) * dilations[axis];
        let whole = (plane[axis] - 1) * strides[axis] + 1 + 2 * reach + after[axis];
        let length = whole
            .checked_sub(begin[axis] + end[axis])
            .filter(|&length| length > reach)?;
        Some(Spread {
            start: reach as i64 - begin[axis] as i64,
            stride: strides[axis] as i64,
            length,
        })
    };
    match (axis(0), axis(1)) {
        (Some(rows), Some(columns)) => Ok(([rows, columns], dilations)),
        _ => Err(site.refuse(Some("pads"), "they take the whole result away", "use smaller pads")),
    }
}

/// The kernels with both axes reversed, as a convolution takes them: outputs first.
fn turned(weights: &Array4<f64>, groups: usize) -> Array4<f64> {
    let (inputs, group_outputs, height, width) = weights.dim();
    let group_inputs = inputs / groups;
    let shape = (group_outputs * groups, group_inputs, height, width);
    Array4::from_shape_fn(shape, |(output, input, row, column)| {
        let source = output / group_outputs * group_inputs + input;
        weights[[source, output % group_outputs, height - 1 - row, width - 1 - column]]
    })
}

/// The convolution of the spread operand. Without gaps, what is spread is padding.
fn convolved(
    site: &mut Site<'_>,
    x: &Computed,
    plane: [usize; 2],
    spread: &[Spread; 2],
    mut conv: Conv,
) -> Result<Value, Stop> {
    let shape = [1, x.shape[1], plane[0], plane[1]];
    let image = Computed {
        id: site.reshaped(x.id, &shape[1..])?,
        shape: shape.to_vec(),
        tail: Vec::new(),
    };
    let end = |axis: usize| spread[axis].length as i64 - spread[axis].start - plane[axis] as i64;
    let dense =
        (0..2).all(|axis| (spread[axis].stride == 1 || plane[axis] == 1) && spread[axis].start >= 0 && end(axis) >= 0);
    let lengths = [1, x.shape[1], spread[0].length, spread[1].length];
    site.reserve(&lengths)?;
    let operand = if dense {
        conv.pads = [spread[0].start, spread[1].start, end(0), end(1)].map(|pad| pad as usize);
        image.id
    } else {
        let mut axes = whole(&shape);
        for (axis, spread) in spread.iter().enumerate() {
            axes[2 + axis] = vec![None; spread.length];
            for index in 0..plane[axis] {
                let place = usize::try_from(spread.start + index as i64 * spread.stride).ok();
                if let Some(place) = place.and_then(|place| axes[2 + axis].get_mut(place)) {
                    *place = Some(index);
                }
            }
        }
        match emit(site, &image, &taken(&numbered(&shape), &axes))? {
            Value::Computed(spread) => spread.id,
            Value::Constant(_) | Value::Unknown => return Err(Stop),
        }
    };
    let (outputs, _, height, width) = conv.weights.dim();
    let reach = [(height - 1) * conv.dilations[0], (width - 1) * conv.dilations[1]];
    let result = [outputs, spread[0].length - reach[0], spread[1].length - reach[1]];
    let id = site.push_sample(Op::Conv(conv), &[operand], &result)?;
    if x.shape.len() == 4 {
        return Ok(Value::computed(id, [&[1], result.as_slice()].concat()));
    }
    site.emit(Op::Reshape, &[id], &[1, outputs, result[2]])
}
