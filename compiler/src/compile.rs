//! ONNX bytes and calibration samples to a plan: the pipeline.
//!
//! ```text
//! bytes ─import→ Graph<nn> ─simplify→ Graph<nn> ─calibrate→ (+ Ranges) ─approximate→ Graph<he> ─pack→ Graph<slots>
//!       ─schedule→ CkksProgram ─verify→ Plan
//! ```
//!
//! Each change of form is compared with what it was before on samples that were held back; approximation, which changes
//! what the network computes, is held to its answers instead.

use std::collections::BTreeMap;

use heron_params::SecurityCard;
use heron_plan::{
    CalibratedRange, Digest, FORMAT_VERSION, InputSpec, OutputSpec, Plan, Program, Provenance, Weights, verify,
};

use crate::approximate::{
    ActivationReport, ApproximateOptions, Approximated, FitStore, NoStore, RangeAlarm, Stored, approximate_stored,
    contributions, max_trees,
};
use crate::calibrate::{CalibrateError, Ranges, Samples, calibrate, is_held_back};
use crate::error::{CompileError, InaccurateNetwork};
use crate::gate::{Accuracy, Comparison, F32_TOLERANCE, F64_TOLERANCE, MIN_AGREEMENT, compare};
use crate::graph::Graph;
use crate::he::ClearPolynomial;
use crate::nn::Op;
use crate::options::{AccuracyGate, CompileOptions};
use crate::pack::unpackable;
use crate::packed_clear::evaluate_packed;
use crate::report::{ModelSummary, ParameterSummary, Precision, Report, bootstraps, layers, totals};
use crate::schedule::{ScheduleOptions, Scheduled, schedule};
use crate::{Imported, OnnxClear, PASSES, Pass, evaluate, import, simplify_with};

/// How many held-back samples the semantic gates compare: a wrong form differs on all of them.
const GATE_SAMPLES: usize = 8;

/// What to compile.
#[derive(Clone, Copy, Debug)]
pub struct CompileInput<'a> {
    /// The ONNX file.
    pub model: &'a [u8],
    /// Real inputs, normalized.
    pub calibration: &'a Samples,
    /// Their labels, if they are known: accuracy is then reported, not only agreement.
    pub labels: Option<&'a [i64]>,
    /// What the caller decides.
    pub options: &'a CompileOptions,
}

/// A compiled network.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The plan.
    pub plan: Plan,
    /// The tensors that it refers to.
    pub weights: Weights,
    /// What there is to say about it.
    pub report: Report,
}

/// Compiles a model. Deterministic: the same input gives the same plan, weights and report.
///
/// # Errors
/// [`CompileError`]; its [`kind`](CompileError::kind) says who can act.
pub fn compile(input: CompileInput<'_>) -> Result<Compiled, CompileError> {
    compile_with(input, PASSES, &NoStore)
}

/// [`compile`](compile()) with fits from a store, if it has them: the result is the same.
///
/// # Errors
/// Those of [`compile`](compile()).
pub fn compile_stored(input: CompileInput<'_>, store: &dyn FitStore) -> Result<Compiled, CompileError> {
    compile_with(input, PASSES, store)
}

/// Compiles with other passes; tests plant wrong ones.
fn compile_with(input: CompileInput<'_>, passes: &[Pass], store: &dyn FitStore) -> Result<Compiled, CompileError> {
    let options = input.options;
    if let Some(defect) = options.defect() {
        return Err(CompileError::Options(defect));
    }
    check_labels(input)?;
    let imported = import(input.model)?;
    // Before packing is asked what it refuses: a tree can be packed, a maximum cannot.
    let fit_options = approximate_options(options);
    let graph = max_trees(&simplify_with(passes, &imported.graph)?, &fit_options);
    let unpackable = unpackable(&graph);
    if !unpackable.is_empty() {
        return Err(CompileError::Unsupported(unpackable));
    }
    let ranges = calibrate(&graph, input.calibration)?;
    let mut findings = Findings {
        warnings: ranges.warnings.clone(),
        ..Findings::default()
    };
    compare_with_onnx(input, &imported, &graph, &mut findings)?;
    let stored = Stored::new(store, input.model, input.calibration, &fit_options);
    let approximated = approximate_stored(&graph, input.calibration, &fit_options, stored)?;
    findings.warnings.extend(range_warnings(&approximated));
    let accuracy = measure_accuracy(input, &graph, &approximated);
    check_accuracy(input, &graph, &accuracy, &mut findings)?;
    let scheduled = schedule_network(input, &approximated)?;
    compare_with_packed(input, &approximated, &scheduled, &mut findings)?;
    let plan = assemble(input, &imported, &graph, &ranges, &scheduled);
    verify(&plan).map_err(CompileError::Bug)?;
    let report = report(input, &plan, &scheduled, approximated, accuracy, findings);
    Ok(Compiled {
        plan,
        weights: scheduled.packed.weights,
        report,
    })
}

