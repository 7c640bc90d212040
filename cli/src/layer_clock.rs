//! How far a run is, and how long its layers take.
//!
//! A line counts for its key switches at its level, so that what is left of a run can be told from what is done: the lines of one layer
//! may take a thousand times as long as those of another.

use std::time::Instant;

use heron_params::CkksParams;
use heron_plan::{CkksProgram, Line, OpCounts, ValueId};
use serde::Serialize;

/// What a rotation with a shared decomposition, and a product with a plaintext, count for in rotations.
const HOISTED_ROTATION: f64 = 0.3;
const PLAINTEXT_PRODUCT: f64 = 0.05;
/// Transforms of one limb in the rotation that bootstraps are priced in: 24 limbs, 3 digits, 8 special primes.
const REFERENCE_ROTATION: f64 = 5.0 * 32.0;

/// The work of a program, line by line, in transforms of one limb.
pub(crate) struct LineWork {
    done: Vec<u64>,
}

impl LineWork {
    /// Counts the lines of a program.
    pub(crate) fn of(program: &CkksProgram) -> Self {
        let bootstrap = program
            .sound_bootstrap()
            .map_or(0.0, |variant| variant.offer().rotations);
        let counts = program.counts().lines;
        let lines = program.lines.iter().zip(&counts);
        let work = lines.map(|(line, &counts)| transforms(line, counts, &program.params, bootstrap));
        let done = work.scan(0.0, |sum, work| {
            *sum += work;
            Some(*sum as u64)
        });
        Self { done: done.collect() }
    }

    /// What is done after a line.
    pub(crate) fn after(&self, line: ValueId) -> u64 {
        self.done.get(line.index()).copied().unwrap_or(0)
    }

    /// All of it.
    pub(crate) fn total(&self) -> u64 {
        self.done.last().copied().unwrap_or(0)
    }
}

/// A line in transforms of one limb; every line is at least one of each limb.
fn transforms(line: &Line, counts: OpCounts, params: &CkksParams, bootstrap: f64) -> f64 {
    let limbs = line.level.limbs() as f64;
    let switched = (counts.full_rotations + counts.ciphertext_products) as f64
        + HOISTED_ROTATION * counts.hoisted_rotations as f64
        + PLAINTEXT_PRODUCT * counts.plaintext_products as f64;
    let key_switch = (params.digits(line.level).len() as f64 + 2.0) * (limbs + params.p.len() as f64);
    limbs + switched * key_switch + counts.bootstraps as f64 * bootstrap * REFERENCE_ROTATION
}

/// How long one layer took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct LayerTime {
    /// The ONNX node.
    pub(crate) node: String,
    /// From the end of the layer before to its own end.
    pub(crate) seconds: f64,
}

/// Times the layers of a sample.
pub(crate) struct LayerClock {
    last: Instant,
    layers: Vec<LayerTime>,
}

impl LayerClock {
    /// Begins with the first layer.
    pub(crate) fn start() -> Self {
        Self {
            last: Instant::now(),
            layers: Vec::new(),
        }
    }

    /// Begins another sample, whose times take the place of the last one's.
    pub(crate) fn restart(&mut self) {
        *self = Self::start();
    }

    /// Ends a line of a layer.
    pub(crate) fn lap(&mut self, node: &str) {
        let now = Instant::now();
        let seconds = (now - self.last).as_secs_f64();
        self.last = now;
        match self.layers.last_mut().filter(|layer| layer.node == node) {
            Some(layer) => layer.seconds += seconds,
            None => self.layers.push(LayerTime {
                node: node.to_owned(),
                seconds,
            }),
        }
    }

    /// The times of all layers, in order.
    pub(crate) fn into_layers(self) -> Vec<LayerTime> {
        self.layers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_layer_are_one_entry() {
        let mut clock = LayerClock::start();
        ["a", "a", "b", "a"].into_iter().for_each(|node| clock.lap(node));
        let nodes: Vec<String> = clock.into_layers().into_iter().map(|layer| layer.node).collect();
        assert_eq!(nodes, ["a", "b", "a"]);
    }
}
