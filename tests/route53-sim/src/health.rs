//! Health checks: what may be created, changed, and asked about them. No endpoint is ever contacted; a test says what
//! the checkers see.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use crate::model::ApiError;
use crate::texts::{self, unverified};

/// The settings of a health check, with the service's defaults filled in once it exists.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct HealthCheckConfig {
    /// Address of the endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// 1 to 65535.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i64>,
    /// `HTTP`, `HTTPS`, `TCP`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// Path and query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_path: Option<String>,
    /// Name of the endpoint, or the `Host` header when there is an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fully_qualified_domain_name: Option<String>,
    /// What the answer must contain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_string: Option<String>,
    /// 10 or 30 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_interval: Option<i64>,
    /// 1 to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_threshold: Option<i64>,
    /// Whether latency is measured, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measure_latency: Option<bool>,
    /// Healthy means unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inverted: Option<bool>,
    /// Always healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// How many children must be healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_threshold: Option<i64>,
    /// Of a calculated health check.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub child_health_checks: Vec<String>,
    /// Whether the name goes into the TLS handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_sni: Option<bool>,
    /// Where the checkers sit, if not everywhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// Region and name of a CloudWatch alarm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm: Option<(String, String)>,
    /// What a lack of data means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insufficient_data_health_status: Option<String>,
    /// Of a recovery control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing_control_arn: Option<String>,
}

/// A health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthCheck {
    /// In the form of a UUID.
    pub id: String,
    /// What the creator called the request.
    pub caller_reference: String,
    /// 1, and one more with each update.
    pub version: i64,
    /// As it is now.
    pub config: HealthCheckConfig,
    /// What the checkers report; none has failed yet, if absent.
    pub status: Option<String>,
    /// What repeating the creation is compared with.
    #[serde(skip)]
    created_as: HealthCheckConfig,
}

/// The account's health checks.
#[derive(Debug, Default)]
pub struct HealthChecks {
    checks: BTreeMap<String, HealthCheck>,
    /// Caller references of deleted health checks; the service remembers them for days.
    forgotten: BTreeSet<String>,
}

/// An update: what is given replaces what is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HealthCheckUpdate {
    /// Refuse unless this is the version.
    pub version: Option<i64>,
    /// The new values; type, interval and latency measurement cannot change.
    pub config: HealthCheckConfig,
    /// Elements that go back to their default.
    pub reset: Vec<String>,
}

impl HealthChecks {
    /// A health check.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&HealthCheck> {
        self.checks.get(id)
    }

    /// A health check, as a caller may see it.
    ///
    /// # Errors
    /// NoSuchHealthCheck.
    pub fn find(&self, id: &str) -> Result<&HealthCheck, ApiError> {
        self.checks.get(id).ok_or_else(|| texts::no_such_health_check(id))
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &HealthCheck> {
        self.checks.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.checks.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }

    /// Says what the checkers report from now on, and whether there is such a health check.
    pub fn report(&mut self, id: &str, status: Option<String>) -> bool {
        self.checks.get_mut(id).map(|check| check.status = status).is_some()
    }

    /// CreateHealthCheck. `id` is taken if a new one is made.
    ///
    /// # Errors
    /// InvalidInput, HealthCheckAlreadyExists, TooManyHealthChecks.
    pub fn create(
        &mut self,
        id: String,
        caller_reference: &str,
        config: HealthCheckConfig,
        limit: usize,
    ) -> Result<&HealthCheck, ApiError> {
        check(&config)?;
        if self.forgotten.contains(caller_reference) {
            return Err(texts::health_check_already_exists());
        }
        let config = with_defaults(config);
        let same = self.checks.values().find(|check| check.caller_reference == caller_reference);
        if let Some(existing) = same.map(|check| check.id.clone()) {
            let existing = self.find(&existing)?;
            return if existing.created_as == config {
                Ok(existing)
            } else {
                Err(texts::health_check_already_exists())
            };
        }
        if self.checks.len() >= limit {
            return Err(unverified::too_many_health_checks(limit));
        }
        let check = HealthCheck {
            id: id.clone(),
            caller_reference: caller_reference.to_owned(),
            version: 1,
            created_as: config.clone(),
            config,
            status: None,
        };
        Ok(self.checks.entry(id).or_insert(check))
    }

    /// UpdateHealthCheck.
    ///
    /// # Errors
    /// NoSuchHealthCheck, HealthCheckVersionMismatch, InvalidInput.
    pub fn update(&mut self, id: &str, update: HealthCheckUpdate) -> Result<&HealthCheck, ApiError> {
        let current = self.checks.get_mut(id).ok_or_else(|| texts::no_such_health_check(id))?;
        if update.version.is_some_and(|version| version != current.version) {
            return Err(unverified::health_check_version_mismatch());
        }
        let config = merged(current.config.clone(), update);
        check(&config)?;
        current.config = config;
        current.version += 1;
        Ok(current)
    }

    /// DeleteHealthCheck. Record sets may still refer to it.
    ///
    /// # Errors
    /// NoSuchHealthCheck.
    pub fn delete(&mut self, id: &str) -> Result<(), ApiError> {
        let deleted = self.checks.remove(id).ok_or_else(|| texts::no_such_health_check(id))?;
        self.forgotten.insert(deleted.caller_reference);
        Ok(())
    }
}