/// What the pipeline notices on its way.
#[derive(Default)]
struct Findings {
    gates: Vec<Comparison>,
    warnings: Vec<String>,
}

pub(crate) fn check_labels(input: CompileInput<'_>) -> Result<(), CompileError> {
    let samples = input.calibration.len();
    match input.labels {
        Some(labels) if labels.len() != samples => Err(CalibrateError::Labels {
            labels: labels.len(),
            samples,
        }
        .into()),
        _ => Ok(()),
    }
}

pub(crate) fn approximate_options(options: &CompileOptions) -> ApproximateOptions {
    ApproximateOptions {
        rule: options.activation,
        overrides: options.overrides.clone(),
        granularity: options.granularity,
        margin: options.margin,
        guard: options.guard,
        above_two: options.above_two,
        fit: options.fit,
    }
}

fn held_back(samples: &Samples) -> impl Iterator<Item = (usize, &[f64])> {
    samples.iter().enumerate().filter(|&(index, _)| is_held_back(index))
}

fn gate_samples(samples: &Samples) -> Vec<&[f64]> {
    held_back(samples)
        .map(|(_, sample)| sample)
        .take(GATE_SAMPLES)
        .collect()
}

/// The simplified graph against the ONNX file, evaluated independently.
fn compare_with_onnx(
    input: CompileInput<'_>,
    imported: &Imported,
    graph: &Graph<Op>,
    findings: &mut Findings,
) -> Result<(), CompileError> {
    let samples = gate_samples(input.calibration);
    let oracle = OnnxClear::new(input.model, imported);
    let reference = oracle.and_then(|oracle| samples.iter().map(|sample| oracle.run(sample)).collect());
    match reference {
        Ok(reference) => {
            let reference: Vec<Vec<f64>> = reference;
            let ours: Vec<Vec<f64>> = samples.iter().map(|sample| evaluate(graph, sample)).collect();
            findings
                .gates
                .push(compare("import and simplification", &reference, &ours, F32_TOLERANCE)?);
        }
        Err(error) => findings
            .warnings
            .push(format!("not compared with the ONNX file: {error}")),
    }
    Ok(())
}

/// Activations whose operands leave the intervals of their polynomials.
fn range_warnings(approximated: &Approximated) -> Vec<String> {
    let warning = |activation: &ActivationReport| {
        let (node, reach) = (activation.node.clone(), activation.reach);
        if reach.outside > 0.0 {
            return Some(RangeAlarm { node, reach }.to_string());
        }
        (activation.exceedance > 0.0).then(|| {
            format!(
                "{:.2} % of the held-back operands of `{node}` lie beyond what the others and the margin allow for: its \
                 interval was widened; more calibration samples would say how far it should be",
                100.0 * activation.exceedance
            )
        })
    };
    approximated.activations.iter().filter_map(warning).collect()
}

