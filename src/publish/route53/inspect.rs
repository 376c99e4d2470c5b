//! What Route 53 and STS say of an identity and of a hosted zone: for `nodedns check`.
//!
//! Nothing here changes anything. The rights to change are tried in [`super::rights`].

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_route53::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_route53::error::BoxError;
use aws_sdk_route53::primitives::{DateTime, DateTimeFormat};
use aws_sdk_route53::types::{AccountLimitType, HostedZoneLimitType};
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;

use crate::decide::name::DnsName;
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::decide::record::Listing;
use crate::publish::route53::Route53;
use crate::publish::route53::error::Request;
use crate::publish::route53::list::AtName;
use crate::publish::zone::{HostedZone, bare_id};

/// Who the credentials belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account, twelve digits.
    pub account: String,
    /// The user or the assumed role.
    pub arn: String,
}

/// What a service said of the time, whatever else it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerTime {
    /// Since 1970-01-01 00:00 UTC, in whole seconds: the `Date` of an answer has no more.
    pub since_epoch: Duration,
}

/// A hosted zone, and who serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneDetails {
    /// Id, name and kind.
    pub zone: HostedZone,
    /// The name servers that Route 53 has given the zone; none for a private one.
    pub name_servers: BTreeSet<DnsName>,
    /// How many record sets it holds, SOA and NS among them.
    pub record_sets: u64,
    /// The AWS service that made the zone, which only that service can change.
    pub linked_service: Option<String>,
}

/// How much of something there is, and how much there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many there are.
    pub used: u64,
    /// How many there may be.
    pub allowed: u64,
}

impl Limit {
    /// Whether four fifths are used up, or more.
    pub fn is_near(self) -> bool {
        self.used.saturating_mul(5) >= self.allowed.saturating_mul(4)
    }
}

impl Route53 {
    /// Whose credentials these are, and what STS said of the time: the latter also where it refuses
    /// the credentials, which is what it does when this host's clock is wrong. Needs no right.
    ///
    /// Where `route53.endpoint_url` names another service than AWS's, it is asked for this too.
    pub async fn caller(&self) -> (Result<Caller, ProviderError>, Option<ServerTime>) {
        let date = DateOfAnswer::default();
        let seen = date.clone();
        let answer = self
            .send_by(Request::Caller, |connection| async move {
                connection.sts().get_caller_identity().customize().interceptor(seen).send().await
            })
            .await;
        let caller = answer.and_then(|answer| match (answer.account(), answer.arn()) {
            (Some(account), Some(arn)) => Ok(Caller { account: account.to_owned(), arn: arn.to_owned() }),
            _ => Err(incomplete("the answer to GetCallerIdentity names nobody")),
        });
        (caller, date.time())
    }

    /// What there is to know of a hosted zone. Needs `route53:GetHostedZone`.
    ///
    /// # Errors
    /// As every request; also for a zone whose name we could not publish in.
    pub async fn zone_details(&self, zone_id: &str) -> Result<ZoneDetails, ProviderError> {
        let answer = self.send(Request::Zone, |client| client.get_hosted_zone().id(bare_id(zone_id)).send()).await?;
        let Some(zone) = answer.hosted_zone().filter(|zone| !zone.name().is_empty()) else {
            return Err(incomplete("the answer to GetHostedZone holds no zone"));
        };
        let name = DnsName::parse(zone.name())
            .map_err(|error| incomplete(&format!("the zone {zone_id} is called '{}': {error}", zone.name())))?;
        let servers = answer.delegation_set().map(|set| set.name_servers()).unwrap_or_default();
        Ok(ZoneDetails {
            zone: HostedZone {
                id: bare_id(zone.id()).to_owned(),
                name,
                private: zone.config().is_some_and(|config| config.private_zone()),
            },
            name_servers: servers.iter().filter_map(|server| DnsName::parse(server).ok()).collect(),
            record_sets: zone.resource_record_set_count().and_then(|count| count.try_into().ok()).unwrap_or_default(),
            linked_service: zone.linked_service().and_then(|service| service.service_principal()).map(str::to_owned),
        })
    }

    /// The other public zones of the same name in the account. Needs `route53:ListHostedZonesByName`, and
    /// `route53:GetHostedZone` for each.
    ///
    /// # Errors
    /// As every request.
    pub async fn twins(&self, zone: &HostedZone) -> Result<Vec<ZoneDetails>, ProviderError> {
        let mut twins = Vec::new();
        for twin in self.hosted_zones(&Some(zone.name.clone())).await? {
            if !twin.private && twin.id != zone.id {
                twins.push(self.zone_details(&twin.id).await?);
            }
        }
        Ok(twins)
    }

