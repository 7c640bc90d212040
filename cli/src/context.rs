//! What every command gets beside its own options: the terminal and the kernels to compute with.

use anyhow::{Context as _, Result};
use heron_ckks::kernels::Kernels;

use crate::options::SharedOptions;
use crate::terminal::Terminal;

/// Which kernels to use, for tests and comparisons; the only place that reads it.
const KERNELS_VARIABLE: &str = "HERON_KERNELS";

/// What every command gets beside its own options.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    /// Where to write.
    pub(crate) terminal: Terminal,
    /// What to compute with.
    pub(crate) kernels: Kernels,
}

impl Context {
    /// Chooses kernels and starts threads as options and environment say.
    ///
    /// # Errors
    /// Kernels that do not exist or do not run on this machine.
    pub(crate) fn new(shared: &SharedOptions, terminal: Terminal) -> Result<Self> {
        let kernels = match std::env::var(KERNELS_VARIABLE) {
            Ok(name) if !name.is_empty() => Kernels::named(&name).context(KERNELS_VARIABLE)?,
            _ => Kernels::best(),
        };
        if let Some(threads) = shared.threads {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get());
            pool.build_global().context("starting threads")?;
        }
        Ok(Self { terminal, kernels })
    }
}
