//! Dead siblings over time: when to make sure, when to look, when to remove.
//!
//! At its turn a survivor reads the nodes whole and fresh, then the name, and only what both readings
//! still show as dead goes, in a batch of its own. Each reading may be leaned on for
//! [`CONFIRMED_FOR`], counted from its own answer, so that with many names the nodes are read again
//! now and then, and no name is read twice because of another.
//!
//! One name at a time: of all names at most one is being read or rid of its dead, however slowly Route
//! 53 lets requests through, so what is due of the own record sets goes first and never waits for more
//! than one request. Whatever fails is tried again with a patience of its own, and not counted as theirs.

mod report;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::engine::name::{NameState, Request};
use crate::decide::engine::{Engine, Notice, Target, target_of};
use crate::decide::node::{Cluster, Readiness};
use crate::decide::observed::Observed;
use crate::decide::owner::OwnerId;
use crate::decide::policy::{RecordPolicy, Signal, SignalAction, SignalPolicy};
use crate::decide::provider::{ChangeId, ErrorKind, ProviderError};
use crate::decide::random::{Random, backoff};
use crate::decide::record::{Action, Change, RecordType};
use crate::decide::survivors::{CONFIRMED_FOR, Ledger, Outlook, owned_by};
use crate::decide::time::Moment;

/// What the engine remembers of its siblings.
#[derive(Debug, Clone)]
pub(super) struct Survivors {
    ledger: Ledger,
    /// As last told.
    outlook: Outlook,
    /// A fresh reading of the nodes is on its way.
    reading: bool,
    reads: Patience,
    confirmed: Option<Confirmed>,
    /// The name that is being read for this.
    surveying: Option<Target>,
    inquiries: BTreeMap<Target, Inquiry>,
}

impl Default for Survivors {
    fn default() -> Self {
        Survivors {
            ledger: Ledger::default(),
            outlook: Outlook::Unknown,
            reading: false,
            reads: Patience::default(),
            confirmed: None,
            surveying: None,
            inquiries: BTreeMap::new(),
        }
    }
}

/// What a fresh reading of the nodes has shown.
#[derive(Debug, Clone)]
struct Confirmed {
    at: Moment,
    /// The nodes that are not Ready or gone there too.
    down: BTreeSet<String>,
}

/// How far the removal of dead nodes has come at one name.
#[derive(Debug, Clone, Default)]
struct Inquiry {
    /// The dead nodes for which the name has been read since they died.
    examined: BTreeSet<String>,
    /// When the name was read, if a removal may lean on that.
    surveyed: Option<Moment>,
    patience: Patience,
    /// The types of which has been told that something dead stays.
    kept: BTreeSet<RecordType>,
}

/// Failures in a row.
#[derive(Debug, Clone, Copy, Default)]
struct Patience {
    failures: u32,
    not_before: Moment,
}

impl Patience {
    fn failed(&mut self, random: &mut Random, now: Moment) {
        self.failures += 1;
        self.not_before = now + backoff(random, self.failures);
    }
}

/// In the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    ReadCluster,
    Survey,
    Remove,
}

impl Survivors {
    /// Forgets what belongs to names that are no longer there.
    pub(super) fn keep(&mut self, names: &BTreeMap<Target, NameState>) {
        self.inquiries.retain(|target, _| names.contains_key(target));
        self.surveying = self.surveying.take().filter(|target| names.contains_key(target));
    }

    /// The machine was suspended until `now`: nothing was seen, and what was read before is too old.
    pub(super) fn restart(&mut self, now: Moment) {
        self.ledger.restart(now);
        self.confirmed = None;
        self.inquiries.values_mut().for_each(|inquiry| inquiry.surveyed = None);
    }

    /// Forgets the readings that are too old.
    fn expire(&mut self, now: Moment) {
        self.confirmed = self.confirmed.take().filter(|confirmed| is_fresh(confirmed.at, now));
        for inquiry in self.inquiries.values_mut() {
            inquiry.surveyed = inquiry.surveyed.filter(|at| is_fresh(*at, now));
        }
    }
}

