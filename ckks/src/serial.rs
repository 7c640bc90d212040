//! Keys and ciphertexts as bytes. Uniform halves are seeds; all integers are little-endian.
//!
//! Reading trusts nothing: levels and counts are checked against the parameters, residues against their primes, and memory
//! is allocated limb by limb as the bytes for it arrive. Whoever writes files adds magic, version and checksum.
//!
//! | object | bytes |
//! |---|---|
//! | secret key | `N` bytes: the coefficients of `X^0, X^1, …` plus one |
//! | public key | seed, limbs over the basis of the top level |
//! | ciphertext | level `u32`, power `u8`, limbs of `c0`, limbs of `c1` |
//! | seeded ciphertext | level `u32`, power `u8`, seed, limbs of `c0` |
//! | evaluation keys | relinearization level plus one or 0 `u32`, number of rotations `u32`, for each rotation and level `u32`, then every key: seed, for each digit the limbs over the basis of its level |
//! | bootstrap keys | conjugation, to the sparse secret (over `q_0` and one special prime), from the sparse secret under each rotation (one digit): each as above |
//!
//! A seed is 32 bytes, a limb `N` words of 8 bytes in evaluation form.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use heron_params::{KeySpec, Level, Rotation, ScalePower};
use zeroize::Zeroizing;

use crate::ciphertext::{Ciphertext, SeededCiphertext};
use crate::context::Context;
use crate::error::ReadError;
use crate::evaluation_keys::{EvaluationKeys, RotationKey, SeededSwitchKey, check_spec};
use crate::kernels::coefficient_index;
use crate::keys::{PublicKey, SecretKey, uniform};
use crate::memory::Words;
use crate::poly::Poly;
use crate::random::Seed;

type Result<T> = std::result::Result<T, ReadError>;

/// Words that are converted at a time.
const CHUNK: usize = 512;

impl SecretKey {
    /// Writes the key. The bytes are the secret: whoever stores them protects them.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, out: &mut impl Write) -> std::io::Result<()> {
        let bytes: Zeroizing<Vec<u8>> =
            Zeroizing::new(self.natural_coefficients().iter().map(|&x| (x + 1) as u8).collect());
        out.write_all(&bytes)
    }

    /// Reads a key.
    ///
    /// # Errors
    /// [`ReadError`]: the source fails or ends, or a coefficient is not ternary.
    pub fn read_from(input: &mut impl Read, ctx: &Context) -> Result<Self> {
        let mut bytes = Zeroizing::new(vec![0u8; ctx.n()]);
        input.read_exact(&mut bytes)?;
        if bytes.iter().any(|&x| x > 2) {
            return Err(ReadError::Malformed {
                what: "secret key",
                reason: "a coefficient is not ternary",
            });
        }
        let mut coefficients = Zeroizing::new(vec![0i8; ctx.n()]);
        for (i, &x) in bytes.iter().enumerate() {
            coefficients[coefficient_index(ctx.params().log_n, i)] = x as i8 - 1;
        }
        Ok(Self::from_coefficients(ctx, coefficients))
    }
}

impl PublicKey {
    /// Writes the key.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, out: &mut impl Write) -> std::io::Result<()> {
        out.write_all(&self.seed.0)?;
        write_poly(out, &self.c0)
    }

    /// Reads a key.
    ///
    /// # Errors
    /// [`ReadError`]: the source fails or ends, or a residue is not below its prime.
    pub fn read_from(input: &mut impl Read, ctx: &Context) -> Result<Self> {
        let level = ctx.params().max_level();
        let seed = read_seed(input)?;
        let c0 = read_basis_poly(input, ctx, level, "public key")?;
        Ok(Self {
            c0,
            c1: uniform(ctx, level, &seed, 0),
            seed,
        })
    }
}

