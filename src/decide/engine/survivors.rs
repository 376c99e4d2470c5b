//! Dead siblings over time: when to make sure, when to look, when to remove.
//!
//! At its turn a survivor reads the nodes whole and fresh, then the name, and only what both readings
//! still show as dead goes, in a batch of its own. Whatever fails starts over from the beginning, with
//! a patience of its own, so that the node's own record sets never wait for it: what they have to write
//! goes first, and failures are not counted as theirs.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::engine::name::{NameState, Request};
use crate::decide::engine::{Effect, Engine, Notice, Target, target_of};
use crate::decide::node::{Cluster, Readiness};
use crate::decide::observed::Observed;
use crate::decide::owner::OwnerId;
use crate::decide::policy::{RecordPolicy, Signal, SignalAction};
use crate::decide::provider::{ChangeId, ErrorKind, ProviderError};
use crate::decide::random::{Random, backoff};
use crate::decide::reason::Reason;
use crate::decide::record::{Action, Change, Listing, RecordType};
use crate::decide::survivors::{
    CONFIRMED_FOR, DeadNode, Ledger, Outlook, STEP, SurvivorsReport, owned_by, rank, removal,
};
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
    survey: Survey,
    patience: Patience,
    /// The types of which has been told that something dead stays.
    kept: BTreeSet<RecordType>,
}

