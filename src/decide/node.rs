//! What the cluster says of this node, and of the others.

use std::collections::BTreeMap;
use std::time::Duration;

/// Prefixes of the annotation keys that decide something: our own, and kube-node-dns's for those
/// who move from it. All other annotations are noise that changes often.
pub const ANNOTATION_PREFIXES: [&str; 2] = ["nodedns.io/", "kube-node-dns.kyle.space/"];

/// The own Node object, reduced to what decides something. Heartbeats change none of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeState {
    /// The cluster has no Node object of this name.
    Absent,
    /// The Node object is there.
    Present(NodeObject),
}

/// The parts of a Node object that matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeObject {
    /// The `Ready` condition.
    pub ready: Readiness,
    /// What the `Ready` condition says in words, where it is not `True`. Decides nothing.
    pub ready_message: Option<String>,
    /// `spec.unschedulable`: cordoned.
    pub unschedulable: bool,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations` under one of the [`ANNOTATION_PREFIXES`].
    pub annotations: BTreeMap<String, String>,
    /// `spec.taints`: key and effect, sorted, so that their order in the object means nothing.
    pub taints: Vec<(String, String)>,
}

/// Every Node of the cluster by its name, reduced to its `Ready` condition. Whole: a Node that is not
/// in it does not exist.
pub type Cluster = BTreeMap<String, Readiness>;

/// Every Node of the cluster by its name, as one list of all of them has it. Whole: a Node that is not in
/// it does not exist.
pub type Nodes = BTreeMap<String, NodeSummary>;

/// A Node in a list of all of them, reduced to what says whether its record sets belong in DNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSummary {
    /// The `Ready` condition.
    pub ready: Readiness,
    /// For how long the `Ready` condition has been as it is, by its `lastTransitionTime` and the API
    /// server's clock, or this host's where the server does not tell its time; `None` when it does not say, or says that it will be.
    pub ready_for: Option<Duration>,
    /// `spec.unschedulable`: cordoned.
    pub unschedulable: bool,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
}

/// The `Ready` condition of a Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// `True`.
    Ready,
    /// `False`, `Unknown` or no such condition at all, with the condition's reason where it has one
    /// (e.g. `KubeletNotReady`, `NodeStatusUnknown`).
    NotReady(Option<String>),
}
