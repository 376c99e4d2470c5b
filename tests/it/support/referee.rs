//! Holds every request that reached Route 53 to the rules, whoever made it and however it ended.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nodedns::decide::survivors::CONFIRMED_FOR;
use route53_sim::{Action, Operation, RecordSet, Request, Sim};

use crate::support::world::OWN;

type Key = (String, String, Option<String>);

/// What a listing and a batch may take beyond that, on a machine that is busy or asked to wait.
const LATE: Duration = Duration::from_secs(20);

/// What a zone holds by the log of requests alone: every batch that was carried out, one after the
/// other, each of them judged.
#[derive(Debug, Clone)]
pub(crate) struct Referee {
    sets: BTreeMap<Key, RecordSet>,
    keep_min: usize,
    judged: u64,
    batches: usize,
    /// Whose record sets may go too.
    dead: Option<&'static str>,
    removed: Vec<RecordSet>,
    /// When whose listing of which name, by access key, was asked for that has come back since the last batch in which
    /// they were to remove anything there: who is a little later looks for himself, and is refused.
    listed: BTreeMap<(Option<String>, String), Instant>,
    /// Who signs with which access key; empty when all requests are the one node's.
    writers: BTreeMap<String, String>,
}

impl Referee {
    /// For a zone that holds `sets`, after the requests so far.
    pub(crate) fn new(sets: Vec<RecordSet>, sim: &Sim, keep_min: usize) -> Self {
        let judged = sim.requests().last().map_or(0, |request| request.sequence);
        Referee {
            sets: sets.into_iter().map(|set| (key(&set), set)).collect(),
            keep_min,
            judged,
            batches: 0,
            dead: None,
            removed: Vec::new(),
            listed: BTreeMap::new(),
            writers: BTreeMap::new(),
        }
    }

    /// The same for several nodes: the owner id of each, by the access key that it signs with.
    #[allow(dead_code, reason = "several nodes write only where there is a whole cluster")]
    pub(crate) fn with_writers(self, writers: BTreeMap<String, String>) -> Self {
        Referee { writers, ..self }
    }

    /// The same where the record sets of `dead` may go too.
    pub(crate) fn with_dead(self, dead: &'static str) -> Self {
        Referee { dead: Some(dead), ..self }
    }

    /// From now on the record sets of this one may go, or of nobody.
    #[allow(dead_code, reason = "likewise")]
    pub(crate) fn set_dead(&mut self, dead: Option<&'static str>) {
        self.dead = dead;
    }

    /// The owner id of whoever made the request.
    fn owner(&self, what: &str, request: &Request) -> String {
        if self.writers.is_empty() {
            return OWN.to_owned();
        }
        let key = request.access_key.as_deref().unwrap_or_default();
        self.writers.get(key).unwrap_or_else(|| panic!("{what}: nobody has the key {key:?}: {request:#?}")).clone()
    }

    /// How many batches were carried out.
    pub(crate) fn batches(&self) -> usize {
        self.batches
    }

    /// What went of the dead.
    pub(crate) fn removed(&self) -> &[RecordSet] {
        &self.removed
    }

    /// Somebody else deletes a record set, past the log.
    pub(crate) fn others_delete(&mut self, set: &RecordSet) {
        self.sets.remove(&key(set));
    }

    /// Judges every request since the last call.
    ///
    /// # Panics
    /// When one breaks S1, S3 or S6.
    pub(crate) fn judge(&mut self, what: &str, requests: &[Request]) {
        let judged = self.judged;
        for request in requests.iter().filter(|request| request.sequence > judged) {
            if request.operation == Operation::ListResourceRecordSets
                && let Some((_, rest)) = request.line.split_once("name=")
            {
                let name = rest.split(['&', ' ']).next().unwrap_or_default();
                let reading = (request.access_key.clone(), name.to_owned());
                match request.status {
                    Some(200) => self.listed.insert(reading, request.at),
                    _ => self.listed.remove(&reading),
                };
            }
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
    /// again, byte for byte. Or it removes what is the dead one's. Also where the batch was refused.
    fn names_own_or_witnesses(&mut self, what: &str, request: &Request) {
        let (mut own, mut witnesses, mut dead) = (Vec::new(), Vec::new(), Vec::new());
        if request.changes.is_empty() {
            return;
        }
        let owner = self.owner(what, request);
        // `nodedns check` tries its rights with a batch that Route 53 must refuse whole.
        let trial = format!("{owner}/check:");
        let is_trial = |set: &RecordSet| set.set_identifier.as_ref().is_some_and(|id| id.starts_with(&trial));
        if request.changes.iter().all(|(_, set)| is_trial(set)) {
            assert!(request.change_id.is_none(), "{what}: S1: a trial was carried out: {request:#?}");
            return;
        }
        let mut changes = request.changes.iter().peekable();
        while let Some(change) = changes.next() {
            let (action, set) = change;
            let recreated = changes.peek().is_some_and(|(next, created)| *next == Action::Create && created == set);
            if *action == Action::Delete && recreated {
                changes.next();
                witnesses.push(set);
            } else if set.set_identifier.as_deref() == Some(owner.as_str()) {
                own.push(change);
            } else {
                let is_dead = self.dead.is_some() && set.set_identifier.as_deref() == self.dead;
                assert!(is_dead && *action == Action::Delete, "{what}: S1: {change:?} is not ours to make");
                dead.push(set);
            }
        }
        if !dead.is_empty() {
            self.leans_on_the_living(what, &dead, &witnesses);
            let reading = (request.access_key.clone(), dead[0].name.clone());
            let looked = self.listed.remove(&reading).map(|at| request.at - at);
            assert!(
                looked.is_some_and(|ago| ago <= CONFIRMED_FOR + LATE),
                "{what}: {dead:?} are removed without another look: {looked:?}"
            );
            assert!(own.is_empty(), "{what}: S6: {own:?} in one batch with what is the dead one's");
        }
    }

    /// S3: what removes a dead one's record sets names `keep_min` that stay, in each of the pools.
    fn leans_on_the_living(&mut self, what: &str, dead: &[&RecordSet], witnesses: &[&RecordSet]) {
        for set in dead {
            let in_its_pool = |other: &&&RecordSet| (&other.name, &other.rtype) == (&set.name, &set.rtype);
            let living = witnesses.iter().filter(in_its_pool).filter(|set| set.set_identifier.as_deref() != self.dead);
            let living = living.count();
            assert!(living >= self.keep_min, "{what}: S3: {living} witnesses for {set:?}");
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
        let is_dead = |set: &RecordSet| self.dead.is_some() && set.set_identifier.as_deref() == self.dead;
        let dead = request.changes.iter().map(|(_, set)| set).filter(|set| is_dead(set));
        self.removed.extend(dead.cloned());
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
