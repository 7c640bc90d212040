//! Makes a network of integers: bits, scales, look-ups and parameters for `--target tfhe`.
//!
//! ```text
//! Graph<nn> + Ranges ─pieces→ affine maps and functions ─integers→ integer rows, exact ranges ─parameters→ digits
//!                    ─tables→ one table a neuron ─emit→ TfheProgram ─verify→ Plan
//! ```
//!
//! Everything between two linear maps is one table, so that a function costs the same whether it is a ReLU or a GELU. An
//! accumulator that is wider than one look-up carries loses its low digits, one odd divisor at a time, exactly.

mod emit;
mod integers;
mod maxima;
mod outputs;
mod parameters;
mod pieces;
mod report;
mod rounding;
mod score;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use heron_plan::tfhe::{IntegerProgram, TfheProgram};
use heron_plan::{
    CalibratedRange, Digest, FORMAT_VERSION, InputSpec, OutputSpec, Plan, Program, Provenance, VectorLayout, Weights,
};

pub use report::{TfheCandidate, TfheLayer, TfheReport};

use crate::calibrate::{Ranges, calibrate, is_held_back};
use crate::compile::CompileInput;
use crate::error::{CompileError, Infeasible};
use crate::gate::{Accuracy, Comparison, F32_TOLERANCE, MIN_AGREEMENT, compare};
use crate::graph::{Graph, NodeId};
use crate::nn::Op;
use crate::options::AccuracyGate;
use crate::report::ModelSummary;
use crate::{Imported, OnnxClear, PASSES, evaluate, import, simplify_with};

use emit::{Decided, Emitted, emit};
use integers::{Choice, InputScale, IntegerPiece, Quantized};
use maxima::{Lowered, lower_maxima};
use outputs::OutputParts;
use parameters::{Accumulators, Chosen, Operand, OutputForm, choose};
use pieces::{Piece, pieces};
use rounding::Observed;
use score::{Reference, Score};

/// Fractions of an activation's calibrated range that its integers may cover.
const CLIPS: [f64; 5] = [1.0, 0.9, 0.8, 0.7, 0.6];
/// How many samples the import is checked on.
const GATE_SAMPLES: usize = 8;
/// Above, a finer last table costs a larger ring and gains nothing that was measured.
const MAX_LEAST_ENTRIES: u64 = 64;
/// Expected fraction of changed answers that `BitsChoice::Auto` accepts for fewer look-ups.
const AUTO_LOSS: f64 = 0.01;

/// How many bits weights and activations have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitsChoice {
    /// That many, from 2 to 8.
    Fixed(u32),
    /// The cheapest that keep the accuracy on calibration samples.
    Auto,
}

/// What a caller decides beside [`crate::options::CompileOptions`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntegerOptions {
    /// Bits of weights and activations.
    pub bits: BitsChoice,
    /// `log2` of the probability, at most, that a run has a wrong look-up; below zero.
    pub log2_failure: f64,
}

/// A network of exact integers.
#[derive(Clone, Debug)]
pub struct CompiledIntegers {
    /// The plan.
    pub plan: Plan,
    /// The tensors that it refers to.
    pub weights: Weights,
    /// What there is to say about it.
    pub report: TfheReport,
}

/// Compiles a model to exact integers. Deterministic: the same input gives the same plan, weights and report.
///
/// # Errors
/// [`CompileError`]; `Infeasible` names the accumulator that nothing carries, and the ways out.
pub fn compile_integers(input: CompileInput<'_>, options: &IntegerOptions) -> Result<CompiledIntegers, CompileError> {
    check_options(input, options)?;
    let imported = import(input.model)?;
    let graph = simplify_with(PASSES, &imported.graph)?;
    let Lowered { graph, parts } = lower_maxima(&graph);
    let ranges = calibrate(&graph, input.calibration)?;
    let pieces = pieces(&graph).map_err(CompileError::Unsupported)?;
    let mut warnings = ranges.warnings.clone();
    let gates = compare_with_onnx(input, &imported, &graph, &mut warnings)?;
    let network = Network {
        input,
        imported: &imported,
        graph: &graph,
        maxima: &parts,
        ranges: &ranges,
        pieces: &pieces,
        options,
        reference: Reference::of(input, &graph),
    };
    let (best, candidates) = network.search()?;
    let accuracy = network.accuracy(&best.program);
    if accuracy.agreement() < MIN_AGREEMENT {
        network.inaccurate(&accuracy, &mut warnings)?;
    }
    let program = best.program.program();
    let report = TfheReport {
        scheme: "tfhe".to_owned(),
        name: best.plan.name.clone(),
        model: ModelSummary {
            input: best.plan.input.name.clone(),
            input_shape: best.plan.input.shape.clone(),
            output: best.plan.output.name.clone(),
            output_shape: best.plan.output.shape.clone(),
            calibration_samples: input.calibration.len(),
        },
        security_bits: report::SECURITY,
        params: program.params,
        bits: program.bits,
        log2_failure: program.log2_failure,
        layers: report::layers(program),
        lookups: program.lookups(),
        predicted_ms: best.predicted_ms,
        key_memory_bytes: program.params.key_memory_bytes(),
        key_file_bytes: program.params.key_file_bytes(),
        accuracy,
        candidates,
        gates,
        warnings,
    };
    Ok(CompiledIntegers {
        plan: best.plan,
        weights: best.weights,
        report,
    })
}

