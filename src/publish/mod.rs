//! Makes it so: the DNS providers.
//!
//! A provider speaks in record sets and changes, never in an SDK's types. Reading is whole or an
//! error, a batch is applied whole or not at all, and nothing is tried twice: the caller backs off
//! and tries again, in its own time.
//!
//! Beside the trait stands what only `nodedns check` asks: [`route53::inspect`], [`route53::rights`], and
//! over DNS itself [`delegation`].

pub mod delegation;
pub mod memory;
pub mod route53;
pub mod zone;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use crate::decide::health_check::{CheckAnswer, CheckListing, CheckRequest, NewCheck};
use crate::decide::name::DnsName;
use crate::decide::provider::{ChangeId, ChangeStatus, ErrorKind, ProviderError};
use crate::decide::record::{Change, Listing, ZoneListing, ZoneRef};
use crate::publish::memory::MemoryProvider;
use crate::publish::route53::Route53;
use crate::publish::zone::HostedZone;

/// A DNS service that holds record sets.
pub trait Provider {
    /// Everything at `name`: complete, or an error, never a shorter list.
    fn list(&self, zone: &ZoneRef, name: &DnsName) -> impl Future<Output = Result<Listing, ProviderError>> + Send;

    /// All hosted zones of the account: complete, or an error.
    fn zones(&self) -> impl Future<Output = Result<Vec<HostedZone>, ProviderError>> + Send;

    /// Every A and AAAA record set of a zone, and where there are CNAMEs: complete, or an error. After
    /// each page `read` is told how many record sets there were so far, of whatever type. For looking
    /// only: who is to write asks [`Provider::list`], where a record set that cannot be told in our words
    /// is an error and not left out.
    fn zone(
        &self,
        zone_id: &str,
        read: &(dyn Fn(usize) + Sync),
    ) -> impl Future<Output = Result<ZoneListing, ProviderError>> + Send;

    /// Applies one batch, in order, whole or not at all. A batch without changes is refused.
    fn apply(&self, zone: &ZoneRef, changes: &[Change])
    -> impl Future<Output = Result<ChangeId, ProviderError>> + Send;

    /// How far an accepted change has come.
    fn change_status(&self, id: &ChangeId) -> impl Future<Output = Result<ChangeStatus, ProviderError>> + Send;

    /// All health checks of the account: complete, or an error.
    fn health_checks(&self) -> impl Future<Output = Result<CheckListing, ProviderError>> + Send;

    /// Creates a health check and tags it; its id. Repeated with the same reference it completes
    /// what is there, so a failure that leaves the outcome open is no reason for another reference.
    fn create_health_check(&self, check: &NewCheck) -> impl Future<Output = Result<String, ProviderError>> + Send;

    /// Deletes a health check. One that is not there has been deleted. Nothing keeps a record set
    /// from referring to it: that is for the caller to know.
    fn delete_health_check(&self, id: &str) -> impl Future<Output = Result<(), ProviderError>> + Send;

    /// The tags of these health checks, by id. One that is not there any more is left out.
    fn health_check_tags(
        &self,
        ids: &[String],
    ) -> impl Future<Output = Result<BTreeMap<String, BTreeMap<String, String>>, ProviderError>> + Send;

    /// The ids of the health checks that record sets of the zone refer to, of whatever name and type:
    /// all of them, or an error.
    fn health_checks_in_use(
        &self,
        zone_id: &str,
    ) -> impl Future<Output = Result<BTreeSet<String>, ProviderError>> + Send;

    /// Carries out what is asked about health checks.
    fn carry_out(&self, request: CheckRequest) -> impl Future<Output = CheckAnswer<ProviderError>> + Send
    where
        Self: Sync,
    {
        async move {
            match request {
                CheckRequest::List => CheckAnswer::Listed(self.health_checks().await),
                CheckRequest::Create(check) => {
                    let result = self.create_health_check(&check).await;
                    CheckAnswer::Created(check.reference, result)
                }
                CheckRequest::Delete(id) => {
                    let result = self.delete_health_check(&id).await;
                    CheckAnswer::Deleted(id, result)
                }
            }
        }
    }
}

