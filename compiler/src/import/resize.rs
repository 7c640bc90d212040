//! Resize and Upsample to the nearest element.

use super::select::{Axis, by_axis};
use super::shape;
use super::site::{Site, Stop, Value};
use super::table::Entry;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        op: "Resize",
        attributes: &[
            "antialias",
            "axes",
            "coordinate_transformation_mode",
            "cubic_coeff_a",
            "exclude_outside",
            "extrapolation_value",
            "keep_aspect_ratio_policy",
            "mode",
            "nearest_mode",
        ],
        limits: "mode nearest; constant scales or sizes; the batch axis stays 1",
        rule: resize,
    },
    Entry {
        op: "Upsample",
        attributes: &["mode", "scales"],
        limits: "mode nearest; constant scales; the batch axis stays 1",
        rule: upsample,
    },
];

/// Which position of the operand one of the result lies over, and how that is rounded.
#[derive(Clone, Copy)]
struct Mapping {
    coordinates: fn(Length) -> f64,
    round: fn(f64) -> f64,
}

/// One position of an axis of the result.
#[derive(Clone, Copy)]
struct Length {
    position: f64,
    scale: f64,
    before: f64,
    after: f64,
}

fn resize(site: &mut Site<'_>) -> Result<Value, Stop> {
    nearest_only(site)?;
    for name in ["antialias", "exclude_outside"] {
        site.only_int(name, 0, 0)?;
    }
    let policy = site.text("keep_aspect_ratio_policy", "stretch")?;
    if policy != "stretch" {
        let reason = format!("it is `{policy}`");
        return Err(site.refuse(Some("keep_aspect_ratio_policy"), reason, "only `stretch` is supported"));
    }
    let mapping = mapping(site)?;
    // Operand 1 is the region of interest from opset 11 on.
    let first = if site.opset < 11 { 1 } else { 2 };
    resized(site, mapping, (first, first + 1))
}

/// Up to opset 9, when it was a node of its own.
fn upsample(site: &mut Site<'_>) -> Result<Value, Stop> {
    nearest_only(site)?;
    let mapping = Mapping {
        coordinates: asymmetric,
        round: libm::floor,
    };
    if let Some(scales) = site.floats("scales")? {
        let scales: Vec<f64> = scales.into_iter().map(f64::from).collect();
        return by_axis(site, |site, shape| axes(site, shape, mapping, &Target::Scales(scales)));
    }
    resized(site, mapping, (1, usize::MAX))
}

fn nearest_only(site: &mut Site<'_>) -> Result<(), Stop> {
    match site.text("mode", "nearest")?.as_str() {
        "nearest" => Ok(()),
        other => {
            let reason = format!("it is `{other}`");
            let remedy = "only `nearest` is supported; export with nearest interpolation or a transposed convolution";
            Err(site.refuse(Some("mode"), reason, remedy))
        }
    }
}

fn asymmetric(at: Length) -> f64 {
    at.position / at.scale
}

fn half_pixel(at: Length) -> f64 {
    (at.position + 0.5) / at.scale - 0.5
}

fn mapping(site: &mut Site<'_>) -> Result<Mapping, Stop> {
    if site.opset < 11 {
        return Ok(Mapping {
            coordinates: asymmetric,
            round: libm::floor,
        });
    }
    let coordinates = site.text("coordinate_transformation_mode", "half_pixel")?;
    let coordinates: fn(Length) -> f64 = match coordinates.as_str() {
        "asymmetric" => asymmetric,
        "half_pixel" => half_pixel,
        "pytorch_half_pixel" => |at| if at.after > 1.0 { half_pixel(at) } else { 0.0 },
        "tf_half_pixel_for_nn" => |at| (at.position + 0.5) / at.scale,
        "align_corners" => |at| {
            if at.after > 1.0 {
                at.position * (at.before - 1.0) / (at.after - 1.0)
            } else {
                0.0
            }
        },
        other => {
            let known =
                "asymmetric, half_pixel, pytorch_half_pixel, tf_half_pixel_for_nn and align_corners are supported";
            return Err(site.refuse(
                Some("coordinate_transformation_mode"),
                format!("it is `{other}`"),
                known,
            ));
        }
    };
    let round: fn(f64) -> f64 = match site.text("nearest_mode", "round_prefer_floor")?.as_str() {
        "round_prefer_floor" => |x| libm::ceil(x - 0.5),
        "round_prefer_ceil" => |x| libm::floor(x + 0.5),
        "floor" => libm::floor,
        "ceil" => libm::ceil,
        other => {
            let known = "round_prefer_floor, round_prefer_ceil, floor and ceil are supported";
            return Err(site.refuse(Some("nearest_mode"), format!("it is `{other}`"), known));
        }
    };
    Ok(Mapping { coordinates, round })
}

/// What is asked for.
enum Target {
    Scales(Vec<f64>),
    Sizes(Vec<i64>),
}

fn resized(site: &mut Site<'_>, mapping: Mapping, (scales, sizes): (usize, usize)) -> Result<Value, Stop> {
    let given = if site.has_operand(scales) {
        site.constant(scales)?.values.clone()
    } else {
        Vec::new()
    };
    let target = if given.is_empty() {
        Target::Sizes(site.constant(sizes)?.to_integers())
    } else {
        Target::Scales(given)
    };
    by_axis(site, |site, shape| axes(site, shape, mapping, &target))
}

/// The positions of every axis; `axes` names those that the target is for.
fn axes(site: &mut Site<'_>, shape: &[usize], mapping: Mapping, target: &Target) -> Result<Vec<Axis>, Stop> {
    let count = match target {
        Target::Scales(scales) => scales.len(),
        Target::Sizes(sizes) => sizes.len(),
    };
    let mut places = Vec::with_capacity(count);
    match site.ints("axes")? {
        None => places.extend(0..shape.len()),
        Some(numbers) => {
            for number in numbers {
                places.push(shape::axis(site, number, shape.len())?);
            }
        }
    }
    if shape.contains(&0) {
        return Err(site.refuse(
            None,
            format!("its operand has shape {shape:?}"),
            "it has no elements to repeat",
        ));
    }
    let mut lengths: Vec<(usize, f64)> = shape.iter().map(|&length| (length, 1.0)).collect();
    for (index, &axis) in places.iter().enumerate() {
        let before = shape[axis] as f64;
        lengths[axis] = match target {
            Target::Scales(scales) => scales
                .get(index)
                .map(|&scale| (libm::floor(before * scale) as usize, scale)),
            Target::Sizes(sizes) => sizes
                .get(index)
                .map(|&size| (size.max(0) as usize, size as f64 / before)),
        }
        .filter(|_| count == places.len())
        .ok_or_else(|| {
            site.refuse(
                None,
                format!("it has {count} scales or sizes"),
                "one an axis is expected",
            )
        })?;
    }
    site.reserve(&lengths.iter().map(|length| length.0).collect::<Vec<_>>())?;
    let positions = |(&before, &(after, scale)): (&usize, &(usize, f64))| {
        let position = |index: usize| {
            let at = Length {
                position: index as f64,
                scale,
                before: before as f64,
                after: after as f64,
            };
            let nearest = (mapping.round)((mapping.coordinates)(at));
            // `as` takes what lies before the first element to it.
            (nearest as usize).min(before.saturating_sub(1))
        };
        (0..after).map(|index| Some(position(index))).collect()
    };
    Ok(shape.iter().zip(&lengths).map(positions).collect())
}
