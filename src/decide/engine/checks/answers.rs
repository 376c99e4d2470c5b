//! What the provider's answers about health checks mean.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Checks, Found, GRACE, Slot, Trace};
use crate::decide::engine::name::Attempts;
use crate::decide::engine::{Notice, Target, target_of};
use crate::decide::health_check::{CheckAnswer, CheckListing, FoundCheck, Place, Reference};
use crate::decide::observed::Observed;
use crate::decide::policy::Policy;
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::decide::random::{Random, backoff};
use crate::decide::record::RecordType;
use crate::decide::time::Moment;

/// How much longer than others a request waits that was refused or denied: that rarely changes by
/// itself, and the account's requests are few.
const REFUSED_FACTOR: u32 = 10;

/// What the service says of a reference that it will not take again.
const TAKEN: &str = "HealthCheckAlreadyExists";

impl Checks {
    /// Takes in an answer.
    pub(in crate::decide::engine) fn answered(
        &mut self,
        answer: CheckAnswer<ProviderError>,
        policy: &Policy,
        random: &mut Random,
        now: Moment,
    ) -> Vec<Notice> {
        match answer {
            CheckAnswer::Listed(Ok(listing)) => {
                self.due = now + random.jitter(policy.timing.resync);
                self.listed(listing, policy)
            }
            CheckAnswer::Listed(Err(error)) => {
                self.listing = false;
                let wait = wait_after(&error, self.list.failures, random);
                if error.kind == ErrorKind::Denied {
                    self.trace = Trace::Over;
                }
                self.list.failed(&error, now, now + wait);
                let target = self.of_all(policy);
                target.map(|target| failed(target, "list health checks", error, wait)).into_iter().collect()
            }
            CheckAnswer::Created(reference, result) => self.created(&reference, result, random, now),
            CheckAnswer::Deleted(id, result) => self.deleted(&id, result, random, now),
        }
    }

    fn listed(&mut self, listing: CheckListing, policy: &Policy) -> Vec<Notice> {
        self.listing = false;
        self.trace = Trace::Over;
        self.unread = std::mem::take(&mut self.overtaken);
        self.others = listing.others;
        let mut before = match std::mem::take(&mut self.found) {
            Observed::Known(found) => found,
            Observed::Unknown => BTreeMap::new(),
        };
        let (mine, not_mine): (Vec<FoundCheck>, Vec<FoundCheck>) =
            listing.ours.into_iter().partition(|check| check.reference.place.is_of(&policy.owner));
        self.others.extend(not_mine.into_iter().map(|check| check.id));
        let mut notices = Vec::new();
        let mut found = BTreeMap::new();
        for FoundCheck { id, reference, spec } in mine {
            let known = before.remove(&id);
            if known.as_ref().is_some_and(|known| known.spec.is_some() && known.spec != spec) {
                notices.extend(self.changed(&id, &reference.place, false));
            }
            let new = Found {
                reference,
                spec: None,
                is_whole: false,
                is_spoilt: false,
                loose: None,
                deletion: Attempts::default(),
            };
            found.insert(id, Found { spec, ..known.unwrap_or(new) });
        }
        for (id, gone) in before {
            notices.extend(self.changed(&id, &gone.reference.place, true));
        }
        let is_listed = |id: &String| found.contains_key(id) || self.others.contains(id);
        self.refused.retain(|id, refusals| {
            refusals.unread &= self.unread;
            is_listed(id) || refusals.unread
        });
        self.found = Observed::Known(found);
        if let (failures @ 1.., Some(target)) = (std::mem::take(&mut self.list).failures, self.of_all(policy)) {
            notices.push(Notice::Recovered { target, failures });
        }
        notices
    }

    /// The name to tell of what concerns all: the first that has health checks.
    fn of_all(&self, policy: &Policy) -> Option<Target> {
        let first = policy.records.iter().find(|record| record.has_managed_check()).map(target_of);
        first.or_else(|| self.slots.keys().next().map(|(target, _)| target.clone()))
    }

    /// Somebody else edited or deleted one that is in use.
    fn changed(&self, id: &str, place: &Place, gone: bool) -> Option<Notice> {
        let used = |slot: &&Slot| slot.place == *place && slot.chosen.as_deref() == Some(id);
        let (target, rtype) = self.slots.iter().find(|(_, slot)| used(slot))?.0.clone();
        Some(Notice::HealthCheckDrift { target, rtype, id: id.to_owned(), gone })
    }

