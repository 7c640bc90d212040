//! The evaluator: additions, products, rescaling, rotations and level changes of ciphertexts.

use std::sync::Arc;

use heron_params::{Level, Rotation, ScalePower};

use crate::ciphertext::{Ciphertext, Plaintext};
use crate::constant::Constant;
use crate::context::Context;
use crate::encoder::Encoder;
use crate::error::EvalError;
use crate::evaluation_keys::EvaluationKeys;
use crate::kernels::NttPrime;
use crate::key_switch::Decomposition;
use crate::parallel::{for_each_limb, for_each_limb_pair};
use crate::plaintext_cache::PlaintextCache;
use crate::poly::Poly;
use crate::product_sum::ProductSum;
use crate::stack::Stack;

/// Computes on ciphertexts with evaluation keys; knows no secret.
///
/// Every operation checks its operands first, and leaves them untouched. Results are the same for every number of threads
/// and every kernel set.
pub struct Evaluator {
    pub(crate) ctx: Arc<Context>,
    pub(crate) keys: Arc<EvaluationKeys>,
    pub(crate) encoder: Encoder,
    pub(crate) cache: PlaintextCache,
}

impl Evaluator {
    /// An evaluator that keeps no encoded plaintexts.
    pub fn new(ctx: Arc<Context>, keys: Arc<EvaluationKeys>) -> Self {
        Self::with_cache(ctx, keys, 0)
    }

    /// An evaluator that keeps the encoded diagonals of linear transforms, up to a number of bytes.
    pub fn with_cache(ctx: Arc<Context>, keys: Arc<EvaluationKeys>, budget_bytes: u64) -> Self {
        Self {
            encoder: Encoder::new(ctx.clone()),
            cache: PlaintextCache::new(budget_bytes),
            ctx,
            keys,
        }
    }

    /// The ring.
    pub fn context(&self) -> &Arc<Context> {
        &self.ctx
    }

    /// The keys.
    pub fn keys(&self) -> &EvaluationKeys {
        &self.keys
    }