fn is_fresh(at: Moment, now: Moment) -> bool {
    now < at + CONFIRMED_FOR
}

impl Engine {
    pub(super) fn cluster_changed(&mut self, cluster: Observed<Cluster>, now: Moment) {
        let survivors = &mut self.survivors;
        survivors.ledger.update(cluster, now);
        let down = survivors.ledger.down();
        for inquiry in survivors.inquiries.values_mut() {
            inquiry.examined.retain(|node| down.contains_key(node));
        }
        self.forget_the_gone();
        self.tell_outlook();
    }

    /// The answer to [`Effect::ReadCluster`]. It only ever confirms: what it says of nodes that are
    /// Ready again, the watch says too.
    pub(super) fn cluster_read(&mut self, cluster: &Observed<Cluster>, now: Moment) {
        self.survivors.reading = false;
        let fresh = cluster.known().filter(|cluster| self.outlook_of(cluster).allows_removal());
        let Some(fresh) = fresh else {
            return self.survivors.reads.failed(&mut self.random, now);
        };
        let is_down = |node: &&String| fresh.get(*node) != Some(&Readiness::Ready);
        let down = self.survivors.ledger.down().keys().filter(is_down).cloned().collect();
        self.survivors.reads = Patience::default();
        self.survivors.confirmed = Some(Confirmed { at: now, down });
        self.survivors.expire(now);
        let surveyed = self.survivors.inquiries.iter().filter(|(_, inquiry)| inquiry.surveyed.is_some());
        let surveyed: Vec<Target> = surveyed.map(|(target, _)| target.clone()).collect();
        surveyed.iter().for_each(|target| self.examine(target, now));
    }

    /// A name has been read, or not.
    pub(super) fn surveyed(&mut self, target: &Target, is_listed: bool, now: Moment) {
        self.tell_outlook();
        self.survivors.surveying = self.survivors.surveying.take().filter(|surveying| surveying != target);
        let Some(inquiry) = self.survivors.inquiries.get_mut(target).filter(|_| is_listed) else { return };
        inquiry.surveyed = Some(now);
        self.examine(target, now);
    }

    /// Once both the name and the nodes have been read: notes what has been looked for, and whether
    /// there is anything left to do.
    fn examine(&mut self, target: &Target, now: Moment) {
        let Some(record) = self.policy.records.iter().find(|record| target_of(record) == *target) else { return };
        if !self.survivors.confirmed.as_ref().is_some_and(|confirmed| is_fresh(confirmed.at, now)) {
            return;
        }
        let dead = self.dead(record, now);
        let (batch, kept) = self.batch(record, &dead);
        let Some(inquiry) = self.survivors.inquiries.get_mut(target) else { return };
        for (rtype, reason) in &kept {
            if inquiry.kept.insert(*rtype) {
                let notice = Notice::DeadKept { target: target.clone(), rtype: *rtype, reason: reason.clone() };
                self.notices.push(notice);
            }
        }
        inquiry.kept.retain(|rtype| kept.contains_key(rtype));
        inquiry.examined.extend(dead);
        if batch.is_empty() {
            // There is nothing, or somebody was faster.
            inquiry.surveyed = None;
            inquiry.patience = Patience::default();
        }
        self.forget_the_gone();
    }

    pub(super) fn is_removing(&self, target: &Target) -> bool {
        let in_flight = self.names.get(target).and_then(|name| name.in_flight.as_ref());
        matches!(in_flight, Some(Request::Remove(_)))
    }

