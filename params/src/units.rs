//! Newtypes for the quantities that must not be mixed up.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident($inner:ty), $format:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }
    };
}

unit! {
    /// The level of a ciphertext: how many rescales it can still take. At level `l` it lives modulo `q_0 · … · q_l`.
    Level(u32), "L{}"
}
unit! {
    /// The base-2 logarithm of an encoding scale.
    LogScale(u32), "2^{}"
}
unit! {
    /// A number of slots; always a power of two.
    Slots(u32), "{}"
}
unit! {
    /// A left rotation of the slots: `rot(v, k)[i] = v[(i + k) mod slots]`. Kept in `0..slots`.
    Rotation(u32), "{}"
}
unit! {
    /// A number of bits of security.
    Bits(u32), "{}"
}

impl Level {
    /// The level one rescale below, if there is one.
    pub fn below(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }

    /// How many primes the modulus has at this level.
    pub fn limbs(self) -> usize {
        self.0 as usize + 1
    }
}

/// The power of the level's canonical scale `Δ` that a value carries: products have `Δ²`, everything else `Δ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScalePower {
    /// `Δ`.
    One,
    /// `Δ²`: a product that has not been rescaled.
    Two,
}

impl fmt::Display for ScalePower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "Δ",
            Self::Two => "Δ²",
        })
    }
}
