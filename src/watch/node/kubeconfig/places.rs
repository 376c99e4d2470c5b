//! Where a kubeconfig may be, in the order of preference.

use std::fmt;
use std::path::{Path, PathBuf};

use super::error::store;
use super::{DAEMON, Environment, KubeconfigOrigin, KubeconfigSource};

/// What makes a kubeconfig for the kubelet of every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Distribution {
    /// k3s.
    K3s,
    /// RKE2.
    Rke2,
    /// kubeadm.
    Kubeadm,
}

impl Distribution {
    /// All of them, in the order of preference.
    pub const ALL: [Distribution; 3] = [Distribution::K3s, Distribution::Rke2, Distribution::Kubeadm];

    /// The kubelet's kubeconfig. Root alone may read it.
    pub fn kubelet(self) -> &'static str {
        match self {
            Distribution::K3s => "/var/lib/rancher/k3s/agent/kubelet.kubeconfig",
            Distribution::Rke2 => "/var/lib/rancher/rke2/agent/kubelet.kubeconfig",
            Distribution::Kubeadm => "/etc/kubernetes/kubelet.conf",
        }
    }

    /// The administrator's kubeconfig of a server, which the kubelet's comes before: it may do less.
    fn administrator(self) -> Option<&'static str> {
        match self {
            Distribution::K3s => Some("/etc/rancher/k3s/k3s.yaml"),
            Distribution::Rke2 => Some("/etc/rancher/rke2/rke2.yaml"),
            Distribution::Kubeadm => None,
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Distribution::K3s => "k3s",
            Distribution::Rke2 => "RKE2",
            Distribution::Kubeadm => "kubeadm",
        })
    }
}

/// The names of the credentials that systemd may hand over together: a kubeconfig, and what stands in for the
/// files that it names, as only root may read those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialSet {
    /// Who has made them; `None` for the operator's own.
    pub distribution: Option<Distribution>,
    /// The kubeconfig.
    pub kubeconfig: &'static str,
    /// The client certificate.
    pub certificate: &'static str,
    /// Its key.
    pub key: &'static str,
    /// The cluster's CA certificates; `None` where the kubeconfig holds them itself.
    pub authority: Option<&'static str>,
}

impl CredentialSet {
    /// All of them, in the order of preference. No set makes use of a file of another.
    pub const ALL: [CredentialSet; 4] = [
        CredentialSet {
            distribution: None,
            kubeconfig: "kubeconfig",
            certificate: "kube-client.crt",
            key: "kube-client.key",
            authority: Some("kube-ca.crt"),
        },
        CredentialSet {
            distribution: Some(Distribution::K3s),
            kubeconfig: "k3s.kubeconfig",
            certificate: "k3s.kube-client.crt",
            key: "k3s.kube-client.key",
            authority: Some("k3s.kube-ca.crt"),
        },
        CredentialSet {
            distribution: Some(Distribution::Rke2),
            kubeconfig: "rke2.kubeconfig",
            certificate: "rke2.kube-client.crt",
            key: "rke2.kube-client.key",
            authority: Some("rke2.kube-ca.crt"),
        },
        CredentialSet {
            distribution: Some(Distribution::Kubeadm),
            kubeconfig: "kubeadm.kubeconfig",
            certificate: "kubeadm.kube-client.crt",
            key: "kubeadm.kube-client.key",
            authority: None,
        },
    ];

    /// Every name in it.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.kubeconfig, self.certificate, self.key].into_iter().chain(self.authority)
    }

    /// The set whose kubeconfig this file is, and what the names of its files begin with.
    pub(super) fn of(path: &Path, environment: &Environment) -> Option<(&'static CredentialSet, &'static str)> {
        let Some(directory) = &environment.credentials_directory else {
            let own = Self::ALL.first()?;
            return (stored(own.kubeconfig, environment) == path).then_some((own, STORED));
        };
        Self::ALL.iter().find(|set| directory.join(set.kubeconfig) == path).map(|set| (set, ""))
    }

    fn origin(&self) -> KubeconfigOrigin {
        self.distribution.map_or(KubeconfigOrigin::Credential, KubeconfigOrigin::KubeletCredential)
    }
}

/// Where to look, the first first.
pub(super) fn candidates(
    source: &KubeconfigSource,
    environment: &Environment,
) -> Vec<(KubeconfigOrigin, Vec<PathBuf>)> {
    use KubeconfigOrigin as Origin;
    if let KubeconfigSource::Path(path) = source {
        return vec![(Origin::Configured, vec![path.clone()])];
    }
    let mut candidates = Vec::new();
    if let Some(directory) = &environment.credentials_directory {
        let credentials = CredentialSet::ALL.iter();
        candidates.extend(credentials.map(|set| (set.origin(), vec![directory.join(set.kubeconfig)])));
    } else if let Some(own) = CredentialSet::ALL.first() {
        candidates.push((Origin::Store, vec![stored(own.kubeconfig, environment)]));
    }
    for distribution in Distribution::ALL {
        let kubelet = match distribution {
            Distribution::K3s | Distribution::Rke2 => Origin::DistributionKubelet,
            Distribution::Kubeadm => Origin::KubeadmKubelet,
        };
        candidates.push((kubelet, vec![below(&environment.root, distribution.kubelet())]));
        if let Some(path) = distribution.administrator() {
            candidates.push((Origin::DistributionAdmin, vec![below(&environment.root, path)]));
        }
    }
    if let Some(variable) = &environment.kubeconfig {
        let paths: Vec<_> = std::env::split_paths(variable).filter(|path| !path.as_os_str().is_empty()).collect();
        candidates.push((Origin::Variable, paths));
    }
    candidates
}

/// Whether the file is one that a distribution makes for its kubelet.
pub(super) fn is_kubelet(path: &Path, environment: &Environment) -> bool {
    Distribution::ALL.iter().any(|distribution| below(&environment.root, distribution.kubelet()) == path)
}

/// What the names of the service's credentials begin with where they are kept.
const STORED: &str = "nodedns.";

/// Where the operator keeps a credential of the service.
fn stored(credential: &str, environment: &Environment) -> PathBuf {
    below(&environment.root, &store(DAEMON, credential))
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}
