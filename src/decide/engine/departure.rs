//! The system stops, and the node's record sets go before it.

use crate::decide::engine::name::NameState;
use crate::decide::engine::{Engine, target_of};
use crate::decide::name::DnsName;
use crate::decide::policy::{RecordPolicy, Signal, SignalAction};
use crate::decide::record::ZoneRef;
use crate::decide::time::Moment;

impl Engine {
    /// From now on the node leaves, whatever else happens: nothing takes this back.
    pub(super) fn depart(&mut self, now: Moment) {
        if std::mem::replace(&mut self.conditions.stopping, true) {
            return;
        }
        for record in &self.policy.records {
            if let Some(name) = self.names.get_mut(&target_of(record)) {
                name.depart(leaves(record), now);
            }
        }
    }

    /// Whether the system stops, which has no end.
    pub fn is_stopping(&self) -> bool {
        self.conditions.stopping
    }

    /// Whether the system stops and this record's sets leave with it, which the configuration may forbid.
    pub fn is_leaving(&self, zone: &ZoneRef, name: &DnsName) -> bool {
        let record = self.policy.records.iter().find(|record| record.zone == *zone && record.name == *name);
        self.conditions.stopping && record.is_some_and(leaves)
    }

    /// Whether, after [`Event::Stopping`](super::Event::Stopping), waiting would change nothing any
    /// more: every record set of ours is withdrawn, or kept by `keep_min` or by the configuration,
    /// and no write is on its way. What has reached the authoritative servers does not matter here.
    pub fn has_departed(&self) -> bool {
        self.conditions.stopping && self.leaving.is_empty() && self.names.values().all(NameState::has_departed)
    }
}

fn leaves(record: &RecordPolicy) -> bool {
    let policy = record.signals.get(&Signal::Stopping).copied().unwrap_or_else(|| Signal::Stopping.default_policy());
    policy.action != SignalAction::Ignore
}
