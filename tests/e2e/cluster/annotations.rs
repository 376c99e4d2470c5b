//! What is written on a Node, by `kubectl annotate` and `kubectl label`, and what DNS makes of it.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Node;
use route53_sim::{Action, RecordSet};

use super::fixture::{Cluster, EDGE, GEO, in_cluster, owner_id};
use super::node_state::{in_words, is_eligible};
use super::observer::{Observer, none, sum_up, withdrawn};
use crate::node::ZONE;

/// How long an annotation has to stand that has changed once of late, here by a value that cannot be; twice as long
/// each time after that.
const SETTLE: Duration = Duration::from_secs(2);

const TYPES: [&str; 2] = ["A", "AAAA"];

/// The record sets of a node at a name, one for each type.
fn sets(cluster: &Cluster, node: &str, name: &str) -> Vec<RecordSet> {
    let owner = owner_id(node);
    let sets = cluster.sim.record_sets(ZONE).into_iter();
    sets.filter(|set| set.name == name && set.set_identifier.as_ref() == Some(&owner)).collect()
}

fn weights(cluster: &Cluster, node: &str) -> Vec<i64> {
    sets(cluster, node, EDGE).iter().filter_map(|set| set.weight).collect()
}

/// Latitude, longitude and bias of a node's geoproximity record sets.
fn places(cluster: &Cluster, node: &str) -> Vec<(String, String, i64)> {
    let sets = sets(cluster, node, GEO).into_iter();
    let place = |set: RecordSet| {
        let geoproximity = set.geoproximity?;
        let at = geoproximity.coordinates?;
        Some((at.latitude, at.longitude, geoproximity.bias?))
    };
    sets.filter_map(place).collect()
}

/// Whether a Node's annotations are as the arguments of `kubectl annotate` have them: `key=value`, or `key-`.
fn is_annotated(node: &Node, arguments: &str) -> bool {
    let value = |key: &str| node.metadata.annotations.as_ref().and_then(|annotations| annotations.get(key)).cloned();
    arguments.split_whitespace().all(|argument| match argument.split_once('=') {
        Some((key, wanted)) => value(key).as_deref() == Some(wanted),
        None => value(argument.trim_end_matches('-')).is_none(),
    })
}

/// Annotates a node and waits until it shows in DNS: by one batch, which replaces the node's record sets at
/// `name` and none of which is ever away. How much longer that took, from when the API server told of it, than the
/// time for which what has changed so often has to stand.
async fn replaced(
    cluster: &Cluster,
    observer: &Observer,
    node: &str,
    name: &str,
    (times, annotation): (u32, &str),
    shows: impl Fn(&Cluster) -> bool,
) -> Duration {
    let since = Instant::now();
    cluster.kubectl(&format!("annotate --overwrite node {node} {annotation}")).await;
    let told = observer.when(cluster, node, since, |object| is_annotated(object, annotation)).await;
    cluster.until(&format!("{node}: {annotation} shows"), async |cluster| shows(cluster)).await;
    let batches = cluster.writes_of(node, since);
    let [batch] = batches.as_slice() else { panic!("{node}: {annotation}: one batch: {batches:#?}") };
    assert!(batch.change_id.is_some(), "{node}: {annotation}: accepted: {batch:#?}");
    for rtype in TYPES {
        let changes = batch.changes.iter().filter(|(_, set)| set.name == name && set.rtype == rtype);
        let actions: Vec<_> = changes.map(|(action, _)| *action).collect();
        let in_place = matches!(actions.as_slice(), [Action::Upsert] | [Action::Delete, Action::Create]);
        assert!(in_place, "{node}: {annotation}: {rtype}: {actions:?}");
    }
    assert!(batch.changes.iter().all(|(_, set)| set.name == name), "{node}: {annotation}: {batch:#?}");
    let settle = SETTLE * 2u32.pow(times - 1);
    assert!(batch.at - since >= settle, "{node}: {annotation}: {:?}, before it had settled", batch.at - since);
    let took = batch.at.saturating_duration_since(told);
    println!("{node}: {annotation}: sent {:.3} s after it was told", took.as_secs_f64());
    took.saturating_sub(settle)
}

/// A value that cannot be: `status` says so, and nothing is written.
async fn refused(cluster: &Cluster, node: &str, key: &str, value: &str) {
    let since = Instant::now();
    cluster.kubectl(&format!("annotate --overwrite node {node} {key}={value}")).await;
    let what = format!("the annotation {key} = \"{value}\" on the Node cannot be");
    cluster
        .until(&format!("{node} says that {key} cannot be {value}"), async |cluster| {
            let (status, _) = cluster.status(node).await;
            status["kubernetes"]["annotations"]["mistakes"].to_string().contains(&what.replace('"', "\\\""))
        })
        .await;
    let text = in_words(cluster, node).await;
    assert!(text.contains(&what), "{node}: no {what:?} in {text}");
    cluster.stays(Duration::from_secs(1), "it stays in DNS", async |cluster| cluster.is_published(node)).await;
    none(&cluster.writes_of(node, since), &format!("{node}: {key}={value}"));
    cluster.kubectl(&format!("annotate node {node} {key}-")).await;
    // Only what has taken effect counts for how long the next has to stand.
    cluster
        .until(&format!("{node} has forgotten {key}"), async |cluster| {
            cluster.status(node).await.0["kubernetes"]["annotations"]["mistakes"] == serde_json::json!([])
        })
        .await;
}

fn twice<T: Clone>(one: T) -> Vec<T> {
    vec![one.clone(), one]
}

