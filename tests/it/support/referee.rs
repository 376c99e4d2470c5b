//! Holds every request that reached Route 53 to the rules, whoever made it and however it ended.

use std::collections::BTreeMap;

use route53_sim::{Action, RecordSet, Request, Sim};

use crate::support::world::OWN;

type Key = (String, String, Option<String>);

/// What a zone holds by the log of requests alone: every batch that was carried out, one after the
/// other, each of them judged.
#[derive(Debug, Clone)]
pub(crate) struct Referee {
    sets: BTreeMap<Key, RecordSet>,
    keep_min: usize,
    judged: u64,
    batches: usize,
}

impl Referee {
    /// For a zone that holds `sets`, after the requests so far.
    pub(crate) fn new(sets: Vec<RecordSet>, sim: &Sim, keep_min: usize) -> Self {
        let judged = sim.requests().last().map_or(0, |request| request.sequence);
        Referee { sets: sets.into_iter().map(|set| (key(&set), set)).collect(), keep_min, judged, batches: 0 }
    }

    /// How many batches were carried out.
    pub(crate) fn batches(&self) -> usize {
        self.batches
    }

    /// Somebody else deletes a record set, past the log.
    pub(crate) fn others_delete(&mut self, set: &RecordSet) {
        self.sets.remove(&key(set));
    }

    /// Judges every request since the last call.
    ///
    /// # Panics
    /// When one breaks S1 or S3.
    pub(crate) fn judge(&mut self, what: &str, requests: &[Request]) {
        let judged = self.judged;
        for request in requests.iter().filter(|request| request.sequence > judged) {
            self.names_own_or_witnesses(what, request);
            if request.change_id.is_some() {
                self.carry_out(what, request);
            }
        }
        self.judged = requests.last().map_or(self.judged, |request| request.sequence.max(self.judged));
    }

    /// The zone is what the log says: nothing has changed it in another way.
    pub(crate) fn agrees(&self, what: &str, zone: Vec<RecordSet>) {
        let zone: BTreeMap<Key, RecordSet> = zone.into_iter().map(|set| (key(&set), set)).collect();
        assert_eq!(self.sets, zone, "{what}: the zone is not what the log of requests says");
    }

    /// S1: a batch names our own record sets, and others only as witnesses: deleted and created
    /// again, byte for byte. Also where the batch was refused.
    fn names_own_or_witnesses(&self, what: &str, request: &Request) {
        let others: Vec<_> = request.changes.iter().filter(|(_, set)| !is_own(set)).collect();
        for pair in others.chunks(2) {
            let witness = matches!(pair, [(Action::Delete, deleted), (Action::Create, created)] if deleted == created);
            assert!(witness, "{what}: S1: {pair:?} is not ours to change");
        }
    }

    fn carry_out(&mut self, what: &str, request: &Request) {
        self.batches += 1;
        let pools: Vec<(String, String)> =
            request.changes.iter().map(|(_, set)| (set.name.clone(), set.rtype.clone())).collect();
        let size = |sets: &BTreeMap<Key, RecordSet>, (name, rtype): &(String, String)| {
            sets.keys().filter(|key| key.0 == *name && key.1 == *rtype).count()
        };
        let before: Vec<usize> = pools.iter().map(|pool| size(&self.sets, pool)).collect();
        for (action, set) in &request.changes {
            match action {
                Action::Delete => drop(self.sets.remove(&key(set))),
                Action::Create | Action::Upsert => drop(self.sets.insert(key(set), set.clone())),
            }
        }
        for (pool, before) in pools.iter().zip(before) {
            let after = size(&self.sets, pool);
            assert!(
                after >= before || after >= self.keep_min,
                "{what}: S3: {pool:?} went from {before} to {after} by {:?}",
                request.changes
            );
        }
    }
}

pub(crate) fn is_own(set: &RecordSet) -> bool {
    set.set_identifier.as_deref() == Some(OWN)
}

fn key(set: &RecordSet) -> Key {
    (set.name.clone(), set.rtype.clone(), set.set_identifier.clone())
}
