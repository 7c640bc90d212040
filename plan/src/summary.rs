//! The summary of a plan: at most 80 lines, no coefficients, for golden tests and for people.

use std::fmt::Write as _;

use crate::listing::{dimensions, header, refreshes};
use crate::{CkksProgram, OpCounts, Plan, Program};

/// Most rows of the layer table; the others are counted in one row.
const MAX_LAYERS: usize = 40;
/// Most rows of the map table.
const MAX_MAPS: usize = 24;

/// Consecutive lines of one node.
struct Layer<'a> {
    node: &'a str,
    levels: String,
    lines: usize,
    counts: OpCounts,
}

impl Plan {
    /// What the plan costs and how it is laid out, in at most 80 lines: parameters, layers, maps, keys.
    pub fn summary(&self) -> String {
        let program = match &self.program {
            Program::Ckks(program) => program,
            Program::Tfhe(program) => return program.summary(self),
        };
        let counts = program.counts();
        let mut out = header(self, program);
        let (input, output) = (&self.input, &self.output);
        for (word, spec) in [
            ("input ", (&input.name, &input.shape, input.layout)),
            ("output", (&output.name, &output.shape, output.layout)),
        ] {
            let _ = write!(out, "\n{word}  {}  {} as {}", spec.0, dimensions(spec.1), spec.2);
        }
        let _ = write!(out, "\noutput bound {:.3e}  error {:.3e}", output.bound, output.error);
        out.push_str("\n\nlevels    lines  rotations  plain  products  rescales  layer");
        let layers = layers(program, &counts.lines);
        for layer in layers.iter().take(MAX_LAYERS) {
            out.push_str(&row(&layer.levels, layer.lines, layer.counts, layer.node));
        }
        if let Some(hidden) = layers.get(MAX_LAYERS..).filter(|hidden| !hidden.is_empty()) {
            let lines = hidden.iter().map(|layer| layer.lines).sum();
            let counts = hidden.iter().map(|layer| layer.counts).sum();
            out.push_str(&row("", lines, counts, &format!("{} more layers", hidden.len())));
        }
        out.push_str(&row("", program.lines.len(), counts.total, "total"));
        out.push_str(&maps(program));
        if let Some(bootstrap) = program.sound_bootstrap() {
            let offer = bootstrap.offer();
            let _ = write!(
                out,
                "\n\nbootstraps  {}  {}  {} to {}  {:.1} rotations each",
                counts.total.bootstraps,
                refreshes(bootstrap),
                offer.input_level,
                offer.output_level,
                offer.rotations
            );
        }
        let keys = program.key_spec();
        let _ = write!(
            out,
            "\n\nkeys  {}  in memory {} bytes  in a file {} bytes\npeak  {} ciphertexts\n",
            keys.levels().count(),
            counts.key_memory_bytes,
            counts.key_file_bytes,
            counts.peak_live_ciphertexts,
        );
        out
    }
}

fn layers<'a>(program: &'a CkksProgram, counts: &[OpCounts]) -> Vec<Layer<'a>> {
    let mut layers: Vec<Layer<'a>> = Vec::new();
    let mut rest = counts;
    for lines in program.lines.chunk_by(|a, b| a.node == b.node) {
        let (own, later) = rest.split_at(lines.len());
        rest = later;
        let (first, last) = (&lines[0], &lines[lines.len() - 1]);
        layers.push(Layer {
            node: &first.node,
            levels: format!("{} to {}", first.level, last.level),
            lines: lines.len(),
            counts: own.iter().copied().sum(),
        });
    }
    layers
}

fn row(levels: &str, lines: usize, counts: OpCounts, name: &str) -> String {
    let rotations = format!("{}+{}", counts.hoisted_rotations, counts.full_rotations);
    let OpCounts {
        plaintext_products,
        ciphertext_products,
        rescales,
        ..
    } = counts;
    format!(
        "\n{levels:<9} {lines:>5}  {rotations:>9}  {plaintext_products:>5}  {ciphertext_products:>8}  {rescales:>8}  {name}"
    )
}

fn maps(program: &CkksProgram) -> String {
    let mut out = String::from("\n");
    for (index, map) in program.maps.iter().enumerate().take(MAX_MAPS) {
        let (rows, cols, fold) = (map.output, map.input, map.fold.len());
        let (diagonals, baby) = (map.diagonals().len(), map.steps.baby);
        let _ = write!(
            out,
            "\nm{index}  {cols} to {rows}  {diagonals} diagonals, {baby} a giant step, {fold} folds"
        );
    }
    if program.maps.len() > MAX_MAPS {
        let _ = write!(out, "\n{} more maps", program.maps.len() - MAX_MAPS);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn summarizes_the_sample() {
        let expected = "\
plan sample v1 ckks  N=2^13  levels=3  Δ=2^30  logQP=177/214  security=128
input   input  3x4 as 12 every 16
output  logits  3 as 3 every 4
output bound 4.000e0  error 1.000e-4

levels    lines  rotations  plain  products  rescales  layer
L3 to L0     10        4+4     12         1         3  node
             10        4+4     12         1         3  total

m0  12 every 16 to 8 every 8  8 diagonals, 4 a giant step, 1 folds
m1  8 every 8 to 3 every 4  4 diagonals, 2 a giant step, 1 folds
";
        let summary = sample::plan().summary();
        assert!(summary.starts_with(expected), "{summary}");
    }

    #[test]
    fn says_what_is_bootstrapped() {
        let summary = sample::insecure_bootstrap_plan().summary();
        assert!(summary.contains("\nbootstraps  1  256 real slots, "), "{summary}");
    }

    #[test]
    fn never_takes_more_than_eighty_lines() {
        let mut plan = sample::plan();
        let Program::Ckks(program) = &mut plan.program else {
            panic!("a CKKS plan");
        };
        let (lines, maps) = (program.lines.clone(), program.maps.clone());
        for i in 0..50 {
            program.lines.extend(lines.iter().cloned().map(|mut line| {
                line.node = format!("node {i}");
                line
            }));
            program.maps.extend(maps.iter().cloned());
        }
        let summary = plan.summary();
        assert!(summary.lines().count() <= 80, "{}", summary.lines().count());
        assert!(summary.contains("more layers") && summary.contains("more maps"));
    }
}
