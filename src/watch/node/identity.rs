//! The name of the own Node object.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::certificate::ClientCertificate;
use super::kubeconfig::{Environment, KubeconfigInfo, is_absent};

/// The name of a Node object: an RFC 1123 subdomain. A value of this type can be put into a field
/// selector as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(String);

/// The text is not a name that the Kubernetes API takes for a Node; the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' cannot be the name of a Node: it must be letters a-z, digits, '-' and '.', begin and end with a letter or digit, and have at most 253 characters\nhint: set 'node' to a name that 'kubectl get nodes' shows"
)]
pub struct NodeNameError(pub String);

impl NodeName {
    /// Checks `text` against the API's own rule (`IsDNS1123Subdomain`).
    ///
    /// # Errors
    /// When the API would not take it.
    pub fn parse(text: &str) -> Result<Self, NodeNameError> {
        let alphanumeric = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let label = |label: &str| {
            let bytes = label.as_bytes();
            alphanumeric(bytes.first())
                && alphanumeric(bytes.last())
                && bytes.iter().all(|b| alphanumeric(Some(b)) || *b == b'-')
        };
        if text.len() <= 253 && text.split('.').all(label) {
            Ok(NodeName(text.to_owned()))
        } else {
            Err(NodeNameError(text.to_owned()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why the node's name cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindNodeNameError {
    /// What was found is no name for a Node.
    #[error("{0}")]
    Invalid(#[from] NodeNameError),
    /// `with-node-id` is set, so that the name without the id is certainly wrong; what is wrong with the id.
    #[error("{0}\nhint: set 'node' to the name that 'kubectl get nodes' shows")]
    NoId(String),
}

/// How a node's name was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeNameSource {
    /// The client certificate of this kubeconfig names `system:node:<name>`.
    ClientCertificate(PathBuf),
    /// `node-name` or `with-node-id` in this file of k3s or RKE2.
    DistributionConfig(PathBuf),
    /// The hostname in lower case.
    Hostname,
}

impl fmt::Display for NodeNameSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeNameSource::ClientCertificate(path) => {
                write!(f, "from the client certificate of {}", path.display())
            }
            NodeNameSource::DistributionConfig(path) => write!(f, "from {}", path.display()),
            NodeNameSource::Hostname => write!(f, "from the hostname"),
        }
    }
}

/// A node's name and how sure it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundNodeName {
    /// The name.
    pub name: NodeName,
    /// How it was found.
    pub source: NodeNameSource,
    /// What could not be read on the way and might have said otherwise, for people.
    pub doubts: Vec<String>,
}

/// Finds the node's name where the configuration says `auto`: the client certificate of
/// `kubeconfig`, then the files of k3s and RKE2, then the hostname.
///
/// The name becomes part of the owner id, so it is to be asked for once, at start.
///
/// # Errors
/// When what was found cannot be the name of this node.
pub fn find_node_name(
    kubeconfig: Option<&KubeconfigInfo>,
    environment: &Environment,
) -> Result<FoundNodeName, FindNodeNameError> {
    if let Some(info) = kubeconfig
        && let Some(name) = info.client_certificate.as_ref().and_then(ClientCertificate::node_name)
    {
        let source = NodeNameSource::ClientCertificate(info.path.clone());
        return Ok(FoundNodeName { name: NodeName::parse(name)?, source, doubts: Vec::new() });
    }
    // k3s and RKE2 lower-case the name and only then append the node's id.
    let hostname = environment.hostname.to_lowercase();
    let mut doubts = Vec::new();
    for distribution in ["k3s", "rke2"] {
        let settings = distribution_settings(distribution, environment, &mut doubts);
        let Some(file) = settings.file else { continue };
        let mut name = settings.node_name.map_or_else(|| hostname.clone(), |name| name.to_lowercase());
        if settings.with_node_id {
            name = format!("{name}-{}", node_id(environment)?);
        }
        let source = NodeNameSource::DistributionConfig(file);
        return Ok(FoundNodeName { name: NodeName::parse(&name)?, source, doubts });
    }
    Ok(FoundNodeName { name: NodeName::parse(&hostname)?, source: NodeNameSource::Hostname, doubts })
}

/// What the configuration files of k3s or RKE2 say of the node's name. Empty values say nothing, as
/// in those programs.
#[derive(Default)]
struct DistributionSettings {
    node_name: Option<String>,
    with_node_id: bool,
    /// The last file that said one of the two.
    file: Option<PathBuf>,
}

/// Reads `config.yaml` and then `config.yaml.d/*.yaml` in alphabetical order; later files override.
/// Source: K3s, "Configuration Options".
fn distribution_settings(
    distribution: &str,
    environment: &Environment,
    doubts: &mut Vec<String>,
) -> DistributionSettings {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct File {
        node_name: Option<String>,
        with_node_id: Option<bool>,
    }
    let mut doubt = |path: &Path, why: &dyn fmt::Display| {
        doubts.push(format!("cannot read {}, which may set the node's name: {why}", path.display()));
    };
    let main = environment.root.join("etc/rancher").join(distribution).join("config.yaml");
    let directory = main.with_extension("yaml.d");
    let mut files = vec![main];
    match std::fs::read_dir(&directory) {
        Ok(entries) => {
            let yaml = |path: &PathBuf| path.extension().is_some_and(|e| e == "yaml" || e == "yml");
            let mut drop_ins: Vec<_> = entries.filter_map(|e| e.ok().map(|e| e.path())).filter(yaml).collect();
            drop_ins.sort_unstable();
            files.append(&mut drop_ins);
        }
        Err(error) if is_absent(&error) => {}
        Err(error) => doubt(&directory, &error),
    }
    let mut settings = DistributionSettings::default();
    for path in files {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if is_absent(&error) => continue,
            Err(error) => {
                doubt(&path, &error);
                continue;
            }
        };
        // The file holds the cluster's token: no part of it may get into a message.
        match serde_saphyr::from_str::<Option<File>>(&text) {
            Ok(Some(file)) => {
                let node_name = file.node_name.filter(|name| !name.is_empty());
                if node_name.is_some() || file.with_node_id == Some(true) {
                    settings.file = Some(path);
                }
                settings.node_name = node_name.or(settings.node_name);
                settings.with_node_id = file.with_node_id.unwrap_or(settings.with_node_id);
            }
            Ok(None) => {}
            Err(_) => doubt(&path, &"not the YAML that was expected"),
        }
    }
    if settings.node_name.is_none() && !settings.with_node_id {
        settings.file = None;
    }
    settings
}

/// The id that `with-node-id` appends: k3s and RKE2 create it once, in one and the same place.
fn node_id(environment: &Environment) -> Result<String, FindNodeNameError> {
    let path = environment.root.join("etc/rancher/node/id");
    let why = match std::fs::read_to_string(&path) {
        Ok(id) if !id.trim().is_empty() => return Ok(id.trim().to_owned()),
        Ok(_) => "it is empty".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(FindNodeNameError::NoId(format!("cannot read {}, which is part of the node's name: {why}", path.display())))
}
