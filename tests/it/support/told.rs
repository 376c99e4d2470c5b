//! What one daemon has been told of its cluster, by which its batches are judged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nodedns::decide::engine::Target;
use nodedns::decide::node::{Cluster, Readiness};
use nodedns::decide::observed::Observed;
use nodedns::decide::policy::{Policy, RecordPolicy, Signal, SignalAction};
use nodedns::decide::record::{Action, Change, RecordType};
use nodedns::decide::time::Moment;

/// Everything that a daemon has been told of the nodes in this life.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// By the watch.
    watched: Vec<(Moment, Observed<Cluster>)>,
    /// By fresh readings.
    read: Vec<(Moment, Observed<Cluster>)>,
}

impl Told {
    /// The watch says this.
    pub(crate) fn watch(&mut self, now: Moment, cluster: Observed<Cluster>) {
        self.watched.push((now, cluster));
    }

    /// A fresh reading says this.
    pub(crate) fn read(&mut self, now: Moment, cluster: Observed<Cluster>) {
        self.read.push((now, cluster));
    }

    /// S1, S3 and S6 at the moment a batch leaves. Whether it removes anybody else's record sets.
    ///
    /// # Panics
    /// When it breaks one of them.
    pub(crate) fn judge(&self, policy: &Policy, target: &Target, changes: &[Change], now: Moment) -> bool {
        assert!(!changes.is_empty(), "an empty batch");
        let own = Some(policy.owner.set_identifier());
        assert!(changes.iter().all(|change| change.name == target.name), "S1: another name's record sets");
        let mut witnesses: BTreeMap<RecordType, BTreeSet<String>> = BTreeMap::new();
        let mut removed: BTreeMap<RecordType, BTreeSet<String>> = BTreeMap::new();
        let mut changes = changes.iter().peekable();
        let mut is_own_change = false;
        while let Some(change) = changes.next() {
            let identifier = change.set.set_identifier.clone().expect("no simple record set is touched").0;
            let recreated = change.action == Action::Delete
                && changes.peek().is_some_and(|next| {
                    next.action == Action::Create && (next.rtype, &next.set) == (change.rtype, &change.set)
                });
            if recreated {
                changes.next();
                witnesses.entry(change.rtype).or_default().insert(identifier);
            } else if change.set.set_identifier == own {
                is_own_change = true;
            } else {
                assert_eq!(change.action, Action::Delete, "S1: {change:?} is not ours to write");
                removed.entry(change.rtype).or_default().insert(identifier);
            }
        }
        let record = policy.records.iter().find(|record| record.name == target.name).expect("a configured name");
        for (rtype, removed) in &removed {
            assert!(!is_own_change, "S6: removals have batches of their own");
            for identifier in removed {
                self.check_dead(policy, record, identifier, now);
            }
            let witnesses = witnesses.get(rtype).cloned().unwrap_or_default();
            assert!(witnesses.len() >= record.keep_min as usize, "S3: too few witnesses: {witnesses:?}");
            let down = |identifier: &&String| sibling(identifier).is_some_and(|other| self.is_down(other));
            assert_eq!(witnesses.iter().find(down), None, "S3: a witness that is down");
        }
        !removed.is_empty()
    }

    fn known(&self) -> impl Iterator<Item = &Cluster> {
        self.watched.iter().filter_map(|(_, cluster)| cluster.known())
    }

    /// Whether the daemon was last told that the node is not Ready or gone.
    fn is_down(&self, node: &str) -> bool {
        let cluster = self.watched.last().and_then(|(_, cluster)| cluster.known());
        let was_seen = self.known().any(|cluster| cluster.contains_key(node));
        was_seen && cluster.is_some_and(|cluster| cluster.get(node) != Some(&Readiness::Ready))
    }

    /// S1: the exception for the dead.
    fn check_dead(&self, policy: &Policy, record: &RecordPolicy, identifier: &str, now: Moment) {
        let node = policy.owner.node();
        let why = || format!("S1: {node} removes {identifier} at {now:?}");
        let Some(dead) = sibling(identifier) else { panic!("{}: not a sibling's", why()) };
        let Some(survivors) = policy.survivors else { panic!("{}: not a survivor", why()) };
        let ignores = record.signals.get(&Signal::NotReady);
        let ignores = ignores.is_some_and(|signal| signal.action == SignalAction::Ignore);
        assert!(!ignores, "{}: the record does not care", why());
        assert!(self.known().any(|cluster| cluster.contains_key(dead)), "{}: never seen", why());

        // All that was in force at any time of the grace.
        let begin = Moment::new(now.since_origin() - survivors.grace);
        let first = self.watched.iter().rposition(|(at, _)| *at <= begin);
        let first = first.unwrap_or_else(|| panic!("{}: told for less than the grace", why()));
        for (at, cluster) in &self.watched[first..] {
            let Observed::Known(cluster) = cluster else { panic!("{}: unknown at {at:?}", why()) };
            assert_ne!(cluster.get(dead), Some(&Readiness::Ready), "{}: Ready at {at:?}", why());
        }
        let (_, Observed::Known(last)) = &self.watched[self.watched.len() - 1] else { unreachable!() };
        let fresh = self.read.last().filter(|(at, _)| now - *at <= Duration::from_secs(10));
        let Some((_, Observed::Known(fresh))) = fresh else { panic!("{}: no fresh reading", why()) };
        for cluster in [last, fresh] {
            assert_eq!(cluster.get(node), Some(&Readiness::Ready), "{}: is itself not Ready", why());
            assert_ne!(cluster.get(dead), Some(&Readiness::Ready), "{}: read as Ready", why());
            let down = cluster.values().filter(|readiness| **readiness != Readiness::Ready).count();
            assert!(down * 2 <= cluster.len(), "{}: {down} of {} are down", why(), cluster.len());
        }
    }
}

/// The node of an owner id of the cluster, by the text.
fn sibling(identifier: &str) -> Option<&str> {
    identifier.strip_prefix("nodedns/v1/home/")
}
