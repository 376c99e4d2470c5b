//! The kubeconfig, the API server, and what it lets this identity read.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cli::check::findings::{Finding, Findings};
use crate::cli::check::ids::Id;
use crate::cli::check::rbac::{Reach, Subject, objects};
use crate::cli::render::distance;
use crate::config::{Config, Switch};
use crate::decide::annotation::{self, Annotations, Said};
use crate::decide::fitness::{Rules, of_the_node};
use crate::decide::node::{NodeObject, NodeState};
use crate::decide::policy::{Policy, Signal, SignalAction};
use crate::watch::clock;
use crate::watch::identity::Identity;
use crate::watch::node::certificate::ClientCertificate;
use crate::watch::node::kubeconfig::{KubeconfigInfo, find_kubeconfig, of_another_node};
use crate::watch::node::once::{self, ReadError};
use crate::watch::node::{NodeWatchSettings, trial};

/// A certificate that ends within this time may not have been renewed by then.
const CERTIFICATE_MARGIN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long the list of all Nodes may take.
const ALL_NODES: Duration = Duration::from_secs(14);

/// What to do where nothing has come back in all the time that a check may take.
const UNREACHED: &str = "see that it runs, that nothing between it and this host drops packets, and that 'server' in the \
                         kubeconfig is its URL";

/// Who lists all Nodes where the kubelet's identity is enough for the daemon.
const ANOTHERS: &str = "the kubelet's identity is enough for the daemon; for those two name an administrator's kubeconfig \
                        with --kubeconfig";

/// What is asked of the API server about the own Node.
const OWN: [Id; 3] = [Id::OwnNodeList, Id::OwnNodeWatch, Id::OwnNode];

/// Checks all that the daemon, `list` and `prune` need of Kubernetes.
pub async fn check(config: &Config, identity: &Identity, policy: Option<&Policy>, findings: &mut Findings<'_>) {
    let Some(settings) = identity.node_watch() else {
        unused(config).into_iter().for_each(|finding| findings.add(finding));
        return;
    };
    let Some(info) = kubeconfig(&settings, findings) else { return skip_server(&settings, findings) };
    let server = info.server.clone().unwrap_or_else(|| "the API server".to_owned());
    let needs_all = config.survivors.is_some();
    let read = findings.wait(&format!("asking {server}"), once::own_node(&settings)).await;
    let read = match read {
        Ok(read) => read.map(|(state, _)| state),
        Err(no_answer) => {
            findings.add(Finding::failed(Id::ApiServer, &server, no_answer.to_string()).remedy(UNREACHED));
            return skip_server(&settings, findings);
        }
    };
    if let Err(error) = &read
        && error.forbidden.is_none()
    {
        let finding = Finding::failed(Id::ApiServer, &server, error.summary());
        findings.add(remedied(finding, error.hint().map(str::to_owned)));
        return skip_server(&settings, findings);
    }
    findings.add(Finding::ok(Id::ApiServer, &server, "answers, and accepts the credentials"));
    own_node(&settings, &info, read, policy, findings).await;
    all_nodes(&settings, needs_all, findings).await;
}

/// Kubernetes decides nothing on this host.
fn unused(config: &Config) -> Vec<Finding> {
    let why = match config.kubernetes.enabled {
        Switch::Off => "not used, as kubernetes.enabled is false: the node is published by its addresses alone",
        Switch::Auto | Switch::On => {
            "not used, as no kubeconfig was found: the node is published by its addresses alone"
        }
    };
    let mut found = vec![Finding::skipped(Id::Kubeconfig, "Kubernetes", why)];
    // Where it is switched off, that is a mistake in the configuration.
    if config.survivors.is_some() && config.kubernetes.enabled != Switch::Off {
        let text = "enabled, but without Kubernetes nobody tells which nodes are dead";
        found.push(
            Finding::failed(Id::Survivors, "survivors", text)
                .remedy("set kubernetes.kubeconfig to one that may list all nodes, or survivors.enabled to false"),
        );
    }
    found
}

