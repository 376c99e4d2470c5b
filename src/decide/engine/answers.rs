//! What a provider's answers mean.

use crate::decide::engine::name::{Request, Resync};
use crate::decide::engine::{Engine, HELD_RESYNC_DIVISOR, NEWLY_HELD_PAUSE, Notice, Target};
use crate::decide::observed::Observed;
use crate::decide::plan::own_set;
use crate::decide::provider::{ChangeId, ChangeStatus, ProviderError};
use crate::decide::record::{Change, Listing, RecordSet, RecordType};
use crate::decide::report::LastChange;
use crate::decide::time::Moment;

/// What Route 53 says when a record set in a batch refers to a health check that is not there.
const NO_CHECK: &str = "NoSuchHealthCheck";

impl Engine {
    pub(super) fn listed(&mut self, target: &Target, result: Result<Listing, ProviderError>, now: Moment) {
        let period = self.policy.timing.resync;
        let resync = Resync {
            due: now + self.random.jitter(period),
            held_due: now + self.random.jitter(period / HELD_RESYNC_DIVISOR),
            newly_held_due: now + NEWLY_HELD_PAUSE,
        };
        self.leaving.remove(target);
        let Some(name) = self.names.get_mut(target) else { return };
        name.in_flight = None;
        match result {
            Ok(listing) => {
                for rtype in RecordType::ALL {
                    let own = |listing: &Listing| own_set(listing.pool(rtype), &self.policy.owner).cloned();
                    let expected = name.expected().map(own);
                    let found = own(&listing);
                    if let Some(expected) = expected.filter(|expected| *expected != found) {
                        let addresses = |set: Option<RecordSet>| set.map(|set| set.addresses().into_iter().collect());
                        self.notices.push(Notice::Drift {
                            target: target.clone(),
                            rtype,
                            expected: addresses(expected).unwrap_or_default(),
                            found: addresses(found).unwrap_or_default(),
                        });
                    }
                }
                let failures = name.listed(listing, resync, now);
                if failures > 0 {
                    self.notices.push(Notice::Recovered { target: target.clone(), failures });
                }
            }
            Err(error) => {
                let retry_at = name.list_failed(&error, &mut self.random, now);
                self.notices.push(Notice::Failed {
                    target: target.clone(),
                    operation: "list",
                    error,
                    retry_in: retry_at - now,
                });
            }
        }
    }

    pub(super) fn applied(&mut self, target: &Target, result: Result<ChangeId, ProviderError>, now: Moment) {
        self.leaving.remove(target);
        let Some(name) = self.names.get_mut(target) else { return };
        let Some(Request::Apply { types, changes }) = name.in_flight.take() else { return };
        match result {
            Ok(id) => {
                if let Observed::Known(listing) = &mut name.listing {
                    changes.iter().for_each(|change| listing.apply(change));
                }
                for rtype in &types {
                    let last_change = LastChange { id: id.clone(), status: ChangeStatus::Pending, at: now };
                    name.types.entry(*rtype).or_default().last_change = Some(last_change);
                }
                let failures = name.applied(&types);
                if failures > 0 {
                    self.notices.push(Notice::Recovered { target: target.clone(), failures });
                }
                self.checks.met(&changes);
                let own = Some(self.policy.owner.set_identifier());
                let told = changes
                    .into_iter()
                    .filter(|change| change.set.set_identifier == own)
                    .map(|change| (change.action, change.rtype, change.set.addresses().into_iter().collect()))
                    .collect();
                self.notices.push(Notice::Applied { target: target.clone(), changes: told, id: id.clone() });
                self.confirmations.accepted(id, target.clone(), types, now);
            }
            Err(error) => {
                if error.code.as_deref() == Some(NO_CHECK) {
                    let own = Some(self.policy.owner.set_identifier());
                    let own: Vec<Change> =
                        changes.into_iter().filter(|change| change.set.set_identifier == own).collect();
                    self.checks.missed(target, &own);
                }
                let retry_at = name.apply_failed(&types, &error, &mut self.random, now);
                self.notices.push(Notice::Failed {
                    target: target.clone(),
                    operation: "change",
                    error,
                    retry_in: retry_at - now,
                });
            }
        }
    }

    pub(super) fn change_status(&mut self, id: &ChangeId, result: Result<ChangeStatus, ProviderError>, now: Moment) {
        if result != Ok(ChangeStatus::InSync) {
            let next = self.confirmations.not_yet(id, now);
            if let (Err(error), Some((target, retry_in))) = (result, next) {
                self.notices.push(Notice::Failed { target, operation: "change status", error, retry_in });
            }
            return;
        }
        let Some((target, took)) = self.confirmations.in_sync(id, now) else { return };
        let states = self.names.get_mut(&target).into_iter().flat_map(|name| name.types.values_mut());
        for change in states.filter_map(|state| state.last_change.as_mut()).filter(|change| change.id == *id) {
            change.status = ChangeStatus::InSync;
        }
        self.notices.push(Notice::InSync { target, id: id.clone(), took });
    }
}
