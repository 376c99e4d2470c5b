//! The operator's word that a node shall leave DNS.

use crate::decide::fitness::{Conditions, Fitness};
use crate::decide::policy::{RecordPolicy, Signal, SignalAction};
use crate::decide::reason::Reason;
use crate::decide::time::Moment;

/// A drain that is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drain {
    /// When it ends by itself; `None` when only a resume ends it.
    pub until: Option<Moment>,
    /// Whether it may leave a pool with fewer than `keep_min` record sets.
    pub force: bool,
}

impl Drain {
    /// Whether it is in force at `now`.
    pub fn is_in_force(&self, now: Moment) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Whether a drain withdraws this record.
pub fn is_followed_by(record: &RecordPolicy) -> bool {
    let policy = record.signals.get(&Signal::Drained).copied().unwrap_or_else(|| Signal::Drained.default_policy());
    policy.action == SignalAction::Withdraw
}

/// The record without its `keep_min`, where it is drained by force. A shutdown of the drained node,
/// which explains more, does not take that back.
pub fn forced(record: &RecordPolicy, fitness: &Fitness, conditions: &Conditions, now: Moment) -> Option<RecordPolicy> {
    let by_force = |drain: &Drain| drain.force && drain.is_in_force(now);
    let is_forced = conditions.drain.known().and_then(Option::as_ref).is_some_and(by_force);
    let is_drained = matches!(fitness, Fitness::Unfit(Reason::Drained | Reason::Stopping)) && is_followed_by(record);
    (is_forced && is_drained).then(|| RecordPolicy { keep_min: 0, ..record.clone() })
}
