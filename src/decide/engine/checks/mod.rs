//! The managed health checks of this node, over time.
//!
//! A record set gets its health check before it is written and loses it before the health check is
//! deleted, so at no moment does DNS depend on one that is not there. Publishing never waits for one
//! that cannot be had: the record set goes without, and is given it later.
//!
//! Nothing here is remembered over a restart. What a killed process has left behind is found by its
//! reference and taken up again, or deleted after the grace. Where none is to be managed, health checks
//! are looked for only while one of our record sets still has one that it is not to have.

mod answers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::decide::engine::name::{Attempts, NameState};
use crate::decide::engine::{Target, target_of};
use crate::decide::health_check::{Attach, CheckRequest, CheckSpec, HealthCheck, NewCheck, Place, Reference, tags};
use crate::decide::observed::Observed;
use crate::decide::owner::OwnerId;
use crate::decide::plan::{self, TypePlan, World, own_set};
use crate::decide::policy::{Policy, RecordPolicy};
use crate::decide::random::Random;
use crate::decide::record::{Action, Change, RecordSet, RecordType};
use crate::decide::report::{CheckReport, CheckState};
use crate::decide::routing::{FailoverRole, Routing};
use crate::decide::time::Moment;

/// How long a record set waits for its health check while no request for it has failed.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long no record set must have referred to a health check before it is deleted. Changes
/// arrive at all name servers within a minute, and until then some still ask the old one.
const GRACE: Duration = Duration::from_secs(60);

/// The managed health checks of this node.
#[derive(Debug, Clone, Default)]
pub(super) struct Checks {
    /// Whether there is anything to manage.
    active: bool,
    trace: Trace,
    /// This node's, by id.
    found: Observed<BTreeMap<String, Found>>,
    /// The ids of all others of the account, as last read.
    others: BTreeSet<String>,
    /// Those that a batch was refused for, by id.
    refused: BTreeMap<String, Refusals>,
    /// What is remembered may be wrong: nothing is created or deleted before it has been read again.
    unread: bool,
    /// A listing that is on its way is not the last word.
    overtaken: bool,
    /// When it is read again though nothing has happened.
    due: Moment,
    list: Attempts,
    listing: bool,
    /// What was asked to be created, and has not been answered.
    creating: Vec<NewCheck>,
    /// The id that was asked to be deleted, and has not been answered.
    deleting: Option<String>,
    slots: BTreeMap<(Target, RecordType), Slot>,
}

/// Whether a record set of ours has a health check that it is not to have. It may be a managed one
/// from before the configuration was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Trace {
    #[default]
    None,
    /// The health checks are to be read once.
    Fresh,
    /// They have been read, or may not be: whoever manages none may well not be allowed to.
    Over,
}

/// One of this node's health checks.
#[derive(Debug, Clone)]
struct Found {
    reference: Reference,
    /// What it asks; `None` when somebody has edited it.
    spec: Option<CheckSpec>,
    /// Whether it has been created and tagged whole, as far as is known.
    is_whole: bool,
    /// Its creation cannot be repeated, so it is not taken up.
    is_spoilt: bool,
    /// Since when nothing has referred to it.
    loose: Option<Moment>,
    deletion: Attempts,
}

/// What Route 53 has said of a health check that it did not find.
#[derive(Debug, Clone, Copy, Default)]
struct Refusals {
    times: u32,
    /// It has not been looked for since.
    unread: bool,
}

/// How often a health check may be missed though it is listed: for Route 53 takes its time to tell all
/// its parts of a new one. After that another one is made.
const MISSED_AT_MOST: u32 = 2;

impl Refusals {
    /// Whether the health check may be given to a record set.
    fn may_be_there(refused: &BTreeMap<String, Refusals>, id: &str) -> bool {
        refused.get(id).is_none_or(|refusals| !refusals.unread && refusals.times < MISSED_AT_MOST)
    }
}

impl Found {
    fn fits(&self, place: &Place, spec: &CheckSpec) -> bool {
        self.reference.place == *place && self.spec.as_ref() == Some(spec) && !self.is_spoilt
    }
}

