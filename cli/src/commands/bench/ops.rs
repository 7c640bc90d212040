//! `heron bench ops`: the single operations on ciphertexts, one line each.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use heron_ckks::kernels::NttPrime;
use heron_ckks::{
    Ciphertext, Encoder, EvaluationKeys, Evaluator, GiantStep, LinearTransform, Rng, SecretKey, Term, decrypt,
    encrypt_secret,
};
use heron_params::{
    ChainRequest, CkksParams, KeySpec, MAX_LOG_N, MIN_SECURE_LOG_N, Rotation, ScalePower, SecurityCard,
};
use heron_runtime::sessions::{Security, open_context};
use serde::Serialize;

use super::machine::Machine;
use super::stopwatch::Times;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::table::{Align, Table};

const AFTER_HELP: &str = "\
Times are by the clock: on a machine that does nothing else, with --threads 1
first. HERON_KERNELS=portable, avx2 or ifma compares kernel sets.

Example:
  heron bench ops --log-n 15 --limbs 14 --threads 1 --format json";

/// Encoded diagonals are kept, as `run` does.
const CACHE_BYTES: u64 = 4 << 30;
/// Rotations of the hoisted measurement.
const BABIES: u32 = 4;

/// Options of `bench ops`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct BenchOpsArgs {
    /// Ring degree, as a logarithm to base 2
    #[arg(long, default_value_t = 15, value_name = "LOG_N", value_parser = clap::value_parser!(u32).range(i64::from(MIN_SECURE_LOG_N)..=i64::from(MAX_LOG_N)))]
    log_n: u32,
    /// Ciphertext primes
    #[arg(long, default_value_t = 14, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=64))]
    limbs: u32,
    /// Bits of every ciphertext prime
    #[arg(long, default_value_t = 46, value_name = "BITS", value_parser = clap::value_parser!(u32).range(20..=49))]
    log_scale: u32,
    /// Primes of a key-switching digit [default: what makes rotations cheapest]
    #[arg(long, value_name = "N")]
    digit_limbs: Option<NonZeroU32>,
    /// How long to measure each operation, in milliseconds
    #[arg(long, default_value_t = 500, value_name = "MS")]
    time: u64,
}

/// One line of the result.
#[derive(Debug, Serialize)]
struct Measurement {
    op: &'static str,
    log_n: u32,
    limbs: usize,
    special_limbs: usize,
    digits: usize,
    log_qp: f64,
    security_bits: u32,
    #[serde(flatten)]
    machine: Machine,
    #[serde(flatten)]
    times: Times,
}

impl BenchOpsArgs {
    /// Runs the command.
    pub(super) fn run(&self, context: &Context) -> Result<()> {
        let params = self.params()?;
        let card = SecurityCard::of(&params).ok_or_else(|| anyhow!("parameters that were checked have a card"))?;
        let machine = Machine::this(context.kernels);
        let step = context.terminal.step("making keys");
        let setting = Setting::new(&params, context, Duration::from_millis(self.time))?;
        drop(step);
        let mut table = Table::new(&[
            ("operation", Align::Text),
            ("median ms", Align::Number),
            ("10 %", Align::Number),
            ("90 %", Align::Number),
            ("runs", Align::Number),
        ]);
        let step = context.terminal.step("measuring");
        for (op, times) in setting.measure_all()? {
            if context.terminal.is_json() {
                let measurement = Measurement {
                    op,
                    log_n: params.log_n,
                    limbs: params.q.len(),
                    special_limbs: params.p.len(),
                    digits: params.digits(params.max_level()).len(),
                    log_qp: params.log_qp(),
                    security_bits: card.security_bits.0,
                    machine: machine.clone(),
                    times,
                };
                context.terminal.json_line(&measurement)?;
            } else {
                let ms = |time: f64| format!("{time:.3}");
                let cells = [op.to_owned(), ms(times.median_ms), ms(times.p10_ms), ms(times.p90_ms)];
                table.row(cells.into_iter().chain([times.runs.to_string()]));
            }
        }
        drop(step);
        if !context.terminal.is_json() {
            let heading = format!(
                "N = 2^{}, {} limbs and {} special, {} digits, log QP {:.0}, {} bits\n{} kernels, {}, {}\n\n",
                params.log_n,
                params.q.len(),
                params.p.len(),
                params.digits(params.max_level()).len(),
                params.log_qp(),
                card.security_bits.0,
                machine.kernels,
                crate::units::count(machine.threads, "thread"),
                machine.cpu,
            );
            context
                .terminal
                .piece(&(heading + &table.render(context.terminal.width())))?;
        }
        Ok(())
    }

