//! Makes the keys of a plan.

use std::sync::Arc;

use heron_ckks::bootstrap::BootstrapKeys;
use heron_ckks::{Context, EvaluationKeys, PublicKey, Rng, SecretKey};
use heron_plan::ClientSpec;

use super::SessionError;

/// Which keys to make beside the secret and the evaluation keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeygenOptions {
    /// Whether to make a public key, with which others can encrypt.
    pub public: bool,
}

/// The keys of a server: they evaluate, and reveal nothing.
#[derive(Clone)]
pub struct ServerKeys {
    /// Relinearization and rotations, those of a bootstrap among them.
    pub evaluation: Arc<EvaluationKeys>,
    /// What only a bootstrap has; absent where nothing is bootstrapped.
    pub bootstrap: Option<Arc<BootstrapKeys>>,
}

/// The keys of one client.
pub struct KeySet {
    /// Stays with the client.
    pub secret: SecretKey,
    /// Go to the server.
    pub server: ServerKeys,
    /// Goes to whom may encrypt.
    pub public: Option<PublicKey>,
}

/// Makes the keys of a plan. `progress` is told the bytes of the server's keys that are done;
/// [`ClientSpec::key_bytes`] in memory is their total.
///
/// # Errors
/// [`SessionError::Scheme`] where the client description asks for keys that its parameters do not allow.
pub fn keygen(
    spec: &ClientSpec,
    context: &Context,
    options: KeygenOptions,
    rng: &mut Rng,
    progress: &mut dyn FnMut(u64),
) -> Result<KeySet, SessionError> {
    let secret = SecretKey::generate(context, rng);
    let evaluation = EvaluationKeys::generate(context, &secret, &spec.keys, rng, progress)?;
    let of_bootstrap = |variant| BootstrapKeys::generate(context, &secret, variant, rng).map(Arc::new);
    let bootstrap = spec.bootstrap.as_ref().map(of_bootstrap).transpose()?;
    if bootstrap.is_some() {
        progress(spec.key_bytes(false));
    }
    let public = options.public.then(|| PublicKey::generate(context, &secret, rng));
    Ok(KeySet {
        secret,
        server: ServerKeys {
            evaluation: Arc::new(evaluation),
            bootstrap,
        },
        public,
    })
}