fn is_endpoint(kind: &str) -> bool {
    matches!(kind, "HTTP" | "HTTPS" | "HTTP_STR_MATCH" | "HTTPS_STR_MATCH" | "TCP")
}

fn with_defaults(mut config: HealthCheckConfig) -> HealthCheckConfig {
    config.inverted.get_or_insert(false);
    config.disabled.get_or_insert(false);
    if is_endpoint(&config.kind) {
        let tls = config.kind.starts_with("HTTPS");
        if config.kind != "TCP" {
            config.port.get_or_insert(if tls { 443 } else { 80 });
        }
        config.request_interval.get_or_insert(30);
        config.failure_threshold.get_or_insert(3);
        config.measure_latency.get_or_insert(false);
        config.enable_sni.get_or_insert(tls);
    }
    config
}

fn merged(mut config: HealthCheckConfig, update: HealthCheckUpdate) -> HealthCheckConfig {
    for element in &update.reset {
        match element.as_str() {
            "FullyQualifiedDomainName" => config.fully_qualified_domain_name = None,
            "ResourcePath" => config.resource_path = None,
            "Regions" => config.regions.clear(),
            "ChildHealthChecks" => config.child_health_checks.clear(),
            _ => {}
        }
    }
    let new = update.config;
    let HealthCheckConfig { kind, request_interval, measure_latency, .. } = config;
    let list = |new: Vec<String>, old| if new.is_empty() { old } else { new };
    HealthCheckConfig {
        kind,
        request_interval,
        measure_latency,
        ip_address: new.ip_address.or(config.ip_address),
        port: new.port.or(config.port),
        resource_path: new.resource_path.or(config.resource_path),
        fully_qualified_domain_name: new.fully_qualified_domain_name.or(config.fully_qualified_domain_name),
        search_string: new.search_string.or(config.search_string),
        failure_threshold: new.failure_threshold.or(config.failure_threshold),
        inverted: new.inverted.or(config.inverted),
        disabled: new.disabled.or(config.disabled),
        health_threshold: new.health_threshold.or(config.health_threshold),
        child_health_checks: list(new.child_health_checks, config.child_health_checks),
        enable_sni: new.enable_sni.or(config.enable_sni),
        regions: list(new.regions, config.regions),
        alarm: new.alarm.or(config.alarm),
        insufficient_data_health_status: new.insufficient_data_health_status.or(config.insufficient_data_health_status),
        routing_control_arn: new.routing_control_arn.or(config.routing_control_arn),
    }
}

/// What the schema does not say about a configuration.
fn check(config: &HealthCheckConfig) -> Result<(), ApiError> {
    let kind = config.kind.as_str();
    let refuse = |message: String| Err(ApiError::invalid_input(message));
    if let Some(text) = &config.ip_address {
        match text.parse::<IpAddr>() {
            Err(_) => return refuse(unverified::bad_ip_address(text)),
            Ok(IpAddr::V4(address)) if is_forbidden_v4(address) => {
                return refuse(texts::forbidden_address(4, text));
            }
            Ok(IpAddr::V6(address)) if is_forbidden_v6(address) => {
                return refuse(texts::forbidden_address(6, text));
            }
            Ok(_) => {}
        }
    }
    let needs_string = kind.ends_with("_STR_MATCH");
    let missing = match kind {
        "CALCULATED" if config.health_threshold.is_none() => Some("HealthThreshold"),
        "CLOUDWATCH_METRIC" if config.alarm.is_none() => Some("AlarmIdentifier"),
        "RECOVERY_CONTROL" if config.routing_control_arn.is_none() => Some("RoutingControlArn"),
        "TCP" if config.port.is_none() => Some("Port"),
        _ if needs_string && config.search_string.as_ref().is_none_or(String::is_empty) => Some("SearchString"),
        _ => None,
    };
    if let Some(field) = missing {
        return refuse(unverified::health_check_needs(kind, field));
    }
    let endpoint = is_endpoint(kind);
    if endpoint && config.ip_address.is_none() && config.fully_qualified_domain_name.is_none() {
        return refuse(texts::NO_ADDRESS_AND_NO_DOMAIN.to_owned());
    }
    let superfluous = [
        (config.search_string.is_some() && !needs_string, "SearchString"),
        (config.resource_path.is_some() && (kind == "TCP" || !endpoint), "ResourcePath"),
        (config.port.is_some() && !endpoint, "Port"),
        (config.ip_address.is_some() && !endpoint, "IPAddress"),
        (config.fully_qualified_domain_name.is_some() && !endpoint, "FullyQualifiedDomainName"),
    ];
    match superfluous.into_iter().find(|(given, _)| *given) {
        Some((_, field)) => refuse(unverified::health_check_must_not_have(kind, field)),
        None => Ok(()),
    }
}