    /// The parameters that were asked for, if they are secure.
    fn params(&self) -> Result<CkksParams> {
        let lengths = match self.digit_limbs {
            Some(len) => len.get()..=len.get(),
            None => 1..=self.limbs,
        };
        let build = |digit_len: u32| {
            CkksParams::build(&ChainRequest {
                log_n: self.log_n,
                levels: self.limbs - 1,
                log_scale: self.log_scale,
                log_q0: self.log_scale,
                digit_len,
            })
        };
        let mut refusal = None;
        let mut best: Option<(usize, CkksParams)> = None;
        for digit_len in lengths {
            match build(digit_len).and_then(|params| params.check_secure().map(|()| params)) {
                Ok(params) => {
                    let cost = (params.digits(params.max_level()).len() + 2) * (params.q.len() + params.p.len());
                    if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                        best = Some((cost, params));
                    }
                }
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        let reason = || refusal.map_or_else(|| "there are no such parameters".to_owned(), |error| error.to_string());
        let refused = || {
            Failure::new(Exit::Infeasible, reason())
                .advise("ask for fewer or smaller primes (--limbs, --log-scale), or for a larger ring (--log-n)")
        };
        best.map(|(_, params)| params).ok_or_else(|| refused().into())
    }
}

/// Keys and ciphertexts to measure with.
struct Setting {
    eval: Evaluator,
    secret: SecretKey,
    encoder: Encoder,
    ciphertext: Ciphertext,
    values: Vec<f64>,
    budget: Duration,
}

/// Rotations by one slot, two slots and so on, each times a diagonal, in one giant step.
struct Hoisted {
    steps: [GiantStep; 1],
}

impl Hoisted {
    fn new(rotations: u32) -> Self {
        let term = |k: u32| Term {
            input: 0,
            rotation: Rotation(k),
            diagonal: k as usize,
        };
        Self {
            steps: [GiantStep {
                output: 0,
                rotation: Rotation(0),
                terms: (1..=rotations).map(term).collect(),
            }],
        }
    }
}

impl LinearTransform for Hoisted {
    fn id(&self) -> u64 {
        self.steps[0].terms.len() as u64
    }

    fn giant_steps(&self) -> &[GiantStep] {
        &self.steps
    }

    fn write_diagonal(&self, diagonal: usize, out: &mut [f64]) {
        let values = out.iter_mut().enumerate();
        values.for_each(|(slot, x)| *x = ((slot * (diagonal + 1)) as f64).sin());
    }
}

impl Setting {
    fn new(params: &CkksParams, context: &Context, budget: Duration) -> Result<Self> {
        let ring = open_context(params, context.kernels, Security::Required)?;
        let top = params.max_level();
        let mut rng = Rng::from_os()?;
        let secret = SecretKey::generate(&ring, &mut rng);
        let mut spec = KeySpec::default();
        spec.add_relinearize(top);
        (1..=BABIES).for_each(|k| spec.add_rotation(Rotation(k), top));
        let keys = EvaluationKeys::generate(&ring, &secret, &spec, &mut rng, &mut |_| ())?;
        let encoder = Encoder::new(ring.clone());
        let values: Vec<f64> = (0..params.slots().0).map(|i| f64::from(i).sin()).collect();
        let plaintext = encoder.encode(&values, top, ScalePower::One)?;
        let ciphertext = encrypt_secret(&ring, &secret, &plaintext, &mut rng).expand(&ring);
        Ok(Self {
            eval: Evaluator::with_cache(ring, Arc::new(keys), CACHE_BYTES),
            secret,
            encoder,
            ciphertext,
            values,
            budget,
        })
    }

