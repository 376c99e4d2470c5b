//! The health check of a record, by Route 53's rules.

use std::time::Duration;

use super::{Judge, number};
use crate::config::host_name;
use crate::config::path::Path;
use crate::config::raw::{Addresses, CheckType, Class, RawHealthCheck, RawRecord};
use crate::decide::health_check::{CheckProbe, HealthCheck, HttpCheck, ManagedCheck};

/// The longest path, host and search string. Source: Route 53 API reference, HealthCheckConfig.
const TEXT_MAX: usize = 255;

/// The intervals that there are, in seconds, the default first. Source: as above.
const INTERVALS: [u8; 2] = [30, 10];

/// The default of Route 53.
const FAILURE_THRESHOLD: i64 = 3;

/// The health check to attach, an existing one or a managed one; `None` also when what is there
/// does not make one, which is then reported.
pub(super) fn health_check(table: &RawRecord, path: &Path, judge: &mut Judge<'_>) -> Option<HealthCheck> {
    let existing = existing(table, path, judge);
    let Some(managed) = &table.health_check else { return existing.map(HealthCheck::Existing) };
    let path = path.key("health_check");
    if table.health_check_id.is_some() {
        judge.complain(&path, "'health_check_id' already says which health check it is; remove one of them");
    }
    if table.addresses == Addresses::All {
        judge.advise(
            &path,
            "a health check asks one address, and addresses = \"all\" publishes several in one record set",
            "set addresses = \"first\"",
        );
    }
    if !matches!(table.class, Class::Global | Class::Any) {
        judge.advise(
            &path,
            "Route 53 checks no private addresses, and this record's class asks for them",
            "remove it; or attach a health check of a CloudWatch alarm with 'health_check_id'",
        );
    }
    managed_check(managed, &path, judge).map(HealthCheck::Managed)
}

fn existing(table: &RawRecord, path: &Path, judge: &mut Judge<'_>) -> Option<String> {
    let id = table.health_check_id.as_ref()?;
    // 64 is the API model's limit; the ids are UUIDs.
    if id.is_empty() || id.len() > 64 || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        judge.advise(
            &path.key("health_check_id"),
            format!("{id:?} is not a health check id"),
            "it looks like \"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\"",
        );
    }
    Some(id.clone())
}

fn managed_check(table: &RawHealthCheck, path: &Path, judge: &mut Judge<'_>) -> Option<ManagedCheck> {
    let seconds = table.interval.map_or(Duration::from_secs(u64::from(INTERVALS[0])), |span| span.0);
    let interval = INTERVALS.into_iter().find(|known| Duration::from_secs(u64::from(*known)) == seconds);
    if interval.is_none() {
        judge.complain(&path.key("interval"), "Route 53 has \"30s\" and \"10s\" and nothing else");
    }
    let threshold = table.failure_threshold.unwrap_or(FAILURE_THRESHOLD);
    let failure_threshold = number(threshold, 1, 10, &path.key("failure_threshold"), judge);
    let port = |default: i64, judge: &mut Judge<'_>| {
        number::<u16>(table.port.unwrap_or(default), 1, 65535, &path.key("port"), judge)
    };
    let Some(kind) = table.kind else {
        if !judge.is_broken(&path.key("type")) {
            judge.advise(path, "a health check needs a 'type'", "it is \"tcp\", \"http\" or \"https\"");
        }
        return None;
    };
    let (probe, port) = match kind {
        CheckType::Tcp => {
            for (key, present) in
                [("path", table.path.is_some()), ("host", table.host.is_some()), ("search", table.search.is_some())]
            {
                if present {
                    judge
                        .complain(&path.key(key), "belongs to a health check of type http or https; this one's is tcp");
                }
            }
            if table.port.is_none() && !judge.is_broken(&path.key("port")) {
                judge.advise(path, "a health check of type tcp needs a 'port'", "for example port = 443");
            }
            (CheckProbe::Tcp, port(443, judge))
        }
        CheckType::Http => (CheckProbe::Http(http(table, path, judge)), port(80, judge)),
        CheckType::Https => (CheckProbe::Https(http(table, path, judge)), port(443, judge)),
    };
    Some(ManagedCheck { probe, port, interval: interval?, failure_threshold })
}

fn http(table: &RawHealthCheck, path: &Path, judge: &mut Judge<'_>) -> HttpCheck {
    let request = table.path.clone().unwrap_or_else(|| "/".to_owned());
    if !request.starts_with('/') || request.len() > TEXT_MAX || !request.bytes().all(|b| b.is_ascii_graphic()) {
        judge.advise(
            &path.key("path"),
            format!("{request:?} is not a path"),
            "it starts with a slash, and is up to 255 characters without blanks, like \"/healthz\"",
        );
    }
    let host = table.host.as_ref().map(|text| {
        let bare = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        match host_name::parse(&bare) {
            Ok(_) if bare.contains('*') => {
                judge.complain(&path.key("host"), format!("{text:?} is a wildcard, which no server is asked for"));
            }
            Ok(_) => {}
            Err(refused) => judge.report(&path.key("host"), refused.message, refused.hint.map(str::to_owned)),
        }
        bare
    });
    if let Some(text) = &table.search
        && (text.is_empty() || text.chars().count() > TEXT_MAX || text.chars().any(char::is_control))
    {
        judge.complain(&path.key("search"), "it must have 1 to 255 characters, and no control characters");
    }
    HttpCheck { path: request, host, search: table.search.clone() }
}