pub(crate) fn measure_accuracy(input: CompileInput<'_>, graph: &Graph<Op>, approximated: &Approximated) -> Accuracy {
    let polynomial = ClearPolynomial::new(&approximated.graph);
    let (mut clear_outputs, mut polynomial_outputs, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for (index, sample) in held_back(input.calibration) {
        clear_outputs.push(evaluate(graph, sample));
        polynomial_outputs.push(polynomial.output(sample));
        labels.extend(input.labels.map(|labels| labels[index]));
    }
    Accuracy::of(
        &clear_outputs,
        &polynomial_outputs,
        input.labels.map(|_| labels.as_slice()),
    )
}

fn check_accuracy(
    input: CompileInput<'_>,
    graph: &Graph<Op>,
    accuracy: &Accuracy,
    findings: &mut Findings,
) -> Result<(), CompileError> {
    if accuracy.agreement() >= MIN_AGREEMENT {
        return Ok(());
    }
    let options = approximate_options(input.options);
    let contributions = contributions(graph, input.calibration, &options)?;
    let inaccurate = InaccurateNetwork {
        agreeing: accuracy.agreeing,
        samples: accuracy.samples,
        contributions,
    };
    match input.options.accuracy {
        AccuracyGate::Enforce => Err(Box::new(inaccurate).into()),
        AccuracyGate::Accept => {
            findings.warnings.push(inaccurate.to_string());
            Ok(())
        }
    }
}

fn schedule_network(input: CompileInput<'_>, approximated: &Approximated) -> Result<Scheduled, CompileError> {
    let options = input.options;
    let notes: BTreeMap<String, String> = approximated
        .activations
        .iter()
        .map(|activation| (activation.node.clone(), activation.note()))
        .collect();
    let schedule_options = ScheduleOptions {
        margin: options.margin,
        precision_bits: options.precision_bits,
        max_log_n: options.max_log_n,
        max_depth: options.max_depth,
        timing: options.timing,
    };
    Ok(schedule(
        &approximated.graph,
        input.calibration,
        &notes,
        &schedule_options,
    )?)
}

/// The packed network, slot by slot, against the polynomial one.
fn compare_with_packed(
    input: CompileInput<'_>,
    approximated: &Approximated,
    scheduled: &Scheduled,
    findings: &mut Findings,
) -> Result<(), CompileError> {
    let samples = gate_samples(input.calibration);
    let polynomial = ClearPolynomial::new(&approximated.graph);
    let expected: Vec<Vec<f64>> = samples.iter().map(|sample| polynomial.output(sample)).collect();
    let packed = evaluate_packed(&scheduled.packed, &samples);
    findings
        .gates
        .push(compare("packing", &expected, &packed, F64_TOLERANCE)?);
    let lines: Vec<Vec<f64>> = scheduled
        .outputs
        .iter()
        .enumerate()
        .filter(|&(index, _)| is_held_back(index))
        .map(|(_, output)| output.clone())
        .take(samples.len())
        .collect();
    findings
        .gates
        .push(compare("scheduling", &expected, &lines, F64_TOLERANCE)?);
    Ok(())
}

fn assemble(
    input: CompileInput<'_>,
    imported: &Imported,
    graph: &Graph<Op>,
    ranges: &Ranges,
    scheduled: &Scheduled,
) -> Plan {
    let options = input.options;
    let packed = &scheduled.packed.graph;
    let (input_node, input_range) = graph
        .iter()
        .find(|(_, node)| node.op == Op::Input)
        .map(|(id, node)| (node, ranges.of(id).tensor.widened(options.margin)))
        .expect("calibration ran on the graph's input");
    let (_, packed_input) = packed.iter().next().expect("a packed network has its input first");
    let last = scheduled.program.lines.last().expect("a program ends in its output");
    Plan {
        format_version: FORMAT_VERSION,
        name: options.name.clone(),
        provenance: Provenance {
            compiler: concat!("heron ", env!("CARGO_PKG_VERSION")).to_owned(),
            model: Digest::of(input.model),
            calibration: Digest::of(&input.calibration.to_bytes()),
            options: options.words(),
        },
        input: InputSpec {
            name: imported.input_name.clone(),
            shape: input_node.shape.clone(),
            layout: packed_input.op.layout,
            normalization: options.normalization.clone(),
            range: CalibratedRange {
                min: input_range.min,
                max: input_range.max,
            },
        },
        output: OutputSpec {
            name: imported.output_name.clone(),
            shape: graph.node(graph.output()).shape.clone(),
            layout: packed.node(packed.output()).op.layout,
            bound: last.bound,
            error: last.error,
            tail: imported.tail.clone(),
            class_names: options.class_names.clone(),
        },
        program: Program::Ckks(scheduled.program.clone()),
        constants: scheduled.packed.constants.clone(),
    }
}

fn report(
    input: CompileInput<'_>,
    plan: &Plan,
    scheduled: &Scheduled,
    approximated: Approximated,
    accuracy: Accuracy,
    findings: Findings,
) -> Report {
    let program = &scheduled.program;
    // `verify` has refused a plan that is not secure.
    let security = SecurityCard::of(&program.params).expect("a verified plan is secure");
    Report {
        name: plan.name.clone(),
        model: ModelSummary {
            input: plan.input.name.clone(),
            input_shape: plan.input.shape.clone(),
            output: plan.output.name.clone(),
            output_shape: plan.output.shape.clone(),
            calibration_samples: input.calibration.len(),
        },
        security,
        parameters: ParameterSummary::of(&program.params),
        layers: layers(program),
        totals: totals(program),
        bootstraps: bootstraps(program),
        activations: approximated.activations,
        accuracy,
        gates: findings.gates,
        precision: Precision {
            predicted_bits: scheduled.precision_bits,
            wanted_bits: input.options.precision_bits,
            error_bound: plan.output.error,
            largest_output: scheduled.largest_output,
        },
        candidates: scheduled.candidates.clone(),
        causes: scheduled.causes.clone(),
        warnings: findings.warnings,
    }
}

#[cfg(test)]
mod tests;
