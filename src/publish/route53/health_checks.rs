//! Health checks: listed page by page, created and tagged, deleted.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_route53::types::{HealthCheckConfig, HealthCheckType, Tag, TagResourceType};

use crate::decide::health_check::{
    CheckListing, CheckProbe, CheckSpec, FoundCheck, HttpCheck, ManagedCheck, NewCheck, Reference,
};
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::publish::route53::Route53;
use crate::publish::route53::error::Request;

/// The longest page that Route 53 gives. Source: API reference, ListHealthChecks.
const PAGE_SIZE: i32 = 1000;

/// For how many at once Route 53 says the tags. Source: API reference, ListTagsForResources.
const TAGS_AT_ONCE: usize = 10;

const GONE: &str = "NoSuchHealthCheck";

impl Route53 {
    pub(super) async fn list_checks(&self) -> Result<CheckListing, ProviderError> {
        let mut listing = CheckListing::default();
        let mut marker: Option<String> = None;
        let mut asked = BTreeSet::new();
        loop {
            let page = self
                .send(Request::Checks, |client| {
                    client.list_health_checks().max_items(PAGE_SIZE).set_marker(marker.clone()).send()
                })
                .await?;
            // As with record sets: behind the list, so that an answer that breaks off is no short list.
            if page.max_items() < 1 {
                return Err(broken("the answer breaks off"));
            }
            for check in page.health_checks() {
                let reference = Reference::parse(check.caller_reference());
                match (reference, check.health_check_config()) {
                    (Some(reference), Some(config)) => {
                        let id = check.id().to_owned();
                        listing.ours.push(FoundCheck { id, reference, spec: spec(config) });
                    }
                    _ => {
                        listing.others.insert(check.id().to_owned());
                    }
                }
            }
            if !page.is_truncated() {
                return Ok(listing);
            }
            let Some(next) = page.next_marker() else {
                return Err(broken("it goes on, but does not say where"));
            };
            if !asked.insert(next.to_owned()) {
                return Err(broken("it goes on where it has been before"));
            }
            marker = Some(next.to_owned());
        }
    }

    pub(super) async fn create_and_tag(&self, check: &NewCheck) -> Result<String, ProviderError> {
        let config = config(&check.spec)?;
        let reference = check.reference.to_string();
        let created = self
            .send(Request::CreateCheck, |client| {
                client.create_health_check().caller_reference(reference).health_check_config(config).send()
            })
            .await?;
        // The SDK fills in an empty id for a missing one.
        let Some(id) = created.health_check().map(|check| check.id()).filter(|id| !id.is_empty()) else {
            return Err(ProviderError {
                kind: ErrorKind::Unconfirmed,
                code: None,
                message: "could not confirm the change: the answer names no health check".to_owned(),
            });
        };
        let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
        let tags: Vec<Tag> = check.tags.iter().map(tag).collect();
        self.send(Request::TagCheck, |client| {
            client
                .change_tags_for_resource()
                .resource_type(TagResourceType::Healthcheck)
                .resource_id(id)
                .set_add_tags(Some(tags))
                .send()
        })
        .await?;
        Ok(id.to_owned())
    }

    pub(super) async fn delete_check(&self, id: &str) -> Result<(), ProviderError> {
        let deleted =
            self.send(Request::DeleteCheck, |client| client.delete_health_check().health_check_id(id).send()).await;
        match deleted {
            Err(error) if error.code.as_deref() == Some(GONE) => Ok(()),
            result => result.map(drop),
        }
    }

