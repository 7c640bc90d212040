//! The 128-bit security table, and the card that every plan and report carries.

use serde::{Deserialize, Serialize};

use crate::{Bits, CkksParams};

/// The security level that every parameter set offers.
pub const SECURITY_BITS: Bits = Bits(128);

/// The smallest ring degree (as a logarithm) that the table covers.
pub const MIN_SECURE_LOG_N: u32 = 10;

/// The largest ring degree (as a logarithm) that the table covers.
pub const MAX_LOG_N: u32 = 17;

/// Largest `log2(QP)` for `N = 2^10 … 2^17`.
const TERNARY_128: [u32; 8] = [26, 53, 106, 214, 430, 868, 1747, 3523];

/// The largest `log2(QP)` that 128 bits of classical security allow for a uniform ternary secret and an error of
/// standard deviation 3.19; `None` where the table says nothing, which means refused.
///
/// # Source
/// Bossuat et al., *Security Guidelines for Implementing Homomorphic Encryption*, ePrint 2024/463.
pub fn max_log_qp(log_n: u32) -> Option<u32> {
    let row = log_n.checked_sub(MIN_SECURE_LOG_N)?;
    TERNARY_128.get(row as usize).copied()
}

/// What a report says about the security of a parameter set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecurityCard {
    /// Bits of classical security that the table row offers.
    pub security_bits: Bits,
    /// Base-2 logarithm of the ring degree.
    pub log_n: u32,
    /// `log2(QP)`, every ciphertext and special prime counted.
    pub log_qp: f64,
    /// The table's largest `log2(QP)` for this ring degree.
    pub max_log_qp: u32,
    /// The distribution of the secret.
    pub secret: String,
    /// Where the table comes from.
    pub source: String,
}

impl SecurityCard {
    /// The card of a parameter set; `None` if the set is not 128-bit secure.
    pub fn of(params: &CkksParams) -> Option<Self> {
        let max_log_qp = max_log_qp(params.log_n)?;
        let log_qp = params.log_qp();
        (log_qp <= f64::from(max_log_qp)).then(|| Self {
            security_bits: SECURITY_BITS,
            log_n: params.log_n,
            log_qp,
            max_log_qp,
            secret: "uniform ternary".to_owned(),
            source: "ePrint 2024/463, classical, error deviation 3.19".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_ring_degrees_outside_the_table() {
        assert_eq!(max_log_qp(9), None);
        assert_eq!(max_log_qp(18), None);
        assert_eq!(max_log_qp(15), Some(868));
    }
}
