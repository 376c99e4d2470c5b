//! The one line that `systemctl status` shows.

use crate::control::protocol::{DrainState, Intent, KubernetesStatus, RecordStatus, Status};
use crate::decide::provider::ErrorKind;
use crate::decide::reason::Reason;

/// How long one reason may be in a line that people read in a terminal.
const REASON_MAX: usize = 240;

/// What the daemon waits for, then how many record sets are where they should be, then the first thing that is
/// wrong beside that.
///
/// `is_without_kubernetes`: nobody has said that there is to be none, but none was found.
pub(super) fn summary(status: &Status, is_without_kubernetes: bool) -> String {
    let waits: Vec<Wait> = [Wait::for_addresses(status), Wait::for_kubernetes(status), Wait::for_credentials(status)]
        .into_iter()
        .flatten()
        .collect();
    let mut parts: Vec<String> = waits.iter().map(|wait| wait.text.clone()).collect();
    let mut counts = counts(status);
    if is_without_kubernetes {
        counts.push_str(", without Kubernetes");
    }
    let unexplained = status.records.iter().filter(|record| !waits.iter().any(|wait| (wait.explains)(record)));
    let mut troubled = unexplained.filter_map(|record| Some((record, record.trouble()?)));
    if let Some((first, why)) = troubled.next() {
        let count = 1 + troubled.count();
        counts.push_str(&format!(", {count} need attention; {} {}: {}", first.name, first.rtype, short(&why)));
    }
    parts.push(counts);
    if let Some(warning) = &status.drain.warning {
        parts.push(format!("drain: {warning}"));
    }
    if let Some(refused) = &status.reload_refused {
        let refused = refused.replace('\n', "; ");
        parts.push(format!("reload refused, the old configuration stays in force: {refused}"));
    }
    let line = parts.join("; ");
    if status.dry_run { format!("{line} (dry run)") } else { line }
}

/// What the daemon cannot go on without.
struct Wait {
    text: String,
    /// Whether that is what is wrong with a record.
    explains: fn(&RecordStatus) -> bool,
}

impl Wait {
    fn for_addresses(status: &Status) -> Option<Wait> {
        let explains = |record: &RecordStatus| record.reason == Reason::AddressesUnknown.as_str();
        let text = "waiting for the kernel to tell the host's addresses".to_owned();
        status.records.iter().any(explains).then_some(Wait { text, explains })
    }

    fn for_kubernetes(status: &Status) -> Option<Wait> {
        let KubernetesStatus { enabled: true, connected: false, kubeconfig, error, last_contact, .. } =
            &status.kubernetes
        else {
            return None;
        };
        let explains = |record: &RecordStatus| {
            let reasons = [Reason::NodeUnknown.as_str(), Reason::ApiUnreachable.as_str()];
            record.last_error.is_none() && reasons.contains(&record.reason.as_str())
        };
        let text = match (kubeconfig, error.as_deref().map(short)) {
            (None, Some(why)) => {
                // All the usual places are in the status.
                let why = match why.strip_prefix("no kubeconfig found: ") {
                    Some(usual) => usual.split("; looked for ").next().unwrap_or_default(),
                    None => why.trim_start_matches("no kubeconfig found; "),
                };
                format!("waiting for a kubeconfig: {why}")
            }
            (Some(_), Some(why)) if last_contact.is_some() => format!("Kubernetes does not answer: {why}"),
            (Some(_), Some(why)) => format!("waiting for Kubernetes: {why}"),
            (_, None) if status.records.iter().any(explains) => "waiting for Kubernetes to say how the node is".into(),
            (_, None) => return None,
        };
        Some(Wait { text, explains })
    }

    fn for_credentials(status: &Status) -> Option<Wait> {
        let explains = |record: &RecordStatus| {
            let is_it = |kind: &str| kind == ErrorKind::Credentials.as_str();
            record.last_error.as_ref().is_some_and(|error| is_it(&error.kind))
        };
        let error = status.records.iter().find(|record| explains(record))?.last_error.as_ref()?;
        let why = short(&error.message);
        let text = match &error.code {
            // Credentials there are, and AWS has answered.
            Some(code) => format!("AWS does not accept the credentials: {code}: {why}"),
            None => format!("waiting for AWS credentials: {}", why.trim_start_matches("no AWS credentials: ")),
        };
        Some(Wait { text, explains })
    }
}

/// How many record sets there are, and why there is none where that is how it should be.
fn counts(status: &Status) -> String {
    let count = |intent| status.records.iter().filter(|record| record.intent == intent && record.in_sync).count();
    let (published, withdrawn) = (count(Intent::Publish), count(Intent::Withdraw));
    let mut text = format!("{published} published, {withdrawn} withdrawn");
    let is_kept = |record: &&RecordStatus| {
        let is_there = record.actual.as_ref().is_some_and(|addresses| !addresses.is_empty());
        matches!(record.intent, Intent::Preserve | Intent::Hold) && is_there
    };
    match status.records.iter().filter(is_kept).count() {
        0 => {}
        kept => text.push_str(&format!(", {kept} left as they are")),
    }
    if status.drain.state == DrainState::Drained {
        text.push_str(", drained");
    } else if published == 0
        && withdrawn == status.records.len()
        && let Some(first) = status.records.first()
    {
        text.push_str(&format!(": {}", short(&first.explanation)));
    }
    text
}

