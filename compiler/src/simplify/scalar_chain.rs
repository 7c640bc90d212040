//! What a value is in terms of the values it was scaled and shifted from by single numbers.

use crate::graph::{Graph, NodeId};
use crate::nn::{Granularity, Op};

/// `value = scale · source + shift`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Link {
    pub(super) source: NodeId,
    pub(super) scale: f64,
    pub(super) shift: f64,
}

/// The value in terms of itself, of its operand if it is an affine map with one entry, and so on.
pub(super) fn chain(graph: &Graph<Op>, value: NodeId) -> Vec<Link> {
    let mut links = vec![Link {
        source: value,
        scale: 1.0,
        shift: 0.0,
    }];
    loop {
        let last = links[links.len() - 1];
        let node = graph.node(last.source);
        match &node.op {
            Op::Affine(affine) if affine.granularity == Granularity::Tensor => links.push(Link {
                source: node.args[0],
                scale: last.scale * affine.scale[0],
                shift: last.scale * affine.shift[0] + last.shift,
            }),
            _ => return links,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{graph, scalar};
    use super::*;

    #[test]
    fn scales_and_shifts_compose() {
        let graph = graph(&[2], |out, x| {
            let first = out.push("first", scalar(2.0, 3.0), &[x], &[2]);
            out.push("second", scalar(5.0, 7.0), &[first], &[2])
        });
        let links = chain(&graph, graph.output());
        assert_eq!((links.len(), links[2].scale, links[2].shift), (3, 10.0, 22.0));
    }
}
