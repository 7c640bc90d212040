//! Times the operations of the evaluator, one JSON line per measurement.
//!
//! `cargo bench -p heron-ckks --bench evaluator -- [FILTER]…` measures what contains every filter, matched against
//! `op=rotate log_n=15 limbs=14 threads=1`. Times are in milliseconds: the median, the minimum, and the first and last
//! decile as the spread; processor time of the busiest thread where the system tells it (Linux), so that a busy machine
//! does not count, else the clock on the wall.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use heron_ckks::{
    Ciphertext, Context, Encoder, EvaluationKeys, Evaluator, GiantStep, Kernels, LinearTransform, Rng, SecretKey, Term,
    decrypt, encrypt_secret,
};
use heron_params::{ChainRequest, CkksParams, KeySpec, Rotation, ScalePower, max_log_qp};

/// How long each measurement runs, beyond one run to warm up.
const BUDGET: Duration = Duration::from_millis(500);
/// Baby steps of the hoisted measurement.
const BABIES: u32 = 8;

/// A deep set, the deepest for its ring that keeps 46-bit primes, and one of a shallow network.
const SETS: [ChainRequest; 4] = [
    ChainRequest {
        log_n: 13,
        levels: 5,
        log_scale: 28,
        log_q0: 36,
        digit_len: 1,
    },
    ChainRequest {
        log_n: 14,
        levels: 6,
        log_scale: 40,
        log_q0: 48,
        digit_len: 2,
    },
    ChainRequest {
        log_n: 15,
        levels: 13,
        log_scale: 46,
        log_q0: 46,
        digit_len: 4,
    },
    ChainRequest {
        log_n: 16,
        levels: 23,
        log_scale: 46,
        log_q0: 46,
        digit_len: 8,
    },
];

/// Eight rotations, each with one product, in one giant step.
struct Hoisted {
    steps: Vec<GiantStep>,
}

impl LinearTransform for Hoisted {
    fn id(&self) -> u64 {
        self.steps[0].terms.len() as u64
    }

    fn giant_steps(&self) -> &[GiantStep] {
        &self.steps
    }

    fn write_diagonal(&self, diagonal: usize, out: &mut [f64]) {
        out.iter_mut()
            .enumerate()
            .for_each(|(i, x)| *x = ((i * (diagonal + 1)) as f64).sin());
    }
}

/// A point in time.
enum Clock {
    /// Processor time of every thread of the pool.
    Processor(Vec<u64>),
    Wall(Instant),
}

impl Clock {
    fn now() -> Self {
        Self::threads_ns().map_or_else(|| Self::Wall(Instant::now()), Self::Processor)
    }

    /// Processor time of every thread of the pool.
    #[cfg(target_os = "linux")]
    fn threads_ns() -> Option<Vec<u64>> {
        let of_thread = |_: rayon::BroadcastContext<'_>| {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
        };
        Some(rayon::broadcast(of_thread))
    }

    #[cfg(not(target_os = "linux"))]
    fn threads_ns() -> Option<Vec<u64>> {
        None
    }

    fn elapsed_ms(&self) -> f64 {
        match self {
            Self::Processor(before) => {
                let after = Self::threads_ns().unwrap_or_else(|| before.clone());
                let busiest = after.iter().zip(before).map(|(after, before)| after - before).max();
                busiest.unwrap_or(0) as f64 / 1e6
            }
            Self::Wall(before) => before.elapsed().as_secs_f64() * 1e3,
        }
    }
}

struct Setting {
    eval: Evaluator,
    secret: SecretKey,
    encoder: Encoder,
    ciphertext: Ciphertext,
    values: Vec<f64>,
    threads: usize,
    filters: Vec<String>,
}

impl Setting {
    fn new(request: &ChainRequest, threads: usize, filters: &[String]) -> Self {
        let params = CkksParams::build(request).expect("primes exist");
        let kernels = std::env::var("HERON_KERNELS").ok();
        let kernels = kernels.map_or_else(Kernels::best, |name| Kernels::named(&name).expect("a known kernel set"));
        let top = params.max_level();
        let ctx = Context::new(params, kernels).expect("a valid set");
        let mut rng = Rng::insecure_deterministic(1);
        let secret = SecretKey::generate(&ctx, &mut rng);
        let mut spec = KeySpec::default();
        spec.add_relinearize(top);
        (1..=BABIES).for_each(|k| spec.add_rotation(Rotation(k), top));
        let keys = EvaluationKeys::generate(&ctx, &secret, &spec, &mut rng, &mut |_| ()).expect("a valid spec");
        let encoder = Encoder::new(ctx.clone());
        let values: Vec<f64> = (0..ctx.params().slots().0).map(|i| f64::from(i).sin()).collect();
        let plaintext = encoder.encode(&values, top, ScalePower::One).expect("fits");
        let ciphertext = encrypt_secret(&ctx, &secret, &plaintext, &mut rng).expand(&ctx);
        let eval = Evaluator::with_cache(ctx, Arc::new(keys), 4 << 30);
        Self {
            eval,
            secret,
            encoder,
            ciphertext,
            values,
            threads,
            filters: filters.to_vec(),
        }
    }

