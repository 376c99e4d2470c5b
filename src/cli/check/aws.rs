//! AWS: whose the credentials are, the clock, what they may read, and the hosted zones.

use std::cell::RefCell;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::cli::check::findings::{Finding, Findings, NoAnswer, Section};
use crate::cli::check::ids::Id;
use crate::cli::check::reader::Reader;
use crate::cli::check::{Scene, dns, names};
use crate::cli::operate::patiently_while;
use crate::config::RecordTemplate;
use crate::decide::name::DnsName;
use crate::decide::policy::{Policy, RecordPolicy};
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::decide::record::ZoneRef;
use crate::publish::route53::Route53;
use crate::publish::route53::files::{HandedOver, handed_over};
use crate::publish::route53::inspect::{Limit, ServerTime, ZoneDetails};
use crate::publish::route53::rights::Right;
use crate::watch::clock;

/// A signature is good for five minutes either way. From here on the clock is a matter of time.
const CLOCK_WARNING: SignedDuration = SignedDuration::from_mins(1);

/// From here on a request that waits a little is refused.
const CLOCK_FAILED: SignedDuration = SignedDuration::from_mins(4);

const ZONE_REMEDY: &str = "mend zone_id, or leave it out to have the zone looked up by the record's name";

const CLOCK_REMEDY: &str = "keep the clock right, e.g. with systemd-timesyncd or chrony; 'timedatectl' says how it is";

/// Checks everything that Route 53, STS and resolvers can say.
pub async fn check(scene: &Scene<'_>, provider: &Route53, findings: &mut Findings<'_>) {
    findings.begin(Section::Aws);
    files().into_iter().for_each(|finding| findings.add(finding));
    if !identity(provider, findings).await {
        let why = "the credentials were not accepted";
        findings.add(Finding::skipped(Id::GetChange, "route53:GetChange", why));
        findings.begin(Section::HostedZones);
        findings.add(Finding::skipped(Id::Zone, "hosted zones", why));
        findings.begin(Section::Names);
        findings.add(Finding::skipped(Id::RecordSets, "names", why));
        return;
    }
    get_change(provider, findings).await;
    if scene.config.records.iter().any(has_managed_check) {
        health_checks(provider, findings).await;
    }
    match &scene.policy {
        Ok(policy) => zones_and_names(scene, policy, provider, findings).await,
        Err(why) => {
            findings.begin(Section::HostedZones);
            findings.add(Finding::skipped(Id::Zone, "hosted zones", why));
            findings.begin(Section::Names);
            findings.add(Finding::skipped(Id::RecordSets, "names", why));
        }
    }
}

/// Which files systemd has handed over or would hand to the service, and which of them are read.
fn files() -> Vec<Finding> {
    let told = |file: HandedOver| {
        let subject = file.path.display().to_string();
        match file.yields_to {
            Some(other) => Finding::skipped(Id::AwsFile, subject, format!("not read, as {other} goes before it")),
            None => {
                let given = match file.is_in_store {
                    true => "what the service is given",
                    false => "given by systemd as a credential",
                };
                let text = format!("{given}, read in place of {}", file.in_place_of);
                Finding::ok(Id::AwsFile, subject, text)
            }
        }
    };
    handed_over().into_iter().map(told).collect()
}

fn has_managed_check(record: &RecordTemplate) -> bool {
    record.policy.has_managed_check()
}

/// Asks, and again a few times while the account's requests are limited or the zone is busy; no answer in
/// time is an error like any other. Once that was in vain, what follows is asked once: there is only so
/// much time for all of it.
pub(super) async fn ask<T>(
    findings: &mut Findings<'_>,
    what: &str,
    request: impl AsyncFn() -> Result<T, ProviderError>,
) -> Result<T, ProviderError> {
    let is_patient = !findings.is_limited;
    let last = RefCell::new(None);
    let may_pass = |error: &ProviderError| {
        let passes = is_patient && is_limit(error.kind);
        *last.borrow_mut() = passes.then(|| error.clone());
        passes
    };
    let answer = findings.wait(what, patiently_while(may_pass, request)).await;
    let answer = answer.unwrap_or_else(|error| Err(last.take().unwrap_or_else(|| no_answer(error))));
    findings.is_limited |= matches!(&answer, Err(error) if is_limit(error.kind));
    answer
}

fn is_limit(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Throttled | ErrorKind::Busy)
}

fn no_answer(error: NoAnswer) -> ProviderError {
    ProviderError { kind: ErrorKind::Unavailable, code: None, message: error.to_string() }
}

