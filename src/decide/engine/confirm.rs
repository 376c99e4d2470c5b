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
        for pending in self.0.iter_mut().filter(|pending| pending.target == target) {
            pending.types.retain(|rtype| !types.contains(rtype));
        }
        self.0.retain(|pending| !pending.types.is_empty());
        self.0.push(Pending { id, target, types, accepted: now, due: now + WAITS[0], asked: 0, in_flight: false });
    }

    /// The change to ask for now.
    pub(super) fn begin(&mut self, now: Moment) -> Option<ChangeId> {
        let pending = self.0.iter_mut().find(|pending| !pending.in_flight && pending.due <= now)?;
        pending.in_flight = true;
        Some(pending.id.clone())
    }

    /// The answer is "not yet", or there was none. Whose change it is, and how long until the next
    /// question; `None` when it was the last one.
    pub(super) fn not_yet(&mut self, id: &ChangeId, now: Moment) -> Option<(Target, Duration)> {
        let at = self.0.iter().position(|pending| pending.id == *id)?;
        let pending = &mut self.0[at];
        pending.in_flight = false;
        pending.asked += 1;
        let Some(wait) = WAITS.get(pending.asked).copied() else {
            self.0.swap_remove(at);
            return None;
        };
        pending.due = now + wait;
        Some((pending.target.clone(), wait))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::name::DnsName;
    use crate::decide::record::ZoneRef;

    fn target() -> Target {
        Target { zone: ZoneRef::Id("Z1".into()), name: DnsName::parse("edge.example.com").expect("valid") }
    }

    fn id(text: &str) -> ChangeId {
        ChangeId(text.into())
    }

    fn at(seconds: u64) -> Moment {
        Moment::new(Duration::from_secs(seconds))
    }

    #[test]
    fn questions_come_further_and_further_apart_and_end() {
        let mut confirmations = Confirmations::default();
        confirmations.accepted(id("C1"), target(), BTreeSet::from([RecordType::A]), at(0));
        let mut asked = Vec::new();
        while let Some(due) = confirmations.deadline() {
            assert_eq!(confirmations.begin(due), Some(id("C1")));
            assert_eq!(confirmations.begin(due), None, "one question at a time");
            asked.push(due.since_origin().as_secs());
            confirmations.not_yet(&id("C1"), due);
        }
        assert_eq!(asked, [10, 30, 60, 120, 240, 480]);
    }

    #[test]
    fn a_later_change_of_the_same_type_is_the_one_that_matters() {
        let mut confirmations = Confirmations::default();
        confirmations.accepted(id("C1"), target(), BTreeSet::from(RecordType::ALL), at(0));
        confirmations.accepted(id("C2"), target(), BTreeSet::from([RecordType::A]), at(1));
        confirmations.accepted(id("C3"), target(), BTreeSet::from([RecordType::Aaaa]), at(2));
        assert_eq!(confirmations.in_sync(&id("C1"), at(3)), None);
        assert_eq!(confirmations.in_sync(&id("C2"), at(4)), Some((target(), Duration::from_secs(3))));
    }
}
