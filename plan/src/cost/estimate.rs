//! Times of a program's lines: counts, times measured times.

use heron_params::bootstrap::BootstrapParams;
use heron_params::{CkksParams, Level};
use serde::Serialize;

use super::memory::{Memory, MemoryEstimate};
use super::operation::{Operation, Shape};
use super::table::OperationTable;
use crate::{CkksProgram, Constant, Instruction, LinearMap, SlotPolynomial};

/// What a program costs on a machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// One entry per line.
    pub lines: Vec<LineEstimate>,
    /// Milliseconds of one run with all plaintexts encoded that the cache has room for.
    pub run_ms: f64,
    /// Milliseconds of encoding these before the first run.
    pub prepare_ms: f64,
    /// Bytes at the peak of a session.
    pub memory: MemoryEstimate,
}

/// What a line costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LineEstimate {
    /// Milliseconds.
    pub ms: f64,
    /// Bytes of encoded diagonals that are kept for it.
    pub plaintext_bytes: u64,
}

/// What the consecutive lines of one ONNX node cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerEstimate {
    /// Name of the node.
    pub node: String,
    /// Milliseconds.
    pub ms: f64,
    /// Bytes of encoded diagonals that are kept for it.
    pub plaintext_bytes: u64,
}

impl Estimate {
    /// One entry for each run of lines with the same node name.
    pub fn layers(&self, program: &CkksProgram) -> Vec<LayerEstimate> {
        let mut rest = self.lines.as_slice();
        let runs = program.lines.chunk_by(|a, b| a.node == b.node);
        runs.map(|run| {
            let (own, later) = rest.split_at(run.len().min(rest.len()));
            rest = later;
            LayerEstimate {
                node: run[0].node.clone(),
                ms: own.iter().map(|line| line.ms).sum(),
                plaintext_bytes: own.iter().map(|line| line.plaintext_bytes).sum(),
            }
        })
        .collect()
    }
}

impl CkksProgram {
    /// What the program costs by a table, with so many bytes for encoded diagonals.
    ///
    /// Machines do a product and its rescale in one step where nothing else reads the product, and so are they counted.
    ///
    /// # Cost
    /// The diagonals of every map are counted, none is computed.
    pub fn estimate(&self, table: &OperationTable, cache_bytes: u64) -> Estimate {
        let memory = Memory::of(self, cache_bytes);
        let at_once = self.rescaled_at_once();
        let (mut prepare_ms, mut lines) = (0.0, Vec::with_capacity(self.lines.len()));
        for (index, line) in self.lines.iter().enumerate() {
            let operand = self.operand_level(index);
            let map = self.map_of(&line.op);
            let with_product = index > 0 && at_once[index - 1];
            let mut ms = if with_product {
                0.0
            } else {
                table.instruction_ms(self, &line.op, operand)
            };
            let n_diagonals = map.map_or(0, |map| map.counts().plaintext_products);
            let encoding = n_diagonals as f64 * table.ms(Operation::EncodeDiagonal, Shape::at(&self.params, operand));
            if memory.is_kept(index) {
                prepare_ms += encoding;
            } else {
                ms += encoding;
            }
            lines.push(LineEstimate {
                ms,
                plaintext_bytes: memory.plaintext_bytes(index),
            });
        }
        Estimate {
            run_ms: lines.iter().map(|line| line.ms).sum(),
            lines,
            prepare_ms,
            memory: memory.estimate(),
        }
    }

    /// The linear map of a line, if it is one and the program has it.
    fn map_of(&self, op: &Instruction) -> Option<&LinearMap> {
        match op {
            Instruction::Linear { map, .. } => self.map(*map),
            Instruction::Input
            | Instruction::Rotate { .. }
            | Instruction::Add { .. }
            | Instruction::Sub { .. }
            | Instruction::AddConst { .. }
            | Instruction::MulConst { .. }
            | Instruction::Square { .. }
            | Instruction::Mul { .. }
            | Instruction::Polynomial { .. }
            | Instruction::Rescale { .. }
            | Instruction::DropLevel { .. }
            | Instruction::Bootstrap { .. }
            | Instruction::Output { .. } => None,
        }
    }

    /// The level of a line's operands; of its result where it has none.
    pub(super) fn operand_level(&self, index: usize) -> Level {
        let line = &self.lines[index];
        let operands = line.op.args().filter_map(|arg| self.lines.get(arg.index()));
        operands.map(|operand| operand.level).max().unwrap_or(line.level)
    }

    /// For every line, whether it is a product that only the next line reads, a rescale: both are one step. A map with a
    /// fold is rescaled after it.
    pub(super) fn rescaled_at_once(&self) -> Vec<bool> {
        let last_use = self.liveness().last_use;
        let at_once = |index: usize| {
            let next = self.lines.get(index + 1);
            let product = match &self.lines[index].op {
                Instruction::Square { .. } | Instruction::Mul { .. } => true,
                op => self.map_of(op).is_some_and(|map| map.fold.is_empty()),
            };
            product
                && last_use[index].index() == index + 1
                && next.is_some_and(|next| matches!(next.op, Instruction::Rescale { .. }))
        };
        (0..self.lines.len()).map(at_once).collect()
    }
}

