//! The operator's drain: when it ends, what it overrides, and what it looks at anew.

use crate::decide::drain::Drain;
use crate::decide::engine::name::NameState;
use crate::decide::engine::{Engine, Notice};
use crate::decide::fitness::{Conditions, Fitness};
use crate::decide::observed::Observed;
use crate::decide::policy::{RecordPolicy, Signal, SignalAction};
use crate::decide::reason::{Intent, Reason};
use crate::decide::time::Moment;

impl Engine {
    /// The drain that is in force.
    pub fn drain(&self) -> Observed<Option<Drain>> {
        self.conditions.drain
    }

    /// The operator has drained or resumed the node. What then stands in the way is looked at anew:
    /// what the pool held at the last resync may be gone, and whoever drains waits for the answer. What
    /// was read a moment ago is that answer, and is read again a little later.
    pub(super) fn drain_changed(&mut self, drain: Observed<Option<Drain>>, now: Moment) {
        self.conditions.drain = drain;
        self.refresh(None, now);
        let held = |name: &&mut NameState| name.plans.iter().any(|plan| matches!(plan.intent, Intent::Hold(_)));
        self.names.values_mut().filter(held).for_each(|name| name.recheck_held(now));
    }

    pub(super) fn drained_until(&self) -> Option<Moment> {
        self.conditions.drain.known()?.as_ref()?.until
    }

    pub(super) fn end_drain(&mut self, now: Moment) {
        if self.drained_until().is_some_and(|until| until <= now) {
            self.notices.push(Notice::DrainEnded);
            self.drain_changed(Observed::Known(None), now);
        }
    }
}

/// Whether a drain withdraws this record.
pub(super) fn is_followed_by(record: &RecordPolicy) -> bool {
    let policy = record.signals.get(&Signal::Drained).copied().unwrap_or_else(|| Signal::Drained.default_policy());
    policy.action == SignalAction::Withdraw
}

/// The record without its `keep_min`, where it is drained by force. A shutdown of the drained node,
/// which explains more, does not take that back.
pub(super) fn forced(
    record: &RecordPolicy,
    fitness: &Fitness,
    conditions: &Conditions,
    now: Moment,
) -> Option<RecordPolicy> {
    let by_force = |drain: &Drain| drain.force && drain.is_in_force(now);
    let is_forced = conditions.drain.known().and_then(Option::as_ref).is_some_and(by_force);
    let is_drained = matches!(fitness, Fitness::Unfit(Reason::Drained | Reason::Stopping)) && is_followed_by(record);
    (is_forced && is_drained).then(|| RecordPolicy { keep_min: 0, ..record.clone() })
}
