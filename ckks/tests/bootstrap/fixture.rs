//! A bootstrap with its keys, and complex vectors beside it.

use std::sync::Arc;

use heron_ckks::bootstrap::{BootstrapKeys, Bootstrapper};
use heron_ckks::{Ciphertext, Context, EvaluationKeys, Kernels, Plaintext, Rng, SecretKey, decrypt, encrypt_secret};
use heron_params::bootstrap::{BootstrapParams, BootstrapRequest, SlotValues};
use heron_params::{Level, ScalePower};

/// Real and imaginary parts of all slots.
pub(crate) type Slots = [Vec<f64>; 2];

/// The ring of a variant.
pub(crate) fn ring(params: &BootstrapParams) -> Arc<Context> {
    Context::new(params.chain().clone(), Kernels::best()).expect("a valid chain")
}

/// A ring, a secret, the keys of a variant, and the variant.
pub(crate) struct Fixture {
    pub(crate) ctx: Arc<Context>,
    pub(crate) secret: SecretKey,
    pub(crate) boot: Bootstrapper,
    rng: Rng,
}

impl Fixture {
    /// A set that protects nothing.
    pub(crate) fn insecure(request: &BootstrapRequest) -> Self {
        Self::new(
            BootstrapParams::build_insecure_for_tests(request).expect("a sound request"),
            0,
        )
    }

    pub(crate) fn new(params: BootstrapParams, cache_bytes: u64) -> Self {
        let ctx = ring(&params);
        let mut rng = Rng::insecure_deterministic(7);
        let secret = SecretKey::generate(&ctx, &mut rng);
        let spec = params.key_spec().evaluation;
        let evaluation =
            EvaluationKeys::generate(&ctx, &secret, &spec, &mut rng, &mut |_| ()).expect("keys of this ring");
        let keys = BootstrapKeys::generate(&ctx, &secret, &params, &mut rng).expect("keys of this ring");
        let boot =
            Bootstrapper::new(&ctx, params, Arc::new(evaluation), Arc::new(keys), cache_bytes).expect("the same ring");
        Self { ctx, secret, boot, rng }
    }

    pub(crate) fn params(&self) -> &BootstrapParams {
        self.boot.params()
    }

    /// Repeats `2^log_slots` values over all slots; the imaginary parts are zero for real vectors.
    pub(crate) fn slots(&self, value: impl Fn(usize) -> (f64, f64)) -> Slots {
        let (n, all) = (1 << self.params().log_slots(), self.ctx.params().slots().0 as usize);
        let (re, mut im): (Vec<f64>, Vec<f64>) = (0..all).map(|i| value(i % n)).unzip();
        if self.params().values() == SlotValues::Real {
            im.fill(0.0);
        }
        [re, im]
    }

    /// The vectors that a bootstrap must not mind: what each is, and its slots.
    pub(crate) fn extremes(&self) -> [(&'static str, Slots); 4] {
        let n = 1usize << self.params().log_slots();
        // All of the message in one coefficient: the slots of a monomial.
        let powers: Vec<usize> = std::iter::successors(Some(1), |power| Some(power * 5 % (4 * n)))
            .take(n)
            .collect();
        let monomial = |i: usize| {
            let angle = std::f64::consts::TAU * powers[i] as f64 / (4 * n) as f64;
            (angle.cos(), angle.sin())
        };
        [
            ("ones", self.slots(|_| (1.0, -1.0))),
            (
                "alternating",
                self.slots(|i| if i % 2 == 0 { (1.0, -1.0) } else { (-1.0, 1.0) }),
            ),
            (
                "one-hot",
                self.slots(|i| if i == n / 3 { (1.0, 1.0) } else { (0.0, 0.0) }),
            ),
            ("one coefficient", self.slots(monomial)),
        ]
    }

    /// Values in `[-1, 1]`, a different vector for each seed.
    pub(crate) fn random(&self, seed: u64) -> Slots {
        let uniform = |i: usize, part: u64| {
            let mut state = (i as u64 * 2 + part)
                .wrapping_add(seed << 32)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
            state ^= state >> 29;
            state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
            state ^= state >> 32;
            (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        };
        self.slots(|i| (uniform(i, 0), uniform(i, 1)))
    }

    pub(crate) fn encrypt(&mut self, slots: &Slots, level: Level) -> Ciphertext {
        let plaintext = self.encode(slots, level);
        encrypt_secret(&self.ctx, &self.secret, &plaintext, &mut self.rng).expand(&self.ctx)
    }

    /// An encryption under another secret.
    pub(crate) fn encrypt_under(&mut self, secret: &SecretKey, slots: &Slots, level: Level) -> Ciphertext {
        let plaintext = self.encode(slots, level);
        encrypt_secret(&self.ctx, secret, &plaintext, &mut self.rng).expand(&self.ctx)
    }

    fn encode(&self, slots: &Slots, level: Level) -> Plaintext {
        let encoder = self.boot.evaluator().encoder();
        let plaintext = encoder.encode_complex([&slots[0], &slots[1]], level, ScalePower::One);
        plaintext.expect("small values")
    }

    pub(crate) fn decrypt(&self, a: &Ciphertext) -> Slots {
        self.boot
            .evaluator()
            .encoder()
            .decode_complex(&decrypt(&self.ctx, &self.secret, a))
    }

    /// The largest and the mean absolute error of all parts that the variant keeps.
    pub(crate) fn errors(&self, a: &Ciphertext, want: &Slots) -> (f64, f64) {
        let got = self.decrypt(a);
        let parts = match self.params().values() {
            SlotValues::Real => 1,
            SlotValues::Complex => 2,
        };
        let pairs = got
            .iter()
            .zip(want)
            .take(parts)
            .flat_map(|(got, want)| got.iter().zip(want));
        let errors: Vec<f64> = pairs.map(|(a, b)| (a - b).abs()).collect();
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        (errors.iter().copied().fold(0.0, f64::max), mean)
    }
}
