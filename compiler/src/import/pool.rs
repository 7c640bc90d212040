//! Pools: means and maxima over windows and over all positions.

use super::conv::emit;
use super::site::{Site, Stop, Value};
use super::table::Entry;
use super::window::{Geometry, Window};
use crate::nn::{Op, Pool};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        op: "AveragePool",
        attributes: &[
            "auto_pad",
            "ceil_mode",
            "count_include_pad",
            "dilations",
            "kernel_shape",
            "pads",
            "strides",
        ],
        limits: "one or two spatial axes; no dilation; ceil_mode not with count_include_pad",
        rule: average_pool,
    },
    Entry {
        op: "MaxPool",
        attributes: &[
            "auto_pad",
            "ceil_mode",
            "dilations",
            "kernel_shape",
            "pads",
            "storage_order",
            "strides",
        ],
        limits: "one or two spatial axes; no dilation; no indices",
        rule: max_pool,
    },
    Entry {
        op: "GlobalAveragePool",
        attributes: &[],
        limits: "one or two spatial axes",
        rule: global_average_pool,
    },
];

fn average_pool(site: &mut Site<'_>) -> Result<Value, Stop> {
    let counts_padding = site.int("count_include_pad", 0)? != 0;
    let (geometry, x) = (Geometry::read(site)?, site.computed(0)?);
    let window = geometry.window(site, &x.shape, None)?;
    if counts_padding && window.overhangs {
        return Err(site.refuse(
            Some("ceil_mode"),
            "a window reaches beyond the padding while padding counts",
            "set ceil_mode or count_include_pad to 0: the versions of ONNX disagree about this case",
        ));
    }
    let pool = pool(site, &window, counts_padding)?;
    emit(site, Op::AveragePool(pool), x.id, &x.shape, x.shape[1], &window)
}

fn max_pool(site: &mut Site<'_>) -> Result<Value, Stop> {
    let geometry = Geometry::read(site)?;
    if site.node.output.get(1).is_some_and(|name| !name.is_empty()) {
        return Err(site.refuse(None, "its indices are an output", "only the maxima are supported"));
    }
    let x = site.computed(0)?;
    let window = geometry.window(site, &x.shape, None)?;
    let pool = pool(site, &window, false)?;
    emit(site, Op::MaxPool(pool), x.id, &x.shape, x.shape[1], &window)
}

fn pool(site: &mut Site<'_>, window: &Window, count_include_pad: bool) -> Result<Pool, Stop> {
    if window.dilations != [1, 1] {
        let reason = format!("they are {:?}", window.dilations);
        return Err(site.refuse(Some("dilations"), reason, "only 1 is supported"));
    }
    if (0..4).any(|side| window.pads[side] >= window.kernel[side % 2]) {
        return Err(site.refuse(
            Some("pads"),
            format!("a window of {:?} lies in the padding {:?}", window.kernel, window.pads),
            "padding must be smaller than the kernel",
        ));
    }
    Ok(Pool {
        kernel: window.kernel,
        strides: window.strides,
        pads: window.pads,
        count_include_pad,
    })
}

fn global_average_pool(site: &mut Site<'_>) -> Result<Value, Stop> {
    let x = site.computed(0)?;
    let [height, width] = super::window::spatial(site, &x.shape)?;
    let plane = site.reshaped(x.id, &[x.shape[1], height, width])?;
    let result = site.push_sample(Op::GlobalAveragePool, &[plane], &[x.shape[1], 1, 1])?;
    if x.shape.len() == 4 {
        return Ok(Value::computed(result, vec![1, x.shape[1], 1, 1]));
    }
    site.emit(Op::Reshape, &[result], &[1, x.shape[1], 1])
}
