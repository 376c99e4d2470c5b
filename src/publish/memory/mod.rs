//! The provider that is nothing but memory: for dry runs and tests.
//!
//! It refuses what Route 53 refuses, in Route 53's words (`rules`), and starts out empty: a dry
//! run reads nothing from AWS and needs no credentials. It holds no client of any kind, so nothing
//! it is told to do can reach a real zone.

mod health_checks;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::decide::health_check::{CheckListing, NewCheck};
use crate::decide::name::DnsName;
use crate::decide::provider::{ChangeId, ChangeStatus, ErrorKind, ProviderError};
use crate::decide::record::{Change, Listing, RecordSet, RecordType, ZoneListing, ZoneRef};
use crate::publish::zone::{HostedZone, bare_id, choose};
use crate::publish::{Provider, name_of};
use health_checks::HealthChecks;

/// Hosted zones in memory. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryProvider {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// `None`: there is any zone that is asked for.
    zones: Option<Vec<HostedZone>>,
    /// What each name of each zone holds.
    names: BTreeMap<String, BTreeMap<DnsName, Listing>>,
    /// How many batches were accepted.
    changes: u64,
    checks: HealthChecks,
}

impl MemoryProvider {
    /// A world in which every zone that is asked for exists and is empty. A zone that is not named
    /// by its id gets its description for one.
    pub fn new() -> Self {
        MemoryProvider::default()
    }

    /// A world with these zones only.
    pub fn with_zones(zones: impl IntoIterator<Item = HostedZone>) -> Self {
        let state = State { zones: Some(zones.into_iter().collect()), ..State::default() };
        MemoryProvider { state: Arc::new(Mutex::new(state)) }
    }

    /// Puts a record set in place, whatever the rules say: what someone else has left there.
    pub fn insert(&self, zone_id: &str, name: &DnsName, rtype: RecordType, set: RecordSet) {
        self.state().listing(zone_id, name).pools.entry(rtype).or_default().insert(set.set_identifier.clone(), set);
    }

    /// Puts a CNAME in place.
    pub fn insert_cname(&self, zone_id: &str, name: &DnsName) {
        self.state().listing(zone_id, name).has_cname = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is half done when a lock is given up: a batch is worked out on a copy.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn zone_id(&self, zone: &ZoneRef, name: &DnsName) -> Result<String, ProviderError> {
        match (&self.zones, zone) {
            (None, ZoneRef::Id(id)) => Ok(bare_id(id).to_owned()),
            (None, zone) => Ok(zone.to_string()),
            (Some(zones), zone) => self.known_id(&choose(zones, zone, name)?),
        }
    }

    /// The id of a zone that there is.
    fn known_id(&self, id: &str) -> Result<String, ProviderError> {
        let id = bare_id(id);
        match &self.zones {
            Some(zones) if !zones.iter().any(|zone| zone.id == id) => Err(ProviderError {
                kind: ErrorKind::NoSuchZone,
                code: Some("NoSuchHostedZone".to_owned()),
                message: format!("No hosted zone found with ID: {id}"),
            }),
            _ => Ok(id.to_owned()),
        }
    }

    fn listing(&mut self, zone_id: &str, name: &DnsName) -> &mut Listing {
        let names = self.names.entry(zone_id.to_owned()).or_default();
        names.entry(name.clone()).or_insert_with(|| Listing { zone_id: zone_id.to_owned(), ..Listing::default() })
    }
}

impl Provider for MemoryProvider {
    async fn list(&self, zone: &ZoneRef, name: &DnsName) -> Result<Listing, ProviderError> {
        let mut state = self.state();
        let zone_id = state.zone_id(zone, name)?;
        Ok(state.listing(&zone_id, name).clone())
    }

    async fn zones(&self) -> Result<Vec<HostedZone>, ProviderError> {
        Ok(self.state().zones.clone().unwrap_or_default())
    }

    async fn zone(&self, zone_id: &str, read: &(dyn Fn(usize) + Sync)) -> Result<ZoneListing, ProviderError> {
        let state = self.state();
        let zone_id = state.known_id(zone_id)?;
        let mut names = state.names.get(&zone_id).cloned().unwrap_or_default();
        names.retain(|_, listing| !listing.pools.is_empty() || listing.has_cname);
        let sets = |listing: &Listing| {
            usize::from(listing.has_cname) + listing.pools.values().map(BTreeMap::len).sum::<usize>()
        };
        read(names.values().map(sets).sum());
        Ok(ZoneListing { zone_id, names, unreadable: Vec::new() })
    }

    async fn apply(&self, zone: &ZoneRef, changes: &[Change]) -> Result<ChangeId, ProviderError> {
        let mut state = self.state();
        let zone_id = state.zone_id(zone, name_of(changes)?)?;
        let mut copy: BTreeMap<DnsName, Listing> =
            changes.iter().map(|change| (change.name.clone(), state.listing(&zone_id, &change.name).clone())).collect();
        let known = state.zones.iter().flatten().find(|zone| zone.id == zone_id);
        rules::apply(known, &mut copy, changes)?;
        state.names.entry(zone_id).or_default().append(&mut copy);
        state.changes += 1;
        Ok(ChangeId(format!("C{}", state.changes)))
    }

    /// Every accepted change is everywhere at once.
    async fn change_status(&self, id: &ChangeId) -> Result<ChangeStatus, ProviderError> {
        let number: Option<u64> = id.0.strip_prefix('C').and_then(|digits| digits.parse().ok());
        match number {
            Some(number) if (1..=self.state().changes).contains(&number) => Ok(ChangeStatus::InSync),
            _ => Err(ProviderError {
                kind: ErrorKind::Refused,
                code: Some("NoSuchChange".to_owned()),
                message: format!("Could not find resource with ID: {}", id.0),
            }),
        }
    }

    async fn health_checks(&self) -> Result<CheckListing, ProviderError> {
        Ok(self.state().checks.list())
    }

    async fn create_health_check(&self, check: &NewCheck) -> Result<String, ProviderError> {
        self.state().checks.create(check)
    }

    async fn delete_health_check(&self, id: &str) -> Result<(), ProviderError> {
        self.state().checks.delete(id);
        Ok(())
    }

    async fn health_check_tags(
        &self,
        ids: &[String],
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, ProviderError> {
        Ok(self.state().checks.tags(ids))
    }

    async fn health_checks_in_use(&self, zone_id: &str) -> Result<BTreeSet<String>, ProviderError> {
        let state = self.state();
        let listings = state.names.get(zone_id).into_iter().flat_map(BTreeMap::values);
        let sets = listings.flat_map(|listing| listing.pools.values()).flat_map(BTreeMap::values);
        Ok(sets.filter_map(|set| set.health_check_id.clone()).collect())
    }
}
