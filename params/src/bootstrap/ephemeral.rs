//! The security of the sparse secret that a raise runs under.
//!
//! The main secret is uniform ternary and never sparse. A ciphertext is switched to a secret of weight 32 only for the
//! raise, modulo `q_0`; the key that switches it is the only object encrypted under the sparse secret, and lives under
//! `q_0 P'` with one special prime `P'`.

/// The weight of the ephemeral secret: how many of its coefficients are 1 or -1.
pub const EPHEMERAL_WEIGHT: u32 = 32;

/// The largest `log2(q_0 P')` for which a secret of weight 32 offers 128 bits; `None` where nothing is known, which means
/// refused.
///
/// # Source
/// The encapsulation: ePrint 2022/024, section 3. The limits: the estimator of ePrint 2026/279.
pub fn max_ephemeral_log_qp(log_n: u32) -> Option<u32> {
    match log_n {
        15 => Some(162),
        16 => Some(345),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_without_an_estimate_have_no_limit_to_keep() {
        assert_eq!((max_ephemeral_log_qp(14), max_ephemeral_log_qp(17)), (None, None));
        assert_eq!(
            (max_ephemeral_log_qp(15), max_ephemeral_log_qp(16)),
            (Some(162), Some(345))
        );
    }
}
