//! Times the kernels, one thread, one JSON line per measurement.
//!
//! `cargo bench -p heron-ckks --bench kernels -- [FILTER]…` measures what contains every filter, matched against
//! `op=forward log_n=15 bits=46 kernels=ifma`. Times are in microseconds for one limb: the median, the
//! minimum, and the first and last decile as the spread.

use std::hint::black_box;
use std::time::{Duration, Instant};

use heron_ckks::kernels::{Automorphism, BaseConversion, Kernels, NttPrime, RotatingKey, Rounding};
use heron_ckks::memory::{Words, limb_stride};

/// How long each measurement runs.
const BUDGET: Duration = Duration::from_millis(250);
/// Limbs that a base conversion reads, as in a key switch with eight special primes.
const SOURCES: usize = 8;
/// Digits of the inner products.
const DIGITS: usize = 4;

/// What is measured: a ring, a prime size and a kernel set.
struct Setting {
    log_n: u32,
    bits: u32,
    kernels: Kernels,
    filters: Vec<String>,
    cpu: String,
}

impl Setting {
    fn wants(&self, op: &str) -> bool {
        let Self {
            log_n,
            bits,
            kernels,
            filters,
            ..
        } = self;
        let label = format!("op={op} log_n={log_n} bits={bits} kernels={}", kernels.name());
        filters.iter().all(|filter| label.contains(filter.as_str()))
    }

    /// Times `work` and prints its line.
    fn measure(&self, op: &str, mut work: impl FnMut()) {
        if !self.wants(op) {
            return;
        }
        work();
        let mut times = Vec::new();
        let started = Instant::now();
        while started.elapsed() < BUDGET {
            let before = Instant::now();
            work();
            times.push(before.elapsed().as_secs_f64() * 1e6);
        }
        times.sort_by(f64::total_cmp);
        let quantile = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        let Self {
            log_n,
            bits,
            kernels,
            cpu,
            ..
        } = self;
        println!(
            "{{\"op\":\"{op}\",\"log_n\":{log_n},\"prime_bits\":{bits},\"kernels\":\"{}\",\"threads\":1,\"median_us\":{:.2},\
             \"min_us\":{:.2},\"p10_us\":{:.2},\"p90_us\":{:.2},\"runs\":{},\"cpu\":\"{cpu}\"}}",
            kernels.name(),
            quantile(0.5),
            quantile(0.0),
            quantile(0.1),
            quantile(0.9),
            times.len()
        );
    }

    fn run(&self) {
        let n_primes = SOURCES + 1;
        let candidates = heron_params::ntt_primes_near(
            self.log_n,
            2f64.powi(self.bits as i32) - 2f64.powi(self.bits as i32 - 4),
        );
        let primes: Vec<NttPrime> = candidates
            .take(n_primes)
            .map(|q| NttPrime::new(self.kernels, self.log_n, q).expect("a prime of this ring"))
            .collect();
        self.transforms(&primes[0]);
        self.pointwise(&primes[0]);
        self.key_switching(&primes);
    }

    fn transforms(&self, prime: &NttPrime) {
        let mut limb = limbs(prime, 1);
        let (limb, mut out) = (&mut limb[..prime.degree()], Words::zeroed(prime.degree()));
        self.measure("forward", || prime.forward_into(black_box(limb), &mut out));
        self.measure("inverse", || {
            prime.inverse_into(black_box(limb), prime.scalar(1), 0, &mut out);
        });
        let automorphism = Automorphism::new(self.log_n, 5);
        self.measure("automorphism", || automorphism.apply(black_box(limb), &mut out));
    }

    fn pointwise(&self, prime: &NttPrime) {
        let n = prime.degree();
        let (mut a, b) = (limbs(prime, 1), limbs(prime, 1));
        let (a, b) = (&mut a[..n], &b[..n]);
        self.measure("add", || prime.add_assign(black_box(a), b));
        self.measure("mul", || prime.mul_assign(black_box(a), b));
        self.measure("mul_scalar", || {
            prime.mul_scalar_assign(black_box(a), prime.scalar(12345));
        });
        self.measure("sub_mul_scalar", || {
            prime.sub_mul_scalar_assign(black_box(a), b, prime.scalar(12345));
        });
    }

    fn key_switching(&self, primes: &[NttPrime]) {
        let (target, sources) = (&primes[SOURCES], primes[..SOURCES].iter().collect::<Vec<_>>());
        let n = target.degree();
        let conversion = BaseConversion::new(&sources, &[target], Rounding::Approximate);
        let prepared = limbs(target, SOURCES);
        let prepared: Vec<&[u64]> = prepared.chunks(limb_stride(n)).map(|limb| &limb[..n]).collect();
        let (mut out0, mut out1) = (Words::zeroed(n), Words::zeroed(n));
        self.measure("convert", || {
            conversion.convert(0, target, black_box(&prepared), &mut out0);
        });
        self.measure("convert_forward", || {
            conversion.convert_forward(0, target, black_box(&prepared), &mut out0);
        });

        let (digits, key) = (limbs(target, DIGITS), limbs(target, 2 * DIGITS));
        let digits: Vec<&[u64]> = digits.chunks(limb_stride(n)).map(|limb| &limb[..n]).collect();
        let key: Vec<&[u64]> = key.chunks(limb_stride(n)).map(|limb| &limb[..n]).collect();
        let (key0, key1) = key.split_at(DIGITS);
        self.measure("inner_product", || {
            target.inner_product(
                black_box(&digits),
                [&key0[..DIGITS], &key1[..DIGITS]],
                [&mut out0, &mut out1],
            );
        });
        let automorphism = Automorphism::new(self.log_n, 5);
        self.measure("rotated_product", || {
            let key = RotatingKey {
                automorphism: &automorphism,
                components: [&key0[..DIGITS], &key1[..DIGITS]],
            };
            for first in (0..n).step_by(256) {
                let out = [&mut out0[first..][..256], &mut out1[first..][..256]];
                target.rotated_product(first, black_box(&digits), &key, None, out);
            }
        });
    }
}

/// `count` limbs of residues that exercise all bits, at [`limb_stride`].
fn limbs(prime: &NttPrime, count: usize) -> Words {
    let mut words = Words::zeroed(count * limb_stride(prime.degree()));
    for (i, word) in words.iter_mut().enumerate() {
        *word = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % prime.q();
    }
    words
}

/// The processor's name as Linux tells it.
fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("unknown", |(_, name)| name).replace(['"', '\\'], "")
}

fn main() {
    // Cargo passes `--bench`; everything else is a filter.
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    for log_n in [14, 15, 16] {
        for bits in [46, 48, 50] {
            for name in ["ifma", "avx2", "portable"] {
                if let Ok(kernels) = Kernels::named(name) {
                    Setting {
                        log_n,
                        bits,
                        kernels,
                        filters: filters.clone(),
                        cpu: cpu(),
                    }
                    .run();
                }
            }
        }
    }
}
