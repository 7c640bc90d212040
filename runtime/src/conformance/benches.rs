//! The benches of our own machines.

use std::sync::Arc;

use heron_ckks::bootstrap::BootstrapKeys;
use heron_ckks::{Ciphertext, Context, Encoder, EvaluationKeys, Kernels, Rng, SecretKey, decrypt, encrypt_secret};
use heron_params::ScalePower;
use heron_plan::CkksProgram;

use super::Bench;
use crate::machines::{CkksMachine, Clear, ClearValue, Noisy};
use crate::sessions::ServerKeys;

/// The exact machine.
pub struct ClearBench {
    machine: Clear,
}

impl Bench for ClearBench {
    type Machine = Clear;

    fn open(program: &CkksProgram) -> Self {
        Self {
            machine: Clear::new(&program.params),
        }
    }

    fn machine(&mut self) -> &mut Clear {
        &mut self.machine
    }

    fn put(&mut self, slots: &[f64]) -> ClearValue {
        self.machine.fresh(slots.to_vec()).expect("the cases' inputs fit")
    }

    fn get(&self, value: &ClearValue) -> Vec<f64> {
        value.slots.clone()
    }
}

/// The exact machine with noise.
pub struct NoisyBench {
    exact: Clear,
    machine: Noisy,
}

impl Bench for NoisyBench {
    type Machine = Noisy;

    fn open(program: &CkksProgram) -> Self {
        Self {
            exact: Clear::new(&program.params),
            machine: Noisy::new(&program.params, 1),
        }
    }

    fn machine(&mut self) -> &mut Noisy {
        &mut self.machine
    }

    fn put(&mut self, slots: &[f64]) -> ClearValue {
        self.exact.fresh(slots.to_vec()).expect("the cases' inputs fit")
    }

    fn get(&self, value: &ClearValue) -> Vec<f64> {
        value.slots.clone()
    }
}

/// The encrypted machine, with keys that anyone can predict.
pub struct CkksBench {
    context: Arc<Context>,
    encoder: Encoder,
    secret: SecretKey,
    rng: Rng,
    machine: CkksMachine,
}

impl Bench for CkksBench {
    type Machine = CkksMachine;

    fn open(program: &CkksProgram) -> Self {
        let context = Context::new(program.params.clone(), Kernels::best()).expect("the cases' parameters are valid");
        let mut rng = Rng::insecure_deterministic(7);
        let secret = SecretKey::generate(&context, &mut rng);
        let evaluation = EvaluationKeys::generate(&context, &secret, &program.key_spec(), &mut rng, &mut |_| {});
        let mut of_bootstrap = |variant| BootstrapKeys::generate(&context, &secret, variant, &mut rng);
        let bootstrap = program.bootstrap.as_ref().map(&mut of_bootstrap).transpose();
        let keys = ServerKeys {
            evaluation: Arc::new(evaluation.expect("the cases' keys fit their parameters")),
            bootstrap: bootstrap.expect("the cases' bootstraps fit their rings").map(Arc::new),
        };
        let machine = CkksMachine::new(context.clone(), keys, 1 << 20);
        Self {
            encoder: Encoder::new(context.clone()),
            context,
            secret,
            rng,
            machine,
        }
    }

    fn machine(&mut self) -> &mut CkksMachine {
        &mut self.machine
    }

    fn put(&mut self, slots: &[f64]) -> Ciphertext {
        let level = self.context.params().max_level();
        let plaintext = self
            .encoder
            .encode(slots, level, ScalePower::One)
            .expect("the cases' inputs are small");
        encrypt_secret(&self.context, &self.secret, &plaintext, &mut self.rng).expand(&self.context)
    }

    fn get(&self, value: &Ciphertext) -> Vec<f64> {
        self.encoder.decode(&decrypt(&self.context, &self.secret, value))
    }
}