/// Finds the kubeconfig, as the daemon does, and looks at its certificate.
fn kubeconfig(settings: &NodeWatchSettings, findings: &mut Findings<'_>) -> Option<KubeconfigInfo> {
    match find_kubeconfig(&settings.kubeconfig, &settings.environment) {
        Ok(info) => {
            let path = info.path.display().to_string();
            findings.add(Finding::ok(Id::Kubeconfig, &path, info.origin.to_string()));
            for passed_over in &info.passed_over {
                let text = format!("passed over: {passed_over}");
                findings.add(
                    Finding::warning(Id::KubeconfigPassedOver, passed_over.kubeconfig.display().to_string(), text)
                        .remedy(
                            "run this as root or as the daemon's user, or name the kubeconfig in the configuration",
                        ),
                );
            }
            if let Some(certificate) = &info.client_certificate {
                findings.add(lasts(certificate, &path, clock::wall()));
            }
            Some(info)
        }
        Err(error) => {
            let text = error.to_string();
            let (text, hint) =
                text.split_once("\nhint: ").map_or((text.as_str(), None), |(text, hint)| (text, Some(hint)));
            let finding = Finding::failed(Id::Kubeconfig, "kubeconfig", text);
            findings.add(match hint {
                Some(hint) => finding.remedy(hint),
                None => finding.remedy("mend it, or set kubernetes.kubeconfig to another"),
            });
            None
        }
    }
}

/// How long a certificate is still good for.
pub fn lasts(certificate: &ClientCertificate, kubeconfig: &str, now: Timestamp) -> Finding {
    let ClientCertificate { common_name, not_after } = certificate;
    let left = not_after.duration_since(now);
    let text = |when: &str| format!("the client certificate of '{common_name}' {when}");
    let renew =
        "k3s and RKE2 renew theirs when they restart, kubeadm with 'kubeadm certs renew', a kubelet its own by itself";
    let tell = |make: fn(Id, String, String) -> Finding, when: String| {
        make(Id::Certificate, kubeconfig.to_owned(), text(&when))
    };
    if !left.is_positive() {
        return tell(Finding::failed, format!("expired {} ago, at {not_after:.0}", distance(*not_after, now)))
            .remedy(renew);
    }
    let when = format!("is good for {}, until {not_after:.0}", distance(*not_after, now));
    match left < CERTIFICATE_MARGIN {
        true => tell(Finding::warning, format!("{when} only")).remedy(renew),
        false => tell(Finding::ok, when),
    }
}

/// Nothing can be asked.
fn skip_server(settings: &NodeWatchSettings, findings: &mut Findings<'_>) {
    let node = format!("Node {}", settings.node);
    for (id, subject) in [(Id::OwnNode, node.as_str()), (Id::NodesList, "all Nodes")] {
        findings.add(Finding::skipped(id, subject, "not asked, as the API server cannot be"));
    }
}

/// Whether the own Node may be read as the daemon reads it, and how it is.
async fn own_node(
    settings: &NodeWatchSettings,
    info: &KubeconfigInfo,
    read: Result<NodeState, ReadError>,
    policy: Option<&Policy>,
    findings: &mut Findings<'_>,
) {
    let [listed, watched, state_of] = OWN;
    let subject = format!("Node {}", settings.node);
    let state = match read {
        Ok(state) => state,
        Err(error) => {
            let finding = Finding::failed(listed, &subject, error.summary());
            findings.add(remedied(finding, own_remedy(settings, info, &error)));
            findings.add(Finding::skipped(watched, &subject, "not tried, as it may not even be listed"));
            findings.add(Finding::skipped(state_of, &subject, "not known"));
            return;
        }
    };
    findings.add(Finding::ok(listed, &subject, "may be listed"));
    if let Some(other) = info.another_node(&settings.node) {
        findings.add(other_identity(settings, info, other));
    }
    let tried = findings.wait("watching the Node", trial::own_node(settings)).await;
    findings.add(match tried {
        Ok(Ok(_)) => Finding::ok(watched, &subject, "may be watched"),
        Ok(Err(error)) => {
            remedied(Finding::failed(watched, &subject, error.summary()), own_remedy(settings, info, &error))
        }
        Err(no_answer) => {
            Finding::failed(watched, &subject, format!("cannot be watched: {no_answer}")).remedy(UNREACHED)
        }
    });
    of_state(&state, settings.node.as_str(), policy).into_iter().for_each(|finding| findings.add(finding));
}

