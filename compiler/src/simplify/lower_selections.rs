//! Turns selections that are left into convolutions or dense layers: only linear layers are packed.
//!
//! ```text
//! %1 = select(%0, channels, every n-th row, a border of zeros)  →  %1 = conv(%0, kernels with a single 1)
//! %1 = select(%0, anything else)                                →  %1 = dense(%0, rows with a single 1)
//! ```
//!
//! Leaves a selection that as a dense layer would have more than [`MAX_DENSE`] weights: packing refuses it by name.

use std::sync::Arc;

use ndarray::{Array1, Array2, Array4};

use super::merge_selections::MAX_DENSE;
use super::{Pass, keep, rebuild};
use crate::graph::{Graph, GraphBuilder, Node, NodeId};
use crate::nn::{Conv, Op, Select};

pub(super) const PASS: Pass = Pass {
    name: "lower-selections",
    run,
};

fn run(graph: &Graph<Op>) -> Graph<Op> {
    rebuild(graph, |out, _, node, args| {
        let Op::Select(select) = &node.op else {
            return keep(out, node, args);
        };
        let shape = out.node(args[0]).shape.clone();
        if let Some(conv) = as_convolution(select, &shape, &node.shape) {
            return out.push(&node.name, Op::Conv(conv), args, &node.shape);
        }
        as_dense(out, node, select, args[0]).unwrap_or_else(|| keep(out, node, args))
    })
}

fn as_dense(out: &mut GraphBuilder<Op>, node: &Node<Op>, select: &Select, operand: NodeId) -> Option<NodeId> {
    let before = out.node(operand).clone();
    let count = node.len().checked_mul(before.len())?;
    if count > MAX_DENSE {
        return None;
    }
    let mut weights = Array2::zeros((node.len(), before.len()));
    for (row, source) in select.sources.iter().enumerate() {
        if let Some(source) = source {
            weights[[row, *source as usize]] = 1.0;
        }
    }
    let op = Op::Dense {
        weights: weights.into_shared(),
        bias: Array1::zeros(node.len()).into_shared(),
    };
    let reshaped = |out: &mut GraphBuilder<Op>, id: NodeId, shape: &[usize]| {
        if out.node(id).shape == shape {
            id
        } else {
            out.push(&node.name, Op::Reshape, &[id], shape)
        }
    };
    let flat = reshaped(out, operand, &[before.len()]);
    let moved = out.push(&node.name, op, &[flat], &[node.len()]);
    Some(reshaped(out, moved, &node.shape))
}

/// One axis of a convolution with a single tap.
#[derive(Clone, Copy)]
struct Axis {
    stride: usize,
    /// Zeros before and after.
    pads: [usize; 2],
    kernel: usize,
    tap: usize,
}