/// The provider of this process, chosen once at its start. Clones share everything.
///
/// A dry run holds [`AnyProvider::Memory`]: there is then no Route 53 client in the process, so
/// nothing that could write.
#[derive(Debug, Clone)]
pub enum AnyProvider {
    /// Route 53.
    Route53(Route53),
    /// Nothing but memory: dry run.
    Memory(MemoryProvider),
}

impl Provider for AnyProvider {
    async fn list(&self, zone: &ZoneRef, name: &DnsName) -> Result<Listing, ProviderError> {
        match self {
            AnyProvider::Route53(provider) => provider.list(zone, name).await,
            AnyProvider::Memory(provider) => provider.list(zone, name).await,
        }
    }

    async fn zones(&self) -> Result<Vec<HostedZone>, ProviderError> {
        match self {
            AnyProvider::Route53(provider) => provider.zones().await,
            AnyProvider::Memory(provider) => provider.zones().await,
        }
    }

    async fn zone(&self, zone_id: &str, read: &(dyn Fn(usize) + Sync)) -> Result<ZoneListing, ProviderError> {
        match self {
            AnyProvider::Route53(provider) => provider.zone(zone_id, read).await,
            AnyProvider::Memory(provider) => provider.zone(zone_id, read).await,
        }
    }

    async fn apply(&self, zone: &ZoneRef, changes: &[Change]) -> Result<ChangeId, ProviderError> {
        match self {
            AnyProvider::Route53(provider) => provider.apply(zone, changes).await,
            AnyProvider::Memory(provider) => provider.apply(zone, changes).await,
        }
    }

    async fn change_status(&self, id: &ChangeId) -> Result<ChangeStatus, ProviderError> {
        match self {
            AnyProvider::Route53(provider) => provider.change_status(id).await,
            AnyProvider::Memory(provider) => provider.change_status(id).await,
        }
    }

    async fn health_checks(&self) -> Result<CheckListing, ProviderError> {
        match self {
            AnyProvider::Route53(provider) => provider.health_checks().await,
            AnyProvider::Memory(provider) => provider.health_checks().await,
        }
    }

    async fn create_health_check(&self, check: &NewCheck) -> Result<String, ProviderError> {
        match self {
            AnyProvider::Route53(provider) => provider.create_health_check(check).await,
            AnyProvider::Memory(provider) => provider.create_health_check(check).await,
        }
    }

    async fn delete_health_check(&self, id: &str) -> Result<(), ProviderError> {
        match self {
            AnyProvider::Route53(provider) => provider.delete_health_check(id).await,
            AnyProvider::Memory(provider) => provider.delete_health_check(id).await,
        }
    }

    async fn health_check_tags(
        &self,
        ids: &[String],
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, ProviderError> {
        match self {
            AnyProvider::Route53(provider) => provider.health_check_tags(ids).await,
            AnyProvider::Memory(provider) => provider.health_check_tags(ids).await,
        }
    }

    async fn health_checks_in_use(&self, zone_id: &str) -> Result<BTreeSet<String>, ProviderError> {
        match self {
            AnyProvider::Route53(provider) => provider.health_checks_in_use(zone_id).await,
            AnyProvider::Memory(provider) => provider.health_checks_in_use(zone_id).await,
        }
    }
}

/// The name that the zone of a batch is looked up for.
///
/// # Errors
/// A batch without changes is a mistake of the caller, and refused before any request.
fn name_of(changes: &[Change]) -> Result<&DnsName, ProviderError> {
    changes.first().map(|change| &change.name).ok_or_else(|| ProviderError {
        kind: ErrorKind::Refused,
        code: None,
        message: "the change batch is empty".to_owned(),
    })
}
