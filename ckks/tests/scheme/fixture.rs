//! A small ring with keys, and plain vectors beside it. Every set here is insecure: for tests only.

use std::sync::Arc;

use heron_ckks::{
    Ciphertext, Context, Encoder, EvaluationKeys, Evaluator, GiantStep, Kernels, LinearTransform, Rng, SecretKey, Term,
    decrypt, encrypt_secret,
};
use heron_params::{ChainRequest, CkksParams, KeySpec, Level, Rotation, ScalePower};

/// Small ring, two primes a digit, as in most plans.
pub(crate) const INSECURE_SMALL: ChainRequest = ChainRequest {
    log_n: 10,
    levels: 4,
    log_scale: 40,
    log_q0: 48,
    digit_len: 2,
};
/// Scales as small as the compiler chooses them for shallow networks; one prime a digit, one special prime.
pub(crate) const INSECURE_SMALL_SCALE: ChainRequest = ChainRequest {
    log_n: 11,
    levels: 5,
    log_scale: 28,
    log_q0: 36,
    digit_len: 1,
};
/// More digits than one lazy sum takes, and a ring of a single tile.
pub(crate) const INSECURE_MANY_DIGITS: ChainRequest = ChainRequest {
    log_n: 6,
    levels: 18,
    log_scale: 32,
    log_q0: 40,
    digit_len: 1,
};
/// Three primes a digit and several special primes.
pub(crate) const INSECURE_WIDE_DIGITS: ChainRequest = ChainRequest {
    log_n: 9,
    levels: 7,
    log_scale: 44,
    log_q0: 49,
    digit_len: 3,
};

pub(crate) struct Fixture {
    pub(crate) ctx: Arc<Context>,
    pub(crate) secret: SecretKey,
    pub(crate) eval: Evaluator,
    pub(crate) encoder: Encoder,
    pub(crate) rng: Rng,
}

impl Fixture {
    /// Keys for the given rotations and relinearization, all at the top level.
    pub(crate) fn new(request: &ChainRequest, rotations: &[u32]) -> Self {
        Self::with_cache(request, rotations, 0)
    }

    pub(crate) fn with_cache(request: &ChainRequest, rotations: &[u32], cache_bytes: u64) -> Self {
        Self::with_kernels(request, rotations, cache_bytes, Kernels::best())
    }

    pub(crate) fn with_kernels(request: &ChainRequest, rotations: &[u32], cache_bytes: u64, kernels: Kernels) -> Self {
        let params = CkksParams::build(request).expect("primes exist");
        let top = params.max_level();
        let ctx = Context::new(params, kernels).expect("a valid set");
        let mut rng = Rng::insecure_deterministic(42);
        let secret = SecretKey::generate(&ctx, &mut rng);
        let mut spec = KeySpec::default();
        spec.add_relinearize(top);
        rotations.iter().for_each(|&k| spec.add_rotation(Rotation(k), top));
        let keys = EvaluationKeys::generate(&ctx, &secret, &spec, &mut rng, &mut |_| ()).expect("a valid spec");
        let eval = Evaluator::with_cache(ctx.clone(), Arc::new(keys), cache_bytes);
        Self {
            encoder: Encoder::new(ctx.clone()),
            ctx,
            secret,
            eval,
            rng,
        }
    }

    pub(crate) fn params(&self) -> &CkksParams {
        self.ctx.params()
    }

    pub(crate) fn slots(&self) -> usize {
        self.params().slots().0 as usize
    }

    pub(crate) fn encrypt(&mut self, values: &[f64], level: Level) -> Ciphertext {
        let plaintext = self
            .encoder
            .encode(values, level, ScalePower::One)
            .expect("values that fit");
        encrypt_secret(&self.ctx, &self.secret, &plaintext, &mut self.rng).expand(&self.ctx)
    }

    pub(crate) fn decrypt(&self, ciphertext: &Ciphertext) -> Vec<f64> {
        self.encoder.decode(&decrypt(&self.ctx, &self.secret, ciphertext))
    }

    /// Values in `[-1, 1]`, a different vector for each `seed`.
    pub(crate) fn values(&self, seed: u32) -> Vec<f64> {
        (0..self.slots())
            .map(|i| (f64::from(seed) * 7.1 + i as f64 * 1.37).sin())
            .collect()
    }

    /// Checks that a ciphertext decrypts to `want` up to `2^-bits` in every slot.
    #[track_caller]
    pub(crate) fn check(&self, ciphertext: &Ciphertext, want: &[f64], bits: i32) {
        let got = self.decrypt(ciphertext);
        assert_eq!(got.len(), self.slots());
        let error = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(
            error < 2f64.powi(-bits),
            "error 2^{:.1}, allowed 2^-{bits}",
            error.log2()
        );
    }
}

pub(crate) fn rotated(values: &[f64], by: usize) -> Vec<f64> {
    (0..values.len()).map(|i| values[(i + by) % values.len()]).collect()
}

/// A matrix given by some of its generalized diagonals: `y = Σ diag_d ⊙ rot(x, d)`, over several inputs and outputs.
pub(crate) struct Diagonals {
    pub(crate) id: u64,
    pub(crate) steps: Vec<GiantStep>,
    /// In the frame before the giant rotation.
    pub(crate) values: Vec<Vec<f64>>,
}

impl LinearTransform for Diagonals {
    fn id(&self) -> u64 {
        self.id
    }

    fn giant_steps(&self) -> &[GiantStep] {
        &self.steps
    }

    fn write_diagonal(&self, diagonal: usize, out: &mut [f64]) {
        out.copy_from_slice(&self.values[diagonal]);
    }
}

impl Diagonals {
    /// All pairs of a giant and a baby rotation, with smooth pseudo-random diagonals.
    pub(crate) fn grid(slots: usize, outputs: usize, inputs: usize, giants: &[u32], babies: &[u32]) -> Self {
        let mut steps = Vec::new();
        let mut values: Vec<Vec<f64>> = Vec::new();
        for output in 0..outputs {
            for &giant in giants {
                let mut terms = Vec::new();
                for input in 0..inputs {
                    for &baby in babies {
                        let phase = values.len() as f64 * 2.3;
                        terms.push(Term {
                            input,
                            rotation: Rotation(baby),
                            diagonal: values.len(),
                        });
                        values.push((0..slots).map(|i| (phase + i as f64 * 0.71).cos()).collect());
                    }
                }
                steps.push(GiantStep {
                    output,
                    rotation: Rotation(giant),
                    terms,
                });
            }
        }
        Self { id: 1, steps, values }
    }

    /// The definition, on plain vectors.
    pub(crate) fn apply(&self, inputs: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let n_outputs = self.steps.iter().map(|step| step.output + 1).max().unwrap_or(0);
        let mut outputs = vec![vec![0.0; inputs[0].len()]; n_outputs];
        for step in &self.steps {
            let mut inner = vec![0.0; inputs[0].len()];
            for term in &step.terms {
                let baby = rotated(&inputs[term.input], term.rotation.0 as usize);
                let diagonal = &self.values[term.diagonal];
                inner
                    .iter_mut()
                    .zip(diagonal.iter().zip(&baby))
                    .for_each(|(sum, (d, x))| *sum += d * x);
            }
            let turned = rotated(&inner, step.rotation.0 as usize);
            outputs[step.output]
                .iter_mut()
                .zip(turned)
                .for_each(|(sum, x)| *sum += x);
        }
        outputs
    }
}
