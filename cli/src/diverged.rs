//! Inputs on which a network's values diverge, as reports show them.

use heron_compiler::Divergence;
use serde::Serialize;

use crate::units;

/// So many are spelled out.
const LISTED: usize = 8;

/// One input.
#[derive(Debug, Serialize)]
pub(crate) struct Diverged {
    /// Its number, from 0 on.
    sample: usize,
    /// Where its values leave all proportion first.
    node: String,
    /// The largest magnitude there; none if it is not finite.
    largest: Option<f64>,
    /// The largest magnitude there on calibration samples.
    calibrated: Option<f64>,
}

impl From<Divergence> for Diverged {
    fn from(found: Divergence) -> Self {
        Self {
            sample: found.sample,
            node: found.node,
            largest: found.largest.is_finite().then_some(found.largest),
            calibrated: found.calibrated,
        }
    }
}

impl Diverged {
    /// All of them in words.
    pub(crate) fn list(diverged: &[Self]) -> String {
        let mut words: Vec<String> = diverged.iter().take(LISTED).map(Self::words).collect();
        if diverged.len() > LISTED {
            words.push(format!("and {} more", units::count(diverged.len() - LISTED, "input")));
        }
        words.join("; ")
    }

    fn words(&self) -> String {
        let largest = self
            .largest
            .map_or("not finite".to_owned(), |largest| format!("{largest:.3e}"));
        let calibrated = self.calibrated.map_or(String::new(), |calibrated| {
            format!(" instead of {calibrated:.3} at most")
        });
        format!("input {} at {}: {largest}{calibrated}", self.sample, self.node)
    }
}
