//! The raise: from modulus `q_0` to the whole chain, under a sparse secret.
//!
//! Under a secret of weight `h` the raised ciphertext decrypts to `t + q_0 I` with `|I|` near `sqrt(h / 12)`. The switch to
//! that secret works modulo `q_0` and one special prime, the switch back over the whole basis.
//!
//! Source: J.-P. Bossuat, J. Troncoso-Pastoriza, J.-P. Hubaux (ePrint 2022/024), section 3.

use heron_params::{Level, Rotation, ScalePower};

use super::raise_keys::RaiseKeys;
use crate::ciphertext::Ciphertext;
use crate::error::EvalError;
use crate::evaluator::{Evaluator, Finish};
use crate::key_switch::Decomposition;
use crate::linear_inputs::Lifted;
use crate::memory::Words;
use crate::parallel::join;
use crate::poly::Poly;
use crate::stack::{Row, Stack};

/// A ciphertext of level 0 under the sparse secret: both halves in coefficient form, to be read centred modulo any prime.
pub(super) fn lift(eval: &Evaluator, keys: &RaiseKeys, a: &Ciphertext) -> Lifted {
    Lifted {
        halves: under_sparse_secret(eval, keys, a),
    }
}

/// Raises a ciphertext of level 0 to a level; its scale is read as that level's canonical one.
///
/// # Errors
/// [`EvalError::MissingRotationKey`] without the key of the identity.
pub(super) fn raise(eval: &Evaluator, keys: &RaiseKeys, a: &Ciphertext, to: Level) -> Result<Ciphertext, EvalError> {
    let ctx = eval.context();
    let lifted = lift(eval, keys, a);
    let key = &keys.lifted_key(Rotation(0), to)?.switch.key;
    let mut sum = Stack::from_pool(&ctx.pool, ctx.n(), ctx.basis_len(to), 2);
    sum.for_each_row(|position, mut row: Row<'_>| {
        let prime = ctx.basis_prime(to, position);
        let [out0, out1] = row.pair_mut(0);
        let halves = [0, 1].map(|half| [key.limb(half, 0, to, position)]);
        let mask = lifted.residues(ctx, 1, prime);
        prime.inner_product(&[&mask], [&halves[0], &halves[1]], [&mut *out0, &mut *out1]);
        // Modulo a special prime the multiple of their product is zero.
        if position < to.limbs() {
            let body = lifted.residues(ctx, 0, prime);
            prime.mul_scalar_add_assign(out0, &body, ctx.special_product(position));
        }
    });
    let (c0, c1) = eval.finish(to, &sum, Finish::Keep);
    Ok(Ciphertext {
        level: to,
        power: ScalePower::One,
        c0,
        c1,
    })
}

/// Both halves under the sparse secret modulo `q_0`, in coefficient form.
fn under_sparse_secret(eval: &Evaluator, keys: &RaiseKeys, a: &Ciphertext) -> [Words; 2] {
    let (ctx, ephemeral) = (eval.context(), &keys.ephemeral);
    let switched = Decomposition::new(ephemeral, Level(0), &a.c1).switch(&keys.to_sparse.key, [Some(&a.c0), None]);
    let division = &ephemeral.level(Level(0)).mod_down;
    let prime = |position| ephemeral.basis_prime(Level(0), position);
    let (c0, c1) = division.divide_pair(&ephemeral.pool, prime, |half, position| switched.limb(position, half));
    let prime = ctx.prime(0);
    let coefficients = |poly: &Poly| {
        let mut out = ctx.pool.take(ctx.n());
        prime.inverse_into(poly.limb(0), prime.scalar(1), 0, &mut out);
        out
    };
    let (first, second) = join(|| coefficients(&c0), || coefficients(&c1));
    [first, second]
}
