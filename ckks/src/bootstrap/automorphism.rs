//! Conjugation of slots, and the product with the imaginary unit.

use heron_params::ScalePower;

use crate::ciphertext::Ciphertext;
use crate::context::Context;
use crate::evaluation_keys::RotationKey;
use crate::evaluator::{Evaluator, Finish};
use crate::kernels::coefficient_index;
use crate::key_switch::Decomposition;
use crate::parallel::{for_each_limb, for_each_limb_pair};
use crate::poly::Poly;

/// The complex conjugates of all slots: the automorphism `X -> X^-1`, by the key for it.
pub(super) fn conjugate(eval: &Evaluator, a: &Ciphertext, key: &RotationKey) -> Ciphertext {
    let ctx = eval.context();
    let digits = Decomposition::permuted(ctx, a.level, &a.c1, &key.automorphism);
    let switched = digits.switch(&key.switch.key, [Some(&a.c0), None]);
    let (c0, c1) = eval.finish(a.level, &switched, Finish::Keep);
    Ciphertext {
        level: a.level,
        power: a.power,
        c0,
        c1,
    }
}

/// The polynomial `X^(N/2)`, whose slots are all `i`, in evaluation form modulo all ciphertext primes.
pub(super) fn imaginary_unit(ctx: &Context) -> Poly {
    let mut coefficients = vec![0i64; ctx.n()];
    coefficients[coefficient_index(ctx.params().log_n, ctx.n() / 2)] = 1;
    let mut unit = Poly::zeroed(ctx.n(), ctx.params().q.len());
    for_each_limb(&mut unit, |i, limb| {
        ctx.prime(i).reduce_signed(&coefficients, limb);
        ctx.prime(i).forward(limb);
    });
    unit
}

/// All slots times `i`: exact, without a level.
pub(super) fn times_i(ctx: &Context, mut a: Ciphertext, unit: &Poly) -> Ciphertext {
    debug_assert_eq!(a.power, ScalePower::One);
    for_each_limb_pair(&mut a.c0, &mut a.c1, |i, c0, c1| {
        ctx.prime(i).mul_assign(c0, unit.limb(i));
        ctx.prime(i).mul_assign(c1, unit.limb(i));
    });
    a
}