impl Ciphertext {
    /// Writes the ciphertext.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, out: &mut impl Write) -> std::io::Result<()> {
        write_state(out, self.level, self.power)?;
        write_poly(out, &self.c0)?;
        write_poly(out, &self.c1)
    }

    /// Reads a ciphertext.
    ///
    /// # Errors
    /// [`ReadError`]: the source fails or ends, there is no such level or scale, a residue is not below its prime.
    pub fn read_from(input: &mut impl Read, ctx: &Context) -> Result<Self> {
        let (level, power) = read_state(input, ctx)?;
        let c0 = read_poly(input, ctx, level, "ciphertext")?;
        let c1 = read_poly(input, ctx, level, "ciphertext")?;
        Ok(Self { level, power, c0, c1 })
    }
}

impl SeededCiphertext {
    /// Writes the ciphertext.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, out: &mut impl Write) -> std::io::Result<()> {
        write_state(out, self.level, self.power)?;
        out.write_all(&self.seed.0)?;
        write_poly(out, &self.c0)
    }

    /// Reads a ciphertext.
    ///
    /// # Errors
    /// [`ReadError`]: the source fails or ends, there is no such level or scale, a residue is not below its prime.
    pub fn read_from(input: &mut impl Read, ctx: &Context) -> Result<Self> {
        let (level, power) = read_state(input, ctx)?;
        let seed = read_seed(input)?;
        let c0 = read_poly(input, ctx, level, "ciphertext")?;
        Ok(Self { level, power, c0, seed })
    }
}

impl EvaluationKeys {
    /// Writes all keys, one after the other.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, out: &mut impl Write) -> std::io::Result<()> {
        let spec = self.spec();
        write_u32(out, spec.relinearize.map_or(0, |level| level.0 + 1))?;
        write_u32(out, spec.rotations.len() as u32)?;
        for (rotation, level) in &spec.rotations {
            write_u32(out, rotation.0)?;
            write_u32(out, level.0)?;
        }
        let rotations = self.rotations.values().map(|key| &key.switch);
        let mut keys = self.relinearize.iter().chain(rotations);
        keys.try_for_each(|key| write_switch_key(out, key))
    }

    /// Reads keys.
    ///
    /// # Errors
    /// [`ReadError`]: the source fails or ends, a level or rotation does not fit the parameters, a residue is not below its
    /// prime.
    pub fn read_from(input: &mut impl Read, ctx: &Context) -> Result<Self> {
        let spec = Self::read_spec(input, ctx)?;
        let relinearize = spec
            .relinearize
            .map(|level| read_switch_key(input, ctx, level))
            .transpose()?;
        let mut rotations = BTreeMap::new();
        for (&rotation, &level) in &spec.rotations {
            rotations.insert(
                rotation,
                RotationKey::new(ctx, rotation, read_switch_key(input, ctx, level)?),
            );
        }
        Ok(Self { relinearize, rotations })
    }

    /// Reads which keys follow, from where [`write_to`](Self::write_to) begins: enough to refuse keys of another plan before
    /// reading them.
    ///
    /// # Errors
    /// [`ReadError`]: the source fails or ends, a level or rotation does not fit the parameters.
    pub fn read_spec(input: &mut impl Read, ctx: &Context) -> Result<KeySpec> {
        let malformed = |reason| ReadError::Malformed {
            what: "evaluation keys",
            reason,
        };
        let relinearize = read_u32(input)?.checked_sub(1).map(Level);
        let n_rotations = read_u32(input)?;
        let mut spec = KeySpec {
            relinearize,
            rotations: BTreeMap::new(),
        };
        for _ in 0..n_rotations {
            let (rotation, level) = (Rotation(read_u32(input)?), Level(read_u32(input)?));
            let ascends = spec.rotations.last_key_value().is_none_or(|(&last, _)| last < rotation);
            if !ascends || rotation == Rotation(0) || rotation.0 >= ctx.params().slots().0 {
                return Err(malformed("rotations are out of order or out of range"));
            }
            spec.rotations.insert(rotation, level);
        }
        check_spec(ctx, &spec).map_err(|_| malformed("a key is deeper than the modulus chain"))?;
        Ok(spec)
    }
}

/// Writes the seed of a key, and for each digit the limbs of its first half.
pub(crate) fn write_switch_key(out: &mut impl Write, key: &SeededSwitchKey) -> std::io::Result<()> {
    out.write_all(&key.seed.0)?;
    key.key.halves[0].iter().try_for_each(|poly| write_poly(out, poly))
}

