//! The one interpreter: walks the lines of a program on a machine.
//!
//! It resolves operands, frees every value after its last use, and checks that each result has the state that its line
//! states. What to compute, where, and at which level is in the plan; nothing is decided here.

use heron_params::Level;
use heron_plan::{CkksProgram, ConstId, Constant, Instruction, Line, MapId, ValueId, Weights};

use crate::ErrorKind;
use crate::machine::{Machine, MachineError, ResolvedConstant, ResolvedMap, ResolvedPolynomial, State};

/// Why a program did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A line reads a value that no earlier line computes.
    #[error("line {line} reads {operand}, which no earlier line computes; the plan is damaged, compile it again")]
    Operand {
        /// The line.
        line: ValueId,
        /// What it reads.
        operand: ValueId,
    },
    /// A line names a constant that the plan does not have.
    #[error(
        "line {line} names constant {constant}, which the plan does not have; the plan is damaged, compile it again"
    )]
    Constant {
        /// The line.
        line: ValueId,
        /// What it names.
        constant: ConstId,
    },
    /// A line names a linear map that the plan does not have.
    #[error("line {line} names map {map}, which the plan does not have; the plan is damaged, compile it again")]
    Map {
        /// The line.
        line: ValueId,
        /// What it names.
        map: MapId,
    },
    /// A line bootstraps, and the plan does not say how.
    #[error("line {line} bootstraps, and the plan does not say how; the plan is damaged, compile it again")]
    Bootstrap {
        /// The line.
        line: ValueId,
    },
    /// The number of inputs is not what the program takes.
    #[error("the program takes {needed} inputs, {given} were given")]
    Inputs {
        /// How many were given.
        given: usize,
        /// How many `input` lines there are.
        needed: usize,
    },
    /// The given input has another level or scale than the plan states.
    #[error("the input has state {found}, the plan takes {stated}; it was not encrypted for this plan")]
    InputState {
        /// State of the given value.
        found: State,
        /// State of the line.
        stated: State,
    },
    /// The input does not fit the machine.
    #[error("the input does not fit the plan")]
    Input {
        /// What the machine says.
        source: MachineError,
    },
    /// A result has another state than its line states.
    #[error("line {line} ({node}) gave {found}, the plan states {stated}; please report this")]
    ResultState {
        /// The line.
        line: ValueId,
        /// Its ONNX node.
        node: String,
        /// State of the result.
        found: State,
        /// State of the line.
        stated: State,
    },
    /// The machine refused an instruction.
    #[error("line {line} ({node}) cannot be evaluated")]
    Machine {
        /// The line.
        line: ValueId,
        /// Its ONNX node.
        node: String,
        /// What the machine says.
        source: MachineError,
    },
}

impl RunError {
    /// Who can act on it.
    pub fn kind(&self) -> ErrorKind {
        use heron_ckks::EvalError::{MissingRelinearizeKey, MissingRotationKey, OtherParameters};
        match self {
            Self::Operand { .. }
            | Self::Constant { .. }
            | Self::Map { .. }
            | Self::Bootstrap { .. }
            | Self::InputState { .. } => ErrorKind::Damaged,
            Self::Inputs { .. } | Self::Input { .. } => ErrorKind::BadInput,
            Self::Machine {
                source:
                    MachineError::NoBootstrapKeys
                    | MachineError::Ckks(MissingRotationKey { .. } | MissingRelinearizeKey { .. } | OtherParameters),
                ..
            } => ErrorKind::Damaged,
            Self::Machine {
                source: MachineError::OverBound,
                ..
            } => ErrorKind::OutOfRange,
            Self::ResultState { .. } | Self::Machine { .. } => ErrorKind::Internal,
        }
    }
}

/// A line that has just been evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Which line.
    pub id: ValueId,
    /// How many lines the program has.
    pub total: usize,
    /// The line.
    pub line: &'a Line,
}

/// Called after every line with what it computed: for progress bars and for measurements.
pub type Observer<'a, V> = dyn FnMut(Step<'_>, &V) + 'a;

/// Whether products and the rescale after them may be done in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fusion {
    /// A product that only the next line reads, a rescale, is done together with it. The observer sees the rescale only.
    WithRescale,
    /// Every line by itself, and the observer sees each.
    None,
}

