//! Runs a plan encrypted and in clear, side by side in one process with fresh keys, and compares the two line by line.

use std::sync::Arc;

use heron_ckks::{Ciphertext, Context, Encoder, Rng, SecretKey, decrypt, encrypt_secret};
use heron_plan::{Instruction, Line, ValueId};

use crate::Error;
use crate::files::PlanBundle;
use crate::interpreter::{Fusion, RunError, Step, run};
use crate::machines::{CkksMachine, Clear, ClearValue, Pair, PairValue};
use crate::samples::Samples;
use crate::sessions::{KeygenOptions, SessionError, ckks_program, keygen};
use crate::simulate::largest_magnitude;

/// Which lines to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Every line, each by itself; a decryption per line.
    EveryLine,
    /// Outputs only, evaluated as the server does, products fused with their rescale.
    Outputs,
}

/// What the comparison found of one line, the worst over all samples and slots.
#[derive(Clone, Debug, PartialEq)]
pub struct LineCheck {
    /// The line.
    pub line: ValueId,
    /// Its ONNX node.
    pub node: String,
    /// What the plan states of it.
    pub bound: f64,
    /// The error that the plan states.
    pub stated_error: f64,
    /// The largest magnitude in clear.
    pub largest: f64,
    /// The largest difference between encrypted and clear.
    pub measured_error: f64,
}

impl LineCheck {
    fn new(index: usize, line: &Line) -> Self {
        Self {
            line: ValueId(index as u32),
            node: line.node.clone(),
            bound: line.bound,
            stated_error: line.error,
            largest: 0.0,
            measured_error: 0.0,
        }
    }

    /// Whether the measured error is within the stated one.
    pub fn error_holds(&self) -> bool {
        self.measured_error <= self.stated_error
    }

    /// Whether the clear values are within the stated bound, but for rounding in f64.
    pub fn bound_holds(&self) -> bool {
        self.largest <= self.bound * (1.0 + 1e-9)
    }

    /// How many bits the measured error stays below the stated one.
    pub fn spare_bits(&self) -> f64 {
        (self.stated_error / self.measured_error).log2()
    }
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The compared lines, in order.
    pub lines: Vec<LineCheck>,
    /// The elements of each encrypted output.
    pub encrypted: Vec<Vec<f64>>,
    /// The elements of each clear output of the same plan.
    pub clear: Vec<Vec<f64>>,
}

impl Comparison {
    /// The first line, in order of the program, whose error or values leave what the plan states.
    pub fn first_broken(&self) -> Option<&LineCheck> {
        self.lines
            .iter()
            .find(|check| !check.error_holds() || !check.bound_holds())
    }

    /// The largest difference between encrypted and clear outputs.
    pub fn output_error(&self) -> f64 {
        let differences = self
            .encrypted
            .iter()
            .flatten()
            .zip(self.clear.iter().flatten())
            .map(|(a, b)| a - b);
        largest_magnitude(&differences.collect::<Vec<_>>())
    }

    /// `-log2(max|encrypted - clear| / max|clear|)` over all samples.
    pub fn precision_bits(&self) -> f64 {
        let largest = self.clear.iter().map(|y| largest_magnitude(y)).fold(0.0, f64::max);
        -(self.output_error() / largest).log2()
    }
}

/// Runs a plan encrypted and in clear on samples; `progress` is told the sample and the line that is done.
///
/// # Errors
/// Those of key generation, encryption and evaluation; [`Error::Sample`] names the sample on which a line cannot be evaluated,
/// such as one whose values exceed what a bootstrap takes.
pub fn compare(
    bundle: &PlanBundle,
    context: &Arc<Context>,
    samples: &Samples,
    detail: Detail,
    rng: &mut Rng,
    progress: &mut dyn FnMut(usize, Step<'_>),
) -> Result<Comparison, Error> {
    let program = ckks_program(&bundle.plan)?;
    let spec = bundle.plan.client_spec().expect("a CKKS program has a CKKS client");
    let keys = keygen(&spec, context, KeygenOptions { public: false }, rng, &mut |_| {})?;
    let measure = Measure {
        context,
        encoder: Encoder::new(context.clone()),
        secret: &keys.secret,
    };
    let mut machine = Pair {
        left: CkksMachine::new(context.clone(), keys.server.clone(), PLAINTEXT_CACHE_BYTES),
        right: Clear::new(&program.params),
    };
    let mut lines: Vec<LineCheck> = program
        .lines
        .iter()
        .enumerate()
        .map(|(i, l)| LineCheck::new(i, l))
        .collect();
    let (mut encrypted, mut clear) = (Vec::new(), Vec::new());
    for (sample, elements) in samples.values.iter().enumerate() {
        let input = measure.encrypt(bundle, &machine.right, elements, rng)?;
        let mut observe = |step: Step<'_>, value: &Both| {
            if detail == Detail::EveryLine || matches!(step.line.op, Instruction::Output { .. }) {
                measure.line(&mut lines[step.id.index()], value);
            }
            progress(sample, step);
        };
        let results = run(
            program,
            &bundle.weights,
            &mut machine,
            detail.fusion(),
            vec![input],
            &mut observe,
        )
        .map_err(|source| Error::Sample { sample, source })?;
        for result in results {
            encrypted.push(bundle.plan.output.layout.gather(&measure.decrypt(&result.left)));
            clear.push(bundle.plan.output.layout.gather(&result.right.slots));
        }
    }
    let compared = |check: &LineCheck| {
        detail == Detail::EveryLine || matches!(program.lines[check.line.index()].op, Instruction::Output { .. })
    };
    lines.retain(compared);
    Ok(Comparison {
        lines,
        encrypted,
        clear,
    })
}

/// Enough for the dense layers of small networks, whose second sample is then fast.
const PLAINTEXT_CACHE_BYTES: u64 = 256 << 20;

impl Detail {
    fn fusion(self) -> Fusion {
        match self {
            Self::EveryLine => Fusion::None,
            Self::Outputs => Fusion::WithRescale,
        }
    }
}

type Both = PairValue<Ciphertext, ClearValue>;

/// The client's side of a comparison.
struct Measure<'a> {
    context: &'a Context,
    encoder: Encoder,
    secret: &'a SecretKey,
}

impl Measure<'_> {
    fn encrypt(&self, bundle: &PlanBundle, exact: &Clear, elements: &[f64], rng: &mut Rng) -> Result<Both, Error> {
        let params = self.context.params();
        let slots = bundle.plan.input.layout.spread(elements, params.slots().0 as usize);
        let right = exact.fresh(slots).map_err(|source| RunError::Input { source })?;
        let encoded = self.encoder.encode(&right.slots, right.state.level, right.state.power);
        let plaintext = encoded.map_err(SessionError::from)?;
        let left = encrypt_secret(self.context, self.secret, &plaintext, rng).expand(self.context);
        Ok(PairValue { left, right })
    }

    fn decrypt(&self, ciphertext: &Ciphertext) -> Vec<f64> {
        self.encoder.decode(&decrypt(self.context, self.secret, ciphertext))
    }

    fn line(&self, check: &mut LineCheck, value: &Both) {
        let differences: Vec<f64> = self
            .decrypt(&value.left)
            .iter()
            .zip(&value.right.slots)
            .map(|(a, b)| a - b)
            .collect();
        check.measured_error = check.measured_error.max(largest_magnitude(&differences));
        check.largest = check.largest.max(largest_magnitude(&value.right.slots));
    }
}
