//! What comes and goes often is believed ever more slowly.
//!
//! The bound that follows: within any minute, whatever [`Flaps`] guards happens at most
//! [`PER_MINUTE`] times. The first time costs the configured wait, which may be none, the second at
//! least 2 s, then 4, 8, 16 and 32 s, which together are more than a minute.

use std::time::Duration;

use crate::decide::time::Moment;

/// How long what has happened counts.
pub const WINDOW: Duration = Duration::from_secs(10 * 60);
/// The longest wait that repetition alone brings about.
pub const WAIT_MAX: Duration = Duration::from_secs(5 * 60);
/// The same for a drain that the operator ends: long enough for [`PER_MINUTE`], not longer.
pub const RESUME_WAIT_MAX: Duration = Duration::from_secs(20);
/// How often in a minute it can happen at most.
pub const PER_MINUTE: usize = 6;

/// The least that is doubled.
const BASE_MIN: Duration = Duration::from_secs(1);

/// How often something has happened of late.
#[derive(Debug, Clone, Default)]
pub struct Flaps {
    /// When it has happened within the window before the last time, and the last time itself.
    moments: Vec<Moment>,
}

impl Flaps {
    /// It has happened `now`. What is older than the window is forgotten, so a quiet window relaxes.
    pub fn count(&mut self, now: Moment) {
        self.moments.retain(|moment| now - *moment < WINDOW);
        self.moments.push(now);
    }

    /// How often it had happened within the window when it last did.
    pub fn times(&self) -> u32 {
        u32::try_from(self.moments.len()).unwrap_or(u32::MAX)
    }

    /// How long to wait instead of `base`: that the first time, then twice as long each time, from
    /// at least a second, until [`WAIT_MAX`]. Never shorter than `base`.
    pub fn wait(&self, base: Duration) -> Duration {
        match self.times() {
            0 | 1 => base,
            times => {
                let doubled = base.max(BASE_MIN).saturating_mul(2u32.saturating_pow(times - 1));
                doubled.min(WAIT_MAX.max(base))
            }
        }
    }
}

/// A value that takes effect once it has stood still: for as long as its settle time, and longer
/// the more often it has changed.
#[derive(Debug, Clone)]
pub struct Steady<T> {
    in_force: Option<T>,
    /// What was seen last, where that is something else, and since when.
    next: Option<(T, Moment)>,
    flaps: Flaps,
}

impl<T> Default for Steady<T> {
    fn default() -> Self {
        Steady { in_force: None, next: None, flaps: Flaps::default() }
    }
}

impl<T: PartialEq> Steady<T> {
    /// Takes in what is seen `now`; `None` is not knowing. The first value takes effect at once.
    pub fn see(&mut self, seen: Option<T>, settle: Duration, now: Moment) {
        self.next = match (seen, &self.in_force, self.next.take()) {
            // A time during which nothing was known proves nothing, so the wait starts over.
            (None, _, _) => None,
            (Some(seen), None, _) => {
                self.in_force = Some(seen);
                None
            }
            (Some(seen), Some(in_force), _) if seen == *in_force => None,
            (Some(seen), Some(_), Some((next, since))) if seen == next => Some((seen, since)),
            (Some(seen), Some(_), _) => Some((seen, now)),
        };
        self.settle(settle, now);
    }

    /// Lets time pass. Whether another value is in force now.
    pub fn settle(&mut self, settle: Duration, now: Moment) -> bool {
        let due = self.due(settle).is_some_and(|due| due <= now);
        if due && let Some((value, _)) = self.next.take() {
            self.in_force = Some(value);
            self.flaps.count(now);
        }
        due
    }

    /// The value in force: the last one that was known and stood still.
    pub fn in_force(&self) -> Option<&T> {
        self.in_force.as_ref()
    }

    /// When another value takes effect if nothing changes until then.
    pub fn due(&self, settle: Duration) -> Option<Moment> {
        self.next.as_ref().map(|(_, since)| *since + self.flaps.wait(settle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::new(Duration::from_secs(seconds))
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn waits_double_from_a_second_to_the_cap_and_relax_after_a_quiet_window() {
        let waits = |base: Duration| {
            let mut flaps = Flaps::default();
            (0..12).map(|second| (flaps.count(at(second)), flaps.wait(base)).1.as_secs()).collect::<Vec<_>>()
        };
        assert_eq!(waits(Duration::ZERO), [0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(waits(seconds(10)), [10, 20, 40, 80, 160, 300, 300, 300, 300, 300, 300, 300]);
        assert_eq!(waits(seconds(3600)), [3600; 12]);

        let mut flaps = Flaps::default();
        (0..5).for_each(|second| flaps.count(at(second)));
        flaps.count(at(602));
        assert_eq!((flaps.times(), flaps.wait(seconds(1))), (3, seconds(4)));
        flaps.count(at(1202));
        assert_eq!((flaps.times(), flaps.wait(seconds(1))), (1, seconds(1)));
    }

    #[test]
    fn a_value_takes_effect_once_it_has_stood_still() {
        let mut steady = Steady::default();
        steady.see(Some(1), seconds(2), at(0));
        assert_eq!((steady.in_force(), steady.due(seconds(2))), (Some(&1), None));
        steady.see(Some(2), seconds(2), at(1));
        assert_eq!((steady.in_force(), steady.due(seconds(2))), (Some(&1), Some(at(3))));
        // Back before its time: nothing has happened.
        steady.see(Some(1), seconds(2), at(2));
        assert_eq!(steady.due(seconds(2)), None);
        // Another one, and another: the wait is for the last.
        steady.see(Some(2), seconds(2), at(3));
        steady.see(Some(3), seconds(2), at(4));
        assert!(!steady.settle(seconds(2), at(5)));
        assert!(steady.settle(seconds(2), at(6)));
        assert_eq!(steady.in_force(), Some(&3));
    }

    #[test]
    fn not_knowing_keeps_the_value_and_restarts_the_wait() {
        let mut steady = Steady::default();
        steady.see(Some(1), seconds(2), at(0));
        steady.see(Some(2), seconds(2), at(1));
        steady.see(None, seconds(2), at(2));
        assert_eq!((steady.in_force(), steady.due(seconds(2))), (Some(&1), None));
        steady.see(Some(2), seconds(2), at(3));
        assert_eq!(steady.due(seconds(2)), Some(at(5)));
    }
}