    /// Measures what may be refused: the first refusal ends the measurement.
    fn times<T, E>(&self, mut work: impl FnMut() -> Result<T, E>) -> Result<Times>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        work()?;
        Ok(Times::of(self.budget, work))
    }

    /// Measures what always works.
    fn times_of<T>(&self, work: impl FnMut() -> T) -> Times {
        Times::of(self.budget, work)
    }

    /// All operations at the top level, by name.
    fn measure_all(&self) -> Result<Vec<(&'static str, Times)>> {
        let mut found = self.evaluation()?;
        found.extend(self.client()?);
        found.extend(self.transforms()?);
        Ok(found)
    }

    /// What a server does.
    fn evaluation(&self) -> Result<Vec<(&'static str, Times)>> {
        let (eval, a) = (&self.eval, &self.ciphertext);
        let product = eval.square(a)?;
        let plaintext = self.encoder.encode(&self.values, a.level(), ScalePower::One)?;
        let (one, many) = (Hoisted::new(1), Hoisted::new(BABIES));
        let linear = self.times(|| eval.linear(a, &one))?;
        let hoisted = self.times(|| eval.linear(a, &many))?;
        Ok(vec![
            ("rotation", self.times(|| eval.rotate(a, Rotation(1)))?),
            ("hoisted rotation", hoisted.each_beyond(linear, BABIES - 1)),
            ("linear map of one rotation", linear),
            (
                "product, relinearized and rescaled",
                self.times(|| eval.mul_rescale(a, a))?,
            ),
            ("rescale", self.times(|| eval.rescale(&product))?),
            ("plaintext product", self.times(|| eval.mul_plaintext(a, &plaintext))?),
            ("addition", self.times(|| eval.add(a, a))?),
        ])
    }

    /// What a client does.
    fn client(&self) -> Result<Vec<(&'static str, Times)>> {
        let (ring, level) = (self.eval.context(), self.ciphertext.level());
        let encode = || self.encoder.encode(&self.values, level, ScalePower::One);
        let plaintext = encode()?;
        let (mut rng, mut key_rng) = (Rng::from_os()?, Rng::from_os()?);
        let mut spec = KeySpec::default();
        spec.add_rotation(Rotation(1), level);
        Ok(vec![
            ("encoding", self.times(encode)?),
            ("decoding", self.times_of(|| self.encoder.decode(&plaintext))),
            (
                "encryption",
                self.times_of(|| encrypt_secret(ring, &self.secret, &plaintext, &mut rng)),
            ),
            (
                "decryption",
                self.times_of(|| decrypt(ring, &self.secret, &self.ciphertext)),
            ),
            (
                "rotation key",
                self.times(|| EvaluationKeys::generate(ring, &self.secret, &spec, &mut key_rng, &mut |_| ()))?,
            ),
        ])
    }

    /// What everything consists of: the transforms of one limb.
    fn transforms(&self) -> Result<Vec<(&'static str, Times)>> {
        let ring = self.eval.context();
        let params = ring.params();
        let prime = NttPrime::new(ring.kernels(), params.log_n, params.q[0])?;
        let mut limb: Vec<u64> = (0..params.n() as u64).collect();
        let forward = self.times_of(|| prime.forward(&mut limb));
        let inverse = self.times_of(|| prime.inverse(&mut limb));
        Ok(vec![
            ("transform of one limb", forward),
            ("inverse transform of one limb", inverse),
        ])
    }
}
