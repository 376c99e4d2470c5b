//! When to ask whether an accepted change has reached every authoritative server.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::decide::engine::Target;
use crate::decide::provider::ChangeId;
use crate::decide::record::RecordType;
use crate::decide::time::Moment;

/// Changes usually arrive within a minute, and nothing waits for the answer: few questions, further
/// and further apart, then none.
const WAITS: [Duration; 6] = [
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(120),
    Duration::from_secs(240),
];

/// The accepted changes that are not known to have arrived, at most one per (target, type).
#[derive(Debug, Clone, Default)]
pub(super) struct Confirmations(Vec<Pending>);

#[derive(Debug, Clone)]
struct Pending {
    id: ChangeId,
    target: Target,
    types: BTreeSet<RecordType>,
    accepted: Moment,
    due: Moment,
    asked: usize,
    in_flight: bool,
}

impl Confirmations {
    /// A change was accepted. An earlier one of the same types no longer matters.
    pub(super) fn accepted(&mut self, id: ChangeId, target: Target, types: BTreeSet<RecordType>, now: Moment) {
        self.0.retain(|pending| pending.target != target || !pending.types.is_subset(&types));
        self.0.push(Pending { id, target, types, accepted: now, due: now + WAITS[0], asked: 0, in_flight: false });
    }

    /// The change to ask for now.
    pub(super) fn begin(&mut self, now: Moment) -> Option<ChangeId> {
        let pending = self.0.iter_mut().find(|pending| !pending.in_flight && pending.due <= now)?;
        pending.in_flight = true;
        Some(pending.id.clone())
    }

    /// The answer is "not yet", or there was none.
    pub(super) fn not_yet(&mut self, id: &ChangeId, now: Moment) {
        for pending in self.0.iter_mut().filter(|pending| pending.id == *id) {
            pending.in_flight = false;
            pending.asked += 1;
            pending.due = now + WAITS.get(pending.asked).copied().unwrap_or_default();
        }
        self.0.retain(|pending| pending.asked < WAITS.len());
    }

    /// The change has arrived: whose it was, and how long it took.
    pub(super) fn in_sync(&mut self, id: &ChangeId, now: Moment) -> Option<(Target, Duration)> {
        let at = self.0.iter().position(|pending| pending.id == *id)?;
        let pending = self.0.swap_remove(at);
        Some((pending.target, now - pending.accepted))
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.0.iter().filter(|pending| !pending.in_flight).map(|pending| pending.due).min()
    }
}