fn check_options(input: CompileInput<'_>, options: &IntegerOptions) -> Result<(), CompileError> {
    if let Some(defect) = input.options.defect() {
        return Err(CompileError::Options(defect));
    }
    if let BitsChoice::Fixed(bits) = options.bits
        && !(2..=8).contains(&bits)
    {
        return Err(CompileError::Options(format!("{bits} bits: choose 2 to 8, or auto")));
    }
    if !(-128.0..0.0).contains(&options.log2_failure) {
        let failure = options.log2_failure;
        return Err(CompileError::Options(format!(
            "a failure probability of 2^{failure:.2}: choose from 2^-128 to below 1"
        )));
    }
    crate::compile::check_labels(input)
}

fn compare_with_onnx(
    input: CompileInput<'_>,
    imported: &Imported,
    graph: &Graph<Op>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Comparison>, CompileError> {
    let samples: Vec<&[f64]> = input.calibration.iter().take(GATE_SAMPLES).collect();
    let oracle = OnnxClear::new(input.model, imported);
    let reference = oracle.and_then(|oracle| samples.iter().map(|sample| oracle.run(sample)).collect());
    match reference {
        Ok(reference) => {
            let reference: Vec<Vec<f64>> = reference;
            let ours: Vec<Vec<f64>> = samples.iter().map(|sample| evaluate(graph, sample)).collect();
            Ok(vec![compare(
                "import and simplification",
                &reference,
                &ours,
                F32_TOLERANCE,
            )?])
        }
        Err(error) => {
            warnings.push(format!("not compared with the ONNX file: {error}"));
            Ok(Vec::new())
        }
    }
}

/// A network on its way to integers.
struct Network<'a> {
    input: CompileInput<'a>,
    imported: &'a Imported,
    graph: &'a Graph<Op>,
    /// Functions that are part of a maximum.
    maxima: &'a BTreeSet<NodeId>,
    ranges: &'a Ranges,
    pieces: &'a [Piece],
    options: &'a IntegerOptions,
    reference: Reference,
}

/// The last choice of parameters, and what it was made for.
struct Cached {
    shapes: Vec<Accumulators>,
    outputs: Vec<OutputForm>,
    chosen: Chosen,
}

/// One choice, compiled.
struct Candidate {
    plan: Plan,
    weights: Weights,
    program: IntegerProgram,
    score: Score,
    predicted_ms: f64,
}

