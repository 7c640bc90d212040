//! Deterministic search for NTT-friendly primes.

fn mul_mod(a: u64, b: u64, m: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(m)) as u64
}

fn pow_mod(mut base: u64, mut exponent: u64, m: u64) -> u64 {
    let mut result = 1 % m;
    base %= m;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = mul_mod(result, base, m);
        }
        base = mul_mod(base, base, m);
        exponent >>= 1;
    }
    result
}

/// Whether `n` is prime. Miller-Rabin with the first twelve primes as bases, which is exact for every 64-bit number.
///
/// # Source
/// J. Sorenson, J. Webster, *Strong pseudoprimes to twelve prime bases*, Math. Comp. 86 (2017).
pub fn is_prime(n: u64) -> bool {
    const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    if n < 2 {
        return false;
    }
    if let Some(&base) = BASES.iter().find(|&&base| n.is_multiple_of(base)) {
        return n == base;
    }
    let twos = (n - 1).trailing_zeros();
    let odd = (n - 1) >> twos;
    BASES.iter().all(|&base| {
        let mut x = pow_mod(base, odd, n);
        if x == 1 || x == n - 1 {
            return true;
        }
        (1..twos).any(|_| {
            x = mul_mod(x, x, n);
            x == n - 1
        })
    })
}

/// Primes congruent to 1 modulo `2^(log_n + 1)`, nearest to `target` first, below 2^50.
pub fn ntt_primes_near(log_n: u32, target: f64) -> impl Iterator<Item = u64> {
    let step = 2u64 << log_n;
    let centre = (target / step as f64).round() as u64 * step + 1;
    let candidate = move |k: u64| {
        // k = 0, 1, 2, 3 … walks to centre, centre + step, centre - step, centre + 2 step …
        let offset = k.div_ceil(2) * step;
        if k % 2 == 1 {
            centre.checked_add(offset)
        } else {
            centre.checked_sub(offset)
        }
    };
    let walk = (1u64 << 50) / step * 2;
    (0..walk).filter_map(candidate).filter(|&p| p < 1 << 50 && is_prime(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_trial_division() {
        let naive = |n: u64| n >= 2 && (2..n).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
        for n in 0..5000 {
            assert_eq!(is_prime(n), naive(n), "{n}");
        }
        assert!(is_prime((1 << 61) - 1));
        assert!(!is_prime(3_215_031_751), "a strong pseudoprime to bases 2, 3, 5 and 7");
    }

    #[test]
    fn finds_the_nearest_first() {
        let primes: Vec<u64> = ntt_primes_near(13, 2f64.powi(40)).take(20).collect();
        let distance = |p: u64| p.abs_diff(1 << 40);
        assert!(primes.windows(2).all(|w| distance(w[0]) <= distance(w[1]) + 2));
        assert!(primes.iter().all(|p| p % (1 << 14) == 1));
    }
}