/// The first line of a text, and not all of it if it is long.
fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(REASON_MAX) {
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or(line)),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::{Value, json};

    use super::*;
    use crate::decide::provider::ProviderError;
    use crate::watch::node::kubeconfig::{Distribution, Incomplete, KubeconfigError, Unreadable};

    /// Two records in the state that a status has them in, and what it says of Kubernetes.
    fn status(records: &[Value], kubernetes: Value) -> Status {
        let record = |index: usize, change: &Value| {
            let mut record = json!({
                "name": "edge.example.com", "type": if index == 0 { "A" } else { "AAAA" },
                "zone_id": "Z1", "zone": "Z1", "set_identifier": "nodedns/v1/home/n1",
                "routing": {"policy": "weighted", "weight": 10}, "ttl": 60, "intent": "publish", "reason": "eligible",
                "explanation": Reason::Eligible.to_string(), "since": "2026-11-21T12:00:00Z",
                "desired": [], "actual": [], "others": 1, "in_sync": true, "healthy": true,
                "last_change": null, "last_error": null
            });
            for (key, value) in change.as_object().expect("keys") {
                record[key] = value.clone();
            }
            record
        };
        let records: Vec<Value> = records.iter().enumerate().map(|(index, change)| record(index, change)).collect();
        let mut connection = json!({
            "enabled": false, "node": null, "node_name_source": null, "kubeconfig": null, "server": null,
            "connected": false, "state": "unknown", "ready_reason": null, "unschedulable": null, "error": null,
            "last_contact": null
        });
        for (key, value) in kubernetes.as_object().expect("keys") {
            connection[key] = value.clone();
        }
        let status = json!({
            "version": "1", "node": "n1", "cluster": "home", "healthy": true, "dry_run": false,
            "since": "2026-11-21T12:00:00Z", "records": records, "addresses": [], "kubernetes": connection
        });
        serde_json::from_value(status).expect("a status")
    }

    fn with(intent: &str, reason: &Reason, in_sync: bool) -> Value {
        let healthy = in_sync && ["publish", "withdraw"].contains(&intent);
        json!({"intent": intent, "reason": reason.as_str(), "explanation": reason.to_string(), "in_sync": in_sync,
               "healthy": healthy})
    }

    fn failing(error: &ProviderError) -> Value {
        let at = "2026-11-21T12:00:00Z";
        json!({"in_sync": false, "healthy": false, "reason": Reason::PoolUnknown.as_str(), "intent": "preserve",
               "last_error": {"kind": error.kind.as_str(), "code": error.code, "message": error.message, "at": at,
                              "retry_at": at}})
    }

    fn kubernetes(error: &str, kubeconfig: Option<&str>, last_contact: Option<&str>) -> Value {
        json!({"enabled": true, "error": error, "kubeconfig": kubeconfig, "last_contact": last_contact})
    }

    fn no_kubeconfig(error: &KubeconfigError) -> Value {
        kubernetes(&error.to_string(), None, None)
    }

    #[test]
    fn what_is_waited_for_comes_first() {
        let unit = || Some("nodedns".to_owned());
        let unknown = with("preserve", &Reason::NodeUnknown, false);
        let waiting = [unknown.clone(), unknown.clone()];
        let good = json!({});
        let none = json!({});
        let absent = KubeconfigError::Absent { places: vec![PathBuf::from("/a"), PathBuf::from("/b")], unit: unit() };
        let path = PathBuf::from("/run/credentials/nodedns.service/k3s.kubeconfig");
        let incomplete = KubeconfigError::Incomplete {
            what: Incomplete {
                kubeconfig: path,
                named: PathBuf::from("/var/lib/client-kubelet.key"),
                credential: "k3s.kube-client.key",
                distribution: Some(Distribution::K3s),
            },
            unit: unit(),
        };
        let admin = PathBuf::from("/etc/rancher/k3s/k3s.yaml");
        let unreadable = KubeconfigError::Unreadable {
            files: vec![Unreadable { path: admin.clone(), kubeconfig: admin, exists: true, is_kubelet: false }],
            unit: unit(),
        };
        let refused = "cannot reach the API server at https://127.0.0.1:6443: Connection refused\nhint: on a k3s node";
        let provider = |code: Option<&str>, message: &str| {
            failing(&ProviderError {
                kind: ErrorKind::Credentials,
                code: code.map(str::to_owned),
                message: message.to_owned(),
            })
        };
        let no_aws = provider(
            None,
            "no AWS credentials: none in the environment, from systemd, in ~/.aws or from the instance\nhint: set",
        );
        let expired = provider(Some("ExpiredToken"), "The token has expired\nhint: set");
        let throttled = failing(&ProviderError {
            kind: ErrorKind::Throttled,
            code: Some("Throttling".to_owned()),
            message: "Rate exceeded".to_owned(),
        });
        let kept = {
            let mut kept = unknown.clone();
            kept["actual"] = json!(["192.0.2.1"]);
            kept
        };
        let long = provider(None, &format!("no AWS credentials: {}", "x".repeat(1000)));
        let cases = [
            // Before Kubernetes is there.
            (status(&waiting, no_kubeconfig(&absent)),
             "waiting for a kubeconfig: k3s, RKE2 or kubeadm has not made one yet; 0 published, 0 withdrawn".to_owned()),
            (status(&waiting, no_kubeconfig(&incomplete)),
             "waiting for a kubeconfig: /run/credentials/nodedns.service/k3s.kubeconfig is there, but not the \
              credential k3s.kube-client.key in place of /var/lib/client-kubelet.key, which it names; k3s may be \
              about to write it; 0 published, 0 withdrawn".to_owned()),
            (status(&waiting, no_kubeconfig(&unreadable)),
             "waiting for a kubeconfig: found /etc/rancher/k3s/k3s.yaml, but it is not readable: permission denied; \
              0 published, 0 withdrawn".to_owned()),
            (status(&waiting, no_kubeconfig(&KubeconfigError::Missing("/etc/own".into()))),
             "waiting for a kubeconfig: looked for /etc/own; 0 published, 0 withdrawn".to_owned()),
            (status(&waiting, kubernetes(refused, Some("/k"), None)),
             "waiting for Kubernetes: cannot reach the API server at https://127.0.0.1:6443: Connection refused; \
              0 published, 0 withdrawn".to_owned()),
            (status(&waiting, json!({"enabled": true})),
             "waiting for Kubernetes to say how the node is; 0 published, 0 withdrawn".to_owned()),
            // It was there, and is not now: what is published stays.
            (status(&[kept, good.clone()], kubernetes(refused, Some("/k"), Some("2026-11-21T12:00:00Z"))),
             "Kubernetes does not answer: cannot reach the API server at https://127.0.0.1:6443: Connection refused; \
              1 published, 0 withdrawn, 1 left as they are".to_owned()),
            // AWS.
            (status(&[no_aws.clone(), no_aws.clone()], none.clone()),
             "waiting for AWS credentials: none in the environment, from systemd, in ~/.aws or from the instance; \
              0 published, 0 withdrawn".to_owned()),
            (status(&[expired, good.clone()], none.clone()),
             "AWS does not accept the credentials: ExpiredToken: The token has expired; 1 published, 0 withdrawn"
                 .to_owned()),
            (status(&[no_aws, unknown], no_kubeconfig(&absent)),
             "waiting for a kubeconfig: k3s, RKE2 or kubeadm has not made one yet; waiting for AWS credentials: none \
              in the environment, from systemd, in ~/.aws or from the instance; 0 published, 0 withdrawn".to_owned()),
            (status(&[throttled, good.clone()], none.clone()),
             "1 published, 0 withdrawn, 1 need attention; edge.example.com A: Rate exceeded".to_owned()),
            (status(&[long, good.clone()], none.clone()),
             format!("waiting for AWS credentials: {}...; 1 published, 0 withdrawn", "x".repeat(220))),
            // Addresses.
            (status(&[with("preserve", &Reason::AddressesUnknown, false)], none.clone()),
             "waiting for the kernel to tell the host's addresses; 0 published, 0 withdrawn".to_owned()),
            (status(&[with("withdraw", &Reason::NoAddress, true), with("withdraw", &Reason::NoAddress, true)],
                    none.clone()),
             "0 published, 2 withdrawn: the host has no publishable address of this type; see 'nodedns addresses'"
                 .to_owned()),
            // One type of two has none, as on most hosts.
            (status(&[good.clone(), with("withdraw", &Reason::NoAddress, true)], none.clone()),
             "1 published, 1 withdrawn".to_owned()),
            (status(&[with("withdraw", &Reason::Cordoned, true)], none.clone()),
             "0 published, 1 withdrawn: the node is cordoned".to_owned()),
            (status(&[with("withdraw", &Reason::Cordoned, false)], none.clone()),
             "0 published, 0 withdrawn, 1 need attention; edge.example.com A: the change is on its way".to_owned()),
            (status(&[with("hold", &Reason::KeepMin(1), false)], none),
             "0 published, 0 withdrawn, 1 need attention; edge.example.com A: leaving would bring the name below \
              keep_min = 1 record set".to_owned()),
        ];
        for (status, expected) in cases {
            assert_eq!(summary(&status, false), expected);
        }
    }

    #[test]
    fn a_host_that_is_taken_for_one_without_kubernetes_says_so() {
        let one = status(&[json!({})], json!({}));
        assert_eq!(summary(&one, true), "1 published, 0 withdrawn, without Kubernetes");
    }

    #[test]
    fn a_refused_reload_and_a_dry_run_are_told_on_the_one_line() {
        let status = Status {
            reload_refused: Some("nodedns.toml:1: bad\nhint: mend it".to_owned()),
            dry_run: true,
            ..status(&[json!({})], json!({}))
        };
        assert_eq!(
            summary(&status, false),
            "1 published, 0 withdrawn; reload refused, the old configuration stays in force: nodedns.toml:1: bad; \
             hint: mend it (dry run)"
        );
    }
}