/// The health check of one record set.
#[derive(Debug, Clone)]
struct Slot {
    place: Place,
    tags: BTreeMap<String, String>,
    wanted: Option<CheckSpec>,
    /// The id of the one that the record set has or is to be given.
    chosen: Option<String>,
    /// The one that has to be created first; its reference stays until that has succeeded.
    creation: Option<NewCheck>,
    /// Until when the record set may wait for it.
    patience: Option<Moment>,
    /// Until when it does wait, as of the last decision.
    waits: Option<Moment>,
    attempts: Attempts,
}

impl Checks {
    /// Plans a record with the health checks that there are, and takes down which it needs.
    pub(super) fn plan(
        &mut self,
        policy: &Policy,
        record: &RecordPolicy,
        world: World<'_>,
        random: &mut Random,
        now: Moment,
    ) -> Vec<TypePlan> {
        let plans = plan::plan(policy, record, world);
        let Some(listing) = world.listing.known() else { return plans };
        let managed = record.has_managed_check();
        let is_trace =
            |own: &RecordSet| own.health_check_id.is_some() && own.health_check_id.as_deref() != existing(record);
        let mut own_sets = RecordType::ALL.into_iter().filter_map(|rtype| own_set(listing.pool(rtype), &policy.owner));
        if self.trace == Trace::None && own_sets.any(is_trace) {
            self.trace = Trace::Fresh;
        }
        if !managed && self.trace != Trace::Fresh && self.slots.is_empty() {
            return plans;
        }
        let target = target_of(record);
        let is_primary = record.routing == Routing::Failover(FailoverRole::Primary).into();
        let mut attach = BTreeMap::new();
        for rtype in RecordType::ALL {
            let key = (target.clone(), rtype);
            let wanted = plans.iter().find(|plan| plan.rtype == rtype).and_then(|plan| plan.check.clone());
            let own = own_set(listing.pool(rtype), &policy.owner);
            let is_left = self.slot(&policy.owner, &listing.zone_id, &key).want(wanted, now);
            if is_left {
                self.due = self.due.min(now + GRACE);
            }
            attach.insert(rtype, self.attach(&key, own, is_primary, random, now));
        }
        if managed { plan::plan(policy, record, World { checks: &attach, ..world }) } else { plans }
    }

    fn slot(&mut self, owner: &OwnerId, zone_id: &str, key: &(Target, RecordType)) -> &mut Slot {
        let (target, rtype) = key;
        let place = Place::new(owner, zone_id, &target.name, *rtype);
        let new = || Slot {
            tags: tags(owner, zone_id, &target.name, *rtype),
            place: place.clone(),
            wanted: None,
            chosen: None,
            creation: None,
            patience: None,
            waits: None,
            attempts: Attempts::default(),
        };
        let slot = self.slots.entry(key.clone()).or_insert_with(new);
        // Another hosted zone by the same name.
        if slot.place != place {
            *slot = new();
        }
        slot
    }

    /// What the record set is given, and what has to be created for it.
    fn attach(
        &mut self,
        key: &(Target, RecordType),
        own: Option<&RecordSet>,
        is_primary: bool,
        random: &mut Random,
        now: Moment,
    ) -> Attach {
        let Some(slot) = self.slots.get_mut(key) else { return Attach::Nothing };
        slot.waits = None;
        let Some(wanted) = slot.wanted.clone() else { return Attach::Nothing };
        let attached = own.and_then(|own| own.health_check_id.as_ref());
        if let Observed::Known(found) = &mut self.found {
            let fits = |id: &String, found: &Found| {
                found.fits(&slot.place, &wanted)
                    && self.deleting.as_ref() != Some(id)
                    && Refusals::may_be_there(&self.refused, id)
            };
            let fitting = || found.iter().filter(|(id, found)| fits(id, found));
            let whole = fitting().find(|(id, _)| Some(*id) == attached).or_else(|| fitting().find(|(_, f)| f.is_whole));
            if let Some(id) = whole.map(|(id, _)| id.clone()) {
                if let Some(found) = found.get_mut(&id) {
                    found.is_whole = true;
                }
                slot.choose(id.clone());
                return Attach::Check(id);
            }
            slot.chosen = None;
            if wanted.is_possible() && slot.creation.is_none() {
                // Creating what is there already completes it, and says its id.
                let reference = fitting().map(|(_, found)| found.reference.clone()).next();
                let reference = reference.unwrap_or_else(|| Reference::new(slot.place.clone(), random.number()));
                slot.creation = Some(NewCheck { reference, spec: wanted.clone(), tags: slot.tags.clone() });
            }
        }
        let until = *slot.patience.get_or_insert(now + PATIENCE);
        let creation_failed = slot.attempts.last_error.is_some() || now < slot.attempts.not_before;
        let failed = creation_failed || (!self.found.is_known() && self.list.failures > 0);
        if wanted.is_possible() && !failed && now < until {
            slot.waits = Some(until);
            return Attach::Wait;
        }
        // There is none to be had. What the record set has stays if it may be right.
        let stays = own.filter(|own| own.addresses() == BTreeSet::from([wanted.address])).and(attached);
        let is_there = |id: &&String| match &self.found {
            Observed::Unknown => Refusals::may_be_there(&self.refused, id),
            Observed::Known(_) => self.others.contains(*id) && Refusals::may_be_there(&self.refused, id),
        };
        match stays.filter(is_there) {
            Some(id) => Attach::Check(id.clone()),
            // Route 53 refuses a primary without a health check.
            None if is_primary => Attach::Wait,
            None => Attach::Nothing,
        }
    }

