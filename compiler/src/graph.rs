//! The one graph that every stage shares, over the op vocabulary of the stage.
//!
//! Nodes are stored in evaluation order: a node's operands come before it. Passes never mutate a graph; they rebuild it.

use std::fmt;

/// A node of a graph; prints as `%3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// As an index into per-node tables.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<O> {
    /// Name of the ONNX node it came from; survives every pass.
    pub name: String,
    /// What it computes.
    pub op: O,
    /// Its operands.
    pub args: Vec<NodeId>,
    /// Shape of its result for one sample, without the batch axis.
    pub shape: Vec<usize>,
}

impl<O> Node<O> {
    /// How many elements the result has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the result has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A network with one input and one output, in evaluation order.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph<O> {
    nodes: Vec<Node<O>>,
    output: NodeId,
}

/// A graph under construction.
#[derive(Clone, Debug)]
pub struct GraphBuilder<O> {
    nodes: Vec<Node<O>>,
}

impl<O> Default for GraphBuilder<O> {
    fn default() -> Self {
        Self { nodes: Vec::new() }
    }
}

impl<O> GraphBuilder<O> {
    /// Appends a node.
    ///
    /// # Panics
    /// If an operand is not a node of this builder.
    pub fn push(&mut self, name: &str, op: O, args: &[NodeId], shape: &[usize]) -> NodeId {
        assert!(
            args.iter().all(|arg| arg.index() < self.nodes.len()),
            "operands come before the node that uses them"
        );
        let id = NodeId(u32::try_from(self.nodes.len()).expect("a graph has fewer than 2^32 nodes"));
        self.nodes.push(Node {
            name: name.to_owned(),
            op,
            args: args.to_vec(),
            shape: shape.to_vec(),
        });
        id
    }

    /// A node pushed before.
    pub fn node(&self, id: NodeId) -> &Node<O> {
        &self.nodes[id.index()]
    }

    /// The graph that computes `output`; nodes that it does not depend on are left out.
    pub fn finish(self, output: NodeId) -> Graph<O> {
        Graph {
            nodes: self.nodes,
            output,
        }
        .without_dead_nodes()
    }
}

impl<O> Graph<O> {
    /// The nodes in evaluation order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (NodeId, &Node<O>)> {
        self.nodes
            .iter()
            .enumerate()
            .map(|(index, node)| (NodeId(index as u32), node))
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node<O> {
        &self.nodes[id.index()]
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no nodes (never, for a graph that was built from an output).
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The node whose value is the network's output.
    pub fn output(&self) -> NodeId {
        self.output
    }

    /// For every node, how many operand places (the graph's output counts as one) read it.
    pub fn use_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.nodes.len()];
        for arg in self.nodes.iter().flat_map(|node| &node.args).chain([&self.output]) {
            counts[arg.index()] += 1;
        }
        counts
    }

    /// Builds a new graph node by node, in evaluation order. `rule` gets the builder, the old node and its operands in
    /// the new graph, and says which new node takes the old one's place.
    ///
    /// # Errors
    /// The first error of `rule`.
    pub fn rebuild<P, E>(
        &self,
        mut rule: impl FnMut(&mut GraphBuilder<P>, NodeId, &Node<O>, &[NodeId]) -> Result<NodeId, E>,
    ) -> Result<Graph<P>, E> {
        let mut builder = GraphBuilder::default();
        let mut new_ids: Vec<NodeId> = Vec::with_capacity(self.nodes.len());
        for (id, node) in self.iter() {
            let args: Vec<NodeId> = node.args.iter().map(|arg| new_ids[arg.index()]).collect();
            new_ids.push(rule(&mut builder, id, node, &args)?);
        }
        Ok(builder.finish(new_ids[self.output.index()]))
    }

    fn without_dead_nodes(self) -> Self {
        let mut live = vec![false; self.nodes.len()];
        live[self.output.index()] = true;
        for (index, node) in self.nodes.iter().enumerate().rev() {
            if live[index] {
                node.args.iter().for_each(|arg| live[arg.index()] = true);
            }
        }
        let mut new_ids = vec![NodeId(0); self.nodes.len()];
        let mut nodes = Vec::new();
        for (index, mut node) in self.nodes.into_iter().enumerate().filter(|(index, _)| live[*index]) {
            new_ids[index] = NodeId(nodes.len() as u32);
            node.args.iter_mut().for_each(|arg| *arg = new_ids[arg.index()]);
            nodes.push(node);
        }
        Self {
            nodes,
            output: new_ids[self.output.index()],
        }
    }
}
