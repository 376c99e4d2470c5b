//! What is done to a Node with kubectl, and what DNS and `nodedns status` make of it.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Node;
use serde_json::Value;

use super::control_plane::SOLE;
use super::fixture::{Cluster, NODES, in_cluster, owner_id, reasons_in};
use super::observer::{Observer, RECOVER_AFTER, none, sum_up, withdrawals, withdrawn};

/// The table and what is below it, on one line: how it is wrapped means nothing.
pub(crate) async fn in_words(cluster: &Cluster, node: &str) -> String {
    let text = cluster.run(node, &["nodedns", "status"]).await.stdout;
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Waits until a node says that nothing speaks against it, and that all is well; its status.
pub(crate) async fn is_eligible(cluster: &Cluster, node: &str) -> Value {
    is_well(cluster, node, "eligible").await
}

/// Waits until a node gives this as the reason for all that it does, and is as it is to be, which it knows only when it
/// has been answered; its status.
pub(crate) async fn is_well(cluster: &Cluster, node: &str, reason: &str) -> Value {
    let mut said = (Value::Null, None);
    let well = async |cluster: &Cluster| {
        said = cluster.status(node).await;
        said.1 == Some(0) && reasons_in(&said.0) == [reason]
    };
    cluster.until(&format!("{node} is well and says {reason}"), well).await;
    said.0
}

/// A node that leaves while nobody else does, which takes one batch for each name.
async fn leaves(cluster: &Cluster, node: &str, since: Instant, told: Instant) -> Vec<Duration> {
    let took = withdrawn(cluster, node, since, told).await;
    let batches = withdrawals(cluster, node, since);
    assert_eq!(batches.len(), 2, "{node}: one for each name: {batches:#?}");
    took
}

/// A node that is withdrawn says why, and is as it is to be; the other two stay.
async fn says(cluster: &Cluster, node: &str, reason: &str, words: &[&str]) {
    // To be out of DNS for a reason is nothing to mend.
    is_well(cluster, node, reason).await;
    let text = in_words(cluster, node).await;
    for words in words {
        assert!(text.contains(words), "{node}: no {words:?} in {text}");
    }
    for other in NODES.iter().filter(|other| **other != node) {
        assert!(cluster.is_published(other), "{other} has nothing to do with {node}");
    }
    cluster.judge(&format!("{node}: {reason}"));
}

/// Waits until a node is back, not before its time, after what spoke against it began to be `undone`.
async fn back(cluster: &Cluster, node: &str, undone: Instant) {
    cluster.until(&format!("{node} is back"), async |cluster| cluster.is_published(node)).await;
    let batches = cluster.writes_of(node, undone);
    let took = batches.first().expect("it has published itself").at - undone;
    assert!(took >= RECOVER_AFTER, "{node} is back after {took:?}");
    is_eligible(cluster, node).await;
    cluster.judge(&format!("{node} is back"));
}

fn cordoned(node: &Node) -> bool {
    node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true)
}

fn tainted(node: &Node, key: &str) -> bool {
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    taints.iter().any(|taint| taint.key == key)
}

