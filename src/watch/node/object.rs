//! The Node object as far as we read it.
//!
//! A real Node carries tens of kilobytes of image names and managed fields. Only the fields below
//! are deserialized; serde skips the rest without keeping it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ClusterResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::{Deserialize, Deserializer};

use crate::decide::node::{ANNOTATION_PREFIXES, NodeObject, NodeSummary, Readiness};

/// The type of the condition that says whether a node takes Pods.
const READY: &str = "Ready";

/// A `v1` Node without what nodedns does not need.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Node {
    #[serde(deserialize_with = "slim_metadata")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Spec {
    unschedulable: Option<bool>,
    taints: Option<Vec<Taint>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Taint {
    key: String,
    effect: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Option<Vec<Condition>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    message: Option<String>,
    /// As text: a watch does not need it, so that it must not fail for it.
    #[serde(default)]
    last_transition_time: Option<String>,
}

impl Node {
    /// `metadata.name`.
    pub(super) fn name(&self) -> Option<&str> {
        self.metadata.name.as_deref()
    }

    /// The `Ready` condition.
    pub(super) fn readiness(self) -> Readiness {
        readiness(self.status.conditions.unwrap_or_default())
    }

    /// What a list of all Nodes keeps of it, by a wall clock that shows `now`.
    pub(super) fn summary(self, now: Timestamp) -> NodeSummary {
        let conditions = self.status.conditions.unwrap_or_default();
        let since = conditions.iter().find(|condition| condition.kind == READY);
        let since = since.and_then(|ready| ready.last_transition_time.as_deref()?.parse::<Timestamp>().ok());
        NodeSummary {
            // A negative length of time is none of this type.
            ready_for: since.and_then(|since| now.duration_since(since).try_into().ok()),
            ready: readiness(conditions),
            unschedulable: self.spec.unschedulable.unwrap_or(false),
            deleting: self.metadata.deletion_timestamp.is_some(),
        }
    }
}

impl From<Node> for NodeObject {
    fn from(node: Node) -> Self {
        let mut annotations = node.metadata.annotations.unwrap_or_default();
        annotations.retain(|key, _| ANNOTATION_PREFIXES.iter().any(|prefix| key.starts_with(prefix)));
        let mut taints: Vec<_> =
            node.spec.taints.unwrap_or_default().into_iter().map(|taint| (taint.key, taint.effect)).collect();
        taints.sort_unstable();
        let conditions = node.status.conditions.unwrap_or_default();
        let unready = conditions.iter().find(|condition| condition.kind == READY && condition.status != "True");
        NodeObject {
            ready_message: unready.and_then(|ready| ready.message.clone()).filter(|message| !message.is_empty()),
            ready: readiness(conditions),
            unschedulable: node.spec.unschedulable.unwrap_or(false),
            deleting: node.metadata.deletion_timestamp.is_some(),
            labels: node.metadata.labels.unwrap_or_default(),
            annotations,
            taints,
        }
    }
}

fn readiness(conditions: Vec<Condition>) -> Readiness {
    match conditions.into_iter().find(|condition| condition.kind == READY) {
        Some(condition) if condition.status == "True" => Readiness::Ready,
        Some(condition) => Readiness::NotReady(condition.reason.filter(|reason| !reason.is_empty())),
        None => Readiness::NotReady(None),
    }
}

/// Reads metadata without `managedFields`, which is the bulk of it.
fn slim_metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        name: String,
        resource_version: Option<String>,
        deletion_timestamp: Option<Time>,
        labels: Option<BTreeMap<String, String>>,
        annotations: Option<BTreeMap<String, String>>,
    }
    let metadata = Metadata::deserialize(deserializer)?;
    Ok(ObjectMeta {
        name: Some(metadata.name),
        resource_version: metadata.resource_version,
        deletion_timestamp: metadata.deletion_timestamp,
        labels: metadata.labels,
        annotations: metadata.annotations,
        ..ObjectMeta::default()
    })
}

impl Resource for Node {
    type DynamicType = ();
    type Scope = ClusterResourceScope;

