//! Rewrites an imported network into fewer and simpler nodes that compute the same.
//!
//! Every pass maps a graph to a graph of equal meaning; nothing here approximates. The caller may evaluate the graphs
//! before and after each pass and compare them.

#[cfg(test)]
mod check;
mod drop_identity;
mod fold_batch_norm;
mod linear;
mod lower_pads;
mod lower_pools;
mod lower_selections;
mod merge_convolutions;
mod merge_linear;
mod merge_selections;
mod recognize_gelu;
mod recognize_polynomial;
mod recognize_rsqrt;
mod recognize_silu;
mod recognize_square;
mod scalar_chain;

use std::convert::Infallible;

use crate::graph::{Graph, GraphBuilder, Node, NodeId};
use crate::nn::Op;

/// One rewriting.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Its file's name with dashes; what `--stop-after` takes and timings are keyed by.
    pub name: &'static str,
    /// The rewriting.
    pub run: fn(&Graph<Op>) -> Graph<Op>,
}

/// The pipeline.
pub const PASSES: &[Pass] = &[
    // First, because all other passes look at direct operands, and exporters put identities between them.
    drop_identity::PASS,
    // Before the other passes, which look at direct operands too: layers that were apart are neighbours then.
    merge_selections::PASS,
    // Before anything else merges into the linear layer: a normalization belongs to the layer that it follows.
    fold_batch_norm::PASS,
    // Before recognize-polynomial, which takes a square as one operand place instead of two.
    recognize_square::PASS,
    // Before recognize-gelu, whose tanh form has a cubic inside, and before merge-linear, which would move the scales of a
    // polynomial's terms into the next layer.
    recognize_polynomial::PASS,
    // Before merge-linear for the same reason.
    recognize_silu::PASS,
    recognize_gelu::PASS,
    // Beside the other functions that exporters write out.
    recognize_rsqrt::PASS,
    // Before merge-linear: scales and shifts then pass into what pools, pads and selections have become.
    lower_pools::PASS,
    lower_pads::PASS,
    lower_selections::PASS,
    // After the recognizers, because it takes what they left.
    merge_linear::PASS,
    // Last, because it meets fewer maps when scales and shifts are gone.
    merge_convolutions::PASS,
];

/// Why a network was not simplified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimplifyError {
    /// No pass has this name.
    #[error("there is no pass `{name}`; the passes are {}", names())]
    UnknownPass {
        /// What was asked for.
        name: String,
    },
    /// A pass changed what the network takes or gives.
    #[error(
        "pass {pass} changed the network's {what} from {before:?} to {after:?}; this is a bug in Heron, please report it"
    )]
    Bug {
        /// The pass.
        pass: &'static str,
        /// Input or output shape.
        what: &'static str,
        /// Before the pass.
        before: Vec<usize>,
        /// After the pass.
        after: Vec<usize>,
    },
}

fn names() -> String {
    PASSES.iter().map(|pass| pass.name).collect::<Vec<_>>().join(", ")
}

/// Runs the whole pipeline.
///
/// # Errors
/// [`SimplifyError::Bug`].
pub fn simplify(graph: &Graph<Op>) -> Result<Graph<Op>, SimplifyError> {
    simplify_with(PASSES, graph)
}

/// Runs the pipeline up to and including the named pass.
///
/// # Errors
/// [`SimplifyError`].
pub fn simplify_until(name: &str, graph: &Graph<Op>) -> Result<Graph<Op>, SimplifyError> {
    match PASSES.iter().position(|pass| pass.name == name) {
        Some(last) => simplify_with(&PASSES[..=last], graph),
        None => Err(SimplifyError::UnknownPass { name: name.to_owned() }),
    }
}

/// Runs the given passes in order.
///
/// # Errors
/// [`SimplifyError::Bug`].
pub fn simplify_with(passes: &[Pass], graph: &Graph<Op>) -> Result<Graph<Op>, SimplifyError> {
    let mut current = graph.clone();
    for pass in passes {
        let next = (pass.run)(&current);
        let interfaces = [
            ("input shape", input_shape(&current), input_shape(&next)),
            (
                "output shape",
                current.node(current.output()).shape.clone(),
                next.node(next.output()).shape.clone(),
            ),
        ];
        for (what, before, after) in interfaces {
            if before != after {
                return Err(SimplifyError::Bug {
                    pass: pass.name,
                    what,
                    before,
                    after,
                });
            }
        }
        current = next;
    }
    Ok(current)
}

fn input_shape(graph: &Graph<Op>) -> Vec<usize> {
    graph
        .iter()
        .find(|(_, node)| matches!(node.op, Op::Input))
        .map_or_else(Vec::new, |(_, node)| node.shape.clone())
}

/// [`Graph::rebuild`] with a rule that cannot fail.
fn rebuild(
    graph: &Graph<Op>,
    mut rule: impl FnMut(&mut GraphBuilder<Op>, NodeId, &Node<Op>, &[NodeId]) -> NodeId,
) -> Graph<Op> {
    let rebuilt: Result<_, Infallible> = graph.rebuild(|out, id, node, args| Ok(rule(out, id, node, args)));
    match rebuilt {
        Ok(graph) => graph,
        Err(never) => match never {},
    }
}

/// The node as it was, over its operands in the new graph.
fn keep(out: &mut GraphBuilder<Op>, node: &Node<Op>, args: &[NodeId]) -> NodeId {
    out.push(&node.name, node.op.clone(), args, &node.shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pass_has_the_name_of_its_file() {
        let files: Vec<String> = include_str!("mod.rs")
            .lines()
            .filter_map(|line| line.trim().strip_suffix("::PASS,"))
            .map(|module| module.replace('_', "-"))
            .collect();
        assert_eq!(files, PASSES.iter().map(|pass| pass.name).collect::<Vec<_>>());
    }

    #[test]
    fn stopping_after_a_pass_runs_the_passes_up_to_it() {
        let mut builder = GraphBuilder::default();
        let x = builder.push("x", Op::Input, &[], &[2]);
        let same = builder.push("same", Op::Identity, &[x], &[2]);
        let product = builder.push("product", Op::Mul, &[same, same], &[2]);
        let graph = builder.finish(product);
        let ops = |graph: &Graph<Op>| graph.iter().map(|(_, node)| node.op.to_string()).collect::<Vec<_>>();
        let stopped = simplify_until("drop-identity", &graph).map(|graph| ops(&graph));
        assert_eq!(stopped, Ok(vec!["input".to_owned(), "mul".to_owned()]));
        let whole = simplify(&graph).map(|graph| ops(&graph));
        assert_eq!(whole, Ok(vec!["input".to_owned(), "square".to_owned()]));
        let unknown = simplify_until("fold", &graph).map_err(|error| error.to_string());
        assert!(unknown.is_err_and(|text| text.contains("`fold`") && text.contains("fold-batch-norm")));
    }

    #[test]
    fn a_pass_that_changes_the_output_shape_is_reported() {
        let cut = Pass {
            name: "cut",
            run: |graph| {
                let mut builder = GraphBuilder::default();
                let input = builder.push("x", Op::Input, &[], &input_shape(graph));
                builder.finish(input)
            },
        };
        let mut builder = GraphBuilder::default();
        let x = builder.push("x", Op::Input, &[], &[1, 2]);
        let flat = builder.push("flat", Op::Reshape, &[x], &[2]);
        let error = simplify_with(&[cut], &builder.finish(flat));
        assert!(
            matches!(error, Err(SimplifyError::Bug { pass: "cut", .. })),
            "{error:?}"
        );
    }
}
