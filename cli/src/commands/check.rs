//! `heron check`: whether a model can be compiled, and what it consists of.

use std::path::PathBuf;

use anyhow::Result;
use heron_compiler::graph::{Graph, Node};
use heron_compiler::nn::Op;
use heron_compiler::pack::unpackable;
use heron_compiler::simplify;
use serde::Serialize;

use crate::context::Context;
use crate::network::Network;
use crate::table::{Align, Table, pairs};
use crate::units;

const AFTER_HELP: &str = "\
Exit code 3, with every node that is not supported, if the model cannot be
imported.

Example:
  heron check models/digits_mlp_relu/model.onnx";

/// Options of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CheckArgs {
    /// The ONNX file
    model: PathBuf,
}

/// What a model consists of.
#[derive(Debug, Serialize)]
struct Checked {
    input: Port,
    output: Port,
    /// What the client computes after decryption.
    client_tail: Vec<String>,
    parameters: usize,
    activations: usize,
    nodes: Vec<CheckedNode>,
    /// Nodes that are imported and evaluated in clear, but cannot be compiled yet.
    not_compiled_yet: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Port {
    name: String,
    shape: Vec<usize>,
}

#[derive(Debug, Serialize)]
struct CheckedNode {
    name: String,
    op: &'static str,
    shape: Vec<usize>,
    parameters: usize,
}

impl CheckArgs {
    /// Runs the command.
    pub(crate) fn run(&self, context: &Context) -> Result<()> {
        let network = Network::read(&self.model)?;
        let checked = Checked::of(&network)?;
        context.terminal.result(&checked, |width| checked.text(width))?;
        if checked.not_compiled_yet.is_empty() {
            let model = self.model.display();
            context.terminal.next(format_args!(
                "heron compile {model} --data CALIBRATION.npz:ARRAY -o NAME.plan"
            ));
        }
        Ok(())
    }
}

impl Checked {
    fn of(network: &Network) -> Result<Self> {
        let imported = &network.imported;
        let graph: &Graph<Op> = &imported.graph;
        let nodes: Vec<CheckedNode> = graph.iter().map(|(_, node)| CheckedNode::of(node)).collect();
        let not_compiled_yet = unpackable(&simplify(graph)?);
        Ok(Self {
            input: Port {
                name: imported.input_name.clone(),
                shape: network.input_shape().to_vec(),
            },
            output: Port {
                name: imported.output_name.clone(),
                shape: graph.node(graph.output()).shape.clone(),
            },
            client_tail: imported.tail.iter().map(|tail| format!("{tail:?}")).collect(),
            parameters: nodes.iter().map(|node| node.parameters).sum(),
            activations: graph
                .iter()
                .filter(|(_, node)| matches!(node.op, Op::Activation(_)))
                .count(),
            not_compiled_yet: not_compiled_yet
                .iter()
                .map(|found| format!("{} ({}): {}; {}", found.node, found.op, found.reason, found.advice))
                .collect(),
            nodes,
        })
    }

    fn text(&self, width: usize) -> String {
        let mut table = Table::new(&[
            ("node", Align::Text),
            ("operation", Align::Text),
            ("shape", Align::Number),
            ("parameters", Align::Number),
        ]);
        for node in &self.nodes {
            let parameters = if node.parameters == 0 {
                String::new()
            } else {
                node.parameters.to_string()
            };
            table.row([
                node.name.clone(),
                node.op.to_owned(),
                units::shape(&node.shape),
                parameters,
            ]);
        }
        let port = |port: &Port| format!("{} {}", port.name, units::shape(&port.shape));
        let mut entries = vec![
            ("input", port(&self.input)),
            ("output", port(&self.output)),
            ("parameters", self.parameters.to_string()),
            ("activations", format!("{} to become polynomials", self.activations)),
        ];
        if !self.client_tail.is_empty() {
            entries.push((
                "client",
                format!("computes {} after decryption", self.client_tail.join(", ")),
            ));
        }
        entries.push(match self.not_compiled_yet.as_slice() {
            [] => ("verdict", "every node can be compiled".to_owned()),
            waiting => (
                "verdict",
                format!(
                    "imported, and simulated in clear; not compiled yet:\n{}",
                    waiting.join("\n")
                ),
            ),
        });
        format!("{}\n{}", table.render(width), pairs(&entries, width))
    }
}

impl CheckedNode {
    fn of(node: &Node<Op>) -> Self {
        Self {
            name: node.name.clone(),
            op: name_of(&node.op),
            shape: node.shape.clone(),
            parameters: parameters_of(&node.op),
        }
    }
}

/// Numbers that training found.
fn parameters_of(op: &Op) -> usize {
    match op {
        Op::Dense { weights, bias } => weights.len() + bias.len(),
        Op::Conv(conv) => conv.weights.len() + conv.bias.len(),
        Op::BatchNorm(affine) | Op::Affine(affine) => affine.scale.len() + affine.shift.len(),
        Op::Polynomial(polynomial) => polynomial.coefficients.len(),
        Op::Chebyshev(polynomial) => polynomial.coefficients.len(),
        Op::Input
        | Op::AveragePool(_)
        | Op::MaxPool(_)
        | Op::GlobalAveragePool
        | Op::Pad(_)
        | Op::Select(_)
        | Op::Add
        | Op::Sub
        | Op::Mul
        | Op::Activation(_)
        | Op::Square
        | Op::Pow(_)
        | Op::Reshape
        | Op::Identity => 0,
    }
}

fn name_of(op: &Op) -> &'static str {
    match op {
        Op::Input => "input",
        Op::Dense { .. } => "dense",
        Op::Conv(_) => "convolution",
        Op::BatchNorm(_) => "batch normalization",
        Op::Affine(_) => "affine",
        Op::AveragePool(_) => "average pool",
        Op::MaxPool(_) => "max pool",
        Op::GlobalAveragePool => "global average pool",
        Op::Pad(_) => "pad",
        Op::Select(_) => "selection",
        Op::Add => "add",
        Op::Sub => "subtract",
        Op::Mul => "multiply",
        Op::Activation(_) => "activation",
        Op::Square => "square",
        Op::Pow(_) => "power",
        Op::Polynomial(_) | Op::Chebyshev(_) => "polynomial",
        Op::Reshape => "reshape",
        Op::Identity => "identity",
    }
}