/// What an error says, and what there is to do about it.
fn told(error: &ProviderError) -> (String, String) {
    let text = error.to_string();
    if let Some((text, hint)) = text.split_once("\nhint: ") {
        return (text.to_owned(), hint.to_owned());
    }
    let advice = match error.kind {
        ErrorKind::Throttled | ErrorKind::Busy => "run the check again in a minute",
        ErrorKind::Denied | ErrorKind::Credentials => "'nodedns iam-policy' prints the rights that are needed",
        ErrorKind::NoSuchZone => ZONE_REMEDY,
        ErrorKind::Refused => "if route53.endpoint_url is set, see that it is Route 53's; then run the check again",
        ErrorKind::Unavailable | ErrorKind::Unconfirmed => {
            "see that this host reaches AWS (network, proxy, route53.endpoint_url), then run the check again"
        }
    };
    (text, advice.to_owned())
}

/// A failure, with the advice of its error. A limit on requests says nothing of what was asked.
pub(super) fn failed(id: Id, subject: impl Into<String>, error: &ProviderError) -> Finding {
    match error.kind {
        ErrorKind::Throttled => {
            Finding::skipped(id, subject, "not checked: Route 53 limits the account's requests; run it again")
        }
        ErrorKind::Busy => {
            Finding::skipped(id, subject, "not checked: the zone is still busy with another change; run it again")
        }
        _ => {
            let (text, advice) = told(error);
            Finding::failed(id, subject, text).remedy(advice)
        }
    }
}

/// Whose the credentials are, and whether the clocks agree. Says whether there is a point in going on.
async fn identity(provider: &Route53, findings: &mut Findings<'_>) -> bool {
    let before = clock::wall();
    let answer = findings.wait("asking AWS whose the credentials are", provider.caller()).await;
    let (caller, time) = answer.unwrap_or_else(|error| (Err(no_answer(error)), None));
    let accepted = !matches!(&caller, Err(error) if error.kind == ErrorKind::Credentials);
    findings.add(match caller {
        Ok(caller) => {
            Finding::ok(Id::AwsIdentity, "credentials", format!("{} in account {}", caller.arn, caller.account))
        }
        Err(error) if !accepted => failed(Id::AwsIdentity, "credentials", &error),
        // Publishing does not need STS.
        Err(error) => {
            let (text, advice) = told(&error);
            let text = format!("STS does not say whose they are: {text}");
            Finding::warning(Id::AwsIdentity, "credentials", text).remedy(advice)
        }
    });
    findings.add(match time {
        Some(time) => clock_finding(offset(time, before, clock::wall())),
        None => Finding::skipped(Id::Clock, "clock", "no answer of AWS to compare it with"),
    });
    accepted
}

/// By how much the service's clock is ahead of ours: nothing where its time may well be that of the
/// moment between question and answer, of which only whole seconds are known.
pub fn offset(time: ServerTime, before: Timestamp, after: Timestamp) -> SignedDuration {
    let seconds = i64::try_from(time.since_epoch.as_secs()).unwrap_or(i64::MAX);
    let from = before.as_second();
    let until = after.as_second();
    SignedDuration::from_secs(if seconds < from { seconds - from } else { (seconds - until).max(0) })
}

fn clock_finding(ahead: SignedDuration) -> Finding {
    let way = if ahead.is_negative() { "ahead of" } else { "behind" };
    let text = format!("{:#} {way} AWS's; a signature is good for five minutes", ahead.abs());
    match ahead.abs() {
        apart if apart < SignedDuration::from_secs(2) => Finding::ok(Id::Clock, "clock", "agrees with AWS's"),
        apart if apart < CLOCK_WARNING => Finding::ok(Id::Clock, "clock", text),
        apart if apart < CLOCK_FAILED => Finding::warning(Id::Clock, "clock", text).remedy(CLOCK_REMEDY),
        _ => Finding::failed(Id::Clock, "clock", text).remedy(CLOCK_REMEDY),
    }
}

/// Nothing waits for a change to be on every server but what `nodedns status` and `drain --wait` say.
async fn get_change(provider: &Route53, findings: &mut Findings<'_>) {
    let subject = "route53:GetChange";
    let finding = match ask(findings, "trying rights", async || provider.try_get_change().await).await {
        Ok(Right::Denied(words)) => {
            Finding::warning(Id::GetChange, subject, format!("{words}; how far a change has come cannot be told"))
                .remedy("allow route53:GetChange on arn:aws:route53:::change/*, or take over 'nodedns iam-policy'")
        }
        Ok(_) => Finding::ok(Id::GetChange, subject, "allowed"),
        Err(error) => failed(Id::GetChange, subject, &error),
    };
    findings.add(finding);
}

