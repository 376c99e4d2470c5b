//! Randomness as an argument: a seeded generator, so that every run of the engine can be repeated.

use std::time::Duration;

use crate::decide::hash::mix;

/// SplitMix64 (Steele, Lea, Flood 2014): spreads retries, keeps no secrets.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator whose numbers follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A duration from zero up to `limit`, in whole microseconds.
    pub fn up_to(&mut self, limit: Duration) -> Duration {
        let limit = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.number() % limit.saturating_add(1).max(1))
    }

    /// `period`, a tenth shorter to a tenth longer.
    pub fn jitter(&mut self, period: Duration) -> Duration {
        period.saturating_sub(period / 10).saturating_add(self.up_to(period / 5))
    }
}

/// How long to wait after the `failures`-th failure in a row: full jitter over a doubling range,
/// from half a second up to [`BACKOFF_CAP`].
pub fn backoff(random: &mut Random, failures: u32) -> Duration {
    let doubled = BACKOFF_BASE.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1)));
    BACKOFF_FLOOR + random.up_to(doubled.min(BACKOFF_CAP) - BACKOFF_FLOOR)
}

/// The longest wait between two tries.
pub const BACKOFF_CAP: Duration = Duration::from_secs(30);
const BACKOFF_BASE: Duration = Duration::from_millis(500);
/// Full jitter may draw zero, which would be no wait at all.
const BACKOFF_FLOOR: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_to_its_cap_and_never_vanishes() {
        let mut random = Random::new(7);
        for failures in 1..200 {
            let limit = BACKOFF_CAP.min(Duration::from_millis(500) * 2u32.saturating_pow(failures - 1));
            for _ in 0..50 {
                let wait = backoff(&mut random, failures);
                assert!((BACKOFF_FLOOR..=limit).contains(&wait), "{failures}: {wait:?}");
            }
        }
        let longest = (0..500).map(|_| backoff(&mut random, 20)).max();
        assert!(longest > Some(BACKOFF_CAP * 9 / 10), "{longest:?}");
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        let mut random = Random::new(1);
        let period = Duration::from_secs(900);
        let draws: Vec<_> = (0..500).map(|_| random.jitter(period)).collect();
        assert!(draws.iter().all(|d| (period * 9 / 10..=period * 11 / 10).contains(d)));
        assert!(draws.iter().max() > draws.iter().min());
    }
}
