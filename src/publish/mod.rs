//! Makes it so: the DNS providers.
//!
//! A provider speaks in record sets and changes, never in an SDK's types. Reading is whole or an
//! error, a batch is applied whole or not at all, and nothing is tried twice: the caller backs off
//! and tries again, in its own time.

pub mod memory;
pub mod route53;
pub mod zone;

use std::future::Future;

use crate::decide::name::DnsName;
use crate::decide::provider::{ChangeId, ChangeStatus, ErrorKind, ProviderError};
use crate::decide::record::{Change, Listing, ZoneRef};
use crate::publish::memory::MemoryProvider;
use crate::publish::route53::Route53;

/// A DNS service that holds record sets.
pub trait Provider {
    /// Everything at `name`: complete, or an error, never a shorter list.
    fn list(&self, zone: &ZoneRef, name: &DnsName) -> impl Future<Output = Result<Listing, ProviderError>> + Send;

    /// Applies one batch, in order, whole or not at all. A batch without changes is refused.
    fn apply(&self, zone: &ZoneRef, changes: &[Change])
    -> impl Future<Output = Result<ChangeId, ProviderError>> + Send;

    /// How far an accepted change has come.
    fn change_status(&self, id: &ChangeId) -> impl Future<Output = Result<ChangeStatus, ProviderError>> + Send;
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