    fn created(
        &mut self,
        reference: &Reference,
        result: Result<String, ProviderError>,
        random: &mut Random,
        now: Moment,
    ) -> Vec<Notice> {
        let Some(at) = self.creating.iter().position(|new| new.reference == *reference) else { return Vec::new() };
        let new = self.creating.remove(at);
        let is_for = |slot: &Slot| slot.creation.as_ref().is_some_and(|wanted| wanted.reference == *reference);
        let slot = self.slots.iter_mut().find(|(_, slot)| is_for(slot));
        match result {
            Ok(id) => {
                let created = Found {
                    reference: reference.clone(),
                    spec: Some(new.spec.clone()),
                    is_whole: true,
                    is_spoilt: false,
                    loose: None,
                    deletion: Attempts::default(),
                };
                if let Observed::Known(found) = &mut self.found {
                    found.insert(id.clone(), created);
                }
                let Some(((target, rtype), slot)) = slot else { return Vec::new() };
                slot.creation = None;
                let (target, rtype) = (target.clone(), *rtype);
                let failures = std::mem::take(&mut slot.attempts).failures;
                let mut notices =
                    vec![Notice::HealthCheckCreated { target: target.clone(), rtype, id, spec: new.spec }];
                if failures > 0 {
                    notices.push(Notice::Recovered { target, failures });
                }
                notices
            }
            Err(error) => {
                // Something may be there now that is not remembered, and may be of no use.
                self.unread |= error.kind == ErrorKind::Unconfirmed;
                let Some((key, slot)) = slot else {
                    self.due = self.due.min(now + GRACE);
                    return Vec::new();
                };
                let mut wait = wait_after(&error, slot.attempts.failures, random);
                if error.code.as_deref() == Some(TAKEN) {
                    slot.creation = None;
                    self.unread = true;
                    if slot.attempts.failures == 0 {
                        wait = Duration::ZERO;
                    }
                    if let Observed::Known(found) = &mut self.found {
                        found.values_mut().filter(|f| f.reference == *reference).for_each(|f| f.is_spoilt = true);
                    }
                }
                slot.attempts.failed(&error, now, now + wait);
                vec![failed(key.0.clone(), "create health check", error, wait)]
            }
        }
    }

    fn deleted(
        &mut self,
        id: &str,
        result: Result<(), ProviderError>,
        random: &mut Random,
        now: Moment,
    ) -> Vec<Notice> {
        self.deleting = None;
        let Observed::Known(found) = &mut self.found else { return Vec::new() };
        let Some(check) = found.get_mut(id) else { return Vec::new() };
        let at = |slot: &Slot| slot.place == check.reference.place;
        let key = self.slots.iter().find(|(_, slot)| at(slot)).map(|(key, _)| key);
        match result {
            Ok(()) => {
                found.remove(id);
                let told = |(target, rtype): &(Target, RecordType)| Notice::HealthCheckDeleted {
                    target: target.clone(),
                    rtype: *rtype,
                    id: id.to_owned(),
                };
                key.map(told).into_iter().collect()
            }
            Err(error) => {
                let wait = wait_after(&error, check.deletion.failures, random);
                check.deletion.failed(&error, now, now + wait);
                self.unread |= error.kind == ErrorKind::Unconfirmed;
                key.map(|key| failed(key.0.clone(), "delete health check", error, wait)).into_iter().collect()
            }
        }
    }
}

fn failed(target: Target, operation: &'static str, error: ProviderError, retry_in: Duration) -> Notice {
    Notice::Failed { target, operation, error, retry_in }
}

fn wait_after(error: &ProviderError, failures: u32, random: &mut Random) -> Duration {
    let wait = backoff(random, failures + 1);
    match error.kind {
        ErrorKind::Refused | ErrorKind::Denied => wait * REFUSED_FACTOR,
        ErrorKind::Throttled
        | ErrorKind::Busy
        | ErrorKind::Credentials
        | ErrorKind::NoSuchZone
        | ErrorKind::Unavailable
        | ErrorKind::Unconfirmed => wait,
    }
}
