//! Failures in words that say what, where and what next.

use kube::client::RustlsTlsError;

use super::refusal::refusal;
use super::transport::{certificate_error, distrust, root_cause};
use super::{Asked, Cause};
use crate::watch::node::kubeconfig::{Distribution, KubeconfigInfo, KubeconfigOrigin};

/// What rustls calls a certificate and a key that are not a pair (`rustls::InconsistentKeys::KeyMismatch`).
const KEY_MISMATCH: &str = "KeyMismatch";

/// What to do when the cluster is without the own Node.
const REGISTER: &str =
    "if the Node was deleted, restart its kubelet (k3s-agent, rke2-agent): it registers itself again";

impl Cause {
    /// One text, without secrets. The same failure gives the same text.
    pub(super) fn report(&self, asked: Asked<'_>, kubeconfig: Option<&KubeconfigInfo>) -> String {
        let server = kubeconfig.and_then(|info| info.server.as_deref()).unwrap_or("an unnamed address");
        let path = kubeconfig.map(|info| info.path.display().to_string()).unwrap_or_default();
        match self {
            Cause::Kubeconfig(error) if asked.again() => error.to_string(),
            Cause::Kubeconfig(error) => error.for_a_person(),
            Cause::Client(error) => client_report(error, &path),
            Cause::ClientPending(time) => {
                format!(
                    "no credentials after {} s: the kubeconfig's exec plugin does not return\nhint: run the plugin by hand, as the same user",
                    time.as_secs_f32()
                )
            }
            Cause::ClientDied => "reading the kubeconfig has failed in an unknown way; see the log".to_owned(),
            Cause::Refused(status) => refusal(status, asked, server, kubeconfig),
            Cause::Transport(kube::Error::SerdeError(_) | kube::Error::FromUtf8(_)) => {
                format!(
                    "what answers at {server} does not speak as a Kubernetes API server does\nhint: see 'server' in {path}"
                )
            }
            Cause::Transport(error) if certificate_error(error).is_some() => distrust(error, server, &path),
            Cause::Transport(error) => format!(
                "cannot reach the API server at {server}: {}\nhint: {}{}",
                root_cause(error),
                running(kubeconfig, &path),
                keeps_trying(asked)
            ),
            Cause::NoResourceVersion => {
                format!(
                    "what answers at {server} gives no resource version, as every Kubernetes API server does\nhint: see 'server' in {path}"
                )
            }
            Cause::Silent(time) => format!(
                "the API server at {server} does not answer (waited {} s)\nhint: see that nothing between it and this host drops packets; {}{}",
                time.as_secs_f32(),
                running(kubeconfig, &path),
                keeps_trying(asked)
            ),
            Cause::EndedEarly => format!(
                "the API server at {server} ends each watch right after it began\nhint: see that no proxy between it and this host does so"
            ),
            Cause::NoNodes => format!(
                "the API server at {server} gives an empty list of nodes, which cannot be\nhint: see 'server' in {path}"
            ),
            Cause::OwnNodeMissing(node) => format!(
                "the list of nodes of the API server at {server} is without this node, '{node}'\nhint: {REGISTER}; else set 'node' to the name that 'kubectl get nodes' shows"
            ),
            Cause::Unfinished(time) => {
                format!(
                    "the list of nodes of the API server at {server} is not complete after {} s\nhint: it is slow, or the way to it is{}",
                    time.as_secs_f32(),
                    keeps_trying(asked)
                )
            }
        }
    }
}

/// Where the API server has to run, by who made the kubeconfig.
fn running(kubeconfig: Option<&KubeconfigInfo>, path: &str) -> String {
    const SERVICE: &str = "its service must run (k3s, k3s-agent, rke2-server or rke2-agent)";
    match made_by(kubeconfig) {
        Some(Maker::Rancher) => SERVICE.to_owned(),
        Some(Maker::Kubeadm) => "see that kube-apiserver runs there (crictl ps)".to_owned(),
        None => {
            format!("see that it runs and that 'server' in {path} is its URL; on a k3s or RKE2 node {SERVICE}")
        }
    }
}

pub(super) fn keeps_trying(asked: Asked<'_>) -> &'static str {
    if asked.again() { "; nodedns keeps trying" } else { "" }
}

/// Who made a kubeconfig, as far as it matters for what to do.
pub(super) enum Maker {
    /// k3s or RKE2, which are mended alike.
    Rancher,
    Kubeadm,
}

/// `None` for one that somebody wrote or that the configuration names.
pub(super) fn made_by(kubeconfig: Option<&KubeconfigInfo>) -> Option<Maker> {
    match kubeconfig?.origin {
        KubeconfigOrigin::KubeletCredential(Distribution::K3s | Distribution::Rke2)
        | KubeconfigOrigin::DistributionKubelet
        | KubeconfigOrigin::DistributionAdmin => Some(Maker::Rancher),
        KubeconfigOrigin::KubeletCredential(Distribution::Kubeadm) | KubeconfigOrigin::KubeadmKubelet => {
            Some(Maker::Kubeadm)
        }
        KubeconfigOrigin::Configured
        | KubeconfigOrigin::Credential
        | KubeconfigOrigin::Store
        | KubeconfigOrigin::Variable => None,
    }
}

fn client_report(error: &kube::Error, path: &str) -> String {
    match error {
        // rustls reads the certificate before it looks at the key.
        kube::Error::RustlsTls(RustlsTlsError::InvalidPrivateKey(rustls::Error::InvalidCertificate(_))) => format!(
            "the kubeconfig {path} cannot be used: its client certificate cannot be read, or is none of X.509 version 3\n\
             hint: have it issued anew"
        ),
        kube::Error::ProxyProtocolDisabled { .. } | kube::Error::ProxyProtocolUnsupported { .. } => {
            format!("the kubeconfig {path} has a proxy-url, which nodedns cannot use\nhint: name the API server itself")
        }
        error => match root_cause(error) {
            why if why.contains(KEY_MISMATCH) => format!(
                "the kubeconfig {path} cannot be used: its client certificate and its key do not belong together, \
                 perhaps because they are just being replaced\n\
                 hint: put the certificate and the key there that were made together"
            ),
            why => format!("the kubeconfig {path} cannot be used: {why}\nhint: mend it, or name another"),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn where_the_server_has_to_run_depends_on_who_made_the_kubeconfig() {
        let hint = |origin| {
            let info = KubeconfigInfo {
                path: "/etc/kubeconfig".into(),
                origin,
                server: None,
                proxy_url: None,
                client_certificate: None,
                passed_over: Vec::new(),
            };
            let report = Cause::Silent(Duration::from_secs(10)).report(Asked::All { again: false }, Some(&info));
            report.split_once("\nhint: ").expect("a hint").1.to_owned()
        };
        for origin in [KubeconfigOrigin::KubeadmKubelet, KubeconfigOrigin::KubeletCredential(Distribution::Kubeadm)] {
            let hint = hint(origin);
            assert!(hint.contains("kube-apiserver") && !hint.contains("k3s"), "{hint}");
        }
        for origin in [KubeconfigOrigin::DistributionKubelet, KubeconfigOrigin::KubeletCredential(Distribution::K3s)] {
            let hint = hint(origin);
            assert!(hint.contains("(k3s, k3s-agent,") && !hint.contains("kube-apiserver"), "{hint}");
        }
        let other = hint(KubeconfigOrigin::Configured);
        assert!(other.contains("'server' in /etc/kubeconfig"), "{other}");
    }
}
