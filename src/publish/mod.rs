//! Makes it so: the DNS providers.
//!
//! A provider speaks in record sets and changes, never in an SDK's types. Reading is whole or an
//! error, a batch is applied whole or not at all.

pub mod memory;
pub mod route53;

use std::future::Future;

use crate::decide::name::DnsName;
use crate::decide::provider::{ChangeId, ChangeStatus, ProviderError};
use crate::decide::record::{Change, Listing, ZoneRef};

/// A DNS service that holds record sets.
pub trait Provider {
    /// Everything at `name`: complete, or an error, never a shorter list.
    fn list(&self, zone: &ZoneRef, name: &DnsName) -> impl Future<Output = Result<Listing, ProviderError>> + Send;

    /// Applies one batch, in order, whole or not at all.
    fn apply(&self, zone: &ZoneRef, changes: &[Change])
    -> impl Future<Output = Result<ChangeId, ProviderError>> + Send;

    /// How far an accepted change has come.
    fn change_status(&self, id: &ChangeId) -> impl Future<Output = Result<ChangeStatus, ProviderError>> + Send;
}
