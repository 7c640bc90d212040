//! Chooses parameters and digits: the cheapest set that keeps a network's failures within the promise.

use heron_params::tfhe::{Decomposition, TfheParams, add_log2, log2_tail};

/// Ranks and logarithms of degrees that are tried.
const RINGS: [(u32, u32); 7] = [(3, 9), (2, 10), (1, 11), (3, 10), (2, 11), (1, 12), (1, 13)];
/// Dimensions of the small key that are tried.
const SMALL_DIMENSIONS: std::ops::RangeInclusive<u32> = 600..=1100;
const SMALL_STEP: usize = 10;
/// Most look-ups that one accumulator may take.
const MAX_STAGES: usize = 6;
/// Largest table, as a fraction of the ring degree: beyond, entries are narrower than the rounding.
const TABLE_SHARE: u64 = 4;

/// What decides the look-ups of one piece.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Accumulators {
    /// How many.
    pub(super) rows: u64,
    /// Values of the widest.
    pub(super) width: u64,
    /// Entries of the last table, at least: below, the function is too coarse.
    pub(super) least_entries: u64,
    /// For each source: the largest squared 2-norm of a row, and what is read.
    pub(super) sources: Vec<(f64, Operand)>,
    /// How often the result is looked up: once for each number of steps that readers need.
    pub(super) copies: u64,
}

/// What a linear map reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    /// Fresh ciphertexts.
    Input,
    /// Results of look-ups.
    Lookup,
}

/// The output of the network, in one of its forms.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OutputForm {
    /// Ciphertexts.
    pub(super) rows: u64,
    /// Steps a turn.
    pub(super) steps: u64,
    /// As in [`Accumulators`].
    pub(super) sources: Vec<(f64, Operand)>,
}

/// Odd divisors that are taken away, and the entries of the table at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digits {
    pub(super) divisors: Vec<u64>,
    pub(super) entries: u64,
}

/// A choice for the whole network.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) params: TfheParams,
    /// By piece with a function.
    pub(super) digits: Vec<Digits>,
    /// Which form of the output.
    pub(super) output: usize,
    /// Predicted time on one thread.
    pub(super) predicted_ms: f64,
}

impl Digits {
    /// What an index of the last table stands for.
    pub(super) fn granule(&self) -> u64 {
        self.divisors.iter().product()
    }

    /// Steps a turn of the accumulator.
    pub(super) fn steps(&self) -> u64 {
        2 * self.granule() * self.entries
    }

    /// Look-ups of one accumulator.
    pub(super) fn stages(&self) -> u64 {
        self.divisors.len() as u64 + 1
    }
}

/// Noise of a parameter set, computed once.
struct Noise {
    params: TfheParams,
    ring: f64,
    bootstrap: f64,
}

/// The cheapest choice, or the piece that nothing carries.
///
/// # Errors
/// Index of the piece with the widest accumulator that no set carries; the number of pieces for the output.
pub(super) fn choose(pieces: &[Accumulators], outputs: &[OutputForm], log2_failure: f64) -> Result<Chosen, usize> {
    let mut best: Option<Chosen> = None;
    let mut stuck = 0;
    for (rank, log_degree) in RINGS {
        for bootstrap in bootstraps(rank, log_degree) {
            for small in SMALL_DIMENSIONS.step_by(SMALL_STEP) {
                for switch_levels in 2..=8 {
                    let switch = best_switch(rank, log_degree, small, switch_levels);
                    let params = TfheParams {
                        small_dimension: small,
                        ring_rank: rank,
                        log_degree,
                        bootstrap,
                        switch,
                    };
                    let limit = best.as_ref().map_or(f64::INFINITY, |best| best.predicted_ms);
                    let least: u64 = pieces.iter().map(|piece| piece.rows * piece.copies).sum();
                    if lookup_ms(&params) * least as f64 >= limit {
                        continue;
                    }
                    match digits(&Noise::of(params), pieces, outputs, log2_failure) {
                        Ok(chosen) if chosen.predicted_ms < limit => best = Some(chosen),
                        Ok(_) => {}
                        Err(piece) => stuck = stuck.max(piece),
                    }
                }
            }
        }
    }
    best.ok_or(stuck)
}

/// For each number of levels, the base with the least noise.
fn bootstraps(rank: u32, log_degree: u32) -> Vec<Decomposition> {
    let variance = |digits: &Decomposition| {
        let params = TfheParams {
            small_dimension: 800,
            ring_rank: rank,
            log_degree,
            bootstrap: *digits,
            switch: Decomposition { base_log: 3, levels: 5 },
        };
        params.bootstrap_variance()
    };
    let best = |levels: u32| {
        let bases = (2..=30).filter(|base_log| base_log * levels <= 52);
        let digits = bases.map(|base_log| Decomposition { base_log, levels });
        digits.min_by(|a, b| variance(a).total_cmp(&variance(b)))
    };
    (1..=4).filter_map(best).collect()
}

/// For a number of levels, the base with the least noise of a key switch.
fn best_switch(rank: u32, log_degree: u32, small_dimension: u32, levels: u32) -> Decomposition {
    let variance = |base_log: u32| {
        let params = TfheParams {
            small_dimension,
            ring_rank: rank,
            log_degree,
            bootstrap: Decomposition {
                base_log: 15,
                levels: 2,
            },
            switch: Decomposition { base_log, levels },
        };
        params.switch_variance()
    };
    let bases = (1..=8).filter(|base_log| base_log * levels <= 31);
    let base_log = bases.min_by(|a, b| variance(*a).total_cmp(&variance(*b))).unwrap_or(1);
    Decomposition { base_log, levels }
}

