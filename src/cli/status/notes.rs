//! What there is to say of records below the table.

use jiff::Timestamp;

use crate::cli::render::distance;
use crate::control::protocol::{ChangeStatus, HealthCheckState, HealthCheckStatus, Intent, LastError, RecordStatus};

/// Those of which the same is to be said, together; when something happened, and which change it was, aside.
pub(super) fn alike(records: &[RecordStatus], dry_run: bool) -> Vec<Vec<&RecordStatus>> {
    let mut groups: Vec<(Vec<&RecordStatus>, Vec<String>)> = Vec::new();
    for record in records {
        let said = notes(&[&without_times(record)], Timestamp::UNIX_EPOCH, dry_run);
        match groups.iter_mut().find(|(_, of_group)| *of_group == said) {
            Some((group, _)) => group.push(record),
            None => groups.push((vec![record], said)),
        }
    }
    groups.into_iter().map(|(group, _)| group).collect()
}

fn without_times(record: &RecordStatus) -> RecordStatus {
    let mut record = record.clone();
    if let Some(change) = &mut record.last_change {
        (change.id, change.at) = (String::new(), Timestamp::UNIX_EPOCH);
    }
    let of_check = record.health_check.as_mut().and_then(|check| check.last_error.as_mut());
    for error in record.last_error.iter_mut().chain(of_check) {
        (error.at, error.retry_at) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    }
    record
}

/// Whom something is said of: a line for each name, with its types.
pub(super) fn headings(records: &[&RecordStatus]) -> Vec<String> {
    let heading = |of_name: &[&RecordStatus]| {
        let types: Vec<&str> = of_name.iter().map(|record| record.rtype.as_str()).collect();
        of_name.first().map(|record| format!("{} {}", record.name, types.join(", ")))
    };
    let mut headings: Vec<String> =
        records.chunk_by(|a, b| (&a.name, &a.zone) == (&b.name, &b.zone)).filter_map(heading).collect();
    // A name may be in two zones.
    headings.dedup();
    headings
}

/// What there is to say of records that are alike, and the table does not.
pub(super) fn notes(records: &[&RecordStatus], now: Timestamp, dry_run: bool) -> Vec<String> {
    let Some(record) = records.first() else { return Vec::new() };
    let mut notes = Vec::new();
    // Which taint or label it is that counts, the line on Kubernetes does not say; nor what is waited for.
    let says_more =
        matches!(record.reason.as_str(), "excluded" | "tainted" | "damped" | "recovering" | "pending" | "node_absent");
    let obvious = record.intent == Intent::Publish || (record.healthy && !says_more);
    if !obvious {
        notes.push(format!("why: {}", record.explanation));
    }
    if let Some(configured) = record.ttl_configured {
        notes.push(format!(
            "the TTL is {} instead of the configured {configured}, as the name's other record sets have it",
            record.ttl
        ));
    }
    let changes = records.iter().filter_map(|record| record.last_change.as_ref());
    for change in changes.filter(|change| change.status == ChangeStatus::Pending && !dry_run) {
        let note = format!(
            "change {} was accepted {} ago and is on its way to the name servers",
            change.id,
            distance(change.at, now)
        );
        // Several types may be in one batch.
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    notes.extend(record.health_check.as_ref().and_then(|check| health_check(check, record.intent, now)));
    let errors = records.iter().filter_map(|record| record.last_error.as_ref());
    if let Some(error) = errors.min_by_key(|error| error.retry_at) {
        notes.push(failure(error, now));
        notes.extend(hint(&error.kind).map(|hint| format!("hint: {hint}")));
    }
    if notes.is_empty() && !record.in_sync {
        notes.push("the record set in Route 53 is not the one wanted; the change is on its way".to_owned());
    }
    notes
}

/// What there is to say of a health check that is not attached.
fn health_check(check: &HealthCheckStatus, intent: Intent, now: Timestamp) -> Option<String> {
    let meanwhile = if intent == Intent::Publish { "; the record set is published without it" } else { "" };
    match (check.state, &check.last_error) {
        (HealthCheckState::Attached, _) => None,
        (HealthCheckState::Waiting, _) => Some(format!("the health check of {} is on its way", check.checks)),
        (HealthCheckState::Impossible, _) => {
            Some(format!("no health check: Route 53 checks only globally reachable addresses, not {}", check.checks))
        }
        (HealthCheckState::Failing, error) => {
            let why = error.as_ref().map(|error| failure(error, now)).unwrap_or_default();
            Some(format!("no health check of {}{meanwhile}: {why}", check.checks))
        }
    }
}

fn failure(error: &LastError, now: Timestamp) -> String {
    let code = error.code.as_ref().map(|code| format!("{code}: ")).unwrap_or_default();
    let retry = match error.retry_at.duration_since(now) {
        left if left.is_positive() => format!("next try in {}", distance(error.retry_at, now)),
        _ => "trying again now".to_owned(),
    };
    format!("error {} ago: {code}{} ({retry})", distance(error.at, now), error.message)
}

/// What to do about an error of this kind, where there is something to do.
fn hint(kind: &str) -> Option<&'static str> {
    match kind {
        "throttled" => Some("Route 53 limits the requests of a whole account: see what else uses it"),
        "denied" => Some("allow it to the identity whose credentials the daemon has, for this hosted zone"),
        "credentials" => Some("see where the daemon gets its AWS credentials from, and whether they have expired"),
        "no_such_zone" => Some("see the record's zone_id or zone, and to which account the credentials belong"),
        "unavailable" => Some("see whether this host reaches route53.amazonaws.com, port 443"),
        _ => None,
    }
}
