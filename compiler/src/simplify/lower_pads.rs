//! Turns zero padding of images into convolutions by one: the pass after merges them into their neighbours.
//!
//! ```text
//! %1 = pad(%0, rows and columns)   →   %1 = conv(%0, 1x1 of ones, one group a channel, padded)
//! %1 = pad(%0, channels too)       →   %1 = conv(%0, 1x1: an identity with zero rows around it, padded)
//! ```
//!
//! Leaves padding by other values, and of what is no image, alone: packing refuses it by name.

use std::sync::Arc;

use ndarray::{Array1, Array4};

use super::{Pass, keep, rebuild};
use crate::graph::Graph;
use crate::nn::{Conv, Op, Pad};

pub(super) const PASS: Pass = Pass {
    name: "lower-pads",
    run,
};

fn run(graph: &Graph<Op>) -> Graph<Op> {
    rebuild(graph, |out, _, node, args| match &node.op {
        Op::Pad(pad) if pad.value == 0.0 && pad.amounts.len() == 3 => {
            let channels = out.node(args[0]).shape[0];
            out.push(&node.name, Op::Conv(embedding(pad, channels)), args, &node.shape)
        }
        _ => keep(out, node, args),
    })
}

/// Copies every channel into a larger image, and between channels of zeros.
fn embedding(pad: &Pad, channels: usize) -> Conv {
    let [(before, after), (top, bottom), (left, right)] = [pad.amounts[0], pad.amounts[1], pad.amounts[2]];
    let outputs = before + channels + after;
    let copies = (before, after) == (0, 0);
    let weights = if copies {
        Array4::ones((channels, 1, 1, 1))
    } else {
        Array4::from_shape_fn((outputs, channels, 1, 1), |(output, input, ..)| {
            f64::from(u8::from(output == before + input))
        })
    };
    Conv {
        weights: Arc::new(weights),
        bias: Array1::zeros(outputs).into_shared(),
        strides: [1, 1],
        pads: [top, left, bottom, right],
        dilations: [1, 1],
        groups: if copies { channels } else { 1 },
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, check_unchanged, graph};
    use super::*;

    #[test]
    fn borders_and_channels_of_zeros_become_convolutions() {
        let pad = |amounts: [(usize, usize); 3]| {
            Op::Pad(Pad {
                amounts: amounts.to_vec(),
                value: 0.0,
            })
        };
        let before = graph(&[2, 3, 4], |out, x| {
            let border = out.push("border", pad([(0, 0), (1, 0), (2, 1)]), &[x], &[2, 4, 7]);
            out.push("channels", pad([(1, 2), (0, 0), (0, 1)]), &[border], &[5, 4, 8])
        });
        check(&PASS, "lower_pads", &before);
    }

    #[test]
    fn keeps_padding_by_another_value() {
        let before = graph(&[1, 2, 2], |out, x| {
            let pad = Pad {
                amounts: vec![(0, 0), (1, 1), (1, 1)],
                value: 1.0,
            };
            out.push("ones", Op::Pad(pad), &[x], &[1, 4, 4])
        });
        check_unchanged(&PASS, &before);
    }
}
