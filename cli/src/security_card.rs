//! How secure a parameter set is, in words.

use heron_params::SecurityCard;

/// Names and values of a security card.
pub(crate) fn entries(card: &SecurityCard) -> Vec<(&'static str, String)> {
    let margin = f64::from(card.max_log_qp) - card.log_qp;
    vec![
        ("security", format!("{} bits, classical", card.security_bits)),
        ("ring", format!("N = 2^{}", card.log_n)),
        (
            "log QP",
            format!("{:.1} bits, every modulus counted, special primes too", card.log_qp),
        ),
        (
            "table row",
            format!("at most {} bits for N = 2^{}", card.max_log_qp, card.log_n),
        ),
        ("margin", format!("{margin:.1} bits of modulus")),
        ("secret", card.secret.clone()),
        ("source", card.source.clone()),
    ]
}