    fn kind(_: &()) -> Cow<'_, str> {
        "Node".into()
    }

    fn group(_: &()) -> Cow<'_, str> {
        "".into()
    }

    fn version(_: &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural(_: &()) -> Cow<'_, str> {
        "nodes".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: serde_json::Value) -> NodeObject {
        serde_json::from_value::<Node>(value).expect("a Node").into()
    }

    #[test]
    fn what_matters_is_kept_and_the_rest_is_not() {
        let node = object(json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {
                "name": "n1", "resourceVersion": "7", "deletionTimestamp": "2026-01-02T03:04:05Z",
                "labels": {"zone": "a"},
                "annotations": {
                    "nodedns.io/weight": "5", "kube-node-dns.kyle.space/coordinates": "1,2",
                    "nodedns.io.example/x": "no", "volumes.kubernetes.io/controller-managed-attach-detach": "true"
                },
                "managedFields": [{"manager": "k3s", "fieldsV1": {"f:status": {}}}]
            },
            "spec": {
                "unschedulable": true, "podCIDR": "10.42.0.0/24",
                "taints": [{"key": "b", "effect": "NoExecute", "timeAdded": "2026-01-02T03:04:05Z"}, {"key": "a", "effect": "NoSchedule", "value": "v"}]
            },
            "status": {
                "images": [{"names": ["x"], "sizeBytes": 1}],
                "conditions": [
                    {"type": "MemoryPressure", "status": "False", "reason": "Enough"},
                    {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status", "lastHeartbeatTime": "2026-01-02T03:04:05Z"}
                ]
            }
        }));
        let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(
            node,
            NodeObject {
                ready: Readiness::Ready,
                ready_message: None,
                unschedulable: true,
                deleting: true,
                labels: pairs(&[("zone", "a")]),
                annotations: pairs(&[("nodedns.io/weight", "5"), ("kube-node-dns.kyle.space/coordinates", "1,2")]),
                taints: vec![("a".into(), "NoSchedule".into()), ("b".into(), "NoExecute".into())],
            }
        );
    }

    #[test]
    fn a_node_that_is_not_ready_says_why_in_words() {
        let said = |status: &str, message: &str| {
            let ready = json!({"type": "Ready", "status": status, "reason": "R", "message": message});
            let disk = json!({"type": "DiskPressure", "status": "False", "message": "enough"});
            object(json!({"metadata": {"name": "n1"}, "status": {"conditions": [disk, ready]}})).ready_message
        };
        assert_eq!(said("False", "container runtime is down").as_deref(), Some("container runtime is down"));
        assert_eq!(
            said("Unknown", "Kubelet stopped posting node status.").as_deref(),
            Some("Kubelet stopped posting node status.")
        );
        assert_eq!(said("True", "kubelet is posting ready status"), None);
        assert_eq!(said("False", ""), None);
    }

    #[test]
    fn only_a_true_ready_condition_is_ready() {
        let ready = |status: serde_json::Value| object(json!({"metadata": {"name": "n1"}, "status": status})).ready;
        let condition =
            |status: &str, reason: &str| json!({"conditions": [{"type": "Ready", "status": status, "reason": reason}]});
        assert_eq!(ready(condition("True", "KubeletReady")), Readiness::Ready);
        assert_eq!(ready(condition("False", "KubeletNotReady")), Readiness::NotReady(Some("KubeletNotReady".into())));
        assert_eq!(
            ready(condition("Unknown", "NodeStatusUnknown")),
            Readiness::NotReady(Some("NodeStatusUnknown".into()))
        );
        assert_eq!(ready(condition("False", "")), Readiness::NotReady(None));
        assert_eq!(
            ready(json!({"conditions": [{"type": "DiskPressure", "status": "True"}]})),
            Readiness::NotReady(None)
        );
        assert_eq!(ready(json!({"conditions": null})), Readiness::NotReady(None));
        assert_eq!(ready(json!({})), Readiness::NotReady(None));
    }
}
