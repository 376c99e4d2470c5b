//! What the cluster says of this node.

use std::collections::BTreeMap;

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
    /// `spec.unschedulable`: cordoned.
    pub unschedulable: bool,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations` under `nodedns.io/`, and kube-node-dns's own.
    pub annotations: BTreeMap<String, String>,
    /// `spec.taints`: key and effect.
    pub taints: Vec<(String, String)>,
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