/// The reading of a name that a removal must begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Survey {
    /// To be made.
    #[default]
    Due,
    UnderWay,
    /// On its way from before the nodes were read: too old.
    Overtaken,
    Done,
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
    }

    fn confirm(&mut self, confirmed: Option<Confirmed>) {
        self.confirmed = confirmed;
        for inquiry in self.inquiries.values_mut() {
            inquiry.survey = match inquiry.survey {
                Survey::Due | Survey::Done => Survey::Due,
                Survey::UnderWay | Survey::Overtaken => Survey::Overtaken,
            };
        }
    }
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
        self.survivors.confirm(Some(Confirmed { at: now, down }));
    }

    /// A name has been read, or not.
    pub(super) fn surveyed(&mut self, target: &Target, is_listed: bool, now: Moment) {
        self.tell_outlook();
        let Some(inquiry) = self.survivors.inquiries.get_mut(target) else { return };
        match inquiry.survey {
            Survey::Due | Survey::Done => return,
            Survey::Overtaken => {
                inquiry.survey = Survey::Due;
                return;
            }
            Survey::UnderWay if !is_listed => {
                inquiry.survey = Survey::Due;
                return inquiry.patience.failed(&mut self.random, now);
            }
            Survey::UnderWay => inquiry.survey = Survey::Done,
        }
        self.examine(target, now);
    }

    /// Notes what has been looked for at a name that has just been read, and whether there is
    /// anything left to do.
    fn examine(&mut self, target: &Target, now: Moment) {
        let Some(record) = self.policy.records.iter().find(|record| target_of(record) == *target) else { return };
        let dead = self.dead(now);
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
            inquiry.survey = Survey::Due;
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
        inquiry.survey = Survey::Due;
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

    /// The next thing to do for dead siblings.
    pub(super) fn begin_survivors(&mut self, now: Moment) -> Option<Effect> {
        if self.survivors.confirmed.as_ref().is_some_and(|confirmed| confirmed.at + CONFIRMED_FOR <= now) {
            self.survivors.confirm(None);
        }
        let due = self.steps().filter(|(at, _, _)| *at <= now);
        // What is begun is finished first.
        let (_, step, record) = due.max_by_key(|(_, step, _)| *step)?;
        let target = target_of(record);
        match step {
            Step::ReadCluster => {
                self.survivors.reading = true;
                Some(Effect::ReadCluster)
            }
            Step::Survey => {
                self.survivors.inquiries.entry(target.clone()).or_default().survey = Survey::UnderWay;
                self.names.get_mut(&target)?.in_flight = Some(Request::List);
                Some(Effect::List(target))
            }
            Step::Remove => {
                let (batch, _) = self.batch(record, &self.dead(now));
                self.names.get_mut(&target)?.in_flight = Some(Request::Remove(batch.clone()));
                Some(Effect::Apply(target, batch))
            }
        }
    }

    pub(super) fn survivors_deadline(&self) -> Option<Moment> {
        self.steps().map(|(at, _, _)| at).min()
    }

    /// What is to be done next for each name, and when.
    fn steps(&self) -> impl Iterator<Item = (Moment, Step, &RecordPolicy)> {
        // A host that goes down removes nobody on its way.
        let at_work = self.policy.survivors.is_some()
            && !self.conditions.stopping
            && !self.survivors.ledger.down().is_empty()
            && self.outlook().allows_removal();
        let busy = if at_work { self.busy() } else { BTreeSet::new() };
        let records = self.policy.records.iter().filter(move |record| at_work && takes_part(record));
        records.filter_map(move |record| {
            let steps = self.steps_at(record).into_iter();
            let possible = steps.filter(|(_, step)| *step != Step::Remove || !busy.contains(&record.zone));
            possible.min_by_key(|(at, _)| *at).map(|(at, step)| (at, step, record))
        })
    }

    /// The same for one name, for each of the nodes that give reason to.
    fn steps_at(&self, record: &RecordPolicy) -> Vec<(Moment, Step)> {
        let target = target_of(record);
        let Some(name) = self.names.get(&target).filter(|name| name.in_flight.is_none()) else { return Vec::new() };
        let Observed::Known(listing) = &name.listing else { return Vec::new() };
        let fresh = Inquiry::default();
        let inquiry = self.survivors.inquiries.get(&target).unwrap_or(&fresh);
        let step = |(node, since): (&String, &Moment)| {
            let is_removable = self.is_removable(record, listing, node);
            if inquiry.examined.contains(node) && !is_removable {
                return None;
            }
            let at = self.turn(listing, node, *since)?.max(inquiry.patience.not_before);
            match &self.survivors.confirmed {
                Some(confirmed) if confirmed.down.contains(node) => match inquiry.survey {
                    Survey::Done => is_removable.then_some((at, Step::Remove)),
                    Survey::Due | Survey::UnderWay | Survey::Overtaken => Some((at, Step::Survey)),
                },
                _ if self.survivors.reading => None,
                // The reading has found it Ready, which the watch will say too, any moment.
                Some(confirmed) => Some((at.max(confirmed.at + CONFIRMED_FOR), Step::ReadCluster)),
                None => Some((at.max(self.survivors.reads.not_before), Step::ReadCluster)),
            }
        };
        self.survivors.ledger.down().iter().filter_map(step).collect()
    }

    /// When it is this daemon's turn to step in for a node that has been down since then.
    fn turn(&self, listing: &Listing, node: &str, since: Moment) -> Option<Moment> {
        let grace = self.policy.survivors?.grace;
        let owners: BTreeSet<String> =
            listing.pools.values().flat_map(|pool| owned_by(pool, &self.policy.owner)).collect();
        let candidates = owners.iter().map(String::as_str).filter(|owner| self.survivors.ledger.is_ready(owner));
        let rank = u32::try_from(rank(node, self.policy.owner.node(), candidates)).unwrap_or(u32::MAX);
        Some(since + grace + STEP.saturating_mul(rank))
    }

    /// Whether there is something of the node's that would be removed, were it dead.
    fn is_removable(&self, record: &RecordPolicy, listing: &Listing, node: &str) -> bool {
        let node = BTreeSet::from([node.to_owned()]);
        RecordType::ALL.iter().any(|rtype| {
            let batch = self.batch_of_type(record, listing, *rtype, &node);
            batch.is_ok_and(|batch| !batch.is_empty())
        })
    }

    /// The nodes that have been down for the grace, as the watch and the fresh reading have it.
    fn dead(&self, now: Moment) -> BTreeSet<String> {
        let Some((policy, confirmed)) = self.policy.survivors.zip(self.survivors.confirmed.as_ref()) else {
            return BTreeSet::new();
        };
        let is_dead =
            |(node, since): &(&String, &Moment)| **since + policy.grace <= now && confirmed.down.contains(*node);
        self.survivors.ledger.down().iter().filter(is_dead).map(|(node, _)| node.clone()).collect()
    }

    /// The batch that removes what the dead nodes own at a name, and the types where a guard forbids it.
    fn batch(&self, record: &RecordPolicy, dead: &BTreeSet<String>) -> (Vec<Change>, BTreeMap<RecordType, Reason>) {
        let (mut batch, mut kept) = (Vec::new(), BTreeMap::new());
        let listing = self.names.get(&target_of(record)).and_then(|name| name.listing.known());
        for rtype in RecordType::ALL {
            match listing.map(|listing| self.batch_of_type(record, listing, rtype, dead)) {
                Some(Ok(changes)) => batch.extend(changes),
                Some(Err(reason)) => drop(kept.insert(rtype, reason)),
                None => {}
            }
        }
        (batch, kept)
    }

    fn batch_of_type(
        &self,
        record: &RecordPolicy,
        listing: &Listing,
        rtype: RecordType,
        dead: &BTreeSet<String>,
    ) -> Result<Vec<Change>, Reason> {
        let Some(pool) = listing.pool(rtype) else { return Ok(Vec::new()) };
        removal(&record.name, rtype, pool, &self.policy.owner, record.keep_min, dead, &self.survivors.ledger)
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

    pub(super) fn report_survivors(&self) -> Option<SurvivorsReport> {
        self.policy.survivors?;
        let outlook = self.outlook();
        let owners = self.owners();
        let dead = self.survivors.ledger.down().iter().filter(|(node, _)| owners.contains(*node));
        let report = |(node, since): (&String, &Moment)| {
            let removable = |record: &&RecordPolicy| outlook.allows_removal() && takes_part(record);
            let turns = self.policy.records.iter().filter(removable).filter_map(|record| {
                let listing = self.names.get(&target_of(record))?.listing.known()?;
                self.is_removable(record, listing, node).then(|| self.turn(listing, node, *since))?
            });
            DeadNode {
                node: node.clone(),
                gone: self.survivors.ledger.is_gone(node),
                since: *since,
                removal_at: turns.min(),
            }
        };
        let cluster = self.survivors.ledger.cluster();
        let (not_ready, nodes) = match outlook {
            Outlook::Frozen { down, known } | Outlook::Watching { down, known } => (down, known),
            Outlook::Unknown | Outlook::NotFit => {
                let nodes = cluster.known().map_or(0, |cluster| cluster.len());
                let ready = cluster
                    .known()
                    .map_or(0, |cluster| cluster.values().filter(|readiness| **readiness == Readiness::Ready).count());
                (nodes - ready, nodes)
            }
        };
        Some(SurvivorsReport { outlook, nodes, not_ready, dead: dead.map(report).collect() })
    }
}

/// Whether dead siblings leave this record: not where a node stays though it is not Ready.
fn takes_part(record: &RecordPolicy) -> bool {
    let policy = record.signals.get(&Signal::NotReady).copied();
    policy.unwrap_or_else(|| Signal::NotReady.default_policy()).action != SignalAction::Ignore
}
