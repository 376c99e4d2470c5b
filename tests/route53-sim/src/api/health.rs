//! Health checks.

use super::{Answer, Route};
use crate::account::{Account, Now};
use crate::health::{HealthCheck, HealthCheckConfig};
use crate::model::ApiError;
use crate::xml::Writer;
use crate::{places, schema};

pub(super) fn create(account: &mut Account, body: &[u8]) -> Result<Answer, ApiError> {
    let (caller_reference, config) = schema::create_health_check(body, account.options.element_order())?;
    let (id, limit) = (account.uuid(), account.options.max_health_checks);
    let check = account.health_checks.create(id, &caller_reference, config, limit)?;
    let location = format!("https://route53.amazonaws.com/2013-04-01/healthcheck/{}", check.id);
    Ok(Answer::created(location, Writer::document("CreateHealthCheckResponse", |out| render(out, check))))
}

pub(super) fn get(account: &Account, route: &Route) -> Result<Answer, ApiError> {
    let check = account.health_checks.find(route.argument(0))?;
    Ok(Answer::ok(Writer::document("GetHealthCheckResponse", |out| render(out, check))))
}

pub(super) fn list(account: &Account, route: &Route) -> Result<Answer, ApiError> {
    let max_items = route.max_items(100, 1000)?.min(account.options.page_size.max(1));
    let marker = route.parameter("marker");
    let mut checks = account.health_checks.iter().filter(|check| marker.is_none_or(|m| check.id.as_str() >= m));
    let page: Vec<&HealthCheck> = checks.by_ref().take(max_items).collect();
    let next = checks.next();
    Ok(Answer::ok(Writer::document("ListHealthChecksResponse", |out| {
        out.element("HealthChecks", |out| page.iter().for_each(|check| render(out, check)));
        out.optional("Marker", marker);
        out.leaf("IsTruncated", next.is_some());
        out.optional("NextMarker", next.map(|check| &check.id));
        out.leaf("MaxItems", max_items);
    })))
}

pub(super) fn update(account: &mut Account, route: &Route, body: &[u8]) -> Result<Answer, ApiError> {
    let id = route.argument(0);
    account.health_checks.find(id)?;
    let update = schema::update_health_check(body, account.options.element_order())?;
    let check = account.health_checks.update(id, update)?;
    Ok(Answer::ok(Writer::document("UpdateHealthCheckResponse", |out| render(out, check))))
}

pub(super) fn delete(account: &mut Account, route: &Route) -> Result<Answer, ApiError> {
    let id = route.argument(0);
    account.health_checks.delete(id)?;
    account.tags.forget("healthcheck", id);
    Ok(Answer::ok(Writer::document("DeleteHealthCheckResponse", |_| {})))
}

pub(super) fn count(account: &Account) -> Answer {
    Answer::ok(Writer::document("GetHealthCheckCountResponse", |out| {
        out.leaf("HealthCheckCount", account.health_checks.len());
    }))
}

pub(super) fn status(account: &Account, route: &Route, now: Now) -> Result<Answer, ApiError> {
    let check = account.health_checks.find(route.argument(0))?;
    let fine = match check.config.kind.as_str() {
        "TCP" => "Success: TCP connection established",
        _ => "Success: HTTP Status Code 200, OK",
    };
    Ok(observations("GetHealthCheckStatusResponse", check, check.status.as_deref().or(Some(fine)), now))
}

/// Empty, as long as nothing has failed.
pub(super) fn last_failure_reason(account: &Account, route: &Route, now: Now) -> Result<Answer, ApiError> {
    let check = account.health_checks.find(route.argument(0))?;
    Ok(observations("GetHealthCheckLastFailureReasonResponse", check, check.status.as_deref(), now))
}

/// Two checkers in each Region that checks, all of one opinion.
fn observations(root: &str, check: &HealthCheck, status: Option<&str>, now: Now) -> Answer {
    let chosen: Vec<&str> = check.config.regions.iter().map(String::as_str).collect();
    let regions = if chosen.is_empty() { places::CHECKER_REGIONS } else { &chosen };
    Answer::ok(Writer::document(root, |out| {
        out.element("HealthCheckObservations", |out| {
            for (index, region) in
                regions.iter().enumerate().flat_map(|(i, region)| [(2 * i, region), (2 * i + 1, region)])
            {
                let Some(status) = status else { continue };
                out.element("HealthCheckObservation", |out| {
                    out.leaf("Region", region);
                    out.leaf("IPAddress", format_args!("15.177.{index}.1"));
                    out.element("StatusReport", |out| {
                        out.leaf("Status", status);
                        out.leaf("CheckedTime", format_args!("{:.3}", now.wall));
                    });
                });
            }
        });
    }))
}

/// The ranges the checkers come from, as AWS publishes them.
pub(super) fn checker_ip_ranges() -> Answer {
    const RANGES: &[&str] = &[
        "15.177.0.0/18",
        "54.183.255.128/26",
        "54.228.16.0/26",
        "54.232.40.64/26",
        "54.241.32.64/26",
        "54.243.31.192/26",
        "54.244.52.192/26",
        "54.245.168.0/26",
        "54.248.220.0/26",
        "54.250.253.192/26",
        "54.251.31.128/26",
        "54.252.79.128/26",
        "54.252.254.192/26",
        "54.255.254.192/26",
        "107.23.255.0/26",
        "176.34.159.192/26",
        "177.71.207.128/26",
    ];
    Answer::ok(Writer::document("GetCheckerIpRangesResponse", |out| {
        out.element("CheckerIpRanges", |out| RANGES.iter().for_each(|range| out.leaf("member", range)));
    }))
}

fn render(out: &mut Writer, check: &HealthCheck) {
    out.element("HealthCheck", |out| {
        out.leaf("Id", &check.id);
        out.leaf("CallerReference", &check.caller_reference);
        out.element("HealthCheckConfig", |out| render_config(out, &check.config));
        out.leaf("HealthCheckVersion", check.version);
    });
}

fn render_config(out: &mut Writer, config: &HealthCheckConfig) {
    out.optional("IPAddress", config.ip_address.as_ref());
    out.optional("Port", config.port);
    out.leaf("Type", &config.kind);
    out.optional("ResourcePath", config.resource_path.as_ref());
    out.optional("FullyQualifiedDomainName", config.fully_qualified_domain_name.as_ref());
    out.optional("SearchString", config.search_string.as_ref());
    out.optional("RequestInterval", config.request_interval);
    out.optional("FailureThreshold", config.failure_threshold);
    out.optional("MeasureLatency", config.measure_latency);
    out.optional("Inverted", config.inverted);
    out.optional("Disabled", config.disabled);
    out.optional("HealthThreshold", config.health_threshold);
    if !config.child_health_checks.is_empty() {
        out.element("ChildHealthChecks", |out| {
            config.child_health_checks.iter().for_each(|id| out.leaf("ChildHealthCheck", id));
        });
    }
    out.optional("EnableSNI", config.enable_sni);
    if !config.regions.is_empty() {
        out.element("Regions", |out| config.regions.iter().for_each(|region| out.leaf("Region", region)));
    }
    if let Some((region, name)) = &config.alarm {
        out.element("AlarmIdentifier", |out| {
            out.leaf("Region", region);
            out.leaf("Name", name);
        });
    }
    out.optional("InsufficientDataHealthStatus", config.insufficient_data_health_status.as_ref());
    out.optional("RoutingControlArn", config.routing_control_arn.as_ref());
}