/// Reads a key with all digits of its level.
pub(crate) fn read_switch_key(input: &mut impl Read, ctx: &Context, level: Level) -> Result<SeededSwitchKey> {
    read_digits(input, ctx, level, ctx.params().digits(level).len())
}

/// Reads a key with so many digits.
pub(crate) fn read_digits(
    input: &mut impl Read,
    ctx: &Context,
    level: Level,
    n_digits: usize,
) -> Result<SeededSwitchKey> {
    let seed = read_seed(input)?;
    let c0 = (0..n_digits)
        .map(|_| read_basis_poly(input, ctx, level, "evaluation keys"))
        .collect::<Result<_>>()?;
    Ok(SeededSwitchKey::expand(ctx, level, seed, c0))
}

fn write_u32(out: &mut impl Write, value: u32) -> std::io::Result<()> {
    out.write_all(&value.to_le_bytes())
}

fn read_u32(input: &mut impl Read) -> Result<u32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn read_seed(input: &mut impl Read) -> Result<Seed> {
    let mut seed = [0; 32];
    input.read_exact(&mut seed)?;
    Ok(Seed(seed))
}

fn write_state(out: &mut impl Write, level: Level, power: ScalePower) -> std::io::Result<()> {
    write_u32(out, level.0)?;
    let power = match power {
        ScalePower::One => 1,
        ScalePower::Two => 2,
    };
    out.write_all(&[power])
}

fn read_state(input: &mut impl Read, ctx: &Context) -> Result<(Level, ScalePower)> {
    let malformed = |reason| ReadError::Malformed {
        what: "ciphertext",
        reason,
    };
    let level = Level(read_u32(input)?);
    let mut power = [0];
    input.read_exact(&mut power)?;
    if level > ctx.params().max_level() {
        return Err(malformed("its level is above the modulus chain"));
    }
    match power {
        [1] => Ok((level, ScalePower::One)),
        [2] => Ok((level, ScalePower::Two)),
        _ => Err(malformed("its scale is neither Δ nor Δ²")),
    }
}

fn write_poly(out: &mut impl Write, poly: &Poly) -> std::io::Result<()> {
    let mut bytes = [0; 8 * CHUNK];
    for words in poly.limbs().flat_map(|limb| limb.chunks(CHUNK)) {
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        out.write_all(&bytes[..8 * words.len()])?;
    }
    Ok(())
}

/// Reads a polynomial over the ciphertext primes of a level.
fn read_poly(input: &mut impl Read, ctx: &Context, level: Level, what: &'static str) -> Result<Poly> {
    let limbs = (0..level.limbs()).map(|i| read_limb(input, ctx.n(), ctx.prime(i).q(), what));
    collect_limbs(ctx.n(), limbs)
}

/// Reads a polynomial over the basis of a level.
fn read_basis_poly(input: &mut impl Read, ctx: &Context, level: Level, what: &'static str) -> Result<Poly> {
    let positions = 0..ctx.basis_len(level);
    collect_limbs(
        ctx.n(),
        positions.map(|p| read_limb(input, ctx.n(), ctx.basis_prime(level, p).q(), what)),
    )
}

/// Puts limbs into one buffer, once all of them have been read.
fn collect_limbs(n: usize, limbs: impl Iterator<Item = Result<Words>>) -> Result<Poly> {
    let limbs = limbs.collect::<Result<Vec<_>>>()?;
    let mut poly = Poly::zeroed(n, limbs.len());
    poly.limbs_mut()
        .zip(&limbs)
        .for_each(|(out, limb)| out.copy_from_slice(limb));
    Ok(poly)
}

fn read_limb(input: &mut impl Read, n: usize, prime: u64, what: &'static str) -> Result<Words> {
    let mut limb = Words::zeroed(n);
    let mut bytes = [0; 8 * CHUNK];
    for words in limb.chunks_mut(CHUNK) {
        let bytes = &mut bytes[..8 * words.len()];
        input.read_exact(bytes)?;
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
    }
    if limb.iter().any(|&residue| residue >= prime) {
        return Err(ReadError::Malformed {
            what,
            reason: "a residue is not below its prime",
        });
    }
    Ok(limb)
}