async fn health_checks(provider: &Route53, findings: &mut Findings<'_>) {
    let subject = "route53:ListHealthChecks";
    let finding = match ask(findings, "trying rights", async || provider.try_list_health_checks().await).await {
        Ok(Right::Denied(words)) => Finding::failed(Id::ListHealthChecks, subject, words).remedy(
            "managed health checks need route53:ListHealthChecks and route53:CreateHealthCheck on *, and \
             route53:DeleteHealthCheck and route53:ChangeTagsForResource on arn:aws:route53:::healthcheck/*; \
             'nodedns iam-policy' prints it",
        ),
        Ok(_) => Finding::ok(
            Id::ListHealthChecks,
            subject,
            "allowed; whether health checks may be created and deleted cannot be tried without doing so",
        ),
        Err(error) => failed(Id::ListHealthChecks, subject, &error),
    };
    findings.add(finding);
    let subject = "health checks";
    let finding = match ask(findings, "asking for limits", async || provider.health_check_limit().await).await {
        Ok(limit) => limit_finding(Id::HealthCheckLimit, subject, limit, "in the account"),
        Err(error) => not_needed(Id::HealthCheckLimit, subject, &error, "route53:GetAccountLimit on *"),
    };
    findings.add(finding);
}

/// What only these checks need is no failure where it is denied.
fn not_needed(id: Id, subject: impl Into<String>, error: &ProviderError, right: &str) -> Finding {
    match error.kind {
        ErrorKind::Denied => {
            Finding::skipped(id, subject, format!("only this check needs a right to it: allow {right}"))
        }
        _ => failed(id, subject, error),
    }
}

fn limit_finding(id: Id, subject: impl Into<String>, limit: Limit, place: &str) -> Finding {
    let text = format!("{} of {} {place}", limit.used, limit.allowed);
    match limit.is_near() {
        true => Finding::warning(id, subject, text).remedy("ask AWS for more in the Service Quotas console, in time"),
        false => Finding::ok(id, subject, text),
    }
}

/// The records of one hosted zone.
type InZone<'a> = BTreeMap<String, Vec<&'a RecordPolicy>>;

async fn zones_and_names(scene: &Scene<'_>, policy: &Policy, provider: &Route53, findings: &mut Findings<'_>) {
    findings.begin(Section::HostedZones);
    let mut zones = InZone::new();
    let mut lost = Vec::new();
    for record in &policy.records {
        match ask(findings, "looking up hosted zones", async || provider.zone_id(&record.zone, &record.name).await)
            .await
        {
            Ok(zone_id) => zones.entry(zone_id).or_default().push(record),
            Err(error) => {
                findings.add(failed(Id::Zone, record.name.to_string(), &error));
                lost.push(record);
            }
        }
    }
    // What is known of a zone is asked once, and used for its names below.
    let mut reader = Reader::new(provider);
    let mut usable = BTreeMap::new();
    for (zone_id, records) in &zones {
        usable.insert(zone_id, zone(scene, zone_id, records, &mut reader, provider, findings).await);
    }
    findings.begin(Section::Names);
    for record in lost {
        let why = "not looked at: its hosted zone is not known";
        findings.add(Finding::skipped(Id::RecordSets, record.name.to_string(), why));
    }
    for (zone_id, records) in &zones {
        for record in records {
            let why = match usable.get(zone_id) {
                Some(Ok(unserved)) => unserved.get(&record.name).map(String::as_str),
                Some(Err(why)) => Some(*why),
                None => None,
            };
            match why {
                Some(why) => {
                    let text = format!("not looked at: {why}");
                    findings.add(Finding::skipped(Id::RecordSets, record.name.to_string(), text));
                }
                None => names::check(policy, record, zone_id, provider, &mut reader, findings).await,
            }
        }
    }
}