    pub(super) fn removed(&mut self, target: &Target, result: Result<ChangeId, ProviderError>, now: Moment) {
        let Some(name) = self.names.get_mut(target) else { return };
        let Some(Request::Remove(changes)) = name.in_flight.take() else { return };
        let inquiry = self.survivors.inquiries.entry(target.clone()).or_default();
        inquiry.surveyed = None;
        match result {
            Ok(id) => {
                if let Observed::Known(listing) = &mut name.listing {
                    changes.iter().for_each(|change| listing.apply(change));
                }
                inquiry.patience = Patience::default();
                let created = |gone: &Change| {
                    let same = |change: &&Change| (change.rtype, &change.set) == (gone.rtype, &gone.set);
                    changes.iter().filter(same).any(|change| change.action == Action::Create)
                };
                for gone in changes.iter().filter(|change| change.action == Action::Delete && !created(change)) {
                    let Some(set_identifier) = gone.set.set_identifier.clone() else { continue };
                    let node = OwnerId::parse(&set_identifier).map(|owner| owner.node().to_owned());
                    let since = node.and_then(|node| self.survivors.ledger.down().get(&node).copied());
                    self.notices.push(Notice::Removed {
                        target: target.clone(),
                        rtype: gone.rtype,
                        set_identifier,
                        addresses: gone.set.addresses().into_iter().collect(),
                        down_for: now - since.unwrap_or(now),
                        id: id.clone(),
                    });
                }
                self.forget_the_gone();
                self.tell_outlook();
            }
            Err(error) => {
                // The first refusal mostly means that somebody else was faster: look again, at once.
                let first = inquiry.patience.failures == 0 && error.kind == ErrorKind::Refused;
                inquiry.patience.failed(&mut self.random, now);
                if first {
                    inquiry.patience.not_before = now;
                    return;
                }
                let retry_in = inquiry.patience.not_before - now;
                let operation = "removal of dead nodes";
                self.notices.push(Notice::Failed { target: target.clone(), operation, error, retry_in });
            }
        }
    }

    fn outlook(&self) -> Outlook {
        match self.survivors.ledger.cluster() {
            Observed::Unknown => Outlook::Unknown,
            Observed::Known(cluster) => self.outlook_of(cluster),
        }
    }

    fn outlook_of(&self, cluster: &Cluster) -> Outlook {
        let is_gone = |node: &&String| self.survivors.ledger.has_seen(node) && !cluster.contains_key(*node);
        Outlook::of(cluster, self.policy.owner.node(), self.owners().iter().filter(is_gone).count())
    }

    /// The siblings that own a record set in any of our pools.
    fn owners(&self) -> BTreeSet<String> {
        let listings = self.names.values().filter_map(|name| name.listing.known());
        listings
            .flat_map(|listing| listing.pools.values())
            .flat_map(|pool| owned_by(pool, &self.policy.owner))
            .collect()
    }

    fn tell_outlook(&mut self) {
        if self.policy.survivors.is_none() {
            return;
        }
        let outlook = self.outlook();
        if !outlook.is_like(self.survivors.outlook) {
            self.notices.push(Notice::Survivors(outlook));
        }
        self.survivors.outlook = outlook;
    }

    /// A node that is gone and has left nothing behind is no longer any of our business.
    fn forget_the_gone(&mut self) {
        let gone = |node: &&String| self.survivors.ledger.is_gone(node);
        let gone: Vec<String> = self.survivors.ledger.down().keys().filter(gone).cloned().collect();
        if gone.is_empty() {
            return;
        }
        let owners = self.owners();
        let targets: Vec<Target> =
            self.policy.records.iter().filter(|record| takes_part(record)).map(target_of).collect();
        for node in gone {
            let examined = |target| self.survivors.inquiries.get(target).is_some_and(|i| i.examined.contains(&node));
            if !owners.contains(&node) && targets.iter().all(examined) {
                self.survivors.ledger.forget(&node);
                for inquiry in self.survivors.inquiries.values_mut() {
                    inquiry.examined.remove(&node);
                }
            }
        }
    }
}

/// Whether dead siblings leave this record: not where a node stays though it is not Ready.
fn takes_part(record: &RecordPolicy) -> bool {
    not_ready(record).action != SignalAction::Ignore
}

fn not_ready(record: &RecordPolicy) -> SignalPolicy {
    record.signals.get(&Signal::NotReady).copied().unwrap_or_else(|| Signal::NotReady.default_policy())
}