/// What lets the own Node be read. A kubelet's certificate of another node is no matter of rights.
fn own_remedy(settings: &NodeWatchSettings, info: &KubeconfigInfo, error: &ReadError) -> Option<String> {
    let own = Reach::Own(settings.node.as_str());
    let rights = info.another_node(&settings.node).is_none().then(|| rights(own, info, error, "")).flatten();
    rights.or_else(|| error.hint().map(str::to_owned))
}

/// A right to read all Nodes hides that `node` is not the host's own name, as it may be on a copied host.
fn other_identity(settings: &NodeWatchSettings, info: &KubeconfigInfo, other: &str) -> Finding {
    let text = of_another_node(other, &settings.node);
    Finding::warning(Id::CertificateNode, info.path.display().to_string(), text)
        .remedy(format!("if it is, set node = \"{other}\"; else give this host a kubeconfig of its own"))
}

/// The finding with what to do about it, where there is something.
fn remedied(finding: Finding, remedy: Option<String>) -> Finding {
    match remedy {
        Some(remedy) => finding.remedy(remedy),
        None => finding,
    }
}

/// The RBAC objects that make good for a refusal, where it was one of rights and the identity is known;
/// before them, when to apply them.
fn rights(reach: Reach<'_>, info: &KubeconfigInfo, error: &ReadError, when: &str) -> Option<String> {
    let common_name = info.client_certificate.as_ref().map(|certificate| certificate.common_name.as_str());
    let subject = Subject::refused(error.forbidden.as_deref()?, common_name)?;
    let mut text = format!("{when}apply this as an administrator of the cluster, with 'kubectl apply -f -':\n");
    for line in objects(reach, &subject).lines() {
        text.push_str(&format!("  {line}\n"));
    }
    Some(text)
}

/// How the Node is, and what of that keeps it out of DNS.
pub fn of_state(state: &NodeState, node: &str, policy: Option<&Policy>) -> Vec<Finding> {
    let subject = format!("Node {node}");
    let object = match state {
        NodeState::Absent => {
            let text = "the cluster has no Node of this name, so that nothing is published";
            return vec![Finding::failed(Id::OwnNode, subject, text).remedy(
                "if it was deleted, restart its kubelet (k3s-agent, rke2-agent): it registers itself again; else set \
                 'node' to the name that 'kubectl get nodes' shows, or name the kubeconfig of the right cluster",
            )];
        }
        NodeState::Present(object) => object,
    };
    let Some(policy) = policy else {
        return vec![Finding::ok(Id::OwnNode, subject, "there")];
    };
    let reasons = reasons(object, policy);
    let mut found = match reasons.is_empty() {
        true => vec![Finding::ok(Id::OwnNode, subject.clone(), "there, and fit to be in DNS")],
        false => reasons
            .into_iter()
            .map(|reason| {
                let text = format!("{reason}, which keeps it out of DNS as configured");
                Finding::warning(Id::OwnNode, subject.clone(), text)
            })
            .collect(),
    };
    let annotations = Annotations::read(object);
    for mistake in &annotations.mistakes {
        let remedy = format!(
            "'kubectl annotate --overwrite node {node} {}=VALUE', or '{}-' to remove it",
            mistake.key, mistake.key
        );
        found.push(Finding::warning(Id::Annotation, subject.clone(), mistake.to_string()).remedy(remedy));
    }
    let said = Said { known: true, annotations: Some(&annotations) };
    for record in &policy.records {
        if let Err(reason) = annotation::routing(&record.routing, said, None) {
            let remedy = format!("'kubectl annotate node {node} {}=LATITUDE,LONGITUDE'", annotation::COORDINATES);
            found.push(Finding::failed(Id::Coordinates, record.name.to_string(), reason.to_string()).remedy(remedy));
        }
    }
    found
}

