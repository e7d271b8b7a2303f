//! The random pause before a dispatch. Pure: the source of randomness is a parameter.

use super::settings::Jitter;
use rand::Rng;
use rand_distr::{Distribution, Normal};

/// Draws a pause in whole milliseconds from a normal distribution, clamped to its bounds.
pub(super) fn draw_ms(jitter: &Jitter, random: &mut impl Rng) -> u64 {
    if jitter.is_off() {
        return 0;
    }
    let (mean, deviation) = (jitter.mu_ms as f64, jitter.sigma_ms as f64);
    // Settings are finite and not negative, so the distribution always exists.
    let drawn = Normal::new(mean, deviation).map_or(mean, |normal| normal.sample(random));
    (drawn.round().max(0.0) as u64).clamp(jitter.min_ms, jitter.max_ms)
}

/// Returns the expected pause, in milliseconds.
pub(super) fn expected_ms(jitter: &Jitter) -> u64 {
    if jitter.is_off() { 0 } else { jitter.mu_ms.clamp(jitter.min_ms, jitter.max_ms) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    fn draws(jitter: &Jitter, seed: u64) -> Vec<u64> {
        let mut random = StdRng::seed_from_u64(seed);
        (0..2_000).map(|_| draw_ms(jitter, &mut random)).collect()
    }

    #[test]
    fn draws_lie_within_the_bounds_and_around_the_mean() {
        let drawn = draws(&Jitter::default(), 1);
        assert!(drawn.iter().all(|ms| (1_000..=5_000).contains(ms)));
        let mean = drawn.iter().sum::<u64>() / 2_000;
        assert!((1_950..=2_060).contains(&mean), "{mean}");
        let near = drawn.iter().filter(|ms| (1_500..=2_500).contains(*ms)).count();
        assert!((1_250..=1_480).contains(&near), "about 68 of 100 lie within one deviation: {near}");
    }

    #[test]
    fn what_lies_outside_the_bounds_becomes_the_bound() {
        let drawn = draws(&Jitter { min_ms: 30, max_ms: 90, mu_ms: 60, sigma_ms: 200 }, 2);
        assert!(drawn.iter().all(|ms| (30..=90).contains(ms)));
        assert!(drawn.contains(&30) && drawn.contains(&90) && drawn.iter().any(|ms| (31..90).contains(ms)));
    }

    #[test]
    fn off_and_steady() {
        let off = Jitter { min_ms: 0, max_ms: 0, mu_ms: 0, sigma_ms: 0 };
        assert!(draws(&off, 3).iter().all(|ms| *ms == 0));
        let steady = Jitter { min_ms: 0, max_ms: 100, mu_ms: 40, sigma_ms: 0 };
        assert!(draws(&steady, 3).iter().all(|ms| *ms == 40));
        assert_eq!((expected_ms(&off), expected_ms(&steady)), (0, 40));
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        assert_eq!(draws(&Jitter::default(), 9), draws(&Jitter::default(), 9));
        assert_ne!(draws(&Jitter::default(), 9), draws(&Jitter::default(), 10));
    }
}
