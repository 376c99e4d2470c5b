//! What is written on a Node, by `kubectl annotate` and `kubectl label`, and what DNS makes of it.

use std::time::{Duration, Instant};

use route53_sim::{Action, RecordSet};

use super::fixture::{Cluster, EDGE, GEO, in_cluster, owner_id};
use super::node_state::{in_words, is_eligible};
use super::observer::{batches, none};
use crate::node::ZONE;

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

/// Annotates a node and waits until it shows in DNS: by one batch, which replaces the node's record sets at
/// `name` and none of which is ever away.
async fn replaced(cluster: &Cluster, node: &str, name: &str, annotation: &str, shows: impl Fn(&Cluster) -> bool) {
    let since = Instant::now();
    cluster.kubectl(&format!("annotate --overwrite node {node} {annotation}")).await;
    let took = cluster.until(&format!("{node}: {annotation} shows"), async |cluster| shows(cluster)).await;
    println!("{node}: {annotation}: in DNS after {:.2} s", took.as_secs_f64());
    let batches = batches(cluster, node, since);
    let [batch] = batches.as_slice() else { panic!("{node}: {annotation}: one batch: {batches:#?}") };
    assert!(batch.change_id.is_some(), "{node}: {annotation}: accepted: {batch:#?}");
    for rtype in TYPES {
        let changes = batch.changes.iter().filter(|(_, set)| set.name == name && set.rtype == rtype);
        let actions: Vec<_> = changes.map(|(action, _)| *action).collect();
        let in_place = matches!(actions.as_slice(), [Action::Upsert] | [Action::Delete, Action::Create]);
        assert!(in_place, "{node}: {annotation}: {rtype}: {actions:?}");
    }
    assert!(batch.changes.iter().all(|(_, set)| set.name == name), "{node}: {annotation}: {batch:#?}");
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
    none(&batches(cluster, node, since), &format!("{node}: {key}={value}"));
    cluster.kubectl(&format!("annotate node {node} {key}-")).await;
}

fn twice<T: Clone>(one: T) -> Vec<T> {
    vec![one.clone(), one]
}

async fn weighs(cluster: &Cluster, node: &str) {
    refused(cluster, node, "nodedns.io/weight", "heavy").await;
    replaced(cluster, node, EDGE, "nodedns.io/weight=200", |cluster| weights(cluster, node) == [200, 200]).await;
    assert!(in_words(cluster, node).await.contains("annotations of the Node: weight 200"));
    replaced(cluster, node, EDGE, "nodedns.io/weight-", |cluster| weights(cluster, node) == [10, 10]).await;
}

async fn is_elsewhere(cluster: &Cluster, node: &str) {
    let own = twice(("50.11".to_owned(), format!("8.6{}", node.trim_start_matches('n')), 5));
    assert_eq!(places(cluster, node), own);
    refused(cluster, node, "nodedns.io/coordinates", "91,0").await;
    let there = twice(("48.86".to_owned(), "2.35".to_owned(), 5));
    let set = "nodedns.io/coordinates=48.86,2.35";
    replaced(cluster, node, GEO, set, |cluster| places(cluster, node) == there).await;
    assert!(in_words(cluster, node).await.contains("annotations of the Node: coordinates 48.86,2.35"));
    replaced(cluster, node, GEO, "nodedns.io/coordinates-", |cluster| places(cluster, node) == own).await;
}

async fn leans(cluster: &Cluster, node: &str) {
    let own = places(cluster, node);
    let with = |bias: i64| {
        own.iter().map(|(latitude, longitude, _)| (latitude.clone(), longitude.clone(), bias)).collect::<Vec<_>>()
    };
    refused(cluster, node, "nodedns.io/bias", "100").await;
    replaced(cluster, node, GEO, "nodedns.io/bias=-40", |cluster| places(cluster, node) == with(-40)).await;
    // As it stands on the Nodes of those who come from kube-node-dns.
    let set = "kube-node-dns.kyle.space/aws-geoproximity-coordinates=40.42,-3.70";
    let there = twice(("40.42".to_owned(), "-3.70".to_owned(), -40));
    replaced(cluster, node, GEO, set, |cluster| places(cluster, node) == there).await;
    let unset = "nodedns.io/bias- kube-node-dns.kyle.space/aws-geoproximity-coordinates-";
    replaced(cluster, node, GEO, unset, |cluster| places(cluster, node) == with(5)).await;
}

/// The label as Kubernetes' own cloud controllers read it, and the annotation beside it.
async fn is_excluded(cluster: &Cluster, node: &str, verb: &str, key: &str, value: &str) {
    let undo = format!("{verb} node {node} {key}-");
    // A word that says no does nothing.
    let since = Instant::now();
    cluster.kubectl(&format!("{verb} node {node} {key}=false")).await;
    let quiet = Duration::from_millis(1500);
    cluster.stays(quiet, "false does not exclude", async |cluster| cluster.is_published(node)).await;
    none(&batches(cluster, node, since), &format!("{node}: {key}=false"));
    let set = Instant::now();
    cluster.kubectl(&format!("{verb} --overwrite node {node} {key}={value}")).await;
    cluster.until(&format!("{key}={value} excludes {node}"), async |cluster| cluster.is_withdrawn(node)).await;
    println!("{node}: {key}={value}: withdrawn {:.2} s after kubectl began", set.elapsed().as_secs_f64());
    cluster.until("it says so", async |cluster| cluster.reasons(node).await == ["excluded"]).await;
    let text = in_words(cluster, node).await;
    let why = format!("why: {key} on the Node excludes it");
    assert!(text.contains(&why), "{node}: no {why:?} in {text}");
    cluster.kubectl(&undo).await;
    cluster.until(&format!("{node} is back"), async |cluster| cluster.is_published(node)).await;
}

#[test]
fn what_is_written_on_a_node_changes_its_record_sets_in_place() {
    in_cluster(async |cluster| {
        cluster.start_daemons().await;
        // On a node of its own each, as what changes often takes effect ever more slowly.
        tokio::join!(weighs(&cluster, "n1"), is_elsewhere(&cluster, "n2"), leans(&cluster, "n3"));
        assert!(cluster.all_are_published());
        cluster.judge("annotations");

        let label = "node.kubernetes.io/exclude-from-external-load-balancers";
        tokio::join!(
            is_excluded(&cluster, "n1", "label", label, "true"),
            is_excluded(&cluster, "n2", "label", label, ""),
            is_excluded(&cluster, "n3", "annotate", "nodedns.io/exclude", "true"),
        );
        cluster.judge("exclusion");
        for node in ["n1", "n2", "n3"] {
            is_eligible(&cluster, node).await;
        }
    });
}