/// Private, reserved and documentation ranges.
fn is_forbidden_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || (a, b, c) == (192, 0, 0)
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
}

fn is_forbidden_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.to_ipv4_mapped().is_some()
        || (first, second) == (0x2001, 0x0db8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn https() -> HealthCheckConfig {
        HealthCheckConfig { kind: "HTTPS".to_owned(), ip_address: Some("8.8.8.8".to_owned()), ..Default::default() }
    }

    #[test]
    fn a_caller_reference_stands_for_one_health_check_for_ever() {
        let mut checks = HealthChecks::default();
        assert_eq!(checks.create("a".to_owned(), "ref", https(), 200).unwrap().id, "a");
        assert_eq!(checks.create("b".to_owned(), "ref", https(), 200).unwrap().id, "a");
        let explicit = HealthCheckConfig { port: Some(443), ..https() };
        assert_eq!(checks.create("b".to_owned(), "ref", explicit, 200).unwrap().id, "a");
        let other = HealthCheckConfig { port: Some(8443), ..https() };
        let taken = texts::health_check_already_exists();
        assert_eq!(checks.create("b".to_owned(), "ref", other, 200).unwrap_err(), taken);
        checks.delete("a").unwrap();
        assert_eq!(checks.create("b".to_owned(), "ref", https(), 200).unwrap_err(), taken);
        assert_eq!(checks.delete("a").unwrap_err().code, "NoSuchHealthCheck");
    }

    #[test]
    fn addresses_nobody_can_check_are_forbidden() {
        for address in ["10.0.0.10", "203.0.113.10", "100.64.0.1", "127.0.0.1", "169.254.0.1", "0.1.2.3", "240.0.0.1"] {
            let config = HealthCheckConfig { ip_address: Some(address.to_owned()), ..https() };
            assert_eq!(check(&config).unwrap_err().message, format!("IPv4 address {address} is forbidden"));
        }
        for address in ["2001:db8::1", "fd00::1", "fe80::1", "::1", "::ffff:8.8.8.8"] {
            let config = HealthCheckConfig { ip_address: Some(address.to_owned()), ..https() };
            assert_eq!(check(&config).unwrap_err().message, format!("IPv6 address {address} is forbidden"));
        }
        for address in ["8.8.8.8", "100.128.0.1", "198.20.0.1", "2001:4860:4860::8888"] {
            check(&HealthCheckConfig { ip_address: Some(address.to_owned()), ..https() }).unwrap();
        }
    }

    #[test]
    fn an_update_goes_through_the_same_checks_and_counts_the_version() {
        let mut checks = HealthChecks::default();
        checks.create("a".to_owned(), "ref", https(), 200).unwrap();
        let update = HealthCheckUpdate {
            version: Some(1),
            config: HealthCheckConfig { ip_address: Some("8.8.4.4".to_owned()), ..Default::default() },
            reset: Vec::new(),
        };
        let updated = checks.update("a", update.clone()).unwrap();
        assert_eq!((updated.version, updated.config.ip_address.as_deref()), (2, Some("8.8.4.4")));
        assert_eq!(updated.config.kind, "HTTPS");
        assert_eq!(checks.update("a", update).unwrap_err().code, "HealthCheckVersionMismatch");
        let forbidden = HealthCheckUpdate {
            config: HealthCheckConfig { ip_address: Some("10.0.0.1".to_owned()), ..Default::default() },
            ..Default::default()
        };
        assert_eq!(checks.update("a", forbidden).unwrap_err().message, "IPv4 address 10.0.0.1 is forbidden");
        assert_eq!(checks.find("a").unwrap().config.ip_address.as_deref(), Some("8.8.4.4"));
    }
}