/// Checks one hosted zone. The names that cannot be served from it, each with why; an error where there is
/// no point in looking into it at all.
async fn zone(
    scene: &Scene<'_>,
    zone_id: &str,
    records: &[&RecordPolicy],
    reader: &mut Reader<'_>,
    provider: &Route53,
    findings: &mut Findings<'_>,
) -> Result<BTreeMap<DnsName, String>, &'static str> {
    let what = format!("asking for zone {zone_id}");
    let details = match ask(findings, &what, async || provider.zone_details(zone_id).await).await {
        Ok(details) => details,
        Err(error) => {
            let right = format!("route53:GetHostedZone on arn:aws:route53:::hostedzone/{zone_id}");
            let names = records.iter().map(|record| record.name.to_string()).collect::<Vec<_>>().join(", ");
            let mut finding = not_needed(Id::Zone, zone_id, &error, &right);
            if error.kind == ErrorKind::NoSuchZone {
                finding.text.push_str(&format!("; it is the zone_id of {names}"));
            }
            findings.add(finding);
            let is_lost = !is_limit(error.kind) && error.kind != ErrorKind::Denied;
            let why = if is_lost { "the hosted zone was not found" } else { "the hosted zone cannot be read" };
            findings.add(Finding::skipped(Id::ZoneLimit, zone_id, why));
            findings.add(Finding::skipped(Id::Delegation, zone_id, why));
            // Where only these checks lack a right, the names can be looked at all the same.
            return if is_lost { Err("its hosted zone cannot be used") } else { Ok(BTreeMap::new()) };
        }
    };
    findings.add(zone_finding(&details, records));
    let mut unserved = BTreeMap::new();
    for record in records.iter().filter(|record| !record.name.is_within(&details.zone.name)) {
        let text = format!("is not within {}, the name of the hosted zone {zone_id}", details.zone.name);
        findings.add(Finding::failed(Id::ZoneCovers, record.name.to_string(), text).remedy(ZONE_REMEDY));
        unserved.insert(record.name.clone(), "it is not within its hosted zone".to_owned());
    }
    let finding = match ask(findings, "asking for limits", async || provider.zone_limit(zone_id).await).await {
        Ok(limit) => limit_finding(Id::ZoneLimit, details.zone.name.to_string(), limit, "record sets in the zone"),
        Err(error) => {
            let right = format!("route53:GetHostedZoneLimit on arn:aws:route53:::hostedzone/{zone_id}");
            not_needed(Id::ZoneLimit, details.zone.name.to_string(), &error, &right)
        }
    };
    findings.add(finding);
    dns::delegation(scene.resolver, &details, provider, findings).await;
    unserved.extend(dns::delegations_below(&details, records, reader, findings).await);
    Ok(unserved)
}

fn zone_finding(details: &ZoneDetails, records: &[&RecordPolicy]) -> Finding {
    let zone = &details.zone;
    let kind = |private: bool| if private { "private" } else { "public" };
    let subject = zone.name.to_string();
    let text = format!("{}, {}, {} record sets", zone.id, kind(zone.private), details.record_sets);
    if let Some(service) = &details.linked_service {
        return Finding::failed(
            Id::Zone,
            subject,
            format!("{text}; it belongs to {service}, and only that can change it"),
        )
        .remedy("use a hosted zone of your own");
    }
    let wants = |record: &&RecordPolicy| match &record.zone {
        ZoneRef::Id(_) => None,
        ZoneRef::Name { private, .. } | ZoneRef::Longest { private } => Some(*private),
    };
    match records.iter().filter_map(wants).find(|wanted| *wanted != zone.private) {
        Some(wanted) => Finding::failed(Id::Zone, subject, format!("{text}; a {} one is configured", kind(wanted)))
            .remedy("mend 'private' of the record, or its zone_id"),
        None => Finding::ok(Id::Zone, subject, text),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::check::findings::Outcome;

    #[test]
    fn clocks_agree_while_whole_seconds_cannot_tell_them_apart() {
        let at = |milliseconds| Timestamp::from_millisecond(milliseconds).expect("a time");
        let server = |seconds| ServerTime { since_epoch: Duration::from_secs(seconds) };
        for (time, before, after, expected) in [
            (100, 100_000, 100_100, 0),
            (100, 100_900, 101_100, 0),
            (101, 100_900, 101_100, 0),
            (102, 100_900, 101_100, 1),
            (99, 100_900, 101_100, -1),
            (500, 100_000, 115_000, 385),
            (107, 100_000, 115_000, 0),
        ] {
            assert_eq!(offset(server(time), at(before), at(after)).as_secs(), expected, "{time}");
        }
    }

    #[test]
    fn a_clock_is_a_warning_from_one_minute_on_and_a_failure_from_four() {
        for (seconds, expected) in [
            (0, Outcome::Ok),
            (59, Outcome::Ok),
            (-59, Outcome::Ok),
            (60, Outcome::Warning),
            (-239, Outcome::Warning),
            (240, Outcome::Failed),
            (-100_000, Outcome::Failed),
        ] {
            let finding = clock_finding(SignedDuration::from_secs(seconds));
            assert_eq!(finding.outcome, expected, "{seconds}");
            assert_eq!(finding.remedy.is_some(), expected != Outcome::Ok);
        }
        let slow = clock_finding(SignedDuration::from_secs(300)).text;
        assert!(slow.starts_with("5m behind AWS's"), "{slow}");
        assert!(clock_finding(SignedDuration::from_secs(-60)).text.starts_with("1m ahead of AWS's"));
    }
}
