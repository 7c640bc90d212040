//! Chooses parameters: the smallest ring that is secure, holds the vectors and is precise enough.
//!
//! Within a ring, each digit length is given the largest scale that the security table leaves room for; of those that
//! reach the wanted precision, the one with the cheapest key switches is taken. `q_0` is as large as the largest value
//! asks. Everything is tried in a fixed order, so that the same program gets the same parameters.

use heron_params::bootstrap::BootstrapPrecision;
use heron_params::{ChainRequest, CkksParams, Level, ParamsError, ScalePower};
use heron_plan::cost::PRICES;
use heron_plan::{Instruction, OpCounts, ValueId, Weights};
use serde::{Deserialize, Serialize};

use crate::schedule::bootstrapped::Bootstrapped;
use crate::schedule::levels::Drafts;
use crate::schedule::noise::{Prediction, precision_bits};
use crate::schedule::values::LineValues;

/// The largest scale that is tried: beyond it nothing that a network needs is gained.
const MAX_LOG_SCALE: u32 = 40;
/// The smallest: below it rounding alone leaves no useful precision.
const MIN_LOG_SCALE: u32 = 18;
/// Bits to spare between twice the largest value at its scale and the modulus, as `verify` demands.
const HEADROOM_BITS: f64 = 2.0;
/// The largest prime is below 2^50.
const MAX_LOG_PRIME: u32 = 49;

/// A set that misses the wanted precision by more than this rules out those with a smaller scale: the digits, in which they
/// differ otherwise, matter less.
const FAR_BITS: f64 = 1.0;

/// A parameter set that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Base-2 logarithm of the ring degree.
    pub log_n: u32,
    /// Base-2 logarithm of the scale; absent where no scale fits.
    pub log_scale: Option<u32>,
    /// Ciphertext primes of a key-switching digit; absent where the ring is too small for the vectors.
    pub digit_len: Option<u32>,
    /// `log2(QP)`; absent where no scale fits.
    pub log_qp: Option<f64>,
    /// Predicted precision; absent where no scale fits, or nothing had to be predicted.
    pub precision_bits: Option<f64>,
    /// What all key switches and bootstraps cost, in rotations at 24 limbs and N = 2^16; absent where no scale fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotations: Option<f64>,
    /// The bootstraps on the way; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstraps: Option<Bootstraps>,
    /// What became of it.
    pub verdict: String,
}

/// The bootstraps of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bootstraps {
    /// How many there are.
    pub count: usize,
    /// Levels that a network has between two of them.
    pub levels_between: u32,
    /// Bits that the worst slot keeps in one.
    pub worst_bits: f64,
    /// What the program would cost with bootstraps as late as possible, in rotations like the whole; absent where that leaves
    /// too few levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_rotations: Option<f64>,
}

/// A parameter set that is good enough, and the error bound of every line under it.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) params: CkksParams,
    pub(crate) errors: Vec<f64>,
    pub(crate) precision_bits: f64,
}

/// A program to find parameters for.
#[derive(Clone, Copy)]
pub(crate) struct Search<'a> {
    pub(crate) drafts: &'a Drafts,
    pub(crate) largest_output: f64,
    /// The samples that noise is predicted from.
    pub(crate) noise_values: &'a LineValues,
    pub(crate) weights: &'a Weights,
    /// Largest magnitude of every line, with margin.
    pub(crate) bounds: &'a [f64],
    pub(crate) wanted_bits: f64,
}

/// What is known of a set before its noise is predicted.
fn untried(log_n: u32, digit_len: u32, set: Option<&CkksParams>, rotations: Option<f64>) -> Candidate {
    let verdict = match set {
        Some(_) => "costlier",
        None => "the security table leaves room for no scale",
    };
    Candidate {
        log_n,
        log_scale: set.map(|set| set.log_scale),
        digit_len: Some(digit_len),
        log_qp: set.map(CkksParams::log_qp),
        precision_bits: None,
        rotations,
        bootstraps: None,
        verdict: verdict.to_owned(),
    }
}

