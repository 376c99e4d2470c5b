//! One signal over time.

use std::time::Duration;

use crate::decide::observed::Observed;
use crate::decide::policy::SignalPolicy;
use crate::decide::reason::Reason;
use crate::decide::time::Moment;

/// One signal with hysteresis: it counts after having been up for `after`, and stops counting after
/// having been gone for `recover_after`.
#[derive(Debug, Clone, Default)]
pub(super) struct Damper {
    /// Whether it counts; `None` until that has been decided for the first time.
    pub(super) counts: Option<bool>,
    /// Why it is up, as last read.
    up: Option<Reason>,
    /// Why it counts.
    reason: Option<Reason>,
    /// Since when the reading has differed from what counts.
    differs_since: Option<Moment>,
}

impl Damper {
    pub(super) fn update(&mut self, reading: Observed<Option<Reason>>, policy: SignalPolicy, now: Moment) {
        let Observed::Known(up) = reading else {
            // A time during which nothing was known proves nothing, so the wait starts over.
            self.differs_since = None;
            return;
        };
        self.up = up;
        match (self.counts, self.up.is_some()) {
            (None, false) => self.settle(),
            (Some(counts), up) if counts == up => self.settle(),
            _ => {
                let since = *self.differs_since.get_or_insert(now);
                if now - since >= self.patience(policy) {
                    self.settle();
                }
            }
        }
    }

    fn settle(&mut self) {
        self.counts = Some(self.up.is_some());
        self.reason.clone_from(&self.up);
        self.differs_since = None;
    }

    fn patience(&self, policy: SignalPolicy) -> Duration {
        if self.up.is_some() { policy.after } else { policy.recover_after }
    }

    pub(super) fn deadline(&self, policy: SignalPolicy) -> Option<Moment> {
        self.differs_since.map(|since| since + self.patience(policy))
    }

    pub(super) fn is_undecided(&self) -> bool {
        self.counts.is_none() && self.up.is_some()
    }

    /// Why it counts, while it is up.
    pub(super) fn standing(&self) -> Option<Reason> {
        self.reason.clone().filter(|_| self.counts == Some(true) && self.up.is_some())
    }

    /// Whether it still counts though it is no longer up.
    pub(super) fn is_recovering(&self) -> bool {
        self.counts == Some(true) && self.up.is_none()
    }
}