    /// The encoder of the ring.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Slot-wise sum.
    ///
    /// # Levels
    /// Operands of equal level and scale; so is the result.
    pub fn add(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext, EvalError> {
        self.check_alike(a, b)?;
        Ok(self.combine(a, b, NttPrime::add))
    }

    /// Slot-wise difference.
    ///
    /// # Levels
    /// Operands of equal level and scale; so is the result.
    pub fn sub(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext, EvalError> {
        self.check_alike(a, b)?;
        Ok(self.combine(a, b, NttPrime::sub))
    }

    /// [`add`](Self::add) in the place of its first operand, which an error leaves as it was.
    pub fn add_assign(&self, a: &mut Ciphertext, b: &Ciphertext) -> Result<(), EvalError> {
        self.check_alike(a, b)?;
        self.combine_assign(a, b, NttPrime::add_assign);
        Ok(())
    }

    /// [`sub`](Self::sub) in the place of its first operand, which an error leaves as it was.
    pub fn sub_assign(&self, a: &mut Ciphertext, b: &Ciphertext) -> Result<(), EvalError> {
        self.check_alike(a, b)?;
        self.combine_assign(a, b, NttPrime::sub_assign);
        Ok(())
    }

    /// The negative.
    ///
    /// # Levels
    /// Kept.
    pub fn neg(&self, a: &Ciphertext) -> Result<Ciphertext, EvalError> {
        self.check(a)?;
        let mut out = a.clone();
        self.for_each_limb_of(&mut out, |prime, _, limb| prime.neg_assign(limb));
        Ok(out)
    }

    /// Adds a vector of slots, encoded at the operand's scale.
    ///
    /// # Levels
    /// Kept.
    pub fn add_plain(&self, a: &Ciphertext, slots: &[f64]) -> Result<Ciphertext, EvalError> {
        self.check(a)?;
        self.add_plaintext(a, &self.encoder.encode(slots, a.level, a.power)?)
    }

    /// Adds an encoded vector.
    ///
    /// # Levels
    /// Operands of equal level and scale; so is the result.
    pub fn add_plaintext(&self, a: &Ciphertext, b: &Plaintext) -> Result<Ciphertext, EvalError> {
        self.check(a)?;
        self.check_plaintext(a, b)?;
        check_scales(a.power, b.power)?;
        let mut out = a.clone();
        for_each_limb(&mut out.c0, |i, limb| {
            self.ctx.prime(i).add_assign(limb, b.poly.limb(i));
        });
        Ok(out)
    }

    /// Adds one value to every slot: one addition per residue, no encoding.
    ///
    /// # Levels
    /// Kept.
    pub fn add_const(&self, a: &Ciphertext, value: f64) -> Result<Ciphertext, EvalError> {
        let mut out = a.clone();
        self.add_const_assign(&mut out, value)?;
        Ok(out)
    }

    /// [`add_const`](Self::add_const) in the place of its operand, which an error leaves as it was.
    pub fn add_const_assign(&self, a: &mut Ciphertext, value: f64) -> Result<(), EvalError> {
        self.check(a)?;
        let constant = Constant::new(&self.ctx, value, a.level, a.power)?;
        for_each_limb(&mut a.c0, |i, limb| {
            let (q, residue) = (self.ctx.prime(i).q(), constant.residue(self.ctx.prime(i)).value());
            for x in limb {
                let sum = *x + residue;
                *x = sum.min(sum.wrapping_sub(q));
            }
        });
        Ok(())
    }

    /// Multiplies by a vector of slots, encoded at `Δ`.
    ///
    /// # Levels
    /// From `Δ` to `Δ²`.
    pub fn mul_plain(&self, a: &Ciphertext, slots: &[f64]) -> Result<Ciphertext, EvalError> {
        self.check_single(a)?;
        self.mul_plaintext(a, &self.encoder.encode(slots, a.level, ScalePower::One)?)
    }

    /// Multiplies by an encoded vector.
    ///
    /// # Levels
    /// Operands at `Δ` and of equal level, to `Δ²`.
    pub fn mul_plaintext(&self, a: &Ciphertext, b: &Plaintext) -> Result<Ciphertext, EvalError> {
        self.check_single(a)?;
        self.check_plaintext(a, b)?;
        check_scales(ScalePower::One, b.power)?;
        let mut out = self.blank_ciphertext(a.level, ScalePower::Two);
        for_each_limb_pair(&mut out.c0, &mut out.c1, |i, c0, c1| {
            self.ctx.prime(i).mul(a.c0.limb(i), b.poly.limb(i), c0);
            self.ctx.prime(i).mul(a.c1.limb(i), b.poly.limb(i), c1);
        });
        Ok(out)
    }

    /// [`mul_plaintext`](Self::mul_plaintext) in the place of the ciphertext, which an error leaves as it was.
    pub fn mul_plaintext_assign(&self, a: &mut Ciphertext, b: &Plaintext) -> Result<(), EvalError> {
        self.check_single(a)?;
        self.check_plaintext(a, b)?;
        check_scales(ScalePower::One, b.power)?;
        a.power = ScalePower::Two;
        self.for_each_limb_of(a, |prime, i, limb| prime.mul_assign(limb, b.poly.limb(i)));
        Ok(())
    }

    /// Multiplies every slot by one value, rounded to a multiple of `1/Δ`: one product per residue, no encoding.
    ///
    /// # Levels
    /// From `Δ` to `Δ²`.
    pub fn mul_const(&self, a: &Ciphertext, value: f64) -> Result<Ciphertext, EvalError> {
        self.check_single(a)?;
        let constant = Constant::new(&self.ctx, value, a.level, ScalePower::One)?;
        let mut out = self.mul_integer(a, &constant);
        out.power = ScalePower::Two;
        Ok(out)
    }

    /// Slot-wise product, relinearized.
    ///
    /// # Levels
    /// Operands at `Δ` and of equal level, to `Δ²`.
    pub fn mul(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext, EvalError> {
        self.product(a, b, Finish::Keep)
    }

    /// [`mul`](Self::mul) and [`rescale`](Self::rescale) in one division, with the noise of one.
    ///
    /// # Levels
    /// Operands at `Δ` and of equal level, to `Δ` one level down.
    pub fn mul_rescale(&self, a: &Ciphertext, b: &Ciphertext) -> Result<Ciphertext, EvalError> {
        self.product(a, b, Finish::Rescale)
    }

    /// Slot-wise square, relinearized.
    ///
    /// # Levels
    /// From `Δ` to `Δ²`.
    pub fn square(&self, a: &Ciphertext) -> Result<Ciphertext, EvalError> {
        self.product(a, a, Finish::Keep)
    }

    /// [`square`](Self::square) and [`rescale`](Self::rescale) in one division, with the noise of one.
    ///
    /// # Levels
    /// From `Δ` to `Δ` one level down.
    pub fn square_rescale(&self, a: &Ciphertext) -> Result<Ciphertext, EvalError> {
        self.product(a, a, Finish::Rescale)
    }

    /// Divides by the last prime: the scale `Δ_l²` becomes exactly `Δ_{l-1}`.
    ///
    /// # Levels
    /// From `Δ²` to `Δ` one level down.
    pub fn rescale(&self, a: &Ciphertext) -> Result<Ciphertext, EvalError> {
        self.check(a)?;
        check_power(a, ScalePower::Two)?;
        self.divide_by_last(a, ScalePower::One)
    }

    /// Goes to a lower level, on that level's canonical scale.
    ///
    /// # Levels
    /// From any level to any level below, or to the same, which changes nothing; the power is kept.
    ///
    /// # Cost
    /// One product by an integer and one division, at the level above the target: nothing is paid for the levels between.
    pub fn drop_level(&self, a: &Ciphertext, to: Level) -> Result<Ciphertext, EvalError> {
        self.check(a)?;
        if to > a.level {
            return Err(EvalError::NoSuchLevel { from: a.level, to });
        }
        if to == a.level {
            return Ok(a.clone());
        }
        let above = Level(to.0 + 1);
        let params = self.ctx.params();
        let factor =
            params.scale_of(to, a.power) / params.scale_of(a.level, a.power) * params.q[above.0 as usize] as f64;
        let cut = Ciphertext {
            level: above,
            power: a.power,
            c0: self.truncated(&a.c0, above),
            c1: self.truncated(&a.c1, above),
        };
        self.divide_by_last(&self.mul_integer(&cut, &Constant::integer(factor)), a.power)
    }

    /// Rotates the slots to the left: slot `i` of the result is slot `i + by` of the operand.
    ///
    /// # Levels
    /// Kept.
    pub fn rotate(&self, a: &Ciphertext, by: Rotation) -> Result<Ciphertext, EvalError> {
        self.check(a)?;
        self.check_rotation(by)?;
        if by == Rotation(0) {
            return Ok(a.clone());
        }
        let key = self.keys.rotation_key(by, a.level)?;
        let digits = Decomposition::permuted(&self.ctx, a.level, &a.c1, &key.automorphism);
        let switched = digits.switch(&key.switch.key, [Some(&a.c0), None]);
        let (c0, c1) = self.finish(a.level, &switched, Finish::Keep);
        Ok(Ciphertext {
            level: a.level,
            power: a.power,
            c0,
            c1,
        })
    }
}

/// How a sum over the basis returns to the ciphertext primes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// Divided by the special primes.
    Keep,
    /// Divided by the special primes and the last ciphertext prime.
    Rescale,
}

impl Evaluator {
    pub(crate) fn blank(&self, level: Level) -> Poly {
        Poly::from_pool(&self.ctx.pool, self.ctx.n(), level.limbs())
    }

    pub(crate) fn truncated(&self, poly: &Poly, level: Level) -> Poly {
        let mut out = self.blank(level);
        for_each_limb(&mut out, |i, limb| limb.copy_from_slice(poly.limb(i)));
        out
    }

    fn for_each_limb_of(&self, a: &mut Ciphertext, work: impl Fn(&NttPrime, usize, &mut [u64]) + Sync + Send) {
        for_each_limb_pair(&mut a.c0, &mut a.c1, |i, c0, c1| {
            work(self.ctx.prime(i), i, c0);
            work(self.ctx.prime(i), i, c1);
        });
    }

    /// A ciphertext with arbitrary contents that the caller overwrites.
    pub(crate) fn blank_ciphertext(&self, level: Level, power: ScalePower) -> Ciphertext {
        Ciphertext {
            level,
            power,
            c0: self.blank(level),
            c1: self.blank(level),
        }
    }

    fn combine(&self, a: &Ciphertext, b: &Ciphertext, op: fn(&NttPrime, &[u64], &[u64], &mut [u64])) -> Ciphertext {
        let mut out = self.blank_ciphertext(a.level, a.power);
        for_each_limb_pair(&mut out.c0, &mut out.c1, |i, c0, c1| {
            op(self.ctx.prime(i), a.c0.limb(i), b.c0.limb(i), c0);
            op(self.ctx.prime(i), a.c1.limb(i), b.c1.limb(i), c1);
        });
        out
    }

    fn combine_assign(&self, a: &mut Ciphertext, b: &Ciphertext, op: fn(&NttPrime, &mut [u64], &[u64])) {
        for_each_limb_pair(&mut a.c0, &mut a.c1, |i, c0, c1| {
            op(self.ctx.prime(i), c0, b.c0.limb(i));
            op(self.ctx.prime(i), c1, b.c1.limb(i));
        });
    }

    fn mul_integer(&self, a: &Ciphertext, factor: &Constant) -> Ciphertext {
        let mut out = self.blank_ciphertext(a.level, a.power);
        for_each_limb_pair(&mut out.c0, &mut out.c1, |i, c0, c1| {
            let prime = self.ctx.prime(i);
            let factor = factor.residue(prime);
            prime.mul_scalar(a.c0.limb(i), factor, c0);
            prime.mul_scalar(a.c1.limb(i), factor, c1);
        });
        out
    }

    /// Divides by the last prime; the caller knows what scale that gives.
    fn divide_by_last(&self, a: &Ciphertext, power: ScalePower) -> Result<Ciphertext, EvalError> {
        let no_level = EvalError::NoSuchLevel {
            from: a.level,
            to: a.level,
        };
        let level = a.level.below().ok_or(no_level)?;
        let division = self.ctx.level(a.level).rescale.as_ref().ok_or(no_level)?;
        let half = |half: usize, i: usize| if half == 0 { a.c0.limb(i) } else { a.c1.limb(i) };
        let (c0, c1) = division.divide_pair(&self.ctx.pool, |i| self.ctx.prime(i), half);
        Ok(Ciphertext { level, power, c0, c1 })
    }

    /// The product, with the sum over the basis finished as asked.
    fn product(&self, a: &Ciphertext, b: &Ciphertext, finish: Finish) -> Result<Ciphertext, EvalError> {
        self.check_alike(a, b)?;
        check_power(a, ScalePower::One)?;
        self.finished_state(a.level, finish)?;
        self.keys.relinearize_key(a.level)?;
        ProductSum::product(self, a, b).finish(self, finish)
    }

    /// Adds one polynomial over the ciphertext primes to another.
    pub(crate) fn add_limbs(&self, sum: &mut Poly, term: &Poly) {
        for_each_limb(sum, |i, limb| self.ctx.prime(i).add_assign(limb, term.limb(i)));
    }

    /// The state after a product at a level.
    pub(crate) fn finished_state(&self, level: Level, finish: Finish) -> Result<(Level, ScalePower), EvalError> {
        match finish {
            Finish::Keep => Ok((level, ScalePower::Two)),
            Finish::Rescale => {
                let below = level.below().ok_or(EvalError::NoSuchLevel { from: level, to: level })?;
                Ok((below, ScalePower::One))
            }
        }
    }

    /// Divides both polynomials of a stack over the basis.
    pub(crate) fn finish(&self, level: Level, stack: &Stack, finish: Finish) -> (Poly, Poly) {
        let tables = self.ctx.level(level);
        let division = match (finish, &tables.mod_down_and_rescale) {
            (Finish::Rescale, Some(division)) => division,
            (Finish::Keep, _) | (Finish::Rescale, None) => &tables.mod_down,
        };
        let prime = |position| self.ctx.basis_prime(level, position);
        division.divide_pair(&self.ctx.pool, prime, |half, position| stack.limb(position, half))
    }

    fn check(&self, a: &Ciphertext) -> Result<(), EvalError> {
        let fits = |poly: &Poly| poly.n() == self.ctx.n() && poly.n_limbs() == a.level.limbs();
        if a.level > self.ctx.params().max_level() || !fits(&a.c0) || !fits(&a.c1) {
            return Err(EvalError::OtherParameters);
        }
        Ok(())
    }

    /// Checks an operand of a product.
    pub(crate) fn check_single(&self, a: &Ciphertext) -> Result<(), EvalError> {
        self.check(a)?;
        check_power(a, ScalePower::One)
    }

    fn check_alike(&self, a: &Ciphertext, b: &Ciphertext) -> Result<(), EvalError> {
        self.check(a)?;
        self.check(b)?;
        if a.level != b.level {
            return Err(EvalError::Levels {
                left: a.level,
                right: b.level,
            });
        }
        check_scales(a.power, b.power)
    }

    fn check_plaintext(&self, a: &Ciphertext, b: &Plaintext) -> Result<(), EvalError> {
        if b.poly.n() != self.ctx.n() || b.poly.n_limbs() != b.level.limbs() {
            return Err(EvalError::OtherParameters);
        }
        if a.level != b.level {
            return Err(EvalError::Levels {
                left: a.level,
                right: b.level,
            });
        }
        Ok(())
    }

    pub(crate) fn check_rotation(&self, rotation: Rotation) -> Result<(), EvalError> {
        let slots = self.ctx.params().slots().0 as usize;
        if rotation.0 as usize >= slots {
            return Err(EvalError::RotationTooLarge { rotation, slots });
        }
        Ok(())
    }
}

fn check_power(a: &Ciphertext, needed: ScalePower) -> Result<(), EvalError> {
    if a.power == needed {
        Ok(())
    } else {
        Err(EvalError::WrongScale { found: a.power, needed })
    }
}

fn check_scales(left: ScalePower, right: ScalePower) -> Result<(), EvalError> {
    if left == right {
        Ok(())
    } else {
        Err(EvalError::Scales { left, right })
    }
}
