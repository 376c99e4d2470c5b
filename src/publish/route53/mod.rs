//! Route 53.
//!
//! One request per step and no hidden retries: what the request log of the account shows is what
//! was asked for here. All requests share one [`Limiter`].

mod client;
mod convert;
mod error;
pub mod files;
mod health_checks;
pub mod inspect;
mod limiter;
mod list;
mod observe;
pub mod rights;
mod scan;
mod zones;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_route53::Client;
use aws_sdk_route53::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_route53::types;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::sync::Mutex;

use crate::decide::health_check::{CheckListing, NewCheck};
use crate::decide::name::DnsName;
use crate::decide::provider::{ChangeId, ChangeStatus, ErrorKind, ProviderError};
use crate::decide::record::{Change, Listing, ZoneListing, ZoneRef};
use crate::publish::{Provider, name_of, zone};

pub use crate::config::Route53Settings as Settings;
pub use error::messages;
pub use limiter::Limiter;
pub use observe::{Ending, Observer};

use client::Connection;
use error::Request;
use observe::Observation;
use zones::Zones;

/// Seen in the account's CloudTrail, beside each change.
const COMMENT: &str = concat!("nodedns ", env!("CARGO_PKG_VERSION"));

/// Route 53 as a provider. Clones share the connection, the credentials, the rate and the zones.
#[derive(Clone)]
pub struct Route53 {
    inner: Arc<Inner>,
    observer: Option<Arc<dyn Observer>>,
}

struct Inner {
    settings: Settings,
    /// Instead of the default chain.
    credentials: Option<SharedCredentialsProvider>,
    /// Built for the first request, and anew after a request whose credentials were not accepted:
    /// the SDK reads its configuration files only once, and someone may have mended them.
    connection: Mutex<Option<Connection>>,
    limiter: Limiter,
    zones: Zones,
}

impl Route53 {
    /// A provider that has not done anything yet: no file is read and no connection made before
    /// the first request, and nothing about the environment can make this fail.
    pub fn new(settings: Settings) -> Self {
        Route53::build(settings, None)
    }

    /// The same with given credentials instead of those of the environment.
    pub fn with_credentials(settings: Settings, credentials: impl ProvideCredentials + 'static) -> Self {
        Route53::build(settings, Some(SharedCredentialsProvider::new(credentials)))
    }

    /// The same, and tells of every request.
    #[must_use]
    pub fn observed_by(self, observer: Arc<dyn Observer>) -> Self {
        Route53 { observer: Some(observer), ..self }
    }

    fn build(settings: Settings, credentials: Option<SharedCredentialsProvider>) -> Self {
        let limiter = Limiter::new(settings.requests_per_second, settings.burst);
        let inner = Inner { settings, credentials, connection: Mutex::new(None), limiter, zones: Zones::default() };
        Route53 { inner: Arc::new(inner), observer: None }
    }

    /// The id of the hosted zone that `zone` means for `name`. Looked up once and remembered.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchZone`] when no zone fits, or more than one; otherwise as the look-up.
    pub async fn zone_id(&self, zone: &ZoneRef, name: &DnsName) -> Result<String, ProviderError> {
        let Some(key) = Zones::key(zone) else { return zone::choose(&[], zone, name) };
        let cell = self.inner.zones.cell(&key);
        let remembered = cell.initialized();
        let known = cell.get_or_try_init(|| self.hosted_zones(&key)).await?;
        let chosen = zone::choose(known, zone, name);
        if chosen.is_ok() || !remembered {
            return chosen;
        }
        // What was missing may be there by now. What is remembered stays until then: other names
        // may find their zones in it.
        let zones = self.hosted_zones(&key).await?;
        let chosen = zone::choose(&zones, zone, name);
        self.inner.zones.replace(key, zones);
        chosen
    }

    async fn hosted_zones(&self, key: &Option<DnsName>) -> Result<Vec<zone::HostedZone>, ProviderError> {
        let mut reader = zones::Reader::new(key);
        let mut cursor = reader.start();
        loop {
            let page = self
                .send(Request::Zones, |client| {
                    client
                        .list_hosted_zones_by_name()
                        .max_items(zones::PAGE_SIZE)
                        .set_dns_name(cursor.dns_name.clone())
                        .set_hosted_zone_id(cursor.zone_id.clone())
                        .send()
                })
                .await?;
            match reader.take(&page)? {
                Some(next) => cursor = next,
                None => return Ok(reader.finish()),
            }
        }
    }