async fn weighs(cluster: &Cluster, observer: &Observer, node: &str) -> Vec<Duration> {
    let mut samples = Vec::new();
    refused(cluster, node, "nodedns.io/weight", "heavy").await;
    samples.push(
        replaced(cluster, observer, node, EDGE, (1, "nodedns.io/weight=200"), |cluster| {
            weights(cluster, node) == [200, 200]
        })
        .await,
    );
    assert!(in_words(cluster, node).await.contains("annotations of the Node: weight 200"));
    samples.push(
        replaced(cluster, observer, node, EDGE, (2, "nodedns.io/weight-"), |cluster| {
            weights(cluster, node) == [10, 10]
        })
        .await,
    );
    samples
}

async fn is_elsewhere(cluster: &Cluster, observer: &Observer, node: &str) -> Vec<Duration> {
    let mut samples = Vec::new();
    let own = twice(("50.11".to_owned(), format!("8.6{}", node.trim_start_matches('n')), 5));
    assert_eq!(places(cluster, node), own);
    refused(cluster, node, "nodedns.io/coordinates", "91,0").await;
    let there = twice(("48.86".to_owned(), "2.35".to_owned(), 5));
    let set = "nodedns.io/coordinates=48.86,2.35";
    samples.push(replaced(cluster, observer, node, GEO, (1, set), |cluster| places(cluster, node) == there).await);
    assert!(in_words(cluster, node).await.contains("annotations of the Node: coordinates 48.86,2.35"));
    samples.push(
        replaced(cluster, observer, node, GEO, (2, "nodedns.io/coordinates-"), |cluster| places(cluster, node) == own)
            .await,
    );
    samples
}

async fn leans(cluster: &Cluster, observer: &Observer, node: &str) -> Vec<Duration> {
    let mut samples = Vec::new();
    let own = places(cluster, node);
    let with = |bias: i64| {
        own.iter().map(|(latitude, longitude, _)| (latitude.clone(), longitude.clone(), bias)).collect::<Vec<_>>()
    };
    refused(cluster, node, "nodedns.io/bias", "100").await;
    samples.push(
        replaced(cluster, observer, node, GEO, (1, "nodedns.io/bias=-40"), |cluster| {
            places(cluster, node) == with(-40)
        })
        .await,
    );
    // As it stands on the Nodes of those who come from kube-node-dns.
    let set = "kube-node-dns.kyle.space/aws-geoproximity-coordinates=40.42,-3.70";
    let there = twice(("40.42".to_owned(), "-3.70".to_owned(), -40));
    samples.push(replaced(cluster, observer, node, GEO, (2, set), |cluster| places(cluster, node) == there).await);
    let unset = "nodedns.io/bias- kube-node-dns.kyle.space/aws-geoproximity-coordinates-";
    samples.push(replaced(cluster, observer, node, GEO, (3, unset), |cluster| places(cluster, node) == with(5)).await);
    samples
}

/// The label as Kubernetes' own cloud controllers read it, and the annotation beside it.
async fn is_excluded(
    cluster: &Cluster,
    observer: &Observer,
    node: &str,
    (verb, key, value): (&str, &str, &str),
) -> Vec<Duration> {
    let undo = format!("{verb} node {node} {key}-");
    // A word that says no does nothing.
    let since = Instant::now();
    cluster.kubectl(&format!("{verb} node {node} {key}=false")).await;
    let quiet = Duration::from_millis(1500);
    cluster.stays(quiet, "false does not exclude", async |cluster| cluster.is_published(node)).await;
    none(&cluster.writes_of(node, since), &format!("{node}: {key}=false"));
    let set = Instant::now();
    cluster.kubectl(&format!("{verb} --overwrite node {node} {key}={value}")).await;
    let is_set = |object: &Node| {
        let metadata = &object.metadata;
        let written = if verb == "label" { &metadata.labels } else { &metadata.annotations };
        written.as_ref().and_then(|written| written.get(key)).is_some_and(|written| written == value)
    };
    let told = observer.when(cluster, node, set, is_set).await;
    let samples = withdrawn(cluster, node, set, told).await;
    cluster.until("it says so", async |cluster| cluster.reasons(node).await == ["excluded"]).await;
    let text = in_words(cluster, node).await;
    let why = format!("why: {key} on the Node excludes it");
    assert!(text.contains(&why), "{node}: no {why:?} in {text}");
    cluster.kubectl(&undo).await;
    cluster.until(&format!("{node} is back"), async |cluster| cluster.is_published(node)).await;
    samples
}

#[test]
fn what_is_written_on_a_node_changes_its_record_sets_in_place() {
    in_cluster(async |cluster| {
        cluster.start_daemons().await;
        let observer = Observer::start(&cluster).await;
        // On a node of its own each, as what changes often takes effect ever more slowly.
        let (n1, n2, n3) = tokio::join!(
            weighs(&cluster, &observer, "n1"),
            is_elsewhere(&cluster, &observer, "n2"),
            leans(&cluster, &observer, "n3")
        );
        sum_up(
            "L2, from the API server's report of an annotation, beyond its time to settle, to the request",
            [n1, n2, n3].concat(),
        );
        assert!(cluster.all_are_published());
        cluster.judge("annotations");

        let label = "node.kubernetes.io/exclude-from-external-load-balancers";
        let (n1, n2, n3) = tokio::join!(
            is_excluded(&cluster, &observer, "n1", ("label", label, "true")),
            is_excluded(&cluster, &observer, "n2", ("label", label, "")),
            is_excluded(&cluster, &observer, "n3", ("annotate", "nodedns.io/exclude", "true")),
        );
        sum_up("L2, from the API server's report of an exclusion to the withdrawal", [n1, n2, n3].concat());
        cluster.judge("exclusion");
        for node in ["n1", "n2", "n3"] {
            is_eligible(&cluster, node).await;
        }
    });
}
