//! What is to be done next for dead siblings, and when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::decide::engine::name::Request;
use crate::decide::engine::survivors::{Inquiry, Step, is_fresh, not_ready, takes_part};
use crate::decide::engine::{Effect, Engine, target_of};
use crate::decide::observed::Observed;
use crate::decide::policy::RecordPolicy;
use crate::decide::reason::Reason;
use crate::decide::record::{Change, Listing, RecordType};
use crate::decide::survivors::{CONFIRMED_FOR, STEP, Terms, owned_by, rank, removal};
use crate::decide::time::Moment;

impl Engine {
    /// The next thing to do for dead siblings.
    pub(in crate::decide::engine) fn begin_survivors(&mut self, now: Moment) -> Option<Effect> {
        self.survivors.expire(now);
        let due = self.steps().filter(|(at, _, _)| *at <= now);
        // What is begun is finished first; then whoever has waited longest, so that what fails keeps nobody.
        let (_, step, record) = due.max_by_key(|(at, step, _)| (*step, Reverse(*at)))?;
        let target = target_of(record);
        match step {
            Step::ReadCluster => {
                self.survivors.reading = true;
                Some(Effect::ReadCluster)
            }
            Step::Survey => {
                self.survivors.inquiries.entry(target.clone()).or_default();
                self.survivors.surveying = Some(target.clone());
                self.names.get_mut(&target)?.in_flight = Some(Request::List);
                Some(Effect::List(target))
            }
            Step::Remove => {
                let (batch, _) = self.batch(record, &self.dead(record, now));
                self.names.get_mut(&target)?.in_flight = Some(Request::Remove(batch.clone()));
                Some(Effect::Remove(target, batch))
            }
        }
    }

    pub(in crate::decide::engine) fn survivors_deadline(&self) -> Option<Moment> {
        self.steps().map(|(at, _, _)| at).min()
    }

    /// What is to be done next for each name, and when.
    fn steps(&self) -> impl Iterator<Item = (Moment, Step, &RecordPolicy)> {
        // A host that goes down removes nobody on its way.
        let at_work = self.policy.survivors.is_some()
            && !self.conditions.stopping
            && !self.survivors.ledger.down().is_empty()
            && self.survivors.surveying.is_none()
            && !self.is_removing_anywhere()
            && self.outlook().allows_removal();
        let busy = if at_work { self.busy() } else { BTreeSet::new() };
        let records = self.policy.records.iter().filter(move |record| at_work && takes_part(record));
        records.filter_map(move |record| {
            let steps = self.steps_at(record).into_iter();
            let possible = steps.filter(|(_, step)| *step == Step::ReadCluster || !busy.contains(&record.zone));
            possible.min_by_key(|(at, _)| *at).map(|(at, step)| (at, step, record))
        })
    }

    /// The same for one name, for each of the nodes that give reason to.
    fn steps_at(&self, record: &RecordPolicy) -> Vec<(Moment, Step)> {
        let target = target_of(record);
        let Some(name) = self.names.get(&target).filter(|name| name.is_free()) else { return Vec::new() };
        let Observed::Known(listing) = &name.listing else { return Vec::new() };
        let fresh = Inquiry::default();
        let inquiry = self.survivors.inquiries.get(&target).unwrap_or(&fresh);
        let step = |(node, since): (&String, &Moment)| {
            let is_removable = self.is_removable(record, listing, node);
            if inquiry.examined.contains(node) && !is_removable {
                return None;
            }
            // A name that cannot be read is tried again for its own sake; that is enough.
            let patience = inquiry.patience.not_before.max(name.readable_at());
            let at = self.turn(record, listing, node, *since)?.max(patience);
            match &self.survivors.confirmed {
                Some(confirmed) if confirmed.down.contains(node) => match inquiry.surveyed {
                    Some(_) if is_removable => Some((at, Step::Remove)),
                    Some(surveyed) => Some((at.max(surveyed + CONFIRMED_FOR), Step::Survey)),
                    None => Some((at, Step::Survey)),
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
    pub(super) fn turn(&self, record: &RecordPolicy, listing: &Listing, node: &str, since: Moment) -> Option<Moment> {
        let grace = self.policy.survivors?.grace.max(patience(record));
        let owners: BTreeSet<String> =
            listing.pools.values().flat_map(|pool| owned_by(pool, &self.policy.owner)).collect();
        let candidates = owners.iter().map(String::as_str).filter(|owner| self.survivors.ledger.is_ready(owner));
        let rank = u32::try_from(rank(node, self.policy.owner.node(), candidates)).unwrap_or(u32::MAX);
        Some(since + grace + STEP.saturating_mul(rank))
    }

    /// Whether there is something of the node's that would be removed, were it dead.
    pub(super) fn is_removable(&self, record: &RecordPolicy, listing: &Listing, node: &str) -> bool {
        let node = BTreeSet::from([node.to_owned()]);
        RecordType::ALL.iter().any(|rtype| {
            let batch = self.batch_of_type(record, listing, *rtype, &node);
            batch.is_ok_and(|batch| !batch.is_empty())
        })
    }

    /// Whether a removal is on its way, be it for a name that is no longer configured.
    fn is_removing_anywhere(&self) -> bool {
        let in_flight = self.names.values().filter_map(|name| name.in_flight.as_ref());
        in_flight.chain(self.leaving.values()).any(|request| matches!(request, Request::Remove(_)))
    }

    /// The nodes that have been down for long enough to leave this record, as the watch and the fresh
    /// reading have it.
    pub(super) fn dead(&self, record: &RecordPolicy, now: Moment) -> BTreeSet<String> {
        let confirmed = self.survivors.confirmed.as_ref().filter(|confirmed| is_fresh(confirmed.at, now));
        let Some((policy, confirmed)) = self.policy.survivors.zip(confirmed) else {
            return BTreeSet::new();
        };
        let grace = policy.grace.max(patience(record));
        let is_dead = |(node, since): &(&String, &Moment)| **since + grace <= now && confirmed.down.contains(*node);
        self.survivors.ledger.down().iter().filter(is_dead).map(|(node, _)| node.clone()).collect()
    }

    /// The batch that removes what the dead nodes own at a name, and the types where a guard forbids it.
    pub(super) fn batch(
        &self,
        record: &RecordPolicy,
        dead: &BTreeSet<String>,
    ) -> (Vec<Change>, BTreeMap<RecordType, Reason>) {
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
        let inquiry = self.survivors.inquiries.get(&target_of(record));
        let terms = Terms {
            owner: &self.policy.owner,
            keep_min: record.keep_min,
            failures: inquiry.map_or(0, |inquiry| inquiry.patience.failures),
            ledger: &self.survivors.ledger,
        };
        removal(&record.name, rtype, pool, dead, terms)
    }
}

/// How long a node stays in this record though it is not Ready, by the record's own policy.
fn patience(record: &RecordPolicy) -> Duration {
    not_ready(record).after
}
