//! `nodedns list`, `plan`, `prune` and `restore` where the nodes are real.

use std::collections::BTreeMap;
use std::time::Instant;

use route53_sim::{Action, RecordSet};
use serde_json::{Value, json};

use super::fixture::{Cluster, NODES, in_cluster, owner_id};
use crate::host::machine::Ran;
use crate::node::ZONE;

/// An administrator's file, which the kubelet's comes before unless it is named.
const ADMIN: &str = "/etc/kubernetes/admin.conf";

/// Runs nodedns on n2 with `--output json` and these words; what it says, and its exit code.
async fn said(cluster: &Cluster, words: &[&str]) -> (Value, Ran) {
    let command: Vec<_> = ["nodedns"].iter().chain(words).chain(&["--output", "json"]).copied().collect();
    let ran = cluster.run("n2", &command).await;
    (serde_json::from_str(&ran.stdout).unwrap_or(Value::Null), ran)
}

/// How `nodedns list` says that each node is, as an administrator sees it.
async fn states(cluster: &Cluster) -> BTreeMap<String, String> {
    let (listed, ran) = said(cluster, &["list", "--kubeconfig", ADMIN]).await;
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    joined(&listed)
}

/// Of each node of the cluster the state, which is the same in all of its pools.
fn joined(listed: &Value) -> BTreeMap<String, String> {
    let pools = listed["pools"].as_array().unwrap_or_else(|| panic!("no pools: {listed:#}"));
    assert_eq!(pools.len(), 4, "{listed:#}");
    let mut states = BTreeMap::new();
    for set in pools.iter().flat_map(|pool| pool["sets"].as_array().expect("sets")) {
        let state = set["node_state"].as_str().expect("a state").to_owned();
        match NODES.iter().find(|node| set["set_identifier"] == owner_id(node)) {
            Some(node) => {
                let before = states.insert((*node).to_owned(), state.clone());
                assert!(before.is_none_or(|before| before == state), "{listed:#}");
            }
            None => assert_eq!(state, "unknown", "whose is it? {set:#}"),
        }
    }
    states
}

fn are(states: [(&str, &str); 3]) -> BTreeMap<String, String> {
    states.map(|(node, state)| (node.to_owned(), state.to_owned())).into()
}

async fn with_daemons(cluster: &Cluster) {
    cluster.start_daemons().await;
    let admin = cluster.must("hub", &["kubectl", "config", "view", "--flatten", "--output=yaml"]).await;
    cluster.write("n2", ADMIN, &admin).await;
}

#[test]
fn with_the_kubelets_identity_commands_say_what_they_cannot_know() {
    in_cluster(async |cluster| {
        with_daemons(&cluster).await;
        let start = Instant::now();
        let (listed, ran) = said(&cluster, &["list"]).await;
        assert_eq!((ran.code, &listed["nodes_error"]["kind"]), (Some(0), &json!("not_permitted")), "{ran:#?}");
        assert_eq!(joined(&listed), are([("n1", "unknown"), ("n2", "unknown"), ("n3", "unknown")]));
        let shown = cluster.run("n2", &["nodedns", "list"]).await;
        for words in ["how the nodes are is not known", "a kubelet's own identity", "--kubeconfig"] {
            assert!(shown.stderr.contains(words), "{words}: {shown:#?}");
        }
        let (_, ran) = said(&cluster, &["prune", "--yes"]).await;
        assert_eq!(ran.code, Some(77), "{ran:#?}");
        for words in ["nothing is deleted", "a kubelet's own identity", "--kubeconfig"] {
            assert!(ran.stderr.contains(words), "{words}: {ran:#?}");
        }
        // The own Node is all that a plan needs.
        let (planned, ran) = said(&cluster, &["plan"]).await;
        assert_eq!((ran.code, &planned["differences"]), (Some(0), &json!(false)), "{ran:#?}");

        // The daemon does not run; without it the plan tells what is to come.
        cluster.service("stop", &["n2/nodedns"]).await;
        cluster.kubectl("cordon n2").await;
        let (planned, ran) = said(&cluster, &["plan"]).await;
        assert_eq!((ran.code, &planned["differences"]), (Some(2), &json!(true)), "{ran:#?}");
        let reasons: Vec<_> = planned["records"].as_array().expect("records").iter().map(|r| &r["reason"]).collect();
        assert_eq!(reasons, ["cordoned"; 4], "{planned:#}");
        // Nobody tells how the node is, and then it stays as it is.
        cluster.service("stop", &["n2/load-balancer"]).await;
        let (planned, ran) = said(&cluster, &["plan"]).await;
        assert_eq!((ran.code, &planned["complete"], &planned["differences"]), (Some(69), &json!(false), &json!(false)));
        let reasons: Vec<_> = planned["records"].as_array().expect("records").iter().map(|r| &r["reason"]).collect();
        assert_eq!(reasons, ["node_unknown"; 4], "{planned:#}");
        assert!(cluster.all_are_published());
        cluster.nothing_was_written(start, "the end");
    });
}

/// Nothing is deleted, and the exit code and the words say why.
async fn prunes_nothing(cluster: &Cluster, code: i32, words: &[&str]) {
    let (start, before) = (Instant::now(), cluster.sim.record_sets(ZONE));
    let (_, ran) = said(cluster, &["prune", "--yes", "--grace", "1s", "--kubeconfig", ADMIN]).await;
    assert_eq!(ran.code, Some(code), "{ran:#?}");
    for words in words {
        assert!(ran.stderr.contains(words), "{words}: {ran:#?}");
    }
    assert_eq!(cluster.sim.record_sets(ZONE), before);
    for node in NODES {
        assert!(cluster.writes_of(node, start).is_empty(), "{node} wrote");
    }
}