impl Network<'_> {
    fn search(&self) -> Result<(Candidate, Vec<TfheCandidate>), CompileError> {
        let mut tried = Vec::new();
        match self.options.bits {
            BitsChoice::Fixed(bits) => Ok((self.best_of(bits, &mut tried)?, tried)),
            BitsChoice::Auto => {
                let mut best: Option<Candidate> = None;
                let mut refused = None;
                for bits in 2..=8 {
                    match self.best_of(bits, &mut tried) {
                        Ok(candidate) => {
                            let good = candidate.score.changed <= AUTO_LOSS;
                            if best
                                .as_ref()
                                .is_none_or(|best| candidate.score.order(&best.score).is_lt())
                            {
                                best = Some(candidate);
                            }
                            // More bits only cost more from here on.
                            if good {
                                break;
                            }
                        }
                        Err(error) => {
                            refused = Some(error);
                            break;
                        }
                    }
                }
                match (best, refused) {
                    (Some(best), _) => Ok((best, tried)),
                    (None, Some(error)) => Err(error),
                    (None, None) => Err(CompileError::Options("no number of bits to try".to_owned())),
                }
            }
        }
    }

    /// The clip and the input scale with the best score for a number of bits, or a cheaper choice that is about as good.
    fn best_of(&self, bits: u32, tried: &mut Vec<TfheCandidate>) -> Result<Candidate, CompileError> {
        let mut candidates: Vec<Candidate> = Vec::new();
        let mut refused = None;
        // Where two candidates have equal shapes, the choice of parameters is that of the one before.
        let mut cache = None;
        for input in [InputScale::Tensor, InputScale::Element] {
            for clip in CLIPS {
                let candidate = match self.compile(Choice { bits, clip, input }, &mut cache) {
                    Ok(candidate) => candidate,
                    Err(error) => {
                        refused = Some(error);
                        break;
                    }
                };
                tried.push(TfheCandidate {
                    bits,
                    clip,
                    input_scale_per_element: input == InputScale::Element,
                    changed: candidate.score.changed,
                    predicted_ms: candidate.predicted_ms,
                });
                candidates.push(candidate);
            }
        }
        preferred(candidates)
            .ok_or_else(|| refused.unwrap_or_else(|| CompileError::Options("nothing to try".to_owned())))
    }

    fn compile(&self, choice: Choice, cache: &mut Option<Cached>) -> Result<Candidate, CompileError> {
        let (tensors, integer) = self.integers(choice);
        let ends_in_function = self.pieces.last().is_some_and(|piece| piece.function.is_some());
        let last = integer.last().expect("a network has pieces");
        let forms = if ends_in_function {
            vec![outputs::of_function(
                tensors.last().expect("the last piece has a result"),
            )]
        } else {
            outputs::forms(last, &tensors, choice.bits)
        };
        let chosen = self.choose(choice.bits, &integer, &forms, cache)?;
        let emitted = self.emit(choice, &tensors, &integer, &chosen, &forms)?;
        let plan = self.assemble(choice, &emitted);
        let program = IntegerProgram::new(&plan, &emitted.weights).map_err(CompileError::Bug)?;
        let program = program.expect("a plan for exact integers was assembled");
        Ok(Candidate {
            score: self.reference.score(&program),
            predicted_ms: chosen.predicted_ms,
            weights: emitted.weights,
            program,
            plan,
        })
    }

    /// Integers of all tensors and pieces.
    fn integers(&self, choice: Choice) -> (Vec<Quantized>, Vec<IntegerPiece>) {
        let input = self.graph.iter().find(|(_, node)| node.op == Op::Input);
        let (input, _) = input.expect("calibration ran on the graph's input");
        let mut tensors = vec![integers::input(self.ranges.of(input), choice)];
        let mut observed = Observed::new(&self.reference.samples, &tensors[0]);
        let mut pieces = Vec::new();
        for piece in self.pieces {
            let exact = piece.function.filter(|function| self.maxima.contains(function));
            let (integer, result) = match exact.and_then(|_| integers::maximum(piece, &tensors)) {
                Some((integer, result)) => (integer, Some(result)),
                None => {
                    let mut integer = integers::piece(piece, &tensors, choice.bits);
                    observed.round(piece, &mut integer, &tensors, integers::largest_weight(choice.bits));
                    integer.bound(&tensors);
                    let result = piece.function.map(|function| {
                        let is_output = function == self.graph.output();
                        integers::activation(self.ranges.of(function), choice, is_output)
                    });
                    (integer, result)
                }
            };
            if let Some(result) = result {
                observed.advance(self.graph, piece, &integer, &result);
                tensors.push(result);
            }
            pieces.push(integer);
        }
        (tensors, pieces)
    }

    fn choose(
        &self,
        bits: u32,
        integer: &[IntegerPiece],
        forms: &[OutputParts],
        cache: &mut Option<Cached>,
    ) -> Result<Chosen, CompileError> {
        let last = integer.last().expect("a network has pieces");
        let readers = |tensor: usize| {
            let reading = integer
                .iter()
                .filter(|piece| piece.sources.iter().any(|(source, _)| *source == tensor));
            (reading.count() as u64).max(1)
        };
        let accumulators = |(index, (piece, integer)): (usize, (&Piece, &IntegerPiece))| {
            piece.function.map(|_| Accumulators {
                rows: integer.low.len() as u64,
                width: integer.width,
                least_entries: integer.width.min(least_entries(bits)),
                sources: integer.sources.iter().map(norm).collect(),
                copies: readers(index + 1),
            })
        };
        let shapes: Vec<Accumulators> = self
            .pieces
            .iter()
            .zip(integer)
            .enumerate()
            .filter_map(accumulators)
            .collect();
        let outputs: Vec<_> = forms.iter().map(|form| form.shape(last)).collect();
        if let Some(same) = cache
            .as_ref()
            .filter(|cached| cached.shapes == shapes && cached.outputs == outputs)
        {
            return Ok(same.chosen.clone());
        }
        let chosen = choose(&shapes, &outputs, self.options.log2_failure);
        let chosen = chosen.map_err(|stuck| self.refuse(stuck, integer))?;
        *cache = Some(Cached {
            shapes,
            outputs,
            chosen: chosen.clone(),
        });
        Ok(chosen)
    }

    /// Names the accumulator that no parameter set carries.
    fn refuse(&self, stuck: usize, integer: &[IntegerPiece]) -> CompileError {
        let index = stuck.min(self.pieces.len() - 1);
        let (piece, accumulator) = (&self.pieces[index], &integer[index]);
        let infeasible = Infeasible {
            node: piece.affine_node.clone(),
            needs: format!(
                "an accumulator of {} values (element {}), to be read wrong with probability 2^{:.0} at most",
                accumulator.width, accumulator.widest, self.options.log2_failure
            ),
            available: "what six look-ups of the largest secure set carry".to_owned(),
            remedies: vec![
                "use fewer bits with `--bits`".to_owned(),
                "accept more failures with `--failure`".to_owned(),
                "make the layer narrower".to_owned(),
                "compile for `--target ckks`".to_owned(),
            ],
        };
        Box::new(infeasible).into()
    }

    fn emit(
        &self,
        choice: Choice,
        tensors: &[Quantized],
        integer: &[IntegerPiece],
        chosen: &Chosen,
        forms: &[OutputParts],
    ) -> Result<Emitted, CompileError> {
        let with_digits = self.pieces.iter().zip(integer).zip(&chosen.digits).enumerate();
        let tables = with_digits.map(|(index, ((piece, integer), digits))| {
            integer.tables(self.graph, piece, &tensors[index + 1], digits.granule(), digits.entries)
        });
        let name = |piece: &Piece| {
            let function = piece.function.map(|id| self.graph.node(id).name.clone());
            (piece.affine_node.clone(), function)
        };
        let nodes: Vec<(String, Option<String>)> = self.pieces.iter().map(name).collect();
        emit(&Decided {
            pieces: integer,
            nodes: &nodes,
            tables: tables.collect(),
            tensors,
            chosen,
            output: &forms[chosen.output],
            bits: choice.bits,
            log2_failure: self.options.log2_failure,
        })
        .map_err(CompileError::Bug)
    }

    fn assemble(&self, choice: Choice, emitted: &Emitted) -> Plan {
        let options = self.input.options;
        let (input_node, range) = self
            .graph
            .iter()
            .find(|(_, node)| node.op == Op::Input)
            .map(|(id, node)| (node, self.ranges.of(id).tensor.widened(options.margin)))
            .expect("calibration ran on the graph's input");
        let output_node = self.graph.node(self.graph.output());
        let vector = |len: usize| VectorLayout {
            len: len as u32,
            period: len as u32,
            image: None,
        };
        let output = &emitted.program.output;
        let (bound, error) = output_bounds(&emitted.program);
        Plan {
            format_version: FORMAT_VERSION,
            name: options.name.clone(),
            provenance: Provenance {
                compiler: concat!("heron ", env!("CARGO_PKG_VERSION")).to_owned(),
                model: Digest::of(self.input.model),
                calibration: Digest::of(&self.input.calibration.to_bytes()),
                options: words(choice, self.options, options.margin),
            },
            input: InputSpec {
                name: self.imported.input_name.clone(),
                shape: input_node.shape.clone(),
                layout: vector(input_node.len()),
                normalization: options.normalization.clone(),
                range: CalibratedRange {
                    min: range.min,
                    max: range.max,
                },
            },
            output: OutputSpec {
                name: self.imported.output_name.clone(),
                shape: output_node.shape.clone(),
                layout: vector(output.len()),
                bound,
                error,
                tail: self.imported.tail.clone(),
                class_names: options.class_names.clone(),
            },
            program: Program::Tfhe(emitted.program.clone()),
            constants: emitted.constants.clone(),
        }
    }

    fn accuracy(&self, program: &IntegerProgram) -> Accuracy {
        let (mut clear, mut integers, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        let samples = self.input.calibration.iter().enumerate();
        for (index, sample) in samples.filter(|(index, _)| is_held_back(*index)) {
            clear.push(evaluate(self.graph, sample));
            integers.push(program.output_of(sample));
            labels.extend(self.input.labels.map(|labels| labels[index]));
        }
        Accuracy::of(&clear, &integers, self.input.labels.map(|_| labels.as_slice()))
    }

    fn inaccurate(&self, accuracy: &Accuracy, warnings: &mut Vec<String>) -> Result<(), CompileError> {
        let message = format!(
            "the network of integers agrees with the clear one on {} of {} held-back samples, less than {:.0} %; use more \
             bits with `--bits`, or more calibration samples; `--accept-accuracy` compiles it as it is",
            accuracy.agreeing,
            accuracy.samples,
            100.0 * MIN_AGREEMENT
        );
        match self.input.options.accuracy {
            AccuracyGate::Enforce => Err(CompileError::InaccurateIntegers(message)),
            AccuracyGate::Accept => {
                warnings.push(message);
                Ok(())
            }
        }
    }
}