/// What the Node says that withdraws a record, each once.
fn reasons(object: &NodeObject, policy: &Policy) -> BTreeSet<String> {
    let mut reasons = BTreeSet::new();
    for record in &policy.records {
        let rules = Rules { record, node_selector: &policy.node_selector };
        for signal in Signal::ALL {
            let does = record.signals.get(&signal).copied().unwrap_or_else(|| signal.default_policy()).action;
            if does == SignalAction::Withdraw {
                reasons.extend(of_the_node(signal, rules, object).map(|reason| reason.to_string()));
            }
        }
    }
    reasons
}

/// Whether all Nodes may be read: survivors need it, `list` and `prune` want it.
async fn all_nodes(settings: &NodeWatchSettings, needed: bool, findings: &mut Findings<'_>) {
    let subject = "all Nodes";
    let refuse = |id, text: String, remedy: Option<String>| {
        let finding = match needed {
            true => Finding::failed(id, subject, format!("{text}; [survivors] needs that")),
            false => Finding::skipped(
                id,
                subject,
                format!("{text}; only 'nodedns list' and 'nodedns prune' would want that"),
            ),
        };
        remedied(finding, remedy)
    };
    let remedy = |error: &ReadError| {
        let info = error.kubeconfig.as_ref();
        if let Some(other) =
            info.and_then(|info| info.another_node(&settings.node)).filter(|_| error.forbidden.is_some())
        {
            // A right for the wrong identity would hide that it is the wrong one.
            return Some(format!(
                "these are the credentials of node '{other}': first set node = \"{other}\", or use another kubeconfig"
            ));
        }
        let is_kubelet = info.and_then(|info| info.client_certificate.as_ref()?.node_name()).is_some();
        if !needed && is_kubelet && error.forbidden.is_some() {
            // So it is on every node that is well: there is nothing to mend.
            return Some(ANOTHERS.to_owned());
        }
        let when = if needed { "" } else { "only if one of these is to use this identity, " };
        let rights = info.and_then(|info| rights(Reach::All, info, error, when));
        rights.or_else(|| error.hint().map(str::to_owned))
    };
    let reading = once::nodes(&settings.kubeconfig, &settings.environment, ALL_NODES);
    match findings.wait("listing all Nodes", reading).await {
        Ok(Ok(list)) => {
            let text = format!("may be listed, {} of them", list.nodes.len());
            findings.add(Finding::ok(Id::NodesList, subject, text));
        }
        Ok(Err(error)) => {
            let text = match error.forbidden {
                // The server's words are told where there is something to mend.
                Some(_) if !needed => "this identity may not list them".to_owned(),
                _ => error.summary().to_owned(),
            };
            findings.add(refuse(Id::NodesList, text, remedy(&error)));
            if needed {
                findings.add(Finding::skipped(Id::NodesWatch, subject, "not tried, as they cannot even be listed"));
            }
            return;
        }
        Err(no_answer) => {
            return findings.add(refuse(Id::NodesList, no_answer.to_string(), Some(UNREACHED.to_owned())));
        }
    }
    if !needed {
        return;
    }
    let watched = findings.wait("watching all Nodes", trial::cluster(settings)).await;
    findings.add(match watched {
        Ok(Ok(_)) => Finding::ok(Id::NodesWatch, subject, "may be watched"),
        Ok(Err(error)) => refuse(Id::NodesWatch, error.summary().to_owned(), remedy(&error)),
        Err(no_answer) => refuse(Id::NodesWatch, no_answer.to_string(), Some(UNREACHED.to_owned())),
    });
}
