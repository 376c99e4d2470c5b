//! Which node this is, and where its state is learned from. Found once, at start.

use std::time::Duration;

use crate::config::{Config, Switch};
use crate::watch::node::identity::{FoundNodeName, NodeName, find_node_name};
use crate::watch::node::kubeconfig::{Environment, KubeconfigError, KubeconfigInfo, KubeconfigSource, find_kubeconfig};
use crate::watch::node::once::{self, NodeList, ReadError};
use crate::watch::node::{NodeWatchSettings, Timing};

/// How the cluster's API server is asked, from a host that need not be one of its nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Where the kubeconfig comes from.
    pub kubeconfig: KubeconfigSource,
    /// Where discovery looks.
    pub environment: Environment,
}

impl Access {
    /// What the configuration says; `None` where Kubernetes is switched off, and where nothing is said of
    /// it and there is no kubeconfig. Needs no name of a node, unlike [`Identity::find`].
    pub fn find(config: &Config) -> Option<Self> {
        let environment = Environment::of_process();
        let kubeconfig = kubernetes(config, &environment).0?;
        Some(Access { kubeconfig, environment })
    }

    /// All Nodes of the cluster: see [`once::nodes`].
    ///
    /// # Errors
    /// Those of [`once::nodes`].
    pub async fn nodes(&self, limit: Duration) -> Result<NodeList, ReadError> {
        once::nodes(&self.kubeconfig, &self.environment, limit).await
    }
}

/// Where the kubeconfig comes from, if Kubernetes is asked at all, and the one that was found.
fn kubernetes(config: &Config, environment: &Environment) -> (Option<KubeconfigSource>, Option<KubeconfigInfo>) {
    let source = config.kubernetes.kubeconfig.clone().map_or(KubeconfigSource::Auto, KubeconfigSource::Path);
    let found = find_kubeconfig(&source, environment);
    let asked = match (config.kubernetes.enabled, &found) {
        (Switch::On, _) => true,
        (Switch::Off, _) => false,
        // A kubeconfig that is there but cannot be used is still a sign of Kubernetes: to go
        // on without would publish a node whatever state it is in.
        (Switch::Auto, Err(KubeconfigError::Absent { .. })) => false,
        (Switch::Auto, _) => true,
    };
    (asked.then_some(source), found.ok())
}

/// Which node this is, and where its state is learned from.
#[derive(Debug, Clone)]
pub struct Identity {
    name: NodeName,
    /// How the name was found, for people.
    pub source: String,
    /// What could not be read on the way and might have said otherwise, for people.
    pub doubts: Vec<String>,
    environment: Environment,
    /// Present when the Node object is watched.
    kubeconfig: Option<KubeconfigSource>,
}

impl Identity {
    /// Finds the kubeconfig and the node's name.
    ///
    /// # Errors
    /// When what was found cannot be the name of a node.
    pub fn find(config: &Config) -> anyhow::Result<Self> {
        let environment = Environment::of_process();
        let (kubeconfig, info) = kubernetes(config, &environment);
        let (name, source, doubts) = match &config.node {
            Some(name) => (NodeName::parse(name)?, "from the configuration".to_owned(), Vec::new()),
            None => {
                let info = info.as_ref().filter(|_| kubeconfig.is_some());
                let FoundNodeName { name, source, doubts } = find_node_name(info, &environment)?;
                (name, source.to_string(), doubts)
            }
        };
        Ok(Identity { name, source, doubts, environment, kubeconfig })
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        self.name.as_str()
    }

    /// How the Node object is watched; `None` without Kubernetes.
    pub fn node_watch(&self) -> Option<NodeWatchSettings> {
        let kubeconfig = self.kubeconfig.clone()?;
        let environment = self.environment.clone();
        Some(NodeWatchSettings { node: self.name.clone(), kubeconfig, environment, timing: Timing::default() })
    }

    /// Where the cluster's API server is asked from here; `None` without Kubernetes.
    pub fn access(&self) -> Option<Access> {
        Some(Access { kubeconfig: self.kubeconfig.clone()?, environment: self.environment.clone() })
    }

    /// Where this host has been found to be part of a cluster after all, though it was not at start:
    /// what to tell the operator. Identity and watch are settled at start, so only a restart helps.
    pub fn overtaken(&self, config: &Config) -> Option<String> {
        if self.kubeconfig.is_some() || config.kubernetes.enabled != Switch::Auto {
            return None;
        }
        let info = find_kubeconfig(&KubeconfigSource::Auto, &self.environment).ok()?;
        Some(format!(
            "a kubeconfig has appeared ({}), but this node is published by its addresses alone; restart nodedns to watch the Node",
            info.path.display()
        ))
    }

    /// Logs which node this is.
    pub fn log(&self) {
        let kubernetes = if self.kubeconfig.is_some() { "watching the Node object" } else { "without Kubernetes" };
        tracing::info!(node = self.node(), "this is node {} ({}), {kubernetes}", self.name, self.source);
        for doubt in &self.doubts {
            tracing::warn!("the node's name may be another: {doubt}");
        }
    }
}
