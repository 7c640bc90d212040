//! Makes the keys of a plan.

use std::sync::Arc;

use heron_ckks::{Context, EvaluationKeys, PublicKey, Rng, SecretKey};
use heron_plan::ClientSpec;

use super::SessionError;

/// Which keys to make beside the secret and the evaluation keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeygenOptions {
    /// Whether to make a public key, with which others can encrypt.
    pub public: bool,
}

/// The keys of one client.
pub struct KeySet {
    /// Stays with the client.
    pub secret: SecretKey,
    /// Go to the server.
    pub evaluation: Arc<EvaluationKeys>,
    /// Goes to whom may encrypt.
    pub public: Option<PublicKey>,
}

/// Makes the keys of a plan. `progress` is told the bytes of evaluation keys that are done;
/// [`heron_params::KeySpec::bytes`] in memory is their total.
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
    let public = options.public.then(|| PublicKey::generate(context, &secret, rng));
    Ok(KeySet {
        secret,
        evaluation: Arc::new(evaluation),
        public,
    })
}
