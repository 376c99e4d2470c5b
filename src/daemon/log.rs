//! What happened, in the log: one line each, with fields for the journal.

use std::net::IpAddr;

use crate::config::Problems;
use crate::decide::engine::Notice;
use crate::decide::provider::ErrorKind;
use crate::decide::reason::Reason;
use crate::decide::record::{Action, RecordType};
use crate::decide::survivors::Outlook;

pub(super) fn notice(notice: &Notice) {
    match notice {
        Notice::Intent { target, rtype, intent, reason, desired } => {
            let (record, zone, addresses) = (&target.name, &target.zone, list(desired));
            // That something is not known is told, with its cause, by whoever failed to find it out.
            if matches!(
                reason,
                Reason::PoolUnknown
                    | Reason::AddressesUnknown
                    | Reason::NodeUnknown
                    | Reason::DrainUnknown
                    | Reason::AddressUnconfirmed
            ) {
                tracing::debug!(%record, r#type = %rtype, %zone, intent, reason = reason.as_str(), addresses, "{record} {rtype}: {reason}");
            } else if *intent == "hold" {
                tracing::warn!(%record, r#type = %rtype, %zone, intent, reason = reason.as_str(), addresses, "{record} {rtype}: {intent}: {reason}");
            } else {
                tracing::info!(%record, r#type = %rtype, %zone, intent, reason = reason.as_str(), addresses, "{record} {rtype}: {intent}: {reason}");
            }
        }
        Notice::TtlAdopted { target, rtype, configured, pool } => {
            let record = &target.name;
            tracing::warn!(%record, r#type = %rtype, ttl = pool, "{record} {rtype}: the pool's TTL of {pool} s is used instead of {configured} s, as a weighted pool has one TTL");
        }
        Notice::Applied { target, changes, id } => {
            let (record, zone, change) = (&target.name, &target.zone, &id.0);
            let told: Vec<_> = changes.iter().map(describe).collect();
            tracing::info!(%record, %zone, change, "{record}: {}", told.join(", "));
        }
        Notice::InSync { target, id, took } => {
            let (record, change) = (&target.name, &id.0);
            tracing::debug!(%record, change, took_seconds = took.as_secs_f64(), "{record}: change {change} is on every authoritative server");
        }
        Notice::Drift { target, rtype, expected, found } => {
            let record = &target.name;
            let (expected, found) = (list(expected), list(found));
            // The same addresses: then it is the routing, the TTL or the health check that differs.
            let what = if expected == found { "but not its addresses" } else { "and its addresses" };
            tracing::warn!(%record, r#type = %rtype, expected, found, "{record} {rtype}: somebody else changed our record set, {what}: [{expected}] -> [{found}]");
        }
        Notice::Failed { target, operation, error, retry_in } => {
            let (record, zone, kind) = (&target.name, &target.zone, error.kind.as_str());
            let code = error.code.as_deref().unwrap_or_default();
            let seconds = retry_in.as_secs_f64();
            // "Failed" would claim to know what became of a request that was never answered.
            let outcome = if error.kind == ErrorKind::Unconfirmed { "could not confirm the change" } else { operation };
            let error = error.to_string().replace('\n', "; ");
            tracing::warn!(%record, %zone, operation, kind, code, retry_in_seconds = seconds, "{record}: {outcome}: {error}; next try in {seconds:.1} s");
        }
        Notice::Recovered { target, failures } => {
            let record = &target.name;
            tracing::info!(%record, failures, "{record}: works again after {failures} failed tries");
        }
        Notice::AnnotationMistaken { mistake } => {
            tracing::warn!(annotation = mistake.key, value = mistake.value, "{mistake}");
        }
        Notice::DrainEnded => {
            tracing::info!("the time of the drain is over; the node comes back");
        }
        Notice::HealthCheckCreated { target, rtype, id, spec } => {
            let record = &target.name;
            tracing::info!(%record, r#type = %rtype, health_check = id, checks = %spec, "{record} {rtype}: created health check {id} of {spec}");
        }
        Notice::HealthCheckDeleted { target, rtype, id } => {
            let record = &target.name;
            tracing::info!(%record, r#type = %rtype, health_check = id, "{record} {rtype}: deleted health check {id}, which nothing refers to any more");
        }
        Notice::HealthCheckDrift { target, rtype, id, gone } => {
            let record = &target.name;
            let what = if *gone { "deleted" } else { "edited" };
            tracing::warn!(%record, r#type = %rtype, health_check = id, gone, "{record} {rtype}: somebody else {what} health check {id}; it is replaced");
        }
        Notice::Survivors(outlook) => {
            let state = outlook.as_str();
            match outlook {
                // Why it is not known is told by whoever failed to find it out.
                Outlook::Unknown => tracing::debug!(state, "{outlook}"),
                Outlook::Watching { .. } => tracing::info!(state, "survivors: {outlook}"),
                Outlook::NotFit => tracing::warn!(state, "survivors: {outlook}, so it removes no other"),
                Outlook::Frozen { .. } => tracing::warn!(state, "{outlook}"),
            }
        }
        Notice::Removed { target, rtype, set_identifier, addresses, down_for, id } => {
            let (record, zone, change, addresses) = (&target.name, &target.zone, &id.0, list(addresses));
            let seconds = down_for.as_secs();
            tracing::warn!(%record, r#type = %rtype, %zone, change, %set_identifier, addresses, down_seconds = seconds, "{record} {rtype}: removed {set_identifier} ({addresses}), whose node has been not Ready or gone for {seconds} s");
        }
        Notice::DeadKept { target, rtype, reason } => {
            let (record, zone) = (&target.name, &target.zone);
            tracing::warn!(%record, r#type = %rtype, %zone, reason = reason.as_str(), "{record} {rtype}: record sets of dead nodes stay: {reason}");
        }
        Notice::Unmanaged { target } => {
            let record = &target.name;
            tracing::warn!(%record, "{record}: no longer configured; its record sets stay until someone deletes them");
        }
    }
}

pub(super) fn problems(problems: &Problems) {
    for problem in problems.iter() {
        tracing::error!("reload refused: {}", problem.to_string().replace('\n', ";"));
    }
}

fn describe((action, rtype, addresses): &(Action, RecordType, Vec<IpAddr>)) -> String {
    format!("{} {rtype} {}", action.as_str(), list(addresses))
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