    /// After deciding anew for every name: forgets what is no longer configured, and notes since
    /// when each health check has been of no use.
    pub(super) fn decided(&mut self, policy: &Policy, names: &mut BTreeMap<Target, NameState>, now: Moment) {
        self.slots.retain(|(target, _), _| names.contains_key(target));
        let has_found = self.found.known().is_some_and(|found| !found.is_empty());
        self.active =
            policy.records.iter().any(RecordPolicy::has_managed_check) || has_found || self.trace == Trace::Fresh;
        let Observed::Known(found) = &mut self.found else { return };
        let used: BTreeSet<&String> =
            names.values().flat_map(NameState::record_sets).filter_map(|set| set.health_check_id.as_ref()).collect();
        let mut due = Vec::new();
        for (id, found) in found.iter_mut() {
            let mut slots = self.slots.values().filter(|slot| slot.place == found.reference.place).peekable();
            // What belongs to a name that is not configured stays, as its record sets do.
            let is_loose = slots.peek().is_some()
                && !used.contains(id)
                && slots.all(|slot| {
                    slot.chosen.as_ref() != Some(id)
                        && slot.creation.as_ref().is_none_or(|new| new.reference != found.reference)
                });
            found.loose = if is_loose { found.loose.or(Some(now)) } else { None };
            due.extend(found.loose.map(|loose| loose + GRACE));
        }
        // Somebody may bring a record set back as it was, so all are looked at before the deletion.
        for due in due {
            names.values_mut().for_each(|name| name.read_by(due));
        }
    }

    /// The next thing to ask for.
    pub(super) fn begin(&mut self, names: &BTreeMap<Target, NameState>, now: Moment) -> Option<CheckRequest> {
        if self.list_at().is_some_and(|at| at <= now) {
            self.listing = true;
            return Some(CheckRequest::List);
        }
        let new = self.creatable().find(|(at, _)| *at <= now).map(|(_, new)| new.clone());
        if let Some(new) = new {
            self.creating.push(new.clone());
            return Some(CheckRequest::Create(Box::new(new)));
        }
        let id = self.deletable(names).find(|(at, _)| *at <= now).map(|(_, id)| id.clone())?;
        self.deleting = Some(id.clone());
        Some(CheckRequest::Delete(id))
    }

    /// When there is something to do though nothing happens.
    pub(super) fn deadline(&self, names: &BTreeMap<Target, NameState>) -> Option<Moment> {
        let creation = self.creatable().map(|(at, _)| at).min();
        let deletion = self.deletable(names).map(|(at, _)| at).min();
        [self.list_at(), creation, deletion].into_iter().flatten().min()
    }

    /// When the first record set that waits has waited long enough.
    pub(super) fn patience(&self) -> Option<Moment> {
        self.slots.values().filter_map(|slot| slot.waits).min()
    }

    /// When to read all; never while something is on its way that would be missing.
    fn list_at(&self) -> Option<Moment> {
        let is_still = !self.listing && self.creating.is_empty() && self.deleting.is_none();
        let wanted = if self.unread || !self.found.is_known() { Moment::default() } else { self.due };
        (self.active && is_still).then(|| wanted.max(self.list.not_before))
    }

