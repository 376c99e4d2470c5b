//! The files, and what they say that is allowed and probably not meant.

use std::time::Duration;

use crate::cli::check::account::{Account, DAEMON};
use crate::cli::check::findings::{Finding, Findings};
use crate::cli::check::ids::Id;
use crate::cli::check::names::ttl_finding;
use crate::config::{Config, Loaded, Problems, RecordTemplate, Span, Switch};
use crate::decide::policy::{Signal, SignalAction};

/// The longest `resync` after which drift is still repaired while somebody may notice it.
const RESYNC_MAX: Duration = Duration::from_secs(60 * 60);

/// Tells of each mistake, as `nodedns config check` does.
pub fn mistakes(problems: &Problems, findings: &mut Findings<'_>) {
    for problem in problems.iter() {
        let text = match problem.path.as_str() {
            "" => problem.message.clone(),
            path => format!("{path}: {}", problem.message),
        };
        let finding = Finding::failed(Id::Configuration, problem.source.to_string(), text);
        let manual = "nodedns.toml(5) says what is allowed, 'nodedns config init' prints an example";
        findings.add(finding.remedy(problem.hint.as_deref().unwrap_or(manual)));
    }
}

/// Tells which files were read, and whether the daemon may read them too.
pub fn files(loaded: &Loaded, daemon: Option<&Account>, findings: &mut Findings<'_>) {
    for file in &loaded.files {
        let subject = file.display().to_string();
        findings.add(match daemon.and_then(|daemon| daemon.may_read(file)) {
            None => Finding::ok(Id::ConfigurationFile, subject, "read, without a mistake"),
            Some(Ok(())) => {
                let text = format!("read, without a mistake; the daemon's user {DAEMON} may read it too");
                Finding::ok(Id::ConfigurationFile, subject, text)
            }
            Some(Err(refused)) => {
                let remedy =
                    format!("'chgrp {DAEMON} {0}' and 'chmod {1} {0}' let it", refused.path.display(), refused.mode);
                let text = format!("by {refused}, the daemon's user {DAEMON} may not read it");
                Finding::warning(Id::ConfigurationFile, subject, text).remedy(remedy)
            }
        });
    }
}

/// Looks for what is allowed, and probably not meant.
pub fn suspicions(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    let watched = config.kubernetes.enabled != Switch::Off;
    found.extend(config.records.iter().flat_map(of_record));
    let everywhere = |signal, action| {
        let does = |record: &RecordTemplate| action_of(record, signal) == action;
        !config.records.is_empty() && config.records.iter().all(does)
    };
    if watched && everywhere(Signal::NotReady, SignalAction::Ignore) {
        let text = "ignored by every record: a node that is not Ready, or gone, stays in DNS";
        found.push(
            Finding::warning(Id::NotReadyIgnored, "signals.not_ready", text)
                .remedy("set it to \"withdraw\", or kubernetes.enabled = false if that is what is meant"),
        );
    }
    if watched && everywhere(Signal::ApiUnreachable, SignalAction::Withdraw) {
        let text = "every record is withdrawn when the API server cannot be reached: an outage of the control plane \
                    takes every node out of DNS, but for keep_min";
        found.push(
            Finding::warning(Id::ApiUnreachableWithdraws, "signals.api_unreachable", text)
                .remedy("set it to \"ignore\", the default"),
        );
    }
    if config.timing.resync > RESYNC_MAX {
        let resync = Span(config.timing.resync);
        let text = format!("{resync}, so that what others change in Route 53 is repaired only after that time");
        found.push(
            Finding::warning(Id::Resync, "resync", text).remedy("15m, the default, costs one request for each name"),
        );
    }
    found
}

fn of_record(record: &RecordTemplate) -> Vec<Finding> {
    let policy = &record.policy;
    let mut found = Vec::from_iter(ttl_finding(&record.name, policy.ttl));
    let leaves = Signal::ALL.into_iter().any(|signal| action_of(record, signal) == SignalAction::Withdraw);
    if record.name.contains("{node}") && policy.keep_min > 0 && leaves {
        let text = format!(
            "a name of this node alone with keep_min = {}: its record set is always the last one, so that it never leaves",
            policy.keep_min
        );
        found.push(Finding::warning(Id::RecordKeepMin, &record.name, text).remedy(
            "set keep_min = 0 for this record, or signals that are \"ignore\" if it is to stay whatever happens",
        ));
    }
    found
}

fn action_of(record: &RecordTemplate, signal: Signal) -> SignalAction {
    record.policy.signals.get(&signal).copied().unwrap_or_else(|| signal.default_policy()).action
}