#[test]
fn a_node_that_was_deleted_is_listed_pruned_and_restored() {
    in_cluster(async |cluster| {
        with_daemons(&cluster).await;
        assert_eq!(states(&cluster).await, are([("n1", "ready"), ("n2", "ready"), ("n3", "ready")]));
        prunes_nothing_as_nobody_is_dead(&cluster).await;

        // The daemon of n1 hangs, so that its record sets stay when it is cordoned; n3 loses power.
        cluster.service("pause", &["n1/nodedns"]).await;
        cluster.kubectl("cordon n1").await;
        cluster.may_be_removed(Some("n3"));
        cluster.service("stop", &["n3"]).await;
        let not_ready = are([("n1", "cordoned"), ("n2", "ready"), ("n3", "not_ready")]);
        cluster.until("n3 is not Ready", async |cluster| states(cluster).await == not_ready).await;
        // From now on n2 may be late: while the API server is away it cannot renew its lease.
        cluster.be_patient_with_nodes().await;
        cluster.until("only n3 is not Ready", async |cluster| states(cluster).await == not_ready).await;
        let shown = cluster.run("n2", &["nodedns", "list", "--kubeconfig", ADMIN]).await.stdout;
        assert!(shown.contains("4 live, 4 cordoned") && shown.contains("not ready for"), "{shown}");
        cluster.kubectl("delete node n3").await;
        let gone = are([("n1", "cordoned"), ("n2", "ready"), ("n3", "gone")]);
        assert_eq!(states(&cluster).await, gone);

        // Without the API server nobody is dead, and nothing is even looked for.
        cluster.service("kill", &["hub/kube-apiserver"]).await;
        prunes_nothing(
            &cluster,
            69,
            &["nothing is deleted without the whole list of nodes", "cannot reach the API server"],
        )
        .await;
        let (listed, _) = said(&cluster, &["list", "--kubeconfig", ADMIN]).await;
        assert_eq!(listed["nodes_error"]["kind"], "unreachable", "{listed:#}");
        cluster.service("start", &["hub/kube-apiserver"]).await;
        cluster.until("only n3 is gone", async |cluster| states(cluster).await == gone).await;
        cluster.until("n2 is published", async |cluster| cluster.is_published("n2")).await;

        // What would go is the four of n3, and nobody's else.
        let zone = cluster.sim.record_sets(ZONE);
        let of_n3 = |set: &RecordSet| set.set_identifier == Some(owner_id("n3"));
        let theirs: Vec<_> = zone.iter().filter(|set| of_n3(set)).cloned().collect();
        assert_eq!(theirs.len(), 4);
        let start = Instant::now();
        let (shown, ran) = said(&cluster, &["prune", "--dry-run", "--kubeconfig", ADMIN]).await;
        assert_eq!((ran.code, &shown["nodes"][0]["node"]), (Some(2), &json!("n3")), "{ran:#?}");
        assert_eq!(shown["nodes"][0]["condition"], "gone");
        assert_eq!(shown["nodes"].as_array().map(Vec::len), Some(1), "{shown:#}");
        cluster.nothing_was_written(start, "a dry run");
        let shown = cluster.run("n2", &["nodedns", "prune", "--dry-run", "--kubeconfig", ADMIN]).await.stdout;
        let deleted: Vec<_> = shown.lines().filter(|line| line.trim_start().starts_with("- ")).collect();
        assert_eq!(deleted.len(), 4, "{shown}");
        assert!(deleted.iter().all(|line| line.contains("nodedns/v1/home/n3:")), "{shown}");

        // With the hand on it, after a second look.
        let undo = "/var/lib/undo.json";
        let start = Instant::now();
        let words = ["prune", "--yes", "--grace", "3s", "--undo-file", undo, "--kubeconfig", ADMIN];
        let (pruned, ran) = said(&cluster, &words).await;
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        println!("pruned in {:?}", start.elapsed());
        assert!(start.elapsed().as_secs() >= 3, "{:?}", start.elapsed());
        cluster.judge("pruned");
        assert!(cluster.is_withdrawn("n3") && cluster.is_published("n2") && cluster.is_published("n1"), "{pruned:#}");

        // And back again: what was deleted is created as it was, and nothing else is changed.
        let start = Instant::now();
        let (restored, ran) = said(&cluster, &["restore", "--yes", undo]).await;
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        assert_eq!(cluster.sim.record_sets(ZONE), zone, "{restored:#}");
        let requests = cluster.sim.requests().into_iter().filter(|request| request.at >= start);
        let changes: Vec<_> = requests.flat_map(|request| request.changes).collect();
        let created: Vec<_> = changes.iter().filter(|(_, set)| of_n3(set)).collect();
        assert!(created.iter().all(|(action, set)| *action == Action::Create && theirs.contains(set)), "{created:#?}");
        assert_eq!(created.len(), 4);

        // Two of three are gone now, which the kubeconfig is more likely to be wrong about.
        cluster.kubectl("delete node n1").await;
        prunes_nothing(&cluster, 1, &["nothing was deleted"]).await;
        assert_eq!(cluster.sim.record_sets(ZONE), zone);
    });
}

async fn prunes_nothing_as_nobody_is_dead(cluster: &Cluster) {
    let start = Instant::now();
    let (pruned, ran) = said(cluster, &["prune", "--yes", "--kubeconfig", ADMIN]).await;
    assert_eq!((ran.code, &pruned["nodes"]), (Some(0), &json!([])), "{ran:#?}");
    cluster.nothing_was_written(start, "nobody is dead");
}