impl Search<'_> {
    /// The cheapest parameters of a ring degree that are precise enough, if there are any. Notes what was tried.
    ///
    /// # Cost
    /// A prediction walks the whole network, so that the cheapest sets are predicted first, and none that is costlier than
    /// one that will do, or coarser than one that is [far](FAR_BITS) from it.
    pub(crate) fn in_ring(&self, log_n: u32, tried: &mut Vec<Candidate>) -> Option<Choice> {
        let sets = (1..=self.drafts.depth() + 1).map(|digit_len| (digit_len, self.largest_scale(log_n, digit_len)));
        let sets: Vec<(u32, Option<CkksParams>)> = sets.collect();
        let mut verdicts: Vec<Candidate> = sets
            .iter()
            .map(|(len, set)| {
                let rotations = set.as_ref().map(|set| in_rotations(log_n, self.cost(set)));
                untried(log_n, *len, set.as_ref(), rotations)
            })
            .collect();
        let priced = sets
            .into_iter()
            .enumerate()
            .filter_map(|(index, (_, set))| Some((index, set?)));
        let mut order: Vec<(f64, usize, CkksParams)> =
            priced.map(|(index, set)| (self.cost(&set), index, set)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut chosen = None;
        let mut too_coarse = 0;
        for (_, index, set) in order {
            if set.log_scale < too_coarse {
                "coarser than one that is far too imprecise".clone_into(&mut verdicts[index].verdict);
                continue;
            }
            let (choice, mut candidate) = self.predict(set, None);
            candidate.rotations = verdicts[index].rotations;
            verdicts[index] = candidate;
            if choice.precision_bits >= self.wanted_bits {
                "chosen".clone_into(&mut verdicts[index].verdict);
                chosen = Some(choice);
                break;
            }
            verdicts[index].verdict = format!("{:.1} bits are less than {}", choice.precision_bits, self.wanted_bits);
            if choice.precision_bits < self.wanted_bits - FAR_BITS {
                too_coarse = too_coarse.max(choice.params.log_scale);
            }
        }
        tried.extend(verdicts);
        chosen
    }

    /// What the cheapest set of a ring degree costs, whatever its noise.
    pub(crate) fn least_cost(&self, log_n: u32) -> f64 {
        let sets = (1..=self.drafts.depth() + 1).filter_map(|digit_len| self.largest_scale(log_n, digit_len));
        let costs = sets.map(|set| self.cost(&set));
        in_rotations(log_n, costs.fold(f64::INFINITY, f64::min))
    }

    /// The parameters of a program that bootstraps, if it is precise enough and no line overflows. Notes what was tried.
    pub(crate) fn with_bootstraps(&self, program: &Bootstrapped, tried: &mut Vec<Candidate>) -> Option<Choice> {
        let variant = &program.refreshing.variant;
        let (choice, mut candidate) = self.predict(variant.chain().clone(), Some(variant.precision()));
        let bits = choice.precision_bits;
        let verdict = if !self.has_headroom(variant.chain()) {
            "values leave too little of the modulus".to_owned()
        } else if bits < self.wanted_bits {
            format!("{bits:.1} bits are less than {}", self.wanted_bits)
        } else {
            "chosen".to_owned()
        };
        let chosen = verdict == "chosen";
        candidate.rotations = Some(program.rotations);
        candidate.bootstraps = Some(program.bootstraps());
        candidate.verdict = verdict;
        tried.push(candidate);
        chosen.then_some(choice)
    }

    fn predict(&self, params: CkksParams, refresh: Option<BootstrapPrecision>) -> (Choice, Candidate) {
        let prediction = Prediction {
            drafts: self.drafts,
            values: self.noise_values,
            weights: self.weights,
            params: &params,
            refresh,
        };
        let errors = prediction.error_bounds();
        let output = ValueId(self.drafts.lines.len() as u32 - 1);
        let precision_bits = precision_bits(errors[output.index()], self.largest_output);
        let candidate = Candidate {
            log_n: params.log_n,
            log_scale: Some(params.log_scale),
            digit_len: Some(params.digit_len),
            log_qp: Some(params.log_qp()),
            precision_bits: Some(precision_bits),
            rotations: None,
            bootstraps: None,
            verdict: String::new(),
        };
        (
            Choice {
                params,
                errors,
                precision_bits,
            },
            candidate,
        )
    }

    /// The secure parameter set with the largest scale.
    fn largest_scale(&self, log_n: u32, digit_len: u32) -> Option<CkksParams> {
        (MIN_LOG_SCALE..=MAX_LOG_SCALE)
            .rev()
            .find_map(|log_scale| self.build(log_n, digit_len, log_scale).ok()?)
    }

    /// The set of a given scale, if it is secure and no line overflows.
    fn build(&self, log_n: u32, digit_len: u32, log_scale: u32) -> Result<Option<CkksParams>, ParamsError> {
        let log_q0 = self.log_q0(log_scale);
        let levels = self.drafts.depth();
        let limit = heron_params::max_log_qp(log_n).unwrap_or(0);
        if log_q0 > MAX_LOG_PRIME || log_q0 + levels * log_scale > limit {
            return Ok(None);
        }
        let params = CkksParams::build(&ChainRequest {
            log_n,
            levels,
            log_scale,
            log_q0,
            digit_len,
        })?;
        params.check_secure()?;
        Ok(self.has_headroom(&params).then_some(params))
    }

    /// The bits of `q_0` that the largest values need.
    fn log_q0(&self, log_scale: u32) -> u32 {
        // Scales drift from 2^log_scale by far less than this between levels.
        const DRIFT_BITS: f64 = 0.1;
        let scale = f64::from(log_scale);
        let needs = self.drafts.lines.iter().zip(self.bounds).map(|(line, bound)| {
            let powers = if line.power == ScalePower::Two { 2.0 } else { 1.0 };
            libm::log2(*bound) + 1.0 + HEADROOM_BITS + DRIFT_BITS + powers * scale - f64::from(line.level.0) * scale
        });
        needs.fold(f64::from(MIN_LOG_SCALE), f64::max).ceil() as u32
    }

    /// Whether twice every value at its scale stays below its modulus with bits to spare.
    fn has_headroom(&self, params: &CkksParams) -> bool {
        self.drafts.lines.iter().zip(self.bounds).all(|(line, bound)| {
            let needs = libm::log2(*bound) + 1.0 + libm::log2(params.scale_of(line.level, line.power)) + HEADROOM_BITS;
            needs < params.log_q(line.level)
        })
    }

    /// The cost of all key switches but those of bootstraps, in transforms of one limb.
    fn cost(&self, params: &CkksParams) -> f64 {
        let counts = |op: &Instruction| match op {
            Instruction::Linear { map, .. } => self.drafts.maps[map.index()].counts(),
            Instruction::Rotate { .. } => OpCounts {
                full_rotations: 1,
                ..OpCounts::default()
            },
            Instruction::Square { .. } | Instruction::Mul { .. } => OpCounts {
                ciphertext_products: 1,
                ..OpCounts::default()
            },
            Instruction::Polynomial { poly, .. } => poly.counts(),
            Instruction::Input
            | Instruction::Add { .. }
            | Instruction::Sub { .. }
            | Instruction::AddConst { .. }
            | Instruction::MulConst { .. }
            | Instruction::Rescale { .. }
            | Instruction::DropLevel { .. }
            | Instruction::Bootstrap { .. }
            | Instruction::Output { .. } => OpCounts::default(),
        };
        self.drafts
            .lines
            .iter()
            .map(|line| key_switches(counts(&line.op)) * key_switch_transforms(params, line.level))
            .sum()
    }
}

/// Transforms of one limb in the rotation that programs are priced in: of `N = 2^16`, 24 limbs, 3 digits and 8 special primes.
pub(crate) const REFERENCE_ROTATION: f64 = (3.0 + 2.0) * (24.0 + 8.0);

/// Transforms of one limb in a ring, in rotations of the reference.
pub(crate) fn in_rotations(log_n: u32, transforms: f64) -> f64 {
    let ring = |log_n: u32| f64::from(log_n) * libm::exp2(f64::from(log_n));
    transforms / REFERENCE_ROTATION * ring(log_n) / ring(16)
}

/// Key switches, in rotations with a decomposition of their own.
pub(crate) fn key_switches(counts: OpCounts) -> f64 {
    (counts.full_rotations + counts.ciphertext_products) as f64
        + PRICES.hoisted_rotation * counts.hoisted_rotations as f64
}

/// A key switch in transforms of one limb: each digit is raised to all limbs, and two results come down from them.
pub(crate) fn key_switch_transforms(params: &CkksParams, level: Level) -> f64 {
    let limbs = (level.limbs() + params.p.len()) as f64;
    (params.digits(level).len() as f64 + 2.0) * limbs
}
