//! What has been observed of the cluster's nodes, and since when.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::node::{Cluster, Readiness};
use crate::decide::observed::Observed;
use crate::decide::time::Moment;

/// What this daemon has observed of the cluster's nodes.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    cluster: Observed<Cluster>,
    /// Every node that has been in a list.
    seen: BTreeSet<String>,
    /// Those that are not Ready or gone, each with the moment since when that has been seen without a break.
    down: BTreeMap<String, Moment>,
}

impl Ledger {
    /// Takes in what the cluster is `now`.
    pub fn update(&mut self, cluster: Observed<Cluster>, now: Moment) {
        match &cluster {
            // A time in which nothing was known proves nothing, so every wait starts over.
            Observed::Unknown => self.down.clear(),
            Observed::Known(nodes) => {
                self.seen.extend(nodes.keys().cloned());
                for node in &self.seen {
                    if nodes.get(node) == Some(&Readiness::Ready) {
                        self.down.remove(node);
                    } else {
                        self.down.entry(node.clone()).or_insert(now);
                    }
                }
            }
        }
        self.cluster = cluster;
    }

    /// Nothing was seen for a while up to `now`, so every wait starts over.
    pub fn restart(&mut self, now: Moment) {
        self.down.values_mut().for_each(|since| *since = now);
    }

    /// The nodes as last told.
    pub fn cluster(&self) -> Observed<&Cluster> {
        match &self.cluster {
            Observed::Unknown => Observed::Unknown,
            Observed::Known(cluster) => Observed::Known(cluster),
        }
    }

    /// The nodes that are not Ready or gone, each with the moment since when.
    pub fn down(&self) -> &BTreeMap<String, Moment> {
        &self.down
    }

    /// Whether the node is Ready.
    pub fn is_ready(&self, node: &str) -> bool {
        self.cluster.known().and_then(|cluster| cluster.get(node)) == Some(&Readiness::Ready)
    }

    /// Whether the node has been in a list and is not in the last one.
    pub fn is_gone(&self, node: &str) -> bool {
        self.seen.contains(node) && self.cluster.known().is_some_and(|cluster| !cluster.contains_key(node))
    }

    /// Whether the node has ever been in a list.
    pub fn has_seen(&self, node: &str) -> bool {
        self.seen.contains(node)
    }

    /// Forgets a node that is gone. Should its name be seen again, it is a new one.
    pub fn forget(&mut self, node: &str) {
        if self.is_gone(node) {
            self.seen.remove(node);
            self.down.remove(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Moment {
        Moment::new(Duration::from_secs(seconds))
    }

    fn cluster(nodes: &[(&str, bool)]) -> Observed<Cluster> {
        let readiness = |ready| if ready { Readiness::Ready } else { Readiness::NotReady(None) };
        Observed::Known(nodes.iter().map(|(name, ready)| ((*name).to_owned(), readiness(*ready))).collect())
    }

    fn since(ledger: &Ledger) -> Vec<(&str, Moment)> {
        ledger.down().iter().map(|(node, since)| (node.as_str(), *since)).collect()
    }

    #[test]
    fn a_wait_goes_on_from_not_ready_to_gone_and_ends_with_ready() {
        let mut ledger = Ledger::default();
        ledger.update(cluster(&[("a", true), ("b", true)]), at(0));
        assert_eq!(since(&ledger), []);
        ledger.update(cluster(&[("a", true), ("b", false)]), at(10));
        assert!(!ledger.is_gone("b") && !ledger.is_ready("b"));
        ledger.update(cluster(&[("a", true)]), at(20));
        assert_eq!(since(&ledger), [("b", at(10))]);
        assert!(ledger.is_gone("b"));
        ledger.update(cluster(&[("a", true), ("b", true)]), at(30));
        assert_eq!(since(&ledger), []);
        ledger.update(cluster(&[("a", true), ("b", false)]), at(40));
        assert_eq!(since(&ledger), [("b", at(40))]);
    }

    #[test]
    fn not_knowing_restarts_every_wait_and_remembers_who_was_there() {
        let mut ledger = Ledger::default();
        ledger.update(cluster(&[("a", true), ("b", false), ("c", true)]), at(0));
        ledger.update(Observed::Unknown, at(10));
        assert_eq!(since(&ledger), []);
        assert!(!ledger.is_ready("a") && !ledger.is_gone("b"));
        ledger.update(cluster(&[("a", true), ("b", false)]), at(20));
        assert_eq!(since(&ledger), [("b", at(20)), ("c", at(20))]);
        assert!(ledger.is_gone("c"));
    }

    #[test]
    fn a_restart_begins_every_wait_anew() {
        let mut ledger = Ledger::default();
        ledger.update(cluster(&[("a", true), ("b", false)]), at(0));
        ledger.restart(at(50));
        assert_eq!(since(&ledger), [("b", at(50))]);
        ledger.update(cluster(&[("a", true), ("b", false)]), at(60));
        assert_eq!(since(&ledger), [("b", at(50))]);
    }

    #[test]
    fn who_was_never_in_a_list_is_not_gone() {
        let mut ledger = Ledger::default();
        ledger.update(cluster(&[("a", true)]), at(0));
        assert!(!ledger.is_gone("host"));
        ledger.update(cluster(&[("a", true)]), at(10_000));
        assert_eq!(since(&ledger), []);
    }

    #[test]
    fn only_who_is_gone_can_be_forgotten() {
        let mut ledger = Ledger::default();
        ledger.update(cluster(&[("a", true), ("b", false), ("c", false)]), at(0));
        ledger.update(cluster(&[("a", true), ("b", false)]), at(1));
        for node in ["a", "b", "c"] {
            ledger.forget(node);
        }
        assert_eq!(since(&ledger), [("b", at(0))]);
        assert!(ledger.is_ready("a") && !ledger.is_gone("c"));
    }
}