    fn is_read(&self) -> bool {
        self.found.is_known() && !self.unread && !self.listing
    }

    fn creatable(&self) -> impl Iterator<Item = (Moment, &NewCheck)> {
        let slots = self.slots.values().filter(|_| self.is_read());
        slots.filter_map(|slot| Some((slot.attempts.not_before, slot.creation.as_ref()?))).filter(|(_, new)| {
            let is_on_its_way = |on_its_way: &NewCheck| on_its_way.reference == new.reference;
            !self.creating.iter().any(is_on_its_way)
        })
    }

    /// What may be deleted, and when: only what no record set refers to, as every one of the names has
    /// been read again once the grace was over.
    fn deletable(&self, names: &BTreeMap<Target, NameState>) -> impl Iterator<Item = (Moment, &String)> {
        let may = self.is_read() && self.deleting.is_none();
        let found = self.found.known().into_iter().flatten().filter(move |_| may);
        found.filter_map(move |(id, found)| {
            let over = found.loose? + GRACE;
            let is_sure = names.values().all(|name| name.is_read_since(over));
            is_sure.then_some((found.deletion.not_before, id))
        })
    }

    /// A batch was refused because a health check in it is not there. It may be another's: the
    /// record set of a witness refers to whatever it likes. So all are read again, and until then
    /// our record sets go without those that were in it.
    pub(super) fn missed(&mut self, target: &Target, own: &[Change]) {
        for change in own.iter().filter(|change| change.action != Action::Delete) {
            let slot = self.slots.get(&(target.clone(), change.rtype));
            let is_managed = slot.is_some_and(|slot| slot.wanted.is_some());
            if let Some(id) = change.set.health_check_id.as_ref().filter(|_| is_managed) {
                let refusals = self.refused.entry(id.clone()).or_default();
                *refusals = Refusals { times: refusals.times + 1, unread: true };
                self.recheck();
            }
        }
    }

    /// A batch was accepted, so all health checks in it are there.
    pub(super) fn met(&mut self, changes: &[Change]) {
        for id in changes.iter().filter_map(|change| change.set.health_check_id.as_ref()) {
            self.refused.remove(id);
        }
    }

    /// Anything may have changed unseen.
    pub(super) fn recheck(&mut self) {
        self.unread = true;
        self.overtaken = self.listing;
    }

    /// The state of one record set's health check; `None` where there is to be none.
    pub(super) fn report(&self, target: &Target, rtype: RecordType, own: Option<&RecordSet>) -> Option<CheckReport> {
        let slot = self.slots.get(&(target.clone(), rtype))?;
        let wanted = slot.wanted.as_ref()?;
        let attached = own.and_then(|own| own.health_check_id.clone());
        let error = slot.attempts.last_error.as_ref().or(self.list.last_error.as_ref());
        let (state, error) = match &slot.chosen {
            Some(_) if slot.chosen == attached => (CheckState::Attached, None),
            _ if !wanted.is_possible() => (CheckState::Impossible, None),
            _ if error.is_some() => (CheckState::Failing, error.cloned()),
            _ => (CheckState::Waiting, None),
        };
        Some(CheckReport { state, wanted: wanted.clone(), error })
    }
}

impl Slot {
    /// Takes down what is wanted. Whether something may have been left behind by what was wanted
    /// before: one that was created, but not tagged.
    fn want(&mut self, wanted: Option<CheckSpec>, now: Moment) -> bool {
        if self.wanted == wanted {
            return false;
        }
        self.patience = wanted.is_some().then_some(now + PATIENCE);
        self.wanted = wanted;
        self.chosen = None;
        self.creation.take().is_some() && self.attempts.failures > 0
    }

    fn choose(&mut self, id: String) {
        self.chosen = Some(id);
        self.patience = None;
        self.creation = None;
        self.attempts.last_error = None;
    }
}

/// The health check of somebody else's that the record's sets are to have.
fn existing(record: &RecordPolicy) -> Option<&str> {
    match &record.health_check {
        Some(HealthCheck::Existing(id)) => Some(id),
        Some(HealthCheck::Managed(_)) | None => None,
    }
}
