//! What a kubelet says, or no longer says, and Nodes that are deleted and registered again.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Node;

use super::fixture::{Cluster, in_cluster};
use super::node_state::{in_words, is_eligible, is_well};
use super::observer::{Observer, RECOVER_AFTER, ready, sum_up, withdrawals, withdrawn};

/// Waits until a node is withdrawn by itself because its Ready condition has that status and reason, and says
/// so with the cluster's own words.
async fn withdraws_itself(
    cluster: &Cluster,
    observer: &Observer,
    node: &str,
    since: Instant,
    (status, reason, message): (&str, &str, &str),
) -> Duration {
    let is_so = |object: &Node| ready(object) == Some((status, reason));
    let told = observer.when(cluster, node, since, is_so).await;
    let since_when = observer.ready_since(cluster, node, since, is_so).await;
    cluster.until(&format!("{node} is withdrawn"), async |cluster| cluster.is_withdrawn(node)).await;
    let batches = withdrawals(cluster, node, since);
    let first = batches.first().unwrap_or_else(|| panic!("{node} has not withdrawn itself"));
    assert!(first.wall >= since_when, "{node} is withdrawn before the cluster has said so: {first:#?}");
    let took = first.at.saturating_duration_since(told);
    println!(
        "{node}: {status} ({reason}) after {:.1} s, withdrawn {:.1} ms later",
        (told - since).as_secs_f64(),
        took.as_secs_f64() * 1000.0
    );
    let said = is_well(cluster, node, "not_ready").await;
    assert_eq!(said["kubernetes"]["ready_reason"], reason, "{said:#}");
    let text = in_words(cluster, node).await;
    let words = format!("Kubernetes: {node} is not Ready ({reason}: {message}");
    assert!(text.contains(&words), "{node}: no {words:?} in {text}");
    took
}

async fn back(cluster: &Cluster, observer: &Observer, node: &str, since: Instant) {
    let is_ready = |object: &Node| ready(object).is_some_and(|ready| ready.0 == "True");
    let since_when = observer.ready_since(cluster, node, since, is_ready).await;
    cluster.until(&format!("{node} is back"), async |cluster| cluster.is_published(node)).await;
    let batches = cluster.writes_of(node, since);
    let first = batches.first().unwrap_or_else(|| panic!("{node} has not published itself"));
    let took = first.wall.duration_since(since_when).expect("after it");
    println!("{node}: published {:.2} s after it was Ready", took.as_secs_f64());
    assert!(took >= RECOVER_AFTER, "{node} is back {took:?} after it was Ready");
    is_eligible(cluster, node).await;
}

const SILENT: (&str, &str, &str) = ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.");

#[test]
fn a_kubelet_that_stops_or_hangs_or_has_no_runtime_takes_its_node_out_of_dns() {
    in_cluster(async |cluster| {
        cluster.start_daemons().await;
        let observer = Observer::start(&cluster).await;
        let mut samples = Vec::new();

        // One stopped, one that hangs. The daemons beside them live, and see it.
        let since = Instant::now();
        cluster.service("stop", &["n1/kubelet"]).await;
        cluster.service("pause", &["n2/kubelet"]).await;
        let (n1, n2) = tokio::join!(
            withdraws_itself(&cluster, &observer, "n1", since, SILENT),
            withdraws_itself(&cluster, &observer, "n2", since, SILENT),
        );
        samples.extend([n1, n2]);
        assert!(cluster.is_published("n3"));
        cluster.judge("two kubelets are silent");
        let since = Instant::now();
        cluster.service("start", &["n1/kubelet"]).await;
        cluster.service("resume", &["n2/kubelet"]).await;
        tokio::join!(back(&cluster, &observer, "n1", since), back(&cluster, &observer, "n2", since));
        cluster.judge("both are back");

        // The kubelet lives and says itself what is wrong.
        let since = Instant::now();
        cluster.service("stop", &["n1/containerd"]).await;
        let down = ("False", "KubeletNotReady", "");
        samples.push(withdraws_itself(&cluster, &observer, "n1", since, down).await);
        let said = cluster.status("n1").await.0["kubernetes"]["ready_message"].clone();
        println!("the kubelet's own words: {said}");
        assert!(said.as_str().is_some_and(|said| said.contains("container runtime")), "{said}");
        assert!(in_words(&cluster, "n1").await.contains("container runtime"));
        let since = Instant::now();
        cluster.service("start", &["n1/containerd"]).await;
        back(&cluster, &observer, "n1", since).await;
        cluster.judge("the runtime is back");
        sum_up("L2, from the API server's report to the withdrawal", samples);
    });
}

