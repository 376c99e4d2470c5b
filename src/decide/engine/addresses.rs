//! When to read the host's addresses.

use crate::decide::address::Snapshot;
use crate::decide::observed::Observed;
use crate::decide::policy::Timing;
use crate::decide::time::Moment;

/// The host's addresses as last read, and when to read them next.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    pub(super) snapshot: Observed<Snapshot>,
    reading: bool,
    due: Option<Moment>,
    first_change: Option<Moment>,
}

impl Addresses {
    pub(super) fn new(now: Moment) -> Self {
        Addresses { snapshot: Observed::Unknown, reading: false, due: Some(now), first_change: None }
    }

    /// Something may have changed: read once it has been quiet for `settle`, but put that off no
    /// longer than `settle_max`, so that endless flapping cannot starve it.
    pub(super) fn changed(&mut self, timing: &Timing, now: Moment) {
        let first = *self.first_change.get_or_insert(now);
        self.due = Some((now + timing.settle).min(first + timing.settle_max));
    }

    /// Reads again by `when` at the latest.
    pub(super) fn read_by(&mut self, when: Moment) {
        self.due = Some(self.due.map_or(when, |due| due.min(when)));
    }

    /// Whether a reading is due; it then counts as begun. Changes that arrive from here on ask for another.
    pub(super) fn begin(&mut self, now: Moment) -> bool {
        let begins = self.deadline().is_some_and(|due| due <= now);
        if begins {
            self.reading = true;
            self.due = None;
            self.first_change = None;
        }
        begins
    }

    pub(super) fn read(&mut self, snapshot: Observed<Snapshot>) {
        self.reading = false;
        self.snapshot = snapshot;
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.due.filter(|_| !self.reading)
    }
}
