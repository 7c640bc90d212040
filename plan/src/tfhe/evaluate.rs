//! A plan for exact integers with its constants resolved, and its evaluation in clear: what encrypted runs must equal.

use super::{QuantizedInput, QuantizedOutput, TfheInstruction, TfheLine, TfheProgram};
use crate::{ConstId, Plan, ValueId, VerifyErrors, Weights, verify_with_weights};

/// One row of an integer matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Column and weight of what is not zero.
    pub terms: Vec<(usize, i64)>,
    /// Added at the end.
    pub bias: i64,
}

/// What one line computes, operands as indices of earlier lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// The input.
    Input,
    /// A linear map by its rows.
    Linear {
        /// Operand.
        arg: usize,
        /// One an element of the result.
        rows: Vec<Row>,
    },
    /// A sum.
    Add {
        /// Left operand.
        lhs: usize,
        /// Right operand.
        rhs: usize,
    },
    /// A division with floor.
    Floor {
        /// Operand.
        arg: usize,
        /// The divisor.
        by: i64,
    },
    /// A look-up: one table for all elements, or one for each.
    Lookup {
        /// Operand.
        arg: usize,
        /// The tables.
        tables: Vec<Vec<i64>>,
    },
    /// The output.
    Output {
        /// Operand.
        arg: usize,
    },
}

/// A verified plan, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct IntegerProgram {
    program: TfheProgram,
    resolved: Vec<Resolved>,
}

impl IntegerProgram {
    /// Resolves the constants of a plan, which is verified first: ranges, indices and steps hold afterwards.
    ///
    /// # Errors
    /// What a plan breaks that does not verify; `None` for a plan of the other scheme.
    pub fn new(plan: &Plan, weights: &Weights) -> Result<Option<Self>, VerifyErrors> {
        let Some(program) = plan.program.tfhe() else {
            return Ok(None);
        };
        verify_with_weights(plan, weights)?;
        let resolved = program.lines.iter().map(|line| resolve(program, weights, line));
        Ok(Some(Self {
            resolved: resolved.collect(),
            program: program.clone(),
        }))
    }

    /// What each line computes, with its constants.
    pub fn resolved(&self) -> &[Resolved] {
        &self.resolved
    }

    /// The program.
    pub fn program(&self) -> &TfheProgram {
        &self.program
    }

    /// The lines of the program.
    pub fn lines(&self) -> &[TfheLine] {
        &self.program.lines
    }

    /// How the client makes integers of its input.
    pub fn input(&self) -> &QuantizedInput {
        &self.program.input
    }

    /// How the client makes numbers of the decrypted integers.
    pub fn output(&self) -> &QuantizedOutput {
        &self.program.output
    }

    /// The integers of the output line for quantized inputs, exactly.
    ///
    /// # Shapes
    /// `input`: one integer an element, each within its range in the plan. Result: `parts · len`.
    ///
    /// # Panics
    /// If `input` has another length, or an element outside its range.
    pub fn evaluate(&self, input: &[i64]) -> Vec<i64> {
        self.evaluate_lines(input).pop().expect("a verified plan has lines")
    }

    /// [`evaluate`](Self::evaluate), with the integers of every line.
    ///
    /// # Panics
    /// As [`evaluate`](Self::evaluate).
    pub fn evaluate_lines(&self, input: &[i64]) -> Vec<Vec<i64>> {
        let ranges = self.program.input.min.iter().zip(&self.program.input.max);
        assert_eq!(input.len(), ranges.len(), "one integer an element");
        let inside = input.iter().zip(ranges).all(|(x, (min, max))| (min..=max).contains(&x));
        assert!(inside, "inputs are within the plan's ranges");
        let mut values: Vec<Vec<i64>> = Vec::with_capacity(self.resolved.len());
        for op in &self.resolved {
            values.push(evaluate(op, input, &values));
        }
        values
    }

    /// The network's outputs for one sample of real numbers.
    ///
    /// # Panics
    /// As [`evaluate`](Self::evaluate), but never for a value out of range: quantization clamps.
    pub fn output_of(&self, sample: &[f64]) -> Vec<f64> {
        let integers = self.evaluate(&self.program.input.quantize(sample));
        self.program.output.dequantize(&integers)
    }
}

fn evaluate(op: &Resolved, input: &[i64], values: &[Vec<i64>]) -> Vec<i64> {
    match op {
        Resolved::Input => input.to_vec(),
        Resolved::Linear { arg, rows } => rows.iter().map(|row| row.apply(&values[*arg])).collect(),
        Resolved::Add { lhs, rhs } => values[*lhs].iter().zip(&values[*rhs]).map(|(x, y)| x + y).collect(),
        Resolved::Floor { arg, by } => values[*arg].iter().map(|x| x.div_euclid(*by)).collect(),
        Resolved::Lookup { arg, tables } => {
            let entry = |(element, index): (usize, &i64)| tables[element % tables.len()][*index as usize];
            values[*arg].iter().enumerate().map(entry).collect()
        }
        Resolved::Output { arg } => values[*arg].clone(),
    }
}

impl Row {
    fn apply(&self, x: &[i64]) -> i64 {
        self.terms
            .iter()
            .map(|&(column, weight)| weight * x[column])
            .sum::<i64>()
            + self.bias
    }
}

fn resolve(program: &TfheProgram, weights: &Weights, line: &TfheLine) -> Resolved {
    let integers = |id: ConstId| -> Vec<i64> {
        let values = weights.get(id).unwrap_or(&[]);
        values.iter().map(|v| *v as i64).collect()
    };
    let operand = |id: ValueId| &program.lines[id.index()];
    match line.op {
        TfheInstruction::Input => Resolved::Input,
        TfheInstruction::Linear { arg, weights, bias } => {
            let (matrix, cols) = (integers(weights), operand(arg).len as usize);
            let row = |(row, bias): (&[i64], i64)| Row {
                terms: row.iter().copied().enumerate().filter(|(_, w)| *w != 0).collect(),
                bias,
            };
            let rows = matrix.chunks_exact(cols).zip(integers(bias)).map(row);
            Resolved::Linear {
                arg: arg.index(),
                rows: rows.collect(),
            }
        }
        TfheInstruction::Add { lhs, rhs } => Resolved::Add {
            lhs: lhs.index(),
            rhs: rhs.index(),
        },
        TfheInstruction::Floor { arg, by } => Resolved::Floor {
            arg: arg.index(),
            by: by as i64,
        },
        TfheInstruction::Lookup { arg, table } => {
            let half = (operand(arg).steps / 2) as usize;
            Resolved::Lookup {
                arg: arg.index(),
                tables: integers(table).chunks_exact(half).map(<[i64]>::to_vec).collect(),
            }
        }
        TfheInstruction::Output { arg } => Resolved::Output { arg: arg.index() },
    }
}