#[test]
fn what_kubectl_says_of_a_node_is_in_dns_at_once() {
    in_cluster(async |cluster| {
        for (node, keys) in [("n1", ""), ("n2", ""), ("n3", "keys = [\"example.com/maintenance\"], ")] {
            let tainted = format!("[signals]\ntainted = {{ {keys}recover_after = \"1s\" }}\n");
            cluster.configure(node, "[signals]\n", &tainted).await;
        }
        cluster.start_daemons().await;
        let observer = Observer::start(&cluster).await;
        let mut samples = Vec::new();

        for node in NODES {
            let since = Instant::now();
            cluster.kubectl(&format!("cordon {node}")).await;
            let told = observer.when(&cluster, node, since, cordoned).await;
            samples.extend(leaves(&cluster, node, since, told).await);
            says(&cluster, node, "cordoned", &[&format!("{node} is Ready, cordoned"), "withdraw"]).await;
            let undone = Instant::now();
            cluster.kubectl(&format!("uncordon {node}")).await;
            back(&cluster, node, undone).await;
        }

        // As an operator does it; no Pod is there to be evicted.
        for node in NODES {
            let since = Instant::now();
            cluster.kubectl(&format!("drain {node} --ignore-daemonsets")).await;
            let told = observer.when(&cluster, node, since, cordoned).await;
            samples.extend(leaves(&cluster, node, since, told).await);
            says(&cluster, node, "cordoned", &[&format!("{node} is Ready, cordoned")]).await;
            let undone = Instant::now();
            cluster.kubectl(&format!("uncordon {node}")).await;
            back(&cluster, node, undone).await;
        }

        // Those that count by themselves, the one that is configured in their place, and one that is nobody's.
        let steps = [
            ("n1", "node.kubernetes.io/out-of-service", "NoExecute"),
            ("n2", "ToBeDeletedByClusterAutoscaler", "NoSchedule"),
            ("n3", "example.com/maintenance", "NoSchedule"),
        ];
        for (node, key, effect) in steps {
            cluster.kubectl(&format!("taint node {node} example.com/foreign=yes:NoSchedule")).await;
            let since = Instant::now();
            let quiet = Duration::from_millis(1500);
            cluster.stays(quiet, "a foreign taint does nothing", async |cluster| cluster.is_published(node)).await;
            none(&cluster.writes_of(node, since), "a foreign taint");
            let since = Instant::now();
            cluster.kubectl(&format!("taint node {node} {key}=yes:{effect}")).await;
            let told = observer.when(&cluster, node, since, |object| tainted(object, key)).await;
            samples.extend(leaves(&cluster, node, since, told).await);
            let listed = format!("{key}:{effect}");
            let why = format!("why: the Node has the taint {key}");
            says(&cluster, node, "tainted", &[&listed, "example.com/foreign:NoSchedule", &why]).await;
            let undone = Instant::now();
            cluster.kubectl(&format!("taint node {node} {key}-")).await;
            back(&cluster, node, undone).await;
        }
        sum_up("L2, from the API server's report to the withdrawal", samples);
    });
}

#[test]
fn a_pool_keeps_one_when_every_node_is_cordoned() {
    in_cluster(async |cluster| {
        cluster.start_daemons_with_sole().await;

        cluster.kubectl("cordon n1 n2 n3").await;
        // Where others are too, the nodes leave; where they are alone, one stays, for each type.
        let others_only =
            |cluster: &Cluster| NODES.iter().all(|node| cluster.own(node).keys().all(|(name, _)| name == SOLE));
        let settled = |cluster: &Cluster| others_only(cluster) && cluster.sole() == (1, 1);
        cluster.until("one is left", async |cluster| settled(cluster)).await;
        cluster.judge("one is left");
        cluster.stays(Duration::from_secs(5), "one is left", async |cluster| settled(cluster)).await;
        cluster.judge("one stays");

        for rtype in ["A", "AAAA"] {
            let left = cluster.owners_of_sole(rtype);
            let node = NODES.into_iter().find(|node| owner_id(node) == left[0]).expect("one of the three");
            let (status, code) = cluster.status(node).await;
            let records = status["records"].as_array().expect("records").clone();
            let is_it = |record: &&Value| record["name"] == "sole.example.com" && record["type"] == rtype;
            let record = records.iter().find(is_it).expect("the record");
            assert_eq!(
                (record["intent"].as_str(), record["reason"].as_str()),
                (Some("hold"), Some("keep_min")),
                "{record:#}"
            );
            assert_eq!(code, Some(2), "a node that cannot leave needs attention: {status:#}");
            let text = in_words(&cluster, node).await;
            for words in ["cordoned", "why: leaving would bring the name below keep_min = 1 record set"] {
                assert!(text.contains(words), "{node}: no {words:?} in {text}");
            }
        }

        cluster.kubectl("uncordon n1 n2 n3").await;
        cluster.until("all are back", async |cluster| cluster.all_have_sole()).await;
        for node in NODES {
            is_eligible(&cluster, node).await;
        }
        cluster.judge("all are back");
    });
}
