//! The server's side: runs a plan on ciphertexts with evaluation keys. Nothing here can take a secret key.

use std::sync::Arc;

use heron_ckks::{Ciphertext, Context};
use heron_plan::{Plan, Weights};

use super::{CiphertextBatch, ServerKeys, SessionError, StoredCiphertext, ckks_program};
use crate::Error;
use crate::files::PlanBundle;
use crate::interpreter::{Fusion, PlannedMap, RunError, Step, planned_maps, run};
use crate::machines::CkksMachine;

/// How to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// Encoded plaintexts of linear maps are kept up to this many bytes; beyond, they are encoded again in every run.
    pub cache_bytes: u64,
}

/// A session that runs one plan with the evaluation keys of one client.
pub struct Server {
    bundle: PlanBundle,
    context: Arc<Context>,
    machine: CkksMachine,
}

/// What a server session tells while it runs.
#[derive(Clone, Copy, Debug)]
pub struct RunProgress<'a> {
    /// Which sample of the batch.
    pub sample: usize,
    /// How many samples there are.
    pub n_samples: usize,
    /// The line that has just been done.
    pub step: Step<'a>,
}

impl Server {
    /// A session of a plan's server.
    ///
    /// # Errors
    /// [`SessionError::MissingKeys`] if the keys do not cover the plan, [`SessionError::BadSpec`] for another ring.
    pub fn new(
        bundle: PlanBundle,
        context: Arc<Context>,
        keys: ServerKeys,
        options: ServerOptions,
    ) -> Result<Self, SessionError> {
        let program = ckks_program(&bundle.plan)?;
        if program.params != *context.params() {
            return Err(SessionError::BadSpec {
                reason: "its parameters are not those of the keys",
            });
        }
        let covered = keys.evaluation.spec().covers(&program.key_spec());
        if !covered || keys.bootstrap.is_some() != program.bootstrap.is_some() {
            return Err(SessionError::MissingKeys);
        }
        let machine = CkksMachine::new(context.clone(), keys, options.cache_bytes);
        Ok(Self {
            bundle,
            context,
            machine,
        })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.bundle.plan
    }

    /// Encodes the plaintexts of all linear maps, as far as the cache has room for them, and computes the transforms of a
    /// bootstrap: once for a session, before its first run, which would do it otherwise.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn prepare(&self) -> Result<(), Error> {
        let program = ckks_program(&self.bundle.plan)?;
        if let Some(variant) = &program.bootstrap {
            let prepared = self.machine.prepare_bootstrap(variant);
            prepared.map_err(|_| SessionError::MissingKeys)?;
        }
        for PlannedMap { line, map, level } in planned_maps(program, &self.bundle.weights)? {
            let prepared = self.machine.prepare_linear(map, level);
            prepared.map_err(|source| RunError::Machine {
                line,
                node: program.lines[line.index()].node.clone(),
                source,
            })?;
        }
        Ok(())
    }

    /// The plan's constants.
    pub fn weights(&self) -> &Weights {
        &self.bundle.weights
    }

    /// Bytes of encoded plaintexts that are kept for the next run.
    pub fn cached_bytes(&self) -> u64 {
        self.machine.cached_bytes()
    }

    /// Runs the plan on every ciphertext of a batch.
    ///
    /// # Errors
    /// [`SessionError::OtherPlan`], [`SessionError::CiphertextState`], [`crate::interpreter::RunError`].
    pub fn run(
        &mut self,
        batch: &CiphertextBatch,
        progress: &mut dyn FnMut(RunProgress<'_>),
    ) -> Result<CiphertextBatch, Error> {
        batch.check_plan(self.bundle.hash)?;
        let n_samples = batch.ciphertexts.len();
        let mut ciphertexts = Vec::with_capacity(n_samples);
        for (sample, stored) in batch.ciphertexts.iter().enumerate() {
            let input = stored.expand(&self.context);
            let mut observe = |step: Step<'_>, _: &Ciphertext| {
                progress(RunProgress {
                    sample,
                    n_samples,
                    step,
                });
            };
            let program = ckks_program(&self.bundle.plan)?;
            let (weights, machine) = (&self.bundle.weights, &mut self.machine);
            let outputs = run(
                program,
                weights,
                machine,
                Fusion::WithRescale,
                vec![input],
                &mut observe,
            )?;
            ciphertexts.extend(outputs.into_iter().map(StoredCiphertext::Full));
        }
        Ok(CiphertextBatch {
            plan_hash: batch.plan_hash,
            ciphertexts,
        })
    }
}
