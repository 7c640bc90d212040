//! Encoding: from slots to plaintexts at the canonical scale of a level, and back.

use std::sync::Arc;

use heron_params::{Level, ScalePower};
use zeroize::Zeroize;

use crate::ciphertext::Plaintext;
use crate::context::Context;
use crate::error::EncodeError;
use crate::kernels::NttPrime;
use crate::parallel::for_each_limb;
use crate::poly::Poly;
use crate::slot_codec::{CUT_BITS, Integers};

/// A plaintext that needs more bits than this is refused by the encoder and cannot come from a sound evaluation; decoding
/// reads as many primes as hold it, and one more.
const MAX_DECODED_BITS: f64 = 142.0;

/// Encodes real vectors and decodes them.
///
/// Slot `j` is the value of the polynomial at `ζ^(5^j)`, `ζ = exp(iπ/N)`. The same values give the same plaintext on every
/// platform.
#[derive(Clone)]
pub struct Encoder {
    ctx: Arc<Context>,
}

impl Encoder {
    /// An encoder for the given parameters.
    pub fn new(ctx: Arc<Context>) -> Self {
        Self { ctx }
    }

    /// Encodes values at exactly the scale `Δ_level` or its square; slots without a value are zero.
    ///
    /// # Errors
    /// [`EncodeError`]: too many values, values that are not finite, or that do not fit the modulus.
    pub fn encode(&self, values: &[f64], level: Level, power: ScalePower) -> Result<Plaintext, EncodeError> {
        self.encode_complex([values, &[]], level, power)
    }

    /// Encodes complex values, given as their real and their imaginary parts; missing parts are zero.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_complex(
        &self,
        parts: [&[f64]; 2],
        level: Level,
        power: ScalePower,
    ) -> Result<Plaintext, EncodeError> {
        let integers = encode_integers(&self.ctx, parts, level, power)?;
        let mut poly = Poly::from_pool(&self.ctx.pool, self.ctx.n(), level.limbs());
        for_each_limb(&mut poly, |i, limb| integers.reduce(self.ctx.prime(i), limb));
        Ok(Plaintext { level, power, poly })
    }

    /// The values of all slots.
    pub fn decode(&self, plaintext: &Plaintext) -> Vec<f64> {
        let [real, mut imaginary] = self.decode_complex(plaintext);
        imaginary.zeroize();
        real
    }

    /// The values of all slots as complex numbers: their real and their imaginary parts.
    pub fn decode_complex(&self, plaintext: &Plaintext) -> [Vec<f64>; 2] {
        let ctx = &self.ctx;
        let n_read = limbs_to_read(ctx, plaintext.level);
        let mut digits = Poly::from_pool(&ctx.pool, ctx.n(), n_read);
        for_each_limb(&mut digits, |i, limb| {
            let prime = ctx.prime(i);
            prime.inverse_into(plaintext.poly.limb(i), prime.scalar(1), 0, limb);
        });
        to_mixed_radix(ctx, &mut digits);
        let mut coefficients = from_mixed_radix(ctx, &digits);
        ctx.codec.to_slots(
            &mut coefficients,
            ctx.params().scale_of(plaintext.level, plaintext.power),
        )
    }
}

/// Rounded coefficients of complex slots, given as their real and their imaginary parts, at the scale of a level.
pub(crate) fn encode_integers(
    ctx: &Context,
    parts: [&[f64]; 2],
    level: Level,
    power: ScalePower,
) -> Result<Integers, EncodeError> {
    let available_bits = available_bits(ctx, level)?;
    ctx.codec
        .complex_integers(parts, ctx.params().scale_of(level, power), level, available_bits)
}

/// What a coefficient may have at a level: half the modulus.
pub(crate) fn available_bits(ctx: &Context, level: Level) -> Result<f64, EncodeError> {
    let max = ctx.params().max_level();
    if level > max {
        return Err(EncodeError::LevelTooHigh { level, max });
    }
    Ok(ctx.params().log_q(level) - 1.0)
}

impl Integers {
    /// The residues modulo one prime, in evaluation form.
    pub(crate) fn reduce(&self, prime: &NttPrime, out: &mut [u64]) {
        if self.high.is_empty() {
            prime.reduce_signed(&self.low, out);
        } else {
            let mut low = vec![0; out.len()];
            prime.reduce_signed(&self.low, &mut low);
            prime.reduce_signed(&self.high, out);
            prime.mul_scalar_assign(out, prime.scalar(1 << CUT_BITS));
            prime.add_assign(out, &low);
        }
        prime.forward(out);
    }
}

/// How many limbs hold every sound plaintext, and one more to show an unsound one for what it is.
fn limbs_to_read(ctx: &Context, level: Level) -> usize {
    let holds = (0..level.0).find(|&l| ctx.params().log_q(Level(l)) > MAX_DECODED_BITS);
    holds.map_or(level.limbs(), |l| l as usize + 2)
}

/// From residues `x mod q_i` to centred digits `d_i`, stored modulo `q_i`: `x = d_0 + q_0 (d_1 + q_1 (d_2 + …))`.
fn to_mixed_radix(ctx: &Context, residues: &mut Poly) {
    let mut known = ctx.pool.take(ctx.n());
    let mut digit = ctx.pool.take(ctx.n());
    for j in 1..residues.n_limbs() {
        let prime = ctx.prime(j);
        prime.reduce_centred(ctx.prime(j - 1), residues.limb(j - 1), &mut known);
        for i in (0..j - 1).rev() {
            prime.mul_scalar_assign(&mut known, prime.scalar(ctx.prime(i).q()));
            prime.reduce_centred(ctx.prime(i), residues.limb(i), &mut digit);
            prime.add_assign(&mut known, &digit);
        }
        let product = (0..j).fold(1, |product, i| prime.product(product, ctx.prime(i).q()));
        let inverse = prime.scalar(prime.inverse_of(product));
        prime.sub_mul_scalar_assign(residues.limb_mut(j), &known, inverse);
    }
}

/// The centred value of mixed-radix digits, correct to a few units in the last place.
fn from_mixed_radix(ctx: &Context, digits: &Poly) -> Vec<f64> {
    let mut values = vec![0.0; ctx.n()];
    for (i, limb) in digits.limbs().enumerate().rev() {
        let q = ctx.prime(i).q();
        for (value, &digit) in values.iter_mut().zip(limb) {
            let centred = if digit > q / 2 {
                digit as i64 - q as i64
            } else {
                digit as i64
            };
            *value = *value * q as f64 + centred as f64;
        }
    }
    values
}
