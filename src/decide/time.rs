//! Time as an argument.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on a monotonic clock that also counts while the machine is suspended (`CLOCK_BOOTTIME`).
///
/// The origin is arbitrary; only differences mean anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(Duration);

impl Moment {
    /// The moment `since_origin` after the clock's origin.
    pub const fn new(since_origin: Duration) -> Self {
        Moment(since_origin)
    }

    /// Time since the clock's origin.
    pub const fn since_origin(self) -> Duration {
        self.0
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    /// Saturates at the far end of the clock.
    fn add(self, delay: Duration) -> Moment {
        Moment(self.0.saturating_add(delay))
    }
}

impl Sub for Moment {
    type Output = Duration;

    /// The time from `earlier` to `self`; zero when `earlier` is in fact later.
    fn sub(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// How long something has lasted, for people, in two units at most: `40s`, `5m`, `3h 5m`, `1d 1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lasting(pub Duration);

impl fmt::Display for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
        let (large, small) = match seconds {
            0..60 => return write!(f, "{seconds}s"),
            60..3600 => return write!(f, "{minutes}m"),
            3600..86_400 => ((hours, 'h'), (minutes % 60, 'm')),
            _ => ((days, 'd'), (hours % 24, 'h')),
        };
        write!(f, "{}{}", large.0, large.1)?;
        if small.0 > 0 { write!(f, " {}{}", small.0, small.1) } else { Ok(()) }
    }
}
