//! Times the named bootstraps and measures their precision, one JSON line per preset.
//!
//! `cargo bench -p heron-ckks --bench bootstrap -- PRESET… [threads=1] [runs=5]`. Times are in seconds: medians; processor
//! time on one thread where the system tells it (Linux), so that a busy machine does not count, else the clock on the
//! wall. `rotations` is the ratio to a rotation at 24 limbs of the same ring, timed between the bootstraps of the same run.
//! Vectors are random in [-1, 1], both parts of complex ones; bits are those of absolute errors over all slots and runs.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use heron_ckks::bootstrap::{BootstrapKeys, Bootstrapper};
use heron_ckks::{
    Ciphertext, Context, Encoder, EvaluationKeys, Evaluator, Kernels, Rng, SecretKey, decrypt, encrypt_secret,
};
use heron_params::bootstrap::{BOOTSTRAP_PRESETS, BootstrapParams, BootstrapPreset, SlotValues};
use heron_params::{ChainRequest, CkksParams, KeySpec, Level, Rotation, ScalePower};

/// Encoded diagonals that are kept.
const CACHE_BYTES: u64 = 4 << 30;
/// Rotations that are timed beside each bootstrap.
const ROTATIONS: usize = 3;

/// Real and imaginary parts of all slots.
type Slots = [Vec<f64>; 2];

/// A point in time.
enum Clock {
    Processor(u64),
    Wall(Instant),
}

impl Clock {
    fn now(threads: usize) -> Self {
        let processor = if threads == 1 { Self::thread_ns() } else { None };
        processor.map_or_else(|| Self::Wall(Instant::now()), Self::Processor)
    }

    /// Processor time of this thread.
    #[cfg(target_os = "linux")]
    fn thread_ns() -> Option<u64> {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
    }

    #[cfg(not(target_os = "linux"))]
    fn thread_ns() -> Option<u64> {
        None
    }

    fn elapsed_s(&self) -> f64 {
        match self {
            Self::Processor(before) => (Self::thread_ns().unwrap_or(*before) - before) as f64 / 1e9,
            Self::Wall(before) => before.elapsed().as_secs_f64(),
        }
    }
}

