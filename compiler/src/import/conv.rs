//! Convolutions over one or two axes.

use std::sync::Arc;

use ndarray::{Array1, Array4};

use super::limits;
use super::site::{Site, Stop, Value};
use super::table::Entry;
use super::window::{Geometry, Window};
use crate::graph::NodeId;
use crate::nn::{Conv, Op};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    op: "Conv",
    attributes: &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"],
    limits: "one or two spatial axes; constant weights",
    rule: conv,
}];

fn conv(site: &mut Site<'_>) -> Result<Value, Stop> {
    let geometry = Geometry::read(site)?;
    let groups = site.int("group", 1)?;
    let weights = site.constant(1)?;
    let bias = if site.has_operand(2) {
        Some(site.constant(2)?)
    } else {
        None
    };
    let x = site.computed(0)?;
    if weights.shape.len() != x.shape.len() || weights.shape.len() < 3 || weights.values.is_empty() {
        return Err(site.refuse(
            None,
            format!(
                "its operand has shape {:?} and its weights {:?}",
                x.shape, weights.shape
            ),
            "expected [1, channels, height, width] and [out, channels / group, height, width], or one axis less",
        ));
    }
    let window = geometry.window(site, &x.shape, Some(&weights.shape[2..]))?;
    let (outputs, per_group) = (weights.shape[0], weights.shape[1]);
    let groups = usize::try_from(groups)
        .ok()
        .filter(|&groups| groups > 0 && outputs % groups == 0);
    let Some(groups) = groups.filter(|&groups| groups.checked_mul(per_group) == Some(x.shape[1])) else {
        return Err(site.refuse(
            Some("group"),
            format!(
                "its operand has {} channels, its weights shape {:?}",
                x.shape[1], weights.shape
            ),
            "the groups must divide the channels on both sides",
        ));
    };
    let bias = match bias {
        Some(bias) if bias.values.len() == outputs => Array1::from(bias.values.clone()),
        None => Array1::zeros(outputs),
        Some(bias) => {
            let reason = format!("its bias has shape {:?}", bias.shape);
            return Err(site.refuse(None, reason, format!("expected [{outputs}]")));
        }
    };
    let kernel = (outputs, per_group, window.kernel[0], window.kernel[1]);
    let op = Op::Conv(Conv {
        weights: Arc::new(
            Array4::from_shape_vec(kernel, weights.values.clone()).expect("the window has the weights' kernel"),
        ),
        bias: bias.into_shared(),
        strides: window.strides,
        pads: window.pads,
        dilations: window.dilations,
        groups,
    });
    emit(site, op, x.id, &x.shape, outputs, &window)
}

/// Appends a node over `[channels, height, width]`, with reshapes around it if the ONNX node has one spatial axis.
pub(super) fn emit(
    site: &mut Site<'_>,
    op: Op,
    x: NodeId,
    shape: &[usize],
    channels: usize,
    window: &Window,
) -> Result<Value, Stop> {
    let [height, width] = super::window::spatial(site, shape)?;
    let [top, left, bottom, right] = window.pads;
    let padded = [shape[1], height + top + bottom, width + left + right];
    if limits::elements(&padded).is_none() {
        let reason = format!("its padded operand would have shape {padded:?}");
        return Err(site.refuse(Some("pads"), reason, format!("at most {} elements", limits::ELEMENTS)));
    }
    let plane = site.reshaped(x, &[shape[1], height, width])?;
    if shape.len() == 4 {
        return site.emit(op, &[plane], &[1, channels, window.counts[0], window.counts[1]]);
    }
    let result = site.push_sample(op, &[plane], &[channels, 1, window.counts[1]])?;
    site.emit(Op::Reshape, &[result], &[1, channels, window.counts[1]])
}
