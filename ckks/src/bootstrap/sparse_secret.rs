//! The ephemeral secret: ternary, of fixed weight.

use zeroize::Zeroizing;

use crate::random::Rng;

/// `n` coefficients of which `weight` are 1 or -1, at uniform places.
///
/// Every draw touches all coefficients alike. Only the number of draws that hit a taken place can be observed, which says
/// nothing about the places.
pub(super) fn sparse_ternary(rng: &mut Rng, n: usize, weight: u32) -> Zeroizing<Vec<i8>> {
    assert!((weight as usize) < n, "a sparse secret");
    let mut out = Zeroizing::new(vec![0i8; n]);
    let mut placed = 0;
    let mut words = Zeroizing::new([0u64; 1]);
    while placed < weight {
        rng.fill_words(&mut *words);
        // The top bits give the place, the lowest the sign.
        let place = ((u128::from(words[0]) * n as u128) >> 64) as usize;
        let value = 1 - 2 * (words[0] & 1) as i8;
        let taken = out
            .iter()
            .enumerate()
            .fold(0, |taken, (i, x)| taken | (i8::from(i == place) & (x & 1)));
        for (i, x) in out.iter_mut().enumerate() {
            *x += value * (i8::from(i == place) & (1 - taken));
        }
        placed += u32::from(taken == 0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_is_exact_and_places_vary() {
        let mut rng = Rng::insecure_deterministic(5);
        let mut hits = [0u32; 64];
        let mut positive = 0;
        for _ in 0..2000 {
            let secret = sparse_ternary(&mut rng, 64, 16);
            assert!(secret.iter().all(|x| (-1..=1).contains(x)));
            assert_eq!(secret.iter().filter(|&&x| x != 0).count(), 16);
            positive += secret.iter().filter(|&&x| x == 1).count();
            hits.iter_mut()
                .zip(secret.iter())
                .for_each(|(hit, &x)| *hit += u32::from(x != 0));
        }
        // 500 of 2000 on average, with a deviation of 19; 16,000 of 32,000 with one of 89.
        assert!(hits.iter().all(|hit| hit.abs_diff(500) < 100), "{hits:?}");
        assert!(positive.abs_diff(16_000) < 500, "{positive}");
    }
}