    fn measure<T>(&self, op: &str, mut work: impl FnMut() -> T) {
        let params = self.eval.context().params();
        let (log_n, limbs) = (params.log_n, params.q.len());
        let label = format!("op={op} log_n={log_n} limbs={limbs} threads={}", self.threads);
        if !self.filters.iter().all(|filter| label.contains(filter.as_str())) {
            return;
        }
        black_box(work());
        let (mut times, started) = (Vec::new(), Instant::now());
        while started.elapsed() < BUDGET || times.len() < 5 {
            let before = Clock::now();
            black_box(work());
            times.push(before.elapsed_ms());
        }
        times.sort_by(f64::total_cmp);
        let quantile = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        let security = if params.log_qp() <= f64::from(max_log_qp(log_n).unwrap_or(0)) {
            128
        } else {
            0
        };
        println!(
            "{{\"op\":\"{op}\",\"log_n\":{log_n},\"limbs\":{limbs},\"special\":{},\"digits\":{},\"log_qp\":{:.1},\
             \"security_bits\":{security},\"kernels\":\"{}\",\"threads\":{},\"median_ms\":{:.3},\"min_ms\":{:.3},\
             \"p10_ms\":{:.3},\"p90_ms\":{:.3},\"runs\":{}}}",
            params.p.len(),
            params.digits(params.max_level()).len(),
            params.log_qp(),
            self.eval.context().kernels().name(),
            self.threads,
            quantile(0.5),
            quantile(0.0),
            quantile(0.1),
            quantile(0.9),
            times.len(),
        );
    }

    fn measure_all(&self) {
        let (ctx, eval, a) = (self.eval.context(), &self.eval, &self.ciphertext);
        let level = a.level();
        let plaintext = self.encoder.encode(&self.values, level, ScalePower::One).expect("fits");
        let product = eval.square(a).expect("a key");
        let mut rng = Rng::insecure_deterministic(2);
        self.measure("encode", || {
            self.encoder.encode(&self.values, level, ScalePower::One).expect("fits")
        });
        self.measure("decode", || self.encoder.decode(&plaintext));
        self.measure("encrypt_secret", || {
            encrypt_secret(ctx, &self.secret, &plaintext, &mut rng)
        });
        self.measure("decrypt", || decrypt(ctx, &self.secret, a));
        self.measure("add", || eval.add(a, a).expect("alike"));
        self.measure("mul_plaintext", || eval.mul_plaintext(a, &plaintext).expect("alike"));
        self.measure("mul_const", || eval.mul_const(a, 0.7).expect("fits"));
        self.measure("rescale", || eval.rescale(&product).expect("a level"));
        // Keys take turns, as in a network, and come from memory.
        let mut turn = 0;
        self.measure("rotate", || {
            turn = turn % BABIES + 1;
            eval.rotate(a, Rotation(turn)).expect("a key")
        });
        self.measure("mul", || eval.mul(a, a).expect("a key"));
        self.measure("mul_rescale", || eval.mul_rescale(a, a).expect("a key"));
        let term = |k: u32| Term {
            input: 0,
            rotation: Rotation(k),
            diagonal: k as usize,
        };
        let step = |terms| Hoisted {
            steps: vec![GiantStep {
                output: 0,
                rotation: Rotation(0),
                terms,
            }],
        };
        let (one, many) = (step(vec![term(1)]), step((1..=BABIES).map(term).collect()));
        self.measure("linear_1_rotation", || eval.linear(a, &one).expect("keys"));
        self.measure("linear_8_rotations", || eval.linear(a, &many).expect("keys"));
        let mut spec = KeySpec::default();
        spec.add_rotation(Rotation(3), level);
        self.measure("keygen_rotation", || {
            EvaluationKeys::generate(ctx, &self.secret, &spec, &mut rng, &mut |_| ())
        });
    }
}

fn main() {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    for request in &SETS {
        for threads in [1, 2] {
            let label = format!("log_n={} limbs={} threads={threads}", request.log_n, request.levels + 1);
            let mut of_set = filters.iter().filter(|filter| !filter.starts_with("op="));
            if !of_set.all(|filter| label.contains(filter.as_str())) {
                continue;
            }
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("threads");
            pool.install(|| Setting::new(request, threads, &filters).measure_all());
        }
    }
}
