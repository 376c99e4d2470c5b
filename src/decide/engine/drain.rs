//! The operator's drain: when it ends, and what it looks at anew.

use crate::decide::drain::Drain;
use crate::decide::engine::name::NameState;
use crate::decide::engine::{Engine, Notice};
use crate::decide::observed::Observed;
use crate::decide::reason::Intent;
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