/// The best score; or what is a tenth cheaper than any better one, and changes hardly more answers.
fn preferred(mut candidates: Vec<Candidate>) -> Option<Candidate> {
    candidates.sort_by(|a, b| a.score.order(&b.score));
    let mut candidates = candidates.into_iter();
    let mut preferred = candidates.next()?;
    let accepted = (preferred.score.changed * 4.0 / 3.0).max(AUTO_LOSS / 2.0);
    for candidate in candidates {
        if candidate.score.changed <= accepted && candidate.predicted_ms < 0.9 * preferred.predicted_ms {
            preferred = candidate;
        }
    }
    Some(preferred)
}

/// Entries that the last table of an accumulator has, at least: several for each level of its result, half of which may lie
/// where a ReLU is zero. With 1 for each level, `digits_mlp_relu` at 4 bits loses 2.3 points; with 2.5, half a point.
fn least_entries(bits: u32) -> u64 {
    ((5 << bits) / 2).min(MAX_LEAST_ENTRIES)
}

/// The largest squared norm of a source's rows, and what is read.
fn norm((tensor, rows): &(usize, Vec<Vec<(usize, i64)>>)) -> (f64, Operand) {
    let square = |terms: &Vec<(usize, i64)>| terms.iter().map(|(_, w)| (w * w) as f64).sum::<f64>();
    let operand = if *tensor == 0 { Operand::Input } else { Operand::Lookup };
    (rows.iter().map(square).fold(1.0, f64::max), operand)
}

/// The largest magnitude of an output, and half of its coarsest step.
fn output_bounds(program: &TfheProgram) -> (f64, f64) {
    let output = &program.output;
    let line = program.lines.last();
    let largest = line.map_or(0, |line| line.max.max(-line.min)) as f64;
    let total: f64 = output.parts.iter().map(|part| part.abs() as f64 * largest).sum();
    let bounds = output.scale.iter().zip(&output.offset);
    let bound = bounds
        .map(|(scale, offset)| scale * total + offset.abs())
        .fold(0.0, f64::max);
    let step = output.scale.iter().copied().fold(0.0, f64::max);
    (bound.max(f64::MIN_POSITIVE), (step / 2.0).max(f64::MIN_POSITIVE))
}

fn words(choice: Choice, options: &IntegerOptions, margin: f64) -> Vec<String> {
    vec![
        format!("bits {}", choice.bits),
        format!("failure 2^{}", options.log2_failure),
        format!("clip {}", choice.clip),
        format!(
            "input scale per {}",
            match choice.input {
                InputScale::Tensor => "tensor",
                InputScale::Element => "element",
            }
        ),
        format!("margin {margin}"),
    ]
}