    /// How many record sets the zone holds, and may hold. Needs `route53:GetHostedZoneLimit`.
    ///
    /// # Errors
    /// As every request.
    pub async fn zone_limit(&self, zone_id: &str) -> Result<Limit, ProviderError> {
        let answer = self
            .send(Request::ZoneLimit, |client| {
                client
                    .get_hosted_zone_limit()
                    .hosted_zone_id(bare_id(zone_id))
                    .r#type(HostedZoneLimitType::MaxRrsetsByZone)
                    .send()
            })
            .await?;
        limit(answer.limit().map(|limit| limit.value()), answer.count(), "GetHostedZoneLimit")
    }

    /// How many health checks the account has, and may have. Needs `route53:GetAccountLimit`.
    ///
    /// # Errors
    /// As every request.
    pub async fn health_check_limit(&self) -> Result<Limit, ProviderError> {
        let answer = self
            .send(Request::AccountLimit, |client| {
                client.get_account_limit().r#type(AccountLimitType::MaxHealthChecksByOwner).send()
            })
            .await?;
        limit(answer.limit().map(|limit| limit.value()), answer.count(), "GetAccountLimit")
    }

    /// What a name of the zone holds, and whether it has name servers of its own: unless it is the zone's,
    /// that gives the name and all below it away. Needs `route53:ListResourceRecordSets`.
    ///
    /// # Errors
    /// As every request.
    pub async fn at_name(&self, zone_id: &str, name: &DnsName) -> Result<(Listing, bool), ProviderError> {
        let read = self.read(zone_id, AtName::new(zone_id, name)).await?;
        let has_name_servers = read.has_name_servers();
        Ok((read.listing(), has_name_servers))
    }
}

/// The names below `zone` down to `name`, the shortest first: those that the zone could give away.
pub fn between(zone: &DnsName, name: &DnsName) -> Vec<DnsName> {
    let mut names = Vec::new();
    let mut rest = name.as_str();
    while let Ok(name) = DnsName::parse(rest) {
        if name == *zone || !name.is_within(zone) {
            break;
        }
        names.push(name);
        // A dot within a label is written as an escape.
        rest = rest.split_once('.').map_or("", |(_, rest)| rest);
    }
    names.reverse();
    names
}

fn limit(allowed: Option<i64>, used: i64, operation: &str) -> Result<Limit, ProviderError> {
    let number = |number: i64| u64::try_from(number).ok();
    match (allowed.and_then(number), number(used)) {
        // The SDK fills in a zero for a limit that is missing.
        (Some(allowed @ 1..), Some(used)) => Ok(Limit { used, allowed }),
        _ => Err(incomplete(&format!("the answer to {operation} holds no limit"))),
    }
}

fn incomplete(why: &str) -> ProviderError {
    ProviderError { kind: ErrorKind::Unavailable, code: None, message: why.to_owned() }
}

/// Reads the `Date` off an answer, whether it is a good one or an error.
#[derive(Debug, Clone, Default)]
struct DateOfAnswer {
    seen: Arc<Mutex<Option<ServerTime>>>,
}

impl DateOfAnswer {
    fn time(&self) -> Option<ServerTime> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for DateOfAnswer {
    fn name(&self) -> &'static str {
        "DateOfAnswer"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let time = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        let since_epoch = time.and_then(|time| u64::try_from(time.secs()).ok()).map(Duration::from_secs);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            since_epoch.map(|since_epoch| ServerTime { since_epoch });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_a_zone_and_a_name_lies_every_name_that_could_be_given_away() {
        let name = |text: &str| DnsName::parse(text).expect(text);
        let all = |zone: &str, at: &str| -> Vec<String> {
            between(&name(zone), &name(at)).iter().map(ToString::to_string).collect()
        };
        assert_eq!(all("example.com", "example.com"), [""; 0]);
        assert_eq!(all("example.com", "edge.example.com"), ["edge.example.com"]);
        assert_eq!(
            all("example.com", "*.a\\056b.edge.example.com"),
            ["edge.example.com", "a\\056b.edge.example.com", "*.a\\056b.edge.example.com"]
        );
        assert_eq!(all("example.com", "edge.example.org"), [""; 0]);
        assert_eq!(all("example.com", "badexample.com"), [""; 0]);
    }

    #[test]
    fn a_limit_is_near_from_four_fifths_on() {
        for (used, allowed, near) in
            [(79, 100, false), (80, 100, true), (101, 100, true), (0, 1, false), (23, 30, false), (24, 30, true)]
        {
            assert_eq!(Limit { used, allowed }.is_near(), near, "{used} of {allowed}");
        }
        assert!(limit(Some(0), 0, "GetHostedZoneLimit").is_err());
        assert!(limit(None, 5, "GetHostedZoneLimit").is_err());
        assert_eq!(limit(Some(10_000), 2, "GetHostedZoneLimit"), Ok(Limit { used: 2, allowed: 10_000 }));
    }
}
