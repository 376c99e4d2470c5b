//! Route 53's health checks for worlds in virtual time: by its rules, in trouble on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nodedns::decide::health_check::{CheckAnswer, CheckListing, CheckRequest, FoundCheck, NewCheck, Reference};
use nodedns::decide::provider::{ErrorKind, ProviderError};
use nodedns::decide::record::{Action, Change, Listing};

use crate::support::hostile::{HANG, LATENCY, Treatment};

/// The health checks of an account.
#[derive(Default)]
pub(crate) struct CheckService {
    pub(crate) checks: BTreeMap<String, FoundCheck>,
    pub(crate) tagged: BTreeSet<String>,
    pub(crate) others: BTreeSet<String>,
    /// How the following requests are treated, in turn; then they are served.
    pub(crate) treatments: Vec<Treatment>,
    /// How many there may be.
    pub(crate) limit: Option<usize>,
    /// What somebody has deleted: whether the engine knows yet is not for the service to say.
    vanished: BTreeSet<String>,
    /// What is listed by mistake though it is not there any more.
    stale: Vec<FoundCheck>,
    spent: BTreeSet<Reference>,
    created: u64,
}

impl CheckService {
    /// What becomes of a request, and after how long the answer comes.
    pub(crate) fn request<'a>(
        &mut self,
        request: CheckRequest,
        names: impl Iterator<Item = &'a Listing>,
    ) -> (Duration, CheckAnswer<ProviderError>) {
        let treatment = if self.treatments.is_empty() { Treatment::Serves } else { self.treatments.remove(0) };
        let (delay, failure) = match treatment {
            Treatment::Serves | Treatment::RefusesType(_) => (LATENCY, None),
            Treatment::Fails(kind) => (LATENCY, Some(kind)),
            Treatment::LosesAnswer | Treatment::Hangs if request == CheckRequest::List => {
                (HANG, Some(ErrorKind::Unavailable))
            }
            Treatment::LosesAnswer | Treatment::Hangs => (HANG, Some(ErrorKind::Unconfirmed)),
        };
        let serves = failure.is_none() || treatment == Treatment::LosesAnswer;
        let lost = |kind| ProviderError { kind, code: None, message: "planted".into() };
        let answer = match request {
            CheckRequest::List => {
                let ours = self.checks.values().chain(&self.stale).cloned().collect();
                let listing = CheckListing { ours, others: self.others.clone() };
                CheckAnswer::Listed(failure.map_or(Ok(listing), |kind| Err(lost(kind))))
            }
            CheckRequest::Create(new) => {
                let outcome = if serves { self.create(&new) } else { Err(refused("never seen")) };
                CheckAnswer::Created(new.reference, failure.map_or(outcome, |kind| Err(lost(kind))))
            }
            CheckRequest::Delete(id) => {
                let sets = names.flat_map(|listing| listing.pools.values().flat_map(BTreeMap::values));
                let mut used = sets.filter_map(|set| set.health_check_id.as_ref());
                assert!(!used.any(|used| *used == id), "{id} is deleted while a record set refers to it");
                if serves {
                    self.delete(&id);
                }
                CheckAnswer::Deleted(id, failure.map_or(Ok(()), |kind| Err(lost(kind))))
            }
        };
        (delay, answer)
    }

    fn create(&mut self, new: &NewCheck) -> Result<String, ProviderError> {
        if let Some(check) = self.checks.values().find(|check| check.reference == new.reference) {
            self.tagged.insert(check.id.clone());
            return if check.spec.as_ref() == Some(&new.spec) { Ok(check.id.clone()) } else { Err(taken()) };
        }
        if self.spent.contains(&new.reference) {
            return Err(taken());
        }
        if self.limit.is_some_and(|limit| self.checks.len() >= limit) {
            return Err(refused("TooManyHealthChecks"));
        }
        self.created += 1;
        let id = format!("hc-{}", self.created);
        let found = FoundCheck { id: id.clone(), reference: new.reference.clone(), spec: Some(new.spec.clone()) };
        self.checks.insert(id.clone(), found);
        self.tagged.insert(id.clone());
        Ok(id)
    }

    fn delete(&mut self, id: &str) {
        self.spent.extend(self.checks.remove(id).map(|check| check.reference));
        self.stale.retain(|check| check.id != id);
    }

    /// Somebody deletes one.
    pub(crate) fn remove(&mut self, id: &str) {
        self.delete(id);
        self.others.remove(id);
        self.vanished.insert(id.to_owned());
    }

    /// Somebody deletes one, and it is listed nevertheless.
    pub(crate) fn remove_unseen(&mut self, id: &str) {
        let stale = self.checks.get(id).cloned();
        self.remove(id);
        self.stale.extend(stale);
    }

    /// Somebody has left one behind, untagged.
    pub(crate) fn leave(&mut self, new: &NewCheck) -> String {
        let id = self.create(new).expect("within the limit");
        self.tagged.remove(&id);
        id
    }

    /// A record set is never given a health check that is not there unless somebody else has deleted
    /// it, nor one that is not tagged, or asks another address. The refusal, if there is one.
    pub(crate) fn check_batch(&self, changes: &[Change]) -> Option<ProviderError> {
        let sets = changes.iter().filter(|change| change.action != Action::Delete).map(|change| &change.set);
        for set in sets {
            let Some(id) = set.health_check_id.as_ref().filter(|id| !self.others.contains(*id)) else { continue };
            if self.vanished.contains(id) {
                return Some(refused("NoSuchHealthCheck"));
            }
            let Some(check) = self.checks.get(id) else { panic!("{id} is attached and is not there") };
            assert!(self.tagged.contains(id), "{id} is attached and not tagged");
            let asks = check.spec.as_ref().map(|spec| spec.address);
            assert!(asks.is_some_and(|address| set.addresses().contains(&address)), "{check:?} on {set:?}");
        }
        None
    }
}

fn refused(code: &str) -> ProviderError {
    ProviderError { kind: ErrorKind::Refused, code: Some(code.into()), message: "planted".into() }
}

fn taken() -> ProviderError {
    refused("HealthCheckAlreadyExists")
}