    /// Makes one request to Route 53.
    async fn send<T, E, F>(&self, request: Request, call: impl FnOnce(Client) -> F) -> Result<T, ProviderError>
    where
        E: ProvideErrorMetadata + Error + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        self.send_by(request, |connection| call(connection.route53)).await
    }

    /// Makes one request: waits for its turn, sends it once, puts its error into our words.
    async fn send_by<T, E, F>(&self, request: Request, call: impl FnOnce(Connection) -> F) -> Result<T, ProviderError>
    where
        E: ProvideErrorMetadata + Error + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        self.inner.limiter.acquire().await;
        let observation = Observation::of(request, self.observer.as_ref());
        let result = match self.connection().await {
            Ok(connection) => call(connection).await.map_err(|error| error::translate(request, &error)),
            Err(error) => Err(error),
        };
        observation.ends(&result);
        if matches!(&result, Err(error) if error.kind == ErrorKind::Credentials) {
            *self.inner.connection.lock().await = None;
        }
        result
    }

    async fn connection(&self) -> Result<Connection, ProviderError> {
        let mut slot = self.inner.connection.lock().await;
        match &*slot {
            Some(connection) => Ok(connection.clone()),
            None => {
                let Inner { settings, credentials, .. } = &*self.inner;
                Ok(slot.insert(client::connect(settings, credentials.as_ref()).await?).clone())
            }
        }
    }

    /// A zone that was looked up and is gone may have a successor of the same name.
    fn forget_missing_zone<T>(&self, zone: &ZoneRef, result: Result<T, ProviderError>) -> Result<T, ProviderError> {
        if matches!(&result, Err(error) if error.kind == ErrorKind::NoSuchZone)
            && let Some(key) = Zones::key(zone)
        {
            self.inner.zones.forget(&key);
        }
        result
    }

    async fn list_in(&self, zone_id: &str, name: &DnsName) -> Result<Listing, ProviderError> {
        Ok(self.read(zone_id, list::AtName::new(zone_id, name)).await?.listing())
    }

    /// Sends one batch.
    async fn send_batch(&self, request: Request, zone_id: &str, changes: &[Change]) -> Result<ChangeId, ProviderError> {
        let batch = changes
            .iter()
            .map(convert::change)
            .collect::<Result<Vec<_>, _>>()
            .and_then(|changes| types::ChangeBatch::builder().comment(COMMENT).set_changes(Some(changes)).build())
            .map_err(|error| ProviderError { kind: ErrorKind::Refused, code: None, message: error.to_string() })?;
        let answer = self
            .send(request, |client| {
                client.change_resource_record_sets().hosted_zone_id(zone_id).change_batch(batch).send()
            })
            .await?;
        // The SDK fills in an empty id for a missing one.
        match answer.change_info().filter(|info| !info.id().is_empty()) {
            Some(info) => Ok(ChangeId(bare_change_id(info.id()).to_owned())),
            None => Err(ProviderError {
                kind: ErrorKind::Unconfirmed,
                code: None,
                message: "could not confirm the change: the answer names no change".to_owned(),
            }),
        }
    }
}

impl Provider for Route53 {
    async fn list(&self, zone: &ZoneRef, name: &DnsName) -> Result<Listing, ProviderError> {
        let zone_id = self.zone_id(zone, name).await?;
        self.forget_missing_zone(zone, self.list_in(&zone_id, name).await)
    }

    async fn zones(&self) -> Result<Vec<zone::HostedZone>, ProviderError> {
        self.hosted_zones(&None).await
    }

    async fn zone(&self, zone_id: &str, read: &(dyn Fn(usize) + Sync)) -> Result<ZoneListing, ProviderError> {
        Ok(self.read(zone_id, scan::InZone::new(zone_id, read)).await?.listing())
    }

    async fn apply(&self, zone: &ZoneRef, changes: &[Change]) -> Result<ChangeId, ProviderError> {
        let zone_id = self.zone_id(zone, name_of(changes)?).await?;
        self.forget_missing_zone(zone, self.send_batch(Request::Change, &zone_id, changes).await)
    }

    async fn change_status(&self, id: &ChangeId) -> Result<ChangeStatus, ProviderError> {
        let answer = self.send(Request::Status, |client| client.get_change().id(bare_change_id(&id.0)).send()).await?;
        match answer.change_info().map(|info| info.status()) {
            Some(types::ChangeStatus::Insync) => Ok(ChangeStatus::InSync),
            // A status that is not yet known here is not the last one.
            _ => Ok(ChangeStatus::Pending),
        }
    }

    async fn health_checks(&self) -> Result<CheckListing, ProviderError> {
        self.list_checks().await
    }

    async fn create_health_check(&self, check: &NewCheck) -> Result<String, ProviderError> {
        self.create_and_tag(check).await
    }

    async fn delete_health_check(&self, id: &str) -> Result<(), ProviderError> {
        self.delete_check(id).await
    }

    async fn health_check_tags(
        &self,
        ids: &[String],
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, ProviderError> {
        self.tags_of_checks(ids).await
    }

    async fn health_checks_in_use(&self, zone_id: &str) -> Result<BTreeSet<String>, ProviderError> {
        Ok(self.read(zone_id, scan::ChecksInUse::new(zone_id)).await?.ids())
    }
}

/// Says nothing of the client, so that no credentials can come with it.
impl fmt::Debug for Route53 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route53").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

fn bare_change_id(id: &str) -> &str {
    id.strip_prefix("/change/").unwrap_or(id)
}