impl OperationTable {
    /// Milliseconds of a program's instruction on operands of a level.
    ///
    /// Products count as rescaled, which costs next to nothing in the same step.
    fn instruction_ms(&self, program: &CkksProgram, op: &Instruction, operand: Level) -> f64 {
        let params = &program.params;
        let ms = |operation| self.ms(operation, Shape::at(params, operand));
        match op {
            Instruction::Input | Instruction::Output { .. } => 0.0,
            Instruction::Linear { .. } => program
                .map_of(op)
                .map_or(0.0, |map| self.linear_ms(map, Shape::at(params, operand))),
            Instruction::Rotate { .. } => ms(Operation::Rotation),
            Instruction::Add { .. } | Instruction::Sub { .. } => ms(Operation::Addition),
            Instruction::AddConst { value, .. } => match value {
                Constant::Scalar(_) => ms(Operation::Addition),
                Constant::Vector { .. } => ms(Operation::PlainSum),
            },
            Instruction::MulConst { value, .. } => match value {
                Constant::Scalar(_) => ms(Operation::Addition),
                Constant::Vector { .. } => ms(Operation::PlainProduct),
            },
            Instruction::Square { .. } | Instruction::Mul { .. } => ms(Operation::Product),
            Instruction::Polynomial { poly, .. } => self.polynomial_ms(poly, params, operand),
            Instruction::Rescale { .. } => ms(Operation::Rescale),
            Instruction::DropLevel { .. } => ms(Operation::LevelDrop),
            Instruction::Bootstrap { .. } => program
                .sound_bootstrap()
                .map_or(0.0, |bootstrap| self.bootstrap_ms(bootstrap)),
        }
    }

    /// A bootstrap is quoted in rotations of one shape.
    fn bootstrap_ms(&self, bootstrap: &BootstrapParams) -> f64 {
        let shape = Shape {
            log_n: bootstrap.chain().log_n,
            limbs: 24,
            special: 8,
            digits: 3,
        };
        bootstrap.cost_in_rotations() * self.ms(Operation::Rotation, shape)
    }

    fn linear_ms(&self, map: &LinearMap, shape: Shape) -> f64 {
        let ms = |operation| self.ms(operation, shape);
        let (counts, folds) = (map.counts(), map.fold.len() as f64);
        let giants = counts.full_rotations as f64 - folds;
        ms(Operation::LinearMap)
            + counts.hoisted_rotations as f64 * ms(Operation::HoistedRotation)
            + counts.plaintext_products as f64 * ms(Operation::Diagonal)
            + giants * ms(Operation::GiantStep)
            + folds * (ms(Operation::Rotation) + ms(Operation::Addition))
    }

    /// The products of a polynomial spread evenly over the levels that it takes.
    fn polynomial_ms(&self, poly: &SlotPolynomial, params: &CkksParams, operand: Level) -> f64 {
        let counts = poly.counts();
        let vectors = poly.layout.is_some();
        let depth = poly.depth().clamp(1, operand.0.max(1));
        let at = |step: u32| {
            let shape = Shape::at(params, Level(operand.0 - step));
            let product = self.ms(Operation::Product, shape);
            // A coefficient is a scalar for all slots, or a vector.
            let term = self.ms(
                if vectors {
                    Operation::PlainProduct
                } else {
                    Operation::Addition
                },
                shape,
            );
            counts.ciphertext_products as f64 * product + counts.plaintext_products as f64 * term
        };
        (0..depth).map(at).sum::<f64>() / f64::from(depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_run_is_the_sum_of_its_lines_and_layers() {
        let plan = sample::plan();
        let program = plan.program.ckks().expect("a CKKS plan");
        let estimate = program.estimate(OperationTable::built_in(), 1 << 30);
        let lines: f64 = estimate.lines.iter().map(|line| line.ms).sum();
        let layers = estimate.layers(program);
        let in_layers: f64 = layers.iter().map(|layer| layer.ms).sum();
        assert!(estimate.run_ms > 0.0 && (lines - in_layers).abs() < 1e-9);
        let kept: u64 = layers.iter().map(|layer| layer.plaintext_bytes).sum();
        assert_eq!(kept, estimate.memory.plaintexts);
    }

    #[test]
    fn a_rescale_after_its_product_is_part_of_it() {
        let plan = sample::plan();
        let program = plan.program.ckks().expect("a CKKS plan");
        let estimate = program.estimate(OperationTable::built_in(), 0);
        let (square, fold) = (4, 1);
        assert!(matches!(program.lines[square].op, Instruction::Square { .. }));
        assert_eq!(estimate.lines[square + 1].ms.to_bits(), 0f64.to_bits());
        assert!(matches!(program.lines[fold + 1].op, Instruction::Rescale { .. }));
        assert!(estimate.lines[fold + 1].ms > 0.0, "a map with a fold");
    }

    #[test]
    fn diagonals_that_find_no_room_are_encoded_in_every_run() {
        let plan = sample::plan();
        let program = plan.program.ckks().expect("a CKKS plan");
        let table = OperationTable::built_in();
        let (with, without) = (program.estimate(table, 1 << 30), program.estimate(table, 0));
        assert!(without.run_ms > with.run_ms);
        assert_eq!(without.memory.plaintexts, 0);
        let (all, none) = (with.run_ms + with.prepare_ms, without.run_ms + without.prepare_ms);
        assert!((all - none).abs() < 1e-9, "{all} against {none}");
    }
}