fn timed<T>(threads: usize, work: impl FnOnce() -> T) -> (T, f64) {
    let before = Clock::now(threads);
    let result = black_box(work());
    (result, before.elapsed_s())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A rotation at 24 limbs with three digits.
struct Reference {
    eval: Evaluator,
    operand: Ciphertext,
}

impl Reference {
    fn new(log_n: u32, kernels: Kernels) -> Self {
        let params = CkksParams::build(&ChainRequest {
            log_n,
            levels: 23,
            log_scale: 46,
            log_q0: 46,
            digit_len: 8,
        });
        let ctx = Context::new(params.expect("primes exist"), kernels).expect("a valid set");
        let mut rng = Rng::insecure_deterministic(1);
        let secret = SecretKey::generate(&ctx, &mut rng);
        let top = ctx.params().max_level();
        let mut spec = KeySpec::default();
        spec.add_rotation(Rotation(1), top);
        let keys = EvaluationKeys::generate(&ctx, &secret, &spec, &mut rng, &mut |_| ()).expect("a valid spec");
        let plaintext = Encoder::new(ctx.clone())
            .encode(&[0.5], top, ScalePower::One)
            .expect("fits");
        let operand = encrypt_secret(&ctx, &secret, &plaintext, &mut rng).expand(&ctx);
        Self {
            eval: Evaluator::new(ctx, Arc::new(keys)),
            operand,
        }
    }

    fn rotate(&self) -> Ciphertext {
        self.eval.rotate(&self.operand, Rotation(1)).expect("a key")
    }
}

struct Setting {
    ctx: Arc<Context>,
    secret: SecretKey,
    boot: Bootstrapper,
    rng: Rng,
    keygen_s: f64,
}

impl Setting {
    fn new(params: BootstrapParams, kernels: Kernels) -> Self {
        let ctx = Context::new(params.chain().clone(), kernels).expect("a valid chain");
        let mut rng = Rng::insecure_deterministic(2);
        let secret = SecretKey::generate(&ctx, &mut rng);
        let started = Instant::now();
        let keys = BootstrapKeys::generate(&ctx, &secret, &params, &mut rng, &mut |_| ()).expect("keys of this ring");
        let keygen_s = started.elapsed().as_secs_f64();
        let boot = Bootstrapper::new(&ctx, params, Arc::new(keys), CACHE_BYTES).expect("the same ring");
        Self {
            ctx,
            secret,
            boot,
            rng,
            keygen_s,
        }
    }

    fn random_slots(&self, seed: u64) -> Slots {
        let n = 1 << self.boot.params().log_slots();
        let all = self.ctx.params().slots().0 as usize;
        let uniform = |i: usize, part: u64| {
            let mut state = (2 * (i % n) as u64 + part + (seed << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            state = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            state ^= state >> 32;
            (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        };
        let imaginary = |i: usize| match self.boot.params().values() {
            SlotValues::Real => 0.0,
            SlotValues::Complex => uniform(i, 1),
        };
        [
            (0..all).map(|i| uniform(i, 0)).collect(),
            (0..all).map(imaginary).collect(),
        ]
    }

    fn encrypt(&mut self, slots: &Slots, level: Level) -> Ciphertext {
        let encoder = self.boot.evaluator().encoder();
        let plaintext = encoder
            .encode_complex([&slots[0], &slots[1]], level, ScalePower::One)
            .expect("fits");
        encrypt_secret(&self.ctx, &self.secret, &plaintext, &mut self.rng).expand(&self.ctx)
    }

    /// The absolute errors of all parts that the variant keeps.
    fn errors(&self, a: &Ciphertext, want: &Slots) -> Vec<f64> {
        let got = self
            .boot
            .evaluator()
            .encoder()
            .decode_complex(&decrypt(&self.ctx, &self.secret, a));
        let parts = match self.boot.params().values() {
            SlotValues::Real => 1,
            SlotValues::Complex => 2,
        };
        let pairs = got
            .iter()
            .zip(want)
            .take(parts)
            .flat_map(|(got, want)| got.iter().zip(want));
        pairs.map(|(a, b)| (a - b).abs()).collect()
    }
}

/// The most memory that this process has had, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

fn measure(preset: &BootstrapPreset, threads: usize, runs: usize) {
    let kernels = std::env::var("HERON_KERNELS").ok();
    let kernels = kernels.map_or_else(Kernels::best, |name| Kernels::named(&name).expect("a known kernel set"));
    let params = preset.build().expect("a preset");
    let key_mib = params.key_spec().bytes(params.chain(), false) >> 20;
    let reference = Reference::new(preset.request.log_n, kernels);
    let mut setting = Setting::new(params, kernels);
    let (mut times, mut rotations, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    // The first run encodes the diagonals.
    for run in 0..=runs {
        let slots = setting.random_slots(run as u64);
        let a = setting.encrypt(&slots, setting.boot.params().input_level());
        let (refreshed, time) = timed(threads, || setting.boot.bootstrap(&a).expect("levels and keys"));
        errors.extend(setting.errors(&refreshed, &slots));
        let beside = (0..ROTATIONS).map(|_| timed(threads, || reference.rotate()).1);
        rotations.extend(beside);
        if run > 0 {
            times.push(time);
        }
    }
    let params = setting.boot.params();
    let worst = errors.iter().copied().fold(0.0, f64::max);
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    let (median_s, rotation_s) = (median(times), median(rotations));
    println!(
        "{{\"op\":\"bootstrap\",\"preset\":\"{}\",\"log_n\":{},\"log_slots\":{},\"limbs\":{},\"special\":{},\
         \"digits\":{},\"log_qp\":{:.1},\"kernels\":\"{}\",\"threads\":{threads},\"median_s\":{median_s:.3},\
         \"rotation_ms\":{:.2},\"rotations\":{:.1},\"predicted_rotations\":{:.1},\"bits_left\":{:.1},\
         \"worst_bits\":{:.2},\"mean_bits\":{:.2},\"predicted_worst_bits\":{:.2},\"key_mib\":{key_mib},\
         \"keygen_s\":{:.1},\"peak_mib\":{},\"runs\":{runs}}}",
        preset.name,
        preset.request.log_n,
        preset.request.log_slots,
        params.chain().q.len(),
        params.chain().p.len(),
        params.chain().digits(params.top_level()).len(),
        params.chain().log_qp(),
        kernels.name(),
        1e3 * rotation_s,
        median_s / rotation_s,
        params.cost_in_rotations(),
        params.bits_left(),
        -worst.log2(),
        -mean.log2(),
        params.precision().worst_bits(),
        setting.keygen_s,
        peak_mib(),
    );
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: usize| {
        let value = args.iter().find_map(|arg| arg.strip_prefix(name)?.strip_prefix('='));
        value.map_or(default, |value| value.parse().expect("a number"))
    };
    let (threads, runs) = (number("threads", 1), number("runs", 5));
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("threads");
    for preset in BOOTSTRAP_PRESETS
        .iter()
        .filter(|preset| args.iter().any(|arg| arg == preset.name))
    {
        pool.install(|| measure(preset, threads, runs));
    }
}