    pub(super) async fn tags_of_checks(
        &self,
        ids: &[String],
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, ProviderError> {
        let mut tags = BTreeMap::new();
        for chunk in ids.chunks(TAGS_AT_ONCE) {
            match self.tags_of(chunk).await {
                // One that is gone spoils the answer for all: then one by one.
                Err(error) if error.code.as_deref() == Some(GONE) => {
                    for id in chunk {
                        match self.tags_of(std::slice::from_ref(id)).await {
                            Err(error) if error.code.as_deref() == Some(GONE) => {}
                            result => tags.extend(result?),
                        }
                    }
                }
                result => tags.extend(result?),
            }
        }
        Ok(tags)
    }

    async fn tags_of(&self, ids: &[String]) -> Result<BTreeMap<String, BTreeMap<String, String>>, ProviderError> {
        let answer = self
            .send(Request::CheckTags, |client| {
                client
                    .list_tags_for_resources()
                    .resource_type(TagResourceType::Healthcheck)
                    .set_resource_ids(Some(ids.to_vec()))
                    .send()
            })
            .await?;
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let sets = answer.resource_tag_sets().iter().map(|set| {
            let tags = set.tags().iter().map(|tag| (text(tag.key()), text(tag.value()))).collect();
            (text(set.resource_id()), tags)
        });
        Ok(sets.collect())
    }
}

fn broken(why: &str) -> ProviderError {
    ProviderError {
        kind: ErrorKind::Unavailable,
        code: None,
        message: format!("the listing of health checks cannot be used: {why}"),
    }
}

/// A health check as Route 53 takes it. What is left out has the service's default, which
/// [`spec`] knows: measuring latency costs money, choosing Regions makes a check blind to the rest.
fn config(spec: &CheckSpec) -> Result<HealthCheckConfig, ProviderError> {
    let CheckSpec { address, check } = spec;
    let builder = HealthCheckConfig::builder()
        .ip_address(address.to_string())
        .port(i32::from(check.port))
        .request_interval(i32::from(check.interval))
        .failure_threshold(i32::from(check.failure_threshold));
    let builder = match &check.probe {
        CheckProbe::Tcp => builder.r#type(HealthCheckType::Tcp),
        CheckProbe::Http(http) => {
            let plain = if http.search.is_some() { HealthCheckType::HttpStrMatch } else { HealthCheckType::Http };
            builder.r#type(plain)
        }
        CheckProbe::Https(http) => {
            let tls = if http.search.is_some() { HealthCheckType::HttpsStrMatch } else { HealthCheckType::Https };
            builder.r#type(tls).enable_sni(true)
        }
    };
    let builder = match &check.probe {
        CheckProbe::Tcp => builder,
        CheckProbe::Http(http) | CheckProbe::Https(http) => builder
            .resource_path(&http.path)
            .set_fully_qualified_domain_name(http.host.clone())
            .set_search_string(http.search.clone()),
    };
    builder.build().map_err(|error| ProviderError { kind: ErrorKind::Refused, code: None, message: error.to_string() })
}

/// A health check as Route 53 lists it; `None` when it has something that [`config`] never asks for.
fn spec(config: &HealthCheckConfig) -> Option<CheckSpec> {
    let (tls, search) = match config.r#type() {
        HealthCheckType::Tcp => (None, false),
        HealthCheckType::Http => (Some(false), false),
        HealthCheckType::HttpStrMatch => (Some(false), true),
        HealthCheckType::Https => (Some(true), false),
        HealthCheckType::HttpsStrMatch => (Some(true), true),
        _ => return None,
    };
    let is_plain = !config.inverted().unwrap_or(false)
        && !config.disabled().unwrap_or(false)
        && !config.measure_latency().unwrap_or(false)
        && config.regions().is_empty()
        && config.enable_sni().is_none_or(|sni| sni == tls.unwrap_or(false))
        && config.search_string().is_some() == search;
    let host = config.fully_qualified_domain_name().map(str::to_owned);
    let probe = match tls {
        None if host.is_some() || config.resource_path().is_some() => return None,
        None => CheckProbe::Tcp,
        Some(tls) => {
            let path = config.resource_path()?.to_owned();
            let http = HttpCheck { path, host, search: config.search_string().map(str::to_owned) };
            if tls { CheckProbe::Https(http) } else { CheckProbe::Http(http) }
        }
    };
    let check = ManagedCheck {
        probe,
        port: u16::try_from(config.port()?).ok()?,
        interval: u8::try_from(config.request_interval()?).ok()?,
        failure_threshold: u8::try_from(config.failure_threshold()?).ok()?,
    };
    let address = config.ip_address()?.parse().ok()?;
    is_plain.then_some(CheckSpec { address, check })
}

#[cfg(test)]
mod tests {
    use aws_sdk_route53::types::HealthCheckRegion;

    use super::*;

    fn https() -> CheckSpec {
        let http = HttpCheck {
            path: "/healthz?full".into(),
            host: Some("edge.example.com".into()),
            search: Some("\"ok\" & <done>".into()),
        };
        let check = ManagedCheck { probe: CheckProbe::Https(http), port: 443, interval: 10, failure_threshold: 2 };
        CheckSpec { address: "2a01:4ff:f0::1".parse().expect("an address"), check }
    }

    #[test]
    fn what_is_asked_for_is_what_is_recognised() {
        let bare = HttpCheck { path: "/".into(), host: None, search: None };
        for probe in [
            CheckProbe::Tcp,
            CheckProbe::Http(bare.clone()),
            CheckProbe::Https(bare.clone()),
            CheckProbe::Http(HttpCheck { search: Some("ok".into()), ..bare }),
            https().check.probe,
        ] {
            let asked = CheckSpec { check: ManagedCheck { probe, ..https().check }, ..https() };
            assert_eq!(spec(&config(&asked).expect("complete")), Some(asked));
        }
    }

    #[test]
    fn what_was_edited_is_not() {
        let edited = |edit: fn(&mut HealthCheckConfig)| {
            let mut config = config(&https()).expect("complete");
            edit(&mut config);
            spec(&config)
        };
        let edits: [fn(&mut HealthCheckConfig); 8] = [
            |config| config.disabled = Some(true),
            |config| config.inverted = Some(true),
            |config| config.measure_latency = Some(true),
            |config| config.enable_sni = Some(false),
            |config| config.regions = Some(vec![HealthCheckRegion::EuWest1]),
            |config| config.search_string = None,
            |config| config.resource_path = None,
            |config| config.r#type = HealthCheckType::CloudwatchMetric,
        ];
        for (number, edit) in edits.into_iter().enumerate() {
            assert_eq!(edited(edit), None, "edit {number}");
        }
        assert_ne!(edited(|config| config.port = Some(8443)), Some(https()));
        assert_eq!(edited(|config| config.disabled = Some(false)), Some(https()));
    }
}