/// Runs a program that [`heron_plan::verify`] accepts.
///
/// # Shapes
/// One input per `input` line, in order; one result per `output` line, in order.
///
/// # Cost
/// At any time, only the values that later lines read are kept.
///
/// # Errors
/// The first line that cannot be evaluated. Missing operands, constants and maps are errors; what else `verify` rejects
/// may be evaluated to nonsense.
pub fn run<M: Machine>(
    program: &CkksProgram,
    weights: &Weights,
    machine: &mut M,
    fusion: Fusion,
    inputs: Vec<M::Value>,
    observe: &mut Observer<'_, M::Value>,
) -> Result<Vec<M::Value>, RunError> {
    let lines = &program.lines;
    let needed = lines.iter().filter(|l| matches!(l.op, Instruction::Input)).count();
    if inputs.len() != needed {
        return Err(RunError::Inputs {
            given: inputs.len(),
            needed,
        });
    }
    let liveness = program.liveness();
    let mut evaluation = Evaluation {
        program,
        weights,
        machine,
        inputs: inputs.into_iter(),
        values: Vec::new(),
    };
    let mut outputs = Vec::new();
    let mut product = None;
    for (index, line) in lines.iter().enumerate() {
        let id = ValueId(index as u32);
        let rescaled_next = liveness.last_use[index].index() == index + 1
            && lines
                .get(index + 1)
                .is_some_and(|next| matches!(next.op, Instruction::Rescale { .. }));
        if let Some(waiting) = Product::of(&line.op).filter(|_| fusion == Fusion::WithRescale && rescaled_next) {
            product = Some((id, waiting));
            evaluation.values.push(None);
            continue;
        }
        let fused = product.take();
        let value = evaluation.line(id, line, fused.map(|(_, product)| product))?;
        observe(
            Step {
                id,
                total: lines.len(),
                line,
            },
            &value,
        );
        if matches!(line.op, Instruction::Output { .. }) {
            outputs.push(value);
            evaluation.values.push(None);
        } else {
            evaluation.values.push(Some(value));
        }
        let done = fused.map(|(id, _)| id).into_iter().chain([id]);
        for dead in done.flat_map(|id| liveness.dead_after(id)) {
            evaluation.values[dead.index()] = None;
        }
    }
    Ok(outputs)
}

/// An instruction that has a form which rescales.
#[derive(Clone, Copy)]
enum Product {
    Linear { arg: ValueId, map: MapId },
    Square { arg: ValueId },
    Mul { lhs: ValueId, rhs: ValueId },
}

impl Product {
    fn of(op: &Instruction) -> Option<Self> {
        match *op {
            Instruction::Linear { arg, map } => Some(Self::Linear { arg, map }),
            Instruction::Square { arg } => Some(Self::Square { arg }),
            Instruction::Mul { lhs, rhs } => Some(Self::Mul { lhs, rhs }),
            Instruction::Input
            | Instruction::Rotate { .. }
            | Instruction::Add { .. }
            | Instruction::Sub { .. }
            | Instruction::AddConst { .. }
            | Instruction::MulConst { .. }
            | Instruction::Polynomial { .. }
            | Instruction::Rescale { .. }
            | Instruction::DropLevel { .. }
            | Instruction::Bootstrap { .. }
            | Instruction::Output { .. } => None,
        }
    }
}

/// The outer error is a defect of the plan, the inner one comes from the machine.
type Evaluated<V> = Result<Result<V, MachineError>, RunError>;

struct Evaluation<'a, M: Machine> {
    program: &'a CkksProgram,
    weights: &'a Weights,
    machine: &'a mut M,
    inputs: std::vec::IntoIter<M::Value>,
    /// What each line computed, while a later line reads it.
    values: Vec<Option<M::Value>>,
}