/// The selection as a convolution, if channels, rows and columns are selected independently, rows and columns at one
/// distance.
fn as_convolution(select: &Select, shape: &[usize], result: &[usize]) -> Option<Conv> {
    let (&[channels, height, width], &[outputs, rows, columns]) = (shape, result) else {
        return None;
    };
    let area = height * width;
    let source = |output: usize, row: usize, column: usize| {
        let found = select.sources[(output * rows + row) * columns + column]? as usize;
        Some((found / area, found % area / width, found % width))
    };
    let positions = || (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    let channel_of: Vec<Option<usize>> = (0..outputs)
        .map(|output| {
            positions()
                .find_map(|(row, column)| source(output, row, column))
                .map(|found| found.0)
        })
        .collect();
    let first = channel_of.iter().position(Option::is_some)?;
    let row_of: Vec<Option<usize>> = (0..rows)
        .map(|row| {
            (0..columns)
                .find_map(|column| source(first, row, column))
                .map(|found| found.1)
        })
        .collect();
    let column_of: Vec<Option<usize>> = (0..columns)
        .map(|column| {
            (0..rows)
                .find_map(|row| source(first, row, column))
                .map(|found| found.2)
        })
        .collect();
    let independent = (0..outputs).all(|output| {
        positions().all(|(row, column)| {
            let expected = channel_of[output].zip(row_of[row]).zip(column_of[column]);
            source(output, row, column) == expected.map(|((channel, row), column)| (channel, row, column))
        })
    });
    if !independent {
        return None;
    }
    let axes = [axis(&row_of, height)?, axis(&column_of, width)?];
    Some(single_taps(channels, &channel_of, axes))
}

/// Positions at one distance, all of those that lie inside the axis.
fn axis(positions: &[Option<usize>], length: usize) -> Option<Axis> {
    let first = positions.iter().position(Option::is_some)?;
    let origin = positions[first]?;
    let stride = match positions.get(first + 1) {
        Some(&Some(next)) => next.checked_sub(origin).filter(|&stride| stride > 0)?,
        // Alone: its neighbours lie outside.
        Some(None) => length,
        None if first > 0 => length,
        None => 1,
    };
    let offset = origin as i64 - (first * stride) as i64;
    let place = |index: usize| {
        let place = usize::try_from(offset + (index * stride) as i64).ok();
        place.filter(|&place| place < length)
    };
    if (0..positions.len()).any(|index| positions[index] != place(index)) {
        return None;
    }
    let (before, tap) = (offset.min(0).unsigned_abs() as usize, offset.max(0) as usize);
    let span = (positions.len() - 1) * stride;
    let needed = span + tap + 1;
    let padded = length + before;
    // The kernel grows over what is cut off at the end.
    let kernel = if needed > padded { tap + 1 } else { padded - span };
    Some(Axis {
        stride,
        pads: [before, needed.saturating_sub(padded)],
        kernel,
        tap,
    })
}

fn single_taps(channels: usize, channel_of: &[Option<usize>], [rows, columns]: [Axis; 2]) -> Conv {
    let outputs = channel_of.len();
    let each = outputs == channels
        && channel_of
            .iter()
            .enumerate()
            .all(|(output, &channel)| channel == Some(output));
    let mut weights = Array4::zeros((outputs, if each { 1 } else { channels }, rows.kernel, columns.kernel));
    for (output, channel) in channel_of.iter().enumerate() {
        if let Some(channel) = channel {
            weights[[output, if each { 0 } else { *channel }, rows.tap, columns.tap]] = 1.0;
        }
    }
    Conv {
        weights: Arc::new(weights),
        bias: Array1::zeros(outputs).into_shared(),
        strides: [rows.stride, columns.stride],
        pads: [rows.pads[0], columns.pads[0], rows.pads[1], columns.pads[1]],
        dilations: [1; 2],
        groups: if each { channels } else { 1 },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{check, check_unchanged, graph, same_meaning};
    use super::*;

    /// Channels, rows and columns of an image of `shape`, each selected alone.
    fn grid(
        shape: [usize; 3],
        channels: &[Option<usize>],
        rows: &[Option<usize>],
        columns: &[Option<usize>],
    ) -> Select {
        let mut sources = Vec::new();
        for channel in channels {
            for row in rows {
                for column in columns {
                    let place = channel.zip(*row).zip(*column);
                    sources.push(place.map(|((c, r), l)| ((c * shape[1] + r) * shape[2] + l) as u32));
                }
            }
        }
        Select {
            sources: sources.into(),
        }
    }

    fn some(positions: &[usize]) -> Vec<Option<usize>> {
        positions.iter().copied().map(Some).collect()
    }

    #[test]
    fn crops_strides_borders_and_channels_become_convolutions() {
        let before = graph(&[3, 5, 6], |out, x| {
            let crop = grid([3, 5, 6], &some(&[0, 1, 2]), &some(&[1, 3]), &some(&[2, 3, 4]));
            let crop = out.push("crop", Op::Select(crop), &[x], &[3, 2, 3]);
            let border = grid([3, 2, 3], &some(&[2, 0]), &[None, Some(0), Some(1)], &some(&[0, 1, 2]));
            out.push("border", Op::Select(border), &[crop], &[2, 3, 3])
        });
        check(&PASS, "lower_selections_grids", &before);
    }

    #[test]
    fn other_selections_become_dense() {
        let before = graph(&[2, 2, 2], |out, x| {
            let twice = grid([2, 2, 2], &some(&[0, 1]), &some(&[0, 0, 1, 1]), &some(&[0, 0, 1, 1]));
            out.push("twice", Op::Select(twice), &[x], &[2, 4, 4])
        });
        check(&PASS, "lower_selections_dense", &before);
    }

    #[test]
    fn keeps_what_would_be_too_large_a_matrix() {
        let before = graph(&[3000], |out, x| {
            let backwards = Select {
                sources: (0..3000).rev().map(Some).collect(),
            };
            out.push("backwards", Op::Select(backwards), &[x], &[3000])
        });
        check_unchanged(&PASS, &before);
    }

    /// Positions from `start` on at a distance, some of them before or behind the axis.
    fn positions(length: usize) -> impl Strategy<Value = Vec<Option<usize>>> {
        (-3i64..4, 1i64..4, 1usize..6).prop_map(move |(start, stride, count)| {
            let place = |index: usize| usize::try_from(start + index as i64 * stride).ok();
            (0..count)
                .map(|index| place(index).filter(|&place| place < length))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn any_grid_means_the_same_after_it(
            channels in prop::collection::vec(prop::option::of(0usize..2), 1..4), rows in positions(4), columns in positions(5),
        ) {
            let select = grid([2, 4, 5], &channels, &rows, &columns);
            let regular = select.sources.iter().any(Option::is_some);
            let shape = [channels.len(), rows.len(), columns.len()];
            let before = graph(&[2, 4, 5], |out, x| out.push("grid", Op::Select(select), &[x], &shape));
            let after = (PASS.run)(&before);
            same_meaning(&before, &after);
            prop_assert_eq!(regular, after.iter().any(|(_, node)| matches!(node.op, Op::Conv(_))));
        }

        #[test]
        fn any_selection_means_the_same_after_it(
            sources in prop::collection::vec(prop::option::of(0u32..12), 24),
        ) {
            let select = Select { sources: sources.into() };
            let before = graph(&[2, 2, 3], |out, x| out.push("any", Op::Select(select), &[x], &[2, 3, 4]));
            same_meaning(&before, &(PASS.run)(&before));
        }
    }
}
