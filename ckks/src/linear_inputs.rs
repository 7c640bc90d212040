//! What a linear transform reads: ciphertexts, or one that has just been raised and whose coefficients are below one prime.

use heron_params::Level;

use crate::ciphertext::Ciphertext;
use crate::context::Context;
use crate::kernels::NttPrime;
use crate::key_switch::{Decomposition, DigitColumns, EvaluatedDigits};
use crate::memory::Words;

/// A ciphertext whose coefficients are small against every modulus, under a secret of its own.
pub(crate) struct Lifted {
    /// Modulo `q_0`, in coefficient form.
    pub(crate) halves: [Words; 2],
}

impl Lifted {
    /// A half modulo a prime, in evaluation form.
    pub(crate) fn residues(&self, ctx: &Context, half: usize, prime: &NttPrime) -> Words {
        let mut residues = ctx.pool.take(ctx.n());
        prime.reduce_centred(ctx.prime(0), &self.halves[half], &mut residues);
        prime.forward(&mut residues);
        residues
    }
}

/// What a transform reads.
pub(crate) enum Inputs<'a> {
    /// Ciphertexts, and the decompositions of those that are rotated.
    Ciphertexts {
        ciphertexts: &'a [&'a Ciphertext],
        decompositions: Vec<Option<Decomposition<'a>>>,
    },
    /// One lifted ciphertext.
    Lifted(&'a Lifted),
}

/// One input modulo one prime of the basis.
pub(crate) struct InputResidues<'a> {
    /// Its digits, if it is rotated.
    pub(crate) digits: Option<EvaluatedDigits<'a>>,
    /// Both halves; none modulo a special prime, where the raised input is zero.
    halves: Option<Halves<'a>>,
}

enum Halves<'a> {
    Given([&'a [u64]; 2]),
    /// Of a lifted ciphertext only the first is read.
    Made(Words),
}

impl InputResidues<'_> {
    /// The first half; none modulo a special prime.
    pub(crate) fn body(&self) -> Option<&[u64]> {
        self.halves.as_ref().map(|halves| match halves {
            Halves::Given([body, _]) => body,
            Halves::Made(body) => &body[..],
        })
    }

    /// Both halves of an input that needs no key; none modulo a special prime.
    pub(crate) fn pair(&self) -> Option<[&[u64]; 2]> {
        match self.halves {
            Some(Halves::Given(pair)) => Some(pair),
            Some(Halves::Made(_)) | None => None,
        }
    }
}

impl<'a> Inputs<'a> {
    /// How many primes to work on at once.
    pub(crate) fn group_len(&self) -> usize {
        let most = match self {
            Self::Ciphertexts { decompositions, .. } => {
                decompositions.iter().flatten().map(Decomposition::group_len).min()
            }
            Self::Lifted(_) => None,
        };
        most.unwrap_or(1)
    }

    /// The digits of all inputs that are rotated, carried to the primes from a position on.
    pub(crate) fn columns(&self, first: usize, len: usize) -> Vec<Option<DigitColumns<'_>>> {
        match self {
            Self::Ciphertexts { decompositions, .. } => {
                let decompositions = decompositions.iter().map(Option::as_ref);
                decompositions
                    .map(|input| input.map(|input| input.extend(first, len)))
                    .collect()
            }
            Self::Lifted(_) => Vec::new(),
        }
    }

    /// All inputs at one position of the basis, which is prime `slot` of a group of columns.
    pub(crate) fn residues<'b>(
        &'b self,
        ctx: &'b Context,
        level: Level,
        (position, slot): (usize, usize),
        columns: &'b [Option<DigitColumns<'_>>],
    ) -> Vec<InputResidues<'b>> {
        match self {
            Self::Ciphertexts { ciphertexts, .. } => {
                let inputs = ciphertexts.iter().zip(columns);
                inputs
                    .map(|(input, columns)| InputResidues {
                        digits: columns.as_ref().map(|columns| columns.evaluate(slot)),
                        halves: (position < level.limbs())
                            .then(|| Halves::Given([input.c0.limb(position), input.c1.limb(position)])),
                    })
                    .collect()
            }
            Self::Lifted(lifted) => {
                let prime = ctx.basis_prime(level, position);
                vec![InputResidues {
                    digits: Some(EvaluatedDigits::single(lifted.residues(ctx, 1, prime))),
                    halves: (position < level.limbs()).then(|| Halves::Made(lifted.residues(ctx, 0, prime))),
                }]
            }
        }
    }
}
