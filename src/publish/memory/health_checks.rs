//! Health checks in memory. They ask nobody.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::health_check::{CheckListing, FoundCheck, NewCheck, Reference};
use crate::decide::provider::{ErrorKind, ProviderError};

/// Health checks in memory.
#[derive(Debug, Default)]
pub(super) struct HealthChecks {
    checks: BTreeMap<String, NewCheck>,
    created: u64,
    /// References of deleted health checks, which are not taken again.
    spent: BTreeSet<Reference>,
}

impl HealthChecks {
    pub(super) fn list(&self) -> CheckListing {
        let found = |(id, check): (&String, &NewCheck)| FoundCheck {
            id: id.clone(),
            reference: check.reference.clone(),
            spec: Some(check.spec.clone()),
        };
        CheckListing { ours: self.checks.iter().map(found).collect(), others: BTreeSet::new() }
    }

    pub(super) fn create(&mut self, new: &NewCheck) -> Result<String, ProviderError> {
        if !new.spec.is_possible() {
            let family = if new.spec.address.is_ipv4() { "IPv4" } else { "IPv6" };
            return Err(refused("InvalidInput", format!("{family} address {} is forbidden", new.spec.address)));
        }
        if let Some((id, check)) = self.checks.iter_mut().find(|(_, check)| check.reference == new.reference) {
            if check.spec != new.spec {
                return Err(taken());
            }
            check.tags.extend(new.tags.clone());
            return Ok(id.clone());
        }
        if self.spent.contains(&new.reference) {
            return Err(taken());
        }
        self.created += 1;
        let id = format!("00000000-0000-0000-0000-{:012}", self.created);
        self.checks.insert(id.clone(), new.clone());
        Ok(id)
    }

    pub(super) fn delete(&mut self, id: &str) {
        self.spent.extend(self.checks.remove(id).map(|check| check.reference));
    }

    pub(super) fn tags(&self, ids: &[String]) -> BTreeMap<String, BTreeMap<String, String>> {
        let tags = |id: &String| Some((id.clone(), self.checks.get(id)?.tags.clone()));
        ids.iter().filter_map(tags).collect()
    }
}

fn taken() -> ProviderError {
    let text = "A different health check has already been created with the specified caller reference.";
    refused("HealthCheckAlreadyExists", text.to_owned())
}

fn refused(code: &str, message: String) -> ProviderError {
    ProviderError { kind: ErrorKind::Refused, code: Some(code.to_owned()), message }
}