impl<M: Machine> Evaluation<'_, M> {
    /// Evaluates a line; `product` is the line before it where this one rescales that, still to be done.
    fn line(&mut self, id: ValueId, line: &Line, product: Option<Product>) -> Result<M::Value, RunError> {
        let stated = State {
            level: line.level,
            power: line.power,
        };
        let evaluated = match product {
            Some(product) => self.rescaled(id, product)?,
            None => self.instruction(id, &line.op, stated)?,
        };
        let value = evaluated.map_err(|source| RunError::Machine {
            line: id,
            node: line.node.clone(),
            source,
        })?;
        let found = self.machine.state(&value);
        if found != stated {
            return Err(RunError::ResultState {
                line: id,
                node: line.node.clone(),
                found,
                stated,
            });
        }
        Ok(value)
    }

    fn rescaled(&mut self, id: ValueId, product: Product) -> Evaluated<M::Value> {
        let Self {
            program,
            weights,
            machine,
            values,
            ..
        } = self;
        let value = |operand| operand_value(values, id, operand);
        Ok(match product {
            Product::Linear { arg, map } => {
                machine.linear_rescale(value(arg)?, resolve_map(program, weights, id, map)?)
            }
            Product::Square { arg } => machine.square_rescale(value(arg)?),
            Product::Mul { lhs, rhs } => machine.mul_rescale(value(lhs)?, value(rhs)?),
        })
    }

    fn instruction(&mut self, id: ValueId, op: &Instruction, stated: State) -> Evaluated<M::Value> {
        let Self {
            program,
            weights,
            machine,
            inputs,
            values,
        } = self;
        let value = |operand| operand_value(values, id, operand);
        let resolve = |constant| resolve_constant(weights, id, constant);
        Ok(match op {
            Instruction::Input => {
                let given = inputs.next().expect("as many inputs as input lines");
                let found = machine.state(&given);
                if found != stated {
                    return Err(RunError::InputState { found, stated });
                }
                machine.input(given, stated)
            }
            Instruction::Linear { arg, map } => machine.linear(value(*arg)?, resolve_map(program, weights, id, *map)?),
            Instruction::Rotate { arg, by } => machine.rotate(value(*arg)?, *by),
            Instruction::Add { lhs, rhs } => machine.add(value(*lhs)?, value(*rhs)?),
            Instruction::Sub { lhs, rhs } => machine.sub(value(*lhs)?, value(*rhs)?),
            Instruction::AddConst { arg, value: constant } => machine.add_const(value(*arg)?, resolve(constant)?),
            Instruction::MulConst { arg, value: constant } => machine.mul_const(value(*arg)?, resolve(constant)?),
            Instruction::Square { arg } => machine.square(value(*arg)?),
            Instruction::Mul { lhs, rhs } => machine.mul(value(*lhs)?, value(*rhs)?),
            Instruction::Polynomial { arg, poly } => {
                let coefficients = constant_data(weights, id, poly.coefficients)?;
                machine.polynomial(value(*arg)?, ResolvedPolynomial { poly, coefficients })
            }
            Instruction::Rescale { arg } => machine.rescale(value(*arg)?),
            Instruction::DropLevel { arg } => machine.drop_level(value(*arg)?, stated.level),
            Instruction::Bootstrap { arg } => {
                let variant = program.bootstrap.as_ref().ok_or(RunError::Bootstrap { line: id })?;
                machine.bootstrap(value(*arg)?, variant, stated.level)
            }
            Instruction::Output { arg } => machine.output(value(*arg)?),
        })
    }
}

fn operand_value<V>(values: &[Option<V>], line: ValueId, operand: ValueId) -> Result<&V, RunError> {
    let kept = values.get(operand.index()).and_then(Option::as_ref);
    kept.ok_or(RunError::Operand { line, operand })
}

fn constant_data(weights: &Weights, line: ValueId, constant: ConstId) -> Result<&[f64], RunError> {
    weights.get(constant).ok_or(RunError::Constant { line, constant })
}

fn resolve_constant<'a>(
    weights: &'a Weights,
    line: ValueId,
    constant: &Constant,
) -> Result<ResolvedConstant<'a>, RunError> {
    Ok(match *constant {
        Constant::Scalar(value) => ResolvedConstant::Scalar(value),
        Constant::Vector { data, layout } => ResolvedConstant::Vector {
            values: constant_data(weights, line, data)?,
            layout,
        },
    })
}

/// A linear map of a program, where it is used.
#[derive(Clone, Copy, Debug)]
pub struct PlannedMap<'a> {
    /// The line that applies it.
    pub line: ValueId,
    /// The map.
    pub map: ResolvedMap<'a>,
    /// Level of the operand.
    pub level: Level,
}

/// The linear maps of a program, in order: what a machine may prepare before the first run.
///
/// # Errors
/// [`RunError`] for a map without weights, or an operand that no line computes.
pub fn planned_maps<'a>(program: &'a CkksProgram, weights: &'a Weights) -> Result<Vec<PlannedMap<'a>>, RunError> {
    let mut maps = Vec::new();
    for (index, line) in program.lines.iter().enumerate() {
        if let Instruction::Linear { arg, map } = line.op {
            let id = ValueId(index as u32);
            let operand = program.lines.get(arg.index());
            let operand = operand.ok_or(RunError::Operand { line: id, operand: arg })?;
            maps.push(PlannedMap {
                line: id,
                map: resolve_map(program, weights, id, map)?,
                level: operand.level,
            });
        }
    }
    Ok(maps)
}

fn resolve_map<'a>(
    program: &'a CkksProgram,
    weights: &'a Weights,
    line: ValueId,
    id: MapId,
) -> Result<ResolvedMap<'a>, RunError> {
    let map = program.maps.get(id.index()).ok_or(RunError::Map { line, map: id })?;
    Ok(ResolvedMap {
        id,
        map,
        weights: constant_data(weights, line, map.geometry.weights())?,
    })
}