/// Predicted milliseconds of one look-up with its key switch, on one thread.
///
/// Measured on AVX-512 at 2.5 GHz: 8.7 µs a step of the blind rotation for `k = 1`, `N = 2048` and one level, 13.3 µs for
/// two, 29.7 µs for `N = 4096` and two; 0.06 ns a product of a key switch. The factors are those of its parts: digits and
/// transforms, the way back, and products. AVX2 takes 2.3 times as long.
pub(super) fn lookup_ms(params: &TfheParams) -> f64 {
    let (columns, levels) = (f64::from(params.ring_rank) + 1.0, f64::from(params.bootstrap.levels));
    let (degree, log_degree) = (params.degree() as f64, f64::from(params.log_degree));
    let forward = columns * levels * degree * (log_degree * 5.6e-5 + 2.8e-4);
    let backward = columns * degree * (log_degree * 6.0e-5 + 2.3e-4);
    let products = columns * columns * levels * degree * 2.2e-4;
    let rotation = f64::from(params.small_dimension) * (forward + backward + products) * 1e-3;
    let rows = params.ring_dimension() as f64 * f64::from(params.switch.levels);
    rotation + rows * f64::from(params.small_dimension + 1) * 6e-8
}

impl Noise {
    fn of(params: TfheParams) -> Self {
        Self {
            ring: params.ring_variance(),
            bootstrap: params.bootstrap_variance(),
            params,
        }
    }

    fn operand(&self, operand: Operand) -> f64 {
        match operand {
            Operand::Input => self.ring,
            Operand::Lookup => self.bootstrap,
        }
    }

    /// Variance of sums over sources, which may share noise among each other.
    fn sum(&self, sources: &[(f64, Operand)]) -> f64 {
        let deviation = |(norm, operand): &(f64, Operand)| (norm * self.operand(*operand)).sqrt();
        let deviation: f64 = sources.iter().map(deviation).sum();
        deviation * deviation
    }

    /// `log2` of the probability that any look-up of a piece is wrong.
    fn failure(&self, piece: &Accumulators, digits: &Digits) -> f64 {
        let mut variance = self.sum(&piece.sources);
        let mut steps = digits.steps();
        let mut failure = f64::NEG_INFINITY;
        let rows = libm::log2(piece.rows as f64);
        for &divisor in &digits.divisors {
            steps /= divisor;
            let scaled = variance * (steps as f64) * (steps as f64);
            failure = sum_log2(failure, self.params.log2_misread(scaled, divisor) + rows);
            variance += self.bootstrap;
        }
        let copies = libm::log2(piece.copies as f64);
        sum_log2(
            failure,
            self.params.log2_misread(variance, digits.entries) + rows + copies,
        )
    }

    /// The digits with the least failure for a number of look-ups.
    fn best_digits(&self, piece: &Accumulators, stages: usize) -> Option<(f64, Digits)> {
        let most = self.params.degree() as u64 / TABLE_SHARE;
        let one = |divisors: Vec<u64>| {
            let entries = piece.width.div_ceil(divisors.iter().product::<u64>()).max(2);
            let digits = Digits { divisors, entries };
            let small = digits.entries <= most && digits.divisors.iter().all(|divisor| *divisor <= most);
            let fits = small && digits.entries >= piece.least_entries;
            fits.then(|| (self.failure(piece, &digits), digits))
        };
        if stages == 1 {
            return one(Vec::new());
        }
        // From look-ups of equal width to a last table of the least size.
        let root = libm::pow(piece.width as f64, 1.0 / stages as f64);
        let divided = piece.width as f64 / piece.least_entries as f64;
        let widest = libm::pow(divided, 1.0 / (stages - 1) as f64);
        let (first, last) = ((root.min(widest) / 2.0) as u64 | 1, (root.max(widest)) as u64 + 3);
        let divisors = (first.max(3)..=last).step_by(2);
        let found = divisors.filter_map(|divisor| one(vec![divisor; stages - 1]));
        found.min_by(|a, b| a.0.total_cmp(&b.0))
    }
}

fn sum_log2(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY { b } else { add_log2(a, b) }
}

/// The fewest look-ups that keep the promise with one parameter set.
fn digits(noise: &Noise, pieces: &[Accumulators], outputs: &[OutputForm], log2_failure: f64) -> Result<Chosen, usize> {
    let mut total = f64::NEG_INFINITY;
    let mut chosen = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let stages = (1..=MAX_STAGES).filter_map(|stages| noise.best_digits(piece, stages));
        let (failure, digits) = stages
            .into_iter()
            .find(|(failure, _)| sum_log2(total, *failure) <= log2_failure)
            .ok_or(index)?;
        total = sum_log2(total, failure);
        chosen.push(digits);
    }
    let wrong = |form: &OutputForm| {
        let deviations = 0.5 / form.steps as f64 / noise.sum(&form.sources).sqrt();
        log2_tail(deviations) + libm::log2(form.rows as f64)
    };
    let fits = |form: &OutputForm| sum_log2(total, wrong(form)) <= log2_failure;
    let output = outputs.iter().position(fits).ok_or(pieces.len())?;
    let lookups = |(piece, digits): (&Accumulators, &Digits)| piece.rows * (digits.stages() - 1 + piece.copies);
    let lookups: u64 = pieces.iter().zip(&chosen).map(lookups).sum();
    Ok(Chosen {
        params: noise.params,
        digits: chosen,
        output,
        predicted_ms: lookups as f64 * lookup_ms(&noise.params),
    })
}