/// Deleted, and gone at once, as nothing keeps it; back when its kubelet starts, which registers it.
async fn is_deleted_and_registered_again(cluster: &Cluster, observer: &Observer, node: &str) -> Vec<Duration> {
    let since = Instant::now();
    cluster.kubectl(&format!("delete node {node}")).await;
    let told = observer.when_gone(cluster, node, since).await;
    let samples = withdrawn(cluster, node, since, told).await;
    let status = is_well(cluster, node, "node_absent").await;
    assert_eq!(status["kubernetes"]["state"], "absent", "{status:#}");
    let text = in_words(cluster, node).await;
    assert!(text.contains(&format!("Kubernetes: there is no node {node}")), "{text}");

    let since = Instant::now();
    let kubelet = format!("{node}/kubelet");
    cluster.service("stop", &[&kubelet]).await;
    assert!(cluster.is_withdrawn(node), "nobody has registered it");
    cluster.service("start", &[&kubelet]).await;
    back(cluster, observer, node, since).await;
    samples
}

/// A finalizer keeps it: until it is gone, it is being deleted.
async fn is_being_deleted(cluster: &Cluster, observer: &Observer, node: &str) -> Vec<Duration> {
    let patch = |patch: &'static str| async move {
        cluster.must("hub", &["kubectl", "patch", "node", node, "--type=json", &format!("--patch={patch}")]).await
    };
    patch(r#"[{"op":"add","path":"/metadata/finalizers","value":["example.com/keep"]}]"#).await;
    let since = Instant::now();
    cluster.kubectl(&format!("delete node {node} --wait=false")).await;
    let told = observer.when(cluster, node, since, |object| object.metadata.deletion_timestamp.is_some()).await;
    let samples = withdrawn(cluster, node, since, told).await;
    cluster.until("it says so", async |cluster| cluster.reasons(node).await == ["deleting"]).await;
    let text = in_words(cluster, node).await;
    assert!(text.contains(&format!("{node} is Ready, being deleted")), "{text}");
    patch(r#"[{"op":"remove","path":"/metadata/finalizers"}]"#).await;
    cluster.until("it is gone", async |cluster| cluster.reasons(node).await == ["node_absent"]).await;
    let since = Instant::now();
    let kubelet = format!("{node}/kubelet");
    cluster.service("stop", &[&kubelet]).await;
    cluster.service("start", &[&kubelet]).await;
    back(cluster, observer, node, since).await;
    samples
}

#[test]
fn a_node_that_is_deleted_leaves_dns_and_comes_back_when_it_is_registered_again() {
    in_cluster(async |cluster| {
        cluster.start_daemons().await;
        let observer = Observer::start(&cluster).await;
        let (n1, n2, n3) = tokio::join!(
            is_deleted_and_registered_again(&cluster, &observer, "n1"),
            is_deleted_and_registered_again(&cluster, &observer, "n2"),
            is_being_deleted(&cluster, &observer, "n3"),
        );
        sum_up("L2, from the API server's report to the withdrawal", [n1, n2, n3].concat());
        cluster.judge("all are back");
        assert!(cluster.all_are_published());
    });
}
